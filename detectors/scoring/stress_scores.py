"""Scores of every image as it is and under every transformation, decoded once.

Enters: a detector, labelled images, names of transformations. Leaves: float64 [N, 1 + V] scores, the first
column of the untouched image, with a status for each image.

Why everything of an image is done while it is in memory: decoding costs more than most transformations, and a
grid of 85 variants would decode each file 86 times.
Why both halves of a pair share their random choices: what differs between them must be the forgery alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from detectors.data.face_crops import SharedFinder, framed
from detectors.data.image_batches import Unreadable, content_of
from detectors.data.labelled_images import LabelledImages
from detectors.data.preprocessing import fit
from detectors.data.transformations import TRANSFORMATIONS, Pixels, transform, variants
from detectors.models.detector import Detector
from detectors.progress import progress_bar
from detectors.scoring.engine import Floats, Options, forward
from detectors.scoring.resume import Shards, run_key
from detectors.scoring.score_table import OK
from pipelines.errors import PhotoError
from pipelines.sources.photos import decode, read_bytes

IMAGES_PER_PART = 64
"""Images that are written together; an interrupted run repeats at most these."""
TOO_SMALL = "too small to be transformed"
NO_SCORE = "no score"


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


def stress_scores(
    detector: Detector,
    images: LabelledImages,
    names: Sequence[str],
    seed: int = 0,
    options: Options | None = None,
) -> StressScores:
    """Score every image untouched and under every transformation at every severity.

    Args:
        detector: The detector.
        images: The images.
        names: Keys of `TRANSFORMATIONS`.
        seed: Of the random choices inside transformations.
        options: Batch size, decoding threads, where an interrupted run continues, progress bar.

    Returns:
        Scores and reasons, rows in the order of `images.table`.
    """
    options, columns = options or Options(), variants(list(names))
    paths = images.table["path"].tolist()
    keys = images.table["pair_id"].fillna(images.table["image_id"]).astype(str).tolist()
    levels = [TRANSFORMATIONS[name].levels for name in names]
    how = (options.batch_size, IMAGES_PER_PART, seed, *names, levels)
    shards = Shards(options.work_dir, run_key([detector], [*paths, *keys], how), 1 + len(columns))
    parts, scorer = [], _Scorer(detector, columns, seed, options)
    with progress_bar("Scoring variants", len(paths), options.progress) as advance:
        for start in range(0, len(paths), IMAGES_PER_PART):
            stop = start + IMAGES_PER_PART
            part = shards.read(start, paths[start:stop], options.workers)
            if part is None:
                part = scorer.part(paths[start:stop], keys[start:stop])
                shards.write(start, part)
            advance(len(part))
            parts.append(part)
    shards.remove()
    found = pd.concat(parts, ignore_index=True)
    table = images.table.reset_index(drop=True).assign(status=found["status"], detail=found["detail"])
    return StressScores(table, columns, found.filter(regex=r"^score_\d+$").to_numpy(dtype=np.float64))


class _Scorer:
    """A detector and the variants it is tried on."""

    def __init__(
        self, detector: Detector, columns: list[tuple[str, int]], seed: int, options: Options
    ) -> None:
        self.detector, self.columns, self.seed, self.options = detector, columns, seed, options
        self.finder = SharedFinder()

    def part(self, paths: Sequence[str], keys: Sequence[str]) -> pd.DataFrame:
        """Scores of some images, one row each, with reasons for those that cannot be read."""
        n_columns = 1 + len(self.columns)
        scores = np.full((len(paths), n_columns), np.nan)
        status, detail = [OK] * len(paths), [""] * len(paths)
        with ThreadPoolExecutor(self.options.workers or torch.get_num_threads()) as pool:
            contents = list(pool.map(content_of, paths))
            for row, made in enumerate(pool.map(self._variants, paths, keys)):
                if isinstance(made, Unreadable):
                    status[row], detail[row] = made.reason, made.detail
                else:
                    scores[row] = self._forward(made)
                    if not np.isfinite(scores[row]).all():
                        status[row], detail[row] = NO_SCORE, self._without_score(scores[row])
        found = pd.DataFrame(scores, columns=[f"score_{i}" for i in range(n_columns)])
        return pd.DataFrame({"status": status, "detail": detail, "content": contents}).join(found)

    def _without_score(self, scores: Floats) -> str:
        """Which variants the detector gives no number for."""
        names = ["the untouched image", *(f"{name} {severity}" for name, severity in self.columns)]
        missing = [name for name, score in zip(names, scores, strict=True) if not np.isfinite(score)]
        return f"the detector gives no number for {', '.join(missing[:3])}{' ...' if missing[3:] else ''}"

    def _variants(self, path: str, key: str) -> Tensor | Unreadable:
        """uint8 [1 + V, 3, S, S], or why not."""
        try:
            pixels, _ = decode(read_bytes(Path(path)), Path(path).name)
            made = [transform(pixels, name, severity, self.seed, key) for name, severity in self.columns]
            return torch.stack([self._fitted(one) for one in (pixels, *made)])
        except PhotoError as error:
            return Unreadable(error.reason, str(error))
        except ValueError as error:
            return Unreadable(TOO_SMALL, str(error))

    def _fitted(self, pixels: Pixels) -> Tensor:
        shown = np.ascontiguousarray(framed(pixels, self.detector.preprocessing, self.finder))
        return fit(torch.from_numpy(np.array(shown)).permute(2, 0, 1), self.detector.preprocessing)

    def _forward(self, made: Tensor) -> Floats:
        size = self.options.batch_size
        return np.concatenate([forward(self.detector, made[i : i + size]) for i in range(0, len(made), size)])
