"""The parts of the page that repeat: an attribute with its figures and tables.

Enters: an `AuditResult` and a book of figures that grows. Leaves: what the templates show; each figure goes
into the book under a key, and into the page as that key with words for a reader who cannot see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from audit.schema.result import OVERALL, AuditResult, Curve, GroupResult, Histogram
from reports.figures import curves as curve_figures
from reports.figures import dot_plots as figures
from reports.figures import gap_curves as sweeps
from reports.tables import reference_group as references
from reports.tables import report_tables as tables
from reports.tables import table
from reports.text import verdict_text as words
from reports.text.numbers import percent

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
    rates: table.Table
    measures: table.Table
    rest: table.Table
    reference: table.Table
    reference_claims: list[tuple[str, str]]
    quality: table.Table
    n_shown: int
    n_hidden: int


def show(book: Figures, key: str, figure: go.Figure, caption: str, alt: str) -> Shown:
    """Put a figure into the book under a key, and return what the template shows of it."""
    book[key] = figure
    return Shown(key, caption, alt, int(figure.layout.height))


def _dots_alt(groups: Sequence[GroupResult], rate: str, overall: float) -> str:
    rows = [g for g in figures.worst_first(groups, rate) if getattr(g, rate) == getattr(g, rate)]
    if not rows:
        return "No group has data."
    ends = [
        f"{w} {g.group}, {percent(getattr(g, rate))}" for w, g in (("highest", rows[0]), ("lowest", rows[-1]))
    ]
    shown = "; ".join([*ends, f"all images {percent(overall)}"])
    return f"Dot plot of {len(rows)} groups: {shown}. Numbers in the table."


def overall_figures(book: Figures, result: AuditResult, attribute: str, index: int) -> list[Shown]:
    """ROC, DET and score histograms of one attribute's groups (or of all images)."""

    def lines() -> list[Curve]:
        return [c for c in result.curves if c.attribute == attribute]

    def strips() -> list[Histogram]:
        return [h for h in result.histograms if h.attribute == attribute]

    by = "all images" if attribute == OVERALL else f"by {attribute}"
    shown = []
    if 0 < len(lines()) <= curve_figures.MAX_LINES:
        for kind in ("roc", "det"):
            alt = f"{kind.upper()} curve, {by}. AUC and error rates are in the tables."
            figure = curve_figures.curves(lines(), kind)
            shown.append(show(book, f"{kind}-{index}", figure, f"{kind.upper()}, {by}", alt))
    if 0 < len(strips()) <= figures.MAX_ROWS:
        figure = curve_figures.histograms(strips(), result.config.threshold)
        alt = f"Histograms of the scores of real images and fakes, {by}."
        shown.append(show(book, f"scores-{index}", figure, f"Scores, {by}", alt))
    return shown


def attribute_part(
    book: Figures, result: AuditResult, name: str, index: int, told: list[words.Finding]
) -> AttributePart:
    """Figures, tables and findings of the `index`-th attribute of the page."""
    groups = [g for g in result.groups if g.attribute == name]
    shown = []
    for rate, what in words.RATE_NAMES.items():
        overall = getattr(result.overall, rate)
        figure = figures.dots(groups, rate, overall, result.config)
        alt = _dots_alt(groups, rate, overall)
        shown.append(show(book, f"dots-{rate}-{index}", figure, f"{what} ({rate.upper()}), by {name}", alt))
    return AttributePart(
        name=name,
        anchor=f"attribute-{index}",
        findings=[f for f in told if f.verdict.attribute == name],
        figures=shown,
        curves=overall_figures(book, result, name, index),
        rates=tables.rates_table(result, name),
        measures=tables.gaps_table(result, name),
        rest=tables.rest_table(result, name),
        reference=references.reference_table(result, name),
        reference_claims=references.reference_claims(result, name),
        quality=tables.quality_table(result, name),
        n_shown=min(len(groups), figures.MAX_ROWS),
        n_hidden=max(0, len(groups) - figures.MAX_ROWS),
    )


def explorer_figures(
    book: Figures, result: AuditResult, parts: list[AttributePart]
) -> dict[str, list[Shown]]:
    """For each attribute what the slider moves: its gap over thresholds, its ROC and DET."""
    shown = {}
    for index, part in enumerate(parts):
        figure = sweeps.gap_figure(result, part.name)
        alt = f"Gap between the groups of {part.name} against the threshold."
        gap = show(book, f"gap-{index}", figure, f"Largest gap by {part.name}, against the threshold", alt)
        curves = [s for s in part.curves if s.key.startswith(("roc", "det"))]
        shown[part.name] = [
            gap,
            *[Shown(s.key, f"{s.caption}; rings: the chosen threshold", s.alt, s.height) for s in curves],
        ]
    return shown
