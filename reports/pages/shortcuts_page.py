"""The page of a search for shortcuts: can real and fake be told without a look at the face?

Enters: a folder with `shortcuts.json`. Leaves: `shortcuts.html`, in the report's design.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from audit.schema.result import OVERALL
from audit.schema.shortcuts import SHORTCUTS_FILE, ShortcutDetector, ShortcutsResult
from audit.task import FAKE_FACE
from audit.wording.verdict_text import title
from pipelines.storage import write_text
from reports.errors import RecordFormatError, RunNotFound
from reports.figures.shortcut_plots import families_figure, flips_figure
from reports.pages.attribute_parts import Figures, Shown, show
from reports.pages.html_page import render
from reports.tables import adjusted_gaps as held
from reports.tables.table import Column, Table
from reports.text import shortcuts_text as words
from reports.text.legible import legible
from reports.text.shortcuts_text import lines

__all__ = ["families_table", "flips_table", "lines", "load_shortcuts", "write_shortcuts_page"]


def load_shortcuts(folder: str | Path) -> ShortcutsResult:
    """Read `shortcuts.json` of a folder.

    Raises:
        RunNotFound: it is not there.
        RecordFormatError: it is not a search for shortcuts.
    """
    path = Path(folder) / SHORTCUTS_FILE
    if not path.is_file():
        raise RunNotFound(f"no {SHORTCUTS_FILE} in {folder}: make one with `audit shortcuts --out {folder}`")
    try:
        return ShortcutsResult.model_validate_json(path.read_text(encoding="utf-8", errors="replace"))
    except ValidationError as error:
        raise RecordFormatError(
            f"{path} is not a search for shortcuts: {error.errors()[0]['msg']}"
        ) from error


def families_table(record: ShortcutsResult) -> Table:
    """Every family of facts, the clearest first."""
    columns = [
        Column("what", "Property"), Column("where", "Found in"), Column("auc", "AUC", "number", "auc"),
        Column("interval", "Interval, all together", "number interval", "interval"),
        Column("told", "Tells real from fake"), Column("fact", "Clearest fact"),
        Column("real", "Real images"), Column("fake", "Fakes"),
    ]  # fmt: skip
    rows = [
        {
            "what": words.capital(f.label), "where": {"file": "file", "picture": "whole picture"}[f.part],
            "auc": f.auc, "interval": f.interval, "told": "yes" if f.told else "not shown",
            "fact": f.fact_label, "real": f.real, "fake": f.fake,
        }
        for f in sorted(record.families, key=lambda f: -f.auc)
    ]  # fmt: skip
    return Table("families", "What tells real from fake, each by itself", columns, rows)


def flips_table(detector: ShortcutDetector) -> Table:
    """Changed decisions of every group and class."""
    columns = [
        Column("attribute", "By"), Column("group", "Group"), Column("half", "Class"),
        Column("n", "Source photos", "count"), Column("flipped", "Decisions that change", "percent"),
        Column("interval", "Interval", "percent interval", "interval"),
        Column("toward", "To what the other class is called", "percent"),
    ]  # fmt: skip
    rows = [
        {
            "attribute": "All images" if f.attribute == OVERALL else title(f.attribute),
            "group": "–" if f.attribute == OVERALL else f.group, "half": words.HALVES[f.half], "n": f.n,
            "flipped": f.flipped, "interval": f.interval, "toward": f.toward,
        }
        for f in detector.flips
    ]  # fmt: skip
    return Table("flips", "Decisions that change when the files are exchanged", columns, rows)


def _flip_figures(detector: ShortcutDetector, book: Figures) -> list[Shown]:
    names = [name for name in dict.fromkeys(f.attribute for f in detector.flips if f.n) if name != OVERALL]
    shown = []
    for number, name in enumerate(names):
        caption = f"Decisions that change when the files are exchanged, by {title(name).lower()}"
        figure = flips_figure(detector.flips, name)
        shown.append(show(book, f"flips-{number}", figure, caption, f"{caption}. Numbers are in the table."))
    return shown


def _of_detector(detector: ShortcutDetector, book: Figures) -> dict[str, Any]:
    return {
        "name": detector.name,
        "record": detector,
        "flips": words.overall_flips(detector),
        "exchange": words.exchange_sentence(detector),
        "equal": words.equal_files_sentence(detector),
        "figures": _flip_figures(detector, book),
        "table": flips_table(detector),
        "gaps": [(gap, held.told(gap)) for gap in detector.gaps],
    }


def write_shortcuts_page(folder: str | Path) -> Path:
    """Write `shortcuts.html` into a folder that holds `shortcuts.json`, and return its path.

    Raises:
        RunNotFound: there is no `shortcuts.json` in the folder.
        RecordFormatError: it cannot be read.
    """
    book: Figures = {}
    record = legible(load_shortcuts(folder))
    detector = None if record.detector is None else _of_detector(record.detector, book)
    context = {
        "record": record,
        "headline": words.headline(record),
        "evidence": words.evidence(record),
        "meaning": words.meaning(record),
        "betrays": [words.family_sentence(family) for family in record.betrays[:5]],
        "n_more": max(0, len(record.betrays) - 5),
        "figure": show(
            book, "families", families_figure(record), "What tells real from fake, each by itself",
            "AUC of each property with its interval. Numbers are in the table below.",
        ),
        "families": families_table(record),
        "detector": detector,
        "sections": [
            ("answer", "The answer"),
            ("families", "What betrays it"),
            *([("detector", "The detector")] if detector else []),
            ("method", "How it was done"),
        ],
    }  # fmt: skip
    page = render("shortcuts.html", context, book, {"explorer": None}, FAKE_FACE)
    return write_text(Path(folder) / "shortcuts.html", page)
