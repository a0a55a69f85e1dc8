"""The file facts of a data set: every file read once, a few at a time.

Enters: labelled images. Leaves: one row an image with its facts, how it was written, and a reason where it
cannot be read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detectors.progress import progress_bar
from pipelines.errors import PhotoError
from pipelines.sources.file_facts import NAMES, file_facts
from pipelines.sources.photos import decode, read_bytes
from pipelines.sources.rewrite import Written, written

READABLE = "ok"
AT_ONCE = 256
"""Files that are handed to the threads together; of each only its numbers stay in memory."""


@dataclass(frozen=True)
class FileFacts:
    """Facts of N files.

    Attributes:
        values: float64 [N, len(NAMES)], in the order of `NAMES`; NaN where a fact does not apply.
        how: How each was written; None where it cannot be read.
        status: "ok", or why a file cannot be read.
        detail: A sentence for people.
    """

    values: npt.NDArray[np.float64]
    how: list[Written | None]
    status: list[str]
    detail: list[str]


def facts_of(paths: Sequence[str], workers: int | None = None, progress: bool = True) -> FileFacts:
    """Read the facts of files.

    Args:
        paths: N files.
        workers: Threads; default one a core, at most 8.
        progress: Draw a bar.
    """
    rows = []
    with (
        progress_bar("Reading files", len(paths), progress) as advance,
        ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool,
    ):
        for start in range(0, len(paths), AT_ONCE):
            for row in pool.map(_facts, paths[start : start + AT_ONCE]):
                rows.append(row)
                advance(1)
    values, how, status, detail = zip(*rows, strict=True)
    return FileFacts(np.array(values, dtype=np.float64), list(how), list(status), list(detail))


def _facts(path: str) -> tuple[list[float], Written | None, str, str]:
    try:
        data = read_bytes(Path(path))
        pixels, _ = decode(data, Path(path).name)
    except PhotoError as error:
        return [np.nan] * len(NAMES), None, error.reason, str(error)
    found = file_facts(data, pixels)
    return [found[name] for name in NAMES], written(data, pixels), READABLE, ""
