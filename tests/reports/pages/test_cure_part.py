"""Where the advice about the threshold stands among the next steps."""

import pytest

from reports.pages.cure_part import CurePart, steps_with_cure
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
