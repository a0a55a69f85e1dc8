"""Networks on the CPU: a few images in one thread, and as many of these at once as torch has threads.

Enters: detectors and decoded images. Leaves: their scores, in their places of an array.

Why not all threads on one batch: threads meet after every layer, and where one of them is decoding a file, or
the system runs something else on its core, the others wait for it. A thread with images of its own waits for
nobody. It also rounds alike however many threads there are, so that a run may continue with more or fewer.
Why only networks whose code is torch's, torchvision's, timm's or ours, and which are not in training: of
others nothing says that two threads may call them at once.
Why eight images: fewer waste the network (its weights are read anew for each), more fill the memory of a
machine with many cores.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from detectors.data.preprocessing import to_unit
from detectors.models.detector import Detector

IMAGES_A_THREAD = 8
_KNOWN = ("torch.nn.modules", "torchvision", "timm", "detectors")
"""Packages whose networks are known to be safe in several threads at once."""
Floats = npt.NDArray[np.float64]


def forward(detector: Detector, images: Tensor) -> Floats:
    """Score one decoded batch, in this thread.

    Args:
        detector: The detector.
        images: [B, 3, S, S] uint8.

    Returns:
        [B] float64.
    """
    return detector.score(to_unit(images.to(detector.device, non_blocking=True))).numpy()


def one_thread_each(scorer: object) -> bool:
    """Whether a scorer's images are divided among threads, instead of the work on each among all threads."""
    if (
        not isinstance(scorer, Detector)
        or scorer.device != "cpu"
        or not isinstance(scorer.network, nn.Module)
    ):
        return False
    return all(_is_known(module) for module in scorer.network.modules())


def _is_known(module: nn.Module) -> bool:
    where, hooked = type(module).__module__, module._forward_hooks or module._forward_pre_hooks
    return not (hooked or module.training) and any(
        where == name or where.startswith(f"{name}.") for name in _KNOWN
    )


class NetworkThreads:
    """The threads of this process that networks compute in; begun when first needed."""

    def __init__(self) -> None:
        self.n = torch.get_num_threads()
        self._pool: ThreadPoolExecutor | None = None

    def pool(self) -> ThreadPoolExecutor:
        """`n` threads in each of which torch uses one thread."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.n, "network", torch.set_num_threads, (1,))
            begun = Barrier(self.n)
            list(self._pool.map(lambda _: begun.wait(), range(self.n)))
            torch.set_num_threads(self.n)  # each of them has set what later threads begin with
        return self._pool

    def close(self) -> None:
        """End the threads; what they have begun is finished, what waits is not."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


class Scoring:
    """Scores on their way into an array.

    Args:
        threads: Where networks compute.
        scores: float64 [N], filled in place.
    """

    def __init__(self, threads: NetworkThreads, scores: Floats) -> None:
        self._threads, self._scores = threads, scores
        self._waiting: deque[tuple[npt.NDArray[np.intp], Future[Floats]]] = deque()

    def add(self, detector: Detector, places: npt.ArrayLike, images: Tensor) -> None:
        """Score a batch; waits while twice as much as the threads can do at once is on its way.

        Args:
            detector: The detector.
            places: B positions in the array.
            images: [B, 3, S, S] uint8.
        """
        at = np.asarray(places, np.intp)
        if not one_thread_each(detector):
            self._scores[at] = forward(detector, images)
            return
        for start in range(0, len(at), IMAGES_A_THREAD):
            mine = slice(start, start + IMAGES_A_THREAD)
            if self._threads.n == 1:
                self._scores[at[mine]] = forward(detector, images[mine])
                continue
            while len(self._waiting) >= 2 * self._threads.n:
                self._take()
            done = self._threads.pool().submit(forward, detector, images[mine])
            self._waiting.append((at[mine], done))

    def finish(self) -> None:
        """Wait for everything."""
        while self._waiting:
            self._take()

    def _take(self) -> None:
        at, done = self._waiting[0]
        self._scores[at] = done.result()
        self._waiting.popleft()
