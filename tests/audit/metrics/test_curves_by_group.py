"""Curves of every group are those of its own rows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from audit.config import AuditConfig
from audit.data import spans
from audit.data.groups import whole
from audit.data.score_table import score_table
from audit.data.trials import as_trials
from audit.inference.proportion_intervals import wilson
from audit.metrics.auc import auc_influence, auc_interval
from audit.metrics.curves_by_group import Axes, SortedScores, score_measures
from audit.metrics.error_curves import eer, eer_density_share, eer_threshold, error_curve

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


def placements(score, fake):
    """Each image's share of the other class that it is on the right side of, one comparison at a time."""
    wins = (score[fake][:, None] > score[~fake]) + 0.5 * (score[fake][:, None] == score[~fake])
    found = np.empty(len(score))
    found[fake], found[~fake] = wins.mean(axis=1), wins.mean(axis=0)
    return found, wins.mean()


@pytest.mark.parametrize("span", [7, 1 << 19])
def test_the_interval_of_the_auc_is_that_of_sums_over_pairs(simulate, span, monkeypatch):
    """Scores tie, some images have no partner, and one group has a single real image."""
    frame = simulate(120, shift=0.5)
    frame = frame.assign(score=frame["score"].round(1)).drop(index=[0, 3, 130, 200])
    frame = frame[(frame["race"] != "C") | (frame["label"] == 1) | (frame["pair_id"] == "p000008")]
    frame.loc[frame["pair_id"] == "p000008", "race"] = "C"
    monkeypatch.setattr(spans, "SPAN", span)
    table = score_table(frame, AuditConfig(attributes=["race"]))
    found = score_measures(SortedScores.of(table), table.cells.grouping([0]), Z)
    for name, one in zip("ABC", found, strict=True):
        rows = frame[frame["race"] == name].reset_index(drop=True)
        fake = rows["label"].to_numpy() == 1
        placed, area = placements(rows["score"].to_numpy(), fake)
        n_real, n_fake = int((~fake).sum()), int(fake.sum())
        assert one.auc == pytest.approx(area) and one.worth == (n_real, n_fake)
        if n_real == 1:
            assert name == "C" and one.auc_interval == auc_interval(one.auc, math.nan, 1, n_fake, 0.0, Z)
            continue
        n = np.where(fake, n_fake, n_real)
        influence = (placed - area) / np.sqrt(n * (n - 1))
        variance = (pd.Series(influence).groupby(rows["pair_id"]).sum() ** 2).sum()
        rests_on = (influence**2).sum() ** 2 / (influence**4).sum()
        expected = auc_interval(area, variance, n_real, n_fake, rests_on, Z)
        assert one.auc_interval == pytest.approx(expected, abs=1e-9)


def expected_eer_interval(rows, covariance, n, least):
    """Wilson's interval for as many images as the variance of the EER is worth."""
    ordered = rows.sort_values("score")
    weight = ordered["weight"].to_numpy() if "weight" in ordered else None
    curve = error_curve(ordered["score"].to_numpy(), ordered["label"].to_numpy() == 1, weight)
    rate, w = eer(curve), eer_density_share(curve)
    own = rate * (1 - rate) * (w**2 / n[0] + (1 - w) ** 2 / n[1])
    variance = max(own + 2 * w * (1 - w) * covariance(eer_threshold(curve), w), own / 4)
    return tuple(map(float, wilson(rate, rate * (1 - rate) / variance if rate else least, Z)))


@pytest.mark.parametrize("span", [7, 1 << 19])
def test_the_interval_of_the_eer_takes_off_what_pairs_have_in_common(simulate, span, monkeypatch):
    frame = simulate(120, shift=0.5).drop(index=[0, 3, 130, 200])
    monkeypatch.setattr(spans, "SPAN", span)
    table = score_table(frame, AuditConfig(attributes=["race"]))
    found = score_measures(SortedScores.of(table), table.cells.grouping([0]), Z)
    for name, one in zip("ABC", found, strict=True):
        rows = frame[frame["race"] == name]
        n = [int((rows["label"] == label).sum()) for label in (0, 1)]

        def covariance(at, _, rows=rows, n=n):
            halves = rows.pivot(index="pair_id", columns="label", values="score").dropna()
            flagged, missed = halves[0] >= at, halves[1] < at
            joint = np.cov(flagged, missed, ddof=0)[0, 1]
            return len(halves) * joint / (n[0] * n[1])

        assert covariance(0.0, 0) != 0
        assert one.eer_interval == pytest.approx(expected_eer_interval(rows, covariance, n, min(n)))


