"""The scoring engine: every file decoded once, however many detectors look at it.

Enters: detectors, labelled images, `Options`. Leaves: a score table for each detector (`scores`), in which a
file that cannot be read is a row with its reason.

Why shards: a long run writes what it has every few thousand images (`resume`). Batches are cut at fixed
places, so an interrupted run that continues gives the same bytes as one that was not interrupted.

Why float32 unless asked: autocast is faster and changes scores a little. With `precision="auto"` it is used
only where it moves no score of the first batch by more than `AUTOCAST_TOLERANCE`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from detectors.data.image_batches import Batch, contents_of, read_batches
from detectors.data.labelled_images import LabelledImages
from detectors.data.preprocessing import to_unit
from detectors.models.detector import Detector
from detectors.progress import progress_bar
from detectors.scoring.resume import Shards, run_key
from detectors.scoring.score_table import OK, SCORE_COLUMNS

AUTOCAST_TOLERANCE = 0.005
"""Largest change of a score (0-1) that `precision="auto"` accepts for speed."""
BATCHES_PER_SHARD = 64
Precision = Literal["float32", "auto"]
Floats = npt.NDArray[np.float64]
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Options:
    """How scoring runs; nothing here changes a score but `precision`."""

    batch_size: int = 32
    workers: int | None = None
    work_dir: Path | None = None
    progress: bool = True
    precision: Precision = "float32"


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
    key = run_key(detectors, paths, (options.batch_size, options.precision, BATCHES_PER_SHARD))
    shards = Shards(options.work_dir, key, len(detectors))
    per_shard = options.batch_size * BATCHES_PER_SHARD
    parts = []
    with progress_bar("Scoring images", len(paths), options.progress) as advance:
        for start in range(0, len(paths), per_shard):
            files = paths[start : start + per_shard]
            part = shards.read(start, len(files), partial(contents_of, files, options.workers))
            if part is None:
                part = _score_paths(detectors, files, options, advance)
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
    scored = table.assign(
        score=found[f"score_{number}"], status=found["status"], detail=found["detail"], sha256=_hashes(found)
    )
    return scored[[*SCORE_COLUMNS, *images.attributes, *images.others]]


def _hashes(found: pd.DataFrame) -> pd.Series:
    """SHA-256 of the files; None for those of which no byte could be read."""
    contents = found["content"].astype(object)
    return contents.where(contents.str.fullmatch("[0-9a-f]{64}").astype(bool), None)


def _empty(n_detectors: int, n: int) -> pd.DataFrame:
    scores = {f"score_{i}": np.full(n, np.nan) for i in range(n_detectors)}
    return pd.DataFrame({"status": [OK] * n, "detail": [""] * n, "content": [""] * n, **scores})


def _score_paths(
    detectors: Sequence[Detector], paths: list[str], options: Options, advance: Advance
) -> pd.DataFrame:
    """Scores of some files, one column for each detector, with reasons for those that cannot be read."""
    fits = list({fit_key(d): d.preprocessing for d in detectors}.items())
    position = {key: i for i, (key, _) in enumerate(fits)}
    found = _empty(len(detectors), len(paths))
    autocast: dict[int, bool] = {}
    for batch in read_batches(paths, [p for _, p in fits], options.batch_size, options.workers):
        for number, detector in enumerate(detectors):
            if batch.rows:
                images = batch.images[position[fit_key(detector)]]
                if number not in autocast:
                    autocast[number] = options.precision == "auto" and autocast_is_close(detector, images)
                found.loc[batch.rows, f"score_{number}"] = forward(detector, images, autocast[number])
        _note_files(found, batch)
        advance(len(batch.rows) + len(batch.unreadable))
    return found


def _note_files(found: pd.DataFrame, batch: Batch) -> None:
    found.loc[list(batch.contents), "content"] = list(batch.contents.values())
    for row, why in batch.unreadable.items():
        found.loc[row, ["status", "detail"]] = [why.reason, why.detail]


def fit_key(detector: Detector) -> tuple[int, str, str]:
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
