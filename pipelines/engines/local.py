"""Runs the shards of a job: in this process, in worker processes, or on a Ray cluster.

A `Job`, the numbers of the shards to make and a listener enter; finished shards on disk leave.

Why engines know so little: a shard depends on nothing but the job on disk, so an engine only hands
out numbers, and hands a lost worker's number out again. All engines give the same bytes. On CPUs
every worker computes with one thread, because the order of a sum over threads may change last bits.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Final

import torch

from pipelines import errors, places
from pipelines.dataset.job import Job
from pipelines.dataset.shards import Listener, ShardMaker
from pipelines.errors import EngineError, ExpectedError, SettingError
from pipelines.generators.compute import LANES_PER_GPU, exact, lanes_that_fit

MAX_TRIES: Final = 3
"""How often a shard may take its worker down before the run stops."""
_WORKER_ENVIRONMENT: Final = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_MAX_": "0",  # large activations stay in the heap: page faults cost the decoder half its time
    "MALLOC_TRIM_THRESHOLD_": str(4 * 2**30),
}


def devices_for(job: Job, workers: int | None, n_shards: int) -> list[str]:
    """The device of each worker of the local engine.

    Args:
        job: the job.
        workers: how many workers; None for one a CPU core, or four a visible GPU.
        n_shards: how many shards there are to make; no more workers than these.

    Returns:
        torch device names, one a worker.

    Raises:
        SettingError: fewer than one worker, or no GPU here for a run planned for GPUs.
    """
    if workers is not None and workers < 1:
        raise SettingError(f"--workers is {workers}; it must be at least 1")
    on_gpu = job.settings.device == "cuda"
    names = _gpu_lanes(job) if on_gpu else ["cpu"] * len(os.sched_getaffinity(0))
    if not names:
        raise SettingError(
            "the run is planned for GPUs, and PyTorch sees none on this machine; "
            "run it where there is one, or give --device cpu"
        )
    wanted = len(names) if workers is None else workers
    return [names[i % len(names)] for i in range(max(1, min(wanted, n_shards)))]


def _gpu_lanes(job: Job) -> list[str]:
    """As many lanes on each visible GPU as its memory holds, the GPUs in turn."""
    side, batch = job.generator.get("output_size_px") or 0, job.settings.batch_size
    free = [torch.cuda.mem_get_info(i)[0] for i in range(torch.cuda.device_count())]
    lanes = [lanes_that_fit(each, side, batch) for each in free]
    return [f"cuda:{i}" for turn in range(LANES_PER_GPU) for i, n in enumerate(lanes) if turn < n]


def run_local(job: Job, shards: list[int], listen: Listener, workers: int | None = None) -> None:
    """Make shards on this machine.

    Args:
        job: the job, its plan on disk.
        shards: numbers of the shards to make.
        listen: told of progress.
        workers: how many worker processes; 1 works in this process.

    Raises:
        StorageError: the output cannot be written.
        SourceLost: the photos' folder went away.
        EngineError: a shard takes its worker down again and again.
    """
    if not shards:
        return
    devices = devices_for(job, workers, len(shards))
    if len(devices) == 1:
        with exact():
            maker = ShardMaker(job, devices[0])
            for number in shards:
                maker.make(number, listen)
        return
    crew = _Crew(job, devices)
    try:
        crew.run(shards, listen)
    finally:
        crew.dismiss()


def _search_path() -> str:
    """This very copy of the package first, then what the caller's environment names."""
    here = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(p for p in (here, os.environ.get("PYTHONPATH")) if p)


class _Lane:
    """One worker process and what it is busy with."""

    def __init__(self, job: Job, device: str, heard: "queue.Queue[tuple[_Lane, str]]") -> None:
        self.device, self.shard = device, -1
        self.process = subprocess.Popen(
            # -P: a file in the user's folder that is called like a module is not one
            [
                sys.executable,
                "-P",
                "-m",
                "pipelines.engines.worker_process",
                str(job.out_dir),
                device,
                json.dumps(places.attached()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_WORKER_ENVIRONMENT, "PYTHONPATH": _search_path()},
            text=True,
        )
        threading.Thread(target=self._hear, args=(heard,), daemon=True).start()

    def _hear(self, heard: "queue.Queue[tuple[_Lane, str]]") -> None:
        """Pass on what the process says; an empty line when it has ended."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            heard.put((self, line))
        heard.put((self, ""))

    def give(self, shard: int) -> None:
        """Hand the process a shard; one that died meanwhile is noticed by its silence."""
        assert self.process.stdin is not None
        self.shard = shard
        try:
            self.process.stdin.write(f"{shard}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return

    def dismiss(self) -> None:
        """End the process and wait for it."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except BrokenPipeError:
                continue


class _Crew:
    """The worker processes of one run."""

    def __init__(self, job: Job, devices: list[str]) -> None:
        self.job = job
        self.heard: queue.Queue[tuple[_Lane, str]] = queue.Queue()
        self.lanes: list[_Lane] = []
        self.lost: Counter[int] = Counter()
        try:
            for device in devices:
                self.lanes.append(_Lane(job, device, self.heard))
        except BaseException:  # those that started would wait for ever
            self.dismiss()
            raise

    def run(self, shards: list[int], listen: Listener) -> None:
        """Hand out shards until all are made."""
        waiting = list(reversed(shards))
        left = set(shards)
        for lane in self.lanes:
            if waiting:
                lane.give(waiting.pop())
        while left:
            lane, line = self.heard.get()
            if not line:
                self._replace(lane)
                continue
            said = json.loads(line)
            if "error" in said:
                raise expected(said["error"], said["message"])
            if "finished" in said:
                left.discard(said["finished"])
                lane.shard = -1
                if waiting:
                    lane.give(waiting.pop())
            else:
                listen(said["shard"], said["done"], said["rejected"])

    def _replace(self, lane: _Lane) -> None:
        """Put a new worker in a lost one's place and give it the same shard."""
        code = lane.process.wait()
        lane.dismiss()
        self.lanes.remove(lane)
        if lane.shard < 0:
            return
        count_loss(self.lost, lane.shard, f"exit code {code}")
        fresh = _Lane(self.job, lane.device, self.heard)
        self.lanes.append(fresh)
        fresh.give(lane.shard)

    def dismiss(self) -> None:
        """End every worker."""
        for lane in self.lanes:
            lane.dismiss()


def count_loss(lost: Counter[int], shard: int, how: str, what: str = "shard") -> None:
    """Count a worker lost over a shard, or whatever else its piece of work is called.

    Raises:
        EngineError: it was one too many.
    """
    lost[shard] += 1
    if lost[shard] >= MAX_TRIES:
        raise EngineError(
            f"{what} {shard} took its worker down {MAX_TRIES} times ({how}; -9 often means out of memory); "
            "try fewer --workers or a smaller --batch-size; what was finished is kept"
        )


def expected(name: str, message: str) -> ExpectedError:
    """An error that a worker told of, by its class's name."""
    kind: type[ExpectedError] = getattr(errors, name, ExpectedError)
    return kind.__new__(kind, message)  # some classes make their message of other arguments
