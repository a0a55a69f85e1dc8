"""Any detector from a file or a name, by what it is.

Enters: a path, or `module:factory`. Leaves: a `Detector`.

    NAME.pt, NAME.pth   a checkpoint of ours; TorchScript; or plain weights, with the architecture's name
    NAME.onnx           onnxruntime
    NAME.pt2            torch.export
    module:factory      somebody's Python, imported because its name was given
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from detectors.errors import DetectorNotFound, DeviceNotFound
from detectors.models.archive_checks import is_torchscript
from detectors.models.checkpoint import load_checkpoint
from detectors.models.detector import Detector
from detectors.models.foreign_formats import (
    load_exported,
    load_factory,
    load_onnx,
    load_state_dict,
    load_torchscript,
)
from detectors.models.sidecar import Sidecar, read_sidecar


def pick_device(device: str) -> str:
    """What "auto" stands for: "cuda" where there is a graphics processor, else "cpu".

    Raises:
        DeviceNotFound: Another word, or "cuda" where PyTorch sees no graphics processor.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise DeviceNotFound(f"device is {device!r}; it must be auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceNotFound("device is cuda, but PyTorch sees no GPU here; use auto or cpu")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def load_detector(
    source: str | Path,
    *,
    arch: str | None = None,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> Detector:
    """Load a detector.

    Args:
        source: A file, or `module:factory`.
        arch: Name in the zoo, for a plain state_dict.
        options: Keys of `sidecar`, which override `NAME.toml` beside the file; None values are ignored.
        device: "auto", "cpu" or "cuda".

    Returns:
        The detector, ready to score.

    Raises:
        DetectorNotFound: no such file.
        DetectorError: a file that cannot be trusted, loaded or called; each condition has its own class.
        MissingExtra: an ONNX file where onnxruntime is not installed.
    """
    device, path = pick_device(device), Path(source)
    given = dict(options or {}) | ({"arch": arch} if arch else {})
    if not path.exists() and ":" in str(source):
        return load_factory(str(source), read_sidecar(None, given), device)
    if not path.is_file():
        raise DetectorNotFound(
            f"no detector at {path}: train one with `audit train --out {path}`, or name module:factory"
        )
    return _load_file(path, read_sidecar(path, given), device)


def _load_file(path: Path, sidecar: Sidecar, device: str) -> Detector:
    if path.suffix == ".onnx":
        return load_onnx(path, sidecar, device)
    if path.suffix == ".pt2":
        return load_exported(path, sidecar, device)
    if is_torchscript(path):
        return load_torchscript(path, sidecar, device)
    if sidecar.arch:
        return load_state_dict(path, sidecar, device)
    return load_checkpoint(path, device)
