"""Drawn, labelled faces for when no photographs are at hand.

Labels and a seed enter; images, or a whole population in FairFace's layout, leave.
"""

from pipelines.rendered.population import MARKER, render_population
from pipelines.rendered.scene import render_face

__all__ = ["MARKER", "render_face", "render_population"]
