"""Reads UTKFace: a folder of photos whose names are their labels, AGE_GENDER_RACE_DATE.jpg.

A folder enters; a `FaceTable` leaves. Races are UTKFace's own five words, kept as they are; an age in years
becomes one of FairFace's groups. A file whose name lacks a label is left out, counted and said.

Source: the data set's page (Zhang, Song and Qi, CVPR 2017): gender 0 male, 1 female; race 0 White, 1 Black,
2 Asian, 3 Indian, 4 Others.
"""

import hashlib
import re
from pathlib import Path
from typing import Final

import pandas as pd

from pipelines.errors import FairFaceNotFound, LabelColumnError
from pipelines.sources.face_table import OLDEST, FaceTable, age_group

GENDERS: Final = ("Male", "Female")
RACES: Final = ("White", "Black", "Asian", "Indian", "Others")
_NAME: Final = re.compile(
    r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_(?P<date>\d+)(?:\.jpg)?(?:\.chip)?\.(?:jpg|jpeg|png)",
    re.IGNORECASE,
)
_IMAGES: Final = (".jpg", ".jpeg", ".png")


def read_utkface(folder: str | Path) -> FaceTable:
    """Read UTKFace's folder, and the folders in it.

    Raises:
        FairFaceNotFound: no such folder.
        LabelColumnError: no photo in it has a name of this form, or two have the same.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FairFaceNotFound(f"UTKFace folder {root} is not there; name it with --utkface DIR")
    files = sorted(p for p in root.rglob("*") if p.suffix.lower() in _IMAGES)
    known = [(p, m) for p in files if (m := _NAME.fullmatch(p.name)) and int(m["age"]) <= OLDEST]
    if not known:
        raise LabelColumnError(
            f"{root}: none of {len(files)} images is called like 25_1_3_20170116003505432.jpg (age, "
            "gender, race, date)"
        )
    rows = pd.DataFrame([_row(root, path, found) for path, found in known])
    rows = rows.sort_values("pair_id", ignore_index=True)
    twice = rows["pair_id"].duplicated()
    if twice.any():
        raise LabelColumnError(
            f"{root} has two photos called {rows.loc[twice, 'pair_id'].iloc[0]}; take one away"
        )
    rows["service_test"] = pd.Series([None] * len(rows), dtype="boolean")
    labels = rows.drop(columns="path").to_csv(index=False).encode()
    return FaceTable(
        root, rows, "utkface", hashlib.sha256(labels).hexdigest(), (root,), notes=_left_out(files, known)
    )


def _row(root: Path, path: Path, found: re.Match[str]) -> dict[str, str]:
    return {
        "pair_id": f"utk-{path.name.split('.')[0]}",
        "source": path.relative_to(root).as_posix(),
        "path": str(path),
        "age": age_group(int(found["age"])),
        "gender": GENDERS[int(found["gender"])],
        "race": RACES[int(found["race"])],
    }


def _left_out(files: list[Path], known: list[tuple[Path, re.Match[str]]]) -> tuple[str, ...]:
    """What was not read, if anything."""
    notes = ["Races are UTKFace's own five words; ages in years were put into FairFace's groups."]
    rest = sorted({*files} - {path for path, _ in known})
    if rest:
        notes.append(
            f"{len(rest)} images have no readable labels in their names and were left out: {rest[0].name} ..."
        )
    return tuple(notes)
