"""Score shift of a group against the others: hand-counted, against scipy, with weights and units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import brunnermunzel, mannwhitneyu, norm
from scipy.stats import t as student

from audit.config import AuditConfig
from audit.data.score_table import score_table
from audit.metrics.auc import auc_interval
from audit.metrics.curves_by_group import SortedScores
from audit.metrics.score_shift import Placements, Sample, score_shifts, weighted_median
from audit.runs.score_audit import audit_scores


def sample(score, own, weight=None, unit=None):
    order = np.argsort(score, kind="stable")
    weight = None if weight is None else np.asarray(weight, float)[order]
    unit = None if unit is None else np.asarray(unit)[order]
    return Placements.of(np.asarray(score, float)[order], weight, unit).compare(np.asarray(own, bool)[order])


def test_counted_by_hand():
    found = sample([1, 2, 2, 3], [True, False, True, False])
    # pairs of (own, other): 1<2, 1<3, 2=2, 2<3
    assert found.mean == pytest.approx(0.5 / 4)


def test_agrees_with_mann_whitney_and_brunner_munzel():
    rng = np.random.default_rng(0)
    score = np.round(rng.normal(size=200), 1)
    own = rng.random(200) < 0.3
    found = sample(score, own)
    u = mannwhitneyu(score[own], score[~own]).statistic
    assert found.mean == pytest.approx(u / (own.sum() * (~own).sum()))
    theirs = brunnermunzel(score[own], score[~own])
    assert abs(found.mean - 0.5) / found.variance**0.5 == pytest.approx(abs(theirs.statistic))


def test_equality_is_tested_as_wilcoxon_does_with_ties():
    rng = np.random.default_rng(3)
    score, own = rng.integers(0, 4, 90), rng.random(90) < 0.3
    found = sample(score, own)
    z = abs(found.mean - 0.5) / found.equal_variance**0.5
    theirs = mannwhitneyu(score[own], score[~own], method="asymptotic", use_continuity=False)
    assert 2 * norm.sf(z) == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("unit", [None, "person"])
def test_small_groups_whose_scores_are_all_the_same_are_not_called_shifted(unit):
    """19 of 20 scores are 0: a small group often has none above, and so no variance of its own."""
    rng, named, n_runs = np.random.default_rng(4), 0, 60
    sizes = [4000] + [60] * 6
    race = np.repeat([f"g{i}" for i in range(7)], sizes)
    for _ in range(n_runs):
        rare = rng.random(len(race)) < 0.05
        score = np.where(rare, rng.random(len(race)), 0.0)
        frame = pd.DataFrame({"label": 0, "score": score, "race": race, "person": np.arange(len(race)) // 2})
        config = AuditConfig(attributes=("race",), unit_column=unit)
        table = score_table(frame, config)
        found = score_shifts(SortedScores.of(table), table.cells.groupings(), config)
        named += any(not one.interval[0] <= 0.5 <= one.interval[1] for one in found if one.interval)
    assert named <= 6  # 78 of 100 by the variance of each side alone


def test_a_weight_of_two_is_two_images():
    score, own = np.arange(8.0) % 5, np.arange(8) % 2 == 0
    weight = np.array([1, 2, 1, 3, 1, 1, 2, 1])
    rows = np.repeat(np.arange(8), weight)
    assert sample(score, own, weight).mean == pytest.approx(sample(score[rows], own[rows]).mean)


def test_copies_of_each_image_change_nothing_where_units_are_named():
    rng = np.random.default_rng(1)
    score, own = rng.normal(size=80), rng.random(80) < 0.4
    once = sample(score, own)
    many = sample(np.repeat(score, 5), np.repeat(own, 5), unit=np.repeat(np.arange(80), 5))
    assert many.mean == pytest.approx(once.mean)
    assert many.variance == pytest.approx(once.variance)
    assert many.freedom == pytest.approx(once.freedom)


def test_median_with_weights():
    assert weighted_median(np.array([1.0, 2, 3]), None) == 2
    assert weighted_median(np.array([1.0, 2, 3]), np.array([5.0, 1, 1])) == 1
    assert np.isnan(weighted_median(np.zeros(0), None))


def test_a_monotone_change_of_the_scores_changes_no_shift(simulate):
    frame = simulate(400, shift=0.6)
    config = AuditConfig(threshold=0.0)
    plain = audit_scores(frame, config).score_shifts
    bent = audit_scores(frame.assign(score=np.arctan(frame.score) + 3), config).score_shifts
    assert [one.higher for one in plain] == pytest.approx([one.higher for one in bent])
    shifted = [one for one in plain if not one.interval[0] <= 0.5 <= one.interval[1]]
    assert ("race", "B", "real") in [(one.attribute, one.group, one.label) for one in shifted]
    assert all(one.label == "real" and one.attribute == "race" for one in shifted)


def test_a_group_too_small_has_no_interval_and_says_why(simulate):
    frame = simulate(200)
    frame.loc[(frame.race == "C").to_numpy().nonzero()[0][20:], "race"] = "A"
    record = audit_scores(frame.drop(columns="pair_id"), AuditConfig(threshold=0.0, attributes=("race",)))
    small = [one for one in record.score_shifts if one.group == "C" and one.interval is None]
    assert small
    assert all("fewer than 30" in one.reason for one in small)


def test_a_missing_label_is_no_group_and_no_other(simulate):
    frame = simulate(300)
    frame.loc[frame.race == "C", "race"] = None
    config = AuditConfig(threshold=0.0, attributes=("race",))
    shifts = audit_scores(frame, config).score_shifts
    known = audit_scores(frame[frame.race.notna()], config).score_shifts
    assert {one.group for one in shifts} == {"A", "B"}
    assert shifts == known


@pytest.mark.slow
def test_ten_frames_a_person_say_no_shift_where_there_is_none():
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(20):
        person = np.repeat(np.arange(60), 10)
        frame = pd.DataFrame(
            {
                "label": np.tile([0, 1], 300),
                "score": np.repeat(rng.normal(size=60), 10) * 2 + rng.normal(size=600),
                "race": np.where(person < 30, "A", "B"),
                "person": person,
            }
        )
        config = AuditConfig(threshold=0.0, attributes=("race",), unit_column="person", n_boot=100)
        shifts = audit_scores(frame, config).score_shifts
        wrong += any(not one.interval[0] <= 0.5 <= one.interval[1] for one in shifts)
    assert wrong <= 4


@pytest.mark.slow
def test_a_group_that_hangs_on_one_weight_is_not_called_shifted():
    rng, called = np.random.default_rng(7), 0
    config = AuditConfig(attributes=("race",), n_boot=100, weight_column="weight")
    for _ in range(20):
        frame = pd.DataFrame({"label": 0, "score": rng.random(400), "race": ["A", "B"] * 200, "weight": 1.0})
        frame.loc[0, "weight"] = 1e6
        called += sum(s.interval is not None for s in audit_scores(frame, config).score_shifts)
    assert called == 0


def test_a_person_with_nearly_all_images_shows_no_shift():
    rng = np.random.default_rng(8)
    config = AuditConfig(attributes=("race",), n_boot=100, unit_column="person")
    person = np.repeat(np.arange(202), [1000] + [1] * 100 + [1000] + [1] * 100)
    score = np.round(rng.normal(size=202)[person] + rng.normal(0, 0.3, len(person)), 3)
    frame = pd.DataFrame(
        {"label": 0, "score": score, "race": np.where(person < 101, "A", "B"), "person": person}
    )
    found = audit_scores(frame, config)
    assert [s.interval for s in found.score_shifts] == [None, None] and "units" in found.score_shifts[
        0
    ].reason
    assert {v.n_small_groups for v in found.verdicts if v.rate == "fpr"} == {2}


def test_degrees_of_freedom_are_brunner_munzels():
    rng = np.random.default_rng(5)
    score, own = rng.normal(size=60), np.arange(60) < 12
    score[own] = 0.4 + 2 * score[own]
    found = sample(score, own)
    theirs = brunnermunzel(score[own], score[~own])
    t = abs(found.mean - 0.5) / found.variance**0.5
    assert 2 * student.sf(t, found.freedom) == pytest.approx(theirs.pvalue)
    assert found.sizes == (12, 48)


def influences(score, own, weight):
    """Share of the other side's weight below each image minus its mean, over its own side."""
    below = (score[:, None] > score[None, :]) + 0.5 * (score[:, None] == score[None, :])
    placed = np.empty(len(score))
    for side in (own, ~own):
        placed[side] = below[side][:, ~side] @ weight[~side] / weight[~side].sum()
    found = np.empty(len(score))
    for side in (own, ~own):
        mean = np.average(placed[side], weights=weight[side])
        found[side] = weight[side] * (placed[side] - mean) / weight[side].sum()
    return found, np.average(placed[own], weights=weight[own])


