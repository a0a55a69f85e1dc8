"""Actors of a Ray cluster that work through numbered parts; a lost one is replaced, its part done again.

The address of a cluster, what an actor is made of and the numbers of parts enter; each part's answer leaves
as soon as it is there. What is done with a part is known to the actor alone: shards of pairs
(`ray_cluster`), or images to be scored.

Why actors of our own and not Ray Data: a part has fixed borders, so that it can be kept on the disk and
taken up by any engine, and networks see the same batches everywhere. Ray Data cuts blocks as memory allows,
tries a part that kills its worker for ever (`benchmarks/README.md`) and keeps nothing of a run that was
stopped. Handing out numbers is little code, and hands out nothing twice.
Why versions are compared before any work: another version of torch, or of this project, rounds or decides
otherwise without saying so.
"""

import hashlib
import logging
import pickle
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Final

from pipelines.engines.local import MAX_TRIES, count_loss
from pipelines.errors import EngineError, MissingExtra
from pipelines.places import attach, attached
from pipelines.untrusted import first_line

_LOG: Final = logging.getLogger(__name__)
_PATIENCE_S: Final = 60
"""After this long without an answer the reason is looked for."""
_LIBRARIES: Final = ("torch", "torchvision", "numpy", "pillow")
_OURS: Final = ("pipelines", "detectors")
_PROJECT: Final = "fake-face-fairness-audit"

Answer = dict[str, Any]


@contextmanager
def joined(address: str | None) -> Iterator[Any]:
    """The ray package, as a member of a cluster; one that was started or joined here is left at the end.

    Args:
        address: of the cluster; None to start one on this machine, or use the one already joined.

    Raises:
        MissingExtra: Ray is not installed.
        EngineError: no cluster answers, or can be joined or started.
    """
    try:
        import ray
    except ImportError as fault:
        raise MissingExtra("--engine ray", "ray", "ray") from fault
    if ray.is_initialized():
        yield ray
        return
    try:
        ray.init(address=address, log_to_driver=False, include_dashboard=False, logging_level=logging.WARNING)
    except (ConnectionError, ValueError) as fault:
        raise EngineError(f"no Ray cluster answers at {address}: {fault}") from fault
    except (
        Exception
    ) as fault:  # Ray raises bare ones: another version, a machine too busy to start within 30 s
        raise EngineError(
            f"the Ray cluster at {address or 'this machine'} cannot be used: {first_line(fault)}"
        ) from fault
    try:
        yield ray
    finally:
        ray.shutdown()


