"""Makes one shard: some hundred photos in, a folder of matched pairs out, all of it or nothing.

A `Job` on disk and a shard's number enter; the shard's folder leaves: `real/`, `fake/KIND/`, `mask/KIND/`,
`latents.safetensors` and `rows.parquet`, made under a temporary name, synced and renamed.

Why a shard is the unit: its batches depend on nothing outside it but the plan, so it gives the same bytes
whichever worker makes it, in whatever order, however often the run is killed. It holds every kind of fake of
its photos, for they share one real half.
"""

import os
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipelines.dataset.face_crops import Attempt
from pipelines.dataset.fakes import load_kind
from pipelines.dataset.job import Job
from pipelines.dataset.manifest import OK, table_of, write_table
from pipelines.dataset.pair_sources import real_halves
from pipelines.dataset.quality import mean_absolute_difference, ms_ssim, psnr_db
from pipelines.dataset.spectra import spectrum_distance_db
from pipelines.faces.align import FaceFinder
from pipelines.generators import latents
from pipelines.generators.protocol import Fake, Generator
from pipelines.places import is_copy, push_as
from pipelines.sources.finish import parse_finish
from pipelines.sources.photos import encode_png
from pipelines.storage import remove_tree, storing, sync_files, sync_folder

ROWS: Final = "rows.parquet"
LATENTS: Final = "latents.safetensors"
IMAGES: Final = ("real", "fake", "mask")
"""Folders of images, in a shard as in a dataset."""
_THREADS: Final = 3

Listener = Callable[[int, int, int], None]
"""Told (shard, fakes done so far, of these rejected)."""
Row = dict[str, Any]


class ShardMaker:
    """Makes shards of one job on one device, with the networks loaded once.

    Args:
        job: what to make.
        device: torch device name; None for the job's own kind of device.
    """

    def __init__(self, job: Job, device: str | None = None) -> None:
        self.job = job
        self.device = device or job.settings.device
        self.finder = FaceFinder(self.device)
        self.finish = parse_finish(job.settings.finish)
        self.source = real_halves(job, self.finder)
        self.kinds: list[tuple[Row, Generator]] = [
            (about, load_kind(job, about, self.finder, self.device)) for about in job.generators
        ]

    def make(self, number: int, listen: Listener) -> None:
        """Make one shard; a shard that another worker finished first is left as it is.

        Args:
            number: which shard.
            listen: told of progress.

        Raises:
            StorageError: the output cannot be written.
            SourceLost: the photos' folder went away.
        """
        final = self.job.shard_dir(number)
        temporary = final.with_name(f"{final.name}.{uuid.uuid4().hex}.tmp")
        folders = ["real", *(f"{half}/{kind}" for half in ("fake", "mask") for kind in self.job.kinds)]
        try:
            with storing(self.job.out_dir):
                temporary.mkdir()  # not its parents: a folder that went away is not made anew
                for folder in folders:
                    (temporary / folder).mkdir(parents=True)
            with ThreadPoolExecutor(_THREADS) as pool:
                self._fill(number, temporary, pool, _Counter(number, listen))
            with storing(self.job.out_dir):
                if is_copy(final):
                    _take_to_store(temporary, final, self.job.out_dir)
                _publish(temporary, final)
        finally:
            remove_tree(temporary)

    def _fill(self, number: int, folder: Path, pool: ThreadPoolExecutor, counted: "_Counter") -> None:
        """Make every kind of fake of a shard's photos, in a folder of their own."""
        n_kinds = len(self.kinds)
        attempts = self.source.reals(number, pool, lambda n: counted.add(n * n_kinds, n * n_kinds))
        good = [_Real(a) for a in attempts if a.crop is not None]
        self._look_at(good)
        writing: list[Future[None]] = []
        rows: list[Row] = []
        for about, generator in self.kinds:
            made = self._rows_of(number, about, generator, good, (folder, pool, writing))
            for row in made:
                counted.add(1, int(row["status"] != OK))
            rows += made
            bad = [{**a.row, "kind": about["kind"]} for a in attempts if a.crop is None]
            rows += bad
        writing += [pool.submit(self._write_real, folder, real) for real in good if real.paired]
        for task in writing:
            task.result()
        coded = [(real.attempt.row["pair_id"], real.latent) for real in good if real.latent is not None]
        with storing(self.job.out_dir):
            if coded:
                n_styles = next((about["n_styles"] for about, _ in self.kinds if "n_styles" in about), None)
                codes = np.stack([code for _, code in coded])
                packed = latents.pack(codes, [pair for pair, _ in coded], n_styles)
                (folder / LATENTS).write_bytes(packed)
            write_table(folder / ROWS, table_of(rows))

    def _look_at(self, good: Sequence["_Real"]) -> None:
        """The real halves as they will be read, and how sure the face detector is of each."""
        size = self.job.settings.batch_size
        for start in range(0, len(good), size):
            part = good[start : start + size]
            for attempt, real in ((real.attempt, real) for real in part):
                assert attempt.crop is not None
                kept = attempt.written is not None
                real.written = attempt.crop if kept else self.finish.as_written(attempt.crop, attempt.tables)
            for real, confidence in zip(part, self._confidence([r.written for r in part]), strict=True):
                real.confidence = confidence

    def _rows_of(
        self,
        number: int,
        about: Row,
        generator: Generator,
        good: Sequence["_Real"],
        out: tuple[Path, ThreadPoolExecutor, list[Future[None]]],
    ) -> list[Row]:
        """The rows of one kind, its images on their way to the disk."""
        rows: list[Row] = []
        folder, pool, writing = out
        for answers in generator.fakes(number, [real.attempt.face() for real in good]):
            part = good[len(rows) : len(rows) + len(answers)]
            made = []
            for real, answer in zip(part, answers, strict=True):
                rows.append({**real.attempt.row, "kind": about["kind"], "real_confidence": real.confidence})
                if isinstance(answer, Fake):
                    made.append((real, answer, rows[-1]))
                else:
                    rows[-1] |= {"status": answer.reason, "detail": str(answer)}
            self._judge(made)
            for real, fake, row in made:
                real.paired, real.latent = True, real.latent if fake.latent is None else fake.latent
                self._name(real.attempt, fake, row)
                writing.append(pool.submit(self._write_fake, folder, real.attempt, fake, dict(row)))
        return rows

    def _judge(self, made: Sequence[tuple["_Real", Fake, Row]]) -> None:
        """Measure a batch of pairs, as they will be read."""
        if not made:
            return
        reals = np.stack([real.written for real, _, _ in made])
        fakes = np.stack([self.finish.as_written(f.pixels, real.attempt.tables) for real, f, _ in made])
        gaps, likeness = mean_absolute_difference(reals, fakes), ms_ssim(reals, fakes, self.device)
        ratio, spectra = psnr_db(reals, fakes), spectrum_distance_db(reals, fakes)
        seen = self._confidence(list(fakes))
        for i, (_, _, row) in enumerate(made):
            row |= {
                "reconstruction_l1": float(gaps[i]),
                "reconstruction_ms_ssim": float(likeness[i]),
                "psnr_db": float(ratio[i]),
                "spectrum_db": float(spectra[i]),
                "fake_confidence": seen[i],
            }

    def _confidence(self, images: list[np.ndarray]) -> list[float]:
        """How sure the face detector is of its surest face in each image; NaN where it finds none."""
        found = self.finder.find(images)
        return [max((f.confidence for f in faces), default=float("nan")) for faces in found]

    def _name(self, attempt: Attempt, fake: Fake, row: Row) -> None:
        """A pair's row: where its images lie, and what its fake says of itself."""
        pair, kind, suffix = row["pair_id"], row["kind"], self.finish.suffix(attempt.tables)
        notes = (row["detail"], fake.note, self.finish.note(attempt.tables))
        row |= {
            "real": f"real/{pair}{suffix}",
            "fake": f"fake/{kind}/{pair}{suffix}",
            "mask": None if fake.mask is None else f"mask/{kind}/{pair}.png",
            "changed_share": 1.0 if fake.mask is None else float(fake.mask.mean(dtype=np.float64) / 255),
            "donor": fake.donor,
            "in_generator_training": fake.in_training,
            "detail": "; ".join(note for note in notes if note),
        }

    def _write_fake(self, folder: Path, attempt: Attempt, fake: Fake, row: Row) -> None:
        """A fake and its mask."""
        with storing(self.job.out_dir):
            (folder / row["fake"]).write_bytes(self.finish.encode(fake.pixels, attempt.tables))
            if fake.mask is not None:
                (folder / row["mask"]).write_bytes(encode_png(fake.mask))

    def _write_real(self, folder: Path, real: "_Real") -> None:
        """A real half, by the writer of its fakes."""
        attempt = real.attempt
        assert attempt.crop is not None
        name = f"real/{attempt.row['pair_id']}{self.finish.suffix(attempt.tables)}"
        data = attempt.written.read_bytes() if attempt.written is not None else None
        with storing(self.job.out_dir):
            (folder / name).write_bytes(data or self.finish.encode(attempt.crop, attempt.tables))


