"""What a notebook user guesses: strings work, wrong names are told, results are frames."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import audit
from audit.api.options import AuditOptions
from audit.config import AuditConfig, Columns
from audit.errors import (
    ComparisonError,
    ConfigError,
    ExpectedError,
    GroupError,
    MissingColumnError,
    ResultFormatError,
    RunFolderError,
    UnclearTableError,
    UnitError,
)
from audit.schema.result import GroupResult, Verdict
from audit.wording.numbers import point_interval, points, times

FAST = {"n_boot": 200}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Real faces of B are flagged far more often."""
    rng = np.random.default_rng(0)
    label, race = np.tile([0, 1], 400), np.repeat(["A", "B"], 400)
    score = np.clip(rng.normal(0.2 + 0.6 * label + 0.35 * ((race == "B") & (label == 0)), 0.1), 0, 1)
    ids = [f"i{n}" for n in range(800)]
    return pd.DataFrame({"image_id": ids, "label": label, "score": score, "race": race})


@pytest.fixture(scope="module")
def found(frame: pd.DataFrame) -> audit.Audit:
    return audit.audit_scores(frame, "race", **FAST)


def test_one_string_is_one_attribute(found: audit.Audit, frame: pd.DataFrame):
    assert found.record.config.attributes == ["race"]
    assert audit.audit_scores(frame, ["race"], **FAST).record.to_json() == found.record.to_json()
    assert AuditConfig(attributes="race", controls="blur").controls == ("blur",)


def test_spellings_of_a_group_are_one_and_said(found: audit.Audit, frame: pd.DataFrame):
    small = frame.assign(race=frame["race"].where(frame.index % 5 > 0, frame["race"].str.lower()))
    merged = audit.audit_scores(small, "race", **FAST)
    assert [one.group for one in merged.record.groups] == [one.group for one in found.record.groups]
    assert any(
        "'a' is read as 'A' (80 rows), 'b' is read as 'B' (80 rows)" in note for note in merged.record.notes
    )
    kept = audit.audit_scores(small, "race", read_as={"case": "keep"}, **FAST)
    assert {"a", "A"} <= {one.group for one in kept.record.groups}


