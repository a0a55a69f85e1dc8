"""Where the advice about the threshold stands among the next steps."""

import pytest

from audit.config import AuditConfig
from audit.errors import MitigationError
from audit.runs.mitigate_run import mitigate_table
from audit.runs.score_audit import audit_scores
from reports.pages.cure_part import CurePart, cure_of, is_disparate, steps_with_cure
from reports.text.next_steps import Step

STEPS = [Step("Try another threshold first.", "thresholds"), Step("Have a person check.")]


@pytest.mark.parametrize(
    ("accepted", "told"),
    [(True, ["Move it.", "Have a person check."]), (False, ["Have a person check.", "Move it."])],
)
def test_a_cure_comes_first_where_it_helps_and_last_where_it_does_not(accepted, told):
    cure = CurePart("", "Move it.", "", "", [], accepted)
    assert [step.text for step in steps_with_cure(STEPS, cure)] == told


def test_where_nothing_was_tried_the_steps_stay():
    assert steps_with_cure(STEPS, None) == STEPS
    assert steps_with_cure(STEPS, CurePart("", "", "", "", [])) == STEPS


def test_scores_that_run_the_wrong_way_have_no_cure_whatever_was_found_once(score_frame, tmp_path):
    frame = score_frame({"race": ["White", "Black"]}, 600, {"Black": 1.5}, 2.4)
    found = audit_scores(frame.assign(score=1 - frame.score), AuditConfig(n_boot=200))
    assert "disparity" in [v.verdict for v in found.verdicts] and not is_disparate(found)
    (tmp_path / "mitigation.json").write_text("{}")  # would be refused if it were read
    assert cure_of(tmp_path, found) is None
    with pytest.raises(MitigationError, match=r"no threshold helps here\. Scores or labels look reversed"):
        mitigate_table(found, frame)
