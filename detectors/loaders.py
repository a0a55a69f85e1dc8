"""Any detector from a file, by what kind of file it is.

Enters: a path. Leaves: a `Detector`.
"""

from __future__ import annotations

from pathlib import Path

import torch

from .checkpoint import load_checkpoint
from .detector import Detector


def pick_device(device: str) -> str:
    """What "auto" stands for: "cuda" where there is a graphics processor, else "cpu"."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def load_detector(path: str | Path, device: str = "auto") -> Detector:
    """Load a detector."""
    return load_checkpoint(path, pick_device(device))
