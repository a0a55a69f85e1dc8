"""Parts worked on by processes of a Ray cluster that hold the detectors.

Enters: a `RayCluster`, detectors that came from files, a `Work`. Leaves: an engine as `work` describes it,
whose workers give the same scores as this process would on such a device.

Why a worker loads its detectors itself, and is refused where they are not the same: networks in memory cannot
be sent, isolated ones least of all, and a file of the same name on another machine may hold other weights.
Why it computes with the threads of this machine: the order of a sum over threads may change last bits.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from detectors import errors
from detectors.errors import ClusterError
from detectors.models.detector import Detector, Source
from detectors.models.loading import load_source
from detectors.scoring.options import RayCluster
from detectors.scoring.resume import Identity, identity_of
from detectors.scoring.work import Advance, Tools, Work
from pipelines.engines.ray_fleet import Answer, Fleet, joined, opened, places, refuse_other_versions, told
from pipelines.places import fetch, is_copy


@dataclass(frozen=True)
class _Order:
    """What a worker is to do."""

    sources: list[Source]
    names: list[str]
    """Of the detectors here, where two files of one name may have been told apart."""
    fingerprints: list[str]
    """Of the detectors here, their device left out."""
    device: str
    threads: int
    work: Work
    parts: Sequence[range]
    folder: str
    """The folder that relative paths are meant from."""


@contextmanager
def on_cluster(
    cluster: RayCluster, detectors: Sequence[Detector], work: Work, parts: Sequence[range]
) -> Iterator[RayWorkers]:
    """Workers of a cluster, started on entry and ended on exit.

    Args:
        cluster: Which one, and the size of its workers.
        detectors: Loaded here, on whatever device.
        work: What is done with a part.
        parts: All parts there are.

    Raises:
        ClusterError: a detector has no file, or the cluster has no GPU where one is asked for.
        EngineError: no cluster answers, or it has no room.
        MissingExtra: Ray is not installed.
    """
    sources = [_source_of(detector) for detector in detectors]
    with joined(cluster.address) as ray:
        device = _device(cluster, ray.cluster_resources().get("GPU", 0))
        threads = cluster.cpus_per_worker or torch.get_num_threads()
        order = _Order(
            sources, [one.name for one in detectors], [_anywhere(one) for one in detectors], device, threads,
            work, list(parts), os.getcwd(),
        )  # fmt: skip
        gpus = (cluster.gpus_per_worker or 1) if device == "cuda" else 0
        room = min(places(ray, threads, gpus), len(parts))
        workers = RayWorkers(ray, order, min(cluster.workers or room, room), gpus)
        try:
            yield workers
        finally:
            workers.end()


def _source_of(detector: Detector) -> Source:
    if detector.source is None:
        raise ClusterError(
            f"{detector.name} is a detector in memory, and a Ray cluster's workers load theirs from files: "
            "save it, or score on this machine"
        )
    return detector.source


def _device(cluster: RayCluster, n_gpus: float) -> str:
    """What "auto" stands for on a cluster."""
    if cluster.device == "cuda" and not n_gpus:
        raise ClusterError("--device is cuda, and the Ray cluster has no GPU; use auto or cpu")
    if cluster.device == "auto" and not n_gpus and cluster.gpus_per_worker is not None:
        raise ClusterError(
            f"--gpus-per-worker is {cluster.gpus_per_worker:g}, and the Ray cluster has no GPU; leave it out"
        )
    return "cuda" if n_gpus and cluster.device != "cpu" else "cpu"


def _anywhere(detector: Detector) -> str:
    """What a detector's scores depend on but for the device."""
    return replace(detector, device="").fingerprint


class RayWorkers:
    """Processes of a cluster that work on parts."""

    def __init__(self, ray: Any, order: _Order, n_workers: int, gpus: float) -> None:
        self._parts = order.parts
        self._identity: Identity | None = None
        self._fleet = Fleet(
            ray, _Worker, order, n_workers, order.threads, gpus, welcome=self._welcome, what="part"
        )

    @property
    def identity(self) -> Identity:
        """What the last bits of scores depend on in all workers; waits for the first of them."""
        while self._identity is None:
            self._fleet.first()
        return self._identity

    def run(self, parts: Sequence[range], advance: Advance) -> Iterator[tuple[range, Any]]:
        """Work through parts; a lost worker's part is done again."""
        numbers = {part: number for number, part in enumerate(self._parts)}
        for number, answer in self._fleet.run([numbers[part] for part in parts]):
            advance(len(self._parts[number]))
            yield self._parts[number], answer["made"]

    def end(self) -> None:
        """End all workers, whatever they are doing."""
        self._fleet.dismiss()

    def _welcome(self, answer: Answer) -> None:
        """Take a worker into the run.

        Raises:
            ClusterError: it would round otherwise than the first one.
        """
        first, here = self._identity or answer["identity"], answer["identity"]
        if here != first:
            other = [f"{b} and not {a}" for a, b in zip(first.machine, here.machine, strict=True) if a != b]
            raise ClusterError(
                f"a worker of the Ray cluster, on {answer['node']}, has {', '.join(other)}, and its scores "
                "may differ in the last bits from those of the others: let Ray use machines of one kind"
            )
        self._identity = first


class _Worker:
    """What runs in a process of the cluster."""

    def __init__(self, given: bytes) -> None:
        self._given = given

    def ready(self, versions: dict[str, str]) -> Answer:
        """Load the detectors; says what their last bits depend on."""
        try:
            refuse_other_versions(versions)
            order: _Order = opened(self._given)
            _go_to(order.folder)
            torch.set_num_threads(order.threads)
            self._detectors = [
                replace(load_source(_brought(source), order.device), name=name)
                for source, name in zip(order.sources, order.names, strict=True)
            ]
            for detector, wanted in zip(self._detectors, order.fingerprints, strict=True):
                _refuse_other(detector, wanted)
        except errors.ExpectedError as fault:
            return told(fault)
        self._order, self._tools = order, Tools(order.threads)
        return {"identity": identity_of(self._detectors), "node": platform.node()}

    def do(self, number: int) -> Answer:
        """Work on one part; expected errors come back as a record, for they must stop the run."""
        part = self._order.parts[number]
        try:
            return {"made": self._order.work.part(self._detectors, self._tools, part, lambda n: None)}
        except errors.ExpectedError as fault:
            return told(fault)


def _brought(source: Source) -> Source:
    """The same; a file that lies in an object store is fetched to this machine, with what lies beside it."""
    path = Path(source.name)
    for file in (path, path.with_suffix(".toml"), Path(f"{path}.data")):
        if is_copy(file):
            fetch(file)
    return source


def _go_to(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as fault:
        raise ClusterError(
            f"a worker of the Ray cluster, on {platform.node()}, cannot enter {folder} "
            f"({fault.strerror or fault}): every machine must see this folder, images and detectors under "
            "the same paths"
        ) from None


def _refuse_other(detector: Detector, wanted: str) -> None:
    if _anywhere(detector) != wanted:
        raise ClusterError(
            f"{detector.name} is another detector on {platform.node()} than on this machine: its file, or "
            "the .toml beside it, differs; every machine of the Ray cluster must see the same one"
        )
