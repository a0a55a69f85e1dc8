"""The parts of the page that repeat: an attribute with its figures and tables.

Enters: an `AuditResult` and a book of figures that grows. Leaves: what the templates show; each figure goes
into the book under a key, and into the page as that key with words for a reader who cannot see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from audit.judge.usefulness import unanswered
from audit.schema.result import OVERALL, AuditResult, Curve, Histogram
from audit.wording import verdict_text as words
from reports.figures import curves as curve_figures
from reports.figures import gap_curves as sweeps
from reports.figures.gap_plots import MAX_ROWS, GapPlot, gap_plot
from reports.tables import reference_group as references
from reports.tables import report_tables as tables
from reports.tables import score_tables as scores
from reports.tables import table

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
    plots: list[tuple[words.Finding | None, GapPlot]]
    """For each kind of error the verdict, if there is one, and the picture below it."""
    curves: list[Shown]
    rates: table.Table
    measures: table.Table
    rest: table.Table
    reference: table.Table
    reference_claims: list[tuple[str, str]]
    quality: table.Table
    scores: list[table.Table]
    """Shift, missed fakes at one FPR, calibration: those that have rows."""


def show(book: Figures, key: str, figure: go.Figure, caption: str, alt: str) -> Shown:
    """Put a figure into the book under a key, and return what the template shows of it."""
    book[key] = figure
    return Shown(key, caption, alt, int(figure.layout.height))


def overall_figures(book: Figures, result: AuditResult, attribute: str, index: int) -> list[Shown]:
    """ROC, DET and score histograms of one attribute's groups (or of all images)."""
    task = result.task
    by = f"all {task.items}" if attribute == OVERALL else f"by {attribute}"
    lines, few = _readable_curves(result, attribute)
    strips: list[Histogram] = [h for h in result.histograms if h.attribute == attribute]
    shown = []
    for kind in ("roc", "det") if lines else ():
        alt = f"{kind.upper()} curve, {by}{few}. AUC and error rates are in the tables."
        figure = curve_figures.curves(lines, kind, confidence=result.config.confidence, task=task)
        shown.append(show(book, f"{kind}-{index}", figure, f"{kind.upper()}, {by}{few}", alt))
    if 0 < len(strips) <= MAX_ROWS:
        figure = curve_figures.histograms(strips, result.config.threshold, task)
        alt = f"Histograms of the scores of {task.negatives} and {task.positives}, {by}."
        shown.append(show(book, f"scores-{index}", figure, f"Scores, {by}", alt))
    return shown


def _readable_curves(result: AuditResult, attribute: str) -> tuple[list[Curve], str]:
    """The curves that can be told apart in one figure, and which they are.

    All where they are few; else all images, and the groups of the highest and the lowest AUC.
    """
    task = result.task
    lines = [c for c in result.curves if c.attribute == attribute]
    if len(lines) <= curve_figures.MAX_LINES:
        return lines, ""
    auc = {
        g.group: g.auc for g in result.groups if g.attribute == attribute and not g.small and g.auc == g.auc
    }
    known = sorted((c for c in lines if c.group in auc), key=lambda c: auc[c.group])
    ends = [known[-1], known[0]] if len(known) > 1 else known
    return [
        *(c for c in result.curves if c.attribute == OVERALL),
        *ends,
    ], f": all {task.items}, highest and lowest AUC"


def attribute_part(
    book: Figures, result: AuditResult, name: str, index: int, told: list[words.Finding]
) -> AttributePart:
    """Figures, tables and findings of the `index`-th attribute of the page."""
    found = [f for f in told if f.verdict.attribute == name]
    plots = []
    for rate in words.RATES:
        one = next((f for f in found if f.verdict.rate == rate), None)
        plots.append((one, gap_plot(result, name, rate, one.verdict if one else None)))
    return AttributePart(
        name=name,
        anchor=f"attribute-{index}",
        findings=found,
        plots=plots,
        curves=overall_figures(book, result, name, index),
        rates=tables.rates_table(result, name),
        measures=tables.gaps_table(result, name),
        rest=tables.rest_table(result, name),
        reference=references.reference_table(result, name),
        reference_claims=[] if unanswered(result) else references.reference_claims(result, name),
        quality=tables.quality_table(result, name),
        scores=[one for one in _score_tables(result, name) if len(one.rows) > 1],
    )


def _score_tables(result: AuditResult, name: str) -> list[table.Table]:
    makers = (scores.shift_table, scores.fixed_fpr_table, scores.calibration_table, scores.kinds_table)
    return [make(result, name) for make in makers]


def explorer_figures(
    book: Figures, result: AuditResult, parts: list[AttributePart], slider: dict[str, Any]
) -> dict[str, list[Shown]]:
    """For each attribute what the slider moves: its gap over thresholds, and its ROC and DET where all
    fit.
    """
    shown = {}
    for index, part in enumerate(parts):
        figure = sweeps.gap_figure(result, part.name)
        alt = f"Gap between the groups of {part.name} against the threshold."
        gap = show(book, f"gap-{index}", figure, f"Largest gap by {part.name}, against the threshold", alt)
        known = next(a for a in slider["attributes"] if a["name"] == part.name)
        curves = [s for s in part.curves if known["curves"] and s.key.startswith(("roc", "det"))]
        shown[part.name] = [
            gap,
            *[Shown(s.key, f"{s.caption}; rings: the chosen threshold", s.alt, s.height) for s in curves],
        ]
    return shown
