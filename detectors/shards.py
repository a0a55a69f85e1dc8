"""Finished parts of a long scoring run on disk, so that an interrupted run continues.

Enters: the scores of a few thousand images, the position of the first one, a key that changes with everything
that could change a score. Leaves: the same scores, later.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from pipelines.storage import write_bytes


class Shards:
    """The finished parts of one run."""

    def __init__(self, folder: Path | None, key: str) -> None:
        self.folder = folder / f"scores-{key}" if folder else None

    def _path(self, start: int) -> Path | None:
        return self.folder / f"{start:09d}.parquet" if self.folder else None

    def read(self, start: int) -> pd.DataFrame | None:
        """The part that begins at an image, if it was finished."""
        path = self._path(start)
        return pd.read_parquet(path) if path and path.is_file() else None

    def write(self, start: int, part: pd.DataFrame) -> None:
        """Keep a finished part."""
        path = self._path(start)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, part.to_parquet(index=False))

    def remove(self) -> None:
        """Drop all parts: the run is complete."""
        if self.folder and self.folder.is_dir():
            shutil.rmtree(self.folder)
