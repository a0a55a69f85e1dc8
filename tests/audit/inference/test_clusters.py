"""What images of units are worth, and the test by units, against simulation and plain formulas."""

from __future__ import annotations

import importlib.util
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from audit.data.unit_totals import unit_totals
from audit.inference import clusters
from audit.inference.clusters import TAIL, believed, half_sum_worth_by_units, unit_equality_test, worth
from audit.inference.two_proportions import equality_z

UNLIKE = Path(__file__).parents[3] / "benchmarks" / "unlike_units.py"


def drawn(sizes, rates, together, n_each, rng, fake=False):
    """UnitTotals of beta-binomial units: sizes[g] units in group g."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    together = np.broadcast_to(together, len(sizes))[group]
    spread = (1 - together) / together
    rate = np.asarray(rates)[group]
    chance = rng.beta(rate * spread, (1 - rate) * spread)
    unit = np.repeat(np.arange(len(group)), n_each)
    wrong = rng.random(len(unit)) < chance[unit]
    return unit_totals(unit, group[unit], len(sizes), np.full(len(unit), fake), wrong, None)


def test_few_erring_units_are_believed_as_far_as_students_tail_reaches():
    found = believed(np.array([0, 1, 2, 3, 11, 10**6]))
    tails = stats.t.isf(TAIL, [1, 2, 10, 10**6 - 1])
    assert found == pytest.approx([0, 0, *(stats.norm.isf(TAIL) / tails) ** 2])


def test_single_images_are_worth_what_they_count():
    rng = np.random.default_rng(0)
    fake, wrong = rng.random(500) < 0.5, rng.random(500) < 0.2
    units = unit_totals(np.arange(500), np.arange(500) % 2, 2, fake, wrong, None)
    moments = units.moments()
    for name, place in (("fpr", 0), ("fnr", 2)):
        found = worth(moments, name)
        n = moments.images[:, place]
        assert np.isnan(found.correlation) and (found.n <= n).all() and found.n == pytest.approx(n, rel=0.01)
    assert worth(moments, "positive_rate").n == pytest.approx(moments.images[:, [0, 2]].sum(axis=1), rel=0.01)


def test_copies_are_worth_one_and_the_correlation_is_one():
    rng = np.random.default_rng(1)
    wrong = np.repeat(rng.random(200) < 0.3, 8)
    unit = np.repeat(np.arange(200), 8)
    units = unit_totals(unit, unit % 2, 2, np.zeros(1600, bool), wrong, None)
    found = worth(units.moments(), "fpr")
    assert found.correlation == pytest.approx(1, abs=0.02) and found.n == pytest.approx([100, 100], rel=0.03)


def test_the_worth_is_the_variance_over_many_audits():
    rng = np.random.default_rng(2)
    rates, worths = [], []
    for _ in range(300):
        found = worth(drawn([80], [0.15], 0.4, 10, rng).moments(), "fpr")
        rates.append(found.rate[0])
        worths.append(found.n[0])
    assert np.mean(worths) == pytest.approx(0.15 * 0.85 / np.var(rates), rel=0.2)


def test_equal_weights_change_nothing_and_unequal_ones_cost():
    rng = np.random.default_rng(3)
    wrong = rng.random(2000) < 0.2
    at = (np.arange(2000), np.zeros(2000, dtype=int), 1, np.zeros(2000, bool), wrong)
    even = worth(unit_totals(*at, np.full(2000, 1.0)).moments(), "fpr")
    assert even.n == pytest.approx([2000], rel=0.01) and even.rate == pytest.approx([wrong.mean()])
    weight = rng.choice([0.2, 1.8], 2000)
    found = worth(unit_totals(*at, weight).moments(), "fpr")
    kish = weight.sum() ** 2 / (weight**2).sum()
    assert found.rate == pytest.approx([np.average(wrong, weights=weight)])
    assert found.n == pytest.approx([kish], rel=0.1)


def test_without_errors_a_unit_counts_once():
    units = unit_totals(
        np.repeat(np.arange(40), 5), np.zeros(200, int), 1, np.zeros(200, bool), np.zeros(200, bool), None
    )
    found = worth(units.moments(), "fpr")
    assert found.n == pytest.approx([40]) and found.correlation == 1.0


def test_an_empty_group_is_worth_nothing():
    units = unit_totals(np.arange(50), np.zeros(50, int), 2, np.zeros(50, bool), np.arange(50) < 9, None)
    found = worth(units.moments(), "fpr")
    assert np.isnan(found.rate[1]) and found.n[1] == 0
    assert (half_sum_worth_by_units(units.moments()) == 0).all()


def rejected(n_sim, seed, *setting):
    rng = np.random.default_rng(seed)
    tests = [unit_equality_test(drawn(*setting, rng), "fpr", 199, rng) for _ in range(n_sim)]
    return np.mean([test.p_value <= 0.05 for test in tests])


@pytest.mark.parametrize(
    "setting",
    [
        ([60, 60], [0.1, 0.1], 0.4, 10),
        ([20] * 7, [0.05] * 7, 0.4, 10),
        ([200, 12, 12], [0.1] * 3, 0.3, 10),
        ([200, 40], [0.1, 0.1], [0.05, 0.6], 10),
        ([40] * 4, [0.01] * 4, 0.3, 10),
    ],
    ids=["two", "seven small", "one large", "unlike correlation", "rare"],
)
def test_the_size_of_the_test(setting):
    assert rejected(120, 4, *setting) <= 0.11


def test_the_power_is_that_of_permuting_person_means():
    """A gap of 4.2 points, 10 images a person; the exact test is a permutation of the persons' means."""
    rng, ours, exact = np.random.default_rng(5), 0, 0
    for _ in range(60):
        units = drawn([200, 200], [0.05, 0.092], 0.3, 10, rng)
        ours += unit_equality_test(units, "fpr", 499, rng).p_value <= 0.05
        means = units.values[:, 1] / units.values[:, 0]
        gap = abs(means[units.group == 0].mean() - means[units.group == 1].mean())
        shuffled = rng.permuted(np.tile(means, (499, 1)), axis=1)
        null = np.abs(shuffled[:, :200].mean(axis=1) - shuffled[:, 200:].mean(axis=1))
        exact += (null >= gap).mean() <= 0.05
    assert ours >= 0.9 * exact and exact > 30


