"""Reads FairFace's label tables and finds its photos.

A folder enters, as FairFace is published or as people unzip it (one level of wrapping folders), or with the
hub's Parquet files; a `FaceTable` leaves: one row a photo, labels checked against the closed vocabulary.

Why ages are repaired here and nothing else is: copies of these tables that went through a
spreadsheet carry dates where ages were ("3-9" became "9-Mar"). That damage is well known and has
one reading, so it is repaired and counted. Any other unknown word could mean anything and stops
the reading with the file, the row and the value.
"""

import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import Final

import pandas as pd

from pipelines.errors import FairFaceNotFound, LabelColumnError, LabelVocabularyError
from pipelines.labels import ATTRIBUTES, VOCABULARY
from pipelines.rendered import MARKER
from pipelines.sources.face_table import FaceTable
from pipelines.sources.fairface_parquet import parquet_parts, read_parquet_layout
from pipelines.untrusted import read_csv

SPLITS: Final = ("train", "val")
REQUIRED: Final = ("file", *ATTRIBUTES)
_SERVICE: Final = {"true": True, "false": False, "": pd.NA}
_DAMAGED_AGES: Final = (
    (re.compile(r"0?3-sep|sep-0?3|0?9-mar|mar-0?9", re.IGNORECASE), "3-9"),
    (re.compile(r"19-oct|oct-19", re.IGNORECASE), "10-19"),
)


def read_fairface(folder: str | Path) -> FaceTable:
    """Read FairFace's label tables.

    Args:
        folder: the folder that holds `fairface_label_train.csv` and / or `fairface_label_val.csv`,
            and `train/` and `val/`, each perhaps one folder deeper; or the hub's Parquet files
            (`train-00000-of-00002.parquet` ...), in it or in `0.25/`, `1.25/` or `data/`.

    Returns:
        The table. Whether each photo exists is not looked at here: a photo that is missing becomes
        a row with its reason when pairs are made.

    Raises:
        FairFaceNotFound: no such folder, no label table, or no photo folder for one.
        LabelColumnError: a table that cannot be read, lacks a column, is empty or repeats a photo.
        LabelVocabularyError: a label that is not one of FairFace's words.
    """
    root = Path(folder)
    if not _has_tables(root) and (parts := parquet_parts(root)):
        return read_parquet_layout(root, parts)
    tables = _find_tables(root)
    digest, read, repaired = hashlib.sha256(), [], 0
    for split, path in tables.items():
        digest.update(path.read_bytes())
        part, n = _read_table(path, split)
        read.append(part)
        repaired += n
    rows = pd.concat(read, ignore_index=True).sort_values("pair_id", ignore_index=True)
    folders = {split: _find_photos(root, path.parent, split) for split, path in tables.items()}
    photos = [
        folders[split] / name for split, _, name in rows["source"].str.partition("/").itertuples(index=False)
    ]
    drawn = any((place / MARKER).exists() for place in {p.parent for p in tables.values()})
    kind = "rendered" if drawn else "fairface"
    return FaceTable(
        root,
        rows.assign(path=[str(path) for path in photos]),
        kind,
        digest.hexdigest(),
        probes=(*tables.values(), *folders.values()),
        repaired_ages=repaired,
    )


def repair_age(value: str) -> str:
    """The age a spreadsheet turned into a date, or the value as it is.

    >>> repair_age("03-Sep"), repair_age("19-Oct"), repair_age("20-29")
    ('3-9', '10-19', '20-29')
    """
    return next((age for damage, age in _DAMAGED_AGES if damage.fullmatch(value)), value)


def pair_id_of(source: str) -> str:
    """The identifier of a photo: folder and number, so that train/1.jpg and val/1.jpg differ.

    >>> pair_id_of("train/123.jpg")
    'train-000123'
    """
    path = PurePosixPath(source)
    name = f"{int(path.stem):06d}" if path.stem.isascii() and path.stem.isdigit() else path.stem
    return f"{path.parent.name}-{name}"


def _candidates(root: Path) -> list[Path]:
    """The folder and the folders in it, in a fixed order."""
    return [root, *sorted(p for p in root.iterdir() if p.is_dir() and p.name not in SPLITS)]


def _has_tables(root: Path) -> bool:
    names = [f"fairface_label_{split}.csv" for split in SPLITS]
    return root.is_dir() and any((place / name).is_file() for place in _candidates(root) for name in names)


