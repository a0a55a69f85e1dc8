"""Runs the shards of a job on a Ray cluster.

A `Job`, the numbers of the shards to make and a listener enter; finished shards leave, in the
output folder, which every machine of the cluster must see under the same path, or which is a place in an
object store that each of them reaches.

Why actors and not tasks: an actor loads the networks once and makes many shards. One that is lost,
with its process or its machine, is replaced and its shard made again; the shard's unique temporary
name keeps a lost actor that was not quite dead from doing harm.
"""

import logging
from collections import Counter
from pathlib import Path
from typing import Any, Final

from pipelines.dataset.job import Job, load_job
from pipelines.dataset.shards import Listener, ShardMaker
from pipelines.engines.local import count_loss, expected
from pipelines.errors import EngineError, ExpectedError, MissingExtra
from pipelines.generators.compute import LANES_PER_GPU, exact
from pipelines.generators.psp.model import keep_memory
from pipelines.places import attach, attached

_LOG: Final = logging.getLogger(__name__)
_PATIENCE_S: Final = 60
"""After this long without an answer the reason is looked for."""


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
        EngineError: Ray is not reachable, or a shard keeps losing its worker.
        StorageError: the output cannot be written.
        SourceLost: the photos' folder went away.
    """
    if not shards:
        return
    ray = _ray()
    joined = ray.is_initialized()
    try:
        if not joined:
            _join(ray, address)
        _Fleet(ray, job, _n_actors(ray, job, workers, len(shards))).run(shards, listen)
    finally:
        if not joined:
            ray.shutdown()


def _join(ray: Any, address: str | None) -> None:
    """Join the cluster at an address, or start one on this machine."""
    try:
        ray.init(address=address, log_to_driver=False, include_dashboard=False)
    except (ConnectionError, ValueError) as fault:
        raise EngineError(f"no Ray cluster answers at {address}: {fault}") from fault


def _ray() -> Any:
    """The ray package."""
    try:
        import ray
    except ImportError as fault:
        raise MissingExtra("--engine ray", "ray", "ray") from fault
    return ray


def _n_actors(ray: Any, job: Job, workers: int | None, n_shards: int) -> int:
    """As many actors as asked for, but no more than the cluster can hold or there are shards."""
    there = ray.cluster_resources()
    on_gpu = job.settings.device == "cuda"
    room = int(there.get("CPU", 0))
    if on_gpu:
        room = min(room, int(there.get("GPU", 0)) * LANES_PER_GPU)
    elif there.get("GPU", 0):
        _LOG.warning("the cluster has GPUs that stay idle; give --device cuda to use them")
    if room < 1:
        raise EngineError(f"the Ray cluster offers no {job.settings.device} worker; it has {there}")
    return min(room if workers is None else workers, room, n_shards)


class _Worker:
    """What runs in an actor's process."""

    def __init__(self, out_dir: str, copies: list[list[str]]) -> None:
        keep_memory()
        attach(copies)
        self._out_dir = Path(out_dir)
        self._maker: ShardMaker | None = None

    def ready(self) -> None:
        """Answers once the actor has its place in the cluster."""

    def make(self, number: int) -> dict[str, Any]:
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
            return {"error": type(fault).__name__, "message": str(fault)}
        return {"done": counted[0], "rejected": counted[1]}


class _Fleet:
    """The actors of one run, and which shard each is busy with."""

    def __init__(self, ray: Any, job: Job, n_actors: int) -> None:
        gpus = 1 / LANES_PER_GPU if job.settings.device == "cuda" else 0
        self._ray, self._out_dir = ray, str(job.out_dir)
        self._make_actor = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(_Worker).remote
        self._waiting: list[int] = []
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, int | None]] = {}
        self._lost: Counter[int] = Counter()
        for _ in range(n_actors):
            self._start()

    def run(self, shards: list[int], listen: Listener) -> None:
        """Hand out shards until all are made."""
        self._waiting = list(reversed(shards))
        while self._waiting or any(shard is not None for _, shard in self._busy.values()):
            done = self._ray.wait(list(self._busy), num_returns=1, timeout=_PATIENCE_S)[0]
            if not done:
                self._say_what_is_missing()
            for reference in done:
                self._collect(reference, listen)
            while self._waiting and self._idle:
                actor, shard = self._idle.pop(), self._waiting.pop()
                self._busy[actor.make.remote(shard)] = (actor, shard)

    def _start(self) -> None:
        """Ask for an actor; it gets no shard before it answers, for there may be no place for it."""
        actor = self._make_actor(self._out_dir, attached())
        self._busy[actor.ready.remote()] = (actor, None)

    def _collect(self, reference: Any, listen: Listener) -> None:
        """Take an actor's answer; a lost actor is replaced and its shard handed out again."""
        actor, shard = self._busy.pop(reference)
        try:
            said = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as fault:
            how = str(fault).splitlines()[0]
            if shard is None:
                raise EngineError(f"a worker of the Ray cluster died before it began: {how}") from fault
            count_loss(self._lost, shard, how)
            self._waiting.append(shard)
            self._start()
            return
        self._idle.append(actor)
        if shard is None:
            return
        if "error" in said:
            raise expected(said["error"], said["message"])
        listen(shard, said["done"], said["rejected"])

    def _say_what_is_missing(self) -> None:
        """Nothing has happened for a while: a cluster may be starting machines, or be full."""
        if all(shard is None for _, shard in self._busy.values()):
            free = self._ray.available_resources()
            _LOG.warning("waiting for the Ray cluster to give a worker its place; free there: %s", free)
