"""The figures, built with Plotly's Python objects and drawn by Plotly's script in the page.

Enters: parts of an `AuditResult`. Leaves: `plotly.graph_objects.Figure`s in the light palette, with numbers
as plain lists (their JSON goes into the page).

Why group names go through `label_text`: Plotly reads a small subset of HTML in its texts. A name holding
markup must be shown as it is spelled, never obeyed. Why numeric axes with our own tick texts where
categories would do: Plotly turns names such as "2020-01" or "10" into dates and numbers.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import plotly.graph_objects as go

from audit.result import OVERALL, Curve, GroupResult, Histogram
from reports import palette
from reports.numbers import count, percent, percent_interval
from reports.words import group_label

DET_TICKS = [0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8]
"""Error rates marked on the axes of a DET plot."""

MAX_ROWS = 40
"""Groups drawn in one figure; the table beside it has them all."""

MAX_LINES = 12
"""Groups whose curves can still be told apart in one figure."""


def label_text(text: str, longest: int = 26) -> str:
    """A label for Plotly: shortened, with markup made harmless."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return html.escape(cut, quote=False)


def base_layout(height: int, **more: Any) -> dict[str, Any]:
    """What all figures share: no template, see-through background, one font, small margins."""
    axis = {"gridcolor": palette.GRID, "zeroline": False, "linecolor": palette.GRID, "automargin": True}
    layout: dict[str, Any] = {
        "template": go.layout.Template(),
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 28, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": palette.TEXT},
        "showlegend": False,
        "hovermode": "closest",
        "dragmode": False,
    }
    for key, value in more.items():
        layout[key] = {**axis, **value} if key.startswith(("xaxis", "yaxis")) else value
    return layout


def _note(text: str, **where: Any) -> dict[str, Any]:
    return {"text": text, "showarrow": False, "font": {"size": 12, "color": palette.MUTED}, **where}


def _band(low: float, high: float, overall: float) -> list[dict[str, Any]]:
    frame = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    shapes = []
    if math.isfinite(low):
        shapes.append(
            {**frame, "type": "rect", "x0": low, "x1": high, "fillcolor": palette.BAND, "line": {"width": 0}}
        )
    if math.isfinite(overall):
        line = {"color": palette.MUTED, "width": 1.5, "dash": "dash"}
        shapes.append({**frame, "type": "line", "x0": overall, "x1": overall, "line": line})
    return shapes


def worst_first(groups: Sequence[GroupResult], rate: str) -> list[GroupResult]:
    """Groups by falling rate; those with no data last."""
    defined = [g for g in groups if math.isfinite(getattr(g, rate))]
    return sorted(defined, key=lambda g: -getattr(g, rate)) + [g for g in groups if g not in defined]


def _n(group: GroupResult, rate: str) -> int:
    return group.n_real if rate == "fpr" else group.n_fake


def dots(groups: Sequence[GroupResult], rate: str, overall: float, tolerance: float) -> go.Figure:
    """Rate of each group with its interval, worst first; overall line; band of `tolerance` above the best.

    The band starts at the lowest rate among the groups that are not small, because the tolerance is on the
    gap between two groups: a dot to its right differs from the best group by more than the tolerance.
    """
    rows = worst_first(groups, rate)[:MAX_ROWS]
    ys = list(range(len(rows), 0, -1))
    figure = go.Figure()
    styles = ((False, palette.BLUE, "circle"), (True, palette.MUTED, "circle-open"))
    for small, colour, symbol in styles:
        picked = [
            (y, g, getattr(g, rate), getattr(g, rate + "_interval"))
            for y, g in zip(ys, rows, strict=True)
            if g.small is small and math.isfinite(getattr(g, rate))
        ]
        figure.add_scatter(
            x=[v for _, _, v, _ in picked],
            y=[y for y, *_ in picked],
            error_x={
                "type": "data",
                "array": [i[1] - v for *_, v, i in picked],
                "arrayminus": [v - i[0] for *_, v, i in picked],
                "color": colour,
                "thickness": 2,
                "width": 4,
            },
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 10, "line": {"width": 2, "color": colour}},
            hovertext=[
                f"{label_text(group_label(g.attribute, g.group), 60)}: {percent(v)} ({percent_interval(i)}), "
                f"n {count(_n(g, rate))}"
                for _, g, v, i in picked
            ],
            hoverinfo="text",
        )
    known = [getattr(g, rate) for g in rows if not g.small and math.isfinite(getattr(g, rate))]
    best = min(known, default=math.nan)
    figure.update_layout(
        base_layout(
            56 + 30 * max(len(rows), 2),
            shapes=_band(best, best + tolerance, overall),
            annotations=_row_notes(rows, ys, rate),
            margin={"l": 8, "r": 62, "t": 28, "b": 8},
            xaxis={"tickformat": ".1~%", "rangemode": "tozero"},
            yaxis={
                "tickvals": ys,
                "ticktext": [label_text(group_label(g.attribute, g.group)) + "  " for g in rows],
                "range": [0.4, len(rows) + 0.6],
                "showgrid": False,
            },
        )
    )
    return figure


