"""The skewness-corrected score test of two proportions: against scipy's likelihood and exact tails."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import binom, hypergeom, norm

from audit.inference.two_proportions import (
    difference_limits,
    difference_z,
    equality_z,
    extreme_limit,
    ratio_limits,
    ratio_z,
)

Z = norm.isf(0.025)
TABLES = [(7, 34, 1, 34), (5, 56, 0, 29), (20, 2000, 3, 60), (36, 40, 16, 80), (2, 60, 40, 20_000)]


def oracle(supposed, compare, k1, n1, k2, n2):
    """The deviate from rates that scipy's optimiser finds most likely, and scipy's moments of a binomial.

    Not from statsmodels' score test: its rates for a difference are not the most likely ones (version 0.14).
    """
    weight = 1.0 if compare == "diff" else supposed
    shift = supposed if compare == "diff" else 0.0
    least, most = max(0.0, -shift), min(1.0, (1 - shift) / weight)

    def unlikely(q):
        return -binom.logpmf(k1, n1, np.clip(shift + weight * q, 0, 1)) - binom.logpmf(k2, n2, q)

    q2 = minimize_scalar(unlikely, bounds=(least, most), method="bounded", options={"xatol": 1e-12}).x
    q1 = shift + weight * q2
    third = sum(
        sign * w**3 * (binom.stats(n, q, moments="s") * binom.std(n, q) ** 3) / n**3
        for sign, w, n, q in ((1, 1.0, n1, q1), (-1, weight, n2, q2))
    )
    variance = sum(w**2 * q * (1 - q) / n for w, n, q in ((1.0, n1, q1), (weight, n2, q2)))
    variance *= (n1 + n2) / (n1 + n2 - 1)
    skew = third / variance**1.5
    statistic = (k1 / n1 - weight * k2 / n2 - shift) / variance**0.5
    low = -40.0 if skew <= 0 else max(-40.0, -3 / skew)  # beyond its turning point the expansion runs back
    high = 40.0 if skew >= 0 else min(40.0, -3 / skew)
    return brentq(lambda z: z + skew * (z * z - 1) / 6 - statistic, low, high)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("supposed", [-0.05, 0.02, 0.3])
def test_the_difference_is_the_score_test_with_its_skewness_removed(table, supposed):
    k1, n1, k2, n2 = table
    found = float(difference_z(supposed, k1 / n1, n1, k2 / n2, n2))
    assert found == pytest.approx(oracle(supposed, "diff", *table), abs=1e-4)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("supposed", [0.3, 1.5, 4.0])
def test_so_is_the_ratio(table, supposed):
    k1, n1, k2, n2 = table
    found = float(ratio_z(supposed, k1 / n1, n1, k2 / n2, n2))
    assert found == pytest.approx(oracle(supposed, "ratio", *table), abs=1e-4)


@pytest.mark.parametrize(
    ("k1", "n1", "k2", "n2"),
    [
        (2, 60, 40, 20_000),
        (3, 60, 40, 20_000),
        (4, 60, 40, 20_000),
        (9, 300, 30, 5_000),
        (60, 1000, 30, 1000),
    ],
)
def test_the_tail_is_never_far_below_fishers_mid_p(k1, n1, k2, n2):
    """Where a plain score test's is a million times too small, this one errs to the safe side."""
    law = hypergeom(n1 + n2, k1 + k2, n1)
    exact = law.sf(k1) + law.pmf(k1) / 2
    found = norm.sf(equality_z(k1 / n1, n1, k2 / n2, n2))
    assert 0.8 < found / exact < 10


def test_intervals_hold_what_the_test_does_not_reject():
    p1, n1, p2, n2 = 9 / 300, 300, 30 / 5_000, 5_000
    low, high = difference_limits(p1, n1, p2, n2, Z)
    assert difference_z(low, p1, n1, p2, n2) == pytest.approx(Z, abs=1e-6)
    assert difference_z(high, p1, n1, p2, n2) == pytest.approx(-Z, abs=1e-6)
    low, high = ratio_limits(p1, n1, p2, n2, Z)
    assert ratio_z(low, p1, n1, p2, n2) == pytest.approx(Z, abs=1e-6)
    assert ratio_z(high, p1, n1, p2, n2) == pytest.approx(-Z, abs=1e-6)