def kish(weight):
    return weight.sum() ** 2 / (weight**2).sum()


@pytest.mark.parametrize("weighted", [False, True])
def test_units_and_weights_by_definition(weighted):
    rng = np.random.default_rng(6)
    score, own, unit = np.round(rng.normal(size=150), 1), rng.random(150) < 0.3, rng.integers(0, 40, 150)
    score = score + np.round(0.5 * rng.normal(size=40), 1)[unit]
    weight = rng.uniform(0.5, 2, 150) if weighted else np.ones(150)
    found = sample(score, own, weight if weighted else None, unit)
    influence, mean = influences(score, own, weight)
    assert found.mean == pytest.approx(mean)
    variances, fourths, sizes, units = [], [], [], []
    for side in (own, ~own):
        of_unit = np.bincount(unit[side], influence[side])
        worth = kish(np.bincount(unit[side], weight[side]))
        variances.append((of_unit**2).sum() * worth / (worth - 1))
        fourths.append((of_unit**4).sum())
        units.append(worth)
        sizes.append(min(kish(weight[side]), worth))
    variance = sum(variances)
    assert found.variance == pytest.approx(variance) and found.sizes == pytest.approx(tuple(sizes))
    assert found.rests_on == pytest.approx(variance**2 / sum(fourths))
    welch = variance**2 / sum(v**2 / (n - 1) for v, n in zip(variances, units, strict=True))
    assert found.freedom == pytest.approx(welch)

    total = weight.sum()
    share = np.array([(weight[score < s].sum() + weight[score == s].sum() / 2) / total for s in score])

    def times(influence, unit):
        return (np.bincount(unit, influence) ** 2).sum() / (influence**2).sum()

    n = len(np.unique(unit))
    more, size = times(weight * (share - 0.5), unit) * n / (n - 1), times(weight, unit)
    correlation = np.clip((more - 1) / (size - 1), 0, 1)
    assert 0 < correlation < 1
    spread = (weight * (share - 0.5) ** 2).sum() * total / (total**2 - (weight**2).sum())
    equal = [
        spread * (1 + (times(weight[side], unit[side]) - 1) * correlation) / kish(weight[side])
        for side in (own, ~own)
    ]
    assert found.equal_variance == pytest.approx(sum(equal))


