"""The max-|z| test: exact where it can be enumerated, invariant, and honest with nothing to test."""

from __future__ import annotations

import math
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import studentized_range
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import power_proportions_2indep, proportions_ztest

from audit.inference.equality_test import (
    detectable_gap,
    equality_test,
    holm,
    images_for_gap,
    max_abs_z,
    range_critical,
    smoothed,
)


def rng():
    return np.random.default_rng(7)


def test_two_groups_are_the_pooled_z_test():
    k, n = np.array([30, 60]), np.array([400, 500])
    test = equality_test(k, n, 200_000, rng())
    z, p = proportions_ztest(k, n)
    assert test.z[0, 1] == pytest.approx(z)
    assert test.p_value == pytest.approx(p, abs=0.002)


def test_p_value_is_the_enumerated_one():
    """Every table with these margins, weighted by its multivariate hypergeometric probability; mid-p."""
    k, n = np.array([0, 4, 2]), np.array([5, 6, 9])
    variance = 0.3 * 0.7 / n
    observed = max_abs_z(k[None] / n, variance)[0]
    above = ties = 0.0
    for table in product(*(range(size + 1) for size in n)):
        if sum(table) == 6:
            weight = math.prod(comb(size, hits) for size, hits in zip(n.tolist(), table, strict=True))
            z = max_abs_z(np.array(table)[None] / n, variance)[0]
            above += weight * (z > observed + 1e-9)
            ties += weight * (abs(z - observed) <= 1e-9)
    exact = (above + ties / 2) / comb(20, 6)
    assert equality_test(k, n, 200_000, rng()).p_value == pytest.approx(exact, abs=0.003)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(30, 200)), min_size=2, max_size=6), st.randoms())
def test_order_of_groups_changes_nothing(groups, shuffle):
    k, n = np.array(groups).T
    order = np.array(shuffle.sample(range(len(n)), len(n)))
    first = equality_test(k, n, 200, rng())
    second = equality_test(k[order], n[order], 200, rng())
    assert first.p_value == second.p_value
    assert first.critical(0.05) == second.critical(0.05)


def test_largest_z_over_pairs():
    rates, variance = np.array([[0.1, 0.2, 0.6], [0.3, 0.3, 0.3]]), np.array([0.01, 0.03, 0.02])
    assert max_abs_z(rates, variance) == pytest.approx([0.5 / math.sqrt(0.03), 0.0])


def test_no_errors_are_no_evidence():
    test = equality_test(np.array([0, 0]), np.array([50, 60]), 500, rng())
    assert test.p_value == 1.0
    assert test.critical(0.05) == pytest.approx(1.96, abs=0.001)


def test_one_group_has_nothing_to_be_compared_with():
    assert math.isnan(equality_test(np.array([3]), np.array([50]), 500, rng()).p_value)


def test_critical_value_approaches_the_studentised_range():
    n = np.full(5, 2000)
    found = equality_test(np.full(5, 600), n, 20_000, rng()).critical(0.05)
    normal = studentized_range.ppf(0.95, 5, np.inf) / math.sqrt(2)
    assert range_critical(5, 0.05) == pytest.approx(normal)
    assert found == pytest.approx(normal, rel=0.02)


def test_holm():
    p = [0.001, 0.04, 0.03, 0.2, 0.012]
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    assert holm([]) == []


def test_detectable_gap_is_the_power_calculation():
    for rate, n in ((0.1, [500, 500]), (0.04, [700, 2100])):
        gap = detectable_gap(rate, np.array(n), 1.959964)
        found = power_proportions_2indep(gap, rate, n[0], ratio=n[1] / n[0], alpha=0.05)
        assert found.power == pytest.approx(0.8, abs=2e-3)


def test_images_for_a_gap_are_the_power_calculation_at_a_common_rate():
    n = images_for_gap(0.1, 0.05, 1.959964)
    effect = 0.05 / math.sqrt(0.1 * 0.9)
    assert NormalIndPower().power(effect, n, 0.05) == pytest.approx(0.8, abs=1e-3)


def test_detectable_gap_is_that_of_the_smallest_groups():
    assert detectable_gap(0.1, np.array([9000, 40, 50]), 2.5) == detectable_gap(0.1, np.array([40, 50]), 2.5)
    assert math.isnan(detectable_gap(0.1, np.array([50]), 2.5))
    assert detectable_gap(0.5, np.array([1, 1]), 2.5) == 1.0


def test_smoothing_never_reaches_zero():
    assert smoothed(0.0, 0) == 0.5 and 0 < smoothed(0.0, 1000) < 0.01


@pytest.mark.parametrize(("k", "n"), [([0, 0], [400, 400]), ([40, 40], [400, 400]), ([5, 5, 5], [5, 5, 5])])
def test_groups_of_one_and_the_same_rate_have_a_p_value_of_one(k, n):
    """A gap at least as large as none is certain, also where half of the ties count."""
    assert equality_test(np.array(k), np.array(n), 500, rng()).p_value == 1.0
