"""Changes of decision: permutation against SciPy's, intervals against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.inference.damage_test import GroupChanges, pair_differences, permutation_p


def test_the_p_value_is_close_to_scipys_permutation_test():
    rng = np.random.default_rng(2)
    first, second = rng.choice([0.0, 0.2, 1.0], 80, p=[0.7, 0.2, 0.1]), rng.choice([0.0, 0.2, 1.0], 120)
    changes = GroupChanges.of(np.r_[first, second], np.r_[np.zeros(80), np.ones(120)].astype(np.int32), 2)
    p = permutation_p(changes, 0, 1, 20_000, rng)
    oracle = stats.permutation_test(
        (first, second), lambda x, y: np.mean(x) - np.mean(y), n_resamples=5_000, random_state=1
    ).pvalue
    assert p == pytest.approx(oracle, abs=0.01)


def test_without_any_change_nothing_is_proven_and_limits_are_wide():
    changes = GroupChanges.of(np.zeros(60), np.repeat([0, 1], 30).astype(np.int32), 2)
    (pair,) = pair_differences(changes, 0.05, 1, np.random.default_rng(0))
    assert pair.p_value == 1.0 and pair.difference == 0
    assert pair.high > 3 / 30  # the rule of three for one group alone


def test_photos_of_a_person_that_change_together_tell_as_much_as_one():
    rng = np.random.default_rng(4)
    change, group = rng.choice([0.0, 0.4, 1.0], 50), np.repeat([0, 1], [20, 30]).astype(np.int32)
    alone = GroupChanges.of(change, group, 2)
    unit = np.repeat(np.arange(50), 7)
    shared = GroupChanges.of(np.repeat(change, 7), np.repeat(group, 7), 2, unit)
    assert shared.images.tolist() == [140, 210]
    np.testing.assert_allclose(shared.means, alone.means)
    np.testing.assert_allclose(shared.errors, alone.errors)
    one, two = (pair_differences(part, 0.05, 3, np.random.default_rng(1)) for part in (alone, shared))
    assert [pair.p_value for pair in one] == [pair.p_value for pair in two]


def test_means_are_of_all_images_and_errors_of_units():
    change, unit = np.array([1.0, 1, 1, 0, 0, 0, 1]), np.array([0, 0, 0, 1, 2, 2, 2])
    found = GroupChanges.of(change, np.zeros(7, dtype=np.int32), 1, unit)
    mean = 4 / 7
    rest = (3 - 3 * mean) ** 2 + (0 - mean) ** 2 + (1 - 3 * mean) ** 2
    assert found.means == pytest.approx([mean])
    assert found.errors == pytest.approx([np.sqrt(rest + 2 * ((9 + 1 + 9) / 7) ** 2) / 7])


def test_a_unit_in_two_groups_counts_in_each():
    found = GroupChanges.of(
        np.ones(4), np.array([0, 0, 1, 1], dtype=np.int32), 2, np.zeros(4, dtype=np.int64)
    )
    assert found.counts.sum(axis=1).tolist() == [1, 1] and found.images.tolist() == [2, 2]


def test_units_of_unlike_size_need_an_interval_that_excludes_0_as_well():
    """Three of 15 persons with many photos are harmed; of 300 with one, one in fifty."""
    photos = np.r_[np.ones(300), np.tile([6, 11, 16, 33, 49], 3)].astype(int)
    hit = np.r_[np.arange(300) % 50 == 0, np.arange(15) % 5 == 4]
    unit = np.repeat(np.arange(315), photos)
    found = GroupChanges.of(hit[unit] * 0.6, (unit >= 300).astype(np.int32), 2, unit)
    (pair,) = pair_differences(found, 0.05, 1, np.random.default_rng(0))
    assert permutation_p(found, 1, 0, 20_000, np.random.default_rng(0)) < 0.05 < pair.p_value
    assert pair.low < 0 < pair.high


@pytest.mark.parametrize(("n", "share"), [((50, 50), 0.1), ((1000, 40), 0.02), ((300, 300), 0.3)])
def test_intervals_hold_the_truth(n, share):
    rng, held = np.random.default_rng(3), 0
    for _ in range(400):
        change = (rng.random(sum(n)) < share).astype(float)
        changes = GroupChanges.of(change, np.repeat([0, 1], n).astype(np.int32), 2)
        means, errors = changes.means, changes.errors
        reach = 1.96 * np.hypot(*errors)
        held += abs(means[0] - means[1]) <= reach
    assert held >= 0.93 * 400