def test_names_and_order_change_nothing():
    rng = np.random.default_rng(6)
    group = rng.integers(0, 3, 90)
    unit = np.repeat(np.arange(90), 4)
    wrong = rng.random(360) < 0.2
    zeros = np.zeros(360, bool)
    one = unit_totals(unit, group[unit], 3, zeros, wrong, None)
    other = unit_totals(89 - unit, (group[unit] + 1) % 3, 3, zeros, wrong, None)
    p = [unit_equality_test(t, "fpr", 500, np.random.default_rng(7)).p_value for t in (one, other)]
    assert p[0] == pytest.approx(p[1])


def test_units_dealt_by_kind_follow_the_exact_distribution():
    """Seven units of one kind and three of another in two groups of five: hypergeometric."""
    excess, images = np.repeat([-0.3, 0.7], [7, 3]), np.ones(10)
    n = 20_000
    found = clusters._dealt_by_kind(
        excess, images, np.array([0, 7]), np.array([5, 5]), n, np.random.default_rng(14)
    )
    seen, counts = np.unique(found.round(9), return_counts=True)
    share = stats.hypergeom(10, 3, 5).pmf([[1, 2], [0, 3]]).sum(axis=1)
    spread = (excess**2).mean()
    assert seen == pytest.approx(np.array([0.2, 0.6]) / np.sqrt(2 * spread / 5))
    assert stats.chisquare(counts, n * share).pvalue > 0.001


