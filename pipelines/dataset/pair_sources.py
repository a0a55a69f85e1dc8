"""Where the real halves of a shard come from: photos, a finished dataset, or a folder of given pairs.

A `Job` and a shard's number enter; one `Attempt` an item leaves, a reject without a crop.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
from PIL import Image

from pipelines.dataset.face_crops import Attempt, at_size, check_source, prepare, read_or_reason
from pipelines.dataset.job import Job
from pipelines.dataset.manifest import OK, SCHEMA
from pipelines.errors import HalvesDiffer, NoFaceFound, PhotoError, PhotoMissing, PhotoTooSmall
from pipelines.faces.align import CROPS, FaceFinder, nearest_centre
from pipelines.generators import latents
from pipelines.generators.protocol import FaceCrop, Fake
from pipelines.sources.photos import Photo

_SMALLEST_PX: Final = 16

Advance = Callable[[int], None]
"""Told how many more photos were rejected."""


class RealHalves(Protocol):
    """A source of real halves."""

    def reals(self, number: int, pool: Executor, advance: Advance) -> list[Attempt]:
        """One attempt an item of the shard; a reject has no crop.

        Raises:
            SourceLost: the folder went away.
        """


def real_halves(job: Job, finder: FaceFinder) -> RealHalves:
    """The source that a job takes its real halves from."""
    if job.kind == "given":
        return Given(job, finder)
    return Saved(job) if job.kind == "latents" else Photographed(job, finder)


class Photographed:
    """Real halves cut from photos."""

    def __init__(self, job: Job, finder: FaceFinder) -> None:
        self.job, self.finder = job, finder
        self.crop = at_size(CROPS[job.generator["crop"]], job.settings.size_px)

    def reals(self, number: int, pool: Executor, advance: Advance) -> list[Attempt]:
        """See `RealHalves`."""
        items = self.job.items(number)
        rows = [_known(row) for row in items.to_dict("records")]
        photos, probes = [Path(p) for p in items["path"]], _probes(self.job)
        size = self.job.settings.batch_size
        return prepare(rows, photos, probes, self.finder, self.crop, size, pool, advance)


class Saved:
    """Real halves and latents of a finished dataset; its rejects stay rejects."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def reals(self, number: int, pool: Executor, advance: Advance) -> list[Attempt]:
        """See `RealHalves`."""
        items = self.job.items(number)
        coded = items["latent_file"].notna()
        at = items.loc[coded, ["latent_file", "latent_row"]].itertuples(index=False)
        places = [(str(file), int(row)) for file, row in at]
        codes = iter(latents.fetch(places) if places else ())
        read = list(pool.map(read_or_reason, [Path(p) for p in items.loc[coded, "path"]]))
        check_source(read, _probes(self.job))
        photos = iter(read)
        side, attempts = self.job.settings.size_px, []
        rows = [_known(row) for row in items.to_dict("records")]
        for row, path, has_latent in zip(rows, items["path"], coded, strict=True):
            attempts.append(Attempt(row))
            if has_latent:
                attempts[-1].latent = next(codes)
                _take_over(attempts[-1], next(photos), Path(path), side)
        advance(sum(a.crop is None for a in attempts))
        return attempts


