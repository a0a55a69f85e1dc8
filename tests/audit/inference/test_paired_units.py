"""Two detectors on images that share units or carry weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binom, norm, permutation_test

from audit.data.unit_totals import unit_totals
from audit.inference.clusters import believed, worth
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


def clustered(n_units, each, seed):
    """Two detectors that disagree on whole units: the first is wrong on them alone, or the second."""
    rng = np.random.default_rng(seed)
    way = np.repeat(rng.choice(3, n_units, p=[0.6, 0.3, 0.1]), each)
    both, keep = rng.random(n_units * each) < 0.1, rng.random(n_units * each) < 0.8
    return both | ((way == 1) & keep), both | ((way == 2) & keep), np.repeat(np.arange(n_units), each)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_difference_is_worth_what_statsmodels_variance_by_units_says(weighted):
    """... or what the disagreements are worth, where that is less."""
    first, second, unit = clustered(60, 5, 1)
    weight = np.repeat(np.random.default_rng(2).uniform(0.5, 2, 60), 5) if weighted else None
    group = np.zeros(300, int)
    found = paired_outcomes(first, second, group, 1, unit, weight)
    w = np.ones(300) if weight is None else weight
    apart = first.astype(float) - second
    fit = sm.WLS(apart, np.ones(300), weights=w).fit(
        cov_type="cluster", cov_kwds={"groups": unit, "use_correction": False}
    )
    of_unit = np.bincount(unit, w)
    n_units = of_unit.sum() ** 2 / (of_unit**2).sum()
    mean = np.average(apart, weights=w)
    spread = np.average((apart - mean) ** 2, weights=w)
    own = spread / (fit.cov_params()[0, 0] * n_units / (n_units - 1))
    of_images = {}
    for name, wrong in (("first", first), ("second", second), ("apart", first != second)):
        of_images[name] = worth(
            unit_totals(unit, group, 1, np.zeros(300, bool), wrong, weight).moments(), "fpr"
        )
    n = {name: float(one.n[0]) for name, one in of_images.items()}
    assert found.worth == pytest.approx([min(own, n["apart"])])
    assert found.worth_of_rates == pytest.approx([min(n["first"], n["second"])])
    assert found.n_units == pytest.approx([n_units])
    names = [(False, False), (False, True), (True, False), (True, True)]
    shares = [np.average((first == a) & (second == b), weights=w) for a, b in names]
    assert found.shares.reshape(-1) == pytest.approx(shares)
    assert found.images.reshape(-1).tolist() == [((first == a) & (second == b)).sum() for a, b in names]


def test_opposite_disagreements_within_units_do_not_make_a_difference_certain():
    """In each unit one image is wrong for either detector alone: the difference shows no variance at all."""
    first, second = np.tile([True, False, False, False], 40), np.tile([False, True, False, False], 40)
    found = paired_outcomes(first, second, np.zeros(160, int), 1, np.repeat(np.arange(40), 4), None)
    moments = unit_totals(
        np.repeat(np.arange(40), 4), np.zeros(160, int), 1, np.zeros(160, bool), first | second, None
    ).moments()
    assert found.worth == pytest.approx(worth(moments, "fpr").n) and found.p_value == [1.0]


def test_groups_as_whole_independent_images():
    first, second, group = images(5)
    plain = paired_images(first, second, group, 2)
    assert (plain.of_rates(np.array([False, True])) == plain.images[1:]).all()
    half = replace(plain, worth_of_rates=np.array([10.7, 0.3]))
    assert half.of_rates(np.array([True, True])) == pytest.approx(
        half.shares * np.array([10, 1])[:, None, None]
    )


def test_trials_of_two_speakers_have_the_normal_limit_at_what_they_are_worth():
    rng = np.random.default_rng(6)
    a = rng.integers(0, 30, 900)
    b = np.where(rng.random(900) < 0.2, a, rng.integers(0, 30, 900))
    speaker = rng.random(30) < 0.3
    first = (speaker[a] | speaker[b]) & (rng.random(900) < 0.5)
    second = rng.random(900) < 0.1
    group = np.zeros(900, int)
    found = paired_outcomes(first, second, group, 2, a, None, b)
    apart = first.astype(float) - second
    rest = apart - apart.mean()
    sharing = np.logical_or.reduce([x[:, None] == y[None, :] for x in (a, b) for y in (a, b)])
    of_unit = np.bincount(a, rest) + np.bincount(b[a != b], rest[a != b], minlength=30)
    square = rest @ sharing @ rest
    erring = min(square**2 / (of_unit**4).sum(), 30) / 2
    own = apart.var() * 900**2 / (square * 15 / 14) * float(believed(erring))
    totals = unit_totals(a, group, 1, np.zeros(900, bool), first != second, None, b)
    n = min(own, float(worth(totals.moments(), "fpr").n[0]))
    assert found.worth[0] == pytest.approx(n)
    z = abs(apart.mean()) * np.sqrt(n / (first != second).mean())
    assert found.p_value[0] == pytest.approx(2 * norm.sf(z)) and np.isnan(found.p_value[1])
    assert found.n_units.tolist() == [30, 0] and found.images[0].sum() == 900


def test_a_long_sum_of_whole_units_is_still_exact():
    """3,000 units of one image and one of 100: the tail is that of scipy's binomial, shifted by the 100."""
    apart = np.r_[np.ones(1_600), -np.ones(1_400), [100.0]]
    seen = 300
    tail = [binom.sf(np.ceil((3_000 + seen + one) / 2) - 1, 3_000, 0.5) for one in (-100, 100)]
    assert sign_test(apart) == pytest.approx(np.sum(tail), rel=1e-6)


def test_sixteen_weights_have_every_sign_tried_and_seventeen_the_normal_limit():
    sizes = np.full(16, 1.5)
    assert sign_test(sizes) == pytest.approx(2 / 2**16, rel=1e-9)
    assert sign_test(np.full(17, 1.5)) == pytest.approx(2 * norm.sf(np.sqrt(17)), rel=1e-9)
    assert sign_test(np.zeros(4)) == 1.0


def test_a_group_of_one_image_has_its_share():
    found = paired_outcomes(
        np.array([True, False]), np.array([False, False]), np.array([0, 1]), 2, np.arange(2), None
    )
    assert found.shares[:, 1, 0].tolist() == [1, 0] and found.shares[:, 0, 0].tolist() == [0, 1]
    assert found.p_value.tolist() == [1, 1] and found.n_units.tolist() == [1, 1]
