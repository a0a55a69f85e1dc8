"""Limits of the Gini coefficient and the maximum over the geometric mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.inference.convex_limits import gini_limits, max_over_geometric_mean_limits
from audit.metrics.disparity import gini, max_over_geometric_mean

RATES = st.lists(st.floats(0.01, 0.9), min_size=2, max_size=8)


@given(RATES, st.integers(20, 5_000))
def test_limits_hold_what_was_seen(rates, n):
    rate, images, rng = np.array(rates), np.full(len(rates), float(n)), np.random.default_rng(0)
    low, high = gini_limits(rate, images, 0.05, rng)
    assert 0 <= low <= float(gini(rate)) + 1e-9
    assert float(gini(rate)) - 1e-9 <= high <= 1
    low, high = max_over_geometric_mean_limits(rate, images, 0.05, rng)
    assert 1 <= low <= float(max_over_geometric_mean(rate)) + 1e-9
    assert high >= float(max_over_geometric_mean(rate)) - 1e-9


def test_equal_groups_reach_the_fair_value():
    rng = np.random.default_rng(1)
    rate, n = rng.binomial(400, 0.1, 6) / 400, np.full(6, 400.0)
    assert gini_limits(rate, n, 0.05, rng)[0] == 0
    assert max_over_geometric_mean_limits(rate, n, 0.05, rng)[0] == 1


def test_no_errors_anywhere_say_nothing():
    limits = gini_limits(np.zeros(3), np.full(3, 50.0), 0.05, np.random.default_rng(0))
    assert limits == (0, 1)


def test_names_and_order_change_nothing():
    rate, n = np.array([0.1, 0.3, 0.2]), np.array([50.0, 80, 60])
    first, second = (
        gini_limits(rate[order], n[order], 0.05, np.random.default_rng(3)) for order in ([0, 1, 2], [2, 0, 1])
    )
    assert first == second


def test_more_images_know_more():
    rate = np.array([0.1, 0.2, 0.3])
    widths = [
        np.diff(gini_limits(rate, np.full(3, n), 0.05, np.random.default_rng(4)))[0] for n in (50.0, 5_000.0)
    ]
    assert widths[1] == pytest.approx(widths[0] / 10, rel=0.3)