def test_trials_of_two_speakers_go_together_wherever_they_share_one():
    rng = np.random.default_rng(7)
    first, second = rng.integers(0, 24, (2, 200))
    score, own = np.round(rng.normal(size=24)[first] + rng.normal(size=200), 1), first < 12
    order = np.argsort(score, kind="stable")
    first, second, score, own = first[order], second[order], score[order], own[order]
    found = Placements.of(score, None, first, second).compare(own)
    influence, mean = influences(score, own, np.ones(200))
    sharing = np.logical_or.reduce(
        [x[:, None] == y[None, :] for x in (first, second) for y in (first, second)]
    )
    variance = 0.0
    for side in (own, ~own):
        n = len(np.union1d(first[side], second[side])) // 2
        variance += influence[side] @ sharing[np.ix_(side, side)] @ influence[side] * n / (n - 1)
    assert found.mean == pytest.approx(mean) and found.variance == pytest.approx(variance)


def test_a_limit_excludes_one_half_only_where_wilcoxons_test_does():
    apart = Sample(0.55, 1e-6, (50.0, 50.0), 50.0, 90.0, 1e-4)
    assert apart.interval(0.05)[0] > 0.5  # 5 standard errors
    alike = replace(apart, equal_variance=0.05**2 / 1.95**2)
    assert alike.interval(0.05)[0] == 0.5 and alike.interval(0.05)[1] == apart.interval(0.05)[1]
    below = replace(alike, mean=0.45)
    assert below.interval(0.05)[1] == 0.5 and below.interval(0.05)[0] < 0.45


