"""The report: `audit.json` in, one HTML file out.

Enters: a run folder with `audit.json`, perhaps `run.json` (clock time, machine) and thumbnails. Leaves:
`report.html` in it, which makes no network request.

Why nothing is computed here: whatever the page says stands in the record (or is its plain arithmetic), so
that the report can be written again years later, from the record alone, on a machine without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from audit.result import OVERALL, AuditResult, Curve, GroupResult, Histogram
from reports import advice, belief, explorer, figures, samples, sweeps, tables, words
from reports.crossing import Crossing, crossings
from reports.files import load_json, load_result, write_text
from reports.numbers import count, number, number_interval, percent, percent_interval
from reports.page import render
from reports.provenance import provenance_rows

Figures = dict[str, go.Figure]


@dataclass(frozen=True)
class Shown:
    """A figure with what a reader who cannot see it is told."""

    key: str
    caption: str
    alt: str
    height: int


@dataclass(frozen=True)
class AttributePart:
    """One attribute's part of the page."""

    name: str
    anchor: str
    findings: list[words.Finding]
    figures: list[Shown]
    curves: list[Shown]
    rates: tables.Table
    measures: tables.Table
    quality: tables.Table
    n_shown: int
    n_hidden: int


def _show(book: Figures, key: str, figure: go.Figure, caption: str, alt: str) -> Shown:
    book[key] = figure
    return Shown(key, caption, alt, int(figure.layout.height))


def _dots_alt(groups: Sequence[GroupResult], rate: str, overall: float) -> str:
    rows = [g for g in figures.worst_first(groups, rate) if getattr(g, rate) == getattr(g, rate)]
    if not rows:
        return "No group has data."
    ends = [f"{w} {g.group}, {percent(getattr(g, rate))}" for w, g in (("highest", rows[0]), ("lowest", rows[-1]))]
    return f"Dot plot of {len(rows)} groups: {'; '.join(ends)}; all images {percent(overall)}. Numbers in the table."


def _curve_figures(book: Figures, result: AuditResult, attribute: str, index: int) -> list[Shown]:
    """ROC, DET and score histograms of one attribute's groups (or of all images)."""

    def lines() -> list[Curve]:
        return [c for c in result.curves if c.attribute == attribute]

    def strips() -> list[Histogram]:
        return [h for h in result.histograms if h.attribute == attribute]

    by = "all images" if attribute == OVERALL else f"by {attribute}"
    shown = []
    if 0 < len(lines()) <= figures.MAX_LINES:
        for kind in ("roc", "det"):
            alt = f"{kind.upper()} curve, {by}. AUC and error rates are in the tables."
            figure = figures.curves(lines(), kind)
            shown.append(_show(book, f"{kind}-{index}", figure, f"{kind.upper()}, {by}", alt))
    if 0 < len(strips()) <= figures.MAX_ROWS:
        figure = figures.histograms(strips(), result.config.threshold)
        alt = f"Histograms of the scores of real images and fakes, {by}."
        shown.append(_show(book, f"scores-{index}", figure, f"Scores, {by}", alt))
    return shown


def _attribute(book: Figures, result: AuditResult, name: str, index: int, told: list[words.Finding]) -> AttributePart:
    groups = [g for g in result.groups if g.attribute == name]
    shown = []
    for rate, what in words.RATE_NAMES.items():
        overall = getattr(result.overall, rate)
        figure = figures.dots(groups, rate, overall, result.config.tolerance)
        alt = _dots_alt(groups, rate, overall)
        shown.append(_show(book, f"dots-{rate}-{index}", figure, f"{what} ({rate.upper()}), by {name}", alt))
    return AttributePart(
        name=name,
        anchor=f"attribute-{index}",
        findings=[f for f in told if f.verdict.attribute == name],
        figures=shown,
        curves=_curve_figures(book, result, name, index),
        rates=tables.rates_table(result, name),
        measures=tables.gaps_table(result, name),
        quality=tables.quality_table(result, name),
        n_shown=min(len(groups), figures.MAX_ROWS),
        n_hidden=max(0, len(groups) - figures.MAX_ROWS),
    )


def _by_severity(result: AuditResult, told: list[words.Finding]) -> list[str]:
    """Audited attributes, those with the gravest verdict first."""
    ranked = [f.verdict.attribute for f in told if f.verdict.attribute in result.config.attributes]
    return list(dict.fromkeys([*ranked, *result.config.attributes]))


def _verdict_grid(told: list[words.Finding]) -> list[tuple[str, list[words.Finding | None]]]:
    found = {(f.verdict.attribute, f.verdict.rate): f for f in told}
    ordered = sorted(dict.fromkeys(f.verdict.attribute for f in told), key=lambda name: name.count(":"))
    return [(name, [found.get((name, "fpr")), found.get((name, "fnr"))]) for name in ordered]


