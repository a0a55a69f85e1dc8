"""Every measure of disparity: by hand, against fairlearn, and its zero rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fairlearn import metrics as fl
from hypothesis import given
from hypothesis import strategies as st

from audit.config import AuditConfig
from audit.data.counts import count
from audit.data.score_table import score_table
from audit.metrics.disparity import MEASURES, GroupRates, gini, group_rates_of
from audit.metrics.disparity_intervals import LIMITS
from audit.metrics.one_vs_rest import REST_MEASURES


def rates_of(fpr, fnr, positive_rate=None, accuracy=None):
    fpr, fnr = np.array(fpr), np.array(fnr)
    pr = (fpr + 1 - fnr) / 2 if positive_rate is None else np.array(positive_rate)
    acc = 1 - (fpr + fnr) / 2 if accuracy is None else np.array(accuracy)
    return GroupRates(fpr, fnr, pr, acc, fpr.mean(), fnr.mean())


def value(key, rates):
    return float(MEASURES[key].compute(rates))


RATES = rates_of([0.1, 0.2, 0.4], [0.3, 0.1, 0.2])
BY_HAND = {
    "fpr_difference": 0.3,
    "fnr_difference": 0.2,
    "fpr_ratio": 0.25,
    "fnr_ratio": 1 / 3,
    "demographic_parity_difference": 0.2,
    "demographic_parity_ratio": 0.4 / 0.6,
    "equalized_odds_difference": 0.3,
    "equalized_odds_ratio": 0.25,
    "f_oae": 0.15,
    "f_dp": 0.2,
    "f_meo": 0.3,
    "f_eo": (0.4 + 0.1 + 0.5) / 3 + 0.1 + 0.1,
    "fairness_discrepancy_rate": 1 - 0.25,
    "inequity_rate": math.sqrt(4 * 3),
    "garbe": (3 / 2 * 1.2 / (18 * 0.7 / 3) + 3 / 2 * 0.8 / (18 * 0.2)) / 2,
    "fpr_max_over_geometric_mean": 0.4 / 0.008 ** (1 / 3),
    "fnr_max_over_geometric_mean": 0.3 / 0.006 ** (1 / 3),
}


@pytest.mark.parametrize("key", MEASURES)
def test_by_hand(key):
    assert value(key, RATES) == pytest.approx(BY_HAND[key])


@pytest.mark.parametrize(
    ("key", "oracle"),
    [
        ("demographic_parity_difference", fl.demographic_parity_difference),
        ("demographic_parity_ratio", fl.demographic_parity_ratio),
        ("equalized_odds_difference", fl.equalized_odds_difference),
        ("equalized_odds_ratio", fl.equalized_odds_ratio),
        ("fnr_difference", fl.equal_opportunity_difference),
    ],
)
def test_against_fairlearn(simulate, key, oracle):
    frame = simulate(1500, shift=0.7)
    table = score_table(frame, AuditConfig(attributes=["race"]))
    ours = value(key, group_rates_of(count(table, 0.2)))
    theirs = oracle(frame["label"], frame["score"] >= 0.2, sensitive_features=frame["race"])
    assert ours == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("fpr_difference", 0), ("fpr_ratio", math.nan), ("fnr_ratio", 0), ("equalized_odds_ratio", math.nan),
        ("inequity_rate", math.nan), ("garbe", 0.5), ("fpr_max_over_geometric_mean", math.nan),
        ("fairness_discrepancy_rate", 0.95), ("demographic_parity_ratio", 0.9), ("f_meo", 0.1),
    ],
)  # fmt: skip
def test_zero_rules(key, expected):
    rates = rates_of([0.0, 0.0], [0.0, 0.1])
    assert value(key, rates) == pytest.approx(expected, nan_ok=True)


def test_gini_is_zero_when_nobody_errs():
    assert gini(np.zeros(4)) == 0
    assert np.isnan(gini(np.zeros(1)))


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=8))
def test_gini_is_its_double_sum(values):
    x = np.array(values)
    n = len(x)
    plain = n / (n - 1) * np.abs(x[:, None] - x).sum() / (2 * n**2 * x.mean())
    assert float(gini(x)) == pytest.approx(plain)


PERFECT_AT_ONE = {"fairness_discrepancy_rate", "inequity_rate"} | {
    key for key, measure in MEASURES.items() if measure.kind == "ratio" or "geometric_mean" in key
}


@pytest.mark.parametrize("key", MEASURES)
@given(st.floats(0.01, 0.9), st.floats(0.01, 0.9), st.integers(2, 6))
def test_equal_groups_are_perfect(key, fpr, fnr, k):
    assert value(key, rates_of([fpr] * k, [fnr] * k)) == pytest.approx(float(key in PERFECT_AT_ONE), abs=1e-9)


@pytest.mark.parametrize("key", MEASURES)
@given(st.lists(st.tuples(st.floats(0.01, 0.9), st.floats(0.01, 0.9)), min_size=2, max_size=6), st.randoms())
def test_order_of_groups_changes_nothing(key, groups, shuffle):
    fpr, fnr = zip(*groups, strict=True)
    order = shuffle.sample(range(len(fpr)), len(fpr))
    mixed = rates_of([fpr[i] for i in order], [fnr[i] for i in order])
    assert value(key, mixed) == pytest.approx(value(key, rates_of(fpr, fnr)))


def test_every_measure_states_its_definition_and_source():
    for measure in MEASURES.values():
        assert measure.compute.__doc__
    assert set(LIMITS) <= set(MEASURES)


def test_every_measure_has_a_name_of_its_own_for_the_reader():
    every = [*MEASURES.values(), *REST_MEASURES.values()]
    assert all(measure.name[0].isupper() for measure in every)
    assert len({measure.name for measure in every}) == len(every)
