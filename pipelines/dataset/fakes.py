"""From what a plan says of a kind of fake to the generator that makes it.

A `Job` and the record of one of its kinds enter; a `Generator` leaves, its networks loaded.

Why here and not in the registry: a swap needs every labelled photo, to look for donors, and the registry is
read before there is one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cv2

from pipelines.dataset.face_crops import at_size, check_source
from pipelines.dataset.job import Job
from pipelines.dataset.network_fakes import Networked
from pipelines.dataset.pair_sources import GivenFakes
from pipelines.faces.align import CROPS, FaceFinder
from pipelines.generators.autoencoder import Autoencoder
from pipelines.generators.donors import Cell, DonorPool
from pipelines.generators.protocol import Generator
from pipelines.generators.self_blend import SelfBlend
from pipelines.generators.swap import Swap
from pipelines.generators.user_code import UserCode
from pipelines.labels import ATTRIBUTES

Maker = Callable[[Job, dict[str, Any], FaceFinder, str], Generator]


def load_kind(job: Job, about: dict[str, Any], finder: FaceFinder, device: str) -> Generator:
    """Load the generator of one kind.

    Args:
        job: the run.
        about: the kind's record in the plan.
        finder: the face detector of this worker.
        device: torch device name.

    Raises:
        ExpectedError: what the kind needs is gone, or is not what the run was planned with.
    """
    cv2.setNumThreads(1)  # a worker computes with one thread
    return MAKERS[about["form"]](job, about, finder, device)


def _network(job: Job, about: dict[str, Any], _: FaceFinder, device: str) -> Generator:
    return Networked(about, job.settings, device)


def _swap(job: Job, about: dict[str, Any], finder: FaceFinder, _: str) -> Generator:
    """A swap whose donors are all photos with every label, chosen for the run or not."""
    members: dict[Cell, list[tuple[str, Path]]] = {}
    known = job.plan if job.donors is None else job.donors
    for row in known.dropna(subset=list(ATTRIBUTES)).to_dict("records"):
        cell = tuple(str(row[name]) for name in ATTRIBUTES)
        members.setdefault(cell, []).append((str(row["pair_id"]), Path(row["path"])))
    crop = at_size(CROPS[about["crop"]], job.settings.size_px)
    probes = [Path(p) for p in job.source["probes"]]
    pool = DonorPool(members, job.settings.seed, crop, finder, lambda read: check_source(read, probes))
    return Swap(pool)


MAKERS: Final[dict[str, Maker]] = {
    "small": _network,
    "checkpoint": _network,
    "swap": _swap,
    "self-blend": lambda job, *_: SelfBlend(job.settings.seed),
    "vae:": lambda job, about, _, device: Autoencoder(
        about, job.settings.size_px, job.settings.batch_size, device
    ),
    "module:": lambda job, about, *_: UserCode(about["name"], about["sha256"], job.settings.batch_size),
    "imported": lambda job, *_: GivenFakes(job.settings.batch_size),
}
"""Form of a kind to what makes it."""
