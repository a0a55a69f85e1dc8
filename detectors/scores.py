"""The score table: one row an image, written as Parquet or read from anybody's CSV.

    image_id  str, unique
    pair_id   str or null: both halves of a pair share it
    label     int, 1 = fake
    score     float, higher = more fake; NaN where there is none
    status    str, "ok" or why there is no score
    detail    str, a sentence about that, or ""
    source    str, the source photo
    kind      str, "real" or the kind of fake
    ...       the attributes

Enters and leaves: pandas tables of this form. This module does not need torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipelines.storage import write_bytes

from .errors import DatasetLayoutError, DatasetNotFound

SCORE_COLUMNS = ("image_id", "pair_id", "label", "score", "status", "detail", "source", "kind")
OK = "ok"


def write_scores(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a score table as Parquet, to a temporary name first; equal tables give equal bytes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, table.to_parquet(index=False))
    return path


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read a score table from Parquet or CSV.

    Args:
        path: A file `write_scores` wrote, or a CSV with at least image_id, label and score.

    Returns:
        The table with all columns of the module's docstring, in order, then the others. Columns the file
        lacks are filled: pair_id with null, status with "ok" (or "no score" where it is missing), detail with
        "", source with image_id, kind from the label.

    Raises:
        DatasetNotFound: no such file.
        DatasetLayoutError: a missing column, a label that is not 0 or 1, a score that is no number, or an
            image_id given twice.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetNotFound(f"no score table at {path}")
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DatasetLayoutError(f"{path} cannot be read as a table: {error}") from None
    return _completed(table, path)


def _completed(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table with all columns, once those it has are in order."""
    for name in ("image_id", "label", "score"):
        if name not in table.columns:
            raise DatasetLayoutError(f"{path} has no column {name!r}; it has {', '.join(map(str, table))}")
    table = table.copy()
    table["image_id"] = table["image_id"].astype(str)
    table["score"] = _numbers(table, "score", path)
    table["label"] = _numbers(table, "label", path)
    wrong = table.index[~table["label"].isin([0, 1])]
    if len(wrong):
        label = table.loc[wrong[0], "label"]
        raise DatasetLayoutError(f"{path}, row {wrong[0] + 1}: label is {label}; 0 is real, 1 is fake")
    twice = table["image_id"][table["image_id"].duplicated()]
    if len(twice):
        raise DatasetLayoutError(
            f"{path}: image_id {twice.iloc[0]!r} is there {len(twice) + 1} times or more"
        )
    table["label"] = table["label"].astype("int64")
    return _filled(table)


def _numbers(table: pd.DataFrame, name: str, path: Path) -> pd.Series:
    """A column as float64; what is no number is an error, an empty field is NaN."""
    values = pd.to_numeric(table[name], errors="coerce")
    wrong = table.index[values.isna() & table[name].notna()]
    if len(wrong):
        raise DatasetLayoutError(
            f"{path}, row {wrong[0] + 1}: {name} is {table.loc[wrong[0], name]!r}, not a number"
        )
    return values.astype(float)


def _filled(table: pd.DataFrame) -> pd.DataFrame:
    """Add the columns a foreign table lacks."""
    defaults = {
        "pair_id": None,
        "status": table["score"].notna().map({True: OK, False: "no score"}),
        "detail": "",
        "source": table["image_id"],
        "kind": table["label"].map({0: "real", 1: "fake"}),
    }
    for name, value in defaults.items():
        if name not in table.columns:
            table[name] = value
    return table[[*SCORE_COLUMNS, *attribute_columns(table)]]


def attribute_columns(table: pd.DataFrame) -> list[str]:
    """Columns that are not part of every score table: the attributes."""
    return [str(name) for name in table.columns if name not in SCORE_COLUMNS]


def count_status(table: pd.DataFrame) -> dict[str, int]:
    """Reason to number of images, for images without a score."""
    failed: Sequence[str] = table.loc[table["status"] != OK, "status"].tolist()
    return {reason: failed.count(reason) for reason in sorted(set(failed))}
