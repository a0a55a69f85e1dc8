"""Makes a pairs dataset: labelled photos in, matched real and fake faces out.

A FairFace folder and a generator enter; a folder leaves with `manifest.parquet`, `real/`, `fake/`,
`latents/`, `summary.json` and `provenance.json`.

Why the same call begins, continues and merely confirms: a run of days will be interrupted. Called
again with the same options it takes up the shards that are missing; called once more it finds the
dataset complete. The bytes are those of an undisturbed run. Other options are refused, and photos that
have changed since.
"""

import hashlib
import logging
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.dataset.assemble import dataset_size_bytes, finish
from pipelines.dataset.job import Job, claimed, is_complete, refuse_strangers
from pipelines.dataset.manifest import OK, read_manifest, read_provenance, read_table
from pipelines.dataset.shards import ROWS, ShardMaker
from pipelines.engines.local import devices_for, run_local
from pipelines.engines.ray_cluster import run_ray
from pipelines.errors import OutputHoldsAnotherRun, PhotoError, SettingError
from pipelines.generators.compute import exact
from pipelines.jobs.plans import labelled_photos, pairs_job
from pipelines.jobs.progress import progress_bar
from pipelines.places import is_copy, local
from pipelines.sources.photos import read_bytes, read_photo
from pipelines.storage import remove_tree

ENGINES = ("local", "ray")
_LOG = logging.getLogger(__name__)
_READERS = 8
_TRIAL = 12
"""Photos that a dry run really makes, twice: the first shard warms up, the second is timed."""


@dataclass(frozen=True)
class PairsSummary:
    """What a run made."""

    out_dir: Path
    n_attempted: int
    """Photos."""
    n_pairs: int
    """Fakes with their real half, of all kinds."""
    reasons: dict[str, int]
    """Count of fakes that were not made by the reason."""
    by_kind: dict[str, dict[str, int]]
    """Of each kind of fake the count by status, "ok" first."""
    notes: list[str]
    """Sentences a reader of the audit must see."""
    was_complete: bool
    """The dataset was there already; nothing was done."""


@dataclass(frozen=True)
class PairsPlan:
    """What a run would make, measured on a few of its own photos."""

    n_photos: int
    n_finished: int
    """Photos in shards that an earlier run finished."""
    n_shards: int
    size_px: int
    generator: str
    device: str
    n_workers: int
    disk_bytes: int
    """Expected size of the finished dataset."""
    free_bytes: int | None
    """Free where the dataset would lie; None in an object store."""
    seconds: float
    """Expected time for what is left, all workers busy, their start included."""
    n_tried: int
    """Photos that were really made into pairs, to measure."""
    n_tried_paired: int
    """Of these, photos that gave a pair."""
    notes: list[str]
    """Sentences on the photos and the generator that a reader of the audit will see."""


def generate_pairs(
    fairface: str | Path | None = None,
    out_dir: str | Path = "pairs",
    generator: str | Path | Sequence[str | Path] = "small",
    *,
    from_latents: str | Path | None = None,
    utkface: str | Path | None = None,
    photos: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    limit: int | None = None,
    per_cell: int | None = None,
    device: str = "auto",
    batch_size: int = 16,
    seed: int = 0,
    size_px: int | None = None,
    shard_size: int = 200,
    precision: str = "auto",
    compiled: bool = False,
    truncation: float = 1.0,
    style_mix: float = 0.0,
    finish: str | None = None,
    engine: str = "local",
    workers: int | None = None,
    ray_address: str | None = None,
    progress: bool = True,
) -> PairsSummary:
    """Make matched real and fake faces from labelled photos, or continue an earlier call.

    Args:
        fairface: photos and labels in FairFace's layout.
        out_dir: the dataset's folder; new, empty, or holding the same run.
        generator: one or several kinds of fake: "small" for the embedded network, a pSp checkpoint, "swap",
            "self-blend", "vae:FOLDER", "module:factory".
        from_latents: instead of photos: a finished pairs dataset whose latents are decoded again, by a
            generator that fits them; real halves are taken over.
        utkface: instead of FairFace: a folder whose file names are labels (`sources.utkface`).
        photos: instead of FairFace: a CSV or Parquet table of photos and labels (`sources.photo_table`).
        columns: of that table, role to column: image, age, gender, race, id.
        limit: at most this many photos, balanced over age, gender and race.
        per_cell: at most this many photos of each cell.
        device: "auto", "cpu" or "cuda".
        batch_size: images a network sees at once; halved by itself where memory runs out.
        seed: of the choice of photos and of style mixing.
        size_px: side of both halves; None for the generator's crop size.
        shard_size: photos that are made and written together.
        precision: "float32", "bfloat16", or "auto": bfloat16 where the device has it and this generator's
            fakes stay the same (see `pipelines.generators.precision`).
        compiled: fuse the generator's operations with torch.compile: half a minute at the start, for
            runs of hours.
        truncation: 1 leaves latents alone, less draws them towards the average face.
        style_mix: 0 to 1, how far fine styles go over to those of another person of the same age,
            gender and race in the shard.
        finish: how both halves are written: "png", "jpeg=Q" or "source" (None).
        engine: "local" or "ray".
        workers: worker processes; None for one a core, or four a GPU. Never changes a byte.
        ray_address: the Ray cluster's address; None to start one on this machine.
        progress: draw a progress bar.

    Returns:
        What was made.

    Raises:
        ExpectedError: one of the package's errors, for everything a user can put right.
    """
    sources = (fairface, utkface, photos, from_latents)
    folder, faces, table, latents = (None if each is None else local(each) for each in sources)
    job = pairs_job(
        labelled_photos(folder, faces, table, columns), local(out_dir), generator,
        from_latents=latents, limit=limit, per_cell=per_cell,
        device=device, batch_size=batch_size, seed=seed, size_px=size_px, shard_size=shard_size,
        precision=precision, compiled=compiled, truncation=truncation, style_mix=style_mix, finish=finish,
        elsewhere=engine == "ray",
    )  # fmt: skip
    return run_job(job, engine, workers, ray_address, progress)