def _tiles(result: AuditResult) -> list[tuple[str, str, str, str]]:
    m = result.overall
    return [
        ("Accuracy", "accuracy", percent(m.accuracy), percent_interval(m.accuracy_interval)),
        ("Real images flagged (FPR)", "fpr", percent(m.fpr), percent_interval(m.fpr_interval)),
        ("Fakes let through (FNR)", "fnr", percent(m.fnr), percent_interval(m.fnr_interval)),
        ("AUC", "auc", number(m.auc), number_interval(m.auc_interval)),
        ("EER", "eer", percent(m.eer), percent_interval(m.eer_interval) if m.eer_interval else ""),
        ("Precision", "precision", percent(m.precision), ""),
        ("Recall", "recall", percent(m.recall), ""),
        ("F1", "f1", number(m.f1), ""),
        ("Balanced accuracy", "balanced_accuracy", percent(m.balanced_accuracy), ""),
    ]


def _explorer_figures(book: Figures, result: AuditResult, parts: list[AttributePart]) -> dict[str, list[Shown]]:
    shown = {}
    for index, part in enumerate(parts):
        figure = sweeps.gap_figure(result, part.name)
        alt = f"Gap between the groups of {part.name} against the threshold."
        gap = _show(book, f"gap-{index}", figure, f"Largest gap by {part.name}, against the threshold", alt)
        curves = [s for s in part.curves if s.key.startswith(("roc", "det"))]
        shown[part.name] = [gap, *[Shown(s.key, f"{s.caption}; rings: the chosen threshold", s.alt, s.height) for s in curves]]
    return shown


def _sections(context: dict[str, Any]) -> list[tuple[str, str]]:
    every = [
        ("answer", "The answer", True),
        ("attributes", "By attribute", True),
        ("intersections", "Intersections", context["crossings"]),
        ("explorer", "Threshold explorer", context["explorer"]),
        ("performance", "How good is it at all", True),
        ("pairs", "Look at it", context["cards"]),
        ("belief", "Can it be believed", True),
        ("provenance", "Where it comes from", True),
        ("glossary", "Glossary", True),
    ]
    return [(key, name) for key, name, present in every if present]


def _anchors(parts: list[AttributePart], crossed: list[Crossing], told: list[words.Finding]) -> dict[str, str]:
    known = {p.name: p.anchor for p in parts} | {c.name: c.anchor for c in crossed}
    return {f.verdict.attribute: known.get(f.verdict.attribute, "attributes") for f in told}


def _cards(run_dir: Path, result: AuditResult, images: bool) -> list[tuple[str, str, str, list[samples.Card]]]:
    chosen = samples.cards(run_dir, result, images)
    return [(kind, *samples.KINDS.get(kind, (kind.capitalize(), "")), rows) for kind, rows in chosen.items()]


def detector_name(result: AuditResult) -> str:
    """What the report calls the audited detector."""
    return str(result.provenance.detector.get("name") or "the detector")


def build(run_dir: Path, result: AuditResult, run: dict[str, Any], images: bool = True) -> str:
    """The page's HTML for one record.

    Args:
        run_dir: Folder the samples' thumbnails are relative to.
        result: The record.
        run: Content of `run.json`; may be empty.
        images: Whether faces are put into the page.
    """
    book: Figures = {}
    told = words.findings(result)
    names = _by_severity(result, told)
    parts = [_attribute(book, result, name, i, told) for i, name in enumerate(names)]
    crossed = crossings(result, told)
    slider = explorer.payload(result, names)
    explored = [p for p in parts if slider and any(a["name"] == p.name for a in slider["attributes"])]
    context: dict[str, Any] = {
        "result": result,
        "detector": detector_name(result),
        "headline": words.headline(result),
        "lead": words.lead(result),
        "overall_sentence": words.overall_sentence(result),
        "sureness": words.sureness(result),
        "weak": words.is_weak(result),
        "steps": advice.next_steps(result),
        "verdict_grid": _verdict_grid(told),
        "anchors": _anchors(parts, crossed, told),
        "attributes": parts,
        "crossings": crossed,
        "explorer": slider,
        "explorer_figures": _explorer_figures(book, result, explored),
        "tiles": _tiles(result),
        "operating": tables.operating_points_table(result.overall),
        "overall_figures": _curve_figures(book, result, OVERALL, len(parts)),
        "cards": _cards(run_dir, result, images),
        "verdicts_table": tables.verdicts_table(result),
        "provenance": provenance_rows(result, run),
        **belief.context(result),
    }
    context["sections"] = _sections(context)
    return render("report.html", context, book, {"explorer": slider})


def write_report(run_dir: str | Path, images: bool = True) -> Path:
    """Write `report.html` into a run folder and return its path.

    Args:
        run_dir: Folder that holds `audit.json`.
        images: Put the sampled faces into the page; False leaves them out for privacy.

    Raises:
        RunNotFound: there is no `audit.json` in the folder.
        RecordFormatError: `audit.json` or `run.json` cannot be read.
    """
    folder = Path(run_dir)
    result = load_result(folder)
    return write_text(folder / "report.html", build(folder, result, load_json(folder / "run.json"), images))
