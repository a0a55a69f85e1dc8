"""The whole audit on small tables: what is in the record, what does not change it, what it refuses."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from audit.config import AuditConfig, Columns
from audit.errors import ConfigError, ExpectedError, RunFolderError
from audit.metrics.disparity import MEASURES
from audit.metrics.one_vs_rest import REST_MEASURES
from audit.runs import score_audit
from audit.runs.run_folder import write_circumstances, write_result
from audit.runs.score_audit import Extras, audit_file, audit_scores
from audit.schema.result import AuditResult

FAST = AuditConfig(attributes=("gender", "race"), n_boot=200, threshold=0.0)


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(5)
    n = 900
    groups = pd.DataFrame({
        "age": rng.choice(["3-9", "20-29"], n), "gender": rng.choice(["F", "M"], n),
        "race": rng.choice(["A", "B", "C"], n),
    })  # fmt: skip
    person = rng.normal(size=n)
    real = person - 1.5 + rng.normal(size=n) + 1.2 * (groups["race"] == "B")
    fake = person + 1.5 + rng.normal(size=n)
    ids = pd.Series([f"p{i}" for i in range(n)])
    return pd.concat(
        [groups.assign(pair_id=ids, image_id="r" + ids, label=0, score=real),
         groups.assign(pair_id=ids, image_id="f" + ids, label=1, score=fake)],
        ignore_index=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def result(frame):
    return audit_scores(frame, FAST)


def numbers(content):
    """Every number of a record, in order."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list | tuple):
        return [number for part in content for number in numbers(part)]
    return [content] if isinstance(content, int | float) else []


def test_everything_is_there(frame):
    result = audit_scores(frame, AuditConfig(n_boot=200))
    attributes = {"age", "gender", "race", "age:gender", "age:race", "gender:race", "age:gender:race"}
    assert {group.attribute for group in result.groups} == attributes
    assert {gap.attribute for gap in result.gaps} == attributes
    assert {gap.measure for gap in result.gaps} == set(MEASURES) | set(REST_MEASURES)
    assert [(v.attribute, v.rate) for v in result.verdicts][:2] == [("age", "fpr"), ("age", "fnr")]
    assert len(result.verdicts) == result.n_tests == 14
    n_groups = len(result.groups)
    assert len(result.curves) == len(result.histograms) == len(result.sweep) == n_groups + 1
    assert result.data.n_pairs == 900 and result.data.n_images == 1800


def test_numbers_of_a_group(frame, result):
    rows = frame[(frame["gender"] == "F") & (frame["race"] == "B")]
    [group] = [g for g in result.groups if g.group == "F:B"]
    flagged = rows["score"] >= 0
    real = rows["label"] == 0
    assert (group.n_real, group.n_fake) == (real.sum(), (~real).sum())
    assert group.fpr == pytest.approx(flagged[real].mean())
    assert group.fnr == pytest.approx(1 - flagged[~real].mean())
    assert group.auc == pytest.approx(roc_auc_score(rows["label"], rows["score"]))
    assert (
        group.acer == pytest.approx((group.fpr + group.fnr) / 2) == pytest.approx(1 - group.balanced_accuracy)
    )
    assert group.fpr_interval[0] < group.fpr < group.fpr_interval[1]


def test_planted_disparity_is_found_and_nothing_else(result):
    found = {(v.attribute, v.rate) for v in result.verdicts if v.verdict == "disparity"}
    assert ("race", "fpr") in found
    assert not {attribute for attribute, _ in found if "race" not in attribute}
    assert not {rate for _, rate in found} - {"fpr"}


def test_curves_histograms_and_sweeps_agree_with_the_counts(result):
    at = result.sweep_thresholds.index(0.0)
    by_name = {(g.attribute, g.group): g for g in result.groups}
    for sweep, histogram in zip(result.sweep[1:], result.histograms[1:], strict=True):
        group = by_name[sweep.attribute, sweep.group]
        assert (sweep.fp[at], sweep.fn[at]) == (group.confusion.fp, group.confusion.fn)
        assert (sum(histogram.real), sum(histogram.fake)) == (group.n_real, group.n_fake)
    for curve in result.curves:
        assert curve.fpr[0] == 1 and curve.fnr[-1] == 1 and curve.fpr[-1] == curve.fnr[0] == 0


def test_round_trip(result):
    assert AuditResult.from_json(result.to_json()).to_json() == result.to_json()


