"""Score images: every file decoded once, however many detectors look at it.

Enters: detectors and labelled images. Leaves: a score table for each detector (`scores`), in which a file
that cannot be read is a row with its reason, and the number of source photos left out because the detector
learned from them.

Why shards: a long run writes what it has every few thousand images. Batches are cut at fixed places, so an
interrupted run that continues gives the same bytes as one that was not interrupted.

Why float32 unless asked: autocast is faster and changes scores a little. With `precision="auto"` it is used
only where it moves no score of the first batch by more than `AUTOCAST_TOLERANCE`.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from .data import LabelledImages, read_images, with_hashes
from .detector import Detector
from .errors import EmptyDataset
from .loaders import load_detector
from .preprocess import to_unit
from .progress import progress_bar
from .reading import Batch, read_batches
from .scores import OK, SCORE_COLUMNS

AUTOCAST_TOLERANCE = 0.005
"""Largest change of a score (0-1) that `precision="auto"` accepts for speed."""
BATCHES_PER_SHARD = 64
SEEN = "in the detector's training data"
Precision = Literal["float32", "auto"]
Floats = npt.NDArray[np.float64]
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Scored:
    """What one detector says about one data set.

    Attributes:
        table: The score table, one row an image, sorted by image_id.
        attributes: Its demographic columns.
        n_left_out: Reason to number of source photos that are not in the table.
        detector: name, arch, sha256, preprocessing and provenance of the detector; plain values.
        data: layout, path and provenance of the data set; plain values.
    """

    table: pd.DataFrame
    attributes: tuple[str, ...]
    n_left_out: dict[str, int] = field(default_factory=dict)
    detector: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


def score_pairs(
    detector: str | Path | Detector,
    pairs_dir: str | Path,
    *,
    device: str = "auto",
    batch_size: int = 32,
    workers: int | None = None,
    work_dir: str | Path | None = None,
    include_seen: bool = False,
    progress: bool = True,
    precision: Precision = "float32",
) -> Scored:
    """Score both halves of every pair the detector has not learned from.

    Args:
        detector: A detector file, or a detector in memory.
        pairs_dir: A pairs dataset, or any image folder `data.read_images` knows.
        device: "auto", "cpu", "cuda"; for detector files only.
        batch_size: Images per forward pass.
        workers: Decoding threads; default one per core, at most 8.
        work_dir: Where an interrupted run continues; removed at the end. None: nothing is kept.
        include_seen: Keep source photos the detector was trained or validated on.
        progress: Show a bar.
        precision: See the module's docstring.

    Returns:
        The scores, and what was left out.

    Raises:
        EmptyDataset: every source photo was in the detector's training data.
        DetectorError, DataError: as `load_detector` and `read_images` do.
    """
    if not isinstance(detector, Detector):
        detector = load_detector(detector, device=device)
    images = read_images(pairs_dir)
    options = Options(batch_size, workers, Path(work_dir) if work_dir else None, progress, precision)
    return score_unseen(detector, images, options, include_seen)


@dataclass(frozen=True)
class Options:
    """How scoring runs; nothing here changes a score but `precision`."""

    batch_size: int = 32
    workers: int | None = None
    work_dir: Path | None = None
    progress: bool = True
    precision: Precision = "float32"


def score_unseen(
    detector: Detector, images: LabelledImages, options: Options, include_seen: bool = False
) -> Scored:
    """Score the images of a data set that a detector has not learned from; see `score_pairs`."""
    kept, n_seen = (images, 0) if include_seen else leave_out_seen(images, detector)
    table = score_images([detector], kept, options)[0]
    left_out = dict(images.n_left_out) | ({SEEN: n_seen} if n_seen else {})
    data = {"layout": images.layout, "path": str(images.root), "provenance": images.provenance}
    return Scored(table, kept.attributes, left_out, describe(detector), data)


def describe(detector: Detector) -> dict[str, Any]:
    """A detector in plain values, for the record of a run; lists of source photos become their length."""
    provenance = {
        key: len(value) if isinstance(value, list) and key in _SOURCE_LISTS else value
        for key, value in detector.provenance.items()
        if not key.endswith("_sha256")
    }
    return {
        "name": detector.name,
        "arch": detector.arch,
        "sha256": detector.sha256,
        "preprocessing": detector.preprocessing.as_dict(),
        "output": detector.output.as_dict(),
        "provenance": provenance,
    }


_SOURCE_LISTS = ("trained_on", "validated_on", "held_out")


def leave_out_seen(images: LabelledImages, detector: Detector) -> tuple[LabelledImages, int]:
    """Drop source photos a detector was trained or validated on.

    Photos are recognised by their bytes (SHA-256), whatever they are called here.

    Returns:
        The other images, and how many source photos were dropped.

    Raises:
        EmptyDataset: none is left.
    """
    lists = (detector.provenance.get(f"{name}_sha256", []) for name in ("trained_on", "validated_on"))
    seen = {sha for names in lists for sha in names}
    if not seen:
        return images, 0
    hashed = with_hashes(images)
    known = hashed.table["source_sha256"].isin(seen)
    if known.all():
        raise EmptyDataset(
            f"every source photo of {images.root} was in the training data of {detector.name}: "
            "audit it on other pairs, or train on a part of these (`audit train` holds 30 % out)"
        )
    return hashed.only(~known), int(hashed.table.loc[known, "source_sha256"].nunique())


def score_images(
    detectors: Sequence[Detector], images: LabelledImages, options: Options | None = None
) -> list[pd.DataFrame]:
    """Score every image with every detector, decoding it once.

    Args:
        detectors: One or more.
        images: The images.
        options: How.

    Returns:
        A score table for each detector, rows in the order of `images.table`.
    """
    options = options or Options()
    paths = images.table["path"].tolist()
    shards = Shards(options.work_dir, _key(detectors, images, options))
    per_shard = options.batch_size * BATCHES_PER_SHARD
    parts = []
    with progress_bar("Scoring images", len(paths), options.progress) as advance:
        for start in range(0, len(paths), per_shard):
            part = shards.read(start)
            if part is None:
                part = _score_paths(detectors, paths[start : start + per_shard], options, advance)
                shards.write(start, part)
            else:
                advance(len(part))
            parts.append(part)
    shards.remove()
    found = pd.concat(parts, ignore_index=True) if parts else _empty(len(detectors), 0)
    return [_table(images, found, number) for number in range(len(detectors))]


def _table(images: LabelledImages, found: pd.DataFrame, number: int) -> pd.DataFrame:
    """One detector's score table."""
    table = images.table.reset_index(drop=True)
    scored = table.assign(score=found[f"score_{number}"], status=found["status"], detail=found["detail"])
    return scored[[*SCORE_COLUMNS, *images.attributes]]


