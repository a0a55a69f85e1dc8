"""What images of units are worth, and the test by units, against simulation and plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.data.unit_totals import unit_totals
from audit.inference.clusters import TAIL, believed, half_sum_worth_by_units, unit_equality_test, worth


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
