"""The page that compares detectors: its words follow its tests, its numbers are the record's."""

import csv
import io
import json
import re

import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.runs.compare_runs import compare_runs
from audit.runs.compare_runs import write_comparison as write_record
from audit.runs.score_audit import audit_file
from reports.errors import RecordFormatError, RunNotFound
from reports.pages.comparison_page import (
    auc_table,
    errors_table,
    gap_differences,
    gap_dots,
    gaps_table,
    runs_table,
    write_comparison_page,
)
from reports.text.comparison_text import headline, tell_auc, tell_error, tell_gap, told

GROUPS = {"race": ["White", "Black", "Indian"], "gender": ["Female", "Male"]}


@pytest.fixture(scope="module")
def folder(score_file, tmp_path_factory):
    """Three detectors on the same pairs: fair and good, unfair, and weak."""
    out = tmp_path_factory.mktemp("compared")
    kinds = {"fair": ({}, 2.4), "unfair": ({"Black": 1.6}, 2.4), "weak": ({}, 0.8)}
    config = AuditConfig(attributes=list(GROUPS), n_boot=2000)
    for name, (shift, skill) in kinds.items():
        audit_file(score_file(GROUPS, 1500, shift, skill, out / f"{name}.csv"), out / name, config)
    for pair in (["fair", "unfair"], ["fair", "unfair", "weak"]):
        write_record(compare_runs([out / name for name in pair]), out / "-".join(pair))
    return out


@pytest.fixture(scope="module")
def record(folder):
    return compare_runs([folder / "fair", folder / "unfair"])


def test_the_fairer_detector_is_named(record):
    names = [run.name for run in record.runs]
    gap = next(d for d in record.gaps if d.attribute == "race" and d.rate == "fpr")
    answer = tell_gap(gap, record)
    assert answer.winner == names[0]
    assert re.fullmatch(
        rf"{names[0]} has [\d.]+ points, {names[1]} [\d.]+ points; difference −[\d.]+ points \(−[\d.]+ to "
        r"−[\d.]+\), p = 0\.00\d\.",
        answer.sentence,
    )
    assert "is fairer by race" in headline(record)


def test_what_is_not_proven_names_nobody(record):
    gap = next(d for d in record.gaps if d.attribute == "gender" and d.rate == "fnr")
    open_ones = [
        tell_gap(gap.model_copy(update={"adjusted_p_value": 0.2}), record),
        tell_auc(record.auc[0].model_copy(update={"adjusted_p_value": float("nan")}), record),
        tell_error(record.errors[0].model_copy(update={"adjusted_p_value": 0.06}), record),
    ]
    for answer in open_ones:
        assert answer.winner is None
        assert re.match(rf"[^;]+ for {record.runs[0].name}, .+; difference ", answer.sentence)


def test_the_winner_is_named_first_and_once(record):
    d = record.errors[0].model_copy(
        update={"n": 1000, "both_wrong": 10, "only_first_wrong": 60, "only_second_wrong": 39,
                "difference": 0.021, "interval": (0.002, 0.04), "adjusted_p_value": 0.03}
    )  # fmt: skip
    assert tell_error(d, record).sentence == (
        f"{d.second} has 4.9%, {d.first} 7.0%; difference 2.1 points (0.2 to 4), p = 0.030."
    )
    nothing = d.model_copy(update={"n": 0, "difference": float("nan"), "adjusted_p_value": float("nan")})
    assert tell_error(nothing, record).sentence == "Nothing can be compared: no real images."


def test_fewer_errors_win_and_not_more(record):
    d = record.errors[0].model_copy(update={"difference": 0.1, "adjusted_p_value": 0.001})
    assert tell_error(d, record).winner == d.second
    a = record.auc[0].model_copy(update={"difference": 0.1, "adjusted_p_value": 0.001})
    assert tell_auc(a, record).winner == a.first


def test_nothing_proven_is_said_so(record):
    blank = {
        key: [d.model_copy(update={"adjusted_p_value": 1.0}) for d in getattr(record, key)]
        for key in ("auc", "errors", "gaps")
    }
    text = headline(record.model_copy(update=blank))
    assert text == "Neither is proven to be better or fairer."


def test_every_pair_gets_its_answers(record):
    ((_, answers),) = told(record)
    assert len(answers) == 1 + 2 + 2 * len(GROUPS)
    assert all(answer.sentence for answer in answers)


def test_tables_hold_the_record(record):
    rows = list(csv.DictReader(io.StringIO(gaps_table(record).to_csv())))
    assert [float(r["gap_first"]) for r in rows] == [d.gap_first for d in record.gaps]
    assert len(errors_table(record).rows) == len(record.errors)
    assert len(auc_table(record).rows) == len(record.auc)
    assert [r["name"] for r in runs_table(record).rows] == [run.name for run in record.runs]


def test_the_page_is_whole(folder):
    page = write_comparison_page(folder / "fair-unfair").read_text(encoding="utf-8")
    assert "Which is better, and which is fairer?" in page
    assert re.search("3,000 images that every detector scored, in 1,500 <button[^>]*>matched pairs", page)
    assert '"roc-all"' in page and '"gaps-fpr"' in page
    assert not re.findall(r"\bnan\b", re.sub(r"<script.*?</script>|data:[^\"]+", "", page, flags=re.S))


