"""What all figures that Plotly draws share: one layout, and labels made harmless.

Enters: sizes and names. Leaves: layouts for `plotly.graph_objects.Figure`s in the light palette.

Why group names go through `label_text`: Plotly reads a small subset of HTML in its texts. A name holding
markup must be shown as it is spelled, never obeyed. Why numeric axes with our own tick texts where
categories would do: Plotly turns names such as "2020-01" or "10" into dates and numbers.
"""

from __future__ import annotations

import html
from typing import Any

import plotly.graph_objects as go

from reports.figures import palette


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
