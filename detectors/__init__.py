"""Anything that maps a face image to a score: how fake is it.

Enters: image files with labels (a pairs dataset, a folder, a table) and a detector (trained here, or
anybody's own). Leaves: a trained checkpoint, or one score for every image.

Why the names below load on first use: `detectors.errors`, `detectors.scores` and `detectors.experiments`
serve commands that must start without torch, and importing them imports this file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .detector import Detector, Output
    from .loaders import load_detector
    from .preprocess import Preprocessing
    from .score import score_pairs

_HOME = {
    "Detector": "detector",
    "Output": "detector",
    "Preprocessing": "preprocess",
    "load_detector": "loaders",
    "score_pairs": "score",
}

__all__ = ["Detector", "Output", "Preprocessing", "load_detector", "score_pairs"]


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it, on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
