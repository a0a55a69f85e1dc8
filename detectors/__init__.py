"""Anything that maps a face image to a score: how fake is it.

Enters: image files with labels (a pairs dataset, a folder, a table) and a detector (trained here, or
anybody's own). Leaves: a trained checkpoint, or one score for every image.

    import detectors
    detectors.load("resnet50.pt").score(["a.png", "b.png"])

Why the names below load on first use: `detectors.errors`, `detectors.scoring.score_table` and
`detectors.training.experiments` serve commands that must start without torch, and importing them imports this
file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipelines.extras import require

if TYPE_CHECKING:
    from detectors.api import LoadedDetector, load, train
    from detectors.data.preprocessing import Preprocessing
    from detectors.errors import ExpectedError
    from detectors.models.detector import Detector, Output
    from detectors.scoring.options import RayCluster

_HOME = {
    "Detector": "models.detector",
    "ExpectedError": "errors",
    "LoadedDetector": "api",
    "Output": "models.detector",
    "Preprocessing": "data.preprocessing",
    "RayCluster": "scoring.options",
    "load": "api",
    "train": "api",
}

__all__ = [
    "Detector",
    "ExpectedError",
    "LoadedDetector",
    "Output",
    "Preprocessing",
    "RayCluster",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it, on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOME[name] != "errors":
        require(f"{__name__}.{name}", "images")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """The public names, for completion."""
    return __all__
