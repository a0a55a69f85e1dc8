"""One image to what is said of each face in it; many images to their scores.

Enters: uploads. Leaves: `Look` for the page, `Scored` rows for programs, with the CLI's words and numbers.

Why faces are looked for on the page and not in `scores`: a person uploads any photo, and must hear that it
holds no face; a program asks for what `audit score` prints, image by image.
"""

from __future__ import annotations

import asyncio
import io
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from audit.serving.batching import Batcher
from audit.serving.decoding import Decoded, Decoders
from audit.serving.limits import Limits
from audit.serving.problems import Problem, busy
from audit.serving.uploads import Upload
from detectors.data.face_crops import SharedFinder, framed
from detectors.errors import ForeignDetectorError, NoScoreError
from detectors.explanation.methods import default_method, explain
from detectors.models.detector import Detector
from detectors.scoring.photo_faces import SeenFace, light_changes, network_input, seen_faces
from detectors.scoring.score_table import NO_SCORE, OK, no_number
from pipelines.errors import PhotoError
from pipelines.faces.align import Face, FaceFinder
from pipelines.sources.photos import encode_png

T = TypeVar("T")
Answer = Literal["fake", "real"]
SHOWN_PX = 900
"""Longer side of the photo as the page shows it back."""
FACE_PX = 320
"""Longer side of a face as the page shows it."""
SMALLEST_CHANGED_PX = 16


@dataclass(frozen=True)
class Change:
    """What became of a face's score when the image was lightly changed."""

    words: str
    score: float | None
    answer: Answer | None


@dataclass(frozen=True)
class JudgedFace:
    """One face, and what the detector says of it."""

    box: tuple[float, float, float, float]
    """In the photo's pixels: left, top, right, bottom."""
    confidence: float
    score: float | None
    """0 to 1, higher = more fake; None where the detector gives no number."""
    answer: Answer | None
    detail: str
    """Why there is no score, or ""."""
    shown: str
    """Which part of the photo the network was shown."""
    changes: list[Change]
    picture: bytes = field(repr=False)
    """PNG of what the network was shown."""
    map: bytes | None = field(repr=False)
    """Grayscale PNG of the map over it, white where the answer rests; None where there is none."""
    map_note: str
    """What the map shows, or why there is none."""

    @property
    def is_unstable(self) -> bool:
        """Whether a light change turns the answer round, or takes it away."""
        return self.answer is not None and any(change.answer != self.answer for change in self.changes)


@dataclass(frozen=True)
class Look:
    """What is said of one image."""

    name: str
    width: int
    height: int
    faces: list[JudgedFace]
    n_found: int
    """Faces that MTCNN found, of which so many are judged."""
    note: str
    credentials: str
    picture: bytes = field(repr=False)
    """JPEG of the photo, reduced."""


@dataclass(frozen=True)
class Scored:
    """What `audit score` says of one image."""

    image: str
    score: float | None
    status: str
    detail: str
    answer: Answer | None

    def record(self, threshold: float) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "image": self.image, "score": self.score, "status": self.status, "detail": self.detail,
            "answer": self.answer, "threshold": threshold,
        }  # fmt: skip