def test_order_of_rows_changes_nothing(frame, result):
    mixed = frame.sample(frac=1, random_state=1).reset_index(drop=True)
    other = audit_scores(mixed, FAST)
    ours, theirs = (numbers(json.loads(one.to_json())) for one in (result, other))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_names_of_groups_change_nothing_but_names(frame, result):
    renamed = frame.assign(race=frame["race"].replace({"A": "z", "B": "y", "C": "x"}))
    other = audit_scores(renamed, FAST)
    for mine, theirs in zip(result.verdicts, other.verdicts, strict=True):
        drop = {"worst_group", "best_group", "explanation"}
        ours, other_way = (numbers(one.model_dump(exclude=drop)) for one in (mine, theirs))
        assert mine.verdict == theirs.verdict
        np.testing.assert_allclose(ours, other_way, rtol=1e-9)
    spread = {(gap.attribute, gap.measure): gap for gap in other.gaps if len(gap.groups) != 1}
    for gap in result.gaps:
        if len(gap.groups) != 1:
            twin = spread[gap.attribute, gap.measure]
            assert (gap.value, gap.interval) == (
                pytest.approx(twin.value), None if twin.interval is None else pytest.approx(twin.interval)
            )  # fmt: skip


def test_swapping_the_classes_swaps_the_rates(frame, result):
    other = audit_scores(frame.assign(label=1 - frame["label"], score=-frame["score"]), FAST)
    for mine, theirs in zip(result.groups, other.groups, strict=True):
        assert (mine.fpr, mine.fnr) == (theirs.fnr, theirs.fpr)
        assert mine.fpr_interval == theirs.fnr_interval and mine.auc == pytest.approx(theirs.auc)


def test_merging_identical_groups_changes_no_rate(frame):
    twice = pd.concat([frame.assign(race="A"), frame.assign(
        race="B", pair_id="x" + frame["pair_id"], image_id="x" + frame["image_id"])])  # fmt: skip
    apart = audit_scores(twice, AuditConfig(n_boot=200, threshold=0.0, attributes=["race"]))
    merged = audit_scores(frame.assign(race="A"), AuditConfig(n_boot=200, threshold=0.0, attributes=["race"]))
    for group in apart.groups:
        assert (group.fpr, group.fnr, group.auc) == (
            merged.groups[0].fpr,
            merged.groups[0].fnr,
            merged.groups[0].auc,
        )
    assert (apart.overall.fpr, apart.overall.eer) == (merged.overall.fpr, pytest.approx(merged.overall.eer))


@pytest.mark.slow
def test_same_bytes_whatever_the_number_of_threads(frame, tmp_path):
    frame.to_parquet(tmp_path / "scores.parquet")
    code = (
        "import sys; from audit.runs.score_audit import audit_file; from audit.config import AuditConfig\n"
        "audit_file('scores.parquet', sys.argv[1], AuditConfig(('race',), n_boot=200, threshold='eer'))\n"
        "assert 'torch' not in sys.modules"
    )
    for threads in ("1", "2"):
        env = os.environ | dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"], threads)
        subprocess.run([sys.executable, "-c", code, threads], cwd=tmp_path, env=env, check=True)
    assert (tmp_path / "1/audit.json").read_bytes() == (tmp_path / "2/audit.json").read_bytes()


def test_threshold_rule_leaves_its_images_out(frame):
    found = audit_scores(frame, replace(FAST, threshold="fpr=0.05"))
    assert found.config.threshold_rule == "fpr=0.05" and found.config.calibration_share == 0.3
    left = found.data.n_left_out["used to fix the threshold"]
    assert left + found.data.n_pairs == 900 and 0.02 < found.overall.fpr < 0.09


@pytest.mark.slow
def test_too_few_permutations_are_raised(frame):
    few = AuditConfig(attributes=("age", "gender", "race"), n_boot=100, threshold=0.0)
    result = audit_scores(frame, few)
    assert result.n_tests == 14 and result.config.n_boot == 700
    assert any(note.startswith("100 permutations are too few for 14 comparisons") for note in result.notes)
    verdict = next(v for v in result.verdicts if (v.attribute, v.rate) == ("race", "fpr"))
    assert verdict.gap > 0.15 and verdict.verdict == "disparity"
    assert result == audit_scores(frame, replace(few, n_boot=700)).model_copy(update={"notes": result.notes})