def plan_pairs(job: Job, workers: int | None = None) -> PairsPlan:
    """A dry run: make a few of a job's pairs in a temporary folder and say what the whole would take.

    Args:
        job: from `plans.photo_job` or `plans.latents_job`.
        workers: as in `generate_pairs`.

    Returns:
        The plan; the output folder is not touched.

    Raises:
        ExpectedError: as `generate_pairs`.
    """
    refuse_strangers(job)
    missing = job.missing_shards()
    left = 0 if is_complete(job) else sum(len(job.items(n)) for n in missing)
    n_workers = len(devices_for(job, workers, max(1, len(missing))))
    sample = job.plan.iloc[:: max(1, len(job.plan) // (2 * _TRIAL))][: 2 * _TRIAL]
    with tempfile.TemporaryDirectory() as folder:
        trial = replace(
            job, out_dir=Path(folder), plan=sample, settings=replace(job.settings, shard_size=_TRIAL)
        )
        trial.work_dir.mkdir()
        with exact():  # as a worker computes
            start_s, each_s = _pace(trial)
        each_bytes = dataset_size_bytes(Path(folder)) / len(sample)
        shards = [read_table(trial.shard_dir(n) / ROWS)["status"].to_pylist() for n in range(trial.n_shards)]
        tried = [status for shard in shards for status in shard]
    return PairsPlan(
        n_photos=len(job.plan),
        n_finished=len(job.plan) - left,
        n_shards=job.n_shards,
        size_px=job.settings.size_px,
        generator=", ".join(str(about["name"]) for about in job.generators),
        device=job.settings.device,
        n_workers=n_workers,
        disk_bytes=round(each_bytes * len(job.plan)),
        free_bytes=None if is_copy(job.out_dir) else free_bytes(job.out_dir),
        seconds=start_s + each_s * left / n_workers if left else 0.0,
        n_tried=len(tried),
        n_tried_paired=tried.count(OK),
        notes=[*job.source.get("notes", []), *(n for a in job.generators for n in a.get("notes", []))],
    )


def _pace(trial: Job) -> tuple[float, float]:
    """Make the trial's shards; seconds until a worker is at its pace, and for each photo from then on."""
    began = time.perf_counter()
    maker = ShardMaker(trial)
    ready = time.perf_counter()
    for number in range(trial.n_shards):
        before = time.perf_counter()
        maker.make(number, lambda *_: None)
    each_s = (time.perf_counter() - before) / len(trial.items(trial.n_shards - 1))
    warm_up_s = max(0.0, before - ready - each_s * (len(trial.plan) - len(trial.items(trial.n_shards - 1))))
    return ready - began + warm_up_s, each_s


def run_job(
    job: Job,
    engine: str = "local",
    workers: int | None = None,
    ray_address: str | None = None,
    progress: bool = False,
) -> PairsSummary:
    """Make what is missing of a job, put the dataset together and sum it up.

    Args:
        job: from `plans.photo_job` or `plans.latents_job`.
        engine: "local" or "ray".
        workers: as in `generate_pairs`.
        ray_address: as in `generate_pairs`.
        progress: draw a progress bar.

    Returns:
        What was made.

    Raises:
        ExpectedError: as `generate_pairs`.
    """
    if engine not in ENGINES:
        raise SettingError(f"--engine is {engine!r}; it must be one of {', '.join(ENGINES)}")
    if is_complete(job):
        refuse_changed(job)
        remove_tree(job.work_dir)
        return _sum_up(job, was_complete=True)
    with claimed(job):
        drop_changed(job)
        missing = job.missing_shards()
        with progress_bar(len(job.plan) * len(job.kinds), _finished(job, missing), progress) as listen:
            if engine == "ray":
                run_ray(job, missing, listen, workers, ray_address)
            else:
                run_local(job, missing, listen, workers)
        finish(job)
    return _sum_up(job, was_complete=False)


def drop_changed(job: Job) -> None:
    """Delete finished shards of which a photo has changed since, so that they are made again.

    Where a kind borrows faces, a photo may stand in any shard: all are made again. A photo that was not
    chosen and lent a face is not looked at.

    Raises:
        SourceLost: the photos' folder went away.
    """
    if job.kind == "latents":  # a finished dataset is the source, which says what it holds
        return
    done = sorted(set(range(job.n_shards)) - set(job.missing_shards()))
    with ThreadPoolExecutor(_READERS) as pool:
        changed = {number: n for number in done if (n := sum(pool.map(_differs, *_contents(job, number))))}
    if changed:
        again = done if job.donors is not None else sorted(changed)
        _LOG.warning(
            "%s photos have changed since they were worked on: %s of %s finished shards are made again",
            f"{sum(changed.values()):,}", len(again), len(done),
        )  # fmt: skip
        for number in again:
            remove_tree(job.shard_dir(number))


def refuse_changed(job: Job) -> None:
    """Refuse a finished dataset of which a photo has changed since: a new run would make other pairs.

    Photos that are gone are not looked at, nor those of an object store.

    Raises:
        OutputHoldsAnotherRun: a photo holds other bytes, or gives an image where it gave none.
    """
    if job.kind == "latents":
        return
    rows = read_manifest(job.out_dir).dropna(subset="source_sha256")
    known = dict(zip(rows["pair_id"], rows["source_sha256"], strict=True))
    photos = zip(job.plan["pair_id"], job.plan["path"], strict=True)
    there = [
        (path, known.get(pair))
        for pair, path in photos
        if (job.kind == "photos" or known.get(pair)) and not is_copy(path) and Path(path).is_file()
    ]
    with ThreadPoolExecutor(_READERS) as pool:
        differ = pool.map(lambda photo: _differs(*photo), there)
        changed = [path for (path, _), differs in zip(there, differ, strict=True) if differs]
    if changed:
        have, first = ("has", "") if len(changed) == 1 else ("have", "the first is ")
        raise OutputHoldsAnotherRun(
            f"{len(changed):,} of {len(job.plan):,} photos {have} changed since {job.out_dir} was made: "
            f"{first}{changed[0]}; delete {job.out_dir}, or name another --out, to make the pairs anew"
        )


def _contents(job: Job, number: int) -> tuple[list[str], list[str | None]]:
    """Paths of a shard's photos, and the SHA-256 of each when it was worked on."""
    rows = read_table(job.shard_dir(number) / ROWS)
    known = dict(zip(rows["pair_id"].to_pylist(), rows["source_sha256"].to_pylist(), strict=True))
    items = job.items(number)
    looked_at = [pair for pair in items["pair_id"] if job.kind == "photos" or known.get(pair)]
    paths = items.set_index("pair_id")["path"]
    return [paths[pair] for pair in looked_at], [known.get(pair) for pair in looked_at]


def _differs(path: str, known: str | None) -> bool:
    """Whether a photo holds other bytes now; one that gave no image, whether it gives one."""
    try:
        if known is None:
            read_photo(Path(path))
            return True
        return hashlib.sha256(read_bytes(Path(path))).hexdigest() != known
    except PhotoError:
        return known is not None


def _finished(job: Job, missing: list[int]) -> dict[int, tuple[int, int]]:
    """Photos and rejects of each shard that an earlier call finished."""
    counts = {}
    for number in sorted(set(range(job.n_shards)) - set(missing)):
        status = read_table(job.shard_dir(number) / ROWS)["status"].to_pylist()
        counts[number] = (len(status), sum(s != OK for s in status))
    return counts


def _sum_up(job: Job, was_complete: bool) -> PairsSummary:
    """Read the finished dataset back and count."""
    manifest, record = read_manifest(job.out_dir), read_provenance(job.out_dir)
    by_kind = {}
    for kind, rows in manifest.groupby("kind", sort=True):
        counts = rows["status"].value_counts().sort_index()
        n_ok = {OK: int(counts.get(OK, 0))}
        by_kind[str(kind)] = n_ok | {str(why): int(n) for why, n in counts.items() if why != OK}
    reasons = manifest["status"][manifest["status"] != OK].value_counts().sort_index()
    return PairsSummary(
        out_dir=job.out_dir,
        n_attempted=manifest["pair_id"].nunique(),
        n_pairs=int((manifest["status"] == OK).sum()),
        reasons={str(reason): int(n) for reason, n in reasons.items()},
        by_kind=by_kind,
        notes=list(record["notes"]),
        was_complete=was_complete,
    )


def free_bytes(folder: Path) -> int:
    """Free space where a folder lies or would lie, in bytes."""
    there = next(p for p in (folder, *folder.parents) if p.exists())
    return shutil.disk_usage(there).free
