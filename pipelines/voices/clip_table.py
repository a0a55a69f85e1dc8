"""Clips of voices as one table, whatever layout they came in.

Enters: a folder or a table. Leaves: a `ClipTable`.

    clip_id   str, unique: the path below the root
    path      str, where the file is
    speaker   str
    session   str or None: clips of one recording share it, such as a video
    ...       the attributes: text, None where unknown

    FOLDER with vox1_meta.csv   VoxCeleb, see `voxceleb`
    FOLDER with validated.tsv   Common Voice, or the .tsv itself, see `common_voice`
    FOLDER                      speaker/clip.wav, with labels in speakers.csv, labels.csv or another table
    TABLE                       CSV or Parquet: path, speaker, any attributes; paths from the table's folder

Why a session beside the speaker: two clips of one video share microphone, room and mood. To recognise them as
one person is easy and proves little, so trials of the same speaker are taken across sessions where they can.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from pipelines.errors import ClipsNotFound, ClipTableError, UnreadableFile
from pipelines.untrusted import csv_separator, read_csv, read_parquet
from pipelines.visible import encodable

COLUMNS: Final = ("clip_id", "path", "speaker", "session")
AUDIO: Final = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".m4a")
"""Endings of files that are taken for clips; what is in them is for `sound` to say."""
LABEL_FILES: Final = ("speakers.csv", "labels.csv")
_PATHS: Final = ("path", "clip", "file", "filename")
_MISSING: Final = frozenset({"", "nan", "na", "n/a", "none", "null", "unknown", "-"})
_RESERVED: Final = frozenset({*COLUMNS, "status", "detail", "same", "score", "part", "hard", "trial_id"})


@dataclass(frozen=True)
class ClipTable:
    """Clips with their speakers and labels."""

    root: Path
    """The folder they lie in."""
    table: pd.DataFrame
    """One row a clip, the columns of the module's docstring, sorted by clip_id."""
    attributes: tuple[str, ...]
    layout: str
    """"voxceleb", "common voice", "folders" or "table"."""
    notes: tuple[str, ...] = ()
    """What a person should know about how it was read."""


def read_clips(place: str | Path, labels: str | Path | None = None) -> ClipTable:
    """Read clips, wherever and however they lie.

    Args:
        place: A folder or a table, see the module's docstring.
        labels: For folders: a table with a column `speaker` and the attributes.

    Raises:
        ClipsNotFound: nothing there, or no clip in it.
        ClipTableError: a table that lacks a column, or contradicts itself.
    """
    from pipelines.voices.common_voice import TSV, read_common_voice
    from pipelines.voices.voxceleb import META, read_voxceleb

    root = Path(place)
    if root.is_dir() and labels is None and (root / META).is_file():
        return read_voxceleb(root)
    if root.suffix == ".tsv" or (root / TSV).is_file():
        return read_common_voice(root)
    if root.is_dir():
        return _of_folders(root, Path(labels) if labels is not None else None)
    if root.is_file():
        return _of_table(root)
    raise ClipsNotFound(
        f"no clips at {root}: name a folder of speaker/clip.wav, VoxCeleb's or Common Voice's, or a table"
    )


def clip_table(
    root: Path, rows: pd.DataFrame, attributes: Sequence[str], layout: str, notes: Sequence[str] = ()
) -> ClipTable:
    """Rows as a table, checked; a column that is not there is None throughout.

    Raises:
        ClipsNotFound: no row.
        ClipTableError: a clip that comes twice, no speaker, or control characters in a name.
    """
    table = rows.reindex(columns=[*COLUMNS, *attributes])
    if table.empty:
        raise ClipsNotFound(f"{root} holds no clips ({', '.join(AUDIO)})")
    table["clip_id"] = [encodable(name) for name in table["clip_id"]]
    for name in ("speaker", "session", *attributes):
        table[name] = pd.Series([_word(value) for value in table[name]], index=table.index, dtype=object)
    _check(root, table, attributes)
    table = table.sort_values("clip_id", ignore_index=True)
    known = [name for name in attributes if table[name].notna().any()]
    gone = [name for name in attributes if name not in known]
    more = [f"No clip has a {name}." for name in gone]
    unknown = [
        f"{n} of {len(table)} clips have no {name}." for name in known if (n := int(table[name].isna().sum()))
    ]
    return ClipTable(root, table.drop(columns=gone), tuple(known), layout, (*notes, *more, *unknown))


