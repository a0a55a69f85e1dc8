"""From a run folder to a cure: record, page, report, command line, Python."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import audit
from audit.cli import main
from audit.config import AuditConfig
from audit.errors import MitigationError, ResultFormatError
from audit.mitigation.parts import Plan
from audit.runs.checksums import read_sums
from audit.runs.compare_runs import compare_runs
from audit.runs.mitigate_run import mitigate_run, write_mitigation
from audit.runs.score_audit import audit_file
from audit.schema.mitigation import load_mitigation
from audit.wording.numbers import threshold_text
from reports.pages.mitigation_page import write_mitigation_page
from reports.pages.model_card import write_model_card
from reports.pages.report_page import write_report

PATH = Path(__file__).parents[3] / "benchmarks" / "mitigation.py"
CONFIG = AuditConfig(("race",), n_boot=500, threshold=0.35)


def load():
    spec = importlib.util.spec_from_file_location("mitigation_tables", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


STUDY = load()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "scores.csv"
    STUDY.table_of(replace(STUDY.CASES[0], n_pairs=1600), np.random.default_rng(1)).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def run(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    audit_file(table, folder, CONFIG)
    write_mitigation(mitigate_run(folder), folder)
    return folder


def audit_(*arguments, code="0|None"):
    with pytest.raises(SystemExit, match=rf"^({code})$"):
        main([str(word) for word in arguments])


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_the_report_says_what_would_help_and_what_it_costs(run):
    record = load_mitigation(run)
    shown = text_of(write_report(run))
    assert "What would help?" in shown and "finds out whether one would help" not in shown
    assert (
        f"At threshold {threshold_text(record.cure.threshold)} the gap in real images flagged by race is"
        in shown
    )
    assert "instead of" in shown and "fakes let through rise from" in shown
    assert "Accuracy holds: the mean of both error rates" in shown
    assert "Race: before and after, on the images set aside" in shown
    assert (
        f"Move the threshold to {threshold_text(record.cure.threshold)}: on images set aside to judge it"
        in shown
    )
    assert "Try another threshold first" not in shown


def test_the_model_card_advises_what_the_report_does(run):
    """Not a threshold that was only looked at on the same images, where one was tried on others."""
    record = load_mitigation(run)
    card = write_model_card(run).read_text(encoding="utf-8")
    assert f"Move the threshold to {threshold_text(record.cure.threshold)}: on images set aside" in card
    assert "Try another threshold first" not in card and "See whether another threshold" not in card


def test_a_report_of_a_disparity_that_nobody_tried_to_cure_says_so(run, tmp_path):
    audit_file_of(run, tmp_path / "other")
    shown = text_of(write_report(tmp_path / "other"))
    assert (
        "audit mitigate RUN_DIR finds out whether one would help" in shown and "What would help?" not in shown
    )


def audit_file_of(run, folder):
    """The audit of the same scores at another threshold."""
    pd.read_parquet(run / "scores.parquet").to_csv(folder.parent / "again.csv", index=False)
    return audit_file(folder.parent / "again.csv", folder, AuditConfig(("race",), n_boot=500, threshold=0.3))


def test_a_threshold_that_does_not_fit_the_scores_is_put_right_first(table, tmp_path):
    """Scores of other units: everybody is flagged, so that no gap stands out."""
    scores = pd.read_csv(table)
    scores.assign(score=1000 + scores["score"]).to_csv(tmp_path / "scores.csv", index=False)
    found = audit_file(tmp_path / "scores.csv", tmp_path / "run", replace(CONFIG, threshold=0.5))
    assert found.usefulness.reason == "threshold"
    with pytest.raises(
        MitigationError,
        match=r"^there is nothing to cure yet\. The threshold does not fit these scores: at 0\.5 decisions",
    ):
        mitigate_run(tmp_path / "run")


def test_a_cure_of_another_run_is_not_shown(run, tmp_path):
    audit_file_of(run, tmp_path / "other")
    (tmp_path / "other" / "mitigation.json").write_bytes((run / "mitigation.json").read_bytes())
    assert "What would help?" not in text_of(write_report(tmp_path / "other"))


def test_the_page_holds_both_courts_and_the_law(run):
    shown = text_of(write_mitigation_page(run))
    for words in (
        "Another threshold narrows the gap, and accuracy holds.", "Gaps before and after", "Disparity",
        "What if the group were known at decision time?", "article 10(5)", "disparate treatment",
        "Thresholds by group, as fairlearn fits them", "No image does both",
    ):  # fmt: skip
        assert words.lower() in shown.lower(), words
    assert {"mitigation.json", "mitigation.html", "audit.json"} <= set(read_sums(run))


def test_before_and_after_in_compare(run, tmp_path):
    record = load_mitigation(run)
    pd.read_parquet(run / "scores.parquet").to_csv(tmp_path / "s.csv", index=False)
    after = AuditConfig(("race",), n_boot=500, threshold=record.cure.threshold)
    audit_file(tmp_path / "s.csv", tmp_path / "after", after)
    found = compare_runs([run, tmp_path / "after"])
    fpr = next(gap for gap in found.gaps if gap.rate == "fpr")
    assert fpr.difference > 0 and fpr.interval[0] > 0 and fpr.adjusted_p_value <= 0.05
    assert fpr.family == "headline"


def test_the_command_on_a_run_folder(run, capsys):
    before = (run / "audit.json").read_bytes()
    audit_("mitigate", run)
    said = capsys.readouterr().out
    assert said.startswith("At threshold ") and "page:" in said
    assert (run / "audit.json").read_bytes() == before
    audit_("mitigate", run, "--json")
    assert json.loads(capsys.readouterr().out)["outcome"] == "accepted"
    audit_("verify", run)


def test_a_run_with_a_disparity_says_what_would_help(table, tmp_path, capsys):
    where = ["--scores", table, "--out", tmp_path / "run", "--n-boot", 500]
    audit_("run", *where, "--threshold", "0.35")
    said = capsys.readouterr()
    assert "What next: Move the threshold to" in said.out
    assert "What would help?" in text_of(tmp_path / "run" / "report.html")
    assert load_mitigation(tmp_path / "run").outcome == "accepted"
    assert (tmp_path / "run" / "mitigation.html").is_file()
    audit_("run", *where, "--threshold", "0.97", "--overwrite")
    assert "What would help" not in capsys.readouterr().err
    assert "What would help?" not in text_of(tmp_path / "run" / "report.html")


def test_a_run_of_too_few_images_says_so(table, tmp_path, capsys):
    few = pd.read_csv(table).query("race in ['Black', 'White']")
    few = few[few["pair_id"].isin(few["pair_id"].unique()[:110])]
    few.assign(score=few["score"].where(few["race"] == "White", 0.9)).to_csv(
        tmp_path / "few.csv", index=False
    )
    audit_("run", "--scores", tmp_path / "few.csv", "--out", tmp_path / "run", "--n-boot", 500)
    assert "What would help was not looked for: the table is too small to split" in (
        capsys.readouterr().err.replace("\n", " ")
    )


def test_a_run_of_very_many_images_names_the_command(table, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("audit.commands.run.LOOKS_UP_TO", 100)
    audit_("run", "--scores", table, "--out", tmp_path / "run", "--n-boot", 500, "--threshold", "0.35")
    assert "audit mitigate" in capsys.readouterr().err
    assert not (tmp_path / "run" / "mitigation.json").exists()


def test_the_command_on_a_table(table, tmp_path, capsys):
    where = ["--scores", table, "--out", tmp_path / "run"]
    audit_("mitigate", *where, "--threshold", "0.35", "--n-boot", 500, "--fit-share", "0.6", "--quiet")
    assert capsys.readouterr().out == ""
    record = load_mitigation(tmp_path / "run")
    assert record.fit_share == 0.6 and record.fit.n_images > record.judge.n_images
    assert (tmp_path / "run" / "report.html").is_file() and (tmp_path / "run" / "mitigation.html").is_file()


@pytest.mark.slow
def test_the_command_reads_a_foreign_table_as_audit_run_does(table, tmp_path, capsys):
    foreign = pd.read_csv(table)
    foreign["label"] = foreign["label"].astype(str).map({"0": "clean", "1": "tampered with"})
    foreign.to_csv(tmp_path / "v.csv", index=False, sep=";", decimal=",")
    where = ["--scores", tmp_path / "v.csv", "--out", tmp_path / "run", "--n-boot", 500]
    audit_("mitigate", *where, "--threshold", "0.35", "--read", "real=clean")
    assert "decimal: comma  [--read decimal=.]" in capsys.readouterr().err
    plain = [tmp_path / "plain" if word == tmp_path / "run" else word for word in where]
    plain[1] = table
    audit_("mitigate", *plain, "--threshold", "0.35")
    assert load_mitigation(tmp_path / "run").cure == load_mitigation(tmp_path / "plain").cure


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give either a run folder, or --scores TABLE"),
        (["RUN", "--scores", "s.csv"], "give either a run folder, or --scores TABLE"),
        (["RUN", "--threshold", "0.4"], "--threshold goes with --scores: a run folder has its own"),
        (["RUN", "--fit-share", "1.5"], "fit share 1.5 is not in 0.1-0.9"),
        (["RUN", "--margin", "0.7"], "margin 0.7 is not in 0-0.5"),
        (["nowhere"], "no audit.json at nowhere"),
    ],
)
def test_one_line_of_what_is_wrong(run, words, said, capsys):
    audit_("mitigate", *[run if word == "RUN" else word for word in words], code="2")
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1


def test_from_python_with_and_without_a_folder(run):
    in_memory = audit.audit_scores(pd.read_parquet(run / "scores.parquet"), config=CONFIG)
    one, other = audit.mitigate(in_memory), audit.mitigate(run)
    assert one.outcome == other.outcome == "accepted" and one.threshold == other.threshold != 0.35
    assert list(one.gaps["rate"]) == ["fpr", "fnr"] and {"low", "high", "shrinks"} <= set(one.gaps)
    assert len(one.groups) == 14 and len(one.candidates) == 3
    assert one.summary.startswith("At threshold ") and "accepted" in repr(one)


def test_from_python_a_page(run, tmp_path):
    page = audit.mitigate(run).report(tmp_path)
    assert page == tmp_path / "mitigation.html" and "What would help?" in text_of(page)


def test_a_rule_fixed_on_more_than_the_fitting_part(run, tmp_path):
    scores = pd.read_parquet(run / "scores.parquet")
    scores.to_csv(tmp_path / "s.csv", index=False)
    ruled = AuditConfig(("race",), n_boot=500, threshold="fpr=0.3", calibration_share=0.4)
    audit_file(tmp_path / "s.csv", tmp_path / "ruled", ruled)
    with pytest.raises(MitigationError, match=r"may not judge: give --fit-share 0\.4 or more, not 0\.2"):
        mitigate_run(tmp_path / "ruled", Plan(fit_share=0.2))


def test_scores_or_a_column_that_are_gone(run, tmp_path):
    for name in ("audit.json", "scores.parquet"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    pd.read_parquet(run / "scores.parquet").drop(columns="race").to_parquet(tmp_path / "scores.parquet")
    with pytest.raises(MitigationError, match="no column 'race': without the group a gap"):
        mitigate_run(tmp_path)
    (tmp_path / "scores.parquet").unlink()
    with pytest.raises(MitigationError, match=r"has no scores\.parquet; run the audit again"):
        mitigate_run(tmp_path)


@pytest.mark.parametrize("text", ["{", "{}", '{"outcome": "wonderful"}'])
def test_a_damaged_record(text, tmp_path):
    (tmp_path / "mitigation.json").write_text(text)
    with pytest.raises(ResultFormatError, match="run `audit mitigate` again"):
        load_mitigation(tmp_path)


def test_one_group_has_no_gap_to_narrow(table):
    frame = pd.read_csv(table).assign(race="A")
    with pytest.raises(
        MitigationError, match="all images have the same race: there is no gap to narrow; give"
    ):
        audit.mitigate(audit.audit_scores(frame, "race", n_boot=100))


def test_two_options_of_tables_go_with_scores(run, capsys):
    audit_("mitigate", run, "--threshold", "0.4", "--seed", "1", code=2)
    assert "go with --scores: a run folder has its own" in " ".join(capsys.readouterr().err.split())