@pytest.mark.parametrize("weighted", [False, True])
def test_intervals_where_images_share_persons(simulate, weighted):
    """Sums of influence over persons, u / (u - 1) for u of them; weights count as Kish has it."""
    rng = np.random.default_rng(3)
    frame = simulate(150, shift=0.5).drop(columns="pair_id")
    frame["person"] = [f"u{i}" for i in rng.integers(0, 60, len(frame))]
    config = AuditConfig(attributes=["race"], unit_column="person")
    if weighted:
        frame["weight"] = rng.integers(1, 4, len(frame)).astype(float)
        config = AuditConfig(attributes=["race"], unit_column="person", weight_column="weight")
    table = score_table(frame, config)
    found = score_measures(SortedScores.of(table), table.cells.grouping([0]), Z)
    mean = frame["weight"].mean() if weighted else 1.0
    for name, one in zip("ABC", found, strict=True):
        rows = frame[frame["race"] == name].reset_index(drop=True)
        weight = rows["weight"] if weighted else pd.Series(1.0, rows.index)
        copies = rows.loc[rows.index.repeat(weight.astype(int))].reset_index(drop=True)
        placed, area = placements(copies["score"].to_numpy(), copies["label"].to_numpy() == 1)
        assert one.auc == pytest.approx(area)

        def kish(sums):
            return sums.sum() ** 2 / (sums**2).sum()

        def factor(rows=rows, weight=weight):
            u = kish(weight.groupby(rows["person"]).sum())
            return u / (u - 1)

        sums = copies["label"].map(copies["label"].value_counts())
        sums = sums if weighted else np.sqrt(sums * (sums - 1))
        influence = ((placed - area) / sums).groupby(copies["person"]).sum()
        variance, rests_on = (influence**2).sum() * factor(), (influence**2).sum() ** 2 / (influence**4).sum()
        of_class = [rows["label"] == label for label in (0, 1)]
        worth = [kish(weight[mask].groupby(rows["person"][mask]).sum()) for mask in of_class]
        assert one.worth == pytest.approx(worth)
        sizes = [math.floor(one + 1e-9) for one in worth]
        assert one.auc_interval == pytest.approx(auc_interval(area, variance, *sizes, rests_on, Z))

        def covariance(at, w, rows=rows, weight=weight, factor=factor):
            """What the EER's variance has above that of single images, over 2 w (1 - w)."""
            wrong = ((rows["score"] >= at) != (rows["label"] == 1)).astype(float)
            moved = pd.Series(0.0, rows.index)
            for label, part in ((0, w), (1, 1 - w)):
                mask, image = rows["label"] == label, weight[rows["label"] == label]
                rate = (wrong[mask] * image).sum() / image.sum()
                moved[mask] = part * image * (wrong[mask] - rate) / image.sum()
            together = (moved.groupby(rows["person"]).sum() ** 2).sum() * factor()
            return (together - (moved**2).sum()) / (2 * w * (1 - w))

        images = [kish(weight[mask]) for mask in of_class]
        expected = expected_eer_interval(rows.assign(weight=weight / mean), covariance, images, min(sizes))
        assert one.eer_interval == pytest.approx(expected)


def test_few_persons_are_taken_as_one_image_each(simulate):
    """Nine persons say nothing about how persons vary: intervals are those of nine images."""
    frame = simulate(90).drop(columns="pair_id")
    frame["person"] = [f"u{i % 9}" for i in range(len(frame))]
    table = score_table(frame, AuditConfig(attributes=["race"], unit_column="person"))
    [one] = score_measures(SortedScores.of(table), whole(len(table.cells)), Z)
    assert one.auc_interval == pytest.approx(tuple(map(float, wilson(one.auc, 9, Z))))
    expected = expected_eer_interval(frame, lambda at, w: 0.0, (9, 9), 9)
    assert one.eer_interval == pytest.approx(expected)
    frame["person"] = [f"u{i % 10}" for i in range(len(frame))]
    table = score_table(frame, AuditConfig(attributes=["race"], unit_column="person"))
    [more] = score_measures(SortedScores.of(table), whole(len(table.cells)), Z)
    assert more.eer_interval[1] - more.eer_interval[0] < one.eer_interval[1] - one.eer_interval[0]