class Looker:
    """A warm detector, its decoders and its face finder.

    Args:
        detector: What scores.
        threshold: Fake if score >= threshold.
        limits: Sizes and times.
    """

    def __init__(self, detector: Detector, threshold: float, limits: Limits) -> None:
        self.detector, self.threshold, self.limits = detector, threshold, limits
        self._decoders = Decoders(limits)
        self._batcher = Batcher(detector, limits.batch_images)
        self._finder = FaceFinder()
        self._framing = SharedFinder()
        self._decoding = ThreadPoolExecutor(limits.decoders, "decode")
        self._models = ThreadPoolExecutor(1, "faces")
        self._looks = 0
        data = detector.provenance.get("data")
        self._from_pairs = isinstance(data, dict) and data.get("layout") == "pairs"
        self._method = default_method(detector)
        size = detector.preprocessing.size_px
        self._batcher.submit(torch.zeros(1, 3, size, size, dtype=torch.uint8)).result()  # warm
        self._finder.find([np.zeros((160, 160, 3), np.uint8)])

    @property
    def largest_batch(self) -> int:
        """Images of the largest batch so far."""
        return self._batcher.largest_batch

    def close(self) -> None:
        """Finish what is under way and end all threads and processes."""
        self._decoding.shutdown(cancel_futures=True)
        self._models.shutdown(cancel_futures=True)
        self._batcher.close()
        self._decoders.close()

    def answer(self, score: float | None) -> Answer | None:
        """The decision; none without a score."""
        if score is None:
            return None
        return "fake" if score >= self.threshold else "real"

    async def scores(self, uploads: list[Upload]) -> list[Scored]:
        """Score images as `audit score` does; one that cannot be is a row with its reason.

        Raises:
            Problem: 503, or what the one image of a request is refused for.
        """
        asked = [asyncio.wrap_future(self._decoding.submit(self._fitted, each.data)) for each in uploads]
        found = await asyncio.gather(*asked, return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, (Problem, PhotoError)):
                raise one
        if len(found) == 1 and isinstance(found[0], Problem):
            raise found[0]
        tensors = [one for one in found if isinstance(one, Tensor)]
        scores = iter(await self._network(torch.stack(tensors)) if tensors else ())
        return [
            self._row(upload, one, float(next(scores)) if isinstance(one, Tensor) else None)
            for upload, one in zip(uploads, found, strict=True)
        ]

    async def look(self, upload: Upload) -> Look:
        """Find the faces of one image and judge each.

        Raises:
            Problem: as decoding says, or 503.
        """
        if self._looks >= self.limits.requests_at_once // 2:
            raise busy(self.limits.retry_after_s, "many photos are being looked at; try again in a second")
        self._looks += 1
        try:
            return await self._look(upload)
        finally:
            self._looks -= 1

    async def _look(self, upload: Upload) -> Look:
        decoded = await self._run(self._decoding, lambda: self._decoders.decode(upload.data))
        faces = await self._run(self._models, lambda: self._found(decoded))
        chosen = faces[: self.limits.faces]
        preprocessing = self.detector.preprocessing
        seen = seen_faces(decoded.pixels, chosen, preprocessing, self._from_pairs)
        judged = [await self._judged(face) for face in seen]
        picture = await self._run(self._decoding, lambda: _jpeg(decoded))
        height, width = decoded.pixels.shape[:2]
        n_found = len(faces) if len(seen) == len(chosen) else len(seen)  # one, where the image is its crop
        return Look(upload.name, width, height, judged, n_found, decoded.note, decoded.credentials, picture)

    async def _judged(self, seen: SeenFace) -> JudgedFace:
        preprocessing = self.detector.preprocessing
        changes = light_changes(seen.pixels) if min(seen.pixels.shape[:2]) >= SMALLEST_CHANGED_PX else []
        inputs = [network_input(p, preprocessing) for p in (seen.pixels, *(p for _, p in changes))]
        given = list(map(float, await self._network(torch.stack(inputs))))
        score, *others = map(_number, given)
        found, note = await self._run(self._models, lambda: self._map(inputs[0]))
        return JudgedFace(
            seen.box,
            seen.confidence,
            score,
            self.answer(score),
            no_number(given[0]) if score is None else "",
            seen.shown,
            [
                Change(words, each, self.answer(each))
                for (words, _), each in zip(changes, others, strict=True)
            ],
            _png(seen.pixels),
            found,
            note,
        )

    async def _network(self, images: Tensor) -> np.ndarray:
        return await asyncio.wrap_future(self._batcher.submit(images))

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    def _fitted(self, data: bytes) -> Tensor:
        pixels = self._decoders.decode(data).pixels
        preprocessing = self.detector.preprocessing
        return network_input(framed(pixels, preprocessing, self._framing), preprocessing)

    def _found(self, decoded: Decoded) -> list[Face]:
        return self._finder.find([decoded.pixels])[0]

    def _map(self, image: Tensor) -> tuple[bytes | None, str]:
        """The map over a face, and what it shows."""
        try:
            found = explain(self.detector, image, self._method, self.threshold)
        except (ForeignDetectorError, NoScoreError) as error:
            return None, f"No map: {error}."
        if found.is_flat:
            return None, found.legend
        return encode_png((found.map * 255).round().to(torch.uint8).numpy()), found.legend

    def _row(self, upload: Upload, found: object, score: float | None) -> Scored:
        if score is not None:
            if _number(score) is None:
                return Scored(upload.name, None, NO_SCORE, no_number(score), None)
            return Scored(upload.name, score, OK, "", self.answer(score))
        reason = found.reason if isinstance(found, PhotoError) else getattr(found, "kind", "failed")
        return Scored(upload.name, None, reason, str(found), None)


def _number(score: float) -> float | None:
    return score if math.isfinite(score) else None


def _png(pixels: np.ndarray) -> bytes:
    image = Image.fromarray(pixels)
    image.thumbnail((FACE_PX, FACE_PX))
    return encode_png(np.asarray(image))


def _jpeg(decoded: Decoded) -> bytes:
    """The photo, reduced, without anything its file carried beside the pixels."""
    image = Image.fromarray(decoded.pixels)
    image.thumbnail((SHOWN_PX, SHOWN_PX))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()
