"""Read labelled images, wherever and however they lie.

Enters: paths of data sets. Leaves: one `LabelledImages`.

    FOLDER       a pairs dataset or class folders, see `layouts`
    TABLE.csv    any table of image paths and labels, see `tables`
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .errors import DatasetNotFound, TrainingError
from .labelled import LabelledImages, combine
from .layouts import is_pairs, read_folders, read_pairs
from .origins import ByColumn, GroupBy, by_origin
from .tables import TABLE_SUFFIXES, TableLayout, read_table

__all__ = ["read_images", "read_sets"]


def read_images(
    path: str | Path, layout: str | Path | TableLayout | None = None, group_by: GroupBy | None = None
) -> LabelledImages:
    """Read one data set of real and fake images.

    Args:
        path: A pairs dataset, an image folder, or a table.
        layout: For tables: a `TableLayout`, the name of a built-in one, or a TOML file; None to recognise it.
        group_by: What an origin is, see `origins.parse_group_by`; None for what the data set says itself.

    Raises:
        DatasetNotFound: no such folder or table.
        DatasetLayoutError: none of the known layouts, or a table without what its layout names.
        EmptyDataset: no images.
    """
    root = Path(path)
    if root.suffix in TABLE_SUFFIXES:
        column = group_by.column if isinstance(group_by, ByColumn) else None
        images = read_table(root, layout, origin=column)
    elif root.is_dir():
        images = read_pairs(root) if is_pairs(root) else read_folders(root)
    else:
        raise DatasetNotFound(
            f"no folder or table {root}: make pairs with `audit generate-pairs --out {root}`"
        )
    images = images.not_empty()
    return images if group_by is None else by_origin(images, group_by)


def read_sets(specs: Sequence[str | Path], group_by: GroupBy | None = None) -> LabelledImages:
    """Read several data sets as one, with weights.

    Args:
        specs: Paths, each with an optional weight after "=": ["pairs=3", "other"] means that three of four
            images a network sees in training come from `pairs`.
        group_by: As for `read_images`.

    Raises:
        TrainingError: a weight that is not a number above 0.
        DataError: as `read_images` does.
    """
    sets = []
    for spec in specs:
        name, _, weight = (str(spec), "", "1") if Path(spec).exists() else str(spec).rpartition("=")
        try:
            value = float(weight)
        except ValueError:
            value = 0.0
        if not name:
            name, value = str(spec), 1.0
        if value <= 0:
            raise TrainingError(f"{spec!r}: the weight after '=' must be a number above 0")
        sets.append((read_images(name, group_by=group_by), value))
    return combine(sets)
