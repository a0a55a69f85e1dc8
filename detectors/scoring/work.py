"""What is done with a part of many files, and where.

Enters: detectors and a `Work`, which says what is done with the files in some positions. Leaves: an `Engine`
that does it, here; `ray_workers` has the one of a cluster.

Why a work is plain data and is given its detectors: it is sent to other machines, and networks stay where
they were loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from detectors.data.face_crops import SharedFinder
from detectors.models.detector import Detector
from detectors.scoring.network_threads import NetworkThreads
from detectors.scoring.resume import Identity, identity_of

Advance = Callable[[int], None]


class Tools:
    """What all parts of a run share within a process.

    Attributes:
        workers: Decoding threads; None for one a core, at most 8.
        finder: Finds faces.
        threads: Compute networks.
    """

    def __init__(self, workers: int | None) -> None:
        self.workers = workers
        self.finder = SharedFinder()
        self.threads = NetworkThreads()


class Work(Protocol):
    """What is done with a part of the files."""

    def part(self, detectors: Sequence[Detector], tools: Tools, rows: range, advance: Advance) -> Any:
        """Do it for the files in these positions.

        Args:
            detectors: Loaded, in order.
            tools: Of this process.
            rows: Positions of the files.
            advance: Is told of files done.
        """
        ...


class Engine(Protocol):
    """Where parts are worked on."""

    @property
    def identity(self) -> Identity:
        """What the last bits of scores depend on there."""
        ...

    def run(self, parts: Sequence[range], advance: Advance) -> Iterator[tuple[range, Any]]:
        """Work through parts.

        Yields:
            Each part and what was made of it as soon as it is finished, in any order.
        """
        ...


class Here:
    """This process, one part after the other."""

    def __init__(self, detectors: Sequence[Detector], work: Work, workers: int | None) -> None:
        self._detectors, self._work, self._tools = detectors, work, Tools(workers)

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        self._tools.threads.close()

    @property
    def identity(self) -> Identity:
        """What the last bits of scores depend on here."""
        return identity_of(self._detectors)

    def run(self, parts: Sequence[range], advance: Advance) -> Iterator[tuple[range, Any]]:
        """Work through parts, in order."""
        for part in parts:
            yield part, self._work.part(self._detectors, self._tools, part, advance)
