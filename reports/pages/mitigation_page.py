"""The page of a search for a cure: what would help, what it costs, on images that chose nothing.

Enters: a folder with `mitigation.json`. Leaves: `mitigation.html`, in the report's design.
"""

from __future__ import annotations

from pathlib import Path

from audit.runs.checksums import enter
from audit.schema.mitigation import MitigationResult, load_mitigation
from audit.task import FAKE_FACE
from audit.wording.verdict_text import title
from pipelines.storage import write_text
from reports.figures.trade_off import trade_off_figure
from reports.pages.attribute_parts import Figures, Shown, show
from reports.pages.html_page import render
from reports.tables import mitigation_tables as tables
from reports.text import mitigation_text as words
from reports.text.legible import legible

PAGE = "mitigation.html"


def _figures(book: Figures, record: MitigationResult) -> list[Shown]:
    if not record.trade_offs or record.front_attribute is None:
        return []
    caption = f"Worst-group error against overall error, by {title(record.front_attribute).lower()}"
    alt = f"{caption}, for every single threshold. Gaps and rates are in the tables."
    return [show(book, "trade-off", trade_off_figure(record), caption, alt)]


def build(record: MitigationResult) -> str:
    """The page's HTML for one record."""
    record, book = legible(record), Figures()
    attributes = list(dict.fromkeys(target.attribute for target in record.targets))
    context = {
        "record": record,
        "detector": str(record.provenance.detector.get("name") or "the detector"),
        "headline": words.headline(record),
        "sentence": words.sentence(record),
        "accuracy": words.accuracy(record, record.cure) if record.cure else "",
        "levelled": words.levelled(record.cure) if record.cure and record.outcome != "levelling down" else "",
        "law": words.LAW,
        "bound": words.bound(record) if record.targets else "",
        "method": words.method(record),
        "gaps": [tables.gaps_table(record, record.cure, "cure")] if record.cure else [],
        "groups": [tables.groups_table(record.cure, a, "cure") for a in attributes] if record.cure else [],
        "candidates": [tables.candidates_table(record)] if record.candidates else [],
        "bound_tables": [
            tables.gaps_table(record, record.bound, "bound"),
            *[tables.groups_table(record.bound, a, "bound") for a in attributes],
            tables.rules_table(record.bound),
        ]
        if record.bound
        else [],
        "figures": _figures(book, record),
        "file_stem": "mitigation",
        "sections": [
            ("answer", "The answer"),
            *([("before-after", "Before and after")] if record.cure else []),
            *([("trade-off-h", "Trade-off")] if record.trade_offs else []),
            *([("bound", "A bound")] if record.targets else []),
            ("method", "How it was done"),
        ],
    }
    return render("mitigation.html", context, book, {"explorer": None}, FAKE_FACE)


def write_mitigation_page(folder: str | Path) -> Path:
    """Write `mitigation.html` into a folder that holds `mitigation.json`, and return its path.

    Raises:
        ResultFormatError: There is no readable `mitigation.json` in the folder.
    """
    place = Path(folder)
    path = write_text(place / PAGE, build(load_mitigation(place)))
    enter(place, [path])
    return path