@pytest.mark.parametrize("sizes", [[2000, 1000], [3000, 1500, 600, 200]], ids=["two", "four"])
def test_many_units_are_dealt_by_kind_as_by_shuffling(sizes, monkeypatch):
    units = drawn(sizes, [0.1] * len(sizes), 0.3, 5, np.random.default_rng(15))
    found = unit_equality_test(units, "fpr", 4000, np.random.default_rng(16))
    asked = []
    monkeypatch.setattr(clusters, "_dealt_by_kind", lambda *given: asked.append(given) or np.zeros(1))
    unit_equality_test(units, "fpr", 4000, np.random.default_rng(16))
    ((excess, images, _, n_units, _, _),) = asked
    rng, of_unit = np.random.default_rng(17), np.repeat(np.arange(len(sizes)), n_units)
    null = []
    for _ in range(4000):
        order = rng.permutation(len(excess))
        weight = np.bincount(of_unit, weights=images[order])
        rate = np.bincount(of_unit, weights=excess[order]) / weight
        variance = (excess**2).mean() * n_units / weight**2
        null.append(max(abs(rate[g] - rate[h]) / np.sqrt(variance[g] + variance[h]) for g, h in pairs(sizes)))
    assert stats.ks_2samp(found.null, null).pvalue > 0.001
    assert stats.ks_2samp(found.null, np.multiply(null, 1.1)).pvalue < 0.001


@pytest.mark.parametrize(
    "setting",
    [([2000] + [50] * 6, 0.01, 1, 0.5), ([1500] + [32] * 20, 0.02, 5, 0.5)],
    ids=["pairs", "persons"],
)
def test_many_units_with_weights_of_their_own_are_not_called_unequal(setting, monkeypatch):
    spec = importlib.util.spec_from_file_location("unlike_units", UNLIKE)
    study = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(study)
    monkeypatch.setattr(clusters, "_dealt_by_kind", None)  # would be called if units were alike
    rng = np.random.default_rng(18)
    p = np.array(
        [unit_equality_test(study.drawn(*setting, rng), "fpr", 500, rng).p_value for _ in range(150)]
    )
    assert (p <= 0.05).mean() <= 0.05


def pairs(groups):
    return combinations(range(len(groups)), 2)


def test_nothing_to_test():
    units = drawn([30, 30], [0.2, 0.2], 0.2, 3, np.random.default_rng(8))
    rng = np.random.default_rng(0)
    assert np.isnan(unit_equality_test(units.take(np.array([0])), "fpr", 100, rng).p_value)
    none = unit_totals(np.arange(60), np.arange(60) % 2, 2, np.zeros(60, bool), np.zeros(60, bool), None)
    assert unit_equality_test(none, "fpr", 100, rng).p_value == 1.0


def uneven(sizes, rate, together, rng):
    """UnitTotals of two groups of equal rates, in each of which units have so many images."""
    each = np.tile(sizes, 2)
    chance = rng.beta(rate * (1 / together - 1), (1 - rate) * (1 / together - 1), len(each))
    unit = np.repeat(np.arange(len(each)), each)
    group = (unit >= len(sizes)).astype(np.int64)
    return unit_totals(unit, group, 2, np.zeros(len(unit), bool), rng.random(len(unit)) < chance[unit], None)


def test_a_unit_with_nearly_all_images_leaves_a_group_worth_hardly_more_than_one():
    rng, found = np.random.default_rng(4), []
    for _ in range(50):
        moments = uneven([1000] + [1] * 100, 0.2, 0.2, rng).moments()
        found += worth(moments, "fpr").n.tolist()
    assert moments.alike[:, 0] == pytest.approx(1100**2 / (1000**2 + 100)) and max(found) < 1.3


@pytest.mark.parametrize("sizes", [[1000] + [1] * 100, [2000, 2000] + [5] * 30, [2000, 2000] + [10] * 50])
def test_equal_groups_of_persons_with_unlike_numbers_of_images_are_not_told_apart(sizes):
    rng, rejected = np.random.default_rng(5), 0
    for _ in range(200):
        rejected += unit_equality_test(uneven(sizes, 0.2, 0.15, rng), "fpr", 200, rng).p_value < 0.05
    assert rejected <= 10


def test_units_of_one_size_count_as_they_are():
    rng = np.random.default_rng(6)
    moments = drawn([12, 30], [0.2, 0.2], 0.3, 7, rng).moments()
    assert moments.alike[:, 0].tolist() == [12, 30] == moments.units[:, 0].tolist()