def test_enough_permutations_are_left_alone(frame):
    assert audit_scores(frame, replace(FAST, n_boot=321)).config.n_boot == 321


def test_one_class_only(frame):
    found = audit_scores(frame[frame["label"] == 0], FAST)
    assert math.isnan(found.overall.fnr) and math.isnan(found.overall.auc) and found.overall.fpr > 0
    assert "All images are real" in found.notes[0]
    verdicts = {(v.attribute, v.rate): v for v in found.verdicts}
    assert verdicts["race", "fpr"].verdict == "disparity"
    assert math.isnan(verdicts["race", "fnr"].p_value)
    again = AuditResult.from_json(found.to_json())
    assert math.isnan(again.overall.fnr) and json.loads(found.to_json())["overall"]["fnr"] is None


def test_one_group_only(frame):
    found = audit_scores(frame.assign(race="A"), AuditConfig(n_boot=200, attributes=["race"]))
    assert "All images have the same race" in found.notes[-1]
    assert all(verdict.verdict == "insufficient evidence" for verdict in found.verdicts)
    assert all(gap.interval is None and gap.reason for gap in found.gaps)


def test_an_intersection_that_cannot_be_read_is_left_out_and_the_attributes_are_audited():
    n = 4_400
    frame = pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(n)],
            "label": np.arange(n) % 2,
            "score": np.arange(n) % 7 / 7,
            "country": [f"c{i // 2 % 100}" for i in range(n)],
            "age": [f"a{i // 200}" for i in range(n)],
            "gender": ["F" if i % 3 else "M" for i in range(n)],
        }
    )
    found = audit_scores(frame, replace(FAST, attributes=["country", "age", "gender"], min_n=10))
    assert [note for note in found.notes if "left out" in note] == [
        "The intersection country:age is left out: it has 2,200 groups, and more than 1,000 cannot be read.",
        "The intersection country:age:gender is left out: it has 3,667 groups, and more than 1,000 cannot be "
        "read.",
    ]
    audited = {group.attribute for group in found.groups}
    assert audited == {"country", "age", "gender", "country:gender", "age:gender"}
    assert {verdict.attribute for verdict in found.verdicts} >= {"country", "age", "gender"}


def test_missing_labels_are_shown_and_never_compared(frame):
    race = frame["race"].where(frame["race"] != "B")
    found = audit_scores(frame.assign(race=race), AuditConfig(n_boot=200, attributes=["race"], threshold=0.0))
    assert [g.group for g in found.groups] == ["A", "C", "(missing)"]
    assert "have no label for race" in found.notes[0]
    assert all("(missing)" not in gap.groups for gap in found.gaps)
    assert all(verdict.n_groups == 2 for verdict in found.verdicts)


def test_group_named_like_the_total(frame):
    found = audit_scores(frame.replace({"race": {"A": "overall"}}), FAST)
    assert found.overall.n_real == 900
    assert next(g.n_real for g in found.groups if g.group == "overall") < 900


def test_small_groups_are_marked_and_take_no_part(frame):
    few = frame[(frame["race"] != "C") | (frame["pair_id"].str.len() == 2)]
    found = audit_scores(few, AuditConfig(n_boot=200, attributes=["race"], threshold=0.0))
    [small] = [g for g in found.groups if g.small]
    assert small.group == "C" and all(v.n_small_groups == 1 for v in found.verdicts)
    assert all("C" not in gap.groups for gap in found.gaps if gap.measure in MEASURES)


def test_min_n_of_one_takes_every_group(twelve_pairs):
    found = audit_scores(twelve_pairs, AuditConfig(n_boot=200, min_n=1))
    gaps = {gap.measure: gap.value for gap in found.gaps}
    assert gaps["fpr_difference"] == pytest.approx(2 / 6) and gaps["fnr_ratio"] == 0


def test_constant_scores(frame):
    found = audit_scores(frame.assign(score=0.5), replace(FAST, threshold=0.5))
    assert (found.overall.fpr, found.overall.fnr, found.overall.auc, found.overall.eer) == (1, 0, 0.5, 0.5)


def test_faulty_options_are_reported_together():
    with pytest.raises(ConfigError, match=r"confidence 1.5 .*; tolerance -1 .*; min_n 0"):
        audit_scores(pd.DataFrame(), AuditConfig(confidence=1.5, tolerance=-1, min_n=0))


