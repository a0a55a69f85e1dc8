"""The page of a cross table: kinds trained on x kinds tested on.

Enters: a folder with `cross-table.json`. Leaves: `cross-table.html`, in the report's design.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from audit.schema.benchmark import flat
from audit.schema.cross_table import CROSS_FILE, CrossCell, CrossTable
from audit.task import FAKE_FACE
from audit.wording.numbers import number, number_interval, percent, percent_interval
from pipelines.storage import write_text
from reports.errors import RecordFormatError, RunNotFound
from reports.figures.heat_maps import N_SHADES
from reports.pages.html_page import render
from reports.tables.report_tables import QUALITY_COLUMNS
from reports.tables.table import Column, Table
from reports.text.cross_table_text import NOTES, headline, left_out, lines, settings
from reports.text.legible import legible

PAGE = "cross-table.html"
GRIDS = {
    "auc": ("AUC", "higher is better; 0.5 is guessing"),
    "accuracy": ("Accuracy", "at the threshold, as many fakes as photos; 50% is guessing"),
    "difference": ("Difference", "AUC minus that of the detector trained on the kind tested"),
}
"""Measure to its name and how to read it, in the order of the page."""
Square = tuple[str, str, int | None]
"""What stands in a square: the number, its interval, its shade from 0 (guessing) to N_SHADES - 1."""


def load_cross_table(folder: str | Path) -> CrossTable:
    """Read `cross-table.json` of a folder.

    Raises:
        RunNotFound: it is not there.
        RecordFormatError: it is not a cross table.
    """
    path = Path(folder) / CROSS_FILE
    if not path.is_file():
        raise RunNotFound(f"no {CROSS_FILE} in {folder}: make one with `audit cross-table --out {folder}`")
    try:
        return CrossTable.load(folder)
    except ValidationError as error:
        raise RecordFormatError(f"{path} is not a cross table: {error.errors()[0]['msg']}") from error


def grid(result: CrossTable, measure: str) -> list[tuple[str, list[Square]]]:
    """Rows of the table: what was trained on, a square for each kind tested on."""
    return [
        (row.trained_on, [_square(result.cell(row.trained_on, kind), measure) for kind in result.kinds])
        for row in result.trainings
    ]


def _square(cell: CrossCell, measure: str) -> Square:
    m = cell.measures
    if measure == "difference":
        if not math.isfinite(cell.difference):
            return "its own", "", None
        low, high = cell.difference_interval
        return number(cell.difference), f"{number(low)} to {number(high)}", None
    value = m.auc if measure == "auc" else m.accuracy
    shade = max(0, min(N_SHADES - 1, int(N_SHADES * (2 * value - 1)))) if math.isfinite(value) else None
    if measure == "auc":
        return number(value), number_interval(m.auc_interval), shade
    return percent(value), percent_interval(m.accuracy_interval), shade


def measures_table(result: CrossTable) -> Table:
    """Every measure of every cell."""
    rows = [
        {"trained_on": c.trained_on, "tested_on": c.tested_on} | flat(c.measures) | dict(c.measures)
        for c in result.cells
    ]
    columns = [Column("trained_on", "Trained on"), Column("tested_on", "Tested on")]
    columns += [Column(key, label, "count") for key, label in (("n_real", "Photos"), ("n_fake", "Fakes"))]
    return Table(
        "cross-table", "All measures, by kind trained on and tested on", [*columns, *QUALITY_COLUMNS], rows
    )


def trainings_table(result: CrossTable) -> Table:
    """What each detector learned from, and how far it came."""
    columns = [
        Column("trained_on", "Trained on"),
        Column("n_train_images", "Images", "count"),
        Column("n_drawn", "Images seen", "count"),
        Column("best_epoch", "Epoch kept", "count"),
        Column("valid_accuracy", "Accuracy that chose it", "percent"),
        Column("checkpoint", "File"),
    ]
    return Table("trainings", "The trainings", columns, [dict(row) for row in result.trainings])


def write_cross_table_page(folder: str | Path) -> Path:
    """Write `cross-table.html` into a folder that holds `cross-table.json`, and return its path.

    Raises:
        RunNotFound: there is no `cross-table.json` in the folder.
        RecordFormatError: it cannot be read.
    """
    result = legible(load_cross_table(folder))
    context: dict[str, Any] = {
        "record": result,
        "headline": headline(result),
        "lines": lines(result),
        "settings": settings(result),
        "notes": NOTES,
        "grids": [(name, how, grid(result, key)) for key, (name, how) in GRIDS.items()],
        "measures": measures_table(result),
        "trainings": trainings_table(result),
        "left_out": left_out(result),
        "sections": [
            ("answer", "The answer"),
            ("measures", "Every measure"),
            ("belief", "Reliability"),
            ("glossary", "Glossary"),
        ],
    }
    return write_text(
        Path(folder) / PAGE, render("cross_table.html", context, {}, {"explorer": None}, FAKE_FACE)
    )
