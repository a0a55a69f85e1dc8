"""One group against all others, on disjoint counts."""

from __future__ import annotations

import numpy as np
import pytest
from fairlearn import metrics as fl
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

from audit.config import AuditConfig
from audit.data.counts import Counts, count
from audit.data.score_table import score_table
from audit.inference.effective_sample_size import half_sum_worth, positive_rate_worth
from audit.inference.proportion_intervals import newcombe, ratio_score
from audit.metrics.disparity import group_rates_of
from audit.metrics.one_vs_rest import REST_MEASURES, group_and_rest

Z = 1.959963984540054


@pytest.fixture
def table(simulate):
    return simulate(900, shift=0.6)


def estimates(frame, key):
    counts = count(score_table(frame, AuditConfig(attributes=["race"])), 0.0)
    return REST_MEASURES[key].compute(group_and_rest(counts), Z)


@pytest.mark.parametrize(
    ("key", "metric"),
    [("fpr_difference_to_rest", fl.false_positive_rate), ("fnr_difference_to_rest", fl.false_negative_rate)],
)
def test_difference_to_rest(table, key, metric):
    values, (low, high) = estimates(table, key)
    label = 0 if "fpr" in key else 1
    for g, name in enumerate("ABC"):
        own, rest = table[table["race"] == name], table[table["race"] != name]
        rates = [metric(side["label"], side["score"] >= 0) for side in (own, rest)]
        sizes = [int((side["label"] == label).sum()) for side in (own, rest)]
        errors = [round(rate * n) for rate, n in zip(rates, sizes, strict=True)]
        assert values[g] == pytest.approx(rates[0] - rates[1])
        expected = confint_proportions_2indep(
            errors[0], sizes[0], errors[1], sizes[1], method="newcomb", compare="diff"
        )
        assert (low[g], high[g]) == pytest.approx(expected, abs=1e-9)


def test_disparate_impact_and_average_odds(table):
    impact, limits = estimates(table, "disparate_impact")
    odds, odds_limits = estimates(table, "average_odds_difference")
    for g, name in enumerate("ABC"):
        split = [table[table["race"] == name], table[table["race"] != name]]
        flagged = [(side["score"] >= 0).mean() for side in split]
        fpr = [fl.false_positive_rate(side["label"], side["score"] >= 0) for side in split]
        tpr = [fl.true_positive_rate(side["label"], side["score"] >= 0) for side in split]
        assert impact[g] == pytest.approx(flagged[0] / flagged[1])
        assert odds[g] == pytest.approx((fpr[0] - fpr[1] + tpr[0] - tpr[1]) / 2)
        assert limits[0][g] < impact[g] < limits[1][g]
        assert odds_limits[0][g] < odds[g] < odds_limits[1][g]


@given(st.integers(0, 30), st.integers(0, 30))
def test_two_groups_mirror_each_other(k1, k2):
    n = np.array([40, 50])
    k = np.array([k1, k2])
    counts = Counts(np.zeros((2, 2, 2), np.int64), np.stack([n - k, k], 1), np.stack([n - k, k], 1))
    for key in ("fpr_difference_to_rest", "average_odds_difference"):
        values, (low, high) = REST_MEASURES[key].compute(group_and_rest(counts), Z)
        assert values[0] == pytest.approx(-values[1])
        assert (low[0], high[0]) == pytest.approx((-high[1], -low[1]), abs=1e-12)


def test_nothing_flagged_or_no_images_is_undefined():
    none = np.zeros((2, 2, 2), np.int64)
    counts = Counts(none, np.array([[5, 0], [5, 0]]), np.zeros((2, 2), np.int64))
    for key in ("disparate_impact", "fnr_difference_to_rest", "average_odds_difference"):
        assert np.isnan(REST_MEASURES[key].compute(group_and_rest(counts), Z)[0]).all()


def test_limits_of_ratios_and_averages_are_those_of_what_each_side_is_worth(table):
    """Koopman's for the ratio of shares flagged, Newcombe's for the averages of FPR and TPR."""
    counts = count(score_table(table, AuditConfig(attributes=["race"])), 0.0)
    split = group_and_rest(counts)
    rest = [
        sum(getattr(counts, name)[h] for h in range(3) if h != 1) for name in ("fp", "n_real", "fn", "n_fake")
    ]
    assert [getattr(split.rest, name)[1] for name in ("fp", "n_real", "fn", "n_fake")] == rest
    shares = [group_rates_of(side).positive_rate for side in (split.group, split.rest)]
    worth = [positive_rate_worth(side) for side in (split.group, split.rest)]
    _, found = REST_MEASURES["disparate_impact"].compute(split, Z)
    wanted = ratio_score(shares[0], worth[0], shares[1], worth[1], Z)
    assert np.array(found) == pytest.approx(np.array(wanted))
    halves = [(one.fpr + 1 - one.fnr) / 2 for one in map(group_rates_of, (split.group, split.rest))]
    worth = [half_sum_worth(side) for side in (split.group, split.rest)]
    _, found = REST_MEASURES["average_odds_difference"].compute(split, Z)
    assert np.array(found) == pytest.approx(np.array(newcombe(halves[0], worth[0], halves[1], worth[1], Z)))
