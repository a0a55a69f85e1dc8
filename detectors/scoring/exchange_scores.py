"""Scores of every image as it is and compressed like its counterpart of the other class.

Enters: a detector, labelled images, how each file was written. Leaves: both scores of each image, or why
there is nothing to exchange.

Why: a detector that learned the file changes its mind when the file changes and the face does not. A fake
written like a real photo then passes, a photo written like a fake is flagged.
Why the counterpart of an image without a pair is drawn: written like *some* image of the other class, chosen
by the seed and without regard to any group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from detectors.data.labelled_images import LabelledImages
from detectors.models.detector import Detector
from detectors.scoring.network_threads import Floats
from detectors.scoring.options import Options
from detectors.scoring.score_table import OK
from detectors.scoring.variant_scores import Pixels, variant_scores
from pipelines.sources.rewrite import Written, rewritten

ALIKE = "written like its counterpart already"
LOSSLESS = "its counterpart is lossless, and its own past cannot be undone"
UNKNOWN = "how its counterpart was compressed cannot be told"
NO_COUNTERPART = "its counterpart cannot be read"
EXCHANGED = "exchanged"


@dataclass(frozen=True)
class ExchangeScores:
    """What a detector says of each image before and after it is written like its counterpart.

    Attributes:
        status: object [N], "ok" or why there is no score.
        detail: object [N].
        before: float64 [N] in 0-1.
        after: float64 [N]; that of before where nothing was exchanged.
        exchange: object [N], `EXCHANGED`, or why nothing was.
    """

    status: npt.NDArray[np.object_]
    detail: npt.NDArray[np.object_]
    before: Floats
    after: Floats
    exchange: npt.NDArray[np.object_]


def counterparts(table: pd.DataFrame, seed: int) -> npt.NDArray[np.int64]:
    """int64 [N], the row of each image's counterpart: its pair's other half, else one drawn; -1 without any.

    Args:
        table: `LabelledImages.table`. Of several fakes of one photo the first counts as its other half.
        seed: Of the drawing.
    """
    rng, label = np.random.default_rng(seed), table["label"].to_numpy()
    rows = {value: np.flatnonzero(label == value) for value in (0, 1)}
    first = {
        value: table.iloc[rows[value]].assign(row=rows[value]).dropna(subset="pair_id")
        .drop_duplicates("pair_id").set_index("pair_id")["row"]
        for value in (0, 1)
    }  # fmt: skip
    found = np.full(len(table), -1, dtype=np.int64)
    for value in (0, 1):
        other = rows[1 - value]
        if len(other):
            drawn = other[rng.integers(0, len(other), len(rows[value]))]
            paired = table["pair_id"].iloc[rows[value]].map(first[1 - value])
            found[rows[value]] = np.where(paired.notna(), paired.fillna(-1), drawn)
    return found


def exchange_of(how: Sequence[Written | None], counterpart: npt.NDArray[np.int64]) -> list[str]:
    """`EXCHANGED` for each image that can be written like its counterpart, else why not."""
    return [_exchange(how[row], how[other] if other >= 0 else None) for row, other in enumerate(counterpart)]


def _exchange(own: Written | None, like: Written | None) -> str:
    if own is None or like is None:
        return NO_COUNTERPART
    if like.codec == "unknown":
        return UNKNOWN
    if like.codec == "lossless":
        return ALIKE if own.codec == "lossless" else LOSSLESS
    if like.codec == "jpeg" and own.tables == like.tables:
        return ALIKE
    return (
        ALIKE
        if (own.codec, own.quality) == (like.codec, like.quality) and like.codec == "webp"
        else EXCHANGED
    )


@dataclass(frozen=True)
class Exchanged:
    """An image as it is, and written like its counterpart.

    Attributes:
        like: How each image's counterpart was written; None where nothing is exchanged.
    """

    like: list[Written | None]

    def __call__(self, row: int, pixels: Pixels) -> list[Pixels]:
        """Both versions of the image in a position, uint8 [H, W, 3] each."""
        like = self.like[row]
        return [pixels, pixels if like is None else rewritten(pixels, like)]


def exchange_scores(
    detector: Detector,
    images: LabelledImages,
    how: Sequence[Written | None],
    seed: int = 0,
    options: Options | None = None,
) -> ExchangeScores:
    """Score every image as it is and compressed like its counterpart.

    Args:
        detector: The detector.
        images: N images.
        how: N, how each file was written; None where it cannot be read.
        seed: Draws counterparts where there are no pairs.
        options: Batch size, threads, where an interrupted run continues, progress bar.
    """
    counterpart = counterparts(images.table, seed)
    exchange = exchange_of(how, counterpart)

    like = [
        how[other] if why == EXCHANGED else None for other, why in zip(counterpart, exchange, strict=True)
    ]
    about = ("exchange", seed, [repr(how[other]) if other >= 0 else "" for other in counterpart])
    found = variant_scores(
        [detector], images.table["path"].tolist(), Exchanged(like), 2, about, options or Options(),
        "Scoring images",
    )  # fmt: skip
    status, detail = found.of(0, ("the image", "the image written like its counterpart"))
    before, after = found.scores[0].T
    said = [why if state == OK else state for why, state in zip(exchange, status, strict=True)]
    return ExchangeScores(
        np.array(status, dtype=object),
        np.array(detail, dtype=object),
        before,
        after,
        np.array(said, dtype=object),
    )
