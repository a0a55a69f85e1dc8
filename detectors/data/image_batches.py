"""Image files to uint8 tensors, each decoded once, ahead of the network that waits for them.

Enters: paths and the sizes that networks want. Leaves: batches, and for every file that cannot be read a
reason.

Why threads and not processes: Pillow decodes without holding Python's lock (measured here: 2,060 PNGs of
128 px a second in one thread, 3,950 in two), and threads share memory, start at once and cannot outlive us.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from detectors.data.face_crops import SharedFinder, framed
from detectors.data.preprocessing import Preprocessing, fit
from pipelines import places
from pipelines.errors import PhotoError
from pipelines.sources.photos import decode, read_bytes

BATCHES_AHEAD = 3


@dataclass(frozen=True)
class Unreadable:
    """An image file that gives no tensor.

    Attributes:
        reason: A few fixed words, to count by.
        detail: One sentence for people.
    """

    reason: str
    detail: str


@dataclass(frozen=True)
class Batch:
    """Images decoded together.

    Attributes:
        rows: Positions in the list of paths of those that could be read.
        images: One [B, 3, S, S] uint8 tensor for each preprocessing asked for.
        unreadable: Position to reason, for the others.
        contents: Position to what lay in the file, see `content_of`.
    """

    rows: list[int]
    images: list[Tensor]
    unreadable: dict[int, Unreadable]
    contents: dict[int, str]


Fitted = list[Tensor] | Unreadable


def read_fitted(
    path: str | Path, preprocessings: Sequence[Preprocessing], finder: SharedFinder | None = None
) -> list[Tensor] | Unreadable:
    """Decode one file once and frame and resize it for each network.

    Args:
        path: The file.
        preprocessings: One for each network.
        finder: Finds faces, for networks that want them cut out; made anew where None.

    Returns:
        One [3, S, S] uint8 tensor for each preprocessing, or why not.
    """
    return _read(path, preprocessings, finder)[0]


def _read(
    path: str | Path, preprocessings: Sequence[Preprocessing], finder: SharedFinder | None
) -> tuple[Fitted, str]:
    """What `read_fitted` says, and the content of exactly those bytes."""
    try:
        data = read_bytes(Path(path))
    except PhotoError as error:
        return Unreadable(error.reason, str(error)), _without_bytes(error)
    content = hashlib.sha256(data).hexdigest()
    try:
        pixels, _ = decode(data, Path(path).name)
        return [fit(_to_tensor(framed(pixels, p, finder)), p) for p in preprocessings], content
    except PhotoError as error:
        return Unreadable(error.reason, str(error)), content


def content_of(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, or why it has none: equal where reading it gives the same."""
    try:
        return hashlib.sha256(read_bytes(Path(path))).hexdigest()
    except PhotoError as error:
        return _without_bytes(error)


def contents_of(paths: Sequence[str | Path], workers: int | None = None) -> list[str]:
    """`content_of` each file, read in threads."""
    with ThreadPoolExecutor(_threads(paths, workers)) as pool:
        return list(pool.map(content_of, paths))


def _without_bytes(error: PhotoError) -> str:
    return f"{error.reason}: {error}"


def _threads(paths: Sequence[str | Path], workers: int | None) -> int:
    """One a core; more for files in a store, each of which is waited for."""
    if len(paths) and places.is_copy(paths[0]):
        return max(workers or 0, places.READERS)
    return workers or min(8, os.cpu_count() or 1)


def _to_tensor(pixels: npt.NDArray[np.uint8]) -> Tensor:
    """[H, W, 3] pixels as a [3, H, W] tensor of its own memory."""
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)


def read_batches(
    paths: Sequence[str | Path],
    preprocessings: Sequence[Preprocessing],
    batch_size: int,
    workers: int | None = None,
    finder: SharedFinder | None = None,
) -> Iterator[Batch]:
    """Decode files in threads, a few batches ahead of the reader.

    Args:
        paths: The files, in the order wanted.
        preprocessings: One for each network that reads along.
        batch_size: Files in a batch (readable or not), so that equal lists give equal batches.
        workers: Decoding threads; default one per core, at most 8.
        finder: Finds faces, for networks that want them cut out; made anew where None.

    Yields:
        One batch for each `batch_size` paths, in order.
    """
    rows = [list(range(i, min(i + batch_size, len(paths)))) for i in range(0, len(paths), batch_size)]
    finder = finder or SharedFinder()
    pool = ThreadPoolExecutor(_threads(paths, workers))

    def submit(batch: list[int]) -> list[Future[tuple[Fitted, str]]]:
        return [pool.submit(_read, paths[row], preprocessings, finder) for row in batch]

    try:
        waiting = iter(rows)
        queue = deque((batch, submit(batch)) for batch in islice(waiting, BATCHES_AHEAD))
        while queue:
            batch, futures = queue.popleft()
            results = [future.result() for future in futures]
            queue.extend((later, submit(later)) for later in islice(waiting, 1))
            yield _collate(batch, results, len(preprocessings))
    finally:
        pool.shutdown(cancel_futures=True)


def _collate(rows: list[int], read: Sequence[tuple[Fitted, str]], n: int) -> Batch:
    """Stack what could be read; keep the reasons of the rest."""
    results = [fitted for fitted, _ in read]
    readable = [result for result in results if not isinstance(result, Unreadable)]
    return Batch(
        rows=[row for row, result in zip(rows, results, strict=True) if not isinstance(result, Unreadable)],
        images=[torch.stack([images[i] for images in readable]) for i in range(n)] if readable else [],
        unreadable={
            row: result for row, result in zip(rows, results, strict=True) if isinstance(result, Unreadable)
        },
        contents={row: content for row, (_, content) in zip(rows, read, strict=True)},
    )