def test_run_folder(frame, tmp_path):
    frame.rename(columns={"score": "p"}).to_csv(tmp_path / "s.csv", index=False)
    config = replace(FAST, columns=Columns(score="p"))
    found = audit_file(tmp_path / "s.csv", tmp_path / "run", config, "audit run")
    assert write_circumstances({"seconds": 1}, tmp_path / "run").read_text() == '{\n  "seconds": 1\n}\n'
    assert AuditResult.load(tmp_path / "run").to_json() == found.to_json()
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "SHA256SUMS",
        "audit.json",
        "run.json",
        "scores.parquet",
    ]
    scores = pd.read_parquet(tmp_path / "run/scores.parquet")
    assert {"image_id", "pair_id", "label", "score", "race"} <= set(scores.columns)
    assert len(found.provenance.data["sha256"]) == 64 and found.provenance.command == "audit run"
    audit_file(tmp_path / "s.csv", tmp_path / "run", config, "audit run")
    with pytest.raises(RunFolderError, match="already holds another run"):
        audit_file(tmp_path / "s.csv", tmp_path / "run", replace(config, n_boot=300))


def test_extras_reach_the_record(frame, tmp_path):
    extras = Extras(notes=["rendered faces"], left_out={"in the detector's training data": 7})
    found = audit_scores(frame, FAST, extras)
    assert found.notes == ["rendered faces"] and found.data.n_left_out == dict(extras.left_out)
    assert found.provenance.versions["fairlearn"]
    assert write_result(found, tmp_path / "new").name == "audit.json"


def test_every_expected_error_is_one_line(twelve_pairs):
    for bad in ({"score": math.nan}, {"label": 3}, {"image_id": "i"}, {"pair_id": "p"}):
        with pytest.raises(ExpectedError, match=r"[a-z]") as caught:
            audit_scores(twelve_pairs.assign(**bad), FAST)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "options", "kept"),
    [
        ("camera", {}, False),
        ("kind", {}, True),
        ("quality", {"controls": ("quality",)}, True),
        ("person", {"unit_column": "person"}, True),
    ],
)
def test_rows_are_held_only_where_a_column_is_looked_at_beside_the_scores(
    frame, monkeypatch, column, options, kept
):
    n, held = len(frame), []
    columns = {
        "camera": np.arange(n) % 2,
        "kind": np.where(frame["label"], "a", "real"),
        "quality": np.arange(n) / 7.5,
        "person": frame["pair_id"],
    }
    whole = score_audit.operating_point
    monkeypatch.setattr(
        score_audit, "operating_point", lambda table, *rest: held.append(table.row) or whole(table, *rest)
    )
    audit_scores(frame.assign(**{column: columns[column]}), replace(FAST, **options))
    assert [row is not None for row in held] == [kept]


def test_images_without_a_label_are_not_said_to_have_the_same(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"label": np.arange(400) % 2, "race": None, "gender": rng.choice(["f", "m"], 400)})
    frame["score"] = rng.normal(2.0 * frame.label)
    notes = audit_scores(frame.assign(race=pd.NA), AuditConfig(n_boot=100)).notes
    assert any("400 images have no label for race" in note for note in notes)
    assert not any("the same race" in note for note in notes)


def test_a_weighted_rate_is_not_taken_for_that_of_the_counts_beside_it():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"label": np.arange(2000) % 2, "race": rng.choice(["a", "b"], 2000)})
    frame["score"] = rng.normal(3.0 * frame.label + (frame.race == "a"), 1.0)
    frame["w"] = rng.choice([1.0, 4.0], 2000)
    for weight, said in (("w", True), (None, False)):
        config = AuditConfig(threshold=1.5, n_boot=100, weight_column=weight)
        told = audit_scores(frame.drop(columns=[] if weight else ["w"]), config).verdicts[0].explanation
        assert ("% by weight)" in told) is said


def test_a_rule_that_equal_scores_stop_early_is_not_said_to_be_exceeded():
    """Of decisions of 0 and 1 the threshold flags none, or all: 5 % are not exceeded every second time."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"label": np.arange(4000) % 2, "race": rng.choice(["a", "b"], 4000)})
    frame["score"] = rng.normal(3.0 * frame.label)
    for scores, said in ((frame.score, True), ((frame.score > 1).astype(float), False)):
        notes = audit_scores(frame.assign(score=scores), AuditConfig(threshold="fpr=0.05", n_boot=100)).notes
        assert any("such samples the true FPR exceeds" in note for note in notes) is said