def _row_notes(rows: Sequence[GroupResult], ys: Sequence[int], rate: str) -> list[dict[str, Any]]:
    where = {"xref": "paper", "x": 1.0, "xanchor": "left"}
    notes = [_note(" n", yref="paper", y=1.0, yanchor="bottom", **where)]
    for group, y in zip(rows, ys, strict=True):
        notes.append(_note(f" {count(_n(group, rate))}{' *' if group.small else ''}", yref="y", y=y, **where))
        if not math.isfinite(getattr(group, rate)):
            notes.append(_note("no data", xref="paper", x=0.02, xanchor="left", yref="y", y=y))
    return notes


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


def _line(curve: Curve, index: int, kind: str) -> dict[str, Any]:
    colour, dash = palette.line_style(index)
    if curve.attribute == OVERALL:
        colour, dash = palette.TEXT, "solid"
    if kind == "roc":
        x, y = _rounded(curve.fpr), _rounded([1 - v for v in curve.fnr])
    else:
        pairs = [(_probit(a), _probit(b)) for a, b in zip(curve.fpr, curve.fnr, strict=True)]
        kept = [p for p in pairs if None not in p]
        x, y = [p[0] for p in kept], [p[1] for p in kept]
    name = label_text(group_label(curve.attribute, curve.group))
    return {
        "x": x,
        "y": y,
        "name": name,
        "mode": "lines",
        "line": {"color": colour, "dash": dash, "width": 2.2},
        "hoverinfo": "name",
    }


def curves(chosen: Sequence[Curve], kind: str) -> go.Figure:
    """ROC (`kind` "roc") or DET ("det", probit axes) of several groups on one pair of axes.

    Source of the probit axes: Martin et al., "The DET curve in assessment of detection task performance",
    Eurospeech 1997. Rates of exactly 0 or 1 have no place on them and are left out.
    """
    figure = go.Figure([go.Scatter(**_line(thin(c), i, kind)) for i, c in enumerate(chosen)])
    if kind == "roc":
        x = {"title": {"text": "Real images flagged (FPR)"}, "range": [-0.01, 1], "tickformat": ".1~%"}
        y = {"title": {"text": "Fakes caught (1 − FNR)"}, "range": [0, 1.01], "tickformat": ".1~%"}
    else:
        ticks = {
            "tickvals": [_probit(t) for t in DET_TICKS],
            "ticktext": [percent(t, 1).replace(".0%", "%") for t in DET_TICKS],
            "range": [_probit(0.0008), _probit(0.85)],
            "tickangle": 0,
        }
        x = {"title": {"text": "Real images flagged (FPR)"}, **ticks}
        y = {"title": {"text": "Fakes let through (FNR)"}, **ticks}
    legend = {"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0, "font": {"size": 12}}
    figure.update_layout(
        base_layout(
            390 + 20 * (len(chosen) // 3), xaxis=x, yaxis=y, legend=legend, showlegend=len(chosen) > 1
        )
    )
    return figure


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [round(c / total, 5) if total else 0.0 for c in counts]


def histograms(chosen: Sequence[Histogram], threshold: float) -> go.Figure:
    """Score distributions, one strip a group: real images upwards, fakes downwards, as shares of their class."""
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
                name="Real images (up)" if side == "real" else "Fakes (down)",
                marker={"color": colour, "pattern": {"shape": "" if side == "real" else "/", "size": 4}},
                showlegend=row == 0,
                legendgroup=side,
                hoverinfo="skip",
            )
    line = {"color": palette.TEXT, "width": 1.5, "dash": "dash"}
    mark = {"type": "line", "xref": "x", "yref": "paper", "x0": threshold, "x1": threshold, "y0": 0, "y1": 1}
    names = [label_text(group_label(h.attribute, h.group)) + "  " for h in reversed(chosen)]
    figure.update_layout(
        base_layout(
            110 + max(64 * len(chosen), 130),
            barmode="overlay",
            bargap=0,
            shapes=[{**mark, "line": line}],
            showlegend=True,
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            xaxis={"title": {"text": "Score (higher: more fake); dashed: the threshold"}},
            yaxis={"tickvals": list(range(len(chosen))), "ticktext": names, "range": [-0.55, len(chosen) - 0.45]},
        )
    )
    return figure
