"""Where the two halves of a pair come from: a generator, or two folders of images.

A `Job` and a shard's number enter; first the real halves leave, then, batch by batch, the fakes.

Why two steps: style mixing needs all latents of a shard before the first fake is decoded, and
writing overlaps with decoding.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
import torch
from PIL import Image

from pipelines.dataset.face_crops import Attempt, at_size, check_source, prepare, read_or_reason
from pipelines.dataset.job import Job
from pipelines.dataset.manifest import OK, SCHEMA
from pipelines.errors import (
    CheckpointFormatError,
    HalvesDiffer,
    NoFaceFound,
    PhotoError,
    PhotoMissing,
    PhotoTooSmall,
)
from pipelines.faces.align import FaceFinder, nearest_centre
from pipelines.generators import latents
from pipelines.generators.compute import Fitting
from pipelines.generators.mean_latent import centre_of, digest_of
from pipelines.generators.precision import PRECISIONS
from pipelines.generators.psp import PSP, load_psp
from pipelines.generators.psp.model import area_resized
from pipelines.generators.training_photos import training_list
from pipelines.labels import ATTRIBUTES
from pipelines.sources.photos import Photo

_SMALLEST_PX: Final = 16

Advance = Callable[[int], None]
"""Told how many more photos were rejected."""


class Halves(Protocol):
    """A source of real and fake halves."""

    def reals(self, number: int, pool: Executor, advance: Advance) -> list[Attempt]:
        """One attempt an item of the shard; a reject has no crop."""

    def fakes(self, number: int, good: list[Attempt]) -> Iterator[tuple[list[Attempt], np.ndarray]]:
        """Batches of attempts with their fakes, uint8 [B,H,W,3]."""


class Networked:
    """Halves made by a generator, from photos or from saved latents.

    Raises:
        CheckpointFormatError: the weights, or their average latent, are not those the run was planned with.
    """

    def __init__(self, job: Job, finder: FaceFinder, device: str) -> None:
        self.job, self.finder = job, finder
        settings = job.settings
        self.generator: PSP = load_psp(
            job.generator["path"], device, PRECISIONS[settings.precision], compiled=settings.compiled
        )
        if self.generator.sha256 != job.generator["sha256"]:
            raise CheckpointFormatError(
                f"{job.generator['path']} is not the file that this run was planned with; bring that one back"
            )
        self.fitting = Fitting(settings.batch_size)
        self.crop = at_size(self.generator.crop, job.settings.size_px)
        self.trained = training_list(job.generator["path"], self.generator.provenance)
        self.centre = centre_of(job.generator["path"], self.generator)
        if settings.truncation != 1.0 and digest_of(self.centre) != job.generator["centre_sha256"]:
            raise CheckpointFormatError(
                f"the average latent of {job.generator['path']} is not the one that this run was planned "
                "with; bring that one back"
            )

    def reals(self, number: int, pool: Executor, advance: Advance) -> list[Attempt]:
        """Cut from photos, or taken from the dataset that holds the latents.

        Raises:
            SourceLost: the photos' folder went away.
        """
        items = self.job.items(number)
        rows = [_known(row) for row in items.to_dict("records")]
        if self.job.kind == "latents":
            attempts = self._saved(rows, items, pool)
            advance(sum(a.crop is None for a in attempts))
        else:
            probes = [Path(p) for p in self.job.source["probes"]]
            photos = [Path(p) for p in items["path"]]
            size = self.job.settings.batch_size
            attempts = prepare(rows, photos, probes, self.finder, self.crop, size, pool, advance)
        for attempt in attempts:
            held = self.trained.holds(attempt.row.get("source_sha256"))
            attempt.row["in_generator_training"] = held
        return attempts

    def fakes(self, number: int, good: list[Attempt]) -> Iterator[tuple[list[Attempt], np.ndarray]]:
        """Encode, change the latents where asked for, decode."""
        if not good:
            return
        settings = self.job.settings
        self._encode([a for a in good if a.latent is None])
        codes = torch.from_numpy(np.stack([a.latent for a in good if a.latent is not None]))
        codes = latents.truncate(codes, self.centre, settings.truncation)
        if settings.style_mix:
            codes = self._mixed(codes, good, np.random.default_rng([settings.seed, number]))
        for start in range(0, len(good), settings.batch_size):
            stop = start + settings.batch_size
            yield good[start:stop], self._decode(codes[start:stop])

    def _saved(self, rows: list[dict[str, Any]], items: pd.DataFrame, pool: Executor) -> list[Attempt]:
        """Real halves and latents of the dataset that holds them; its rejects stay rejects."""
        coded = items["latent_file"].notna()
        at = items.loc[coded, ["latent_file", "latent_row"]].itertuples(index=False)
        places = [(str(file), int(row)) for file, row in at]
        codes = iter(latents.fetch(places) if places else ())
        read = list(pool.map(read_or_reason, [Path(p) for p in items.loc[coded, "path"]]))
        check_source(read, [Path(p) for p in self.job.source["probes"]])
        photos = iter(read)
        side, attempts = self.job.settings.size_px, []
        for row, path, has_latent in zip(rows, items["path"], coded, strict=True):
            attempts.append(Attempt(row))
            if has_latent:
                attempts[-1].latent = next(codes)
                _take_over(attempts[-1], next(photos), Path(path).name, side)
        return attempts

    def _mixed(self, codes: torch.Tensor, good: list[Attempt], rng: np.random.Generator) -> torch.Tensor:
        """Fine styles on their way to those of another person of the same age, gender and race.

        Of the same, because a fake keeps its photo's labels.
        """
        other = latents.partners([tuple(str(a.row[k]) for k in ATTRIBUTES) for a in good], rng)
        for place, (attempt, partner) in enumerate(zip(good, other.tolist(), strict=True)):
            name = None if partner == place else good[partner].row["pair_id"]
            attempt.row["detail"] = latents.with_mixing(attempt.row["detail"], name)
        return latents.mix(codes, other, self.job.settings.style_mix)

    def _encode(self, uncoded: list[Attempt]) -> None:
        """Latents float32 [n_styles,style_dim] of real halves."""
        size, side = self.job.settings.batch_size, self.generator.input_size_px
        for start in range(0, len(uncoded), size):
            part = uncoded[start : start + size]
            crops = np.stack([a.crop for a in part if a.crop is not None])
            images = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1
            codes = self.fitting.run(lambda x: self.generator.encode(area_resized(x, side)), images)
            for attempt, code in zip(part, codes.numpy(), strict=True):
                attempt.latent = code

    def _decode(self, codes: torch.Tensor) -> np.ndarray:
        """Fakes uint8 [B,S,S,3]; rounded, for truncation would darken every fake by half a level."""
        side = self.job.settings.size_px
        return self.fitting.run(lambda w: self.generator.fakes_from(w, side), codes).numpy()


class Given:
    """Halves that were made elsewhere and lie in two folders."""

    def __init__(self, job: Job, finder: FaceFinder) -> None:
        self.job, self.finder = job, finder

    def reals(self, number: int, pool: Executor, advance: Advance) -> list[Attempt]:
        """Read both halves of each pair.

        Raises:
            SourceLost: one of the folders went away.
        """
        items = self.job.items(number)
        probes = [Path(p) for p in self.job.source["probes"]]
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

    def fakes(self, number: int, good: list[Attempt]) -> Iterator[tuple[list[Attempt], np.ndarray]]:
        """Runs of neighbours of one size, at most a batch long."""
        size = self.job.settings.batch_size
        for _, run in groupby(good, key=_shape_of):
            same = list(run)
            for start in range(0, len(same), size):
                part = same[start : start + size]
                yield part, np.stack([a.fake for a in part if a.fake is not None])

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
        attempt.crop, attempt.fake = crop, twin

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


def _known(record: dict[Any, Any]) -> dict[str, Any]:
    """The manifest's columns of a plan's row, missing values as None."""
    return {k: None if pd.isna(v) else v for k, v in record.items() if k in SCHEMA.names}


def _take_over(attempt: Attempt, half: Photo | PhotoError, name: str, side_px: int) -> None:
    """Put the real half of a finished dataset in place, or say why not."""
    if isinstance(half, PhotoMissing):
        attempt.reject(PhotoMissing(f"the real half {name} is gone from the dataset with the latents"))
    elif isinstance(half, PhotoError):
        attempt.reject(type(half)(f"the real half in the dataset with the latents: {half}"))
    elif half.pixels.shape[:2] != (side_px, side_px):
        attempt.reject(
            HalvesDiffer(f"the real half {name} is {_size(half.pixels)} px, its dataset says {side_px} px")
        )
    else:
        attempt.crop = half.pixels


def _shape_of(attempt: Attempt) -> tuple[int, ...]:
    """Shape of an attempt's real half."""
    return () if attempt.crop is None else attempt.crop.shape


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
