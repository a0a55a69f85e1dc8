"""The tables of a report: one definition serves the page, its CSV downloads and the files of `write_tables`.

Enters: an `AuditResult`. Leaves: `Table`s, and CSV text.

Why a text that starts like a formula gets an apostrophe in CSV: spreadsheets run cells that begin with
=, +, - or @ (OWASP, "CSV injection"), and group names come from strangers. Numbers are written bare, with
an empty field for an undefined rate.
"""

from __future__ import annotations

import base64
import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from audit.result import OVERALL, AuditResult, Dropout, GroupResult, Measures
from reports.glossary import gap_word
from reports.numbers import count, number, number_interval, p_value, percent, percent_interval, points
from reports.words import RATE_NAMES, group_label, title

Row = dict[str, Any]

DISPLAY: dict[str, Callable[[Any], str]] = {
    "text": str,
    "count": count,
    "percent": percent,
    "percent interval": percent_interval,
    "points": points,
    "number": number,
    "number interval": number_interval,
    "p": p_value,
}
"""Kind of a column to how a cell of it is shown."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    key: str
    label: str
    kind: str = "text"
    """A key of `DISPLAY`."""
    term: str | None = None
    """Entry of the glossary that explains it."""

    def show(self, row: Row) -> str:
        """The cell as a reader sees it; an absent value is a dash."""
        value = row.get(self.key)
        return "–" if value is None or value == "" else DISPLAY[self.kind](value)

    def sort_value(self, row: Row) -> str:
        """The cell as the page sorts it: a number, or nothing for text and undefined numbers."""
        value = row.get(self.key)
        if isinstance(value, tuple):
            value = value[0]
        return repr(float(value)) if isinstance(value, int | float) and math.isfinite(value) else ""

    @property
    def is_text(self) -> bool:
        """Whether cells are aligned and sorted as words."""
        return self.kind == "text"


@dataclass(frozen=True)
class Table:
    """A caption, columns and rows; `name` is the stem of its CSV file."""

    name: str
    caption: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)

    def to_csv(self) -> str:
        """RFC 4180 text; an interval becomes two columns, an undefined number an empty field."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow([name for column in self.columns for name in _csv_names(column)])
        for row in self.rows:
            writer.writerow([v for column in self.columns for v in _csv_values(column, row.get(column.key))])
        return out.getvalue()

    def data_uri(self) -> str:
        """The CSV as a link's target, so that the page can offer it without a server or a script."""
        return "data:text/csv;charset=utf-8;base64," + base64.b64encode(self.to_csv().encode()).decode()


def _csv_names(column: Column) -> list[str]:
    if column.kind.endswith("interval"):
        return [f"{column.key}_low", f"{column.key}_high"]
    return [column.key]


def _csv_values(column: Column, value: Any) -> list[Any]:
    if column.kind.endswith("interval"):
        return [_csv_cell(v) for v in (value if value is not None else (None, None))]
    return [_csv_cell(value)]


def _csv_cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


RATE_COLUMNS = [
    Column("n_real", "Real images", "count"),
    Column("fp", "Flagged", "count"),
    Column("fpr", "FPR", "percent", "fpr"),
    Column("fpr_interval", "FPR interval", "percent interval", "interval"),
    Column("n_fake", "Fakes", "count"),
    Column("fn", "Let through", "count"),
    Column("fnr", "FNR", "percent", "fnr"),
    Column("fnr_interval", "FNR interval", "percent interval", "interval"),
    Column("positive_rate", "Share flagged", "percent", "demographic_parity"),
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


def _row(m: Measures, attribute: str, group: str) -> Row:
    small = isinstance(m, GroupResult) and m.small
    note = "no data" if m.n_real + m.n_fake == 0 else "few images" if small else ""
    row = {"attribute": attribute, "group": group_label(attribute, group), "note": note}
    return (
        row
        | {"fp": m.confusion.fp, "fn": m.confusion.fn, "tp": m.confusion.tp, "tn": m.confusion.tn}
        | dict(m)
    )


def measures_row(group: GroupResult) -> Row:
    """Every measure of a group, with its counts and a note where it is thin."""
    return _row(group, group.attribute, group.group) | {"group": group_label(group.attribute, group.group)}


def overall_row(result: AuditResult) -> Row:
    """The same for all images."""
    return _row(result.overall, OVERALL, OVERALL)


def rates_table(result: AuditResult, attribute: str) -> Table:
    """Counts, FPR and FNR of every group of one attribute, all images last."""
    rows = [measures_row(g) for g in result.groups if g.attribute == attribute]
    rows.sort(key=lambda r: -r["fpr"] if math.isfinite(r["fpr"]) else 1.0)
    columns = [Column("group", title(attribute)), *RATE_COLUMNS]
    return Table(f"rates-{attribute}", f"Error rates by {attribute}", columns, [*rows, overall_row(result)])


def quality_table(result: AuditResult, attribute: str) -> Table:
    """Accuracy, precision, recall, F1, AUC, EER ... of every group of one attribute, all images first."""
    rows = [measures_row(g) for g in result.groups if g.attribute == attribute]
    columns = [Column("group", title(attribute)), *QUALITY_COLUMNS]
    return Table(f"quality-{attribute}", f"Performance by {attribute}", columns, [overall_row(result), *rows])


def verdicts_table(result: AuditResult) -> Table:
    """Every test that was made, with both p-values."""
    columns = [
        Column("attribute", "Attribute"),
        Column("rate", "Rate"),
        Column("verdict", "Verdict", "text", "verdict"),
        Column("gap", "Gap", "points", "gap"),
        Column("gap_interval", "Interval of the gap", "percent interval", "simultaneous"),
        Column("p_value", "p", "p", "p_value"),
        Column("adjusted_p_value", "p, corrected", "p", "holm"),
        Column("worst_group", "Highest rate"),
        Column("best_group", "Lowest rate"),
        Column("min_detectable_gap", "Smallest gap that would show", "points", "mdg"),
        Column("images_needed", "Images per group to settle it", "count"),
    ]
    rows = [dict(v) | {"attribute": title(v.attribute), "rate": RATE_NAMES[v.rate]} for v in result.verdicts]
    return Table("verdicts", "All comparisons made", columns, rows)


def gaps_table(result: AuditResult, attribute: str) -> Table:
    """Every disparity measure of one attribute, with its meaning."""
    columns = [
        Column("label", "Measure"),
        Column("value", "Value", "number"),
        Column("interval", "Interval", "number interval", "interval"),
        Column("tolerance_check", "Against the tolerance"),
        Column("fair", "Perfectly equal"),
        Column("expected_if_equal", "Chance alone gives about", "number", "expected_if_equal"),
        Column("groups", "Set by"),
        Column("meaning", "What it says"),
    ]
    rows = []
    for gap in (g for g in result.gaps if g.attribute == attribute):
        word = gap_word(gap.measure)
        groups = " vs ".join(group_label(attribute, g) for g in gap.groups)
        note = f" ({gap.reason})" if gap.reason else ""
        row = {"label": word.label, "fair": word.fair, "groups": groups, "meaning": word.meaning + note}
        rows.append(dict(gap) | row)
    return Table(f"measures-{attribute}", f"Disparity measures by {attribute}", columns, rows)


def operating_points_table(measures: Measures) -> Table:
    """FNR where the FPR is held to 1, 5 and 10 %, and the other way round."""
    columns = [
        Column("at", "Other rate held to", "percent"),
        Column("apcer", "Fakes let through (APCER at BPCER)", "percent", "apcer"),
        Column("bpcer", "Real images flagged (BPCER at APCER)", "percent", "bpcer"),
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
