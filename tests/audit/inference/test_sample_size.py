"""Images that settle a question, against the normal distribution they are planned with."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm, studentized_range

from audit.inference.sample_size import images_if_as_seen, images_if_equal


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
def test_two_equal_groups_are_cleared_four_times_out_of_five(rate):
    """The interval of their difference lies inside +-0.02 with a probability of 80 %."""
    n = images_if_equal(rate, 2, 0.02, 0.05, 1)
    error = math.sqrt(2 * rate * (1 - rate) / n)
    room = 0.02 / error - norm.ppf(0.975)
    assert norm.cdf(room) - norm.cdf(-room) == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize("k", [3, 9, 126])
def test_many_equal_groups_are_cleared_four_times_out_of_five(k):
    """The largest of all differences between k normal means stays inside."""
    n = images_if_equal(0.05, k, 0.02, 0.05, 1)
    error = math.sqrt(2 * 0.05 * 0.95 / n)
    room = 0.02 / error - studentized_range.ppf(0.95, k, np.inf) / math.sqrt(2)
    assert studentized_range.cdf(room * math.sqrt(2), k, np.inf) == pytest.approx(0.8, abs=1e-3)


def test_a_gap_as_seen_is_measured_from_the_tolerance():
    rates, p = (0.05, 0.09), 0.05 * 0.95 + 0.09 * 0.91
    n = images_if_as_seen(rates, 2, 0.02, 0.05, 1)
    low = 0.04 - norm.ppf(0.975) * math.sqrt(p / n)
    assert norm.sf((0.02 - low) / math.sqrt(p / n)) == pytest.approx(0.8, abs=0.01)
    assert images_if_as_seen(rates, 2, 0.02, 0.05, 14) > n
    assert images_if_as_seen((0.05, 0.055), 2, 0.02, 0.05, 1) > 1000


def test_a_small_gap_must_lie_inside_in_each_of_all_tests():
    """One-sided, and not divided among pairs: of 14 tests, sharper than the 95 % limits of two groups."""
    rates, p = (0.05, 0.055), 0.05 * 0.95 + 0.055 * 0.945
    for n_tests, z in ((1, norm.ppf(0.975)), (14, norm.isf(0.05 / 14))):
        wanted = p * ((z + norm.ppf(0.9)) / (0.02 - 0.005)) ** 2
        assert images_if_as_seen(rates, 2, 0.02, 0.05, n_tests) == math.ceil(wanted)


@pytest.mark.parametrize("high", [0.066, 0.07, 0.074])
def test_near_the_tolerance_there_is_no_number(high):
    assert images_if_as_seen((0.05, high), 2, 0.02, 0.05, 1) is None
