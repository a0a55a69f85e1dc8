"""Calibration by group: counted by hand, honest about scores that are no probabilities, units and weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from audit.config import AuditConfig
from audit.data import spans
from audit.data.score_table import score_table
from audit.metrics.score_calibration import NOT_PROBABILITIES, OF_TRIALS, calibrations
from audit.runs.score_audit import audit_scores

CONFIG = AuditConfig(attributes=("race",), n_boot=100)


def drawn(n, seed=0, off=None):
    rng = np.random.default_rng(seed)
    race = rng.choice(["A", "B"], n)
    place = rng.normal(0, 2, n)
    label = (rng.random(n) < 1 / (1 + np.exp(-place))).astype(int)
    place = place + (race == "B") * (off or 0.0)
    return pd.DataFrame({"label": label, "score": 1 / (1 + np.exp(-place)), "race": race})


def of(record, group):
    return next(one for one in record.calibration if one.group == group)


def test_counted_by_hand():
    frame = pd.DataFrame(
        {"label": [0, 1, 1, 1, 0, 1], "score": [0.15, 0.15, 0.95, 0.95, 0.95, 1.0], "race": ["A"] * 6}
    )
    one = of(audit_scores(frame, CONFIG), "overall")
    assert one.mean_score == pytest.approx(4.15 / 6)
    assert one.share_fake == pytest.approx(4 / 6)
    # range 0.1-0.2: 0.30 against 1 fake; range 0.9-1: 3.85 against 3
    assert one.ece == pytest.approx((0.7 + 0.85) / 6)
    assert one.ece_interval is None
    assert "fewer than 30" in one.reason


def test_a_calibrated_detector_is_not_accused_and_a_group_off_by_a_logit_is():
    record = audit_scores(drawn(4_000, off=1.0), CONFIG)
    calibrated, off = of(record, "A"), of(record, "B")
    assert calibrated.ece_interval[0] == 0
    assert calibrated.difference_interval[0] < 0 < calibrated.difference_interval[1]
    assert off.difference_interval[0] > 0.05
    assert off.ece_interval[0] > 0.05
    assert off.ece_interval[0] <= off.ece <= off.ece_interval[1]


def test_scores_that_are_no_probabilities_are_said_to_be_none(simulate):
    record = audit_scores(simulate(60), CONFIG)
    assert record.calibration == []
    assert record.calibration_reason == NOT_PROBABILITIES


def test_halves_of_a_pair_count_as_one_source():
    frame = drawn(400).assign(pair_id=lambda f: f.groupby("label").cumcount().map("p{}".format))
    frame["race"] = "A"
    by_pairs = of(audit_scores(frame, CONFIG), "overall")
    units = audit_scores(frame, AuditConfig(attributes=("race",), n_boot=100, unit_column="pair_id"))
    assert by_pairs.difference_interval == pytest.approx(of(units, "overall").difference_interval)
    assert by_pairs.ece_interval == pytest.approx(of(units, "overall").ece_interval)


def test_ten_copies_by_unit_are_as_certain_as_one():
    frame = drawn(200)
    copies = frame.loc[frame.index.repeat(10)].assign(person=np.repeat(np.arange(200), 10))
    once = audit_scores(frame, CONFIG)
    many = audit_scores(copies, AuditConfig(attributes=("race",), n_boot=100, unit_column="person"))
    widths = [np.diff(of(record, "A").difference_interval)[0] for record in (once, many)]
    assert widths[1] == pytest.approx(widths[0], rel=0.2)  # and not a third of it


def test_a_weight_of_zero_leaves_an_image_out():
    frame = drawn(300)
    extra = drawn(300, seed=1, off=5.0).assign(score=0.99, label=0)
    both = pd.concat([frame.assign(w=1.0), extra.assign(w=0.0)], ignore_index=True)
    record = audit_scores(both, AuditConfig(attributes=("race",), n_boot=100, weight_column="w"))
    assert of(record, "overall").ece == pytest.approx(of(audit_scores(frame, CONFIG), "overall").ece)


@pytest.mark.parametrize("each", [1, 10])
def test_a_group_without_an_error_is_not_certain(each):
    """Of 100 fakes of which none is missed, as many as 3 % can be missed in truth (rule of three)."""
    label = np.tile([0, 1], 100).repeat(each)
    frame = pd.DataFrame({"label": label, "score": np.where(label == 1, 1 - 1e-5, 1e-5), "race": "A"})
    config = AuditConfig(attributes=("race",), n_boot=100, unit_column="person" if each > 1 else None)
    one = of(audit_scores(frame.assign(person=np.arange(200).repeat(each)), config), "A")
    assert one.difference_interval[0] < -3 / 200 < 3 / 200 < one.difference_interval[1]
    assert one.ece_interval[0] == 0 and one.ece_interval[1] > 3 / 200
    assert one.ece_interval[1] < 6 / 200


def mistake_by_hand(unit, image, alone, together):
    """A unit judged wholly wrongly weighs `unit`; its images go together as far as the sums show."""
    times = min(max((together + unit**2) / (alone + unit * image), 1.0), max(unit / image, 1.0))
    return np.sqrt(unit * image * times)


def limits_by_hand(rows, alpha):
    """Difference, its limits, ECE and its limits, from sums of units as numpy's covariance has them.

    Args:
        rows: score, label, weight, unit.
        alpha: 1 - confidence.
    """
    w, total = rows["weight"], rows["weight"].sum()
    column = np.minimum((rows["score"] * 10).astype(int), 9)
    apart = w * (rows["score"] - rows["label"])
    of_unit = pd.crosstab(rows["unit"], column, values=apart, aggfunc="sum").fillna(0)
    of_unit = of_unit.reindex(columns=range(10), fill_value=0.0)
    size = w.groupby(rows["unit"]).sum()
    n = total**2 / (size**2).sum()
    excess = of_unit.sum() / total
    rest = of_unit.to_numpy() - np.outer(size, excess)
    covariance = rest.T @ rest / total**2 * n / (n - 1)
    least = (
        (w**2 * rows["score"] * (1 - rows["score"])).groupby(column).sum().reindex(range(10), fill_value=0)
    )
    covariance += np.diag(np.maximum(least / total**2 - np.diag(covariance), 0))
    most = w.groupby([rows["unit"], rows["label"]]).sum().groupby("unit").max()
    unit, image = (most**2).sum() / most.sum(), (w**2).sum() / total
    one = mistake_by_hand(unit, image, (apart**2).sum(), covariance.sum() * total**2) / total
    covariance[0, 0] += one**2
    covariance[9, 9] += one**2
    t = student.isf(alpha / 2, n - 1)
    variance = covariance.sum()
    shift = (1 + 2 * t**2) / 6 * one**3 / (variance - one**2)
    middle, reach = excess.sum(), t * np.sqrt(variance) + shift
    ece = excess.abs().sum()
    drawn = np.random.default_rng(0).multivariate_normal(np.zeros(10), covariance, 40_000)
    drawn = drawn * t / norm.isf(alpha / 2)
    low = max(0.0, ece - np.quantile(np.abs(drawn).sum(axis=1), 1 - alpha / 2))
    high = ece - np.quantile(drawn @ np.where(excess < 0, -1, 1), alpha / 2)
    return middle, (middle - reach, middle + reach), ece, (max(0.0, low - shift), high + shift)


def of_table(frame, **options):
    config = AuditConfig(attributes=("race",), **options)
    table = score_table(frame, config)
    return calibrations(table, table.cells.groupings(), config)[0]


@pytest.mark.parametrize("kind", ["images", "units", "weights"])
def test_limits_are_those_of_the_sums_by_range_and_unit(kind, monkeypatch):
    """Of two groups, both kept to 1 - confidence together (Sidak); all images alone."""
    monkeypatch.setattr(spans, "SPAN", 64)
    rng = np.random.default_rng(4)
    frame = drawn(400, off=1.5).assign(weight=1.0, unit=np.arange(400))
    options = {}
    if kind == "units":
        frame["unit"] = rng.integers(0, 90, 400)
        frame["score"] = np.clip(frame["score"] + rng.normal(0, 0.2, 90)[frame["unit"]], 0, 1)
        options = {"unit_column": "unit"}
    if kind == "weights":
        frame["weight"], options = rng.uniform(0.5, 2, 400), {"weight_column": "weight"}
        frame["weight"] /= frame["weight"].mean()
    records = of_table(frame, **options)
    assert [(one.attribute, one.group) for one in records] == [
        ("overall", "overall"), ("race", "A"), ("race", "B"),
    ]  # fmt: skip
    for one in records:
        rows = frame if one.group == "overall" else frame[frame["race"] == one.group]
        alpha = 0.05 if one.group == "overall" else 1 - 0.95**0.5
        middle, limits, ece, around = limits_by_hand(rows, alpha)
        assert one.n == len(rows) and one.mean_score - one.share_fake == pytest.approx(middle)
        assert one.mean_score == pytest.approx(np.average(rows["score"], weights=rows["weight"]))
        assert one.difference == pytest.approx(middle) and one.ece == pytest.approx(ece)
        assert one.difference_interval == pytest.approx(limits)
        assert one.ece_interval == pytest.approx(around, abs=0.004)


def test_halves_of_pairs_are_one_unit_in_every_group_and_part(monkeypatch):
    monkeypatch.setattr(spans, "SPAN", 64)
    frame = drawn(400, off=1.0).sort_values("label", ignore_index=True)
    frame["pair_id"] = frame.groupby(["label", "race"]).cumcount().astype(str) + frame["race"]
    for one in of_table(frame):
        rows = frame if one.group == "overall" else frame[frame["race"] == one.group]
        rows = rows.assign(weight=1.0, unit=rows["pair_id"])
        size = rows.groupby("unit")["label"].transform("size")
        assert set(size) == {1, 2}
        alpha = 0.05 if one.group == "overall" else 1 - 0.95**0.5
        _, limits, _, _ = limits_by_hand(rows, alpha)
        assert one.difference_interval == pytest.approx(limits, rel=1e-3)


def test_groups_that_are_too_small_take_no_share_of_the_level():
    frame = pd.concat([drawn(300), drawn(20, seed=1).assign(race="C")], ignore_index=True)
    by_group = {one.group: one for one in of_table(frame)}
    reason = "fewer than 30 images or 10 units"
    assert (by_group["C"].difference_interval, by_group["C"].reason) == (None, reason)
    assert by_group["A"].reason is None
    rows = frame[frame["race"] == "A"].reset_index(drop=True)
    _, limits, _, _ = limits_by_hand(rows.assign(weight=1.0, unit=rows.index), 1 - 0.95**0.5)
    assert by_group["A"].difference_interval == pytest.approx(limits)


def test_nine_persons_are_too_few_and_a_missing_label_is_no_group():
    frame = drawn(300).assign(person=np.arange(300) % 9)
    frame.loc[:40, "race"] = None
    records = of_table(frame, unit_column="person")
    assert [one.group for one in records] == ["overall", "A", "B"]
    assert all(one.difference_interval is None and one.ece_interval is None for one in records)
    assert of_table(frame.assign(person=np.arange(300) % 10), unit_column="person")[0].ece_interval


@pytest.mark.parametrize(("score", "told"), [(-1e-9, False), (1 + 1e-9, False), (0.0, True), (1.0, True)])
def test_probabilities_lie_from_zero_to_one(score, told):
    frame = drawn(100)
    frame.loc[0, "score"] = score
    assert bool(of_table(frame)) == told


def test_the_share_of_genuine_trials_is_nobodys_calibration():
    frame = pd.DataFrame(
        {"image_id": ["a", "b"], "label": [0, 1], "score": [0.1, 0.9], "race": "A", "speaker": ["x", "x"],
         "other_speaker": ["y", "x"]}
    )  # fmt: skip
    config = AuditConfig(task="speaker-verification", attributes=("race",))
    table = score_table(frame, config)
    assert calibrations(table, table.cells.groupings(), config) == ([], OF_TRIALS)
