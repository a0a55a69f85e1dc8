"""Scores of every image and of versions of it, by one detector or several: each file read and decoded once.

Enters: detectors, files, a function that makes the versions of a picture. Leaves: float64 [D, N, V] scores
with a status for each image.

Why everything of an image is done while it is in memory: decoding costs more than most versions, and a stress
test would decode each file 86 times. Why versions of several images share a batch: an image's own are rarely
a multiple of the batch, and a half-filled batch wastes the network.
Why few images are made ahead: 86 versions of one image at 224 px are 13 MB.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from detectors.data.face_crops import framed
from detectors.data.image_batches import Unreadable, content_of
from detectors.data.preprocessing import Preprocessing, fit
from detectors.models.detector import Detector
from detectors.scoring.engine import fit_key
from detectors.scoring.network_threads import Floats, Scoring
from detectors.scoring.options import Options
from detectors.scoring.parts import in_parts
from detectors.scoring.score_table import NO_SCORE, OK
from detectors.scoring.work import Advance, Tools
from pipelines.errors import PhotoError
from pipelines.sources.photos import decode, read_bytes

Pixels = npt.NDArray[np.uint8]
Versions = Callable[[int, Pixels], Sequence[Pixels]]
"""From the position of an image and its pixels [H, W, 3] to its versions; a ValueError says why there are
none.
"""

IMAGES_PER_PART = 64
"""Images that are written together; an interrupted run repeats at most these."""
AHEAD = 2
"""Images made ready beyond those that threads work on."""
NO_VERSION = "too small to be transformed"


@dataclass(frozen=True)
class VariantScores:
    """What detectors say of the versions of images.

    Attributes:
        status: object [N], "ok" or a reason, of the file.
        detail: object [N], a sentence for people.
        scores: float64 [D, N, V] in 0-1, higher = more fake; NaN where there is no score.
    """

    status: npt.NDArray[np.object_]
    detail: npt.NDArray[np.object_]
    scores: Floats

    def of(self, number: int, names: Sequence[str]) -> tuple[list[str], list[str]]:
        """Status and detail of each image for one detector, which may give no number for a version.

        Args:
            number: Of the detector.
            names: V names of the versions.
        """
        status, detail = list(self.status), list(self.detail)
        for row, scores in enumerate(self.scores[number]):
            absent = [name for name, score in zip(names, scores, strict=True) if not np.isfinite(score)]
            if status[row] == OK and absent:
                shown = f"{', '.join(absent[:3])}{' ...' if absent[3:] else ''}"
                status[row], detail[row] = NO_SCORE, f"the detector gives no number for {shown}"
        return status, detail


def variant_scores(
    detectors: Sequence[Detector],
    paths: Sequence[str],
    versions: Versions,
    n_versions: int,
    how: Sequence[object],
    options: Options,
    what: str = "Scoring variants",
) -> VariantScores:
    """Score versions of every image with every detector.

    Args:
        detectors: D detectors.
        paths: N files.
        versions: Makes V pictures of an image.
        n_versions: V.
        how: Everything but the files that `versions` depends on; an interrupted run continues only where all
            of it is the same.
        options: Batch size, threads, where an interrupted run continues, progress bar.
        what: Title of the progress bar.
    """
    found = in_parts(
        detectors,
        VariantWork(list(paths), versions, n_versions, options.batch_size),
        paths,
        IMAGES_PER_PART,
        len(detectors) * n_versions,
        (options.batch_size, IMAGES_PER_PART, *how),
        options,
        what,
    )
    scores = found.filter(regex=r"^score_\d+$").to_numpy(dtype=np.float64)
    by_detector = scores.reshape(len(paths), len(detectors), n_versions).transpose(1, 0, 2)
    return VariantScores(
        found["status"].to_numpy(dtype=object),
        found["detail"].to_numpy(dtype=object),
        np.where(np.isfinite(by_detector), by_detector, np.nan),
    )


@dataclass(frozen=True)
class _Made:
    """The versions of one image, ready for each way of preparing, or why there are none."""

    row: int
    content: str
    fitted: list[Tensor] | Unreadable


@dataclass(frozen=True)
class VariantWork:
    """Scores of versions of images.

    Attributes:
        paths: All files.
        versions: Makes V pictures of an image; plain data, as all of a work.
        n_versions: V.
        batch_size: Pictures in a batch.
    """

    paths: list[str]
    versions: Versions
    n_versions: int
    batch_size: int

    def part(
        self, detectors: Sequence[Detector], tools: Tools, rows: range, advance: Advance
    ) -> pd.DataFrame:
        """Scores of some images, one row each, with reasons for those that cannot be read."""
        n = len(rows)
        ways = {fit_key(detector): detector.preprocessing for detector in detectors}
        scores = np.full((len(detectors), n, self.n_versions), np.nan)
        scoring = Scoring(tools.threads, scores.reshape(-1))
        queues = [
            _Queue(detector, self.batch_size, scoring, number * n * self.n_versions)
            for number, detector in enumerate(detectors)
        ]
        status, detail, contents = [OK] * n, [""] * n, [""] * n
        for made in _Maker(self, list(ways.values()), tools).in_order(rows):
            at = made.row - rows.start
            contents[at] = made.content
            if isinstance(made.fitted, Unreadable):
                status[at], detail[at] = made.fitted.reason, made.fitted.detail
            else:
                ready = dict(zip(ways, made.fitted, strict=True))
                for queue, detector in zip(queues, detectors, strict=True):
                    queue.add(at * self.n_versions, ready[fit_key(detector)])
            advance(1)
        for queue in queues:
            queue.flush()
        scoring.finish()
        flat = scores.transpose(1, 0, 2).reshape(n, -1)
        found = pd.DataFrame(flat, columns=[f"score_{i}" for i in range(flat.shape[1])])
        return pd.DataFrame({"status": status, "detail": detail, "content": contents}).join(found)


class _Maker:
    """Makes the versions of images, for each way of preparing them."""

    def __init__(self, work: VariantWork, ways: Sequence[Preprocessing], tools: Tools) -> None:
        self.work, self.ways, self.tools = work, ways, tools

    def in_order(self, rows: range) -> Iterator[_Made]:
        """Every image with its versions, a few made ahead of the networks."""
        workers, paths = self.tools.workers or min(8, os.cpu_count() or 1), self.work.paths
        pool = ThreadPoolExecutor(workers)
        try:
            waiting = iter(rows)
            queue = deque(
                pool.submit(self._make, row, paths[row]) for row in islice(waiting, workers + AHEAD)
            )
            while queue:
                made = queue.popleft().result()
                queue.extend(pool.submit(self._make, row, paths[row]) for row in islice(waiting, 1))
                yield made
        finally:
            pool.shutdown(cancel_futures=True)

    def _make(self, row: int, path: str) -> _Made:
        try:
            data = read_bytes(Path(path))
        except PhotoError as error:
            return _Made(row, content_of(path), Unreadable(error.reason, str(error)))
        content = hashlib.sha256(data).hexdigest()
        try:
            pixels, _ = decode(data, Path(path).name)
            made = self.work.versions(row, pixels)
            return _Made(row, content, [self._fitted(made, way) for way in self.ways])
        except PhotoError as error:
            return _Made(row, content, Unreadable(error.reason, str(error)))
        except ValueError as error:
            return _Made(row, content, Unreadable(NO_VERSION, str(error)))

    def _fitted(self, made: Sequence[Pixels], way: Preprocessing) -> Tensor:
        """uint8 [V, 3, S, S]."""
        shown = (np.array(framed(pixels, way, self.tools.finder)) for pixels in made)
        return torch.stack([fit(torch.from_numpy(one).permute(2, 0, 1), way) for one in shown])


class _Queue:
    """Versions on their way to one detector, in full batches across images.

    Args:
        detector: The detector.
        size: Pictures in a batch.
        scoring: Computes the scores.
        first: Place of this detector's first score.
    """

    def __init__(self, detector: Detector, size: int, scoring: Scoring, first: int) -> None:
        self.detector, self.size, self.scoring, self.first = detector, size, scoring, first
        self.waiting: list[Tensor] = []
        self.places: list[int] = []

    def add(self, place: int, images: Tensor) -> None:
        """Put the versions of an image into the queue, [V, 3, S, S]; their scores stand from `place` on."""
        self.places += range(self.first + place, self.first + place + len(images))
        self.waiting.append(images)
        while len(self.places) >= self.size:
            self._score(self.size)

    def flush(self) -> None:
        """Score what is left, once all images are in."""
        if self.places:
            self._score(len(self.places))

    def _score(self, n: int) -> None:
        images = torch.cat(self.waiting) if len(self.waiting) > 1 else self.waiting[0]
        self.scoring.add(self.detector, self.places[:n], images[:n])
        self.waiting = [images[n:]] if n < len(images) else []
        self.places = self.places[n:]
