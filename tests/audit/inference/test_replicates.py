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
