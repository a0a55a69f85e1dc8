"""What all figures share, and the dot plots of rates: built with Plotly's objects, drawn by its script.

Enters: groups of an `AuditResult`. Leaves: `plotly.graph_objects.Figure`s in the light palette, with numbers
as plain lists (their JSON goes into the page).

Why group names go through `label_text`: Plotly reads a small subset of HTML in its texts. A name holding
markup must be shown as it is spelled, never obeyed. Why numeric axes with our own tick texts where
categories would do: Plotly turns names such as "2020-01" or "10" into dates and numbers.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from audit.schema.result import Config, GroupResult
from reports.figures import palette
from reports.text.numbers import count, percent, percent_interval
from reports.text.participation import n_of, takes_part
from reports.text.verdict_text import group_label

MAX_ROWS = 40
"""Groups drawn in one figure; the table beside it has them all."""


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


def dots(groups: Sequence[GroupResult], rate: str, overall: float, config: Config) -> go.Figure:
    """Rate of each group with its interval, worst first; overall line; tolerance band above the best.

    The band starts at the lowest rate among the groups that take part, because the tolerance is on the
    gap between two groups: a dot to its right differs from the best group by more than the tolerance.
    """
    rows = worst_first(groups, rate)[:MAX_ROWS]
    ys = list(range(len(rows), 0, -1))
    figure = go.Figure()
    styles = ((True, palette.BLUE, "circle"), (False, palette.MUTED, "circle-open"))
    for part, colour, symbol in styles:
        picked = [
            (y, g, getattr(g, rate), getattr(g, rate + "_interval"))
            for y, g in zip(ys, rows, strict=True)
            if takes_part(g, rate, config.min_n) is part and math.isfinite(getattr(g, rate))
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
                f"n {count(n_of(g, rate))}"
                for _, g, v, i in picked
            ],
            hoverinfo="text",
        )
    known = [getattr(g, rate) for g in groups if takes_part(g, rate, config.min_n)]
    best = min(known, default=math.nan)
    figure.update_layout(
        base_layout(
            56 + 30 * max(len(rows), 2),
            shapes=_band(best, best + config.tolerance, overall),
            annotations=_row_notes(rows, ys, rate, config.min_n),
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


def _row_notes(rows: Sequence[GroupResult], ys: Sequence[int], rate: str, min_n: int) -> list[dict[str, Any]]:
    where = {"xref": "paper", "x": 1.0, "xanchor": "left"}
    notes = [_note(" n", yref="paper", y=1.0, yanchor="bottom", **where)]
    for group, y in zip(rows, ys, strict=True):
        notes.append(
            _note(
                f" {count(n_of(group, rate))}{'' if takes_part(group, rate, min_n) else ' *'}",
                yref="y",
                y=y,
                **where,
            )
        )
        if not math.isfinite(getattr(group, rate)):
            notes.append(_note("no data", xref="paper", x=0.02, xanchor="left", yref="y", y=y))
    return notes
