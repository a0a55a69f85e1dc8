"""VoxCeleb as it is published: id10001/VIDEO/00001.wav beside vox1_meta.csv.

A folder enters; a `ClipTable` leaves, with the attributes gender and nationality, in the table's own words;
the session is the video. Clips may lie in the folder itself or below wav/, dev/wav/ or test/wav/.

vox1_meta.csv is separated by tabs: VoxCeleb1 ID, VGGFace1 ID, Gender, Nationality, Set. The set (dev, test)
is not taken over: parts are dealt by `trial_lists`, and the published test list is read by
`trials_folder.read_trial_list`.

Source: Nagrani, Chung and Zisserman, Interspeech 2017.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from pipelines.errors import ClipsNotFound, ClipTableError, UnreadableFile
from pipelines.untrusted import csv_separator, read_csv
from pipelines.voices.clip_table import ClipTable, clip_table, labelled, speaker_folders

META: Final = "vox1_meta.csv"
_GENDERS: Final = {"m": "male", "f": "female"}


def read_voxceleb(root: Path) -> ClipTable:
    """Read VoxCeleb's folder.

    Raises:
        ClipsNotFound: no clip in folders called like id10001.
        ClipTableError: vox1_meta.csv lacks a column.
    """
    labels = _meta(root / META)
    folders = {path.parent for path in root.glob("**/id[0-9][0-9][0-9][0-9][0-9]") if path.is_dir()}
    if not folders:
        raise ClipsNotFound(f"{root} holds no clips in folders called like id10001")
    rows = pd.concat([speaker_folders(folder, 0) for folder in sorted(folders)], ignore_index=True)
    rows = rows[rows["speaker"].str.fullmatch(r"id\d{5}")]
    return clip_table(root, *labelled(rows, labels, META, "voxceleb"))


def _meta(path: Path) -> pd.DataFrame:
    """Gender and nationality of each speaker."""
    try:
        frame = read_csv(path, csv_separator(path))
    except (UnreadableFile, ValueError) as fault:
        raise ClipTableError(str(fault)) from None
    frame = frame.rename(columns=lambda name: name.strip())
    for column in ("VoxCeleb1 ID", "Gender", "Nationality"):
        if column not in frame:
            raise ClipTableError(f"{path} has no column {column!r}; it has {', '.join(frame.columns)}")
    gender = frame["Gender"].str.strip()
    found = pd.DataFrame({"gender": gender.map(_GENDERS).fillna(gender), "nationality": frame["Nationality"]})
    return found.set_index(frame["VoxCeleb1 ID"].str.strip().rename("speaker"))
