"""Two detectors on the same images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as oracle

from audit.inference.paired_tests import (
    auc_difference,
    gap_difference,
    joint_outcomes,
    mcnemar,
    rate_difference,
)
from audit.inference.proportion_intervals import wilson

Z = 1.959964


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar(b, c):
    table = [[10, b], [c, 5]]
    assert mcnemar(b, c) == pytest.approx(oracle(table, exact=True).pvalue)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200))
def test_rate_difference_holds_the_estimate_and_mirrors(b, c, same):
    n = b + c + same
    if n == 0:
        assert all(map(math.isnan, rate_difference(b, c, n, Z)))
        return
    low, high = rate_difference(b, c, n, Z)
    assert -1 <= low <= (b - c) / n <= high <= 1
    assert rate_difference(c, b, n, Z) == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.parametrize(("b", "c", "n"), [(0, 0, 10), (5, 5, 100), (9, 2, 50), (40, 0, 60)])
def test_rate_difference_inverts_the_score_test(b, c, n):
    """The statistic with a numerically maximised likelihood, on a grid around the limits (Tango 1998)."""
    low, high = rate_difference(b, c, n, Z)
    for difference in np.linspace(-0.5, 0.95, 30):
        grid = np.linspace(max(0, -difference), (1 - difference) / 2, 200_001)[1:-1]
        with np.errstate(divide="ignore"):
            likelihood = c * np.log(grid) + (n - b - c) * np.log1p(-difference - 2 * grid)
            likelihood += b * np.log(np.maximum(grid + difference, 1e-300)) if b else 0
        p21 = grid[np.argmax(likelihood)] if c or b else max(0, -difference)
        statistic = (b - c - n * difference) / math.sqrt(
            n * (2 * p21 + difference * (1 - difference)) + 1e-300
        )
        if abs(abs(statistic) - Z) > 0.02:
            assert (abs(statistic) < Z) == (low <= difference <= high)


@pytest.mark.parametrize("z", [Z, 0.1])
def test_without_disagreement_it_is_wilsons_limit(z):
    assert rate_difference(0, 0, 10, z)[1] == pytest.approx(float(wilson(0.0, 10, z)[1]), abs=1e-9)


def test_auc_difference():
    low, high, p = auc_difference(0.03, 0.0001, Z)
    assert (low, high) == pytest.approx((0.03 - Z * 0.01, 0.03 + Z * 0.01))
    assert p == pytest.approx(0.0027, abs=1e-4)
    assert auc_difference(0.0, 0.0, Z) == (0, 0, 1)
    assert math.isnan(auc_difference(0.1, 0.0, Z)[2])


def outcomes_of(first, second, group, k):
    return joint_outcomes(np.array(first, bool), np.array(second, bool), np.array(group), k)


def test_joint_outcomes():
    found = outcomes_of([1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1], 2)
    assert found.tolist() == [[[0, 1], [0, 1]], [[1, 0], [1, 0]]]


def random_outcomes(seed, p1, p2, n=800):
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(p1)), n)
    same = rng.random(len(group))
    return joint_outcomes(same < np.array(p1)[group], same < np.array(p2)[group], group, len(p1))


def test_gap_difference_finds_a_change_and_no_other():
    unfair = random_outcomes(0, [0.05, 0.05, 0.30], [0.05, 0.05, 0.05])
    found = gap_difference(unfair, 0.05, 2000, np.random.default_rng(0))
    assert found.first > 0.2 and found.second < 0.05
    assert found.interval[0] > 0.1 and found.p_value < 0.01
    same = random_outcomes(1, [0.05, 0.10, 0.20], [0.05, 0.10, 0.20])
    none = gap_difference(same, 0.05, 2000, np.random.default_rng(0))
    assert none.first == none.second and none.interval[0] < 0 < none.interval[1] and none.p_value > 0.5


def test_gap_difference_mirrors_and_ignores_order():
    outcomes = random_outcomes(2, [0.05, 0.1, 0.2], [0.1, 0.1, 0.1])
    found = gap_difference(outcomes, 0.05, 2000, np.random.default_rng(0))
    mixed = gap_difference(outcomes[[2, 0, 1]], 0.05, 2000, np.random.default_rng(0))
    assert found == mixed
    swapped = gap_difference(outcomes.transpose(0, 2, 1), 0.05, 2000, np.random.default_rng(0))
    assert (swapped.first, swapped.second) == (found.second, found.first)
    assert swapped.interval == pytest.approx((-found.interval[1], -found.interval[0]), abs=0.01)


def test_gap_difference_in_blocks_is_the_same(monkeypatch):
    outcomes = random_outcomes(3, [0.05, 0.1, 0.2], [0.1, 0.1, 0.1])
    whole = gap_difference(outcomes, 0.05, 2500, np.random.default_rng(0))
    monkeypatch.setattr("audit.inference.paired_tests.BLOCK", 700)
    assert gap_difference(outcomes, 0.05, 2500, np.random.default_rng(0)) == whole


def test_in_a_large_family_a_small_p_value_must_be_earned():
    """A group of 40 without an error by luck: its own deviations are far too small to be believed."""
    outcomes = np.array([[[40, 0], [0, 0]], [[330, 40], [8, 2]]])
    alone = gap_difference(outcomes, 0.05, 20_000, np.random.default_rng(0))
    member = gap_difference(outcomes, 0.05, 20_000, np.random.default_rng(0), n_tests=90)
    assert alone.interval == member.interval
    assert 3 * alone.p_value < member.p_value <= 0.05
