"""Limits of the Gini coefficient and the maximum over the geometric mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.inference.convex_limits import gini_limits, max_over_geometric_mean_limits, sublinear_limits
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


def jeffreys(rate, n, draws=20_000):
    rng = np.random.default_rng(99)
    return rng.beta(rate * n + 0.5, n - rate * n + 0.5, size=(draws, len(n)))


def gini_of(rates):
    k = rates.shape[-1]
    apart = np.abs(rates[..., :, None] - rates[..., None, :]).sum(axis=(-2, -1)) / 2
    return apart / ((k - 1) * rates.sum(axis=-1))


def test_limits_of_the_gini_are_those_of_the_draws_of_a_ratio():
    """A value g is kept as long as D - g M, as seen, is explained by the error of a true distribution."""
    rate, n, alpha = np.array([0.05, 0.2, 0.11, 0.3]), np.array([300.0, 200, 400, 150]), 0.1
    low, high = gini_limits(rate, n, alpha, np.random.default_rng(0))
    drawn = jeffreys(rate, n)
    error, ranks = rate - drawn, {0: -1.0, 2: -1 / 3, 1: 1 / 3, 3: 1.0}
    weights = np.array([ranks[g] for g in range(4)])
    spread = np.abs(error[:, :, None] - error[:, None, :]).sum(axis=(1, 2)) / 2 / 3
    seen, total = float(weights @ rate), rate.sum()
    assert seen / total == pytest.approx(gini_of(rate))
    grid = np.linspace(0, 1, 201)
    above = [seen - g * total <= np.quantile(spread - g * error.sum(axis=1), 1 - alpha / 2) for g in grid]
    below = [
        seen - g * total >= np.quantile(error @ weights - g * error.sum(axis=1), alpha / 2) for g in grid
    ]
    assert low == pytest.approx(grid[above.index(True)], abs=0.02)
    assert high == pytest.approx(grid[len(grid) - 1 - below[::-1].index(True)], abs=0.02)
    assert low < gini_of(rate) < high


def test_limits_of_the_largest_over_the_geometric_mean_are_those_of_the_draws():
    rate, n, alpha = np.array([0.05, 0.2, 0.11]), np.array([300.0, 200, 400]), 0.1
    low, high = max_over_geometric_mean_limits(rate, n, alpha, np.random.default_rng(0))
    error = np.log(rate) - np.log(jeffreys(rate, n))
    seen = np.log(0.2) - np.log(rate).mean()
    mean = error.mean(axis=1)
    assert low == pytest.approx(np.exp(seen - np.quantile(error.max(axis=1) - mean, 0.95)), rel=0.02)
    assert high == pytest.approx(np.exp(seen - np.quantile(error[:, 1] - mean, 0.05)), rel=0.02)


def test_a_limit_is_never_below_0_nor_the_upper_one_below_what_was_seen():
    error = np.linspace(0, 1, 101)
    assert sublinear_limits(2.0, error, error, 0.1) == pytest.approx((2 - 0.95, 2.0))
    assert sublinear_limits(0.5, error, error - 0.5, 0.1) == pytest.approx((0.0, 0.5 + 0.45))
