"""What else was run on an audited detector: a stress test, a search for shortcuts, as sections of the report.

Enters: a run folder that holds `stress/stress.json` or `shortcuts/shortcuts.json`. Leaves: what the templates
show, and a warning for the first screen.

Why the detector is compared: a folder is put there by hand. A record of another detector is named and not
shown. A search for shortcuts without a detector is about the data set alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audit.runs.checksums import enter
from audit.schema.result import AuditResult, Provenance
from audit.schema.shortcuts import SHORTCUTS_FILE, ShortcutsResult
from audit.schema.stress import STRESS_FILE, StressResult
from reports.figures.shortcut_plots import families_figure
from reports.pages import shortcuts_page, stress_page
from reports.pages.attribute_parts import Figures, show
from reports.text import shortcuts_text as words
from reports.text import stress_text
from reports.text.legible import legible

STRESS, SHORTCUTS = "stress", "shortcuts"
"""Folders inside a run folder."""
MAX_SENTENCES, MAX_FIGURES = 5, 2


NOTHING: dict[str, Any] = {"stress": None, "shortcuts": None, "warnings": []}
"""What the report shows where nothing else was run."""


def context(run_dir: Path, result: AuditResult, book: Figures) -> dict[str, Any]:
    """What the report shows of further runs; None where there is none.

    Raises:
        RecordFormatError: A record that cannot be read.
    """
    stress, shortcuts = _stress(run_dir / STRESS, result, book), _shortcuts(run_dir / SHORTCUTS, result, book)
    return {
        "stress": stress,
        "shortcuts": shortcuts,
        "warnings": [shortcuts["warning"]] if shortcuts and shortcuts["warning"] else [],
    }


def enter_records(run_dir: Path) -> None:
    """Enter the records that the report shows into the run's checksums."""
    records = (run_dir / STRESS / STRESS_FILE, run_dir / SHORTCUTS / SHORTCUTS_FILE)
    enter(run_dir, [path for path in records if path.is_file()])


def _stress(folder: Path, result: AuditResult, book: Figures) -> dict[str, Any] | None:
    if not (folder / STRESS_FILE).is_file():
        return None
    record = legible(stress_page.load_stress(folder))
    own = [d.name for d in record.detectors if _is_audited(d.provenance, d.name, result)]
    if not own:
        return {"other": ", ".join(d.name for d in record.detectors)}
    record = _of_detector(record, own[0])
    unequal = stress_text.unequal(record)
    return {
        "other": None,
        "record": record,
        "headline": stress_text.headline(record),
        "unequal": [stress_text.finding(record, v) for v in unequal[:MAX_SENTENCES]],
        "n_unequal": len(unequal),
        "figures": stress_page.figures(record, book, MAX_FIGURES, "stress"),
        "overview": stress_page.overview_table(record, own[0]),
    }


def _of_detector(record: StressResult, name: str) -> StressResult:
    parts = ("points", "broken", "damage", "verdicts")
    rows = {part: getattr(record, part) for part in parts}
    kept = {
        part: None if every is None else [row for row in every if row.detector == name]
        for part, every in rows.items()
    }
    return record.model_copy(update=kept | {"detectors": [d for d in record.detectors if d.name == name]})


def _shortcuts(folder: Path, result: AuditResult, book: Figures) -> dict[str, Any] | None:
    if not (folder / SHORTCUTS_FILE).is_file():
        return None
    record: ShortcutsResult = legible(shortcuts_page.load_shortcuts(folder))
    detector = record.detector
    own = detector if detector and _is_audited(detector.provenance, detector.name, result) else None
    figure = families_figure(record)
    caption = "What tells real from fake, each by itself"
    return {
        "record": record,
        "headline": words.headline(record),
        "warning": words.warning(record),
        "evidence": words.evidence(record),
        "meaning": words.meaning(record),
        "betrays": [words.family_sentence(family) for family in record.betrays[:MAX_SENTENCES]],
        "flips": words.overall_flips(own) if own else [],
        "equal": words.equal_files_sentence(own) if own else None,
        "other": detector.name if detector and not own else None,
        "figure": show(book, "shortcuts", figure, caption, f"{caption}: AUC with interval."),
    }


def _is_audited(about: Provenance, name: str, result: AuditResult) -> bool:
    """Whether a record is of the audited detector: by its file, by its name where it has none."""
    audited = result.provenance.detector
    if audited.get("sha256") or about.detector.get("sha256"):
        return audited.get("sha256") == about.detector.get("sha256")
    return audited.get("name") == name
