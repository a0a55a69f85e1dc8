"""ROC and DET curves and score distributions.

Enters: `Curve`s and `Histogram`s of an `AuditResult`. Leaves: `plotly.graph_objects.Figure`s.

Why DET besides ROC: two good detectors differ in the corner of a ROC plot that nobody can see; on probit axes
that corner fills the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import plotly.graph_objects as go

from audit.metrics.error_curves import curve_band
from audit.schema.result import OVERALL, Curve, Histogram
from audit.task import Task
from audit.wording.numbers import percent
from audit.wording.verdict_text import group_label
from reports.figures import palette
from reports.figures.plotly_layout import base_layout, label_text

DET_TICKS = [0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8]
"""Error rates marked on the axes of a DET plot."""

MAX_LINES = 4
"""Curves that can still be told apart in one figure."""


def _probit(value: float) -> float | None:
    return round(NormalDist().inv_cdf(value), 4) if 0 < value < 1 else None


def _rounded(values: Sequence[float]) -> list[float | None]:
    return [round(v, 5) if math.isfinite(v) else None for v in values]


def thin(curve: Curve) -> Curve:
    """The corners of a curve alone: points between two others on one horizontal or vertical run go."""
    rows = list(zip(curve.thresholds, curve.fpr, curve.fnr, strict=True))
    keep = [
        r
        for i, r in enumerate(rows)
        if i in (0, len(rows) - 1) or r[1:] != rows[i - 1][1:] or r[1:] != rows[i + 1][1:]
    ]
    columns = [list(c) for c in zip(*keep, strict=True)] or [[], [], []]
    return curve.model_copy(update=dict(zip(("thresholds", "fpr", "fnr"), columns, strict=True)))


def _style(curve: Curve, index: int) -> tuple[str, str]:
    return (palette.TEXT, "solid") if curve.attribute == OVERALL else palette.line_style(index)


LEAST, MOST = 0.0004, 0.95
"""Where a band ends on probit axes, outside what is shown."""
BAND_POINTS = 80


def _band(curve: Curve, index: int, kind: str, confidence: float) -> dict[str, Any] | None:
    """The pointwise band as a pale area in the colour of its line; None where its worth is not on record."""
    if not (curve.worth_real > 0 and curve.worth_fake > 0):
        return None
    normal = NormalDist()
    start, end = (normal.inv_cdf(v) for v in (LEAST, MOST))
    steps = [start + (end - start) * i / (BAND_POINTS - 1) for i in range(BAND_POINTS)]
    at = [normal.cdf(step) for step in steps]
    at = [0.0, *at, 1.0] if kind == "roc" else at
    worth = (curve.worth_real, curve.worth_fake)
    best, worst = (limit.tolist() for limit in curve_band(curve.fpr, curve.fnr, worth, confidence, at))
    across, along = [*at, *reversed(at)], [*best, *reversed(worst)]
    if kind == "roc":
        x, y = _rounded(across), _rounded([1 - v for v in along])
    else:
        x, y = [_probit(v) for v in across], [_probit(min(max(v, LEAST), MOST)) for v in along]
    return {
        "x": x,
        "y": y,
        "mode": "lines",
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": _style(curve, index)[0],
        "opacity": 0.16,
        "showlegend": False,
        "hoverinfo": "skip",
    }


def _line(curve: Curve, index: int, kind: str, everything: str) -> dict[str, Any]:
    colour, dash = _style(curve, index)
    if kind == "roc":
        x, y = _rounded(curve.fpr), _rounded([1 - v for v in curve.fnr])
    else:
        pairs = [(_probit(a), _probit(b)) for a, b in zip(curve.fpr, curve.fnr, strict=True)]
        kept = [p for p in pairs if None not in p]
        x, y = [p[0] for p in kept], [p[1] for p in kept]
    name = label_text(group_label(curve.attribute, curve.group, everything))
    return {
        "x": x,
        "y": y,
        "name": name,
        "mode": "lines",
        "line": {"color": colour, "dash": dash, "width": 2.2},
        "hoverinfo": "name",
    }


Titles = tuple[str, str, str]
"""Of the x axis, and of the y axes of ROC and DET."""


def side_of_negatives(task: Task) -> Titles:
    """Titles with the positive class as the one that is looked for."""
    return (
        f"{task.negatives.capitalize()} {task.flagged} ({task.fpr})",
        f"{task.positives.capitalize()} {task.caught} (1 − {task.fnr})",
        f"{task.positives.capitalize()} {task.missed} ({task.fnr})",
    )


def side_of_positives(task: Task) -> Titles:
    """The same with the other class as the one that is looked for."""
    return (
        f"{task.positives.capitalize()} {task.missed} ({task.fnr})",
        f"{task.negatives.capitalize()} passed (1 − {task.fpr})",
        f"{task.negatives.capitalize()} {task.flagged} ({task.fpr})",
    )


def other_side(curve: Curve) -> Curve:
    """The curve seen from the other class: a fake let through is then the false alarm."""
    return curve.model_copy(update={"fpr": curve.fnr, "fnr": curve.fpr})


def curves(
    chosen: Sequence[Curve],
    kind: str,
    task: Task,
    titles: Titles | None = None,
    confidence: float | None = None,
) -> go.Figure:
    """ROC (`kind` "roc") or DET ("det", probit axes) of several groups on one pair of axes.

    With a confidence each curve lies in its pointwise band (`audit.metrics.error_curves.curve_band`).

    Source of the probit axes: Martin et al., "The DET curve in assessment of detection task performance",
    Eurospeech 1997. Rates of exactly 0 or 1 have no place on them and are left out.
    """
    titles, everything = titles or side_of_negatives(task), f"All {task.items}"
    thinned = [thin(c) for c in chosen]
    bands = [_band(c, i, kind, confidence) for i, c in enumerate(thinned)] if confidence else []
    figure = go.Figure([go.Scatter(**one) for one in bands if one])
    figure.add_traces([go.Scatter(**_line(c, i, kind, everything)) for i, c in enumerate(thinned)])
    x: dict[str, Any] = {"title": {"text": titles[0]}}
    y: dict[str, Any] = {"title": {"text": titles[1 if kind == "roc" else 2]}}
    if kind == "roc":
        x |= {"range": [-0.01, 1], "tickformat": ".1~%"}
        y |= {"range": [0, 1.01], "tickformat": ".1~%"}
    else:
        ticks: dict[str, Any] = {
            "tickvals": [_probit(t) for t in DET_TICKS],
            "ticktext": [percent(t, 1).replace(".0%", "%") for t in DET_TICKS],
            "range": [_probit(0.0008), _probit(0.85)],
            "tickangle": 0,
        }
        x |= ticks
        y |= ticks
    legend = {"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0, "font": {"size": 12}}
    height = 390 + 20 * (len(chosen) // 3)
    figure.update_layout(base_layout(height, xaxis=x, yaxis=y, legend=legend, showlegend=len(chosen) > 1))
    return figure


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts)
    return [round(c / total, 5) if total else 0.0 for c in counts]


def histograms(chosen: Sequence[Histogram], threshold: float, task: Task) -> go.Figure:
    """Score distributions, a strip a group: real images upwards, fakes downwards, as shares of the class."""
    figure = go.Figure()
    for row, histogram in enumerate(reversed(chosen)):
        shares = {"real": _shares(histogram.real), "fake": [-v for v in _shares(histogram.fake)]}
        tallest = max((abs(v) for side in shares.values() for v in side), default=0) or 1.0
        centres = [
            round((a + b) / 2, 6) for a, b in zip(histogram.edges[:-1], histogram.edges[1:], strict=True)
        ]
        for side, colour in (("real", palette.REAL), ("fake", palette.FAKE)):
            figure.add_bar(
                x=centres,
                y=[round(0.46 * v / tallest, 5) for v in shares[side]],
                base=row,
                name=f"{task.negatives.capitalize()} (up)"
                if side == "real"
                else f"{task.positives.capitalize()} (down)",
                marker={"color": colour},
                showlegend=row == 0,
                legendgroup=side,
                hoverinfo="skip",
            )
    line = {"color": palette.TEXT, "width": 1.5, "dash": "dash"}
    mark = {"type": "line", "xref": "x", "yref": "paper", "x0": threshold, "x1": threshold, "y0": 0, "y1": 1}
    names = [
        label_text(group_label(h.attribute, h.group, f"All {task.items}")) + "  " for h in reversed(chosen)
    ]
    figure.update_layout(
        base_layout(
            110 + max(64 * len(chosen), 130),
            barmode="overlay",
            bargap=0,
            shapes=[{**mark, "line": line}],
            showlegend=True,
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            xaxis={"title": {"text": "Score; dashed: the threshold"}},
            yaxis={
                "tickvals": list(range(len(chosen))),
                "ticktext": names,
                "range": [-0.55, len(chosen) - 0.45],
            },
        )
    )
    return figure
