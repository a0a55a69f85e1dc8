"""Error rates against the severity of a transformation, a line a group.

Enters: a `StressResult`. Leaves: Plotly figures.
"""

from __future__ import annotations

import math

import plotly.graph_objects as go

from audit.schema.result import MISSING, RateName
from audit.schema.stress import StressResult
from audit.wording.verdict_text import group_label
from reports.figures import palette
from reports.figures.plotly_layout import base_layout, label_text


def damage_curves(
    record: StressResult, detector: str, transformation: str, attribute: str, rate: RateName
) -> go.Figure:
    """The rate of every group large enough, from the untouched image (0) to severity 5."""
    figure = go.Figure()
    points = [
        p
        for p in record.points
        if (p.detector, p.transformation, p.attribute) == (detector, transformation, attribute)
        and (p.n_real if rate == "fpr" else p.n_fake) >= record.min_n
        and p.group != MISSING
    ]
    for index, group in enumerate(dict.fromkeys(p.group for p in points)):
        line = [p for p in points if p.group == group]
        colour, dash = palette.line_style(index)
        values = [getattr(p, rate) for p in line]
        figure.add_scatter(
            x=[p.severity for p in line],
            y=[round(v, 5) if math.isfinite(v) else None for v in values],
            mode="lines+markers",
            name=label_text(group_label(attribute, group)),
            line={"color": colour, "dash": dash, "width": 2.2},
            marker={"symbol": palette.SYMBOLS[index % len(palette.SYMBOLS)], "size": 8},
        )
    figure.update_layout(
        base_layout(
            340,
            showlegend=True,
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            xaxis={"title": {"text": "Severity (0: untouched)"}, "dtick": 1},
            yaxis={"tickformat": ".1~%", "rangemode": "tozero"},
        )
    )
    return figure
