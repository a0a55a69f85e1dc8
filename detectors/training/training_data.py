"""Labelled images made ready for training: split by origin, decoded once, classes numbered.

Enters: the table of `labelled` and `Settings`. Leaves: `TrainingData`.

Why a cache: a training of 20 epochs would decode every file 20 times, and on two cores decoding and learning
fight for the same processor. Sets that do not fit into `CACHE_BYTES` are decoded anew in each epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from detectors.data.image_batches import read_batches
from detectors.data.labelled_images import REAL, LabelledImages, with_hashes
from detectors.data.preprocessing import Preprocessing
from detectors.errors import EmptyDataset, TrainingError
from detectors.progress import progress_bar
from detectors.training.fair import NEEDS_GROUPS, cell_weights
from detectors.training.settings import Settings
from detectors.training.splits import split

CACHE_BYTES = 2 << 30
"""Decoded training images are kept in memory up to this size."""
LEARNING = ("train", "valid")
"""The parts a network learns from: weights from the first, the choice of the epoch from the second."""


EVERYBODY = "everybody"
"""The only group, where the training looks at none."""


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
    groups: list[str] = field(default_factory=lambda: [EVERYBODY])
    """Names of the groups that the training looks at, one where it looks at none."""
    group: pd.Series = field(default_factory=lambda: pd.Series(dtype="int64"))
    """Of each image of the table, index into `groups`; empty where there is one."""

    def class_numbers(self, part: str) -> list[int]:
        """Class of each image of a part, in the order of the table."""
        kinds = self.images.table.loc[self.images.table["part"] == part, "kind"]
        if len(self.classes) == 2:
            return [int(kind != REAL) for kind in kinds]
        return [self.classes.index(kind) for kind in kinds]

    def class_weights(self, part: str) -> list[float]:
        """Mean weight of each class's images in a part, scaled to a mean of 1 over all of them.

        All 1 where every image weighs the same; a class without images has 1.
        """
        weight = self.images.table.loc[self.images.table["part"] == part, "weight"].astype(float)
        scaled = (weight / weight.mean()).groupby(self.class_numbers(part)).mean()
        return [float(scaled.get(number, 1.0)) for number in range(len(self.classes))]

    def group_numbers(self, part: str) -> list[int]:
        """Group of each image of a part, in the order of the table."""
        rows = self.images.table["part"] == part
        return [0] * int(rows.sum()) if self.group.empty else self.group[rows].tolist()

    def cell_counts(self) -> list[list[int]]:
        """[group][real, fake], images of the training part."""
        rows = self.images.table["part"] == "train"
        fake, group = self.images.table.loc[rows, "label"].to_numpy(), np.array(self.group_numbers("train"))
        counts = np.bincount(2 * group + fake, minlength=2 * len(self.groups))
        return [[int(n) for n in pair] for pair in counts.reshape(-1, 2)]

    def drawn_weights(self, part: str, by_cell: bool) -> pd.Series:
        """Relative weight with which each image of a part is drawn; every cell as often where asked."""
        rows = self.images.table[self.images.table["part"] == part]
        if not by_cell:
            return rows["weight"]
        cells = cell_weights(self.cell_counts())[self.group_numbers(part), rows["label"].to_numpy()]
        return rows["weight"] * cells

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
        caches: dict[str, Tensor | None] = dict.fromkeys(LEARNING)
        return _with_groups(TrainingData(images, classes, preprocessing, caches, 0), settings)
    cache, readable = _decode(images.table.loc[learning, "path"].tolist(), preprocessing, progress)
    keep = ~learning
    keep[learning] = np.array(readable)
    parts = images.table.loc[learning & keep, "part"].to_numpy()
    caches = {part: cache[torch.from_numpy(parts == part)] for part in LEARNING}
    found = TrainingData(images.only(keep), classes, preprocessing, caches, int((~keep).sum()))
    return _with_groups(found, settings)


def _with_groups(data: TrainingData, settings: Settings) -> TrainingData:
    """The data with the groups that the training looks at."""
    if settings.fair not in NEEDS_GROUPS:
        return data
    names, table = groups_of(data.images, settings), data.images.table
    learning = table["part"].isin(LEARNING)
    for name in names:
        unknown = int(table.loc[learning, name].isna().sum())
        if unknown:
            raise TrainingError(
                f"{unknown} of {int(learning.sum())} images to learn from have no {name}, which --fair "
                f"{settings.fair} needs: label them, leave them out, or choose other columns with --fair-by"
            )
    of_image = table[names].astype(object).fillna("").astype(str).agg(":".join, axis=1)
    groups = sorted(set(of_image[table["part"] == "train"]))
    if len(groups) < 2:
        raise TrainingError(
            f"--fair {settings.fair} needs two groups to learn from, and the training part has "
            f"{len(groups)} by {', '.join(names)}: choose other columns with --fair-by"
        )
    number = {name: i for i, name in enumerate(groups)}
    return replace(data, groups=groups, group=of_image.map(lambda name: number.get(name, 0)).astype("int64"))


def groups_of(images: LabelledImages, settings: Settings) -> list[str]:
    """Columns whose intersections are the groups: those asked for, else all attributes but age.

    Raises:
        TrainingError: The data have no such column.
    """
    unknown = [name for name in settings.fair_by if name not in images.table.columns]
    names = list(settings.fair_by) or [name for name in images.attributes if name != "age"]
    if unknown or not names:
        what = f"no column {', '.join(map(repr, unknown))}" if unknown else "no group column"
        known = ", ".join(images.attributes) or "none"
        raise TrainingError(
            f"{images.root} has {what}, which --fair {settings.fair} needs; its attributes: {known}. Give a "
            "pairs dataset, or a table of images with such columns"
        )
    return names


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
