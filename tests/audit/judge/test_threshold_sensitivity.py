"""Verdicts at other thresholds: the same judge, other places, and nothing of the audit's own is moved."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.runs.score_audit import audit_scores


def scores(n=3000, shift=1.0, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"label": np.repeat([0, 1], n), "race": rng.choice(["a", "b", "c"], 2 * n)})
    frame["score"] = rng.normal(3.0 * frame.label + shift * ((frame.race == "a") & (frame.label == 0)))
    return frame


@pytest.fixture(scope="module")
def found():
    return audit_scores(scores(), AuditConfig(threshold=1.5, n_boot=500))


def test_each_threshold_holds_what_its_rule_says(found):
    frame = scores()
    rates = {}
    for other in found.other_thresholds:
        flagged = frame.score >= other.threshold
        assert other.fpr == flagged[frame.label == 0].mean()
        assert other.fnr == (~flagged[frame.label == 1]).mean()
        rates[other.rule] = (other.fpr, other.fnr)
    assert set(rates) == {"eer", "fpr=0.1", "fpr=0.05", "fpr=0.01"}
    assert list(rates.values()) == sorted(rates.values(), reverse=True)
    assert rates["fpr=0.05"][0] == pytest.approx(0.05, abs=1e-3)
    assert rates["eer"][0] == pytest.approx(rates["eer"][1], abs=1e-3)


def test_the_verdicts_are_those_of_an_audit_at_that_threshold(found):
    """Gaps to the digit; intervals and adjusted p-values differ by the correction alone."""
    other = next(o for o in found.other_thresholds if o.rule == "fpr=0.05")
    alone = audit_scores(scores(), AuditConfig(threshold=other.threshold, n_boot=500))
    for here, there in zip(other.verdicts, alone.verdicts, strict=True):
        same = ["attribute", "rate", "p_value", "gap", "gap_corrected", "worst_group", "best_group"]
        assert [getattr(here, f) for f in same] == [getattr(there, f) for f in same]
    assert other.verdicts[0].verdict == "disparity"


def test_the_audit_itself_is_not_corrected_for_looking_elsewhere(found):
    assert found.n_tests == len(found.verdicts) == 2
    tried = [v for o in found.other_thresholds for v in o.verdicts]
    assert len(tried) == 8
    smallest = min(tried, key=lambda v: v.p_value)
    assert smallest.adjusted_p_value == pytest.approx(8 * smallest.p_value)


def test_a_rule_that_decides_as_the_audited_threshold_does_is_left_out(found):
    eer = next(o for o in found.other_thresholds if o.rule == "eer")
    again = audit_scores(scores(), AuditConfig(threshold=eer.threshold, n_boot=500))
    assert "eer" not in [o.rule for o in again.other_thresholds]


def test_intersections_are_not_judged_elsewhere():
    frame = scores().assign(gender=lambda f: np.where(np.arange(len(f)) % 2, "f", "m"))
    found = audit_scores(frame, AuditConfig(threshold=1.5, n_boot=200))
    assert {v.attribute for o in found.other_thresholds for v in o.verdicts} == {"race", "gender"}


def test_images_of_one_class_have_no_other_thresholds():
    frame = scores()
    assert audit_scores(frame[frame.label == 0], AuditConfig(n_boot=200)).other_thresholds == []


def test_too_few_replicates_are_raised_for_the_larger_family():
    """100 permutations could reject nothing among 8 comparisons."""
    found = audit_scores(scores(shift=2.0), AuditConfig(threshold=1.5, n_boot=100))
    assert any(v.verdict == "disparity" for o in found.other_thresholds for v in o.verdicts)


def test_a_threshold_that_flags_nothing_or_everything_is_not_judged():
    """It treats all groups alike, which says nothing of any detector: decisions of 0 and 1 as scores."""
    frame = scores()
    frame["score"] = (frame.score >= 1.0).astype(float)  # an FPR above 10 %, and no score to lower it
    assert [o for o in audit_scores(frame, AuditConfig(n_boot=200)).other_thresholds] == []