def test_capitals_are_forgiven(found: audit.Audit, frame: pd.DataFrame):
    again = audit.audit_scores(frame, "Race", references={"RACE": "A"}, **FAST).record
    assert again.config.attributes == ["race"] and again.config.references == {"race": "A"}
    assert again.gaps[0] == found.record.gaps[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerence": 0.1}, r"^no option 'tolerence'; did you mean 'tolerance'\?$"),
        ({"colour": 1}, r"^no option 'colour'; there are bins, calibration_share, confidence, controls, "),
        ({"confidence": 2.0, "min_n": 0}, r"^confidence 2.0 is not in 0.5-1 .*; min_n 0 is not at least 1$"),
        ({"threshold": "best"}, r"^threshold 'best' is neither a number nor one of eer, youden"),
    ],
)
def test_what_no_option_can_be_is_named(frame: pd.DataFrame, options: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        audit.audit_scores(frame, "race", **options)


def test_options_and_configuration_are_the_same_list():
    of_config = {f.name for f in fields(AuditConfig)} - {"attributes", "columns"}
    assert set(AuditOptions.__annotations__) == of_config | {f"{f.name}_column" for f in fields(Columns)}


def test_options_are_called_as_in_python(frame: pd.DataFrame):
    named = r"; say --score-column liveness once it is turned round, .* \(in Python: score_column=\)$"
    with pytest.raises(MissingColumnError, match=named):
        audit.audit_scores(frame.rename(columns={"score": "liveness"}), "race", **FAST)
    people = frame.assign(person=frame.index // 8)
    with pytest.raises(UnitError, match=r"--independent .* \(in Python: unit_column=, independent=\)$"):
        audit.audit_scores(people, "race", **FAST)


@pytest.mark.parametrize("in_file", [True, False])
def test_an_unknown_attribute_is_told_the_columns_there_are(
    frame: pd.DataFrame, in_file: bool, tmp_path: Path
):
    frame.assign(age="20-29").to_csv(tmp_path / "s.csv", index=False)
    given = tmp_path / "s.csv" if in_file else frame.assign(age="20-29")
    error = UnclearTableError if in_file else MissingColumnError
    with pytest.raises(error, match=r"no column 'skin'; .* 'image_id', 'label', 'score', 'race', 'age'"):
        audit.audit_scores(given, ["race", "skin"], **FAST)
    with pytest.raises(GroupError, match="there is no group 'Z'; the groups of race are A, B"):
        audit.audit_scores(given, "race", references={"race": "Z"}, **FAST)


def test_columns_of_other_names(found: audit.Audit, frame: pd.DataFrame):
    renamed = frame.rename(columns={"label": "truth", "score": "p_fake"})
    again = audit.audit_scores(renamed, "race", label_column="truth", score_column="p_fake", **FAST)
    assert again.record.overall.confusion == found.record.overall.confusion


def test_groups_are_the_record_in_columns(found: audit.Audit):
    table = found.groups
    assert list(table["group"]) == ["A", "B"]
    first = found.record.groups[0]
    row = table.iloc[0]
    assert (row.fpr, row.fpr_low, row.fpr_high) == (first.fpr, *first.fpr_interval)
    assert (row.tp, row.fp, row.tn, row.fn) == tuple(dict(first.confusion).values())
    assert row["apcer_at_bpcer_0.01"] == pytest.approx(first.apcer_at_bpcer["0.01"], nan_ok=True)
    lost = set(GroupResult.model_fields) - set(table.columns)
    assert all(name.endswith("interval") or isinstance(getattr(first, name), dict | type(first.confusion))
               for name in lost)  # fmt: skip


def test_verdicts_gaps_and_curves_are_frames(found: audit.Audit):
    verdicts = found.verdicts.set_index(["attribute", "rate"])
    [expected, _] = found.record.verdicts
    assert "differences" not in verdicts.columns
    first, ours = found.differences.iloc[0], expected.differences[0]
    assert first[["attribute", "rate", "group"]].tolist() == ["race", "fpr", ours.group]
    assert first[["difference", "low", "high"]].tolist() == [ours.difference, *ours.interval]
    row = verdicts.loc[("race", "fpr")]
    assert (row.verdict, row.range, row.range_low) == ("disparity", expected.gap, expected.gap_interval[0])
    assert row.worse_groups == ["B"]
    gaps = found.gaps.set_index("measure")
    assert gaps.loc["fpr_difference", "value"] == expected.gap
    assert gaps.loc["fpr_difference", "groups"] == ["B", "A"]
    curves = found.curves
    assert list(curves) == ["attribute", "group", "threshold", "fpr", "fnr"]
    assert len(curves) == sum(len(c.thresholds) for c in found.record.curves)
    one = curves[(curves.attribute == "race") & (curves.group == "B")]
    assert one.fpr.tolist() == next(c.fpr for c in found.record.curves if c.group == "B")


def test_frames_keep_their_columns_where_there_is_nothing(found: audit.Audit):
    empty = audit.Audit(found.record.model_copy(update={"groups": [], "verdicts": [], "curves": []}))
    assert {"attribute", "group", "fpr", "fpr_low", "tp"} <= set(empty.groups.columns) and empty.groups.empty
    assert {"verdict", "gap_low", "worse_groups"} <= set(empty.verdicts.columns)
    assert empty.curves.empty and "interval" not in Verdict.model_fields


def test_the_answer_as_text_and_as_html(found: audit.Audit):
    assert "\nDisparity. Real images of people labelled" in found.summary and "\x1b" not in found.summary
    html = found._repr_html_()
    assert html.count("<tr>") == 3 and "B vs A" in html
    assert repr(found) == "<Audit of 400 real and 400 fake images by race>"


def test_names_in_a_notebook_are_text(frame: pd.DataFrame):
    hostile = frame.replace({"race": {"B": "<script>alert(1)</script>"}})
    html = audit.audit_scores(hostile, "race", **FAST)._repr_html_()
    assert "<script" not in html and "&lt;script&gt;" in html


def test_written_and_loaded_again(found: audit.Audit, tmp_path: Path):
    fresh = audit.Audit(found.record, scored=found._scored)
    with pytest.raises(RunFolderError, match=r"say where: result.report\('report.html'\)"):
        fresh.report()
    with pytest.raises(RunFolderError, match=r"this audit is in no folder; write it with result.write"):
        audit.Audit(found.record).write(tmp_path / "x")
    assert fresh.write(tmp_path / "run") == tmp_path / "run"
    assert fresh.report() == tmp_path / "run" / "report.html"
    again = audit.load_result(tmp_path / "run")
    assert again.record.to_json() == found.record.to_json()
    assert again.scores["score"].tolist() == found.scores["score"].tolist()
    assert again.write(tmp_path / "copy") == again.folder
    for name in ("audit.json", "scores.parquet"):
        assert (tmp_path / "copy" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    assert again.report(tmp_path / "page.html").read_text().startswith("<!")


def test_another_run_and_a_file_are_not_written_over(found: audit.Audit, frame: pd.DataFrame, tmp_path: Path):
    audit.audit_scores(frame, "race", out=tmp_path / "run", **FAST)
    with pytest.raises(
        RunFolderError, match=r"already holds another run \(made with another min n\); give another"
    ):
        audit.audit_scores(frame, "race", out=tmp_path / "run", min_n=20, **FAST)
    other = audit.audit_scores(frame, "race", out=tmp_path / "run", min_n=20, overwrite=True, **FAST)
    assert json.loads((tmp_path / "run/audit.json").read_text())["config"]["min_n"] == 20
    with pytest.raises(RunFolderError, match="already holds another run"):
        audit.Audit(found.record, scored=found._scored).write(other.folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match=r"file is a file, so .*file/run cannot be a run folder"):
        audit.audit_scores(frame, "race", out=tmp_path / "file" / "run", **FAST)


def test_nothing_of_a_run_that_was_replaced_is_left(frame: pd.DataFrame, tmp_path: Path):
    run = tmp_path / "run"
    first = audit.audit_scores(frame, "race", out=run, **FAST)
    first.report()
    for name in (
        "mitigation.json",
        "mitigation.html",
        "model_card.md",
        "kinds/swap/audit.json",
        "explanations/a.png",
        "tables/a.csv",
    ):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("of the first run")
    (run / "my notes.txt").write_text("")
    audit.audit_scores(frame, "race", out=run, **FAST)
    assert (run / "mitigation.json").exists()  # the same run, written again
    audit.audit_scores(frame, "race", out=run, min_n=20, overwrite=True, **FAST)
    clean = audit.audit_scores(frame, "race", out=tmp_path / "clean", min_n=20, **FAST).folder
    assert {path.name for path in run.iterdir()} == {path.name for path in clean.iterdir()} | {"my notes.txt"}


def test_no_result_to_load(tmp_path: Path):
    with pytest.raises(ResultFormatError, match=r"no audit.json at .*; give the folder that"):
        audit.load_result(tmp_path)


def test_the_detector_behind_the_scores_is_in_the_record(frame: pd.DataFrame):
    named = audit.audit_scores(frame, "race", detector="Acme", **FAST).record.provenance
    assert named.detector == {"name": "Acme"}


def test_two_audits_compared(frame: pd.DataFrame, found: audit.Audit, tmp_path: Path):
    worse = frame.assign(score=frame["score"] * 0.9 + 0.05)
    for name, table in (("a", frame), ("b", worse)):
        audit.audit_scores(table, "race", out=tmp_path / name, detector=name, **FAST)
    both = audit.compare(tmp_path / "a", audit.load_result(tmp_path / "b"))
    assert both.record.to_json() == audit.compare([tmp_path / "a", tmp_path / "b"]).record.to_json()
    assert both.runs["name"].tolist() == ["a", "b"] and {"fpr_low", "fpr_high"} <= set(both.runs)
    assert len(both.gaps) == len(both.record.gaps) and {"low", "high"} <= set(both.gaps)
    assert len(both.errors) == len(both.record.errors) and len(both.auc) == len(both.record.auc)
    assert both.summary in both.report(tmp_path).read_text().replace("&#39;", "'")
    assert (both.write(tmp_path / "c") / "comparison.json").read_text() == both.record.to_json()
    assert "<td>a</td>" in both._repr_html_() and repr(both) == "<Comparison of a, b>"
    with pytest.raises(ComparisonError, match="lies in no folder; write it first"):
        audit.compare(audit.Audit(found.record), tmp_path / "a")


@pytest.mark.parametrize("package", ["audit", "pipelines", "detectors"])
def test_no_public_name_is_shadowed_by_a_module(package: str):
    module = __import__(package)
    folder = Path(module.__file__).parent
    modules = {p.stem for p in folder.glob("*.py")} | {p.name for p in folder.iterdir() if p.is_dir()}
    assert modules.isdisjoint(module.__all__)
    for name in module.__all__:
        assert callable(getattr(module, name))
    assert dir(module) == sorted(module.__all__)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_the_frame_of_verdicts_holds_the_numbers_that_sentences_quote(found: audit.Audit):
    """One gap had two 95 % intervals, and no ratio where the text named one."""
    told = 0
    for row, v in zip(found.verdicts.itertuples(), found.record.verdicts, strict=True):
        gap = f"{points(row.gap)} (95% interval {point_interval((row.gap_low, row.gap_high))}"
        if row.gap == row.gap:
            assert gap in v.explanation, v.explanation
        if "times as often" in v.explanation.split(":")[0]:
            assert times(row.ratio, (row.ratio_low, row.ratio_high)) in v.explanation
            told += 1
    assert told


def test_a_report_given_in_place_of_its_run_is_answered_with_the_folder(tmp_path):
    (tmp_path / "report.html").write_text("<html>")
    with pytest.raises(ResultFormatError, match=r"report.html is a report; give the folder that holds it"):
        audit.load_result(tmp_path / "report.html")


@pytest.mark.parametrize("kind", ["float64", "Float64", "double[pyarrow]"])
def test_a_frame_with_missing_scores_and_labels_is_audited_as_its_file_is(tmp_path, kind):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"label": rng.integers(0, 2, 900), "race": np.repeat(["A", "B", "C"], 300)})
    table["score"] = (table["label"] * 0.4 + rng.random(900) * 0.6).round(3)
    table.loc[table.index[(table["race"] == "B") & (rng.random(900) < 0.2)], "score"] = np.nan
    table.loc[[3, 700], "label"] = np.nan
    table.to_csv(tmp_path / "scores.csv", index=False)
    of_file = audit.audit_scores(tmp_path / "scores.csv", "race", **FAST)
    table = table.set_index(np.arange(900) * 7 + 5).astype({"label": "Int64", "score": kind})
    of_frame = audit.audit_scores(table, "race", **FAST, out=tmp_path / "run")
    n = int(table["score"].isna().sum())
    assert of_frame.record.data.n_left_out == {"no label in the table": 2, "no score in the table": n}
    assert len(of_frame.no_scores) == 6 and of_frame.no_scores["more"].sum() >= 1
    for name in ("no_scores", "groups", "verdicts", "gaps"):
        pd.testing.assert_frame_equal(getattr(of_frame, name), getattr(of_file, name))
    assert of_frame.record.data.n_left_out == of_file.record.data.n_left_out
    assert audit.load_result(tmp_path / "run").record.to_json() == of_frame.record.to_json()
    assert len(pd.read_parquet(tmp_path / "run/scores.parquet")) == 900 - n - 2


def test_a_frame_without_any_score_is_refused():
    frame = pd.DataFrame({"label": [0, 1] * 20, "score": np.nan, "race": ["A", "B"] * 20})
    with pytest.raises(ExpectedError, match="the score table has no rows"):
        audit.audit_scores(frame, "race", **FAST)


def test_an_infinite_score_is_refused_and_not_left_out():
    frame = pd.DataFrame({"label": [0, 1] * 20, "score": [0.1, np.inf] * 20, "race": ["A"] * 40})
    with pytest.raises(
        ExpectedError, match=r"20 of 40 scores in column 'score' are not finite, the first \(inf\)"
    ):
        audit.audit_scores(frame, "race", **FAST)


@pytest.mark.parametrize("backend", ["pyarrow", "numpy_nullable"])
def test_a_table_is_the_same_whoever_holds_its_numbers(frame, backend):
    """As `read_parquet(dtype_backend="pyarrow")` gives it, with numbers that nobody asked about beside."""
    rng = np.random.default_rng(0)
    more = frame.assign(
        years=rng.integers(5, 90, len(frame)),
        sharp=rng.normal(size=len(frame)),
        person=np.arange(len(frame)) // 2,
    )
    options = dict(attributes=["race", "years"], bins={"years": [18, 40]}, unit_column="person", n_boot=100)
    there = audit.audit_scores(more.convert_dtypes(dtype_backend=backend), controls=["sharp"], **options)
    here = audit.audit_scores(more, controls=["sharp"], **options)
    assert there.record.to_json() == here.record.to_json()


def test_columns_of_any_kind_beside_the_scores_do_no_harm(frame, tmp_path):
    lists = pd.Series(pd.array([[1, 2]] * len(frame), dtype=pd.ArrowDtype(pa.list_(pa.int64()))))
    more = frame.assign(box=lists, few=pd.arrays.SparseArray(np.arange(len(frame)) % 3))
    done = audit.audit_scores(more, "race", **FAST)
    assert any("hold lists and not one value an image: 'box'" in note for note in done.record.notes)
    assert done.verdicts.equals(audit.audit_scores(frame, "race", **FAST).verdicts)
    assert (done.write(tmp_path / "run") / "scores.parquet").is_file()