def _empty(n_detectors: int, n: int) -> pd.DataFrame:
    scores = {f"score_{i}": np.full(n, np.nan) for i in range(n_detectors)}
    return pd.DataFrame({"status": [OK] * n, "detail": [""] * n, **scores})


def _score_paths(
    detectors: Sequence[Detector], paths: list[str], options: Options, advance: Advance
) -> pd.DataFrame:
    """Scores of some files, one column for each detector, with reasons for those that cannot be read."""
    fits = list({_fit_key(d): d.preprocessing for d in detectors}.items())
    position = {key: i for i, (key, _) in enumerate(fits)}
    found = _empty(len(detectors), len(paths))
    autocast: dict[int, bool] = {}
    for batch in read_batches(paths, [p for _, p in fits], options.batch_size, options.workers):
        for number, detector in enumerate(detectors):
            if batch.rows:
                images = batch.images[position[_fit_key(detector)]]
                if number not in autocast:
                    autocast[number] = options.precision == "auto" and autocast_is_close(detector, images)
                found.loc[batch.rows, f"score_{number}"] = forward(detector, images, autocast[number])
        _note_unreadable(found, batch)
        advance(len(batch.rows) + len(batch.unreadable))
    return found


def _note_unreadable(found: pd.DataFrame, batch: Batch) -> None:
    for row, why in batch.unreadable.items():
        found.loc[row, ["status", "detail"]] = [why.reason, why.detail]


def _fit_key(detector: Detector) -> tuple[int, str, str]:
    """What decides how an image is decoded and resized."""
    p = detector.preprocessing
    return p.size_px, p.resize, p.face


def forward(detector: Detector, images: Tensor, autocast: bool = False) -> Floats:
    """Score one decoded batch.

    Args:
        detector: The detector.
        images: [B, 3, S, S] uint8.
        autocast: Compute in bfloat16 (float16 on older graphics processors).

    Returns:
        [B] float64.
    """
    kind = detector.device.partition(":")[0]
    half = torch.float16 if kind == "cuda" and not torch.cuda.is_bf16_supported() else torch.bfloat16
    with torch.autocast(kind, half, enabled=autocast):
        return detector.score(to_unit(images.to(detector.device, non_blocking=True))).numpy()


def autocast_is_close(detector: Detector, images: Tensor) -> bool:
    """Whether half precision moves no score of this batch by more than `AUTOCAST_TOLERANCE`."""
    difference = np.abs(forward(detector, images, True) - forward(detector, images, False))
    return bool(difference.max() <= AUTOCAST_TOLERANCE)


class Shards:
    """Finished parts of a run on disk, under a key that changes with everything that could change a score."""

    def __init__(self, folder: Path | None, key: str) -> None:
        self.folder = folder / f"scores-{key}" if folder else None

    def _path(self, start: int) -> Path | None:
        return self.folder / f"{start:09d}.parquet" if self.folder else None

    def read(self, start: int) -> pd.DataFrame | None:
        """The part that begins at an image, if it was finished."""
        path = self._path(start)
        return pd.read_parquet(path) if path and path.is_file() else None

    def write(self, start: int, part: pd.DataFrame) -> None:
        """Keep a finished part."""
        path = self._path(start)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.to_parquet(path.with_suffix(".partial"), index=False)
            path.with_suffix(".partial").rename(path)

    def remove(self) -> None:
        """Drop all parts: the run is complete."""
        if self.folder and self.folder.is_dir():
            shutil.rmtree(self.folder)


def _key(detectors: Sequence[Detector], images: LabelledImages, options: Options) -> str:
    digest = hashlib.sha256(f"{options.batch_size} {options.precision}".encode())
    for detector in detectors:
        digest.update(f"\n{detector.name} {detector.sha256} {detector.preprocessing}".encode())
    for path in images.table["path"]:
        digest.update(f"\n{path}".encode())
    return digest.hexdigest()[:16]
