"""The published measures of a group, against scikit-learn, and trials across groups by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from statsmodels.stats.proportion import proportion_confint

from audit.config import AuditConfig
from audit.data.counts import count
from audit.data.score_table import score_table
from audit.data.trials import as_trials
from audit.data.unit_totals import unit_totals
from audit.inference.clusters import worth
from audit.inference.proportion_intervals import wilson
from audit.metrics.curves_by_group import SortedScores, score_measures
from audit.metrics.group_measures import cross_group_rates, group_results

Z = 1.959963984540054


def results(frame, config, threshold=0.2):
    table = score_table(frame, config)
    grouping = table.cells.grouping([0])
    counts = count(table, threshold).merge(grouping.of_cell, len(grouping))
    measured = score_measures(SortedScores.of(table), grouping, Z)
    return group_results(grouping, counts, measured, config), measured


def test_measures_are_scikit_learns(simulate):
    frame = simulate(600, shift=0.5)
    found, measured = results(frame, AuditConfig(attributes=("race",)))
    assert [one.group for one in found] == ["A", "B", "C"]
    for one, curves in zip(found, measured, strict=True):
        rows = frame[frame["race"] == one.group]
        truth, flagged = rows["label"], (rows["score"] >= 0.2).astype(int)
        tn, fp, fn, tp = sk.confusion_matrix(truth, flagged).ravel()
        assert one.confusion.model_dump() == {"tp": tp, "fp": fp, "tn": tn, "fn": fn}
        assert (one.attribute, one.n_real, one.n_fake) == ("race", tn + fp, tp + fn)
        wanted = {
            "fpr": fp / (fp + tn), "fnr": fn / (fn + tp), "positive_rate": flagged.mean(),
            "accuracy": sk.accuracy_score(truth, flagged), "f1": sk.f1_score(truth, flagged),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, flagged),
            "acer": 1 - sk.balanced_accuracy_score(truth, flagged),
            "auc": sk.roc_auc_score(truth, rows["score"]),
            "precision": sk.precision_score(truth, flagged), "recall": sk.recall_score(truth, flagged),
            "average_precision": sk.average_precision_score(truth, rows["score"]),
        }  # fmt: skip
        assert {name: getattr(one, name) for name in wanted} == pytest.approx(wanted)
        for interval, errors, n in ((one.fpr_interval, fp, fp + tn), (one.fnr_interval, fn, fn + tp)):
            assert interval == pytest.approx(proportion_confint(errors, n, method="wilson"))
        low, high = one.accuracy_interval
        assert low < one.accuracy < high
        assert math.isnan(one.fpr_worth) and math.isnan(one.fnr_worth) and one.few_units == []
        assert (one.eer, one.auc_interval, one.eer_interval) == (
            curves.eer, curves.auc_interval, curves.eer_interval,
        )  # fmt: skip
        assert one.min_dcf == curves.curve.min_dcf and one.min_dcf_at == {}
        assert one.apcer_at_bpcer == curves.curve.apcer_at_bpcer
        assert one.bpcer_at_apcer == curves.curve.bpcer_at_apcer


def test_small_groups_and_groups_of_few_persons_are_called_so(simulate):
    frame = simulate(200).drop(columns="pair_id")
    frame = frame[(frame["race"] != "C") | (frame.groupby(["race", "label"]).cumcount() < 29)]
    person = np.where(frame["race"] == "B", frame.index % 9, frame.index)
    person = np.where((frame["race"] == "B") & (frame["label"] == 1), 10_000 + frame.index, person)
    frame = frame.assign(person=person)
    plain, _ = results(frame, AuditConfig(attributes=("race",)))
    assert [one.small for one in plain] == [False, False, True]
    found, _ = results(frame, AuditConfig(attributes=("race",), unit_column="person"))
    assert [one.small for one in found] == [False, True, True]
    assert [one.few_units for one in found] == [[], ["fpr"], []]
    assert 9 <= found[1].fpr_worth < 20 and found[1].fnr_worth == pytest.approx(found[1].n_fake, rel=0.05)
    low, high = wilson(found[1].fpr, found[1].fpr_worth, Z)
    assert found[1].fpr_interval == pytest.approx((float(low), float(high)))


def trials_of_two_groups():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 40, (2, 800))
    b = np.where(rng.random(800) < 0.2, a, b)
    score = 3.0 * (a == b) + rng.normal(size=800)
    frame = pd.DataFrame(
        {"trial_id": np.arange(800), "speaker_a": a, "speaker_b": b, "same": (a == b).astype(int),
         "score": score,
         "gender_a": np.where(a % 2, "f", "m"), "gender_b": np.where(b % 2, "f", "m"),
         "age_a": 20 + a, "age_b": 20 + b}
    )  # fmt: skip
    config = AuditConfig(
        task="speaker-verification", attributes=("gender", "age"), bins={"age": [40.0]}, confidence=0.9
    )
    return as_trials(frame, config)


def test_impostor_trials_by_the_groups_of_both_speakers():
    trials = trials_of_two_groups()
    table = score_table(trials.frame, trials.config)
    found = cross_group_rates(trials.frame, table, 1.0, trials.sides, trials.config)
    assert [(one.attribute, one.group, one.other_group) for one in found] == [
        ("gender", "f", "f"), ("gender", "f", "m"), ("gender", "m", "f"), ("gender", "m", "m"),
        ("age", "<40", "<40"), ("age", "<40", ">=40"), ("age", ">=40", "<40"), ("age", ">=40", ">=40"),
    ]  # fmt: skip
    frame = trials.frame[trials.frame["label"] == 0]
    for one in found[:4]:
        rows = frame[(frame["gender_a"] == one.group) & (frame["gender_b"] == one.other_group)]
        accepted = (rows["score"] >= 1.0).to_numpy()
        assert (one.n, one.errors) == (len(rows), accepted.sum())
        assert one.rate == pytest.approx(accepted.mean())
        names, codes = np.unique(np.r_[rows["speaker"], rows["other_speaker"]], return_inverse=True)
        assert one.n_speakers == len(names)
        first, second = np.split(codes, 2)
        none = np.zeros(len(rows), int)
        totals = unit_totals(first, none, 1, none > 0, accepted, None, second)
        n = worth(totals.moments(), "fpr").n[0]
        if one.group == one.other_group:  # one correlation for all four: it may only be wider
            low, high = map(float, wilson(one.rate, n, 1.6448536))
            assert one.interval[0] <= low + 0.01 and one.interval[1] >= high - 0.01
    young = frame[(frame["age_a"] < 40) & (frame["age_b"] >= 40)]
    assert found[5].n == len(young) and found[5].errors == (young["score"] >= 1.0).sum()


def test_where_nobody_is_compared_with_another_there_are_no_rates_across_groups(simulate):
    trials = trials_of_two_groups()
    table = score_table(trials.frame, trials.config)
    own = table.take(table.fake)
    frame = trials.frame[table.fake].reset_index(drop=True)
    assert cross_group_rates(frame, own, 1.0, trials.sides, trials.config) == []
    images = score_table(simulate(50), AuditConfig())
    assert cross_group_rates(simulate(50), images, 0.0, {"race": ("race", "race")}, AuditConfig()) == []
