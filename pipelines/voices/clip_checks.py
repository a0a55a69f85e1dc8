"""Every clip read once, before trials are made of it: what is usable, and why the rest is not.

A `ClipTable` and a `Listening` enter; the table leaves with a row a clip and these columns besides:

    status         "ok", or the reason of a `ClipError`
    detail         a sentence about that, or ""
    seconds        float: how long the file lasts; NaN where it cannot be read
    rate_hz        its own rate, and
    n_channels     its channels; missing where it cannot be read
    clipped_share  of its samples, at full scale
    sha256         of its bytes, or None

Why threads: decoding and resampling leave Python's lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from pipelines.errors import ClipError
from pipelines.voices.clip_table import ClipTable
from pipelines.voices.windows import Listening, read_voice

OK: Final = "ok"
ONE_CLIP: Final = "speaker with one usable clip"
NOT_CHOSEN: Final = "beyond the limit of clips"
CHECKED: Final = ("status", "detail", "seconds", "rate_hz", "n_channels", "clipped_share", "sha256")


def chosen(clips: ClipTable, max_speakers: int | None, max_clips: int | None, seed: int) -> ClipTable:
    """A smaller table: so many speakers, and so many clips of each, drawn by the seed."""
    random = np.random.default_rng([seed, 1])
    table = clips.table
    if max_speakers is not None:
        names = sorted(table["speaker"].unique())
        kept = set(random.permutation(names)[:max_speakers])
        table = table[table["speaker"].isin(kept)]
    if max_clips is not None:
        order = pd.Series(random.permutation(len(table)), index=table.index)
        table = table[order.groupby(table["speaker"]).rank() <= max_clips]
    n_out = len(clips.table) - len(table)
    notes = [f"{n_out} of {len(clips.table)} clips were left out by the limits."] if n_out else []
    table = table.reset_index(drop=True)
    return ClipTable(clips.root, table, clips.attributes, clips.layout, (*clips.notes, *notes))


def check_clips(
    clips: ClipTable,
    listening: Listening,
    workers: int | None = None,
    advance: Callable[[int], None] = lambda n: None,
) -> pd.DataFrame:
    """Read every clip, and say of each whether a verifier can listen to it.

    Args:
        clips: The clips.
        listening: Rate and length of the window.
        workers: Threads; by default as many as there are processors.
        advance: Told of every clip that is done.

    Returns:
        The table with the columns `CHECKED`. A speaker with a single usable clip is told `ONE_CLIP`: nothing
        can be said of whether it is recognised again.
    """

    def look(path: str) -> dict[str, Any]:
        found = _look(Path(path), listening)
        advance(1)
        return found

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        seen = pd.DataFrame(list(pool.map(look, clips.table["path"])), columns=list(CHECKED))
    for name in ("rate_hz", "n_channels"):
        seen[name] = seen[name].astype("Int64")
    table = pd.concat([clips.table.reset_index(drop=True), seen], axis=1)
    n_usable = (table["status"] == OK).groupby(table["speaker"]).transform("sum")
    alone = (table["status"] == OK) & (n_usable == 1)
    table.loc[alone, "status"] = ONE_CLIP
    table.loc[alone, "detail"] = "a speaker needs two usable clips to be recognised again"
    return table


def _look(path: Path, listening: Listening) -> dict[str, Any]:
    try:
        _, sound = read_voice(path, listening)
    except ClipError as fault:
        return {"status": fault.reason, "detail": str(fault), "seconds": np.nan, "clipped_share": np.nan}
    return {
        "status": OK,
        "detail": "",
        "seconds": sound.seconds,
        "rate_hz": sound.rate_hz,
        "n_channels": sound.n_channels,
        "clipped_share": sound.clipped_share,
        "sha256": sound.sha256,
    }
