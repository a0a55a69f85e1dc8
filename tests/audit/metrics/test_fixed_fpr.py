"""FNR of each group at one threshold for all, with the threshold's own uncertainty."""

from __future__ import annotations

import numpy as np
import pytest

from audit.config import AuditConfig
from audit.inference.proportion_intervals import wilson, z_value
from audit.metrics.error_curves import error_curve
from audit.metrics.fixed_fpr import thresholds_at
from audit.runs.score_audit import audit_scores

CONFIG = AuditConfig(attributes=("race",), n_boot=100, threshold=0.0)


def test_the_threshold_is_that_of_all_reals_and_the_rate_is_counted(simulate):
    frame = simulate(500, shift=0.8)
    for one in audit_scores(frame, CONFIG).fnr_at_fpr:
        reals = frame.score[frame.label == 0].to_numpy()
        assert (reals >= one.threshold).mean() <= one.level
        assert (reals >= np.sort(reals[reals < one.threshold])[-1]).mean() > one.level
        fakes = frame.score[(frame.label == 1) & (frame.race == one.group)]
        assert one.fnr == pytest.approx((fakes < one.threshold).mean())
        assert one.n_fake == len(fakes)


def test_the_interval_is_wider_than_that_of_a_known_threshold(simulate):
    for one in audit_scores(simulate(500), CONFIG).fnr_at_fpr:
        low, high = wilson(one.fnr, one.n_fake, z_value(0.95))
        assert one.interval[0] <= low
        assert one.interval[1] >= high


def test_thresholds_that_the_level_is_compatible_with():
    score = np.arange(100.0)
    curve = error_curve(np.r_[score, 200.0], np.r_[np.zeros(100, bool), True])
    low, high = thresholds_at(curve, 0.10, 100, 1.959964)
    # score test: observed FPR within 0.10 +- 1.96 * sqrt(0.09 / 100) = 0.041 to 0.159
    assert (score >= low).mean() == pytest.approx(0.15)
    assert (score >= high).mean() == pytest.approx(0.04)


def test_few_reals_do_not_know_the_threshold_of_a_low_rate(simulate):
    record = audit_scores(simulate(40), CONFIG)
    one = next(one for one in record.fnr_at_fpr if one.level == 0.01)
    assert one.interval[1] == 1.0


def test_without_reals_there_is_none(simulate):
    frame = simulate(60)
    assert audit_scores(frame[frame.label == 1], CONFIG).fnr_at_fpr == []


def test_limits_join_the_rates_error_and_the_thresholds(simulate):
    """At each level the FNR's Wilson limits and its values at the thresholds that may be meant."""
    frame = simulate(400, shift=0.5)
    reals = np.sort(frame.score[frame.label == 0].to_numpy())
    found = audit_scores(frame, CONFIG).fnr_at_fpr
    assert [(one.level, one.attribute, one.group) for one in found] == [
        (level, "race", group) for level in (0.01, 0.05, 0.1) for group in "ABC"
    ]
    points = np.sort(np.r_[frame.score, np.nextafter(frame.score.max(), np.inf)])
    fpr = np.array([(reals >= t).mean() for t in points])
    for one in found:
        reach = 1.959964 * np.sqrt(one.level * (1 - one.level) / 400)
        lowest = points[fpr <= one.level + reach][0]
        highest = points[np.flatnonzero(fpr < one.level - reach)[0]] if one.level > reach else points[-1]
        assert one.threshold == points[fpr <= one.level][0]
        own = (frame.label == 1) & (frame.race == one.group)
        missed = [(frame.score[own] < t).mean() for t in (lowest, one.threshold, highest)]
        low, high = wilson(missed[1], own.sum(), z_value(0.95))
        assert one.fnr == pytest.approx(missed[1]) and one.n_fake == own.sum()
        wanted = (
            missed[1] - np.hypot(missed[1] - low, missed[1] - missed[0]),
            missed[1] + np.hypot(high - missed[1], missed[2] - missed[1]),
        )
        assert one.interval == pytest.approx((max(0, wanted[0]), min(1, wanted[1])))


def test_groups_without_a_label_or_without_fakes_have_no_fnr(simulate):
    frame = simulate(200)
    frame.loc[frame.race == "A", "race"] = None
    frame = frame[(frame.race != "B") | (frame.label == 0)].drop(columns="pair_id")
    found = audit_scores(frame, CONFIG).fnr_at_fpr
    assert {one.group for one in found} == {"C"} and len(found) == 3
