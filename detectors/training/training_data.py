"""Labelled images made ready for training: split by origin, decoded once, classes numbered.

Enters: the table of `labelled` and `Settings`. Leaves: `TrainingData`.

Why a cache: a training of 20 epochs would decode every file 20 times, and on two cores decoding and learning
fight for the same processor. Sets that do not fit into `CACHE_BYTES` are decoded anew in each epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from detectors.data.image_batches import read_batches
from detectors.data.labelled_images import REAL, LabelledImages, with_hashes
from detectors.data.preprocessing import Preprocessing
from detectors.errors import EmptyDataset
from detectors.progress import progress_bar
from detectors.training.settings import Settings
from detectors.training.splits import split

CACHE_BYTES = 2 << 30
"""Decoded training images are kept in memory up to this size."""
LEARNING = ("train", "valid")
"""The parts a network learns from: weights from the first, the choice of the epoch from the second."""


@dataclass(frozen=True)
class TrainingData:
    """Images ready to train on."""

    images: LabelledImages
    """With the final `part` of each image."""
    classes: list[str]
    """Names of the network's outputs, "real" first."""
    preprocessing: Preprocessing
    """How they are prepared."""
    caches: dict[str, Tensor | None]
    """For "train" and "valid": [n, 3, S, S] uint8 in the order of the table, or None where too large."""
    n_unreadable: int
    """Files that cannot be read and were left out."""

    def class_numbers(self, part: str) -> list[int]:
        """Class of each image of a part, in the order of the table."""
        kinds = self.images.table.loc[self.images.table["part"] == part, "kind"]
        if len(self.classes) == 2:
            return [int(kind != REAL) for kind in kinds]
        return [self.classes.index(kind) for kind in kinds]

    def describe(self) -> str:
        """One line: how many images learn and are held out."""
        n = self.images.table["part"].value_counts()
        parts = ", ".join(f"{n.get(part, 0)} {part}" for part in (*LEARNING, "test"))
        left_out = f"; {self.n_unreadable} unreadable files left out" if self.n_unreadable else ""
        return f"{self.images.root}: images {parts}{left_out}."


def prepare(
    images: LabelledImages, preprocessing: Preprocessing, settings: Settings, progress: bool
) -> TrainingData:
    """Split images by origin and decode those a network learns from, where they fit into memory.

    Raises:
        SplitError: the origins are too few.
        EmptyDataset: no real or no fake images, or no file that can be read.
    """
    images = with_hashes(images.with_both_classes())
    classes = images.kinds if settings.by_kind else [REAL, "fake"]
    images = replace(images, table=images.table.assign(part=split(images, settings.fractions, settings.seed)))
    learning = images.table["part"].isin(LEARNING)
    if int(learning.sum()) * 3 * preprocessing.size_px**2 > CACHE_BYTES:
        return TrainingData(images, classes, preprocessing, dict.fromkeys(LEARNING), 0)
    cache, readable = _decode(images.table.loc[learning, "path"].tolist(), preprocessing, progress)
    keep = ~learning
    keep[learning] = np.array(readable)
    parts = images.table.loc[learning & keep, "part"].to_numpy()
    caches: dict[str, Tensor | None] = {part: cache[torch.from_numpy(parts == part)] for part in LEARNING}
    return TrainingData(images.only(keep), classes, preprocessing, caches, int((~keep).sum()))


def _decode(paths: list[str], preprocessing: Preprocessing, progress: bool) -> tuple[Tensor, list[bool]]:
    """All readable images as one uint8 tensor, and which of the paths those are."""
    readable = [True] * len(paths)
    batches: list[Tensor] = []
    with progress_bar("Decoding images", len(paths), progress) as advance:
        for batch in read_batches(paths, [preprocessing], 64):
            batches += batch.images
            for row in batch.unreadable:
                readable[row] = False
            advance(len(batch.rows) + len(batch.unreadable))
    if not batches:
        raise EmptyDataset(f"none of {len(paths)} training images can be read, such as {paths[0]}")
    return torch.cat(batches), readable