def _check(root: Path, table: pd.DataFrame, attributes: Sequence[str]) -> None:
    twice = table["clip_id"].duplicated()
    if twice.any():
        raise ClipTableError(
            f"{root}: the clip {table.loc[twice, 'clip_id'].iloc[0]} comes twice; take one row away"
        )
    nobody = table["speaker"].isna()
    if nobody.any():
        raise ClipTableError(
            f"{root}: the clip {table.loc[nobody, 'clip_id'].iloc[0]} has no speaker; name one, or take the "
            "row away"
        )
    for name in ("clip_id", "speaker", *attributes):
        for value in table[name].dropna().unique():
            if any(unicodedata.category(c) == "Cc" for c in value):
                raise ClipTableError(f"{root}: {name} is {value!r}, which holds control characters")


def _word(value: object) -> str | None:
    text = "" if value is None or value is pd.NA else str(value).strip()
    return None if text.lower() in _MISSING else text


def audio_files(folder: Path) -> list[Path]:
    """Every file below a folder that is taken for a clip, by name."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO and p.is_file())


def labels_of_speakers(path: Path) -> pd.DataFrame:
    """One row a speaker, its attributes as columns, from a table with a column `speaker`.

    Raises:
        ClipTableError: no such column, a speaker that comes twice, or a column with a name of ours.
    """
    frame = _frame(path)
    frame = frame.rename(columns={name: str(name).strip().lower() for name in frame.columns})
    if "speaker" not in frame:
        raise ClipTableError(f"{path} has no column 'speaker'; it has {', '.join(frame.columns)}")
    frame["speaker"] = frame["speaker"].astype(str).str.strip()
    twice = frame["speaker"].duplicated()
    if twice.any():
        raise ClipTableError(f"{path}: the speaker {frame.loc[twice, 'speaker'].iloc[0]} comes twice")
    labels = frame.set_index("speaker")
    _attributes(path, list(labels.columns))
    return labels


def _attributes(path: Path, names: list[str]) -> list[str]:
    clash = sorted(set(names) & _RESERVED)
    if clash:
        raise ClipTableError(
            f"{path} has a column {clash[0]!r}, a name that this program uses itself: rename it"
        )
    return names


def _frame(path: Path) -> pd.DataFrame:
    """A CSV or Parquet table of strangers."""
    try:
        if path.suffix == ".parquet":
            return read_parquet(path)
        return read_csv(path, csv_separator(path))
    except (UnreadableFile, ValueError) as fault:
        raise ClipTableError(str(fault)) from None


def _of_folders(root: Path, labels: Path | None) -> ClipTable:
    """speaker/clip.wav, also speaker/session/clip.wav."""
    if labels is None:
        labels = next((root / name for name in LABEL_FILES if (root / name).is_file()), None)
    elif not labels.is_file():
        raise ClipsNotFound(f"no table of labels at {labels}")
    rows = speaker_folders(root, 0)
    if labels is not None:
        return clip_table(root, *labelled(rows, labels_of_speakers(labels), labels.name, "folders"))
    note = f"No labels: neither {' nor '.join(LABEL_FILES)} is there, so nothing can be audited by group."
    return clip_table(root, rows, (), "folders", [note])


def speaker_folders(root: Path, depth: int) -> pd.DataFrame:
    """Rows of .../speaker/clip.wav and .../speaker/session/clip.wav.

    Args:
        root: Where to look.
        depth: Folders above those of the speakers.
    """
    rows = []
    for path in audio_files(root):
        parts = tuple(map(encodable, path.relative_to(root).parts[depth:]))
        if len(parts) > 1:
            session = "/".join(parts[1:-1]) or None
            rows.append(("/".join(parts), str(path), parts[0], session))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def labelled(
    rows: pd.DataFrame, labels: pd.DataFrame, where: str, layout: str
) -> tuple[pd.DataFrame, list[str], str, list[str]]:
    """Rows with the labels of their speakers: all that `clip_table` takes besides the folder."""
    strangers = sorted(set(rows["speaker"]) - set(labels.index))
    notes = [f"{len(strangers)} speakers are not in {where}, such as {strangers[0]}."] if strangers else []
    return rows.join(labels, on="speaker"), list(labels.columns), layout, notes


def _of_table(path: Path) -> ClipTable:
    frame = _frame(path)
    lower = {str(name).strip().lower(): name for name in reversed(list(frame.columns))}
    column = next((lower[name] for name in _PATHS if name in lower), None)
    if column is None or "speaker" not in lower:
        lacking = "'speaker'" if column is not None else "of paths (path, clip or file)"
        raise ClipTableError(f"{path} has no column {lacking}; it has {', '.join(map(str, frame.columns))}")
    taken = {column, lower["speaker"], lower.get("session"), lower.get("clip_id")}
    attributes = _attributes(path, [name for name in frame.columns if name not in taken])
    rows = frame[attributes].assign(
        clip_id=frame[lower.get("clip_id", column)],
        path=[str(path.parent / str(place)) for place in frame[column]],
        speaker=frame[lower["speaker"]],
        session=frame[lower["session"]] if "session" in lower else None,
    )
    return clip_table(path.parent, rows, attributes, "table")
