"""The page of a stress test: what breaks the detector, and for whom first.

Enters: a folder with `stress.json`. Leaves: `stress.html`, in the report's design.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from audit.schema.result import OVERALL
from audit.schema.stress import STRESS_FILE, StressPoint, StressResult
from audit.task import FAKE_FACE
from audit.wording.numbers import NO_DATA, percent
from audit.wording.verdict_text import title
from pipelines.storage import write_text
from reports.errors import RecordFormatError, RunNotFound
from reports.figures.damage_curves import damage_curves
from reports.pages.attribute_parts import Figures, Shown, show
from reports.pages.html_page import render
from reports.tables.table import Column, Table
from reports.text.legible import legible
from reports.text.stress_text import (
    RATES,
    broken_sentences,
    compared,
    finding,
    headline,
    label,
    sentence,
    unequal,
)

MAX_FIGURES = 12
MAX_BROKEN = 4
WORDS = {
    "disparity": "Unequal harm",
    "within tolerance": "Equal within tolerance",
    "insufficient evidence": "Inconclusive",
}
RANKING_LOST = 0.5
"""Share of the new errors that no threshold undoes, from which on the ranking is said to have broken."""


def load_stress(folder: str | Path) -> StressResult:
    """Read `stress.json` of a folder.

    Raises:
        RunNotFound: it is not there.
        RecordFormatError: it is not a stress test.
    """
    path = Path(folder) / STRESS_FILE
    if not path.is_file():
        raise RunNotFound(f"no {STRESS_FILE} in {folder}: make one with `audit stress --out {folder}`")
    try:
        return StressResult.model_validate_json(path.read_text(encoding="utf-8", errors="replace"))
    except ValidationError as error:
        raise RecordFormatError(f"{path} is not a stress test: {error.errors()[0]['msg']}") from error


def overview_table(record: StressResult, detector: str) -> Table:
    """What every transformation does to all images together: the highest rate, and at which severity."""
    columns = [
        Column("what", "Transformation"),
        Column("fpr", "FPR untouched", "percent", "fpr"), Column("fpr_worst", "highest, at severity"),
        Column("fnr", "FNR untouched", "percent", "fnr"), Column("fnr_worst", "highest, at severity"),
        Column("auc", "AUC untouched", "number", "auc"), Column("auc_worst", "lowest, at severity"),
        Column("broke", "What broke"),
    ]  # fmt: skip
    rows = []
    for kind in record.kinds:
        at = {
            p.severity: p
            for p in record.points
            if (p.detector, p.transformation, p.attribute) == (detector, kind.name, OVERALL)
        }
        row: dict[str, object] = {"what": kind.label, "broke": what_broke(at[0], _worst(at, _mean_error))}
        for name, badness in _BADNESS.items():
            worst = _worst(at, badness)
            value = getattr(worst, name)
            spelled = f"{value:.3f}" if name == "auc" else percent(value)
            row |= {name: getattr(at[0], name)}
            row[f"{name}_worst"] = f"{spelled}, {worst.severity}" if math.isfinite(value) else NO_DATA
        rows.append(row)
    return Table(f"overview-{detector}", f"All images together: {detector}", columns, rows)


def _mean_error(point: StressPoint) -> float:
    return (point.fpr + point.fnr) / 2


_BADNESS: dict[str, Callable[[StressPoint], float]] = {
    "fpr": lambda point: point.fpr, "fnr": lambda point: point.fnr, "auc": lambda point: -point.auc,
}  # fmt: skip
"""What is worse the higher it is."""


def _worst(at: dict[int, StressPoint], badness: Callable[[StressPoint], float]) -> StressPoint:
    """Of the severities that were tried the worst, of equal ones the mildest."""
    tried = [at[s] for s in sorted(at) if s > 0]
    return max(tried, key=lambda point: -math.inf if math.isnan(badness(point)) else badness(point))


def what_broke(before: StressPoint, after: StressPoint) -> str:
    """Whether another threshold would undo the new errors: "threshold", "ranking", both, or nothing much."""
    new = (after.fpr + after.fnr - before.fpr - before.fnr) / 2
    if math.isnan(new):
        return NO_DATA  # one class alone: nothing can be ranked
    if not new > 0.01:
        return "little"
    lost = (after.best_error - before.best_error) / new
    return "ranking" if lost >= RANKING_LOST else "threshold" if lost < 0.2 else "threshold, and ranking"


def verdicts_table(record: StressResult, detector: str) -> Table:
    """Every question and its answer."""
    columns = [
        Column("what", "Transformation"), Column("attribute", "By"), Column("rate", "Errors"),
        Column("verdict", "Answer"), Column("worse", "Harmed more"), Column("better", "Harmed less"),
        Column("difference", "Difference, points", "points"),
        Column("interval", "Interval, all together", "points interval", "interval"),
        Column("p", "p, corrected", "p", "holm"),
        Column("first", "Leaves the tolerance at (as seen, not tested)"),
    ]  # fmt: skip
    first = {
        (d.transformation, d.attribute, d.rate, d.group): d.first_severity_beyond
        for d in record.damage
        if d.detector == detector
    }
    rows = [
        {
            "what": label(record, v.transformation), "attribute": title(v.attribute), "rate": RATES[v.rate],
            "verdict": WORDS[v.verdict], "worse": v.worse_group, "better": v.better_group,
            "difference": v.difference, "interval": v.interval, "p": v.p_value,
            "first": _severity(first.get((v.transformation, v.attribute, v.rate, str(v.worse_group)))),
        }
        for v in record.verdicts
        if v.detector == detector
    ]  # fmt: skip
    return Table(f"verdicts-{detector}", f"Is everybody harmed alike? {detector}", columns, rows)


def _severity(severity: int | None) -> str:
    return "never" if severity is None else f"severity {severity}"


def levels_table(record: StressResult) -> Table:
    """What the severities are."""
    columns = [Column("what", "Transformation"), Column("unit", "Level")]
    columns += [Column(f"s{s}", str(s), "number") for s in range(1, 6)]
    rows = [
        {"what": kind.label, "unit": kind.unit} | {f"s{s}": v for s, v in enumerate(kind.levels, start=1)}
        for kind in record.kinds
    ]
    return Table("levels", "What was done, by severity", columns, rows)


def figures(
    record: StressResult, book: Figures, most: int = MAX_FIGURES, stem: str = "damage"
) -> list[Shown]:
    """The clearest differences first: proven ones, then by p-value."""
    ranked = sorted(
        (v for v in record.verdicts if v.worse_group is not None),
        key=lambda v: (v.verdict != "disparity", v.p_value, -v.difference),
    )
    shown = []
    for number, v in enumerate(ranked[:most]):
        caption = f"{label(record, v.transformation)}, by {title(v.attribute).lower()}: {RATES[v.rate]}"
        caption += f" ({v.detector})" if len(record.detectors) > 1 else ""
        figure = damage_curves(record, v.detector, v.transformation, v.attribute, v.rate)
        shown.append(show(book, f"{stem}-{number}", figure, caption, f"{caption}. {sentence(record, v)}"))
    return shown


def write_stress_page(folder: str | Path) -> Path:
    """Write `stress.html` into a folder that holds `stress.json`, and return its path.

    Raises:
        RunNotFound: there is no `stress.json` in the folder.
        RecordFormatError: it cannot be read.
    """
    record, book = legible(load_stress(folder)), Figures()
    names = [detector.name for detector in record.detectors]
    context = {
        "record": record,
        "names": names,
        "headline": headline(record),
        "broken": broken_sentences(record)[:MAX_BROKEN],
        "n_broken": len(record.broken or []),
        "unequal": [finding(record, v) for v in unequal(record)],
        "compared": compared(record),
        "n_within": sum(v.verdict == "within tolerance" for v in record.verdicts),
        "overviews": [overview_table(record, name) for name in names],
        "verdicts": [verdicts_table(record, name) for name in names],
        "levels": levels_table(record),
        "figures": figures(record, book),
        "sections": [
            ("answer", "The answer"),
            ("curves", "By severity"),
            ("overall", "All images together"),
            ("verdicts", "Every question"),
            ("method", "How it was done"),
        ],
    }
    page = render("stress.html", context, book, {"explorer": None}, FAKE_FACE)
    return write_text(Path(folder) / "stress.html", page)
