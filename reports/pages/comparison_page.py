"""The page that lays several detectors side by side.

Enters: a folder with `comparison.json`; the compared runs' `audit.json` where they still are. Leaves:
`comparison.html`, in the report's design.

Why curves come from the runs and not from the comparison: they are measured there already. A run that has
moved costs the page its curve and nothing else, and the page says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from pydantic import BaseModel, ValidationError

from audit.errors import ResultFormatError
from audit.schema.comparison import COMPARISON_FILE, Comparison
from audit.schema.json_schema import load_result
from audit.schema.result import OVERALL, Curve
from audit.task import Task
from audit.wording.numbers import point_interval, points
from audit.wording.verdict_text import RATES, group_label, title
from pipelines.storage import write_text
from reports.errors import RecordFormatError, RunNotFound
from reports.figures import curves as curve_figures
from reports.figures import palette
from reports.figures.interval_dots import Dot, interval_dots
from reports.figures.plotly_layout import base_layout, label_text
from reports.pages.attribute_parts import Figures, Shown, show
from reports.pages.html_page import render
from reports.tables.table import Column, Table
from reports.text import comparison_text as compare_words
from reports.text.legible import legible

DIFFERENCE = [
    Column("interval", "Interval", "points interval", "interval"),
    Column("p_value", "p", "p", "p_value"),
    Column("adjusted_p_value", "p, corrected", "p", "holm"),
    Column("family", "Family", "text", "family"),
]
NOTE = Column("reason", "Note")

FAMILY_WORDS = {
    "headline": "headline",
    "intersections": "exploratory",
    "groups": "exploratory",
    None: "all tests",
}


def load_comparison(folder: str | Path) -> Comparison:
    """Read `comparison.json` of a folder.

    Raises:
        RunNotFound: it is not there.
        RecordFormatError: it is not a comparison.
    """
    path = Path(folder) / COMPARISON_FILE
    if not path.is_file():
        raise RunNotFound(f"no {COMPARISON_FILE} in {folder}: make one with `audit compare RUN_A RUN_B`")
    try:
        return Comparison.load(path)
    except ValidationError as error:
        raise RecordFormatError(f"{path} is not a comparison: {error.errors()[0]['msg']}") from error


def runs_table(record: Comparison) -> Table:
    """The compared detectors, each at its own threshold."""
    task = record.words
    columns = [
        Column("name", task.system.capitalize()),
        Column("threshold", "Threshold", "number"),
        Column("threshold_rule", "Rule"),
        Column("auc", "AUC", "number", "auc"),
        Column("auc_interval", "Interval", "number interval", "interval"),
        Column("fpr", task.fpr, "percent", "fpr"),
        Column("fpr_interval", "Interval", "percent interval", "interval"),
        Column("fnr", task.fnr, "percent", "fnr"),
        Column("fnr_interval", "Interval", "percent interval", "interval"),
    ]
    return Table(
        f"{task.system}s",
        f"The {task.system}s, on the {task.items} all of them scored",
        columns,
        _rows(record.runs, task),
    )


def _rows(items: Sequence[BaseModel], words: Task) -> list[dict[str, Any]]:
    rows = []
    for item in items:
        row = dict(item)
        attribute = row.get("attribute", "")
        if "group" in row:
            row["group"] = group_label(attribute, row["group"], f"All {words.items}")
        if attribute:
            row["attribute"] = "" if attribute == OVERALL else title(attribute)
        if "threshold_rule" in row:
            row["threshold_rule"] = words.rule(row["threshold_rule"])
        if "rate" in row:
            row["rate"] = words.rate(row["rate"])
        if "family" in row:
            row["family"] = FAMILY_WORDS[row["family"]]
        rows.append(row | {"pair": f"{row.get('first')} − {row.get('second')}"})
    return rows


def _table(name: str, caption: str, columns: list[Column], items: Sequence[BaseModel], words: Task) -> Table:
    """With a column of notes where there are any."""
    rows = _rows(items, words)
    noted = [NOTE] if any(row["reason"] for row in rows) else []
    return Table(name, caption, [*columns, *noted], rows)


def gaps_table(record: Comparison) -> Table:
    """Difference of the gaps, by attribute and intersection."""
    columns = [
        Column("attribute", "Attribute"),
        Column("rate", "Rate"),
        Column("pair", f"{record.words.system.capitalize()}s"),
        Column("gap_first", "Gap of the first", "points"),
        Column("gap_second", "Gap of the second", "points"),
        Column("difference", "Difference", "points"),
        *DIFFERENCE,
    ]
    return _table("gaps", "Gaps between groups, compared", columns, record.gaps, record.words)


def errors_table(record: Comparison) -> Table:
    """Exact McNemar on all images and on every group."""
    task = record.words
    columns = [
        Column("attribute", "Attribute"),
        Column("group", "Group"),
        Column("rate", "Rate"),
        Column("pair", f"{record.words.system.capitalize()}s"),
        Column("n", task.items.capitalize(), "count"),
        Column("only_first_wrong", "Only the first errs", "count", "mcnemar"),
        Column("only_second_wrong", "Only the second errs", "count", "mcnemar"),
        Column("difference", "Difference", "points"),
        *DIFFERENCE,
    ]
    return _table(
        "errors",
        f"Errors on the same {task.items}, by group ({task.paired_test})",
        columns,
        record.errors,
        task,
    )


def auc_table(record: Comparison) -> Table:
    """Paired DeLong on all images and on every group."""
    task = record.words
    columns = [
        Column("attribute", "Attribute"),
        Column("group", "Group"),
        Column("pair", f"{record.words.system.capitalize()}s"),
        Column("auc_first", "AUC of the first", "number"),
        Column("auc_second", "AUC of the second", "number"),
        Column("difference", "Difference", "number", "delong"),
        Column("interval", "Interval", "number interval", "interval"),
        *DIFFERENCE[1:],
    ]
    return _table("auc", f"AUC on the same {task.items}, by group (DeLong)", columns, record.auc, task)


def gap_dots(record: Comparison, rate: str) -> go.Figure:
    """The gap of every detector, one row an attribute, one mark a detector."""
    found: dict[str, dict[str, float]] = {}
    for change in record.gaps:
        if change.rate == rate and math.isfinite(change.gap_first + change.gap_second):
            row = found.setdefault(change.attribute, {})
            row |= {change.first: change.gap_first, change.second: change.gap_second}
    names = list(found)[::-1]
    figure = go.Figure()
    for index, run in enumerate(record.runs):
        kept = [(found[a][run.name], y) for y, a in enumerate(names) if found[a].get(run.name, -1.0) >= 0]
        colour, symbol = (
            palette.LINES[index % len(palette.LINES)],
            palette.SYMBOLS[index % len(palette.SYMBOLS)],
        )
        figure.add_scatter(
            x=[x for x, _ in kept],
            y=[y for _, y in kept],
            mode="markers",
            name=label_text(run.name),
            cliponaxis=False,
            marker={"color": colour, "symbol": symbol, "size": 11},
            hovertext=[f"{label_text(run.name)}: {points(x)}" for x, _ in kept],
            hoverinfo="text",
        )
    labels = [label_text(title(a)) + "  " for a in names]
    axis = {"tickvals": list(range(len(names))), "ticktext": labels, "range": [-0.6, len(names) - 0.4]}
    figure.update_layout(
        base_layout(
            110 + 34 * len(names),
            showlegend=True,
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            xaxis={"tickformat": ".1~%", "rangemode": "tozero"},
            yaxis=axis,
        )
    )
    return figure


def gap_differences(record: Comparison, rate: str) -> go.Figure:
    """How far the gaps of two detectors differ, with the interval of that difference; 0: alike."""
    dots = [
        Dot(
            title(d.attribute) if len(record.runs) == 2 else f"{title(d.attribute)}: {d.first} − {d.second}",
            f"{d.first} − {d.second}" if len(record.runs) == 2 else "difference",
            d.difference,
            d.interval,
            f"{d.first} − {d.second}: {points(d.difference)}"
            + (f" ({point_interval(d.interval)})" if d.interval else ""),
        )
        for d in record.gaps
        if d.rate == rate and math.isfinite(d.difference)
    ]
    return interval_dots(dots)


def _overall_curves(record: Comparison) -> tuple[list[Curve], list[str]]:
    """Each run's overall curve under the detector's name, and the runs whose record is not to be had."""
    curves, missing = [], []
    for run in record.runs:
        try:
            found = [c for c in load_result(run.path).curves if c.attribute == OVERALL]
        except ResultFormatError:
            found = []
        curves += [c.model_copy(update={"attribute": record.words.system, "group": run.name}) for c in found]
        missing += [] if found else [run.name]
    return curves, missing


def _figures(book: Figures, record: Comparison, curves: list[Curve]) -> tuple[list[Shown], list[Shown]]:
    task = record.words
    gaps = []
    for rate in RATES:
        if not any(d.rate == rate and math.isfinite(d.difference) for d in record.gaps):
            continue  # an empty picture says nothing; the answers above say why
        what = task.rate_name(rate)
        caption = f"{what}: gap between groups, by {task.system}"
        gaps.append(
            show(book, f"gaps-{rate}", gap_dots(record, rate), caption, f"{caption}. Numbers in the table.")
        )
        caption = f"{what}: difference of the gaps in points, with its interval"
        figure = gap_differences(record, rate)
        gaps.append(
            show(book, f"gap-differences-{rate}", figure, caption, f"{caption}. Numbers in the table.")
        )
    lines = []
    for kind in ("roc", "det") if curves else ():
        caption = f"{kind.upper()} of every {task.system}, all its {task.items}"
        banded = record.confidence if len(curves) <= curve_figures.MAX_LINES else None
        figure = curve_figures.curves(curves, kind, confidence=banded, task=task)
        lines.append(show(book, f"{kind}-all", figure, caption, f"{caption}. AUC and rates in the table."))
    return gaps, lines


def write_comparison_page(folder: str | Path) -> Path:
    """Write `comparison.html` into a folder that holds `comparison.json`, and return its path.

    Raises:
        RunNotFound: there is no `comparison.json` in the folder.
        RecordFormatError: it cannot be read.
    """
    record, book = legible(load_comparison(folder)), Figures()
    curves, missing = _overall_curves(record)
    gaps, lines = _figures(book, record, curves)
    context = {
        "record": record,
        "names": [run.name for run in record.runs],
        "headline": compare_words.headline(record),
        "told": compare_words.told(record),
        "corrected": compare_words.corrected(record),
        "families": compare_words.families(record),
        "runs": runs_table(record),
        "gap_figures": gaps,
        "line_figures": lines,
        "missing": missing,
        "tables": [gaps_table(record), errors_table(record), auc_table(record)],
        "file_stem": "comparison",
        "sections": [
            ("answer", "The answer"),
            ("gaps", "Fairness"),
            ("performance", "Accuracy"),
            ("belief", "Reliability"),
            ("glossary", "Glossary"),
        ],
    }
    return write_text(
        Path(folder) / "comparison.html",
        render("comparison.html", context, book, {"explorer": None}, record.words),
    )
