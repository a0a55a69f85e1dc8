"""Two detectors on images that share units or carry weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import permutation_test

from audit.inference.paired_tests import mcnemar
from audit.inference.paired_units import paired_images, paired_outcomes, sign_test


def test_ones_are_mcnemar():
    for only_first, only_second in ((0, 0), (3, 0), (9, 2), (40, 41), (200, 150)):
        apart = np.r_[np.ones(only_first), -np.ones(only_second), np.zeros(7)]
        assert sign_test(apart) == pytest.approx(mcnemar(only_first, only_second))


def test_against_scipys_permutations():
    rng = np.random.default_rng(0)
    for apart in (rng.integers(-4, 5, 11).astype(float), rng.normal(0.4, 1, 11)):
        theirs = permutation_test(
            (apart, np.zeros(11)), lambda a, b: (a - b).sum(), permutation_type="samples", n_resamples=np.inf
        )
        assert sign_test(apart) == pytest.approx(theirs.pvalue)


def test_many_sums_of_weights_have_their_normal_limit():
    rng = np.random.default_rng(1)
    apart = rng.normal(0.1, 1, 300)
    drawn = np.abs(rng.choice([-1.0, 1.0], (40_000, 300)) @ np.abs(apart))
    assert sign_test(apart) == pytest.approx((drawn >= abs(apart.sum())).mean(), abs=0.01)


def images(seed, n=400):
    rng = np.random.default_rng(seed)
    return rng.random(n) < 0.2, rng.random(n) < 0.15, rng.integers(0, 2, n)


def test_units_of_one_image_are_images():
    first, second, group = images(2)
    plain = paired_images(first, second, group, 2)
    units = paired_outcomes(first, second, group, 2, np.arange(400), None)
    assert (units.images == plain.images).all()
    assert units.p_value == pytest.approx(plain.p_value)
    assert units.worth == pytest.approx(plain.worth, rel=0.01)


def test_copies_in_one_unit_are_one_image():
    first, second, group = images(3)
    once = paired_images(first, second, group, 2)
    ten = paired_outcomes(
        *(np.repeat(one, 10) for one in (first, second, group)), 2, np.arange(4000) // 10, None
    )
    assert ten.p_value == pytest.approx(once.p_value)
    assert (ten.worth <= once.worth * 1.01).all()
    assert (ten.worth >= once.worth * 0.7).all()
    assert ten.shares == pytest.approx(once.shares)


def test_weights_make_shares_and_cost_images():
    first, second, group = images(4)
    weight = np.where(np.arange(400) % 2, 0.2, 1.8)
    found = paired_outcomes(first, second, group, 2, np.arange(400), weight)
    of = group == 1
    assert found.shares[1, 1, 0] == pytest.approx(np.average((first & ~second)[of], weights=weight[of]))
    assert (found.worth < found.images.sum(axis=(1, 2))).all()


def test_a_group_without_images():
    found = paired_outcomes(*(np.zeros(3, bool),) * 2, np.zeros(3, int), 2, np.arange(3), None)
    assert np.isnan(found.p_value[1]) and found.p_value[0] == 1
    assert found.n_units.tolist() == [3, 0]
