"""Makes one shard: some hundred photos in, a folder of matched pairs out, all of it or nothing.

A `Job` on disk and a shard's number enter; the shard's folder leaves: `real/`, `fake/`,
`latents.safetensors` and `rows.parquet`, made under a temporary name, synced and renamed.

Why a shard is the unit: its batches depend on nothing outside it, so it gives the same bytes
whichever worker makes it, in whatever order, however often the run is killed.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from pipelines import latents
from pipelines.align import FaceFinder
from pipelines.images import encode_png, read_photo
from pipelines.job import Job
from pipelines.manifest import SCHEMA, table_of, write_table
from pipelines.prepare import Attempt, at_size, prepare
from pipelines.psp import PSP, load_psp
from pipelines.quality import mean_absolute_difference, ms_ssim
from pipelines.settings import PRECISIONS
from pipelines.storage import remove_tree, storing, sync_files, sync_folder
from pipelines.training_list import training_list

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
        where = device or job.settings.device
        precision = PRECISIONS[job.settings.precision]
        self.generator: PSP = load_psp(job.generator["path"], device=where, dtype=precision)
        self.finder = FaceFinder(where)
        self.crop = at_size(self.generator.crop, job.settings.size_px)
        self.trained = training_list(job.generator["path"], self.generator.provenance)

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
                for half in _HALVES:
                    (temporary / half).mkdir(parents=True)
            with ThreadPoolExecutor(_THREADS) as pool:
                self._fill(number, temporary, pool, listen)
            with storing(self.job.out_dir):
                _publish(temporary, final)
        finally:
            remove_tree(temporary)

    def _fill(self, number: int, folder: Path, pool: Executor, listen: Listener) -> None:
        """Make the pairs of a shard in a folder of their own."""
        counted = _Counter(number, listen)
        attempts = self._attempts(number, pool, counted)
        good = [a for a in attempts if a.crop is not None]
        codes = self._encode(good)
        other = latents.partners(len(good), np.random.default_rng([self.job.settings.seed, number]))
        changed = self._change(codes, other)
        if self.job.settings.style_mix:
            for attempt, partner in zip(good, other.tolist(), strict=True):
                attempt.row["detail"] = f"mixed with {good[partner].row['pair_id']}"
        writing: list[Future[None]] = []
        for start, fakes in self._decode(changed):
            part = good[start : start + len(fakes)]
            writing += [pool.submit(self._write, folder, a, f) for a, f in zip(part, fakes, strict=True)]
            self._judge(part, fakes)
            counted.add(done=len(part))
        for task in writing:
            task.result()
        with storing(self.job.out_dir):
            if good:
                ids = [a.row["pair_id"] for a in good]
                (folder / LATENTS).write_bytes(latents.pack(codes.numpy(), ids))
            write_table(folder / ROWS, table_of(self._row(a) for a in attempts))

    def _row(self, attempt: Attempt) -> dict[str, Any]:
        """The finished manifest row."""
        return attempt.row | {"in_generator_training": self.trained.holds(attempt.row.get("source_sha256"))}

    def _attempts(self, number: int, pool: Executor, counted: "_Counter") -> list[Attempt]:
        """The real halves of a shard: cut from photos, or taken from the pairs that hold the latents."""
        items = self.job.items(number)
        rows = [_known(row) for row in items.to_dict("records")]
        if self.job.kind == "latents":
            attempts = [_with_latent(row, item) for row, item in zip(rows, items.itertuples(), strict=True)]
            n_rejected = sum(a.crop is None for a in attempts)
            counted.add(done=n_rejected, rejected=n_rejected)
            return attempts
        probes = [Path(p) for p in self.job.source["probes"]]
        return prepare(
            rows,
            [Path(p) for p in items["path"]],
            probes,
            self.finder,
            self.crop,
            self.job.settings.batch_size,
            pool,
            lambda n: counted.add(done=n, rejected=n),
        )

    def _encode(self, good: list[Attempt]) -> torch.Tensor:
        """Latents float32 [N,n_styles,style_dim] of the real halves."""
        config = self.generator.config
        parts = [torch.zeros(0, config.n_styles, config.style_dim)]
        if good and good[0].latent is not None:
            return torch.from_numpy(np.stack([a.latent for a in good if a.latent is not None]))
        side = self.generator.input_size_px
        for start in range(0, len(good), self.job.settings.batch_size):
            crops = _stack(good[start : start + self.job.settings.batch_size])
            images = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1
            parts += _in_parts(lambda x: self.generator.encode(_resized(x, side)), images)
        return torch.cat(parts)

    def _change(self, codes: torch.Tensor, other: np.ndarray) -> torch.Tensor:
        """Truncation and style mixing, where asked for."""
        settings = self.job.settings
        drawn = latents.truncate(codes, self.generator.latent_avg, settings.truncation)
        return latents.mix(drawn, other, settings.style_mix)

    def _decode(self, codes: torch.Tensor) -> Iterator[tuple[int, np.ndarray]]:
        """Fakes uint8 [B,S,S,3] batch by batch, with the place of the first."""
        side = self.job.settings.size_px
        for start in range(0, len(codes), self.job.settings.batch_size):
            batch = codes[start : start + self.job.settings.batch_size]
            images = torch.cat(_in_parts(lambda w: _resized(self.generator.decode(w), side), batch))
            levels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
            yield start, levels.permute(0, 2, 3, 1).contiguous().numpy()

    def _judge(self, part: list[Attempt], fakes: np.ndarray) -> None:
        """Measure a batch of pairs."""
        reals = _stack(part)
        gaps, likeness = mean_absolute_difference(reals, fakes), ms_ssim(reals, fakes)
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

    def add(self, done: int, rejected: int = 0) -> None:
        """Count photos that are done, and how many of these were rejected."""
        self._done, self._rejected = self._done + done, self._rejected + rejected
        self._listen(self._number, self._done, self._rejected)


def _known(record: dict[Any, Any]) -> dict[str, Any]:
    """The manifest's columns of a plan's row, missing values as None."""
    return {k: None if pd.isna(v) else v for k, v in record.items() if k in SCHEMA.names}


def _with_latent(row: dict[str, Any], item: Any) -> Attempt:
    """A pair whose latent is on disk; its real half comes from the dataset that holds it."""
    attempt = Attempt(row)
    if pd.notna(item.latent_file):
        attempt.crop = read_photo(Path(item.path)).pixels
        attempt.latent = latents.fetch([(item.latent_file, int(item.latent_row))])[0]
    return attempt


def _stack(attempts: list[Attempt]) -> np.ndarray:
    """The crops of attempts that have one, uint8 [B,S,S,3]."""
    return np.stack([a.crop for a in attempts if a.crop is not None])


def _resized(images: torch.Tensor, side_px: int) -> torch.Tensor:
    """Area-average to a side; the same where it is that side already."""
    return images if images.shape[-1] == side_px else F.adaptive_avg_pool2d(images, side_px)


def _in_parts(call: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor) -> list[torch.Tensor]:
    """Call a network on a batch; where memory runs out, on its halves, and so on down to one image."""
    try:
        return [call(batch).cpu()]
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
    torch.cuda.empty_cache()
    middle = len(batch) // 2
    return [*_in_parts(call, batch[:middle]), *_in_parts(call, batch[middle:])]


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
