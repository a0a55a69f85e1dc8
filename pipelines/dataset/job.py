"""A run of pair generation on disk: what is to be made, and what of it is finished.

A plan enters once; every worker, on this machine or another, reads it back from the output folder.
The folder `.unfinished/` holds it: `run.json`, `plan.parquet`, the lock, and one folder a shard,
which exists under its final name only when the whole shard is on the disk. It goes away when the
dataset is complete.

Why the plan is a file and not an argument: a run that is killed continues with the very plan it
began with, and a worker on another machine needs nothing but the folder's path.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pandas as pd

from pipelines.dataset.manifest import PROVENANCE, read_provenance
from pipelines.dataset.settings import PairSettings
from pipelines.errors import OutputHoldsAnotherRun, OutputInUse, PairsNotFound, UnreadableFile
from pipelines.places import complete
from pipelines.storage import remove_tree, storing, write_bytes, write_json
from pipelines.untrusted import read_json

UNFINISHED: Final = ".unfinished"
_RUN: Final = "run.json"
_PLAN: Final = "plan.parquet"
_DONORS: Final = "donors.parquet"
_PATHS: Final = ["path", "fake_path", "latent_file"]
_SOFTWARE: Final = (
    "fake-face-fairness-audit", "torch", "facenet-pytorch", "numpy", "opencv-python-headless", "pillow",
    "pyarrow",
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One run: what to make, from what, with what, and where."""

    out_dir: Path
    kind: str
    """"photos": encode photos; "latents": decode saved latents again; "given": import pairs."""
    settings: PairSettings
    generators: tuple[dict[str, Any], ...]
    """Of each kind of fake: kind, form, name, sha256, licence, what becomes of labels, and what its form
    needs (of a network path, output_size_px, crop and what the checkpoint says of itself)."""
    source: dict[str, Any]
    """kind, path, sha256, repaired_ages, photo_folders and probes."""
    plan: pd.DataFrame
    """One row an item, sorted by pair_id: the columns known before the run begins."""
    donors: pd.DataFrame | None = None
    """Where a kind borrows faces: pair_id, path and labels of every labelled photo, chosen or not."""

    @property
    def generator(self) -> dict[str, Any]:
        """The record of the first kind: where there is a network it is that."""
        return self.generators[0]

    @property
    def kinds(self) -> list[str]:
        """Names of the kinds of fake."""
        return [str(about["kind"]) for about in self.generators]

    @property
    def work_dir(self) -> Path:
        """Where unfinished work lies."""
        return self.out_dir / UNFINISHED

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return -(-len(self.plan) // self.settings.shard_size)

    def items(self, number: int) -> pd.DataFrame:
        """The plan's rows that make up one shard."""
        size = self.settings.shard_size
        return self.plan.iloc[number * size : (number + 1) * size]

    def shard_dir(self, number: int) -> Path:
        """Where a finished shard lies."""
        return self.work_dir / f"shard-{number:05d}"

    def missing_shards(self) -> list[int]:
        """Numbers of the shards that are yet to be made."""
        return [number for number in range(self.n_shards) if not self.shard_dir(number).is_dir()]

    def parameters(self) -> dict[str, Any]:
        """What must be equal for two runs to be the same run."""
        plan = self.plan.drop(columns=_PATHS, errors="ignore").to_json(orient="split")
        return {
            "kind": self.kind,
            **self.settings.record(),
            **self._fakes_from(),
            "labels": self.source["sha256"],
            "photos": hashlib.sha256(str(plan).encode()).hexdigest(),
        }

    def _fakes_from(self) -> dict[str, Any]:
        """What tells the fakes of two runs apart."""
        if self.kind == "given":
            return {"generator": self.generator["name"], "fakes": self.generator["sha256"]}
        drawn_in = self.settings.truncation != 1.0
        centre = {"centre": self.generator.get("centre_sha256")} if drawn_in else {}
        others = {f"generator {about['kind']}": about["sha256"] for about in self.generators[1:]}
        return {"kinds": self.kinds, "generator": self.generator["sha256"], **others, **centre}


def load_job(out_dir: Path) -> Job:
    """Read a run's plan back.

    Args:
        out_dir: the output folder.

    Raises:
        PairsNotFound: no unfinished run there, or the folder is not reachable from this machine.
    """
    work = out_dir / UNFINISHED
    if not (work / _RUN).exists():
        complete(work)  # of an object store, on a machine that has no copy yet
    try:
        record = _record(work)
        plan = pd.read_parquet(work / _PLAN)
        donors = pd.read_parquet(work / _DONORS) if (work / _DONORS).is_file() else None
    except OSError as fault:
        raise PairsNotFound(
            f"no unfinished run in {out_dir} ({fault.strerror}); "
            "workers on other machines must see the same folder"
        ) from fault
    settings = PairSettings(**record["settings"])
    return Job(out_dir, record["kind"], settings, tuple(record["generators"]), record["source"], plan, donors)


def _record(work: Path) -> dict[str, Any]:
    """What `run.json` of an unfinished run says.

    Raises:
        OSError: there is none.
        OutputHoldsAnotherRun: it is damaged.
    """
    (work / _RUN).stat()
    try:
        record = read_json(work / _RUN)
    except UnreadableFile as fault:
        raise OutputHoldsAnotherRun(f"{fault}; delete {work} to begin anew") from None
    kinds = {
        "parameters": dict,
        "versions": list,
        "kind": str,
        "settings": dict,
        "generators": list,
        "source": dict,
    }
    if not isinstance(record, dict) or not all(isinstance(record.get(k), v) for k, v in kinds.items()):
        raise OutputHoldsAnotherRun(f"{work / _RUN} is damaged; delete {work} to begin anew")
    return record


def is_complete(job: Job) -> bool:
    """Whether the output folder holds this very run, finished.

    Raises:
        OutputHoldsAnotherRun: it holds a finished dataset of another run.
    """
    if not (job.out_dir / PROVENANCE).is_file():
        return False
    there = read_provenance(job.out_dir).get("parameters", {})
    _compare(job, there)
    return True


@contextmanager
def claimed(job: Job) -> Iterator[None]:
    """Hold the output folder for this run: begin it, or take it up where it stopped.

    Raises:
        OutputHoldsAnotherRun: the folder holds a different run, or files of something else.
        OutputInUse: another process is at work there.
        StorageError: the folder cannot be written to.
    """
    refuse_strangers(job)
    with storing(job.out_dir):
        job.work_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(job.work_dir / "lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        _lock(lock, job.out_dir)
        with storing(job.out_dir):
            _begin_or_continue(job)
        yield
    finally:
        os.close(lock)


def _lock(handle: int, out_dir: Path) -> None:
    """Take the lock; the system gives it back when the process ends, however it ends."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as fault:
        raise OutputInUse(
            f"another process is writing to {out_dir}; wait for it or use another --out"
        ) from fault


def refuse_strangers(job: Job) -> None:
    """Refuse a folder that holds something other than a run of ours.

    Raises:
        OutputHoldsAnotherRun: it does.
    """
    if job.out_dir.exists() and not job.out_dir.is_dir():
        raise OutputHoldsAnotherRun(f"{job.out_dir} is a file; name a folder with --out")
    if job.out_dir.is_dir() and not (job.work_dir.is_dir() or (job.out_dir / PROVENANCE).is_file()):
        strangers = sorted(p.name for p in job.out_dir.iterdir())
        if strangers:
            raise OutputHoldsAnotherRun(
                f"{job.out_dir} holds {strangers[0]} and is no pairs dataset; "
                "use an empty or new folder as --out"
            )


def _begin_or_continue(job: Job) -> None:
    """Write the plan, after comparing it with the one that is there; clear away what was cut short."""
    run, versions = job.work_dir / _RUN, [software()]
    if is_complete(job):
        raise OutputInUse(f"another process has just finished {job.out_dir}; run the same command again")
    if run.is_file():
        there = _record(job.work_dir)
        _compare(job, there["parameters"])
        versions = list({json.dumps(v): v for v in [*there["versions"], *versions]}.values())
    write_bytes(job.work_dir / _PLAN, job.plan.to_parquet(index=False))
    if job.donors is not None:
        write_bytes(job.work_dir / _DONORS, job.donors.to_parquet(index=False))
    record = {
        "parameters": job.parameters(),
        "kind": job.kind,
        "settings": job.settings.record(),
        "generators": list(job.generators),
        "source": job.source,
        "versions": versions,
    }
    write_json(run, record)
    for stale in job.work_dir.glob("*.tmp"):
        remove_tree(stale)


def versions_used(job: Job) -> list[dict[str, str]]:
    """The software that worked on a run: more than one entry where it was continued by another."""
    versions: list[dict[str, str]] = _record(job.work_dir)["versions"]
    return versions


def software() -> dict[str, str]:
    """Versions of what decides the bytes."""
    return {name: version(name) for name in _SOFTWARE}


def _compare(job: Job, there: Mapping[str, Any]) -> None:
    """Refuse a run whose parameters differ, naming the first few."""
    ours = job.parameters()
    differing = [name for name in ours if ours[name] != there.get(name)]
    if differing:
        shown = ", ".join(_difference(name, there.get(name), ours[name]) for name in differing[:3])
        raise OutputHoldsAnotherRun(
            f"{job.out_dir} holds another run ({shown}); give the same options to continue it, "
            "or another --out to begin anew"
        )


def _difference(name: str, there: Any, ours: Any) -> str:
    """One differing parameter in words; digests are shortened."""
    old, new = (f"{v[:12]}…" if isinstance(v, str) and len(v) == 64 else v for v in (there, ours))
    return f"{name} {old} there, {new} asked for"
