"""Any detector from a file or a name, by what it is.

Enters: a path, or `module:factory`. Leaves: a `Detector`.

    NAME.pt, NAME.pth   a checkpoint of ours; TorchScript; or plain weights, with the architecture's name
    NAME.onnx           onnxruntime
    NAME.pt2            torch.export
    module:factory      somebody's Python, imported because its name was given
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from detectors.errors import DetectorNotFound, DeviceNotFound
from detectors.models.archive_checks import is_torchscript
from detectors.models.checkpoint import is_checkpoint, load_checkpoint
from detectors.models.detector import Detector
from detectors.models.foreign_formats import (
    load_exported,
    load_factory,
    load_onnx,
    load_state_dict,
    load_torchscript,
)
from detectors.models.sidecar import Sidecar, agreeing, read_sidecar, without


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
        sidecar = read_sidecar(None, given)
        return _of_factory(load_factory(str(source), sidecar, device), sidecar, str(source))
    if not path.is_file():
        raise DetectorNotFound(
            f"no detector at {path}: train one with `audit train --out {path}`, or name module:factory"
        )
    sidecar = read_sidecar(path, given)
    return _given(_load_file(path, sidecar, device), sidecar)


def _of_factory(detector: Detector, sidecar: Sidecar, name: str) -> Detector:
    """What a factory made, its user's options in it: a whole `Detector` says itself how it is used."""
    if "assumed" in detector.provenance:  # a bare network, to which the sidecar was applied
        without(sidecar, "arch", name, "is for plain weights, and a factory brings its own network")
        return _given(detector, sidecar)
    return agreeing(detector, sidecar, name)


def _given(detector: Detector, sidecar: Sidecar) -> Detector:
    return replace(detector, given=sidecar.values)


def _load_file(path: Path, sidecar: Sidecar, device: str) -> Detector:
    script = path.suffix not in (".onnx", ".pt2") and is_torchscript(path)
    if script or path.suffix in (".onnx", ".pt2"):
        without(sidecar, "arch", str(path), "is for plain weights, and this file brings its own network")
    if path.suffix == ".onnx":
        return load_onnx(path, sidecar, device)
    if path.suffix == ".pt2":
        return load_exported(path, sidecar, device)
    if script:
        return load_torchscript(path, sidecar, device)
    if sidecar.arch and not is_checkpoint(path):
        without(sidecar, "layout", str(path), "is for networks of unknown code, and this one is of the zoo")
        return load_state_dict(path, sidecar, device)
    return agreeing(load_checkpoint(path, device), sidecar, str(path))
