"""The finished parts of an interrupted scoring, and what they may be used for.

Enters: detectors, paths, options. Leaves: parts of a score table that an earlier run wrote, where, and only
where, scoring again would give the same bytes.

Why the contents of the images are compared and not their sizes and times: a copied or regenerated data set
keeps both. A part keeps the SHA-256 of every file as it was decoded; when it is used again the files are
hashed again, which takes a small share of the time that scoring them does.
Why a detector without a file is never continued: nothing says that the code behind it is still the same.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Protocol

import pandas as pd
import torch

from detectors.scoring.network_threads import IMAGES_A_THREAD, one_thread_each
from pipelines.places import names_of
from pipelines.storage import remove_tree, write_bytes

_LIBRARIES = (
    "fake-face-fairness-audit", "torch", "torchvision", "numpy", "pillow", "facenet-pytorch", "onnxruntime",
    "scipy", "soundfile",
)  # fmt: skip
"""What computes a score; another version may round otherwise."""
TEXT_COLUMNS = ("status", "detail", "content")


class Scorer(Protocol):
    """Whatever gives scores: a detector of fakes, a verifier of speakers."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def device(self) -> str:
        """The kind of processor: "cpu" or "cuda"."""

    @property
    def fingerprint(self) -> str:
        """Everything its scores depend on, or "" where that cannot be known again."""


@dataclass(frozen=True)
class Identity:
    """What the last bits of scores depend on, beside files and options.

    Attributes:
        detectors: Name and `Detector.fingerprint` of each.
        machine: Libraries, threads and processors.
    """

    detectors: tuple[tuple[str, str], ...]
    machine: tuple[str, ...]


def identity_of(detectors: Sequence[Scorer]) -> Identity:
    """That of detectors in this process."""
    versions = [f"{name} {_version(name)}" for name in _LIBRARIES]
    graphics = {torch.cuda.get_device_name(d.device) for d in detectors if d.device.startswith("cuda")}
    processor = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    alone = all(one_thread_each(one) for one in detectors)
    threads = f"a thread for {IMAGES_A_THREAD} images" if alone else f"{torch.get_num_threads()} threads"
    machine = (*versions, threads, processor, ", ".join(sorted(graphics)))
    return Identity(tuple((one.name, one.fingerprint) for one in detectors), machine)


def run_key(identity: Identity, paths: Sequence[str], how: Sequence[object]) -> str | None:
    """A name for the scores of detectors on files; None where they must not be continued.

    Args:
        identity: Of the detectors, in order, where they compute.
        paths: The files, in order.
        how: Options that a score depends on, such as the batch size.

    Returns:
        64 hexadecimal digits over everything but the contents of the files, which each part keeps.
    """
    if not all(fingerprint for _, fingerprint in identity.detectors):
        return None
    about = [identity.detectors, names_of(paths), [str(one) for one in how], identity.machine]
    return hashlib.sha256(json.dumps(about).encode("utf-8", "surrogatepass")).hexdigest()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


class Shards:
    """The finished parts of one run."""

    def __init__(self, folder: Path | None, key: str | None, n_detectors: int) -> None:
        self.folder = folder / f"scores-{key[:32]}" if folder and key else None
        self.columns = [*TEXT_COLUMNS, *(f"score_{i}" for i in range(n_detectors))]

    def read(self, start: int, n: int, contents: Callable[[], list[str]]) -> pd.DataFrame | None:
        """The part that begins at a row, if it was finished and its files are still the same.

        Args:
            start: Position of its first row.
            n: How many it has.
            contents: Says what is in the files of each now; asked where the part is there.
        """
        path = self._path(start)
        if path is None or not path.is_file():
            return None
        try:
            part = pd.read_parquet(path)
        except (OSError, ValueError):  # damaged on the disk: scored again
            return None
        if set(part.columns) != set(self.columns) or len(part) != n:
            return None
        return part if part["content"].tolist() == contents() else None

    def write(self, start: int, part: pd.DataFrame) -> None:
        """Keep a finished part."""
        path = self._path(start)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, part.to_parquet(index=False))

    def remove(self) -> None:
        """Drop all parts: the run is complete."""
        if self.folder and self.folder.is_dir():
            remove_tree(self.folder)

    def _path(self, start: int) -> Path | None:
        return self.folder / f"{start:09d}.parquet" if self.folder else None
