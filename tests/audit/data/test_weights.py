"""Population weights: what they change, what they cost, and weights that are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.errors import MissingColumnError, ScoreTableError, WeightError
from audit.runs.score_audit import audit_file, audit_scores

CONFIG = AuditConfig(attributes=("race",), n_boot=300, weight_column="weight")
PLAIN = replace(CONFIG, weight_column=None)


def oversampled(seed, n=4000, gap=0.0):
    """Two strata: the rare one, of a tenth of the people but half of the images, is flagged more often.

    Group b has more images of the rare stratum; weighted back to the population, only `gap` is left.
    """
    rng = np.random.default_rng(seed)
    race = rng.choice(["a", "b"], n)
    rare = rng.random(n) < np.where(race == "b", 0.7, 0.3)
    flagged = rng.random(n) < 0.05 + 0.15 * rare + gap * (race == "b")
    drawn = np.where(race == "b", 0.7, 0.3)
    weight = np.where(rare, 0.1 / drawn, 0.9 / (1 - drawn))
    return pd.DataFrame({"label": 0, "score": flagged * 0.9, "race": race, "weight": weight})


def group(found, name):
    return next(g for g in found.groups if g.group == name)


def test_rates_are_those_of_the_population():
    frame = oversampled(0)
    found, plain = audit_scores(frame, CONFIG), audit_scores(frame, PLAIN)
    for name in "ab":
        of = frame[frame["race"] == name]
        assert group(found, name).fpr == pytest.approx(np.average(of["score"] > 0.5, weights=of["weight"]))
        assert group(found, name).n_real == len(of)
        assert group(found, name).fpr_worth < len(of)
    assert plain.verdicts[0].verdict == "disparity" and found.verdicts[0].verdict != "disparity"
    assert found.config.weight_column == "weight" and "the weights in weight stand for" in found.notes[0]


def test_equal_weights_change_nothing():
    frame = oversampled(1)
    found, plain = audit_scores(frame.assign(weight=7.5), CONFIG), audit_scores(frame, PLAIN)
    for name in "ab":
        one, other = group(found, name), group(plain, name)
        assert one.fpr == pytest.approx(other.fpr) and one.fpr_interval == pytest.approx(
            other.fpr_interval, rel=0.01
        )
    assert found.verdicts[0].gap_interval == pytest.approx(plain.verdicts[0].gap_interval, abs=0.002)


def test_a_weight_of_zero_is_an_image_that_says_nothing():
    frame = oversampled(2).assign(weight=1.0)
    frame.loc[frame.index % 2 == 0, "weight"] = 0.0
    found = audit_scores(frame, CONFIG)
    half = audit_scores(frame[frame["weight"] > 0], PLAIN)
    assert group(found, "a").fpr == pytest.approx(group(half, "a").fpr)
    assert group(found, "a").fpr_interval == pytest.approx(group(half, "a").fpr_interval, rel=0.02)


@pytest.mark.slow
def test_weighted_intervals_cover_the_population_rate():
    config, hits = replace(CONFIG, n_boot=100), 0
    for seed in range(25):
        low, high = group(audit_scores(oversampled(seed, n=600), config), "b").fpr_interval
        hits += low <= 0.05 + 0.15 * 0.1 <= high
    assert hits >= 20


def test_a_true_gap_of_the_population_is_found():
    assert audit_scores(oversampled(3, n=8000, gap=0.1), CONFIG).verdicts[0].verdict == "disparity"


def test_weights_and_units_together():
    frame = oversampled(4).assign(person=np.arange(4000) // 8)
    found = audit_scores(frame, replace(CONFIG, unit_column="person"))
    assert found.data.units.n_units == 500
    assert group(found, "a").fpr == pytest.approx(
        group(audit_scores(frame, replace(CONFIG, independent=True)), "a").fpr
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            -1.0,
            r"400 of 400 weights in column 'weight' are negative, missing or not finite, the first \(-1.0\)",
        ),
        (np.nan, "400 of 400 weights in column 'weight' are negative, missing or not finite"),
        (np.inf, "not finite"),
        ("heavy", r"the first \(heavy\) in row 1"),
        (0.0, "all 400 weights in column 'weight' are 0; give weights above 0"),
    ],
)
def test_weights_that_are_none_are_one_line(weights, message):
    with pytest.raises(WeightError, match=message) as fault:
        audit_scores(oversampled(5, n=400).assign(weight=weights), CONFIG)
    assert "\n" not in str(fault.value)


def test_a_file_and_a_column_that_is_not_there(tmp_path):
    frame = oversampled(6)
    frame.to_csv(tmp_path / "s.csv", index=False)
    found = audit_file(tmp_path / "s.csv", tmp_path / "run", CONFIG)
    assert found.verdicts == audit_scores(frame, CONFIG).verdicts
    with pytest.raises(MissingColumnError, match="no column 'mass'"):
        audit_scores(frame, replace(CONFIG, weight_column="mass"))


def scored(seed, n=1500):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    rare = rng.random(n) < 0.5
    score = rng.normal(size=n) + 1.5 * label + rare * (1 - label)
    race = rng.choice(["a", "b"], n)
    return pd.DataFrame({"label": label, "score": score, "race": race, "weight": np.where(rare, 0.2, 1.8)})


def test_auc_and_eer_are_those_of_the_population():
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

    frame = scored(0)
    found = audit_scores(frame, CONFIG).overall
    weight = dict(sample_weight=frame["weight"])
    assert found.auc == pytest.approx(roc_auc_score(frame["label"], frame["score"], **weight))
    assert found.average_precision == pytest.approx(
        average_precision_score(frame["label"], frame["score"], **weight)
    )
    fpr, tpr, _ = roc_curve(frame["label"], frame["score"], drop_intermediate=False, **weight)
    crossing = np.interp(0, (fpr + tpr - 1), fpr)
    assert found.eer == pytest.approx(crossing, abs=1e-6)
    assert abs(found.auc - audit_scores(frame, PLAIN).overall.auc) > 0.02


def test_whole_weights_are_copies():
    """Rates, curves and AUC as with every image so many times; the intervals of the sample as it is."""
    frame = scored(1, 400)
    frame["weight"] = np.random.default_rng(2).integers(0, 4, 400)
    copies = frame.loc[frame.index.repeat(frame["weight"])].drop(columns="weight")
    found, many = audit_scores(frame, CONFIG), audit_scores(copies, replace(PLAIN, independent=True))
    for one, other in zip([found.overall, *found.groups], [many.overall, *many.groups], strict=True):
        assert one.auc == pytest.approx(other.auc)
        assert one.eer == pytest.approx(other.eer)
        assert one.apcer_at_bpcer == pytest.approx(other.apcer_at_bpcer)
        assert np.diff(one.auc_interval) > np.diff(other.auc_interval)
    assert [one.fnr for one in found.fnr_at_fpr] == pytest.approx([one.fnr for one in many.fnr_at_fpr])


def test_equal_weights_leave_auc_and_eer_as_they_are():
    frame = scored(3)
    found, plain = audit_scores(frame.assign(weight=3.0), CONFIG), audit_scores(frame, PLAIN)
    for one, other in zip([found.overall, *found.groups], [plain.overall, *plain.groups], strict=True):
        assert one.auc == pytest.approx(other.auc)
        assert one.auc_interval == pytest.approx(other.auc_interval, abs=0.001)
        assert one.eer_interval == pytest.approx(other.eer_interval, abs=0.002)


@pytest.mark.parametrize("rule", ["fpr=0.05", "eer"])
def test_a_rule_finds_its_threshold_by_weight(rule):
    frame = scored(4, 4000)
    found, plain = (audit_scores(frame, replace(c, threshold=rule)) for c in (CONFIG, PLAIN))
    assert found.config.threshold < plain.config.threshold  # reals that score high weigh little


def test_a_promise_is_refused_where_images_carry_weights():
    with pytest.raises(ScoreTableError, match="promises something of images that are independent"):
        audit_scores(scored(5), replace(CONFIG, threshold="fpr<=0.05@95%"))
