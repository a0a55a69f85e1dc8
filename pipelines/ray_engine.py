"""Runs the shards of a job on a Ray cluster.

A `Job`, the numbers of the shards to make and a listener enter; finished shards leave, in the
output folder, which every machine of the cluster must see under the same path.

Why actors and not tasks: an actor loads the networks once and makes many shards. One that is lost,
with its process or its machine, is replaced and its shard made again; the shard's unique temporary
name keeps a lost actor that was not quite dead from doing harm.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from pipelines.engines import count_loss, expected
from pipelines.errors import EngineError, ExpectedError
from pipelines.job import Job, load_job
from pipelines.shards import Listener, ShardMaker

_LANES_PER_GPU = 4


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
        EngineError: Ray is not installed or not reachable, or a shard keeps losing its worker.
        StorageError: the output cannot be written.
        SourceLost: the photos' folder went away.
    """
    if not shards:
        return
    ray = _ray()
    joined = ray.is_initialized()
    try:
        if not joined:
            ray.init(address=address, log_to_driver=False, include_dashboard=False)
        _Fleet(ray, job, _n_actors(ray, job, workers, len(shards))).run(shards, listen)
    except ConnectionError as fault:
        raise EngineError(f"no Ray cluster answers at {address}: {fault}") from fault
    finally:
        if not joined:
            ray.shutdown()


def _ray() -> Any:
    """The ray package."""
    try:
        import ray
    except ImportError as fault:
        raise EngineError(
            "--engine ray needs Ray; install it with: pip install 'fake-face-fairness-audit[ray]'"
        ) from fault
    return ray


def _n_actors(ray: Any, job: Job, workers: int | None, n_shards: int) -> int:
    """As many actors as asked for, or as the cluster can hold, but no more than shards."""
    there = ray.cluster_resources()
    lanes = there.get("GPU", 0) * _LANES_PER_GPU if job.settings.device == "cuda" else there.get("CPU", 0)
    wanted = int(lanes) if workers is None else workers
    if wanted < 1:
        raise EngineError(f"the Ray cluster offers no {job.settings.device} worker; it has {there}")
    return min(wanted, n_shards)


class _Worker:
    """What runs in an actor's process."""

    def __init__(self, out_dir: str) -> None:
        import torch

        torch.set_num_threads(1)
        self._out_dir = Path(out_dir)
        self._maker: ShardMaker | None = None

    def make(self, number: int) -> dict[str, Any]:
        """Make one shard; expected errors come back as a record, for they must stop the run."""
        counted = (0, 0)

        def listen(_: int, done: int, rejected: int) -> None:
            nonlocal counted
            counted = (done, rejected)

        try:
            self._maker = self._maker or ShardMaker(load_job(self._out_dir))
            self._maker.make(number, listen)
        except ExpectedError as fault:
            return {"error": type(fault).__name__, "message": str(fault)}
        return {"done": counted[0], "rejected": counted[1]}


class _Fleet:
    """The actors of one run, and which shard each is busy with."""

    def __init__(self, ray: Any, job: Job, n_actors: int) -> None:
        gpus = 1 / _LANES_PER_GPU if job.settings.device == "cuda" else 0
        self._ray, self._out_dir = ray, str(job.out_dir)
        self._make_actor = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(_Worker).remote
        self._actors = [self._make_actor(self._out_dir) for _ in range(n_actors)]
        self._busy: dict[Any, tuple[Any, int]] = {}
        self._lost: Counter[int] = Counter()

    def run(self, shards: list[int], listen: Listener) -> None:
        """Hand out shards until all are made."""
        waiting = list(reversed(shards))
        for actor in self._actors:
            if waiting:
                self._give(actor, waiting.pop())
        while self._busy:
            for reference in self._ray.wait(list(self._busy), num_returns=1)[0]:
                actor, shard = self._busy.pop(reference)
                actor = self._collect(reference, actor, shard, listen)
                if actor is not None and waiting:
                    self._give(actor, waiting.pop())

    def _give(self, actor: Any, shard: int) -> None:
        """Hand a shard to an actor."""
        self._busy[actor.make.remote(shard)] = (actor, shard)

    def _collect(self, reference: Any, actor: Any, shard: int, listen: Listener) -> Any:
        """Take an actor's result; returns the actor if it is free, None if its shard was given out again."""
        try:
            said = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as fault:
            count_loss(self._lost, shard, str(fault).splitlines()[0])
            self._give(self._make_actor(self._out_dir), shard)
            return None
        if "error" in said:
            raise expected(said["error"], said["message"])
        listen(shard, said["done"], said["rejected"])
        return actor