def versions() -> dict[str, str]:
    """What must be the same on every machine: library to version, without how it was built (+cu132)."""
    found = {"Python": ".".join(platform.python_version_tuple()[:2]), _PROJECT: _source_digest()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


@cache
def _source_digest() -> str:
    """Version, and the beginning of a hash of the code: two checkouts of one version may differ."""
    root, digest = Path(__file__).resolve().parents[2], hashlib.sha256()
    for package in _OURS:
        for file in sorted((root / package).rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return f"{metadata.version(_PROJECT)} ({digest.hexdigest()[:8]})"


def refuse_other_versions(wanted: dict[str, str]) -> None:
    """In a worker: see that it is what the machine that asks for it is.

    Raises:
        EngineError: it has other versions.
    """
    here = versions()
    other = [f"{name} {here[name]} and not {wanted[name]}" for name in wanted if here[name] != wanted[name]]
    if other:
        raise EngineError(
            f"a worker of the Ray cluster, on {platform.node()}, has {', '.join(other)}: "
            "install the same versions on every machine"
        )


def opened(given: bytes) -> Any:
    """In a worker: what the class was made with; its paths stand for what they do where it was packed."""
    copies, order = pickle.loads(given)
    attach(copies)
    return order


def told(fault: Exception) -> Answer:
    """An expected error as a record: an actor that raised it would be taken for a broken one."""
    return {"error": type(fault).__name__, "of": type(fault).__module__, "message": str(fault)}


def _error(answer: Answer) -> Exception:
    """The error that `told` wrote down."""
    kind: type[Exception] = getattr(import_module(answer["of"]), answer["error"])
    return kind.__new__(kind, answer["message"])  # some classes make their message of other arguments


def places(ray: Any, cpus: float, gpus: float) -> int:
    """How many actors of this size the cluster has room for.

    Raises:
        EngineError: for none.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    rooms = [_room(there, cpus, gpus) for there in machines]
    if not sum(rooms):
        wanted = f"{cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
        shown = "; ".join(
            ", ".join(f"{there.get(name, 0):g} {name}s" for name in ("CPU", "GPU")) for there in machines[:5]
        )
        raise EngineError(
            f"no machine of the Ray cluster has room for a worker of {wanted} (--cpus-per-worker, "
            f"--gpus-per-worker); they have {shown or 'nothing'}"
        )
    return sum(rooms)


def _room(there: dict[str, float], cpus: float, gpus: float) -> int:
    """How many such actors a machine holds; a rounding error of a share of a GPU costs none."""
    of_cpus = int(there.get("CPU", 0) / cpus)
    return min(of_cpus, int(there.get("GPU", 0) / gpus + 1e-6)) if gpus else of_cpus


class Fleet:
    """The actors of one run, and which part each is busy with.

    Args:
        ray: as `joined` gives it.
        worker: class of the actor: `ready(versions)` answers once it can work, `do(number)` does a part;
            both give a record, that of `told` where an expected error ended them.
        given: what the class is made with, pickled: a worker of another version must be able to say so before
            it reads it. Sent once, whatever its size.
        n_actors: how many to start.
        cpus: of each.
        gpus: of each, 0.25 for four to a GPU.
        what: what a part is called.
        welcome: is given what each actor says that can work; raises where it must not.
    """

    def __init__(
        self,
        ray: Any,
        worker: type,
        given: object,
        n_actors: int,
        cpus: float = 1,
        gpus: float = 0,
        welcome: Callable[[Answer], None] = lambda answer: None,
        what: str = "shard",
    ) -> None:
        self._ray, self._welcome, self._what = ray, welcome, what
        self._versions = versions()
        self._make_actor = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0)(worker).remote
        self._given = ray.put(pickle.dumps((attached(), given)))
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, int | None]] = {}
        self._lost: Counter[int] = Counter()
        self._never_began = self._lost_in_a_row = 0
        self._most_in_a_row = MAX_TRIES * n_actors
        for _ in range(n_actors):
            self._start()

    def first(self) -> Answer:
        """What the first actor says that can work.

        Raises:
            EngineError: three in a row cannot start, or one is of another version.
        """
        while True:
            for reference in self._answered():
                answer = self._collect(reference)
                if answer is not None:
                    return answer[1]

    def run(self, numbers: Sequence[int]) -> Iterator[tuple[int, Answer]]:
        """Hand out parts until all are done; one that lost its worker comes last, after what can be done.

        Yields:
            The number of each part and what was made of it, in the order in which they are finished.

        Raises:
            EngineError: a part keeps losing its worker, or every part does.
            Exception: an expected error that a worker told of.
        """
        waiting = list(reversed(numbers))
        while waiting or any(number is not None for _, number in self._busy.values()):
            while waiting and self._idle:
                actor, number = self._idle.pop(), waiting.pop()
                self._busy[actor.do.remote(number)] = (actor, number)
            for reference in self._answered():
                number_or_none = self._busy[reference][1]
                answer = self._collect(reference)
                if answer is not None and answer[0] is not None:
                    yield answer[0], answer[1]
                elif answer is None and number_or_none is not None:
                    waiting.insert(0, number_or_none)

    def dismiss(self) -> None:
        """End every actor, whatever it is doing."""
        for actor in (*self._idle, *(actor for actor, _ in self._busy.values())):
            self._ray.kill(actor)
        self._idle, self._busy = [], {}

    def _start(self) -> None:
        """Ask for an actor; it gets no part before it answers, for there may be no place for it."""
        actor = self._make_actor(self._given)
        self._busy[actor.ready.remote(self._versions)] = (actor, None)

    def _answered(self) -> list[Any]:
        done: list[Any] = self._ray.wait(list(self._busy), num_returns=1, timeout=_PATIENCE_S)[0]
        if not done:
            self._say_what_is_missing()
        return done

    def _collect(self, reference: Any) -> tuple[int | None, Answer] | None:
        """An actor's answer, with the part it is about; None where the actor was lost and replaced."""
        actor, number = self._busy.pop(reference)
        try:
            said: Answer = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as fault:
            how = first_line(fault)
            if number is not None:
                self._count_loss(number, how)
            else:
                self._never_began += 1
                if self._never_began >= MAX_TRIES:
                    raise EngineError(
                        f"{MAX_TRIES} workers of the Ray cluster, one after another, died before they began: "
                        f"{how}"
                    ) from fault
            self._start()
            return None
        except self._ray.exceptions.RayTaskError as fault:
            if number is None and "failed to import" in str(fault):
                raise EngineError(
                    f"a worker of the Ray cluster cannot start: {str(fault).strip().splitlines()[-1]}; "
                    "install this project and its extras, in the same versions, on every machine"
                ) from fault
            raise
        if "error" in said:
            raise _error(said)
        if number is None:
            self._never_began = 0
            self._welcome(said)
        else:
            self._lost_in_a_row = 0
        self._idle.append(actor)
        return number, said

    def _count_loss(self, number: int, how: str) -> None:
        """Count a worker lost over a part; raises where no more are to be lost."""
        count_loss(self._lost, number, how, self._what)
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= self._most_in_a_row:
            raise EngineError(
                f"{self._lost_in_a_row} workers of the Ray cluster were lost and no {self._what} finished "
                f"meanwhile ({how}); try fewer --workers or a smaller --batch-size; what was finished is kept"
            )

    def _say_what_is_missing(self) -> None:
        """Nothing has happened for a while: a cluster may be starting machines, or be full."""
        if all(number is None for _, number in self._busy.values()):
            free = self._ray.available_resources()
            _LOG.warning("waiting for the Ray cluster to give a worker its place; free there: %s", free)
