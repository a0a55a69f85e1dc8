"""Images of many requests to scores, in one network's batches.

Enters: uint8 tensors [n, 3, S, S] from any thread. Leaves: their scores, as futures.

Why nothing waits for a batch to fill: while the network computes one batch, the next gathers by itself. A
lone client is answered at once, and many share the cost of a call.
Why one thread: a network on all cores gains nothing from a second caller, and its memory stays that of one
batch.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audit.serving.problems import Problem, busy
from detectors.errors import ExpectedError
from detectors.models.detector import Detector
from detectors.scoring.network_threads import forward

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Job:
    images: Tensor
    scores: Future[Scores]


class Batcher:
    """The network's only caller.

    Args:
        detector: What scores.
        batch_images: Images in a batch at most; a larger request is a batch of its own.
        waiting: Requests that may wait; the next one is told to come again.
    """

    def __init__(self, detector: Detector, batch_images: int = 32, waiting: int = 256) -> None:
        self._detector, self._batch_images = detector, batch_images
        self._jobs: queue.Queue[_Job | None] = queue.Queue(waiting)
        self.largest_batch = 0
        """Images of the largest batch so far."""
        self._thread = threading.Thread(target=self._work, name="network", daemon=True)
        self._thread.start()

    def submit(self, images: Tensor) -> Future[Scores]:
        """Have images scored.

        Args:
            images: [n, 3, S, S] uint8.

        Returns:
            A future of [n] float64 in 0-1, higher = more fake.

        Raises:
            Problem: 503, too many wait already.
        """
        job = _Job(images, Future())
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise busy(1, "too many images wait for the network; try again in a second") from None
        return job.scores

    def close(self) -> None:
        """Score what waits, then end."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        ended = False
        while not ended:
            jobs: list[_Job] = []
            job = self._jobs.get()
            while job is not None:
                jobs.append(job)
                if sum(len(each.images) for each in jobs) >= self._batch_images:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            ended = job is None
            if jobs:
                self._score(jobs)

    def _score(self, jobs: list[_Job]) -> None:
        batch = torch.cat([job.images for job in jobs])
        self.largest_batch = max(self.largest_batch, len(batch))
        try:
            scores = forward(self._detector, batch)
        except ExpectedError as error:
            self._fail(jobs, Problem(500, "detector-failed", "The detector failed", str(error)))
            return
        except Exception as error:  # a network of strangers may raise anything; its callers must hear of it
            self._fail(jobs, error)
            return
        for job, part in zip(
            jobs, np.split(scores, np.cumsum([len(j.images) for j in jobs])[:-1]), strict=True
        ):
            job.scores.set_result(part)

    def _fail(self, jobs: list[_Job], error: Exception) -> None:
        for job in jobs:
            job.scores.set_exception(error)