def counted(groups, weight=None):
    """UnitTotals of real images: for each group a list of (images, of these flagged), one a unit."""
    rows = [
        (u, g, i < flagged)
        for g, units in enumerate(groups)
        for u, (images, flagged) in enumerate(units, 1000 * g)
        for i in range(images)
    ]
    unit, group, wrong = map(np.array, zip(*rows, strict=True))
    none = np.zeros(len(unit), bool)
    weights = None if weight is None else np.full(len(unit), float(weight))
    return unit_totals(unit, group, len(groups), none, wrong, weights)


def test_the_smallest_of_three_numbers_by_hand():
    """A: five of 20 persons always flagged; B: each of 100 persons flagged once in four images.

    Squares around the rate, x 20 / 19: A 60 x 20 / 19, B 0; images of A vary by 15, of B by 75.
    """
    found = worth(counted([[(4, 4)] * 5 + [(4, 0)] * 15, [(4, 1)] * 100]).moments(), "fpr")
    own = 60 * 20 / 19
    correlation = ((own - 15) / 15 - 1) / (3 + 3)  # both groups alike; by images it is below 0
    assert found.correlation == pytest.approx(correlation)
    assert found.rate.tolist() == [0.25, 0.25]
    assert found.n == pytest.approx([0.1875 * 80**2 / own, 400 / (1 + 3 * correlation)])


