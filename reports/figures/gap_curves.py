"""How the gap between groups moves with the threshold.

Enters: the `sweep` of an `AuditResult`. Leaves: one figure an attribute.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from audit.schema.result import UNCOMPARED, AuditResult, Sweep
from audit.wording.criterion_text import in_ratios
from reports.figures import palette
from reports.figures.plotly_layout import base_layout


def gap_at_thresholds(groups: Sequence[Sweep], rate: str, min_n: int) -> list[float]:
    """Highest minus lowest rate at each threshold.

    Groups without a label or with fewer than `min_n` images of the class take no part; NaN where fewer than
    two remain.
    """
    rows = []
    for sweep in groups:
        n, errors = (sweep.n_real, sweep.fp) if rate == "fpr" else (sweep.n_fake, sweep.fn)
        if n >= max(min_n, 1) and not UNCOMPARED & set(sweep.group.split(":")):
            rows.append([k / n for k in errors])
    if len(rows) < 2:
        return [math.nan] * (len(groups[0].fp) if groups else 0)
    return [max(column) - min(column) for column in zip(*rows, strict=True)]


def gap_figure(result: AuditResult, attribute: str) -> go.Figure:
    """Gap in FPR and in FNR against the threshold, with the tolerance as a band."""
    task = result.task
    groups = [s for s in result.sweep if s.attribute == attribute]
    figure = go.Figure()
    styles = (
        ("fpr", f"Gap in {task.fpr}", palette.REAL, "solid"),
        ("fnr", f"Gap in {task.fnr}", palette.FAKE, "dash"),
    )
    for rate, name, colour, dash in styles:
        gaps = gap_at_thresholds(groups, rate, result.config.min_n)
        figure.add_scatter(
            x=[round(t, 6) for t in result.sweep_thresholds],
            y=[round(v, 5) if math.isfinite(v) else None for v in gaps],
            mode="lines",
            name=name,
            line={"color": colour, "dash": dash, "width": 2.2},
        )
    band = {
        "type": "rect",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "yref": "y",
        "y0": 0,
        "y1": 0 if in_ratios(result) else result.config.tolerance,
    }
    figure.update_layout(
        base_layout(
            390,
            shapes=[{**band, "fillcolor": palette.BAND, "line": {"width": 0}, "layer": "below"}],
            showlegend=True,
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            xaxis={"title": {"text": "Threshold"}},
            yaxis={"title": {"text": "Highest − lowest rate"}, "tickformat": ".1~%", "rangemode": "tozero"},
        )
    )
    return figure