class Given:
    """Both halves, made elsewhere, in two folders."""

    def __init__(self, job: Job, finder: FaceFinder) -> None:
        self.job, self.finder = job, finder

    def reals(self, number: int, pool: Executor, advance: Advance) -> list[Attempt]:
        """See `RealHalves`; the fake of each pair is read too."""
        items, probes = self.job.items(number), _probes(self.job)
        attempts = [Attempt(_known(row)) for row in items.to_dict("records")]
        size = self.job.settings.batch_size
        for start in range(0, len(attempts), size):
            part, rows = attempts[start : start + size], items.iloc[start : start + size]
            reals = list(pool.map(read_or_reason, [Path(p) for p in rows["path"]]))
            fakes = list(pool.map(read_or_reason, [Path(p) for p in rows["fake_path"]]))
            check_source([*reals, *fakes], probes)
            for attempt, real, fake in zip(part, reals, fakes, strict=True):
                self._pair(attempt, real, fake)
            self._find(part)
            advance(sum(a.crop is None for a in part))
        return attempts

    def _pair(self, attempt: Attempt, real: Photo | PhotoError, fake: Photo | PhotoError) -> None:
        """Put two images together as a pair, or say why not."""
        try:
            for half in (real, fake):
                if isinstance(half, PhotoError):
                    raise half
            assert isinstance(real, Photo)
            assert isinstance(fake, Photo)
            attempt.row["source_sha256"] = real.sha256
            crop, twin = (_squared(p.pixels, self.job.settings.size_px) for p in (real, fake))
            if crop.shape != twin.shape:
                raise HalvesDiffer(
                    f"the real half is {_size(crop)} px, the fake {_size(twin)}; "
                    "give --size-px to bring both to one"
                )
            if min(crop.shape[:2]) < _SMALLEST_PX:
                raise PhotoTooSmall(f"{_size(crop)} px; the smallest side must be {_SMALLEST_PX}")
        except PhotoError as fault:
            attempt.reject(fault)
            return
        note = "; ".join(n for n in (real.note, fake.note) if n)
        attempt.row |= {"status": OK, "detail": note}
        attempt.crop, attempt.fake, attempt.tables = crop, twin, real.tables

    def _find(self, part: list[Attempt]) -> None:
        """The face in each real half, recorded as for pairs made here."""
        there = [(a, a.crop) for a in part if a.crop is not None]
        for (attempt, crop), faces in zip(there, self.finder.find([c for _, c in there]), strict=True):
            attempt.row |= {"n_faces": len(faces), "border_share": 0.0}
            if faces:
                attempt.row["confidence"] = nearest_centre(faces, *crop.shape[:2]).confidence
            else:
                attempt.reject(
                    NoFaceFound(f"the face detector finds no face in the real half, {_size(crop)} px")
                )


class GivenFakes:
    """A `Generator` of fakes that lie beside their real halves: hands out what was read.

    Args:
        batch_size: the most at once; neighbours of one size go together.
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size

    def fakes(self, shard: int, faces: Sequence[FaceCrop]) -> Iterator[list[Fake | PhotoError]]:
        """See `protocol.Generator`."""
        for _, run in groupby(faces, key=lambda face: face.pixels.shape):
            same = [Fake(face.given) for face in run if face.given is not None]
            for start in range(0, len(same), self.batch_size):
                yield list(same[start : start + self.batch_size])


def _probes(job: Job) -> list[Path]:
    """Files and folders that must be there while a job's sources are."""
    return [Path(p) for p in job.source["probes"]]


def _known(record: dict[Any, Any]) -> dict[str, Any]:
    """The manifest's columns of a plan's row, missing values as None."""
    return {k: None if pd.isna(v) else v for k, v in record.items() if k in SCHEMA.names}


def _take_over(attempt: Attempt, half: Photo | PhotoError, path: Path, side_px: int) -> None:
    """Put the real half of a finished dataset in place, or say why not."""
    name = path.name
    if isinstance(half, PhotoMissing):
        attempt.reject(PhotoMissing(f"the real half {name} is gone from the dataset with the latents"))
    elif isinstance(half, PhotoError):
        attempt.reject(type(half)(f"the real half in the dataset with the latents: {half}"))
    elif half.pixels.shape[:2] != (side_px, side_px):
        attempt.reject(
            HalvesDiffer(f"the real half {name} is {_size(half.pixels)} px, its dataset says {side_px} px")
        )
    else:
        attempt.crop, attempt.tables, attempt.written = half.pixels, half.tables, path


def _size(pixels: np.ndarray) -> str:
    """Width x height."""
    return f"{pixels.shape[1]} x {pixels.shape[0]}"


def _squared(pixels: np.ndarray, size_px: int) -> np.ndarray:
    """The middle square at a size; 0 leaves the image as it is."""
    height, width = pixels.shape[:2]
    if size_px == 0 or (height, width) == (size_px, size_px):
        return pixels
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = Image.fromarray(pixels).crop((left, top, left + side, top + side))
    return np.asarray(square.resize((size_px, size_px), Image.Resampling.LANCZOS, reducing_gap=3.0))
