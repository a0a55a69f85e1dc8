"""Threshold rules, and the split that keeps them honest."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from audit.config import AuditConfig, ThresholdRule, parse_rule
from audit.data.score_table import score_table
from audit.errors import ConfigError, ScoreTableError
from audit.metrics.error_curves import error_curve
from audit.metrics.operating_point import (
    Sides,
    calibration_rows,
    check_promise,
    errors_allowed,
    operating_point,
    pick_threshold,
)
from audit.runs.score_audit import audit_scores
from audit.task import FAKE_FACE


@pytest.mark.parametrize(
    ("text", "kind", "value", "shown"),
    [
        ("0.5", "fixed", 0.5, "fixed"),
        (-2, "fixed", -2.0, "fixed"),
        ("1e-3", "fixed", 0.001, "fixed"),
        ("EER", "eer", 0.0, "eer"),
        (" youden ", "youden", 0.0, "youden"),
        ("fpr=0.010", "fpr", 0.01, "fpr=0.01"),
        ("fnr=0.05", "fnr", 0.05, "fnr=0.05"),
    ],
)
def test_rules(text, kind, value, shown):
    assert parse_rule(text) == ThresholdRule(kind, value)
    assert str(parse_rule(text)) == shown


@pytest.mark.parametrize("text", ["", "best", "fpr", "fpr=0", "fpr=1.5", "eer=0.1", "nan", "inf", "fpr=x"])
def test_no_rules(text):
    with pytest.raises(ConfigError, match="neither a number nor one of eer"):
        parse_rule(text)


def test_picked_by_hand():
    fake = np.array([0, 0, 1, 0, 0, 1, 0, 1, 1, 1], bool)
    curve = error_curve(np.arange(10.0), fake)
    assert pick_threshold(curve, parse_rule("fpr=0.2")) == 5  # flags the real image 6 only
    assert pick_threshold(curve, parse_rule("fpr=0.1")) == 7
    assert pick_threshold(curve, parse_rule("fnr=0.2")) == 5
    assert pick_threshold(curve, parse_rule("fnr=0.1")) == 2
    assert pick_threshold(curve, parse_rule("eer")) == 5
    assert pick_threshold(curve, parse_rule("youden")) == 7  # ties with 5, fewer accusations
    inverted = error_curve(np.array([0.0, 1.0]), np.array([True, False]))
    assert pick_threshold(inverted, parse_rule("fpr=0.1")) > 1.0


@pytest.mark.parametrize("rule", ["eer", "youden", "fpr=0.1", "fnr=0.1"])
def test_rule_holds_on_the_images_it_was_fixed_on(simulate, rule):
    table = score_table(simulate(1000), AuditConfig(threshold=rule))
    threshold, audited = operating_point(table, parse_rule(rule), 0.3, 0, FAKE_FACE)
    chosen = calibration_rows(table, 0.3, 0)
    assert len(audited) == (~chosen).sum()
    held = table.take(chosen)
    fpr = (held.score[~held.fake] >= threshold).mean()
    fnr = (held.score[held.fake] < threshold).mean()
    if rule == "fpr=0.1":
        assert fpr <= 0.1 < fpr + 0.01
    if rule == "fnr=0.1":
        assert fnr <= 0.1 < fnr + 0.01
    if rule == "eer":
        assert fpr == pytest.approx(fnr, abs=0.01)


def test_split_keeps_pairs_together_and_the_share(simulate):
    table = score_table(simulate(2000), AuditConfig(threshold="eer"))
    chosen = calibration_rows(table, 0.3, 0)
    assert (chosen[table.real_row] == chosen[table.fake_row]).all()
    assert chosen.mean() == pytest.approx(0.3, abs=0.03)
    other = calibration_rows(table, 0.3, 1)
    assert (chosen & other).mean() == pytest.approx(0.09, abs=0.03)


def test_split_does_not_depend_on_the_order_of_rows(simulate):
    frame = simulate(500)
    order = np.random.default_rng(0).permutation(len(frame))
    config = AuditConfig(threshold="eer")
    first = calibration_rows(score_table(frame, config), 0.3, 0)
    second = calibration_rows(score_table(frame.iloc[order], config), 0.3, 0)
    assert (first[order] == second).all()


def test_a_table_that_lost_its_keys_is_split_as_it_was_told(simulate):
    table = score_table(simulate(300), AuditConfig(threshold="eer"), by_score=True)
    sides, rule = Sides.of(table, 0.3, 7), parse_rule("eer")
    assert 0 < sides.fixing.sum() < len(table) and (sides.audited == ~sides.fixing).all()
    wanted, kept = operating_point(table, rule, 0.3, 7, FAKE_FACE)
    found, audited = operating_point(table.without_keys(), rule, 0.3, 7, FAKE_FACE, sides)
    assert found == wanted and (audited.score == kept.score).all() and len(audited) == sides.audited.sum()


def test_number_leaves_every_image_in(simulate):
    table = score_table(simulate(50), AuditConfig())
    assert operating_point(table, parse_rule(0.25), 0.3, 0, FAKE_FACE) == (0.25, table)


@pytest.mark.parametrize("threshold", [0.7, 0.1, 0.5, 1e300, -3.3])
def test_scores_of_single_precision_on_the_threshold_are_called_fake(simulate, threshold):
    """As numpy and pandas compare them: a vendor's 0.7 is at 0.7, whatever the column's type."""
    score = np.clip(np.round(simulate(50)["score"], 1), 0, 1) if threshold != -3.3 else np.full(100, -3.3)
    single = simulate(50).assign(score=score).astype({"score": "float32"})
    table = score_table(single, AuditConfig())
    found, _ = operating_point(table, parse_rule(threshold), 0.3, 0, FAKE_FACE)
    flagged = (single["score"] >= np.float32(min(threshold, 3e38))).to_numpy()
    assert ((table.score >= found) == flagged).all()
    assert operating_point(score_table(single.astype({"score": float}).round(1), AuditConfig()),
                           parse_rule(threshold), 0.3, 0, FAKE_FACE)[0] == threshold  # fmt: skip


def test_one_class_cannot_fix_a_rule(simulate):
    frame = simulate(50)
    table = score_table(frame[frame["label"] == 1], AuditConfig(threshold="eer"))
    with pytest.raises(ScoreTableError, match="'eer' needs real and fake images both"):
        operating_point(table, parse_rule("eer"), 0.3, 0, FAKE_FACE)


def test_a_promise_is_kept_in_truth_and_a_plain_rule_is_not():
    """Normal scores: samples whose threshold flags more than 5 % of all reals, or misses as many fakes."""
    rng, n = np.random.default_rng(9), 400
    exceeded = dict.fromkeys(("fpr=0.05", "fpr<=0.05@95%", "fnr=0.05", "fnr<=0.05@95%"), 0)
    for _ in range(400):
        score, fake = np.r_[rng.normal(size=n), rng.normal(2, 1, n)], np.repeat([False, True], n)
        order = np.argsort(score)
        curve = error_curve(score[order], fake[order])
        for rule in exceeded:
            threshold = pick_threshold(curve, parse_rule(rule))
            true = norm.sf(threshold) if rule.startswith("fpr") else norm.cdf(threshold - 2)
            exceeded[rule] += true > 0.05
    assert 0 < exceeded["fpr<=0.05@95%"] <= 33 and 0 < exceeded["fnr<=0.05@95%"] <= 33
    assert 160 <= exceeded["fpr=0.05"] <= 260 and 160 <= exceeded["fnr=0.05"] <= 260


def test_ties_keep_the_promise():
    fake = np.repeat([False, True], [400, 10])
    score = np.r_[np.repeat([0.1, 0.5], [370, 30]), np.full(10, 0.9)]
    threshold = pick_threshold(error_curve(score, fake), parse_rule("fpr<=0.05@95%"))
    assert threshold == 0.9 and errors_allowed(400, 0.05, 0.95) == 12


@pytest.mark.parametrize(
    "text", ["fpr<=0.01", "fpr<=0.01@95", "fpr<=2@95%", "fpr<=0.01@100%", "eer<=0.1@95%"]
)
def test_no_promises(text):
    with pytest.raises(ConfigError, match="neither a number nor one of eer"):
        parse_rule(text)


def test_too_few_images_for_a_promise(simulate):
    table = score_table(simulate(500), AuditConfig(threshold="fpr<=0.01@95%"))
    with pytest.raises(ScoreTableError, match=r"needs 299 real images to be fixed on, and a share of 0\.3"):
        operating_point(table, parse_rule("fpr<=0.01@95%"), 0.3, 0, FAKE_FACE)
    with pytest.raises(ScoreTableError, match=r"'fnr<=0\.05@90%' needs 45 fakes"):
        check_promise(parse_rule("fnr<=0.05@90%"), 50, 0.3, FAKE_FACE)
    check_promise(parse_rule("fnr<=0.05@90%"), 500, 0.3, FAKE_FACE)


def test_the_page_says_how_often_a_plain_rule_is_exceeded(simulate):
    plain = audit_scores(simulate(3000), AuditConfig(threshold="fpr=0.01", n_boot=100))
    [note] = [note for note in plain.notes if "such samples" in note]
    assert "(fpr=0.01): in about 43 of 100" in note and "'fpr<=0.01@95%' keeps it in 95 of 100" in note
    promised = audit_scores(simulate(3000), AuditConfig(threshold="fpr<=0.01@95%", n_boot=100))
    assert promised.config.threshold_rule == "fpr<=0.01@95%"
    assert promised.config.threshold > plain.config.threshold
    assert not [note for note in promised.notes if "such samples" in note]