def test_the_interval_is_the_aucs_at_students_quantile():
    one = Sample(0.7, 0.002, (30.6, 80.9), 25.0, 12.0, 1e-5)
    expected = auc_interval(0.7, 0.002, 30, 80, 25.0, float(student.isf(0.005, 12)))
    assert one.interval(0.01) == pytest.approx(expected)
    few = replace(one, freedom=0.2)
    assert few.interval(0.01) == pytest.approx(auc_interval(0.7, 0.002, 30, 80, 25.0, student.isf(0.005, 1)))


@pytest.mark.parametrize("unit", [None, "image_id"])
def test_every_group_and_class_is_recorded_and_all_hold_together(simulate, unit):
    frame = simulate(200, shift=0.8).drop(columns="pair_id")
    config = AuditConfig(attributes=("race", "gender"), unit_column=unit)
    table = score_table(frame, config)
    found = score_shifts(SortedScores.of(table), table.cells.groupings(), config)
    assert [(one.attribute, one.group, one.label) for one in found] == [
        (attribute, group, label)
        for attribute, groups in (("race", "ABC"), ("gender", ("Female", "Male")))
        for label in ("real", "fake")
        for group in groups
    ]
    for one in found:
        rows = frame[frame["label"] == (one.label == "fake")]
        own = (rows[one.attribute] == one.group).to_numpy()
        score = rows["score"].to_numpy()
        assert one.n == own.sum()
        middle = [np.quantile(score[side], 0.5, method="lower") for side in (own, ~own)]
        assert [one.median, one.median_of_others] == middle
        alone = sample(score, own)
        assert one.higher == pytest.approx(alone.mean) and one.reason is None
        assert one.interval == pytest.approx(alone.interval(1 - 0.95 ** (1 / 10)), rel=1e-6)


def test_nine_persons_on_one_side_are_too_few_and_take_no_share_of_the_level(simulate):
    frame = simulate(300).query("label == 0").drop(columns="pair_id").reset_index(drop=True)
    frame["person"] = np.where(frame["race"] == "C", "c" + (frame.index % 9).astype(str), frame["image_id"])
    config = AuditConfig(attributes=("race",), unit_column="person")
    table = score_table(frame, config)
    found = {s.group: s for s in score_shifts(SortedScores.of(table), table.cells.groupings(), config)}
    assert found["C"].interval is None and np.isnan(found["C"].higher)
    assert found["C"].reason == "fewer than 30 images, 10 units or no weight on one side"
    for group in "AB":
        alone = sample(frame["score"], frame["race"] == group, unit=pd.factorize(frame["person"])[0])
        assert found[group].interval == pytest.approx(alone.interval(1 - 0.95**0.5))


def test_a_group_alone_has_no_others():
    frame = pd.DataFrame({"label": 0, "score": np.arange(40.0), "race": "A"})
    table = score_table(frame, AuditConfig(attributes=("race",)))
    config = AuditConfig(attributes=("race",))
    [one] = score_shifts(SortedScores.of(table), table.cells.groupings(), config)
    assert (one.n, one.median, one.interval) == (40, 19.0, None) and np.isnan(one.median_of_others)
