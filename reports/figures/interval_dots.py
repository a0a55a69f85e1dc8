"""Values with their intervals, one row each: what a comparison and a benchmark show of every detector.

Enters: values with intervals, in rows and series. Leaves: a Plotly figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from reports.figures import palette
from reports.figures.gap_plots import axis_over
from reports.figures.plotly_layout import base_layout, label_text


@dataclass(frozen=True)
class Dot:
    """One value.

    Attributes:
        row: What it stands beside, such as a data set.
        series: What it belongs to, such as a detector.
        value: Where it stands; one that is not finite is not drawn.
        interval: (low, high), or None.
        text: Shown on hovering.
    """

    row: str
    series: str
    value: float
    interval: tuple[float, float] | None
    text: str = ""


def interval_dots(dots: Sequence[Dot], tick_format: str | None = None) -> go.Figure:
    """A mark for every value and a bar for its interval; series of one row stand below each other.

    Args:
        dots: Values; rows and series in order of first appearance.
        tick_format: Of the axis of values, as d3 writes it; None where they are differences of proportions:
            the axis is then in signed points, with a line at 0.
    """
    rows = list(dict.fromkeys(dot.row for dot in dots))
    series = list(dict.fromkeys(dot.series for dot in dots))
    step = 0.7 / max(1, len(series))
    figure = go.Figure()
    for index, name in enumerate(series):
        own = [dot for dot in dots if dot.series == name and math.isfinite(dot.value)]
        colour = palette.LINES[index % len(palette.LINES)]
        ends = [dot.interval or (dot.value, dot.value) for dot in own]
        figure.add_scatter(
            x=[dot.value for dot in own],
            y=[len(rows) - 1 - rows.index(dot.row) + step * ((len(series) - 1) / 2 - index) for dot in own],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [max(0.0, high - dot.value) for dot, (_, high) in zip(own, ends, strict=True)],
                "arrayminus": [max(0.0, dot.value - low) for dot, (low, _) in zip(own, ends, strict=True)],
                "color": colour,
                "thickness": 1.8,
                "width": 4,
            },
            mode="markers",
            name=label_text(name),
            marker={"color": colour, "symbol": palette.SYMBOLS[index % len(palette.SYMBOLS)], "size": 9},
            hovertext=[label_text(dot.text, 120) for dot in own],
            hoverinfo="text",
        )
    if tick_format is None:
        figure.add_vline(x=0, line={"color": palette.MUTED, "width": 1.2})
    places = list(range(len(rows)))
    figure.update_layout(
        base_layout(
            110 + max(34, 18 * len(series)) * len(rows),
            showlegend=len(series) > 1,
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            xaxis={"tickformat": tick_format} if tick_format else _signed_points(dots),
            yaxis={
                "tickvals": places,
                "ticktext": [label_text(row) + "  " for row in reversed(rows)],
                "range": [-0.6, len(rows) - 0.4],
            },
        )
    )
    return figure


def _signed_points(dots: Sequence[Dot]) -> dict[str, object]:
    """An axis of differences: '−2', '0', '+2'. Plotly's own signs would write '+0'."""
    axis = axis_over([v for dot in dots for v in (dot.value, *(dot.interval or ()))])
    margin = 0.04 * (axis.high - axis.low)
    return {
        "tickvals": list(axis.ticks),
        "ticktext": [f"+{axis.label(tick)}" if tick > 0 else axis.label(tick) for tick in axis.ticks],
        "range": [axis.low - margin, axis.high + margin],
    }
