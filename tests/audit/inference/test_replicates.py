"""Replicates that a family of tests needs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.inference.equality_test import (
    SMALLEST_BOOTSTRAPPED,
    SMALLEST_PERMUTED,
    can_reject,
    enough_replicates,
    equality_test,
    raised_note,
    replicates_for,
)
from audit.inference.paired_tests import gap_difference


@given(st.integers(1, 2_000), st.sampled_from([0.2, 0.05, 0.01, 0.001]))
def test_enough_can_reject_with_room(n_tests, alpha):
    for smallest in (SMALLEST_PERMUTED, SMALLEST_BOOTSTRAPPED):
        drawn = enough_replicates(n_tests, alpha, smallest)
        assert can_reject(drawn, n_tests, alpha, smallest)
        assert smallest / (drawn + 1) * n_tests < alpha / 4


def test_what_cannot_reject():
    assert not can_reject(100, 14, 0.05, SMALLEST_PERMUTED) and can_reject(139, 14, 0.05, SMALLEST_PERMUTED)
    assert not can_reject(10_000, 690, 0.05, SMALLEST_BOOTSTRAPPED)
    assert can_reject(100, 0, 0.05, SMALLEST_BOOTSTRAPPED)


def test_the_smallest_p_values_are_what_the_tests_give():
    rng = np.random.default_rng(0)
    n = np.array([500, 500])
    assert equality_test(np.array([0, 450]), n, 199, rng).p_value == pytest.approx(SMALLEST_PERMUTED / 200)
    apart = np.array([[[500, 0], [0, 0]], [[50, 0], [450, 0]]])
    assert gap_difference(apart, 0.05, 199, rng).p_value == pytest.approx(SMALLEST_BOOTSTRAPPED / 200)


def test_as_many_as_asked_for_where_they_are_enough_and_five_times_the_least_where_not():
    assert replicates_for(10_000, 14, 0.05) == 10_000 and replicates_for(139, 14, 0.05) == 139
    assert replicates_for(138, 14, 0.05) == 700 == enough_replicates(14, 0.05, 0.5)  # 5 x 0.5 x 14 / 0.05
    assert replicates_for(138, 15, 0.05) == 800 and replicates_for(9, 0, 0.05) == 9
    assert replicates_for(8, 0, 0.05) == 0 and replicates_for(8, 1, 0.05) == 100
    assert raised_note(1_000, 2_100, 42) == (
        "1,000 permutations are too few for 42 comparisons: even the largest gap would have stayed "
        "unsettled. 2,100 were drawn instead."
    )
