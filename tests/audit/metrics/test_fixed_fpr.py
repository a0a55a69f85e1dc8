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
