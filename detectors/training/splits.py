"""Which images train, which choose the epoch, which are held out.

Enters: the table of `labelled`. Leaves: one word an image: "train", "valid" or "test".

Why by origin and never by image: two pictures of one face on both sides of a split let a network recognise
the face instead of the forgery, and the held-out accuracy flatters. An origin is a source photo (both halves
of a pair), or whatever the user groups by.

Why stratified by cell: a held-out part in which a small group is missing cannot be audited for that group.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from detectors.data.labelled_images import LabelledImages
from detectors.errors import SplitError
from pipelines.parts import PART_NAMES, split_origins

DEFAULT_FRACTIONS = (0.6, 0.1, 0.3)
"""A large held-out part: the audit needs it more than the training does."""


def split(
    images: LabelledImages, fractions: Sequence[float] = DEFAULT_FRACTIONS, seed: int = 0
) -> npt.NDArray[np.object_]:
    """Give every image a part; images of one origin always share it.

    Args:
        images: Where the layout itself names parts, those stand (a missing valid part is cut from train).
        fractions: Of origins for train, valid and test; they add up to 1. Test may be 0.
        seed: Equal seeds give equal splits, whatever the order of the files.

    Returns:
        [n_images] of "train", "valid" or "test".

    Raises:
        SplitError: impossible fractions, or too few origins to fill train and valid.
    """
    check_fractions(fractions)
    table = images.table
    given = table["part"].to_numpy(dtype=object)
    if pd.notna(given).any():
        parts = _complete(table, given, fractions, seed)
    else:
        parts = split_origins(table["origin"], strata(images), fractions, seed)
    for name, fraction in zip(PART_NAMES, fractions, strict=True):
        if fraction > 0 and name not in parts:
            n = table["origin"].nunique()
            raise SplitError(f"{images.root}: {n} origins are too few for a {name} part of {fraction}")
    return parts


def check_fractions(fractions: Sequence[float]) -> None:
    """Raise SplitError unless there are three fractions in 0-1 that add up to 1, train and valid above 0."""
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise SplitError(
            f"split {tuple(fractions)}: wanted three fractions for {PART_NAMES} that add up to 1"
        )
    if min(fractions[:2]) == 0:
        raise SplitError(f"split {tuple(fractions)}: train and valid must both be above 0")


def _complete(
    table: pd.DataFrame, given: npt.NDArray[np.object_], fractions: Sequence[float], seed: int
) -> npt.NDArray[np.object_]:
    """Keep the parts a layout names; cut a missing valid part from train."""
    if pd.isna(given).any():
        raise SplitError(f"{int(pd.isna(given).sum())} images name no part while others do")
    if "valid" in given or "train" not in given:
        return given
    parts = given.copy()
    training = given == "train"
    share = fractions[1] / (fractions[0] + fractions[1])
    cut = split_origins(
        table.loc[training, "origin"], table.loc[training, "kind"], (1 - share, share, 0.0), seed
    )
    parts[training] = cut
    return parts


def strata(images: LabelledImages) -> pd.Series:
    """The cell of each image: its attributes joined by ":", or its kind where there are none."""
    columns = list(images.attributes) or ["kind"]
    return images.table[columns].astype(object).fillna("(missing)").astype(str).agg(":".join, axis=1)
