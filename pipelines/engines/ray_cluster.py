"""Runs the shards of a job on a Ray cluster.

A `Job`, the numbers of the shards to make and a listener enter; finished shards leave, in the
output folder, which every machine of the cluster must see under the same path, or which is a place in an
object store that each of them reaches.

Why actors and not tasks: an actor loads the networks once and makes many shards. One that is lost,
with its process or its machine, is replaced and its shard made again (`ray_fleet`); the shard's unique
temporary name keeps a lost actor that was not quite dead from doing harm.
"""

import logging
from pathlib import Path
from typing import Any, Final

from pipelines.dataset.job import Job, load_job
from pipelines.dataset.shards import Listener, ShardMaker
from pipelines.engines.ray_fleet import Answer, Fleet, joined, opened, places, refuse_other_versions, told
from pipelines.errors import ExpectedError
from pipelines.generators.compute import LANES_PER_GPU, exact
from pipelines.generators.psp.model import keep_memory

_LOG: Final = logging.getLogger(__name__)


def run_ray(
    job: Job, shards: list[int], listen: Listener, workers: int | None = None, address: str | None = None
) -> None:
    """Make shards on a Ray cluster.

    Args:
        job: the job, its plan on disk.
        shards: numbers of the shards to make.
        listen: told of each finished shard.
        workers: how many actors; None for one a CPU of the cluster, or four a GPU.
        address: of the cluster; None to start one on this machine, or use the one already joined.

    Raises:
        MissingExtra: Ray is not installed.
        EngineError: Ray is not reachable, a worker is of another version, or a shard keeps losing its worker.
        StorageError: the output cannot be written.
        SourceLost: the photos' folder went away.
    """
    if not shards:
        return
    on_gpu = job.settings.device == "cuda"
    with joined(address) as ray:
        if not on_gpu and ray.cluster_resources().get("GPU", 0):
            _LOG.warning("the cluster has GPUs that stay idle; give --device cuda to use them")
        gpus = 1 / LANES_PER_GPU if on_gpu else 0
        room = min(places(ray, 1, gpus), len(shards))
        fleet = Fleet(ray, _Worker, str(job.out_dir), min(workers or room, room), gpus=gpus)
        try:
            for shard, made in fleet.run(shards):
                listen(shard, made["done"], made["rejected"])
        finally:
            fleet.dismiss()


class _Worker:
    """What runs in an actor's process."""

    def __init__(self, given: bytes) -> None:
        keep_memory()
        self._given = given
        self._maker: ShardMaker | None = None

    def ready(self, versions: dict[str, str]) -> Answer:
        """Answers once the actor has its place in the cluster."""
        try:
            refuse_other_versions(versions)
        except ExpectedError as fault:
            return told(fault)
        self._out_dir = Path(opened(self._given))
        return {}

    def do(self, number: int) -> dict[str, Any]:
        """Make one shard; expected errors come back as a record, for they must stop the run."""
        counted = (0, 0)

        def listen(_: int, done: int, rejected: int) -> None:
            nonlocal counted
            counted = (done, rejected)

        try:
            with exact():
                self._maker = self._maker or ShardMaker(load_job(self._out_dir))
                self._maker.make(number, listen)
        except ExpectedError as fault:
            return told(fault)
        return {"done": counted[0], "rejected": counted[1]}
