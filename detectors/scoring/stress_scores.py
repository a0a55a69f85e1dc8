"""Scores of every image as it is and under every transformation.

Enters: detectors, labelled images, names of transformations. Leaves: for each detector float64 [N, 1 + V]
scores, the first column of the untouched image, with a status for each image.

Why both halves of a pair share their random choices: what differs between them must be the forgery alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from detectors.data.labelled_images import LabelledImages
from detectors.data.transformations import TRANSFORMATIONS, Pixels, transform, variants
from detectors.models.detector import Detector
from detectors.scoring.network_threads import Floats
from detectors.scoring.options import Options
from detectors.scoring.variant_scores import variant_scores

UNTOUCHED = "the untouched image"


@dataclass(frozen=True)
class StressScores:
    """What a detector says of every variant of every image.

    Attributes:
        table: One row an image: the columns of `LabelledImages.table`, status and detail.
        columns: (name, severity) of the columns of `scores` after the first.
        scores: float64 [N, 1 + V] in 0-1, higher = more fake; NaN where there is no score.
    """

    table: pd.DataFrame
    columns: list[tuple[str, int]]
    scores: Floats

    def of(self, image_ids: pd.Series) -> StressScores:
        """The scores of some of the images, in the order of the table."""
        keep = self.table["image_id"].isin(set(image_ids)).to_numpy()
        return StressScores(self.table[keep].reset_index(drop=True), self.columns, self.scores[keep])


@dataclass(frozen=True)
class StressVersions:
    """An image as it is, and under every transformation at every severity.

    Attributes:
        keys: Of each image; images of equal keys share their random choices.
        columns: (name, severity) of the versions after the first.
        seed: Of the random choices.
    """

    keys: list[str]
    columns: list[tuple[str, int]]
    seed: int

    def __call__(self, row: int, pixels: Pixels) -> list[Pixels]:
        """Versions of the image in a position, uint8 [H, W, 3] each."""
        key = self.keys[row]
        return [
            pixels,
            *(transform(pixels, name, severity, self.seed, key) for name, severity in self.columns),
        ]


def stress_scores(
    detectors: Sequence[Detector],
    images: LabelledImages,
    names: Sequence[str],
    seed: int = 0,
    options: Options | None = None,
) -> list[StressScores]:
    """Score every image untouched and under every transformation at every severity.

    Args:
        detectors: One or more; each image is decoded and transformed once for all of them.
        images: The images.
        names: Keys of `TRANSFORMATIONS`.
        seed: Of the random choices inside transformations.
        options: Batch size, decoding threads, where an interrupted run continues, progress bar.

    Returns:
        For each detector scores and reasons, rows in the order of `images.table`.
    """
    options, columns = options or Options(), variants(list(names))
    table = images.table.reset_index(drop=True)
    keys = table["pair_id"].fillna(table["image_id"]).astype(str).tolist()
    levels = [TRANSFORMATIONS[name].levels for name in names]

    how = ("stress", seed, *keys, *names, levels)
    found = variant_scores(
        detectors, table["path"].tolist(), StressVersions(keys, columns, seed), 1 + len(columns), how, options
    )
    told = [UNTOUCHED, *(f"{name} {severity}" for name, severity in columns)]
    results = []
    for number in range(len(detectors)):
        status, detail = found.of(number, told)
        results.append(
            StressScores(table.assign(status=status, detail=detail), columns, found.scores[number])
        )
    return results
