"""How scoring runs: batches, threads, where it continues, and where it computes.

Enters: nothing. Leaves: `Options`, `RayCluster`; plain data, and no torch is loaded for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Literal

from detectors.errors import ClusterError
from pipelines.errors import SettingError

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class RayCluster:
    """A Ray cluster that scores instead of this process.

    Its machines see images and detector files under the same paths, and have this project and torch in the
    same versions.

    Attributes:
        address: Of the cluster; None to start one on this machine, or use the one already joined.
        workers: Processes that hold the detectors; None for as many as the cluster has room for.
        cpus_per_worker: CPUs each takes, which decode and, without a GPU, compute; None for as many threads
            as torch uses here, so that runs of this machine and of the cluster continue each other.
        gpus_per_worker: GPUs each takes; 0.25 puts four on one. None for one, and none on the CPU.
        device: "cpu", "cuda", or "auto": "cuda" where the cluster has a GPU.

    Raises:
        ClusterError: A size that no worker can have.
    """

    address: str | None = None
    workers: int | None = None
    cpus_per_worker: int | None = None
    gpus_per_worker: float | None = None
    device: Device = "auto"

    def __post_init__(self) -> None:
        for name, least in (("workers", self.workers), ("cpus_per_worker", self.cpus_per_worker)):
            if least is not None and least < 1:
                raise ClusterError(f"--{name.replace('_', '-')} is {least}; it must be at least 1")
        gpus = self.gpus_per_worker
        if gpus is None:
            return
        if self.device == "cpu":
            raise ClusterError(f"--gpus-per-worker is {gpus:g}, and --device cpu uses none; leave one out")
        if not (0 < gpus <= 1 or (gpus > 1 and gpus == int(gpus))):
            raise ClusterError(f"--gpus-per-worker is {gpus:g}; it must be a share of one GPU, or whole ones")


@dataclass(frozen=True)
class Options:
    """How scoring runs; nothing here changes a score.

    Attributes:
        batch_size: Images in a batch. On a CPU a thread computes up to eight of them (`network_threads`).
        workers: Decoding threads; None for one a core, at most 8. Of a cluster's worker: its CPUs.
        work_dir: Where finished parts are kept and an interrupted run continues.
        progress: Show a bar.
        cluster: Where to score; None for this process.

    Raises:
        SettingError: A batch of no size.
    """

    batch_size: int = 32
    workers: int | None = None
    work_dir: Path | None = None
    progress: bool = True
    cluster: RayCluster | None = None

    def __post_init__(self) -> None:
        size = self.batch_size
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise SettingError(f"batch_size is {size!r}; it must be a whole number of at least 1")