def test_the_own_variance_is_that_of_statsmodels_cut_by_students_tail():
    groups = [[(10, 4)] * 20 + [(10, 0)] * 20]
    for weight in (None, 3.0):
        found = worth(counted(groups, weight).moments(), "fpr")
        wrong = np.concatenate([np.arange(n) < k for n, k in groups[0]]).astype(float)
        fit = sm.OLS(wrong, np.ones(400)).fit(cov_type="cluster", cov_kwds={"groups": np.arange(400) // 10})
        believed_share = (stats.norm.isf(0.0025) / stats.t.isf(0.0025, 19)) ** 2
        assert found.n == pytest.approx([0.2 * 0.8 / fit.cov_params()[0, 0] * believed_share])
        assert found.correlation == pytest.approx((160 * 40 / 39 - 64) / (0.16 * 40 * 90))


def test_four_erring_units_tell_nothing_and_five_do():
    few, enough = (worth(counted([[(2, 1)] * n + [(2, 0)] * (60 - n)]).moments(), "fpr") for n in (4, 5))
    assert few.correlation == 1 and enough.correlation == 0
    assert few.n == pytest.approx([60])  # as if all images of a unit erred together


def test_rates_of_both_classes_count_what_they_say():
    """Ten reals of which two are flagged, 20 fakes of which five are missed, each its own unit."""
    fake, wrong = np.arange(30) >= 10, np.isin(np.arange(30), [0, 1, 10, 11, 12, 13, 14])
    moments = unit_totals(np.arange(30), np.zeros(30, int), 1, fake, wrong, None).moments()
    rates = {name: worth(moments, name).rate[0] for name in ("fpr", "fnr", "positive_rate", "error")}
    assert rates == pytest.approx({"fpr": 2 / 10, "fnr": 5 / 20, "positive_rate": 17 / 30, "error": 7 / 30})


@pytest.mark.parametrize("together", [True, False])
def test_half_of_fpr_plus_tpr_is_worth_what_its_influences_say(together):
    """Persons whose real images are flagged where their fakes are caught, or where these are missed."""
    rng = np.random.default_rng(9)
    unit, fake = np.repeat(np.arange(200), 4), np.tile([False, True, False, True], 200)
    suspicious = np.repeat(rng.random(200) < 0.3, 4)
    wrong = suspicious ^ (fake & together)
    moments = unit_totals(unit, np.zeros(800, int), 1, fake, wrong, None).moments()
    p, q = wrong[~fake].mean(), wrong[fake].mean()
    influence = np.where(fake, q - wrong, wrong - p) / (2 * 400)
    own = (np.bincount(unit, influence) ** 2).sum()
    n = {name: worth(moments, name).n[0] for name in ("fpr", "fnr")}
    apart = (p * (1 - p) / n["fpr"] + q * (1 - q) / n["fnr"]) / 4
    assert (own > apart) == together
    half = (p + 1 - q) / 2
    assert half_sum_worth_by_units(moments)[0] == pytest.approx(half * (1 - half) / max(own, apart))


def test_the_test_by_units_is_that_of_all_ways_to_deal_them(monkeypatch):
    """Nine persons with two images: two groups of six and three, 84 ways; and its normal limit."""
    flagged = [[0, 0, 1, 0, 1, 0], [2, 1, 2]]
    units = counted([[(2, n) for n in group] for group in flagged])
    test = unit_equality_test(units, "fpr", 20_000, np.random.default_rng(1))
    shares = np.concatenate(flagged) / 2
    spread, error = shares.var(), np.sqrt(1 / 6 + 1 / 3)

    def z(first):
        rest = np.setdiff1d(np.arange(9), first)
        return (shares[list(first)].mean() - shares[rest].mean()) / (np.sqrt(spread) * error)

    dealt = np.array([abs(z(one)) for one in combinations(range(9), 6)])
    seen = z(range(6))
    assert test.pooled == pytest.approx(7 / 18) and test.z[0, 1] == pytest.approx(seen) == -test.z[1, 0]
    assert len(test.null) == 20_000 and (np.diff(test.null) >= 0).all()
    for level in (0.5, 1.0, abs(seen) - 1e-9):
        assert (test.null >= level).mean() == pytest.approx((dealt >= level).mean(), abs=0.012)
    monkeypatch.setattr(clusters, "MOST_SHUFFLED", 8)
    limit = unit_equality_test(units, "fpr", 20_000, np.random.default_rng(1)).null
    assert [(limit > one).mean() for one in (1.0, 1.96)] == pytest.approx([0.317, 0.05], abs=0.01)


def test_the_p_value_is_never_below_that_of_the_widest_pair():
    units = counted([[(3, 3)] * 4 + [(3, 0)] * 40, [(3, 1)] * 30])
    found = worth(units.moments(), "fpr")
    test = unit_equality_test(units, "fpr", 999, np.random.default_rng(2))
    pair = abs(float(equality_z(found.rate[0], found.n[0], found.rate[1], found.n[1])))
    assert test.p_value >= 2 * stats.norm.sf(pair) * 0.999


def test_trials_between_speakers_are_tested_at_what_they_are_worth():
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 12, (2, 400))
    group = (first >= 6).astype(int)
    second = np.where(group == 1, 6 + second % 6, second % 6)
    second = np.where(first == second, (first + 1) % 6 + 6 * group, second)
    wrong = rng.random(400) < np.where(group == 1, 0.5, 0.1)
    units = unit_totals(first, group, 2, np.zeros(400, bool), wrong, None, second)
    found = worth(units.moments(), "fpr")
    test = unit_equality_test(units, "fpr", 20_000, rng)
    pair = float(equality_z(found.rate[0], found.n[0], found.rate[1], found.n[1]))
    assert test.p_value == pytest.approx(2 * stats.norm.sf(abs(pair)), rel=0.01)
    assert test.pooled == pytest.approx((found.rate * found.n).sum() / found.n.sum())
    assert (test.null > 1.96).mean() == pytest.approx(0.05, abs=0.01)


def test_persons_who_are_always_judged_wrongly_count_once_like_those_who_never_are():
    """Where no rate varies nothing is known of how images go together, whichever end it is at."""
    found = worth(counted([[(5, 5)] * 20, [(5, 5)] * 30]).moments(), "fpr")
    assert found.correlation == 1 and found.rate.tolist() == [1, 1]
    assert found.n == pytest.approx([20, 30])
    mixed = worth(counted([[(5, 5)] * 20, [(5, 0)] * 30]).moments(), "fpr")
    assert mixed.correlation == 1 and mixed.n == pytest.approx([20, 30])
