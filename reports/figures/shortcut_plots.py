"""What tells real from fake, and whose decisions flip: a dot and an interval each.

Enters: a `ShortcutsResult`. Leaves: Plotly figures.
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from audit.schema.shortcuts import Flip, ShortcutsResult
from audit.wording.verdict_text import group_label
from reports.figures import palette
from reports.figures.plotly_layout import base_layout, label_text

ROW_PX = 26
PARTS = {"all": "Everything together", "file": "The file alone", "picture": "The whole picture alone"}


def families_figure(record: ShortcutsResult) -> go.Figure:
    """AUC of every part and family, 0.5 being guessing; filled marks are proven."""
    rows = [(PARTS[p.part], p.auc, p.interval, p.told) for p in record.parts]
    rows += [(f.label, f.auc, f.interval, f.told) for f in sorted(record.families, key=lambda f: -f.auc)]
    figure = _dots([(label, auc, interval) for label, auc, interval, _ in rows], palette.BLUE, "AUC")
    figure.data[0].marker.symbol = ["circle" if told else "circle-open" for *_, told in rows]
    figure.update_layout(
        shapes=[_line(0.5)], xaxis={"range": [0.3, 1.02], "title": {"text": "AUC; 0.5 is guessing"}}
    )
    return figure


def flips_figure(flips: Sequence[Flip], attribute: str) -> go.Figure:
    """Share of changed decisions of every group of an attribute, real images and fakes apart."""
    figure, chosen = go.Figure(), [f for f in flips if f.attribute == attribute and f.n > 0]
    groups = list(dict.fromkeys(f.group for f in chosen))
    for half, colour, symbol, shift in (
        ("real", palette.REAL, "circle", 0.14),
        ("fake", palette.FAKE, "square", -0.14),
    ):
        of_half = [f for f in chosen if f.half == half]
        part = _dots(
            [(group_label(attribute, f.group), f.flipped, f.interval) for f in of_half], colour,
            {"real": "Real images", "fake": "Fakes"}[half], symbol,
        )  # fmt: skip
        trace = part.data[0]
        trace.y = [len(groups) - 1 - groups.index(f.group) + shift for f in of_half]
        figure.add_trace(trace)
    figure.update_layout(_layout([label_text(group_label(attribute, group)) for group in groups]))
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        xaxis={"tickformat": ".0%", "rangemode": "tozero", "title": {"text": "Decisions that change"}},
    )  # fmt: skip
    return figure


def _dots(
    rows: Sequence[tuple[str, float, tuple[float, float]]], colour: str, name: str, symbol: str = "circle"
) -> go.Figure:
    """A dot and an interval a row, the first on top."""
    figure = go.Figure()
    figure.add_scatter(
        x=[round(value, 5) for _, value, _ in rows],
        y=list(range(len(rows) - 1, -1, -1)),
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [round(high - value, 5) for _, value, (_, high) in rows],
            "arrayminus": [round(value - low, 5) for _, value, (low, _) in rows],
            "color": colour,
            "thickness": 2,
        },
        mode="markers",
        name=name,
        marker={"color": colour, "size": 10, "symbol": symbol, "line": {"color": colour, "width": 2}},
        text=[label_text(label, 60) for label, *_ in rows],
        hovertemplate="%{text}: %{x:.3f}<extra></extra>",
    )
    figure.update_layout(_layout([label_text(label, 34) for label, *_ in rows]))
    return figure


def _layout(labels: Sequence[str]) -> dict[str, object]:
    n = len(labels)
    ticks = {"tickvals": list(range(n - 1, -1, -1)), "ticktext": list(labels), "range": [-0.7, n - 0.3]}
    return base_layout(80 + ROW_PX * max(n, 2), yaxis=ticks, xaxis={})


def _line(x: float) -> dict[str, object]:
    return {
        "type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1,
        "line": {"color": palette.MUTED, "dash": "dot", "width": 1.5}, "layer": "below",
    }  # fmt: skip
