"""Rates against fairlearn and scikit-learn on the raw rows, and NaN where they answer 0.0."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fairlearn import metrics as fl
from sklearn import metrics as sk

from audit.config import AuditConfig
from audit.data.counts import Counts, count
from audit.data.score_table import score_table
from audit.metrics.disparity import group_rates_of
from audit.metrics.rates import group_rates

ORACLES = {
    "fpr": fl.false_positive_rate,
    "fnr": fl.false_negative_rate,
    "positive_rate": fl.selection_rate,
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "f1": sk.f1_score,
}


@pytest.mark.parametrize("name", ORACLES)
def test_same_as_on_the_raw_rows(simulate, name):
    frame = simulate(800, shift=0.5)
    table = score_table(frame, AuditConfig())
    full = table.cells.grouping([0, 1])
    ours = group_rates(count(table, 0.1).merge(full.of_cell, len(full)))[name]
    groups = frame["gender"] + ":" + frame["race"]
    raw = fl.MetricFrame(
        metrics=ORACLES[name], y_true=frame["label"], y_pred=frame["score"] >= 0.1, sensitive_features=groups
    )
    np.testing.assert_allclose(ours, raw.by_group.loc[full.names], rtol=1e-12)


def test_twelve_pairs_by_hand(twelve_pairs):
    rates = group_rates(count(score_table(twelve_pairs, AuditConfig()), 0.5))
    assert rates["fpr"].tolist() == [1 / 6, 3 / 6]
    assert rates["fnr"].tolist() == [2 / 6, 0.0]
    assert rates["positive_rate"].tolist() == [5 / 12, 9 / 12]
    assert rates["accuracy"].tolist() == [9 / 12, 9 / 12]
    assert rates["precision"].tolist() == [4 / 5, 6 / 9]
    assert rates["recall"].tolist() == [4 / 6, 1.0]
    assert rates["f1"].tolist() == [8 / 11, 12 / 15]


def test_empty_denominators_are_undefined():
    reals = np.array([[3, 1], [0, 0], [5, 0]])
    fakes = np.array([[0, 0], [2, 2], [0, 0]])
    rates = group_rates(Counts(np.zeros((3, 2, 2), np.int64), reals, fakes))
    assert rates["fpr"].iloc[0] == 0.25 and math.isnan(rates["fpr"].iloc[1])
    assert math.isnan(rates["fnr"].iloc[0]) and rates["fnr"].iloc[1] == 0.5
    assert math.isnan(rates["precision"].iloc[2]) and math.isnan(rates["balanced_accuracy"].iloc[0])


def test_a_group_without_any_image_is_undefined_throughout():
    nothing = np.zeros((2, 2), np.int64)
    rates = group_rates(Counts(np.zeros((2, 2, 2), np.int64), np.array([[1, 1], [0, 0]]), nothing))
    assert rates.iloc[1].isna().all()


def test_vectorised_rates_are_the_same(simulate):
    counts = count(score_table(simulate(300), AuditConfig()), 0.0)
    ours, frame = group_rates_of(counts), group_rates(counts)
    for name in ("fpr", "fnr", "positive_rate", "accuracy"):
        np.testing.assert_allclose(getattr(ours, name), frame[name], rtol=1e-14)
