"""Input that nothing can be concluded from: one clear line, or "cannot be separated", never a number.

Each through `audit_scores` or a file.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audit.config import AuditConfig
from audit.errors import UnclearTableError, UnitError, WeightError
from audit.runs.score_audit import audit_score_file, audit_scores

CONFIG = AuditConfig(attributes=("race",), n_boot=100)


def table(seed=0, n=400):
    rng = np.random.default_rng(seed)
    label, race = rng.integers(0, 2, n), rng.choice(["A", "B"], n)
    score = np.clip(0.3 + 0.4 * label + 0.2 * rng.normal(size=n), 0, 1)
    return pd.DataFrame({"label": label, "score": score, "race": race})


def one_line(raised):
    text = str(raised.value)
    assert "\n" not in text and len(text) < 300


def test_one_unit_only():
    with pytest.raises(UnitError, match="all 400 images have the same person: none is independent") as raised:
        audit_scores(table().assign(person="p"), replace(CONFIG, unit_column="person"))
    one_line(raised)


def test_all_units_with_one_image_change_nothing():
    frame = table()
    found = audit_scores(frame.assign(person=range(400)), replace(CONFIG, unit_column="person"))
    plain = audit_scores(frame, CONFIG)
    assert any("Every person has one image" in note for note in found.notes)
    assert found.overall.auc_interval == pytest.approx(plain.overall.auc_interval, abs=0.002)
    for one, other in zip(found.score_shifts, plain.score_shifts, strict=True):
        assert one.interval == pytest.approx(other.interval)


def test_one_unit_in_a_group_is_shown_and_not_compared():
    frame = table().assign(person=lambda f: np.where(f.race == "B", "same", np.arange(len(f)).astype(str)))
    found = audit_scores(frame, replace(CONFIG, unit_column="person"))
    assert {v.verdict for v in found.verdicts} == {"insufficient evidence"}
    assert all(math.isnan(v.gap) for v in found.verdicts)
    assert all(one.interval is None and one.reason for one in found.score_shifts)
    assert all(one.difference_interval is None for one in found.calibration if one.group == "B")


@pytest.mark.parametrize("blur", ["by group", "within each group"])
def test_a_control_constant_within_groups_cannot_be_separated(blur):
    frame = table(1, 4000)
    frame["score"] = np.where(
        (frame.label == 0) & (frame.race == "A"), np.random.default_rng(2).random(len(frame)), frame.score
    )
    frame["blur"] = np.where(frame.race == "A", 1.0, 2.0) if blur == "by group" else 1.0
    found = audit_scores(frame, replace(CONFIG, controls=("blur",)))
    [held] = [gap for gap in found.adjusted_gaps if gap.rate == "fpr"]
    assert held.interval is None and held.reason
    assert math.isnan(held.adjusted)
    if blur == "by group":
        assert not held.separable


def test_perfect_separation_cannot_be_separated():
    frame = table(3, 4000)
    quality = np.random.default_rng(4).normal(size=len(frame)) - 8 * (frame.race == "A")
    frame["score"] = np.where(frame.label == 0, np.where(quality < -4, 0.9, 0.1), 0.9)
    found = audit_scores(frame.assign(quality=quality), replace(CONFIG, controls=("quality",)))
    [held] = [gap for gap in found.adjusted_gaps if gap.rate == "fpr"]
    assert not held.separable and math.isnan(held.adjusted) and held.interval is None


@pytest.mark.parametrize(
    ("weight", "message"),
    [(-1.0, "400 of 400 weights in column 'w' are negative"), (0.0, "all 400 weights in column 'w' are 0")],
)
def test_weights_that_are_none(weight, message):
    with pytest.raises(WeightError, match=message) as raised:
        audit_scores(table().assign(w=weight), replace(CONFIG, weight_column="w"))
    one_line(raised)


@pytest.mark.parametrize("nothing", ["group", "class"])
def test_a_group_or_class_that_weighs_nothing_has_no_numbers(nothing):
    frame = table().assign(w=1.0)
    frame.loc[(frame.race == "B") if nothing == "group" else (frame.label == 1), "w"] = 0.0
    found = audit_scores(frame, replace(CONFIG, weight_column="w"))
    assert {v.verdict for v in found.verdicts if v.rate == "fnr" or nothing == "group"} == {
        "insufficient evidence"
    }
    if nothing == "group":
        [empty] = [g for g in found.groups if g.group == "B"]
        assert math.isnan(empty.fpr) and math.isnan(empty.auc)
        assert all(one.interval is None for one in found.score_shifts)
    else:
        assert math.isnan(found.overall.auc) and math.isnan(found.overall.fnr)
        assert found.fnr_at_fpr == []
    json.loads(found.to_json())


def test_one_score_for_all_images_shifts_nothing():
    found = audit_scores(table().assign(score=0.5), CONFIG)
    assert [one.higher for one in found.score_shifts] == [0.5] * 4
    assert all(one.interval[0] <= 0.5 <= one.interval[1] for one in found.score_shifts)
    assert found.overall.auc == 0.5


def test_scores_of_zero_and_one_alone_have_a_calibration():
    frame = table().assign(score=lambda f: (f.score > 0.5).astype(float))
    for one in audit_scores(frame, CONFIG).calibration:
        assert 0 <= one.ece_interval[0] <= one.ece <= one.ece_interval[1] <= 1


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_two_columns_of_one_name_are_not_guessed_between(tmp_path, ending):
    path = tmp_path / f"scores.{ending}"
    columns = [[0, 1] * 40, [0.1, 0.9] * 40, [0.9, 0.1] * 40, ["A", "A", "B", "B"] * 20]
    names = ["label", "score", "score", "race"]
    if ending == "csv":
        rows = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
        path.write_text("\n".join([",".join(names), *rows]) + "\n")
    else:
        pq.write_table(pa.table([pa.array(column) for column in columns], names=names), path)
    with pytest.raises(UnclearTableError, match="has two columns 'score'; rename or drop one of them"):
        audit_score_file(path, CONFIG)