def test_differences_stand_on_an_axis_of_signed_points(record):
    axis = gap_differences(record, "fpr").layout.xaxis
    assert axis.range[0] < 0 < axis.range[1] and "0" in axis.ticktext
    for value, text in zip(axis.tickvals, axis.ticktext, strict=True):
        assert text == ("+" if value > 0 else "−" if value < 0 else "") + f"{abs(100 * value):.4g}"


def test_gaps_that_nobody_could_compare_are_no_empty_pictures(folder, record, tmp_path):
    nothing = {"difference": float("nan"), "gap_first": float("nan"), "gap_second": float("nan"),
               "interval": None, "reason": "fewer than two groups of at least 30 images"}  # fmt: skip
    gaps = [d.model_copy(update=nothing) for d in record.gaps]
    write_record(record.model_copy(update={"gaps": gaps}), tmp_path)
    page = write_comparison_page(tmp_path).read_text(encoding="utf-8")
    assert "No gap can be compared on these images." in page
    assert '"gaps-fpr"' not in page and '"roc-all"' in page
    one = [d if d.attribute == "race" else g for d, g in zip(record.gaps, gaps, strict=True)]
    shown = gap_dots(record.model_copy(update={"gaps": one}), "fpr").layout.yaxis.ticktext
    assert [text.strip() for text in shown] == ["Race"]


def test_three_detectors_fit(folder):
    page = write_comparison_page(folder / "fair-unfair-weak").read_text(encoding="utf-8")
    assert "differences between 3 detectors are proven" in page
    assert page.count('class="chip') == 3 * (1 + 2 + 2 * len(GROUPS))


def test_the_page_says_what_was_corrected_together(folder, record):
    page = write_comparison_page(folder / "fair-unfair").read_text(encoding="utf-8")
    sizes = {family.name: family.n_tests for family in record.families}
    assert f"corrected together ({sizes['headline']} tests, Holm’s method) at 95%" in page
    for name in ("intersections", "groups"):
        assert f"<li>{sizes[name]} tests" in page
    assert page.count("exploratory") > 4
    assert {row["family"] for row in errors_table(record).rows} == {"headline", "exploratory"}


def test_a_comparison_from_before_the_families_still_opens(record, tmp_path):
    old = json.loads(record.to_json())
    del old["families"]
    for key in ("auc", "errors", "gaps"):
        for one in old[key]:
            del one["family"]
    (tmp_path / "comparison.json").write_text(json.dumps(old | {"schema_version": "1.0"}))
    page = write_comparison_page(tmp_path).read_text(encoding="utf-8")
    assert f"corrected for all {record.n_tests} tests" in page


def test_a_run_that_has_moved_costs_only_its_curve(folder, record, tmp_path):
    gone = [run.model_copy(update={"path": "nowhere"}) for run in record.runs]
    write_record(record.model_copy(update={"runs": gone}), tmp_path)
    page = write_comparison_page(tmp_path).read_text(encoding="utf-8")
    assert "No curve for" in page and '"roc-all"' not in page


def test_a_missing_or_broken_comparison_is_named(tmp_path):
    with pytest.raises(RunNotFound, match=r"no comparison\.json in .*: make one with `audit compare"):
        write_comparison_page(tmp_path)
    (tmp_path / "comparison.json").write_text("{}")
    with pytest.raises(RecordFormatError, match=r"comparison\.json is not a comparison"):
        write_comparison_page(tmp_path)


def test_the_plot_of_differences_carries_the_interval_of_each(record):
    figure = gap_differences(record, "fpr")
    drawn = [
        (x - low, x, x + high)
        for trace in figure.data
        for x, high, low in zip(trace.x, trace.error_x.array, trace.error_x.arrayminus, strict=True)
    ]
    wanted = [(d.interval[0], d.difference, d.interval[1]) for d in record.gaps if d.rate == "fpr"]
    assert len(wanted) >= 2
    for found, right in zip(sorted(drawn), sorted(wanted), strict=True):
        assert found == pytest.approx(right)


def test_runs_that_hardly_overlap_are_told_to_share_too_few_images(score_file, tmp_path):
    config = AuditConfig(attributes=list(GROUPS), n_boot=200)
    for name, part in (("a", slice(0, 200)), ("b", slice(190, 300))):
        table = pd.read_csv(score_file(GROUPS, 300, {}, 2.4, tmp_path / f"{name}.csv"))
        kept = table["pair_id"].isin(table["pair_id"].unique()[part])
        table[kept].to_csv(tmp_path / f"{name}.csv", index=False)
        audit_file(tmp_path / f"{name}.csv", tmp_path / name, config)
    few = compare_runs([tmp_path / "a", tmp_path / "b"])
    assert headline(few) == "Only 20 images in common (of 400 and 220): too few to compare."
    write_record(few, tmp_path / "c")
    page = write_comparison_page(tmp_path / "c").read_text()
    document = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    assert "no interval" not in document and "p = no data" not in document and "all 0 tests" not in document
    assert "Too few to compare: 10 real images and 10 fakes in common." in document
