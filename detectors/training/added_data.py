"""Images added to the training part alone: other faces, so that a detector learns from more groups.

Enters: a data set and further ones with weights. Leaves: one data set whose parts are fixed: valid and test
are those the first would have had without the others.

Why photos of the held-out parts stay out: a photo that is in both sets would be learned from and judged on.

Why it is offered at all: the first cure tried for detectors that fail for some faces was more training images
of such faces, and whether it helps is a question for `audit compare`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from detectors.data.datasets import read_images, weighted_name
from detectors.data.labelled_images import LabelledImages, with_hashes
from detectors.errors import EmptyDataset
from detectors.training.settings import Settings
from detectors.training.splits import split


def with_added(images: LabelledImages, specs: Sequence[str | Path], settings: Settings) -> LabelledImages:
    """Add data sets to the training part.

    Args:
        images: Split as `settings` says; its valid and test parts stay as they are.
        specs: Paths, each with an optional weight after "=": with 0.5 the added images count half as much in
            training as those of `images`, however many there are.
        settings: Fractions and seed of the split.

    Raises:
        TrainingError: A weight that is not a number above 0.
        EmptyDataset: Nothing is left to add.
        DataError: As `read_images`.
    """
    images = with_hashes(images)
    parts = split(images, settings.fractions, settings.seed)
    tables = [images.table.assign(part=parts)]
    learning = float(tables[0].loc[parts == "train", "weight"].sum())
    held = tables[0][parts != "train"]
    left_out = dict(images.n_left_out)
    for number, spec in enumerate(specs, start=1):
        name, weight = weighted_name(spec)
        added = with_hashes(read_images(name))
        taken = _kept(added.table, held)
        if taken.empty:
            raise EmptyDataset(f"{name}: every image is held out in {images.root}; add other photos")
        if len(taken) < len(added.table):
            left_out[f"{added.root.name}: held out in {images.root.name}"] = len(added.table) - len(taken)
        shares = weight * learning * taken["weight"] / taken["weight"].sum()
        tables.append(
            taken.assign(image_id=f"added {number}:" + taken["image_id"], part="train", weight=shares)
        )
    return replace(
        images,
        table=pd.concat(tables, ignore_index=True),
        layout="combined",
        n_left_out=left_out,
        added=tuple(str(spec) for spec in specs),
    )


def _kept(table: pd.DataFrame, held: pd.DataFrame) -> pd.DataFrame:
    """The rows whose photo is in no held-out part, by origin and by contents."""
    known = held["source_sha256"].dropna()
    seen = table["origin"].isin(held["origin"]) | table["source_sha256"].isin(known)
    return table[~seen]
