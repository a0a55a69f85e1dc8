"""Scores of images: every file decoded once, however many detectors look at it.

Enters: detectors, labelled images, `Options`. Leaves: a score table for each detector (`score_table`), in
which a file that cannot be read, and one for which the detector gives no number, is a row with its reason.

Why parts: a long run writes what it has every few hundred images (`parts`). Batches are cut at fixed places,
so an interrupted run that continues gives the same bytes as one that was not interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from detectors.data.image_batches import read_batches
from detectors.data.labelled_images import LabelledImages
from detectors.models.detector import Detector
from detectors.scoring.network_threads import Scoring
from detectors.scoring.options import Options
from detectors.scoring.parts import in_parts
from detectors.scoring.score_table import OK, SCORE_COLUMNS, with_reasons
from detectors.scoring.work import Advance, Tools

BATCHES_PER_PART = 16
"""Batches that are written together; an interrupted run repeats at most these."""


def score_images(
    detectors: Sequence[Detector], images: LabelledImages, options: Options | None = None
) -> list[pd.DataFrame]:
    """Score every image with every detector, decoding it once.

    Args:
        detectors: One or more.
        images: The images.
        options: How, and where.

    Returns:
        A score table for each detector, rows in the order of `images.table`.
    """
    options = options or Options()
    paths = images.table["path"].tolist()
    if not paths:
        found = _empty(len(detectors), 0)
    else:
        found = in_parts(
            detectors,
            ImageWork(paths, options.batch_size),
            paths,
            options.batch_size * BATCHES_PER_PART,
            len(detectors),
            (options.batch_size, BATCHES_PER_PART),
            options,
            "Scoring images",
        )
    return [_table(images, found, number) for number in range(len(detectors))]


def _table(images: LabelledImages, found: pd.DataFrame, number: int) -> pd.DataFrame:
    """One detector's score table."""
    table = images.table.reset_index(drop=True)
    scored = table.assign(
        score=found[f"score_{number}"], status=found["status"], detail=found["detail"], sha256=_hashes(found)
    )
    return with_reasons(scored[[*SCORE_COLUMNS, *images.attributes, *images.others]])


def _hashes(found: pd.DataFrame) -> pd.Series:
    """SHA-256 of the files; None for those of which no byte could be read."""
    contents = found["content"].astype(object)
    return contents.where(contents.str.fullmatch("[0-9a-f]{64}").astype(bool), None)


def _empty(n_detectors: int, n: int) -> pd.DataFrame:
    scores = {f"score_{i}": np.full(n, np.nan) for i in range(n_detectors)}
    return pd.DataFrame({"status": [OK] * n, "detail": [""] * n, "content": [""] * n, **scores})


@dataclass(frozen=True)
class ImageWork:
    """Scores of images as they are.

    Attributes:
        paths: All files.
        batch_size: Files in a batch.
    """

    paths: list[str]
    batch_size: int

    def part(
        self, detectors: Sequence[Detector], tools: Tools, rows: range, advance: Advance
    ) -> pd.DataFrame:
        """Scores of some files, a column for each detector, with reasons for those that cannot be read."""
        fits = list({fit_key(d): d.preprocessing for d in detectors}.items())
        position = {key: i for i, (key, _) in enumerate(fits)}
        scores = np.full((len(detectors), len(rows)), np.nan)
        scoring = Scoring(tools.threads, scores.reshape(-1))
        status, detail, contents = [OK] * len(rows), [""] * len(rows), [""] * len(rows)
        files = self.paths[rows.start : rows.stop]
        for batch in read_batches(files, [p for _, p in fits], self.batch_size, tools.workers, tools.finder):
            for number, detector in enumerate(detectors):
                if batch.rows:
                    images = batch.images[position[fit_key(detector)]]
                    scoring.add(detector, number * len(rows) + np.array(batch.rows), images)
            for row, content in batch.contents.items():
                contents[row] = content
            for row, why in batch.unreadable.items():
                status[row], detail[row] = why.reason, why.detail
            advance(len(batch.contents))
        scoring.finish()
        columns = {f"score_{number}": scores[number] for number in range(len(detectors))}
        return pd.DataFrame({"status": status, "detail": detail, "content": contents} | columns)


def fit_key(detector: Detector) -> tuple[int, str, str]:
    """What decides how an image is decoded and resized."""
    p = detector.preprocessing
    return p.size_px, p.resize, p.face
