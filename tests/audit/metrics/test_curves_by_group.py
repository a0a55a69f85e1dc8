"""Curves of every group are those of its own rows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from audit.config import AuditConfig
from audit.data.groups import whole
from audit.data.score_table import score_table
from audit.metrics.auc import auc_influence
from audit.metrics.curves_by_group import SortedScores, score_measures
from audit.metrics.error_curves import eer, error_curve

Z = 1.959964


@pytest.mark.parametrize("which", range(3))
def test_every_group_alone(simulate, which):
    frame = simulate(600, shift=0.5)
    table = score_table(frame, AuditConfig())
    grouping = table.cells.groupings()[which]
    found = score_measures(SortedScores.of(table), grouping, Z)
    labels = frame[grouping.attribute.split(":")].agg(":".join, axis=1)
    for name, one in zip(grouping.names, found, strict=True):
        rows = frame[labels == name].sort_values("score")
        assert one.auc == pytest.approx(roc_auc_score(rows["label"], rows["score"]))
        alone = error_curve(rows["score"].to_numpy(), rows["label"].to_numpy() == 1)
        assert one.eer == pytest.approx(eer(alone))
        assert one.auc_interval[0] < one.auc < one.auc_interval[1]
        assert one.eer_interval[0] < one.eer < one.eer_interval[1]


def test_without_pairs_the_interval_is_delongs(simulate):
    frame = simulate(300).drop(columns="pair_id")
    table = score_table(frame, AuditConfig())
    [found] = score_measures(SortedScores.of(table), whole(len(table.cells)), Z)
    order = np.argsort(table.score)
    _, influence = auc_influence(table.score[order], table.fake[order])
    half = (found.auc_interval[1] - found.auc_interval[0]) / 2
    assert half == pytest.approx(Z * math.sqrt((influence**2).sum()), rel=0.05)


def test_pairs_narrow_or_widen_but_do_not_move(simulate):
    frame = simulate(300)
    found = []
    for one in (frame, frame.drop(columns="pair_id")):
        table = score_table(one, AuditConfig())
        found += score_measures(SortedScores.of(table), whole(len(table.cells)), Z)
    paired, single = found
    assert paired.auc == single.auc and paired.eer == single.eer
    assert paired.auc_interval[1] - paired.auc_interval[0] < single.auc_interval[1] - single.auc_interval[0]


def test_copies_of_images_narrow_nothing_however_coarse_the_scores(simulate):
    """Many images score exactly what the threshold of the equal error rate is, and count as flagged there."""
    once = simulate(400).drop(columns=["pair_id", "image_id"])
    once = once.assign(score=once["score"].round(), person=[f"p{i}" for i in range(len(once))])
    found = []
    for frame in (once, once.loc[once.index.repeat(4)].reset_index(drop=True)):
        table = score_table(frame, AuditConfig(attributes=["race"], unit_column="person"))
        found.append(score_measures(SortedScores.of(table), table.cells.grouping([0]), Z))
    for one, copies in zip(*found, strict=True):
        assert copies.eer == pytest.approx(one.eer)
        assert copies.eer_interval == pytest.approx(one.eer_interval, abs=0.003)


def test_group_of_one_class(simulate):
    frame = simulate(100)
    frame = frame[(frame["race"] != "C") | (frame["label"] == 0)]
    table = score_table(frame, AuditConfig(attributes=["race"]))
    one = score_measures(SortedScores.of(table), table.cells.grouping([0]), Z)[2]
    assert math.isnan(one.auc) and math.isnan(one.eer)
    assert all(map(math.isnan, one.auc_interval + one.eer_interval))


def test_perfect_detector(twelve_pairs):
    twelve_pairs["score"] = twelve_pairs["label"] + 0.0
    table = score_table(twelve_pairs, AuditConfig())
    for one in score_measures(SortedScores.of(table), table.cells.grouping([0]), Z):
        assert (one.auc, one.eer) == (1, 0)
        assert one.auc_interval[0] < 0.8 and one.eer_interval[1] > 0.2


@pytest.mark.parametrize("sizes", [[1000] + [1] * 100, [200] * 15 + [4] * 60], ids=["one giant", "fifteen"])
def test_a_coin_is_no_detector_because_a_few_persons_have_most_images(sizes):
    """Scores follow the person alone, and each person is real or fake."""
    rng, above, missed, n = np.random.default_rng(9), 0, 0, 0
    config = AuditConfig(attributes=("race",), unit_column="person")
    person = np.repeat(np.arange(len(sizes)), sizes)
    for _ in range(100):
        fake = (rng.random(len(sizes)) < 0.5)[person]
        score = rng.normal(size=len(sizes))[person] + rng.normal(0, 0.5, len(person))
        frame = pd.DataFrame({"label": fake.astype(int), "score": score, "race": "A", "person": person})
        table = score_table(frame, config, by_score=True)
        [found] = score_measures(SortedScores.of(table), whole(len(table.cells)), 1.96)
        above += found.auc_interval[0] > 0.5
        missed += not found.eer_interval[0] <= 0.5 <= found.eer_interval[1]
        n += 1
    assert above <= 0.05 * n and missed <= 0.07 * n
