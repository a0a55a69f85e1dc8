"""What detectors that look at nothing get: nothing flagged, everything flagged, so many at random."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audit.data.counts import Counts
from audit.judge.no_skill import N_DRAWS, no_skill_rates
from audit.metrics.disparity import MEASURES


def groups(reals, fakes):
    none = np.zeros(len(reals), np.int64)
    pairs = np.zeros((len(reals), 2, 2), np.int64)
    return Counts(pairs, np.stack([np.array(reals), none], 1), np.stack([np.array(fakes), none], 1))


def test_rates_of_the_three():
    found = no_skill_rates(groups([200, 50], [100, 400]), 0.3, np.random.default_rng(0))
    assert found.always_real.fpr.tolist() == [0, 0] and found.always_real.fnr.tolist() == [1, 1]
    assert found.always_fake.fpr.tolist() == [1, 1] and found.always_fake.fnr.tolist() == [0, 0]
    assert found.random.fpr.shape == (N_DRAWS, 2)
    assert found.random.fpr.mean(axis=0) == pytest.approx([0.3, 0.3], abs=0.01)
    assert found.random.fnr.mean(axis=0) == pytest.approx([0.7, 0.7], abs=0.01)
    assert found.random.fpr.std(axis=0) == pytest.approx([(0.21 / n) ** 0.5 for n in (200, 50)], rel=0.1)
    assert found.random.fnr.std(axis=0) == pytest.approx([(0.21 / n) ** 0.5 for n in (100, 400)], rel=0.1)


def test_a_measure_of_each():
    found = no_skill_rates(groups([200, 50], [100, 400]), 0.3, np.random.default_rng(0))
    difference = found.of(MEASURES["fpr_difference"])
    assert (difference.always_real, difference.always_fake) == (0, 0)
    assert difference.random == pytest.approx(np.ptp(found.random.fpr, axis=1).mean())
    ratio = found.of(MEASURES["fpr_ratio"])
    assert math.isnan(ratio.always_real) and ratio.always_fake == 1 and 0.6 < ratio.random < 0.95
    accuracy = found.of(MEASURES["f_oae"])
    assert accuracy.always_real == pytest.approx(200 / 300 - 50 / 450)
    assert accuracy.always_fake == pytest.approx(400 / 450 - 100 / 300)


@pytest.mark.parametrize(("share", "defined"), [(0.6, False), (0.75, True)])
def test_undefined_for_most_draws_is_undefined(share, defined):
    """Two groups of one real each: the ratio of FPRs is defined where one is flagged, in 1 - (1 - p)^2."""
    found = no_skill_rates(
        groups([1, 1], [50, 50]), 1 - share**0.5 if not defined else share, np.random.default_rng(1)
    )
    random = found.of(MEASURES["fpr_ratio"]).random
    assert math.isnan(random) != defined