counts = st.tuples(st.integers(10, 3000), st.floats(0, 1)).map(lambda t: (round(t[0] * t[1]), t[0]))


@settings(max_examples=60, deadline=None)
@given(counts, counts, st.floats(1.3, 4.5))
def test_test_and_both_intervals_agree_and_swap(first, second, z):
    (k1, n1), (k2, n2) = first, second
    pair, back = (k1 / n1, n1, k2 / n2, n2), (k2 / n2, n2, k1 / n1, n1)
    deviate = float(equality_z(*pair))
    assert deviate == pytest.approx(-float(equality_z(*back)), abs=1e-9)
    low, high = difference_limits(*pair, z)
    times_low, times_high = ratio_limits(*pair, z)
    assert -1 <= low <= k1 / n1 - k2 / n2 + 1e-12 and k1 / n1 - k2 / n2 - 1e-12 <= high <= 1
    if abs(abs(deviate) - z) > 1e-3:
        assert (deviate > z) == (low > 0) == (times_low > 1)
        assert (deviate < -z) == (high < 0) == (times_high < 1)
    swapped = difference_limits(*back, z)
    assert (low, high) == (pytest.approx(-swapped[1], abs=1e-7), pytest.approx(-swapped[0], abs=1e-7))


def test_zero_errors_are_no_certainty():
    assert equality_z(0, 40, 0, 3000) == 0 and equality_z(1, 40, 1, 30) == 0
    low, high = difference_limits(0, 40, 0, 3000, Z)
    assert low < 0 < high < 0.1
    assert ratio_limits(0, 40, 0, 50, Z) == (0.0, math.inf)
    assert np.isnan(difference_limits(np.nan, 0, 0.1, 50, Z)).all()
    assert np.isnan(ratio_limits(0.1, 50, np.nan, 0, Z)).all()


@pytest.mark.parametrize("z", [Z, 4.0])
def test_the_extreme_limit_of_many_pairs_is_found_without_finding_all(z):
    rng = np.random.default_rng(1)
    n1, n2 = rng.integers(30, 3000, (2, 300)).astype(float)
    p1, p2 = rng.binomial(n1.astype(int), 0.1) / n1, rng.binomial(n2.astype(int), 0.08) / n2
    pairs = (p1, n1, p2, n2)
    low, high = difference_limits(*pairs, z)
    assert extreme_limit("difference", *pairs, z, smallest=False) == pytest.approx(low.max(), abs=1e-9)
    assert extreme_limit("difference", *pairs, z, smallest=True) == pytest.approx(low.min(), abs=1e-9)
    assert extreme_limit("difference", *pairs, -z, smallest=False) == pytest.approx(high.max(), abs=1e-9)
    low, high = ratio_limits(*pairs, z)
    assert extreme_limit("ratio", *pairs, z, smallest=True) == pytest.approx(low.min(), rel=1e-9)
    assert extreme_limit("ratio", *pairs, -z, smallest=False) == pytest.approx(high.max(), rel=1e-9)
    assert extreme_limit("ratio", *pairs, -z, smallest=True) == pytest.approx(high.min(), rel=1e-9)


def test_a_group_without_errors_sets_no_limit_to_the_ratio():
    one = [np.array(values, float) for values in ([0.1, 0.2], [40, 40], [0.0, 0.1], [50, 50])]
    assert extreme_limit("ratio", *one, -Z, smallest=False) == math.inf
    low, high = ratio_limits(*one, Z)
    assert extreme_limit("ratio", *one, -Z, smallest=True) == pytest.approx(high[1], rel=1e-9)
    assert extreme_limit("ratio", *one, Z, smallest=True) == pytest.approx(low.min(), rel=1e-9)


def test_a_limit_at_the_end_is_the_end():
    low, high = difference_limits([6 / 7, 1 / 7], 7, [1 / 7, 6 / 7], 7, 6.0)
    assert (low[1], high[0]) == (-1, 1)
    ends = [np.array([p]) for p in (6 / 7, 7.0, 1 / 7, 7.0)]
    assert extreme_limit("difference", *ends, -6.0, False) == 1
