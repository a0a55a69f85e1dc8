"""Makes one shard: some hundred photos in, a folder of matched pairs out, all of it or nothing.

A `Job` on disk and a shard's number enter; the shard's folder leaves: `real/`, `fake/`,
`latents.safetensors` and `rows.parquet`, made under a temporary name, synced and renamed.

Why a shard is the unit: its batches depend on nothing outside it, so it gives the same bytes
whichever worker makes it, in whatever order, however often the run is killed.
"""

import os
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

from pipelines.dataset.face_crops import Attempt
from pipelines.dataset.job import Job
from pipelines.dataset.manifest import table_of, write_table
from pipelines.dataset.pair_sources import Given, Halves, Networked
from pipelines.dataset.quality import mean_absolute_difference, ms_ssim
from pipelines.faces.align import FaceFinder
from pipelines.generators import latents
from pipelines.sources.photos import encode_png
from pipelines.storage import remove_tree, storing, sync_files, sync_folder

ROWS: Final = "rows.parquet"
LATENTS: Final = "latents.safetensors"
_HALVES: Final = ("real", "fake")
_THREADS: Final = 3

Listener = Callable[[int, int, int], None]
"""Told (shard, photos done so far, of these rejected)."""


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
        self.halves: Halves = (
            Given(job, self.finder) if job.kind == "given" else Networked(job, self.finder, self.device)
        )

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
        try:
            with storing(self.job.out_dir):
                temporary.mkdir()  # not its parents: a folder that went away is not made anew
                for half in _HALVES:
                    (temporary / half).mkdir()
            with ThreadPoolExecutor(_THREADS) as pool:
                self._fill(number, temporary, pool, _Counter(number, listen))
            with storing(self.job.out_dir):
                _publish(temporary, final)
        finally:
            remove_tree(temporary)

    def _fill(self, number: int, folder: Path, pool: ThreadPoolExecutor, counted: "_Counter") -> None:
        """Make the pairs of a shard in a folder of their own."""
        attempts = self.halves.reals(number, pool, counted.add_rejects)
        good = [a for a in attempts if a.crop is not None]
        writing: list[Future[None]] = []
        for part, fakes in self.halves.fakes(number, good):
            writing += [pool.submit(self._write, folder, a, f) for a, f in zip(part, fakes, strict=True)]
            self._judge(part, fakes)
            counted.add(len(part))
        for task in writing:
            task.result()
        coded = [(a.row["pair_id"], a.latent) for a in good if a.latent is not None]
        with storing(self.job.out_dir):
            if coded:
                packed = latents.pack(np.stack([code for _, code in coded]), [pair for pair, _ in coded])
                (folder / LATENTS).write_bytes(packed)
            write_table(folder / ROWS, table_of(a.row for a in attempts))

    def _judge(self, part: list[Attempt], fakes: np.ndarray) -> None:
        """Measure a batch of pairs."""
        reals = np.stack([a.crop for a in part if a.crop is not None])
        gaps, likeness = mean_absolute_difference(reals, fakes), ms_ssim(reals, fakes, self.device)
        found = self.finder.find([*reals, *fakes])
        seen = [max((f.confidence for f in faces), default=float("nan")) for faces in found]
        for i, attempt in enumerate(part):
            attempt.row |= {
                "reconstruction_l1": float(gaps[i]),
                "reconstruction_ms_ssim": float(likeness[i]),
                "real_confidence": seen[i],
                "fake_confidence": seen[len(part) + i],
            }

    def _write(self, folder: Path, attempt: Attempt, fake: np.ndarray) -> None:
        """Both halves of a pair, by the one writer."""
        assert attempt.crop is not None
        with storing(self.job.out_dir):
            for half, pixels in zip(_HALVES, (attempt.crop, fake), strict=True):
                name = f"{half}/{attempt.row['pair_id']}.png"
                (folder / name).write_bytes(encode_png(pixels))
                attempt.row[half] = name


class _Counter:
    """Adds up a shard's progress for the listener."""

    def __init__(self, number: int, listen: Listener) -> None:
        self._number, self._listen, self._done, self._rejected = number, listen, 0, 0

    def add(self, n: int) -> None:
        """Count photos that are done."""
        self._done += n
        self._listen(self._number, self._done, self._rejected)

    def add_rejects(self, n: int) -> None:
        """Count photos that are done with because they were rejected."""
        self._rejected += n
        self.add(n)


def _publish(temporary: Path, final: Path) -> None:
    """Sync every file of a shard, then give the folder its final name."""
    sync_files([p for p in temporary.rglob("*") if p.is_file()])
    for folder in (temporary / "real", temporary / "fake", temporary):
        sync_folder(folder)
    try:
        os.rename(temporary, final)
    except OSError:
        if not final.is_dir():  # else another worker finished this shard first, with the same bytes
            raise
    sync_folder(final.parent)
