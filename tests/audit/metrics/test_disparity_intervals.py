"""Simultaneous intervals: they contain the estimate, reach 0 for equal groups, and forget names and order."""

from __future__ import annotations

import numpy as np
import pytest

from audit.data.counts import Counts
from audit.metrics.disparity import MEASURES, group_rates_of
from audit.metrics.disparity_intervals import LIMITS, Evidence


def counts_of(fp, fn, n):
    """Groups of single images, n of each class."""
    fp, fn, n = map(np.array, (fp, fn, n))
    none = np.zeros((len(n), 2, 2), np.int64)
    return Counts(none, np.stack([n - fp, fp], 1), np.stack([n - fn, fn], 1))


UNEQUAL = counts_of([10, 60, 25], [40, 30, 35], [400, 500, 450])
EQUAL = counts_of([30, 45, 36], [20, 30, 24], [400, 600, 480])


@pytest.mark.parametrize("key", LIMITS)
@pytest.mark.parametrize("counts", [UNEQUAL, EQUAL])
def test_interval_holds_the_estimate(key, counts):
    low, high = LIMITS[key](Evidence(counts, 500, (0,)), 0.05)
    value = float(MEASURES[key].compute(group_rates_of(counts)))
    assert low <= value <= high


def test_gap_of_equal_groups_reaches_zero_and_of_unequal_ones_does_not():
    assert Evidence(EQUAL, 500, (0,)).difference("fpr", 0.05)[0] == 0
    assert Evidence(UNEQUAL, 500, (0,)).difference("fpr", 0.05)[0] > 0.03


def test_equalised_odds_ratio_follows_the_rate_that_differs():
    """As many reals of each group are flagged; 90 % of one group's fakes are and 45 % of the other's."""
    counts = counts_of([300, 300], [100, 550], [1000, 1000])
    low, high = LIMITS["equalized_odds_ratio"](Evidence(counts, 500, (0,)), 0.05)
    assert 0.45 < low < 0.5 < high < 0.55


def test_order_of_groups_changes_nothing():
    order = np.array([2, 0, 1])
    for rate in ("fpr", "fnr", "positive_rate", "accuracy"):
        first = Evidence(UNEQUAL, 500, (0,)).difference(rate, 0.05)
        assert Evidence(UNEQUAL.take(order), 500, (0,)).difference(rate, 0.05) == first


def test_small_group_without_errors_widens_the_gap():
    """Its own rate could be anything up to the mid-p limit, although it sets neither extreme."""
    both_zero = counts_of([0, 0], [0, 0], [30, 3000])
    assert Evidence(both_zero, 500, (0,)).difference("fpr", 0.05)[1] == pytest.approx(
        1 - 0.05 ** (1 / 30), abs=0.02
    )


def test_infinite_limit_of_the_inequity_rate():
    counts = counts_of([0, 10], [5, 10], [100, 100])
    low, high = LIMITS["inequity_rate"](Evidence(counts, 500, (0,)), 0.05)
    assert low >= 1 and high == np.inf
