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
    p = permutation_p(changes.values, *changes.counts, 20_000, rng)
    oracle = stats.permutation_test(
        (first, second), lambda x, y: np.mean(x) - np.mean(y), n_resamples=5_000, random_state=1
    ).pvalue
    assert p == pytest.approx(oracle, abs=0.01)


def test_without_any_change_nothing_is_proven_and_limits_are_wide():
    changes = GroupChanges.of(np.zeros(60), np.repeat([0, 1], 30).astype(np.int32), 2)
    (pair,) = pair_differences(changes, 0.05, 1, np.random.default_rng(0))
    assert pair.p_value == 1.0 and pair.difference == 0
    assert pair.high > 3 / 30  # the rule of three for one group alone


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