def test_what_is_read_off_a_curve_is_counted_on_its_rows(simulate):
    frame = simulate(300, shift=0.5)
    axes = Axes(np.linspace(-6.0, 6.0, 13), np.array([-1.0, 0.0, 0.5]), np.array([0.25, 2.0]))
    table = score_table(frame, AuditConfig(attributes=["race", "gender"]))
    grouping = table.cells.grouping([0])
    found = score_measures(SortedScores.of(table), grouping, Z, axes)
    for name, one in zip(grouping.names, found, strict=True):
        rows = frame[frame["race"] == name]
        real, fake = (rows.loc[rows["label"] == label, "score"].to_numpy() for label in (0, 1))
        curve = one.curve
        assert (curve.n_real, curve.n_fake) == (len(real), len(fake))
        for bins, scores in zip(curve.bins, (real, fake), strict=True):
            assert bins.tolist() == np.histogram(scores, axes.edges)[0].tolist()
        assert curve.sweep[0].tolist() == [(real >= t).sum() for t in axes.thresholds]
        assert curve.sweep[1].tolist() == [(fake < t).sum() for t in axes.thresholds]
        assert curve.fn_at_limits.tolist() == [(fake < t).sum() for t in axes.limits]
        assert curve.average_precision == pytest.approx(average_precision_score(rows["label"], rows["score"]))
        fpr, tpr, _ = roc_curve(rows["label"], rows["score"], drop_intermediate=False)
        costs = {p: (p * (1 - tpr) + (1 - p) * fpr).min() / p for p in (0.01, 0.05)}
        assert curve.min_dcf == pytest.approx(costs[0.05])
        assert curve.min_dcf_at == pytest.approx({"0.01": costs[0.01], "0.05": costs[0.05]})
        levels = {"0.01": 0.01, "0.05": 0.05, "0.10": 0.1}
        assert curve.apcer_at_bpcer == pytest.approx(
            {k: 1 - tpr[fpr <= v + 1e-12].max() for k, v in levels.items()}
        )
        assert curve.bpcer_at_apcer == pytest.approx(
            {k: fpr[1 - tpr <= v + 1e-12].min() for k, v in levels.items()}
        )
    [bare] = score_measures(SortedScores.of(table), whole(len(table.cells)), Z)
    assert (bare.curve.bins, bare.curve.sweep, bare.curve.fn_at_limits) == (None, None, None)


def test_fewer_points_are_kept_of_many_curves(simulate):
    table = score_table(simulate(4000), AuditConfig(attributes=["race", "gender"]))
    scores = SortedScores.of(table)
    n = {}
    for grouping in [whole(len(table.cells)), *table.cells.groupings()]:
        n[grouping.attribute] = max(len(one.curve.thin) for one in score_measures(scores, grouping, Z))
    assert 300 < n["overall"] <= 400 and 150 < n["race"] <= 200 and 40 < n["race:gender"] <= 60


@pytest.fixture
def dyads():
    """600 trials of 20 speakers in one group."""
    rng = np.random.default_rng(5)
    first, second = rng.integers(0, 20, (2, 600))
    second = np.where(rng.random(600) < 0.3, first, second)
    speaker = rng.normal(size=20)
    score = 2.0 * (first == second) + 0.5 * (speaker[first] + speaker[second]) + rng.normal(size=600)
    frame = pd.DataFrame(
        {"image_id": [f"t{i}" for i in range(600)], "same": (first == second).astype(int), "score": score,
         "gender": "f", "speaker_a": [f"s{i:02d}" for i in first], "speaker_b": [f"s{i:02d}" for i in second]}
    )  # fmt: skip
    trials = as_trials(frame, AuditConfig(task="speaker-verification", attributes=("gender",)))
    return score_table(trials.frame, trials.config)


def test_trials_of_two_speakers_go_together_wherever_they_share_one(dyads):
    """20 speakers are ten disjoint pairs: the variance of the EER grows by (Student's 2.262 / 1.960)^2."""
    table = dyads
    [one] = score_measures(SortedScores.of(table), whole(1), Z)
    first, second, fake, score = table.unit, table.partner, table.fake, table.score
    placed, area = placements(score, fake)
    pairs = [x[:, None] == y[None, :] for x in (first, second) for y in (first, second)]
    sharing = np.logical_or.reduce(pairs)
    sums = np.where(fake, fake.sum(), (~fake).sum())
    influence = (placed - area) / np.sqrt(sums * (sums - 1))
    n = 20
    variance = influence @ sharing @ influence * n / (n - 1)
    two = first != second
    of_unit = np.bincount(first, influence) + np.bincount(second[two], influence[two], minlength=n)
    rests_on = min((influence @ sharing @ influence) ** 2 / (of_unit**4).sum(), n)
    expected = auc_interval(area, variance, 10, 20, rests_on, Z)
    assert one.auc == pytest.approx(area) and one.auc_interval == pytest.approx(expected)
    for mask, worth, share in zip((~fake, fake), one.worth, (0.5, 1.0), strict=True):
        rows = np.concatenate([first[mask], second[mask & two]])
        assert worth == pytest.approx(mask.sum() ** 2 / (share * (np.bincount(rows) ** 2).sum()))

    def covariance(at, w):
        wrong = ((score >= at) != fake).astype(float)
        rate = np.where(fake, wrong[fake].mean(), wrong[~fake].mean())
        moved = np.where(fake, 1 - w, w) * (wrong - rate) / sums
        together = moved @ sharing @ moved * n / (n - 1) * (2.262157 / 1.959964) ** 2
        return (together - (moved**2).sum()) / (2 * w * (1 - w))

    rows = pd.DataFrame({"score": score, "label": fake.astype(int)})
    expected = expected_eer_interval(rows, covariance, ((~fake).sum(), fake.sum()), 10)
    assert one.eer_interval == pytest.approx(expected, abs=1e-6)
