"""Simultaneous intervals: they contain the estimate, reach 0 for equal groups, and forget names and order."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import studentized_range

from audit.config import AuditConfig
from audit.data.counts import Counts, count
from audit.data.score_table import score_table
from audit.inference.convex_limits import gini_limits, max_over_geometric_mean_limits
from audit.inference.two_proportions import difference_limits, ratio_limits
from audit.metrics.disparity import MEASURES, group_rates_of
from audit.metrics.disparity_intervals import LIMITS, Evidence


def counts_of(fp, fn, n):
    """Groups of single images, n of each class."""
    fp, fn, n = map(np.array, (fp, fn, n))
    none = np.zeros((len(n), 2, 2), np.int64)
    return Counts(none, np.stack([n - fp, fp], 1), np.stack([n - fn, fn], 1))


UNEQUAL = counts_of([10, 60, 25], [40, 30, 35], [400, 500, 450])
EQUAL = counts_of([30, 45, 36], [20, 30, 24], [400, 600, 480])


@pytest.mark.parametrize("key", LIMITS)
@pytest.mark.parametrize("counts", [UNEQUAL, EQUAL])
def test_interval_holds_the_estimate(key, counts):
    low, high = LIMITS[key](Evidence(counts, 500, (0,)), 0.05)
    value = float(MEASURES[key].compute(group_rates_of(counts)))
    assert low <= value <= high


def test_gap_of_equal_groups_reaches_zero_and_of_unequal_ones_does_not():
    assert Evidence(EQUAL, 500, (0,)).difference("fpr", 0.05)[0] == 0
    assert Evidence(UNEQUAL, 500, (0,)).difference("fpr", 0.05)[0] > 0.03


def test_equalised_odds_ratio_follows_the_rate_that_differs():
    """As many reals of each group are flagged; 90 % of one group's fakes are and 45 % of the other's."""
    counts = counts_of([300, 300], [100, 550], [1000, 1000])
    low, high = LIMITS["equalized_odds_ratio"](Evidence(counts, 500, (0,)), 0.05)
    assert 0.45 < low < 0.5 < high < 0.55


def test_order_of_groups_changes_nothing():
    order = np.array([2, 0, 1])
    for rate in ("fpr", "fnr", "positive_rate", "accuracy"):
        first = Evidence(UNEQUAL, 500, (0,)).difference(rate, 0.05)
        assert Evidence(UNEQUAL.take(order), 500, (0,)).difference(rate, 0.05) == first


def test_small_group_without_errors_widens_the_gap():
    """Its own rate could be anything up to the mid-p limit, although it sets neither extreme."""
    both_zero = counts_of([0, 0], [0, 0], [30, 3000])
    assert Evidence(both_zero, 500, (0,)).difference("fpr", 0.05)[1] == pytest.approx(
        1 - 0.05 ** (1 / 30), abs=0.02
    )


def test_infinite_limit_of_the_inequity_rate():
    counts = counts_of([0, 10], [5, 10], [100, 100])
    low, high = LIMITS["inequity_rate"](Evidence(counts, 500, (0,)), 0.05)
    assert low >= 1 and high == np.inf


def limits_of_all_pairs(evidence, name, z, measure):
    """The extreme limits among all ordered pairs of groups, one pair at a time."""
    rate, n = evidence.rate(name)
    found = [
        tuple(map(float, measure(rate[g], n[g], rate[h], n[h], z))) for g, h in permutations(range(len(n)), 2)
    ]
    lows, highs = zip(*found, strict=True)
    if measure is difference_limits:
        return max(0.0, *lows), max(highs)
    return min(lows), min(1.0, *highs)


@pytest.mark.parametrize("name", ["fpr", "fnr", "tpr", "tnr", "positive_rate", "accuracy"])
def test_limits_are_the_widest_of_all_pairs(name):
    evidence = Evidence(UNEQUAL, 500, (3,))
    z = evidence.critical(name, 0.1)
    wanted = limits_of_all_pairs(evidence, name, z, difference_limits)
    assert evidence.difference(name, 0.1) == pytest.approx(wanted, abs=1e-9)
    assert evidence.ratio(name, 0.1) == pytest.approx(
        limits_of_all_pairs(evidence, name, z, ratio_limits), abs=1e-9
    )
    assert evidence.difference_at(name, 3.3) == pytest.approx(
        limits_of_all_pairs(evidence, name, 3.3, difference_limits), abs=1e-9
    )
    assert evidence.ratio_at(name, 3.3) == pytest.approx(
        limits_of_all_pairs(evidence, name, 3.3, ratio_limits), abs=1e-9
    )


def test_rates_and_what_they_are_worth():
    found = {
        name: Evidence(UNEQUAL, 500, (0,)).rate(name) for name in ("fpr", "fnr", "tpr", "tnr", "accuracy")
    }
    fpr, fnr, n = np.array([10, 60, 25]), np.array([40, 30, 35]), np.array([400, 500, 450])
    shares = {"fpr": fpr / n, "fnr": fnr / n, "tpr": 1 - fnr / n, "tnr": 1 - fpr / n}
    for name, share in shares.items():
        assert found[name][0] == pytest.approx(share) and found[name][1].tolist() == n.tolist()
    assert found["accuracy"][0] == pytest.approx(1 - (fpr + fnr) / (2 * n))
    assert found["accuracy"][1] == pytest.approx(2 * n)


def test_pairs_hold_together_at_the_studentised_range_or_what_the_bootstrap_asks_for():
    evidence = Evidence(UNEQUAL, 4000, (0,))
    normal = studentized_range.ppf(0.9, 3, np.inf) / np.sqrt(2)
    for name in ("fpr", "fnr", "tpr", "tnr"):
        assert evidence.critical(name, 0.1) == pytest.approx(normal)
    for name in ("positive_rate", "accuracy"):  # images of two fixed classes vary less than those of one
        null = evidence.nulls[name]
        assert len(null) == 4000 and (np.diff(null) >= 0).all()
        assert np.quantile(null, 0.9) == pytest.approx(normal, rel=0.06)
        assert evidence.critical(name, 0.1) == max(normal, np.quantile(null, 0.9, method="higher"))
    together = Counts(np.array([[[300, 0], [0, 60]]] * 2), *np.zeros((2, 2, 2), np.int64))
    null = Evidence(together, 4000, (0,)).nulls["accuracy"]
    assert np.quantile(null, 0.95) == pytest.approx(1.96, rel=0.08)  # pairs err together: half the images


def test_every_measure_but_one_has_an_interval_from_those_of_its_rates():
    assert set(LIMITS) == set(MEASURES) - {"f_eo"}
    evidence = Evidence(UNEQUAL, 500, (1,))
    half = {
        name: (evidence.difference(name, 0.05), evidence.ratio(name, 0.05)) for name in ("fpr", "fnr", "tpr")
    }
    (low1, high1), (low2, high2) = half["fpr"][0], half["fnr"][0]
    (ratio_low, ratio_high), (tpr_low, tpr_high) = half["fpr"][1], half["tpr"][1]
    (fnr_low, fnr_high), alpha = half["fnr"][1], 0.1
    wanted = {
        "fpr_difference": evidence.difference("fpr", alpha),
        "fnr_difference": evidence.difference("fnr", alpha),
        "fpr_ratio": evidence.ratio("fpr", alpha),
        "fnr_ratio": evidence.ratio("fnr", alpha),
        "demographic_parity_difference": evidence.difference("positive_rate", alpha),
        "demographic_parity_ratio": evidence.ratio("positive_rate", alpha),
        "f_oae": evidence.difference("accuracy", alpha),
        "f_dp": evidence.difference("positive_rate", alpha),
        "equalized_odds_difference": (max(low1, low2), max(high1, high2)),
        "f_meo": (max(low1, low2), max(high1, high2)),
        "equalized_odds_ratio": (min(ratio_low, tpr_low), min(ratio_high, tpr_high)),
        "fairness_discrepancy_rate": (1 - (high1 + high2) / 2, 1 - (low1 + low2) / 2),
        "inequity_rate": (1 / np.sqrt(ratio_high * fnr_high), 1 / np.sqrt(ratio_low * fnr_low)),
    }
    for key, limits in wanted.items():
        assert LIMITS[key](evidence, alpha) == pytest.approx(limits), key


def test_gini_and_geometric_means_follow_the_draws_of_their_rates():
    evidence = Evidence(UNEQUAL, 500, (1,))
    (fpr, n), (fnr, _) = evidence.rate("fpr"), evidence.rate("fnr")
    halves = [
        gini_limits(rate, n, 0.05, np.random.default_rng([1, place])) for rate, place in ((fpr, 4), (fnr, 5))
    ]
    wanted = np.mean(halves, axis=0)
    assert LIMITS["garbe"](evidence, 0.1) == pytest.approx(tuple(wanted))
    for key, rate in (("fpr_max_over_geometric_mean", fpr), ("fnr_max_over_geometric_mean", fnr)):
        drawn = np.random.default_rng([1, 6])
        assert LIMITS[key](evidence, 0.1) == max_over_geometric_mean_limits(rate, n, 0.1, drawn)


def test_equality_is_asked_of_each_rate_and_by_units_where_there_are_any():
    evidence = Evidence(UNEQUAL, 2000, (0,))
    for test, errors in ((evidence.fpr, [10, 60, 25]), (evidence.fnr, [40, 30, 35])):
        assert test.pooled == pytest.approx(sum(errors) / 1350) and len(test.null) == 2000
    assert evidence.fpr.p_value < 0.01 < evidence.fnr.p_value
    frame = pd.DataFrame(
        {"label": [0, 1] * 120, "score": np.tile([0.9, 0.1, 0.1, 0.9], 60), "race": ["A"] * 120 + ["B"] * 120,
         "person": np.arange(240) // 4}
    )  # fmt: skip
    table = score_table(frame, AuditConfig(attributes=("race",), unit_column="person"))
    units = Evidence(count(table, 0.5), 300, (0,))
    assert (units.fpr.pooled, units.fnr.pooled) == (0.5, 0.5) and len(units.fnr.null) == 300
    assert units.critical("accuracy", 0.05) == pytest.approx(1.959964)