def _find_tables(root: Path) -> dict[str, Path]:
    """The label table of each split that has one."""
    if not root.is_dir():
        raise FairFaceNotFound(f"FairFace folder {root} is not there; name it with --fairface DIR")
    tables = {}
    for split in SPLITS:
        name = f"fairface_label_{split}.csv"
        found = [c / name for c in _candidates(root) if (c / name).is_file()]
        if found:
            tables[split] = _only(found, root, name)
    if not tables:
        raise FairFaceNotFound(
            f"no fairface_label_train.csv or fairface_label_val.csv in {root} or one folder deeper, and no "
            "train-*.parquet; put FairFace's label tables beside its train/ and val/ folders"
        )
    return tables


def _find_photos(root: Path, beside: Path, split: str) -> Path:
    """The photo folder of a split: beside its table, else one folder deeper."""
    if (beside / split).is_dir():
        return beside / split
    found = [c / split for c in _candidates(root) if (c / split).is_dir()]
    if not found:
        raise FairFaceNotFound(
            f"{beside / f'fairface_label_{split}.csv'} names photos in {split}/, but {root} has no folder "
            f"{split}/ (nor one level deeper); unzip the photos there, or take that label table away"
        )
    return _only(found, root, f"{split}/")


def _only(found: list[Path], root: Path, name: str) -> Path:
    """The one place found, preferring `root` itself over a wrapping folder."""
    if len(found) > 1 and found[0].parent != root:
        places = " and ".join(str(p.parent) for p in found)
        raise FairFaceNotFound(f"{name} lies in both {places}; name one of these folders with --fairface")
    return found[0]


def _read_table(path: Path, split: str) -> tuple[pd.DataFrame, int]:
    """One label table, checked, and how many of its ages were repaired."""
    try:
        table = read_csv(path)
    except (ValueError, UnicodeDecodeError) as fault:  # pandas' parser errors are ValueErrors
        raise LabelColumnError(f"{path} is not a readable CSV table: {fault}") from fault
    missing = [c for c in REQUIRED if c not in table.columns]
    if missing:
        raise LabelColumnError(
            f"{path} lacks the column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}"
        )
    if table.empty:
        raise LabelColumnError(f"{path} has a header but no rows")
    ages = table["age"].map(repair_age)
    repaired = int((ages != table["age"]).sum())
    table = table.assign(age=ages)
    for attribute in ATTRIBUTES:
        _check(path, table, attribute, table[attribute].isin(VOCABULARY[attribute]))
    _check_files(path, table, split)
    return _shape(path, table), repaired


def _check(path: Path, table: pd.DataFrame, column: str, good: pd.Series) -> None:
    """Raise at the first row that is not good; rows are counted as a text editor counts lines."""
    if bool(good.all()):
        return
    row = int((~good.to_numpy()).argmax())
    words = ", ".join(VOCABULARY.get(column, ("True", "False")))
    raise LabelVocabularyError(
        f"{path} line {row + 2}: {column} is {table[column].iloc[row]!r}, not one of: {words}"
    )


def _check_files(path: Path, table: pd.DataFrame, split: str) -> None:
    """Photo names stay inside their split's folder, and none comes twice."""
    good = table["file"].str.fullmatch(rf"{split}/[^/\\\x00]*[^/\\\x00.][^/\\\x00]*")
    if not bool(good.all()):
        row = int((~good.to_numpy(bool)).argmax())
        raise LabelColumnError(
            f"{path} line {row + 2}: file is {table['file'].iloc[row]!r}, not of the form {split}/NUMBER.jpg"
        )
    twice = table["file"].map(pair_id_of).duplicated()
    if bool(twice.any()):
        row = int(twice.to_numpy(bool).argmax())
        raise LabelColumnError(f"{path} line {row + 2}: {table['file'].iloc[row]!r} is listed twice")


def _shape(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The columns of `FaceTable.rows`."""
    service = table.get("service_test", pd.Series("", index=table.index)).str.lower()
    if "service_test" in table:
        _check(path, table, "service_test", service.isin(_SERVICE))
    return pd.DataFrame(
        {
            "pair_id": table["file"].map(pair_id_of),
            "source": table["file"],
            **{attribute: table[attribute] for attribute in ATTRIBUTES},
            "service_test": service.map(_SERVICE).astype("boolean"),
        }
    )
