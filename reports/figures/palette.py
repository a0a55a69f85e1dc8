"""Colours of the report, for eyes of every kind, in light and in dark.

Enters: nothing. Leaves: colour names for the figures, and the table that turns a light figure dark.

Why hex pairs and not CSS variables: Plotly draws with literal colours. Figures are built with the light
value; the page replaces each by its dark partner when the reader's theme is dark, and back for paper.
Hues follow Okabe and Ito ("Color Universal Design", 2008), darkened until every line has a contrast of at
least 3:1 against its background and every text 4.5:1. Colour never carries meaning alone: marks differ in
shape, lines in dash, verdicts in words.
"""

from __future__ import annotations

TEXT = "#1b1f24"
MUTED = "#535b65"
GRID = "#dde2e8"
BAND = "#dcebf7"
BLUE = "#0b5fa5"
ORANGE = "#b23a00"
REAL = "#0072b2"
FAKE = "#c24e00"

LINES = ["#0072b2", "#c24e00", "#00795a", "#a8437f", "#7d6200", "#6a4fbf", "#8f2d3f", "#2f7f9e", "#555f6b"]
"""One colour for each group of an attribute, in order; `DASHES` tells repeats apart."""

DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"]

SYMBOLS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "star", "hexagon", "cross", "x"]

DARK = {
    TEXT: "#e8ecf1",
    MUTED: "#a9b4c0",
    GRID: "#39424d",
    BAND: "#1d3a52",
    BLUE: "#6cb6f5",
    ORANGE: "#ff9a5c",
    "#0072b2": "#5ab4ee",
    "#c24e00": "#ff9450",
    "#00795a": "#3fcf9f",
    "#a8437f": "#ee93c6",
    "#7d6200": "#e0c04a",
    "#6a4fbf": "#b3a0ff",
    "#8f2d3f": "#ff8c9c",
    "#2f7f9e": "#7fd3ef",
    "#555f6b": "#b7c1cc",
}
"""Light colour to its dark partner."""


def line_style(index: int) -> tuple[str, str]:
    """Colour and dash of the `index`-th group's line; unlike its neighbours even without colour."""
    return LINES[index % len(LINES)], DASHES[index % len(DASHES)]
