"""The trade-off of single thresholds: worst-group error against overall error, on unseen images.

Enters: a `MitigationResult`. Leaves: one figure, the detector as it is, the cure and the bound marked.
"""

from __future__ import annotations

import plotly.graph_objects as go

from audit.schema.mitigation import MitigationResult, TradeOff
from audit.wording.numbers import threshold_text
from reports.figures import palette
from reports.figures.plotly_layout import base_layout


def trade_off_figure(record: MitigationResult) -> go.Figure:
    """Every single threshold as a point; those that no other beats in both, as a line."""
    figure = go.Figure()
    _points(figure, record.trade_offs, "any single threshold", "markers", palette.MUTED, 5)
    front = sorted((one for one in record.trade_offs if one.front), key=lambda one: one.error)
    _points(figure, front, "none is better in both", "lines+markers", palette.REAL, 6)
    for place, name, symbol in _marks(record):
        _points(figure, [place], name, "markers", palette.FAKE, 14, symbol)
    figure.update_layout(
        base_layout(
            420,
            showlegend=True,
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            xaxis={"title": {"text": "Mean of FPR and FNR, all images"}, "tickformat": ".1~%",
            "range": _range(record, "error")},
            yaxis={
                "title": {"text": "Mean of FPR and FNR, worst group"}, "tickformat": ".1~%",
                "range": _range(record, "worst_group_error"),
            },
        )
    )  # fmt: skip
    return figure


def _points(
    figure: go.Figure,
    places: list[TradeOff],
    name: str,
    mode: str,
    colour: str,
    size: int,
    symbol: str = "circle",
) -> None:
    figure.add_scatter(
        x=[one.error for one in places],
        y=[one.worst_group_error for one in places],
        mode=mode,
        name=name,
        marker={"color": colour, "size": size, "symbol": symbol},
        line={"color": colour, "width": 1.5},
        hovertext=[f"threshold {threshold_text(one.threshold)}" for one in places],
        hoverinfo="text",
    )


def _marks(record: MitigationResult) -> list[tuple[TradeOff, str, str]]:
    """The threshold in use and the cure, at the drawn point nearest to each."""
    marks = [(_nearest(record, record.threshold), f"in use ({threshold_text(record.threshold)})", "x")]
    if record.cure is not None:
        name = f"tried ({threshold_text(record.cure.threshold)})"
        marks.append((_nearest(record, record.cure.threshold), name, "diamond"))
    return marks


def _nearest(record: MitigationResult, threshold: float) -> TradeOff:
    """The first drawn threshold at or above one: between two drawn ones hardly an image is decided
    otherwise.
    """
    above = [one for one in record.trade_offs if one.threshold >= threshold]
    return above[0] if above else record.trade_offs[-1]


def _range(record: MitigationResult, name: str) -> list[float]:
    """From zero to a little beyond the worst of what is marked: thresholds far off would squeeze the rest."""
    marked = [getattr(place, name) for place, _, _ in _marks(record)]
    least = min(getattr(one, name) for one in record.trade_offs)
    return [0.0, min(0.55, max(*marked, least, 0.02) * 1.5)]
