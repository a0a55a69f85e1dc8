"""Other people's model files, ONNX, torch.export and TorchScript, each in an isolated process.

Enters: a file, and what its `Sidecar` says. Leaves: a `Detector` like any other, tried once on an empty
batch, so that whatever does not fit is said before the first image is read.

Why a file can be trusted by its SHA-256 alone: a name can be given to any file. A trusted file is opened in
the program's own process, with all its rights; so is nothing else. Where a system cannot isolate, a file that
is not trusted is refused.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from detectors.errors import (
    CheckpointFormatError,
    CheckpointTooLarge,
    ForeignDetectorError,
    IsolationUnavailable,
    MissingExtra,
    NotTrusted,
)
from detectors.isolation import opening
from detectors.isolation.child import IsolatedModel, Limits
from detectors.isolation.onnx_data import external_files
from detectors.isolation.opening import EXPORTED, ONNX, TORCHSCRIPT
from detectors.isolation.zip_archives import MAX_CODE_BYTES, Refused, TooLarge, check_size, is_torchscript
from detectors.models.detector import Detector
from detectors.models.foreign_formats import Network, adapted
from detectors.models.sidecar import Sidecar
from pipelines.storage import file_sha256
from pipelines.untrusted import first_line

_ENDINGS = {".onnx": ONNX, ".pt2": EXPORTED}


@dataclass(frozen=True)
class ForeignFile:
    """A model file and what belongs to it.

    Attributes:
        path: The file.
        kind: ONNX, EXPORTED or TORCHSCRIPT.
        files: The file itself, then files beside it that hold its weights.
        sha256: Of the file; where there are others, of the lines of all their digests, in that order.
        states: What would change if they did.
    """

    path: Path
    kind: str
    files: tuple[Path, ...]
    sha256: str
    states: tuple[tuple[int, ...], ...]


def kind_of(path: Path) -> str | None:
    """Which kind of foreign model a file is, by its ending or its contents; None for plain weights."""
    return _ENDINGS.get(path.suffix.lower()) or (TORCHSCRIPT if is_torchscript(path) else None)


def look_at(path: Path, kind: str) -> ForeignFile:
    """Find the files of a model and their hash; none is opened by a library.

    Raises:
        CheckpointTooLarge: a decompression bomb.
        CheckpointFormatError: truncated, or ONNX that names data anywhere but in plain files beside it.
    """
    try:
        if kind != ONNX:
            check_size(path, MAX_CODE_BYTES)
        files = (path, *(external_files(path) if kind == ONNX else ()))
    except TooLarge as refused:
        raise CheckpointTooLarge(f"{path}: {refused}") from None
    except Refused as refused:
        raise CheckpointFormatError(f"{path}: {refused}") from None
    states = tuple(map(_state, files))
    hashes = [file_sha256(file) for file in files]
    joined = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    return ForeignFile(path, kind, files, joined if len(hashes) > 1 else hashes[0], states)


def load_foreign(
    path: Path,
    kind: str,
    sidecar: Sidecar,
    device: str,
    trust: str | None = None,
    limits: Limits | None = None,
) -> Detector:
    """Load a foreign model file.

    Args:
        path: The file.
        kind: As `kind_of` says.
        sidecar: What its user knows about it.
        device: "cpu" or "cuda", where it computes.
        trust: SHA-256 of a file to open in the program's own process.
        limits: Memory and time of the isolated process.

    Raises:
        MissingExtra: an ONNX file where onnxruntime is not installed.
        CheckpointFormatError, CheckpointTooLarge: it holds more than a network.
        NotTrusted: its hash is another one than `trust`.
        IsolationUnavailable: this system cannot isolate it, and it was not trusted.
        ForeignDetectorError: it cannot be loaded or called.
    """
    if kind == ONNX and importlib.util.find_spec("onnxruntime") is None:
        raise MissingExtra("onnxruntime", "onnx", f"{path.name}")
    found = look_at(path, kind)
    if trust is not None:
        return _load_here(found, sidecar, device, trust)
    try:
        model = IsolatedModel(found.files, [kind], device, limits)
    except IsolationUnavailable as error:
        raise IsolationUnavailable(
            f"{path} is a {kind} file, which runs in an isolated process alone, and {error}; "
            f"if you know and trust who made it: --trust {found.sha256}"
        ) from None
    sizes = model.open(kind, path)
    if tuple(map(_state, found.files)) != found.states:
        raise ForeignDetectorError(f"{path} was changed while it was being loaded: try again")
    return _detector(found, model.run, sizes, sidecar, "cpu", isolated=True)


def _load_here(found: ForeignFile, sidecar: Sidecar, device: str, trust: str) -> Detector:
    """Open a file in this process, if it is the one that was trusted."""
    if trust.strip().lower() != found.sha256:
        raise NotTrusted(
            f"{found.path} has the SHA-256 {found.sha256}, not the trusted {trust.strip()[:80]!r}: "
            "nothing of it was opened"
        )
    try:
        opened = opening.open_model(found.kind, str(found.path), device, torch.get_num_threads())
    except TooLarge as refused:
        raise CheckpointTooLarge(f"{found.path}: {refused}") from None
    except Refused as refused:
        raise CheckpointFormatError(f"{found.path}: {refused}") from None
    except Exception as error:  # the libraries raise dozens of types for a damaged file
        raise ForeignDetectorError(
            f"{found.path} cannot be loaded as {found.kind}: {first_line(error)}"
        ) from None
    if isinstance(opened.module, nn.Module):
        made = _detector(found, opened.module, opened.input_shape, sidecar, device, isolated=False)
        return replace(made, network=_WithGradients(opened.module, made.network))

    def network(batch: Tensor) -> Tensor:
        return torch.from_numpy(opened.run(batch.cpu().numpy(), None))

    return _detector(found, network, opened.input_shape, sidecar, "cpu", isolated=False)


class _WithGradients(nn.Module):
    """A network of torch as it is called, kept a module so that it can be explained."""

    def __init__(self, network: nn.Module, called: Network) -> None:
        super().__init__()
        self.network = network
        self._called = called

    def forward(self, batch: Tensor) -> Tensor:
        """Raw outputs of a batch."""
        return self._called(batch)


def _detector(
    found: ForeignFile,
    network: Network,
    sizes: list[int | None] | None,
    sidecar: Sidecar,
    device: str,
    isolated: bool,
) -> Detector:
    """Make a detector of an opened file."""
    batch_size, size_px, channels = _fixed_sizes(found.path, sizes, sidecar)
    made = adapted(str(found.path), network, sidecar, device, size_px, channels, batch_size)
    return replace(
        made,
        name=found.path.stem,
        sha256=found.sha256,
        arch=found.kind,
        provenance=made.provenance | {"isolated": isolated},
    )


def _fixed_sizes(
    path: Path, sizes: list[int | None] | None, sidecar: Sidecar
) -> tuple[int | None, int | None, int | None]:
    """Images at once, side in pixels and channels, as far as a file fixes them."""
    if sizes is None:
        return None, None, None
    if len(sizes) != 4:
        raise ForeignDetectorError(f"{path} takes {len(sizes)} dimensions; a batch of images has 4")
    n, *image = sizes
    channels, height, width = (image[2], *image[:2]) if sidecar.channels_last else image
    if height is not None and width is not None and height != width:
        raise ForeignDetectorError(f"{path} takes images of {height} x {width}, not of squares")
    return n, height if width is not None else None, channels


def _state(path: Path) -> tuple[int, ...]:
    """What changes when a file does."""
    about = os.stat(path)
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
