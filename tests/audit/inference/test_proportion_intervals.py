"""Score intervals against statsmodels, and at their edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from audit.inference.proportion_intervals import newcombe, ratio_score, wilson, z_value

Z = z_value(0.95)
TABLES = [(3, 40, 9, 80), (0, 40, 5, 80), (17, 20, 3, 200), (1, 1000, 2, 900), (40, 40, 70, 80)]


@pytest.mark.parametrize(("k", "n"), [(0, 40), (1, 40), (40, 40), (333, 5000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_wilson(k, n, confidence):
    expected = proportion_confint(k, n, alpha=1 - confidence, method="wilson")
    np.testing.assert_allclose(wilson(k / n, n, z_value(confidence)), expected, atol=1e-12)


@pytest.mark.parametrize(("k1", "n1", "k2", "n2"), TABLES)
def test_newcombe(k1, n1, k2, n2):
    expected = confint_proportions_2indep(k1, n1, k2, n2, method="newcomb", compare="diff")
    np.testing.assert_allclose(newcombe(k1 / n1, n1, k2 / n2, n2, Z), expected, atol=1e-9)


@pytest.mark.parametrize(("k1", "n1", "k2", "n2"), TABLES[:4])
def test_ratio_is_the_score_interval(k1, n1, k2, n2):
    expected = confint_proportions_2indep(k1, n1, k2, n2, method="score", compare="ratio", correction=False)
    np.testing.assert_allclose(ratio_score(k1 / n1, n1, k2 / n2, n2, Z), expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("ratio", [0.6, 1.04, 1.2, 2.5])
def test_ratio_limit_by_brute_force(ratio):
    """Where one group has no right answer: the statistic with a numerically maximised likelihood."""
    k1, n1, k2, n2 = 40, 40, 70, 80

    def loss(p2):
        first = k1 * np.log(ratio * p2) + (n1 - k1) * np.log1p(-ratio * p2)
        return -(first + k2 * np.log(p2) + (n2 - k2) * np.log1p(-p2))

    bounds = (1e-9, min(1, 1 / ratio) - 1e-9)
    p2 = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    variance = ratio * p2 * (1 - ratio * p2) / n1 + ratio**2 * p2 * (1 - p2) / n2
    rejected = abs(k1 / n1 - ratio * k2 / n2) / np.sqrt(variance) > Z
    low, high = ratio_score(k1 / n1, n1, k2 / n2, n2, Z)
    assert rejected == (not low <= ratio <= high)


def test_ratio_at_zero():
    low, high = ratio_score([0.0, 0.1, 0.0], [40] * 3, [0.1, 0.0, 0.0], [50] * 3, Z)
    assert low[0] == 0 and 0 < high[0] < np.inf
    assert low[1] > 0 and high[1] == np.inf
    assert low[2] == 0 and high[2] == np.inf


def test_empty_groups_have_no_interval():
    for limits in (wilson(np.nan, 0, Z), newcombe(np.nan, 0, 0.1, 10, Z), ratio_score(0.1, 10, np.nan, 0, Z)):
        assert np.isnan(limits).all()


@given(st.integers(1, 500), st.integers(1, 500), st.data())
def test_intervals_hold_the_estimate_and_mirror(n1, n2, data):
    p1, p2 = data.draw(st.integers(0, n1)) / n1, data.draw(st.integers(0, n2)) / n2
    low, high = newcombe(p1, n1, p2, n2, Z)
    assert low - 1e-12 <= p1 - p2 <= high + 1e-12
    other = newcombe(p2, n2, p1, n1, Z)
    np.testing.assert_allclose((-other[1], -other[0]), (low, high), atol=1e-12)
    ratio_low, ratio_high = ratio_score(p1, n1, p2, n2, Z)
    assert ratio_low <= ratio_high
    if p1 and p2:
        assert ratio_low * (1 - 1e-9) <= p1 / p2 <= ratio_high * (1 + 1e-9)
        swapped = ratio_score(p2, n2, p1, n1, Z)
        np.testing.assert_allclose((1 / swapped[1], 1 / swapped[0]), (ratio_low, ratio_high), rtol=1e-6)
