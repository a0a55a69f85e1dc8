"""Learning curves of a training: loss and accuracy of each epoch, training and validation.

Enters: the epochs of a training record. Leaves: Plotly figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import plotly.graph_objects as go

from reports.figures import palette
from reports.figures.plotly_layout import base_layout

Measure = Literal["loss", "accuracy"]
PARTS = (("train", "Training"), ("valid", "Validation"))


def learning_curves(epochs: Sequence[Mapping[str, float]], measure: Measure, best: int) -> go.Figure:
    """One measure against the epoch, a line for training and one for validation, the best epoch marked.

    Args:
        epochs: Records with "epoch", "train_loss", "valid_loss", "train_accuracy", "valid_accuracy".
        measure: "loss" or "accuracy" (shares in 0-1).
        best: The epoch whose weights were kept.
    """
    figure = go.Figure()
    for index, (part, name) in enumerate(PARTS):
        colour, dash = palette.line_style(index)
        figure.add_scatter(
            x=[epoch["epoch"] for epoch in epochs],
            y=[round(epoch[f"{part}_{measure}"], 5) for epoch in epochs],
            mode="lines+markers",
            name=name,
            line={"color": colour, "dash": dash, "width": 2.2},
            marker={"symbol": palette.SYMBOLS[index], "size": 7},
        )
    figure.add_vline(x=best, line={"color": palette.MUTED, "dash": "dot", "width": 1.5})
    shares = {"tickformat": ".0%"} if measure == "accuracy" else {"rangemode": "tozero"}
    figure.update_layout(
        base_layout(
            320,
            showlegend=True,
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            xaxis={"title": {"text": "Epoch (dotted: the one kept)"}, "dtick": max(1, len(epochs) // 10)},
            yaxis={"title": {"text": measure.capitalize()}, **shares},
        )
    )
    return figure