class _Real:
    """A real half on its way through every kind."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.written = np.zeros((0, 0, 3), np.uint8)
        self.confidence = float("nan")
        self.paired = False
        self.latent = attempt.latent


class _Counter:
    """Adds up a shard's progress for the listener."""

    def __init__(self, number: int, listen: Listener) -> None:
        self._number, self._listen, self._done, self._rejected = number, listen, 0, 0

    def add(self, n: int, n_rejected: int) -> None:
        """Count fakes that are done, and those of them that were rejected."""
        self._done, self._rejected = self._done + n, self._rejected + n_rejected
        self._listen(self._number, self._done, self._rejected)


def _take_to_store(temporary: Path, final: Path, out_dir: Path) -> None:
    """Put a shard's images and latents where they will stay in an object store, then its rows.

    Why the rows come last: no folder can be renamed there, so it is they that say that a shard is whole. Why
    only they are kept here: images can be fetched again, and no machine need hold the whole dataset.
    """
    images = [path for name in IMAGES for path in sorted((temporary / name).rglob("*")) if path.is_file()]
    pairs = [(path, out_dir / path.relative_to(temporary)) for path in images]
    coded = temporary / LATENTS
    if coded.exists():
        pairs.append((coded, out_dir / latents.FOLDER / f"{final.name}.safetensors"))
    push_as(pairs)
    push_as([(temporary / ROWS, final / ROWS)])
    for path, _ in pairs:
        path.unlink()


def _publish(temporary: Path, final: Path) -> None:
    """Sync every file of a shard, then give the folder its final name."""
    sync_files([p for p in temporary.rglob("*") if p.is_file()])
    for folder in (*(p for p in sorted(temporary.rglob("*")) if p.is_dir()), temporary):
        sync_folder(folder)
    try:
        os.rename(temporary, final)
    except OSError:
        if not final.is_dir():  # else another worker finished this shard first, with the same bytes
            raise
    sync_folder(final.parent)
