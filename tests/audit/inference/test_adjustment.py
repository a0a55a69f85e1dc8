"""The pooled difference against hand calculation, a published example, statsmodels and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import StratifiedTable

from audit.inference.adjustment import risk_difference

UGDP = ([[8, 5], [22, 16]], [[106, 120], [98, 85]])
"""Deaths under tolbutamide and placebo by age: Rothman, Greenland and Lash 2008, table 15-1."""


def test_by_hand():
    # Strata of 10 + 10 and 30 + 10 images: weights 5 and 7.5, gaps 4/10 - 2/10 and 9/30 - 1/10.
    value, variance = risk_difference([[4, 2], [9, 1]], [[10, 10], [30, 10]])
    assert value == pytest.approx((5 * 0.2 + 7.5 * 0.2) / 12.5)
    p = (100 * 2 - 100 * 4 + 0) / 400 + (900 * 1 - 100 * 9 + 300 * (10 - 30) / 2) / 1600
    q = (4 * 8 + 2 * 6) / 40 + (9 * 9 + 1 * 21) / 80
    assert variance == pytest.approx((0.2 * p + q) / 12.5**2)


def test_the_published_example():
    value, variance = risk_difference(*UGDP)
    low, high = (value + z * math.sqrt(variance) for z in (-1.644854, 1.644854))
    assert [round(float(x), 4) for x in (value, low, high)] == [0.0349, -0.0176, 0.0874]


def test_one_balanced_stratum_is_the_plain_difference():
    value, variance = risk_difference([[30, 12]], [[100, 100]])
    assert value == pytest.approx(0.18)
    assert variance == pytest.approx(0.3 * 0.7 / 100 + 0.12 * 0.88 / 100)


def strata(rng, k=6):
    images = rng.integers(20, 200, (k, 2))
    return rng.binomial(images, rng.uniform(0.05, 0.5, (k, 1)) + np.array([0.08, 0])), images


def two_by_two(errors, images):
    """Rows: the groups; columns: wrong, right; then the strata."""
    return StratifiedTable(np.stack([errors.T, (images - errors).T], axis=1).astype(float))


def test_the_pooled_ratio_of_statsmodels_is_the_same_numerator():
    # RD sum(n1 n0 / N) = (RR - 1) sum(b n1 / N), since both pool a n0 / N and b n1 / N.
    for seed in range(5):
        errors, images = strata(np.random.default_rng(seed))
        ratio = two_by_two(errors, images).riskratio_pooled
        total = images.sum(axis=1)
        base = (errors[:, 1] * images[:, 0] / total).sum()
        weight = (images.prod(axis=1) / total).sum()
        assert risk_difference(errors, images)[0] == pytest.approx((ratio - 1) * base / weight)


def test_under_equality_it_agrees_with_the_cochran_mantel_haenszel_test():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        images = rng.integers(100, 300, (8, 2))
        errors = rng.binomial(images, rng.uniform(0.1, 0.4, (8, 1)))
        oracle = two_by_two(errors, images).test_null_odds(correction=False).statistic
        value, variance = risk_difference(errors, images)
        assert value**2 / variance == pytest.approx(oracle, rel=0.05, abs=0.02)


def test_empty_and_one_sided_strata_take_no_part():
    errors, images = strata(np.random.default_rng(1))
    more_errors = [*errors, [0, 0], [7, 0], [0, 9]]
    more_images = [*images, [0, 0], [9, 0], [0, 9]]
    assert np.allclose(risk_difference(errors, images), risk_difference(more_errors, more_images))


def test_nothing_in_common_is_undefined():
    value, variance = risk_difference([[3, 0], [0, 2]], [[9, 0], [0, 9]])
    assert math.isnan(value) and math.isnan(variance)


def test_swapping_the_groups_turns_the_sign():
    errors, images = strata(np.random.default_rng(2))
    value, variance = risk_difference(errors, images)
    swapped = risk_difference(errors[:, ::-1], images[:, ::-1])
    assert swapped == (pytest.approx(-value), pytest.approx(variance))


@pytest.mark.parametrize("gap", [0.0, 0.12])
def test_coverage_where_the_strata_differ_and_the_groups_are_spread_unequally(gap):
    images = np.array([[200, 40], [150, 60], [100, 100], [60, 150], [40, 200]])
    base = np.array([[0.4], [0.3], [0.2], [0.1], [0.05]])
    errors = np.random.default_rng(7).binomial(images, base + np.array([gap, 0]), size=(20_000, 5, 2))
    value, variance = risk_difference(errors, images)
    crude = np.subtract(*(errors.sum(axis=1) / images.sum(axis=0)).T)
    assert crude.mean() - gap > 0.1, "the raw gap is mostly the strata's"
    assert value.mean() == pytest.approx(gap, abs=0.002)
    assert 0.94 <= (abs(value - gap) <= 1.96 * np.sqrt(variance)).mean() <= 0.96
