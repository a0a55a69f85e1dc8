"""Common Voice as it is published: validated.tsv beside clips/.

The .tsv or its folder enters; a `ClipTable` leaves, with the attributes age, gender and accent, in the
table's own words. Its column of accents is called `accent` in older releases, `accents` in newer ones.

Why quotes are letters here: the sentences hold quotes that belong to them, and the file is written without
quoting.
Why a client_id is a speaker: it is one account. Common Voice asks people to use one account each, and cannot
see to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from pipelines.errors import ClipsNotFound, ClipTableError, UnreadableFile
from pipelines.untrusted import read_csv
from pipelines.voices.clip_table import ClipTable, clip_table

TSV: Final = "validated.tsv"
_ATTRIBUTES: Final = {"age": ("age",), "gender": ("gender",), "accent": ("accents", "accent")}


def read_common_voice(place: Path) -> ClipTable:
    """Read a release of one language.

    Args:
        place: The folder, or one of its tables.

    Raises:
        ClipsNotFound: no such table, or no row.
        ClipTableError: it lacks a column, or a line has not as many fields as the header.
    """
    path = place / TSV if place.is_dir() else place
    if not path.is_file():
        raise ClipsNotFound(f"no table at {path}")
    try:
        frame = read_csv(path, "\t", quoted=False)
    except (UnreadableFile, ValueError) as fault:
        raise ClipTableError(str(fault)) from None
    for column in ("client_id", "path"):
        if column not in frame:
            raise ClipTableError(f"{path} has no column {column!r}; it has {', '.join(frame.columns)}")
    named = {
        name: next((column for column in columns if column in frame), None)
        for name, columns in _ATTRIBUTES.items()
    }
    labels = {name: frame[column] for name, column in named.items() if column is not None}
    places = [str(path.parent / "clips" / name) for name in frame["path"]]
    rows = pd.DataFrame({"clip_id": frame["path"], "path": places, "speaker": frame["client_id"], **labels})
    return clip_table(path.parent, rows, list(labels), "common voice")
