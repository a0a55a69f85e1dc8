"""The tables of a report.

Enters: an `AuditResult`. Leaves: `Table`s for the page, and with `write_tables` one CSV file each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from audit.judge.usefulness import unanswered
from audit.runs.checksums import enter
from audit.schema.json_schema import load_result
from audit.schema.result import (
    OVERALL,
    AuditResult,
    Dropout,
    Gap,
    GroupResult,
    Measures,
    NoScores,
    Verdict,
)
from audit.task import Task
from audit.wording.criterion_text import headline_of, in_ratios
from audit.wording.verdict_text import (
    DISPARITY,
    UNANSWERED,
    beyond_proven,
    by,
    deciding,
    deciding_pair,
    group_label,
    title,
)
from pipelines.storage import write_text
from reports.tables.no_skill import NAMES, in_one_cell
from reports.tables.table import Column, Row, Table
from reports.text.glossary import gap_word
from reports.text.participation import remark

TO_REST = ("_to_rest", "disparate_impact", "average_odds_difference")
"""How measures of one group against all others end."""
TO_REFERENCE = "_to_reference"
"""How measures of one group against the reference group end."""

TOLERANCE_CHECKS = {"inside": "inside", "beyond": "beyond", "unclear": "across its edge"}
"""How the place of an interval is shown; "unclear" beside a disparity would read as a contradiction."""


def rate_columns(task: Task) -> list[Column]:
    """Counts and both error rates, with intervals."""
    return [
        Column("n_real", task.negatives.capitalize(), "count"),
        Column("fp", task.flagged.capitalize(), "count"),
        Column("fpr", task.fpr, "percent", "fpr"),
        Column("fpr_interval", f"{task.fpr} interval", "percent interval", "interval"),
        Column("n_fake", task.positives.capitalize(), "count"),
        Column("fn", task.missed.capitalize(), "count"),
        Column("fnr", task.fnr, "percent", "fnr"),
        Column("fnr_interval", f"{task.fnr} interval", "percent interval", "interval"),
        Column("positive_rate", f"Share {task.flagged}", "percent", "demographic_parity"),
        Column("note", "Note"),
    ]


QUALITY_COLUMNS = [
    Column("accuracy", "Accuracy", "percent", "accuracy"),
    Column("accuracy_interval", "Interval", "percent interval", "interval"),
    Column("balanced_accuracy", "Balanced accuracy", "percent", "balanced_accuracy"),
    Column("precision", "Precision", "percent", "precision"),
    Column("recall", "Recall", "percent", "recall"),
    Column("f1", "F1", "number", "f1"),
    Column("auc", "AUC", "number", "auc"),
    Column("auc_interval", "AUC interval", "number interval", "interval"),
    Column("average_precision", "AP", "number", "average_precision"),
    Column("eer", "EER", "percent", "eer"),
    Column("eer_interval", "EER interval", "percent interval", "interval"),
    Column("min_dcf", "minDCF", "number", "min_dcf"),
]


def _row(m: Measures, attribute: str, group: str, task: Task) -> Row:
    small = isinstance(m, GroupResult) and m.small
    note = "no data" if m.n_real + m.n_fake == 0 else f"few {task.items}" if small else ""
    row = {"attribute": attribute, "group": group_label(attribute, group, f"All {task.items}"), "note": note}
    return (
        row
        | {"fp": m.confusion.fp, "fn": m.confusion.fn, "tp": m.confusion.tp, "tn": m.confusion.tn}
        | dict(m)
        | {f"min_dcf_at_{prior}": value for prior, value in m.min_dcf_at.items()}
    )


def measures_row(group: GroupResult, task: Task, min_n: int | None = None) -> Row:
    """Every measure of a group, with its counts and a note where it is thin.

    Args:
        group: Of a record.
        min_n: The audit's, so that the note tells which class is thin; None for a note on both together.
        task: Whose words are used.
    """
    row = _row(group, group.attribute, group.group, task) | {
        "group": group_label(group.attribute, group.group)
    }
    return row if min_n is None else row | {"note": remark(group, min_n, task)}


def overall_row(result: AuditResult) -> Row:
    """The same for everything."""
    return _row(result.overall, OVERALL, OVERALL, result.task)


def rates_table(result: AuditResult, attribute: str) -> Table:
    """Counts, FPR and FNR of every group of one attribute, all images last."""
    rows = [
        measures_row(g, result.task, result.config.min_n) for g in result.groups if g.attribute == attribute
    ]
    rows.sort(key=lambda r: -r["fpr"] if math.isfinite(r["fpr"]) else 1.0)
    columns = [Column("group", title(attribute)), *rate_columns(result.task)]
    return Table(f"rates-{attribute}", f"Error rates by {attribute}", columns, [*rows, overall_row(result)])


def quality_table(result: AuditResult, attribute: str) -> Table:
    """Accuracy, precision, recall, F1, AUC, EER ... of every group of one attribute, all images first."""
    rows = [
        measures_row(g, result.task, result.config.min_n) for g in result.groups if g.attribute == attribute
    ]
    columns = [Column("group", title(attribute)), *QUALITY_COLUMNS]
    for prior in result.overall.min_dcf_at:
        columns.append(Column(f"min_dcf_at_{prior}", f"minDCF, P_target {prior}", "number", "min_dcf"))
    return Table(f"quality-{attribute}", f"Performance by {attribute}", columns, [overall_row(result), *rows])


def verdicts_table(result: AuditResult) -> Table:
    """Every test that was made, with both p-values."""
    task = result.task
    columns = [
        Column("attribute", "Attribute"),
        Column("rate", "Rate"),
        Column("verdict", "Verdict", "text", "verdict"),
        Column("gap", "Gap", "points", "gap"),
        Column("gap_interval", "Interval of the gap", "points interval", "simultaneous"),
        Column("p_value", "p", "p", "p_value"),
        Column("adjusted_p_value", "p, corrected", "p", "holm"),
        Column("pair_p_value", "p of the pair, corrected", "p"),
        Column("gap_corrected", "Largest true gap, estimated", "points"),
        Column("worst_group", "Higher rate"),
        Column("best_group", "Lower rate"),
        Column("min_detectable_gap", "Smallest gap that would show", "points", "mdg"),
        Column("proven", "Gap proven beyond tolerance"),
        Column(
            "images_needed", f"{task.items.capitalize()} per group to settle it", "count", "images_needed"
        ),
    ]
    if in_ratios(result):
        columns[5:5] = [
            Column("ratio", "Ratio judged", "number"),
            Column("ratio_interval", "Interval of the ratio", "number interval", "simultaneous"),
        ]
    rows = [
        dict(v)
        | {
            "attribute": title(v.attribute),
            "rate": result.task.rate_name(v.rate),
            "verdict": UNANSWERED if unanswered(result) else headline_of(result, v.verdict),
        }
        | {
            "gap": (found := deciding(result, v)).gap,
            "gap_interval": found.interval,
        }
        | _ends(result, v)
        | {"proven": _size_proven(result, v)}
        for v in result.verdicts
    ]
    return Table("verdicts", "All comparisons made", columns, rows)


def _ends(result: AuditResult, v: Verdict) -> dict[str, str | None]:
    """The two groups of the gap that is shown."""
    pair = deciding_pair(result, v)
    return {"worst_group": pair.group, "best_group": pair.than} if pair else {}


def _size_proven(result: AuditResult, v: Verdict) -> str:
    if v.verdict != DISPARITY or unanswered(result):
        return ""
    return "yes" if beyond_proven(result, v) else "no"


def gaps_table(result: AuditResult, attribute: str) -> Table:
    """Every disparity measure over all groups of one attribute, with its meaning."""
    columns = [
        Column("label", "Measure"),
        Column("value", "Value", "number"),
        Column("interval", "Interval", "number interval", "interval"),
        Column("tolerance_check", "Interval against tolerance"),
        Column("fair", "Equal"),
        Column("expected_if_equal", "Chance alone", "number", "expected_if_equal"),
        Column("no_skill", f"{result.task.flags.capitalize()} nothing / everything / at random"),
        Column("groups", "Set by"),
        Column("meaning", "What it says"),
    ]
    rows = []
    one_sided = (*TO_REST, TO_REFERENCE)
    for gap in (g for g in result.gaps if g.attribute == attribute and not g.measure.endswith(one_sided)):
        word = gap_word(gap.measure, result.task.name)
        groups = " vs ".join(group_label(attribute, g) for g in gap.groups)
        note = f" ({gap.reason})" if gap.reason else ""
        row: Row = {"label": word.label, "fair": word.fair, "groups": groups, "meaning": word.meaning + note}
        row["no_skill"] = in_one_cell(gap.no_skill)
        rows.append(dict(gap) | row | {"tolerance_check": TOLERANCE_CHECKS.get(gap.tolerance_check or "")})
    return Table(f"measures-{attribute}", f"Disparity measures by {attribute}", columns, rows)


def rest_table(result: AuditResult, attribute: str) -> Table:
    """Each group of one attribute against all others: a row a group, a value and an interval a measure."""
    found = [g for g in result.gaps if g.attribute == attribute and g.measure.endswith(TO_REST)]
    columns = [Column("group", title(attribute))]
    for measure in dict.fromkeys(g.measure for g in found):
        columns.append(Column(measure, gap_word(measure, result.task.name).label, "number"))
        columns.append(Column(f"{measure} interval", "Interval", "number interval", "interval"))
    rows: dict[str, Row] = {}
    for gap in found:
        row = rows.setdefault(gap.groups[0], {"group": group_label(attribute, gap.groups[0])})
        row |= {gap.measure: gap.value, f"{gap.measure} interval": gap.interval}
    return Table(
        f"rest-{attribute}", f"Each {attribute} group against all others", columns, list(rows.values())
    )


def operating_points_table(measures: Measures, task: Task) -> Table:
    """FNR where the FPR is held to 1, 5 and 10 %, and the other way round."""
    columns = [
        Column("at", "Other rate held to", "percent"),
        Column("apcer", f"{task.positives.capitalize()} {task.missed} ({task.apcer})", "percent", "apcer"),
        Column("bpcer", f"{task.negatives.capitalize()} {task.flagged} ({task.bpcer})", "percent", "bpcer"),
    ]
    keys = sorted({*measures.apcer_at_bpcer, *measures.bpcer_at_apcer}, key=float)
    rows = [
        {
            "at": float(key),
            "apcer": measures.apcer_at_bpcer.get(key, math.nan),
            "bpcer": measures.bpcer_at_apcer.get(key, math.nan),
        }
        for key in keys
    ]
    return Table("operating-points", "Operating points", columns, rows)


def dropout_table(rows: Sequence[Dropout], attribute: str) -> Table:
    """Attempted, usable and lost source photos of every group, and the quality of its pairs."""
    reasons = sorted({k for d in rows for k in d.n_by_status if k != "ok"})
    qualities = sorted({k for d in rows for k in d.quality})
    columns = [
        Column("group", title(attribute)),
        Column("n_attempted", "Source photos", "count"),
        Column("n_ok", "Became pairs", "count"),
        Column("lost", "Share lost", "percent", "dropout"),
        *[Column(f"lost: {r}", r.capitalize(), "count") for r in reasons],
        *[Column(f"quality: {q}", q.replace("_", " ").capitalize(), "number") for q in qualities],
    ]
    table = [
        {
            "group": group_label(attribute, d.group),
            "n_attempted": d.n_attempted,
            "n_ok": d.n_ok,
            "lost": 1 - d.n_ok / d.n_attempted if d.n_attempted else math.nan,
            **{f"lost: {r}": d.n_by_status.get(r, 0) for r in reasons},
            **{f"quality: {q}": d.quality.get(q, math.nan) for q in qualities},
        }
        for d in rows
    ]
    return Table(f"dropout-{attribute}", f"What became of the source photos, by {attribute}", columns, table)


def no_score_table(result: AuditResult, found: NoScores) -> Table:
    """Images of one class with and without a score, by the groups of one attribute."""
    task, attribute = result.task, found.attribute
    items = task.negatives if found.label == "real" else task.positives
    columns = [
        Column("group", title(attribute)),
        Column("n", items.capitalize(), "count"),
        Column("n_without", "Without a score", "count"),
        Column("share", "Share", "percent"),
        Column("interval", "Interval", "percent interval", "interval"),
    ]
    rows = [dict(one) | {"group": group_label(attribute, one.group)} for one in found.groups]
    caption = f"{items.capitalize()} without a score, {by(attribute)}"
    return Table(f"no-score-{attribute}-{found.label}", caption, columns, rows)


def _plain(name: str, rows: Sequence[Row], intervals: Sequence[str] = ()) -> Table:
    """A table for a file alone: every key of the first row a column, under its own name."""
    keys = list(rows[0]) if rows else []
    columns = [Column(key, key, "percent interval" if key in intervals else "text") for key in keys]
    return Table(name, name, columns, list(rows))


def _groups_file(result: AuditResult) -> Table:
    intervals = ["fpr_interval", "fnr_interval", "accuracy_interval", "auc_interval", "eer_interval"]
    dicts = ("confusion", "apcer_at_bpcer", "bpcer_at_apcer", "min_dcf_at", "small")
    everything = [("", OVERALL, result.overall), *((g.attribute, g.group, g) for g in result.groups)]
    rows = []
    for attribute, group, m in everything:
        row = {"attribute": attribute or OVERALL, "group": group, **dict(m), **dict(m.confusion)}
        row |= {f"min_dcf_at_{prior}": value for prior, value in m.min_dcf_at.items()}
        small = m.small if isinstance(m, GroupResult) else False
        rows.append({k: v for k, v in row.items() if k not in dicts} | {"few_images": small})
    return _plain("groups", rows, intervals)


def _series_file(result: AuditResult, kind: str) -> Table:
    """Curves, or counts at the thresholds of the sweep, one row a point."""
    rows: list[Row] = []
    for c in result.curves if kind == "curves" else []:
        where = {"attribute": c.attribute, "group": c.group}
        points = zip(c.thresholds, c.fpr, c.fnr, strict=True)
        rows += [where | {"threshold": t, "fpr": a, "fnr": b} for t, a, b in points]
    for s in result.sweep if kind == "sweep" else []:
        group: Row = {"attribute": s.attribute, "group": s.group, "n_real": s.n_real, "n_fake": s.n_fake}
        counts = zip(result.sweep_thresholds, s.fp, s.fn, strict=True)
        rows += [group | {"threshold": t, "fp": fp, "fn": fn} for t, fp, fn in counts]
    return _plain(kind, rows)


def _no_scores_file(result: AuditResult) -> Table:
    rows = [
        {"attribute": one.attribute, "label": one.label, **dict(group)}
        for one in result.no_scores
        for group in one.groups
    ]
    return _plain("no_scores", rows, ["interval"])


def _dropout_file(result: AuditResult) -> Table:
    words = sorted({k for d in result.dropout for k in d.n_by_status})
    qualities = sorted({k for d in result.dropout for k in d.quality})
    rows = [
        {"attribute": d.attribute, "group": d.group, "n_attempted": d.n_attempted, "n_ok": d.n_ok}
        | {f"n {k}": d.n_by_status.get(k, 0) for k in words}
        | {k: d.quality.get(k, math.nan) for k in qualities}
        for d in result.dropout
    ]
    return _plain("dropout", rows)


def _samples_file(result: AuditResult) -> Table:
    names = list(dict.fromkeys(k for s in result.samples for k in s.groups))
    rows = []
    for s in result.samples:
        fields: Row = {"kind": s.kind, "pair_id": s.pair_id, **{k: s.groups.get(k, "") for k in names}}
        rows.append(fields | {"real_score": s.real_score, "fake_score": s.fake_score, "reason": s.reason})
    return _plain("samples", rows)


def _adjusted_rows(result: AuditResult) -> list[Row]:
    return [{k: v for k, v in dict(gap).items() if k != "strata"} for gap in result.adjusted_gaps]


def _gap_file_row(gap: Gap) -> Row:
    of_others = {f"no_skill_{key}": getattr(gap.no_skill, key, None) for key in NAMES}
    row = {name: value for name, value in dict(gap).items() if name != "no_skill"}
    return row | {"groups": " vs ".join(gap.groups)} | of_others


def write_tables(run_dir: str | Path) -> list[Path]:
    """Write the record's tables as CSV files into `tables/` of the run folder, and return their paths.

    Args:
        run_dir: Folder that holds `audit.json`.

    Raises:
        ResultFormatError: there is no `audit.json` in the folder, or it cannot be read.
    """
    result = load_result(run_dir)
    measures = [_gap_file_row(gap) for gap in result.gaps]
    verdicts = [
        {name: value for name, value in v if name != "differences"}
        | {"worse_groups": "; ".join(g.group for g in v.worse_groups)}
        for v in result.verdicts
    ]
    differences = [
        {"attribute": v.attribute, "rate": v.rate, **dict(one), "compared_with": v.compared_with}
        for v in result.verdicts
        for one in v.differences
    ]
    tables = [
        _groups_file(result),
        _plain("verdicts", verdicts, ["gap_interval", "ratio_interval"]),
        _plain("differences", differences, ["interval"]),
        _plain("measures", measures, ["interval"]),
        _plain("score_shifts", [dict(one) for one in result.score_shifts], ["interval"]),
        _plain(
            "calibration",
            [dict(one) for one in result.calibration],
            ["difference_interval", "ece_interval"],
        ),
        _plain("kind_rates", [dict(one) for one in result.kind_rates], ["interval"]),
        _plain(
            "worst_kinds",
            [dict(one) | {"left_out": "; ".join(one.left_out)} for one in result.worst_kinds],
            ["interval"],
        ),
        _plain("cross_groups", [dict(one) for one in result.cross_groups], ["interval"]),
        _plain("fnr_at_fpr", [dict(one) for one in result.fnr_at_fpr], ["interval"]),
        _plain("adjusted_gaps", _adjusted_rows(result), ["raw_interval", "interval"]),
        _series_file(result, "curves"),
        _series_file(result, "sweep"),
        _dropout_file(result),
        _no_scores_file(result),
        _samples_file(result),
    ]
    folder = Path(run_dir)
    paths = [write_text(folder / "tables" / f"{t.name}.csv", t.to_csv()) for t in tables if t.rows]
    enter(folder, paths)
    return paths
