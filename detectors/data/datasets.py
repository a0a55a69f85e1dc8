"""Read labelled images, wherever and however they lie.

Enters: paths of data sets. Leaves: one `LabelledImages`.

    FOLDER       a pairs dataset or class folders, see `layouts`
    TABLE.csv    any table of image paths and labels, see `tables`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from detectors.data.image_tables import TABLE_SUFFIXES, TableLayout, read_table
from detectors.data.labelled_images import REAL, LabelledImages, combine, to_table
from detectors.data.origins import ByColumn, GroupBy, by_origin
from detectors.errors import DatasetLayoutError, DatasetNotFound, TrainingError
from pipelines import places
from pipelines.dataset.manifest import MANIFEST, OK, read_manifest, read_provenance
from pipelines.visible import encodable

__all__ = ["read_images", "read_sets"]


def read_images(
    path: str | Path, layout: str | Path | TableLayout | None = None, group_by: GroupBy | None = None
) -> LabelledImages:
    """Read one data set of real and fake images.

    Args:
        path: A pairs dataset, an image folder, or a table; here or in a store (s3://bucket/pairs).
        layout: For tables: a `TableLayout`, the name of a built-in one, or a TOML file; None to recognise it.
        group_by: What an origin is, see `origins.parse_group_by`; None for what the data set says itself.

    Raises:
        DatasetNotFound: no such folder or table.
        DatasetLayoutError: none of the known layouts, or a table without what its layout names.
        EmptyDataset: no images.
    """
    root = places.local(path)
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
    named = [weighted_name(spec) for spec in specs]
    sets = [(read_images(name, group_by=group_by), weight) for name, weight in named]
    return combine(sets)


def weighted_name(spec: str | Path) -> tuple[str, float]:
    """A data set and its weight, as typed: "pairs=3" is ("pairs", 3.0), "pairs" is ("pairs", 1.0).

    Raises:
        TrainingError: a weight that is not a number above 0.
    """
    name, _, weight = (str(spec), "", "1") if Path(spec).exists() else str(spec).rpartition("=")
    if not name:
        return str(spec), 1.0
    try:
        value = float(weight)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise TrainingError(f"{spec!r}: the weight after '=' must be a number above 0")
    return name, value


IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif"})
PAIR_ATTRIBUTES = ("age", "gender", "race")
PARTS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
"""Folder names that say which part of a split they are."""
_HINT = (
    "expected manifest.parquet (a pairs dataset), or real/ and fake/, or train|valid|test with those inside"
)


def is_pairs(root: Path) -> bool:
    """Whether a folder is a pairs dataset."""
    return (root / MANIFEST).is_file()


def read_pairs(root: Path) -> LabelledImages:
    """Read both halves of every pair whose status is "ok"; the other rows are counted by their status.

    Of several kinds of fake every photo's real half is there once, and each fake under its kind. In training
    a real half weighs as much as its fakes together.

    Raises:
        pipelines.errors.PairsError: a manifest or provenance that breaks the schema.
    """
    manifest = read_manifest(root)
    ok = manifest[manifest["status"] == OK]
    real = _half(root, ok.drop_duplicates("pair_id"), "real")
    halves = pd.concat([real, _half(root, ok, "fake")], ignore_index=True)
    left = manifest[manifest["status"] != OK]
    several = manifest["kind"].nunique() > 1
    rejected = (
        (left["kind"] + ": " + left["status"] if several else left["status"]).value_counts().sort_index()
    )
    return LabelledImages(
        table=halves.sort_values("image_id", ignore_index=True),
        attributes=PAIR_ATTRIBUTES,
        layout="pairs",
        root=root,
        provenance=read_provenance(root),
        n_left_out={str(status): int(n) for status, n in rejected.items()},
    )


def _half(root: Path, ok: pd.DataFrame, half: str) -> pd.DataFrame:
    """The rows of one half of the pairs."""
    table = pd.DataFrame(
        {
            "image_id": ok[half].astype(str),
            "path": [str(root / name) for name in ok[half]],
            "pair_id": ok["pair_id"].astype(str),
            "label": int(half == "fake"),
            "kind": ok["kind"].astype(str) if half == "fake" else REAL,
            "source": ok["source"].astype(str),
            "source_sha256": ok["source_sha256"].astype(object).where(ok["source_sha256"].notna(), None),
            "origin": ok["source_sha256"].fillna(ok["source"]).astype(str),
            "part": None,
            "weight": 1.0 if half == "real" else 1 / ok.groupby("pair_id")["kind"].transform("size"),
        }
    )
    return pd.concat([table, ok[list(PAIR_ATTRIBUTES)]], axis=1)


def read_folders(root: Path) -> LabelledImages:
    """Read class folders, directly below the root or below train/, valid/ and test/.

    Raises:
        DatasetLayoutError: no folder real/ in either place.
    """
    parts = {part: root / name for name, part in PARTS.items() if (root / name).is_dir()}
    bases: list[tuple[str | None, Path]] = [*parts.items()] or [(None, root)]
    folders = [(part, folder) for part, base in bases for folder in _folders(base)]
    if not any(folder.name.lower() == REAL for _, folder in folders):
        names = ", ".join(sorted(p.name for p in root.iterdir())[:6]) or "nothing"
        raise DatasetLayoutError(f"{root} holds {names}: {_HINT}")
    rows = [row for part, folder in folders for row in _folder_rows(root, part, folder)]
    n_other = sum(1 for _, folder in folders for path in folder.rglob("*") if _is_other_file(path))
    named = [_is_text(path) for path in root.rglob("*") if _is_image_file(path)]
    left_out = {
        "not an image file": n_other,
        "image outside the class folders": sum(named) - len(rows),
        "file name that is not UTF-8 text": len(named) - sum(named),
    }
    return LabelledImages(
        table=to_table(rows),
        attributes=(),
        layout="folders",
        root=root,
        n_left_out={reason: n for reason, n in left_out.items() if n},
    )


def _folders(base: Path) -> list[Path]:
    return sorted(p for p in base.iterdir() if p.is_dir() and not p.name.startswith("."))


def _is_other_file(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES


def _is_image_file(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _is_text(path: Path) -> bool:
    """Whether a name can stand in a table: systems allow any bytes."""
    return encodable(str(path)) == str(path)


def _folder_rows(root: Path, part: str | None, folder: Path) -> Iterator[dict[str, Any]]:
    """One row for every image file below a class folder.

    Why the stem is the origin: sets made of pairs name both halves alike, and keeping equal names together
    costs sets that are not made of pairs nothing.
    """
    kind = folder.name.lower()
    for path in sorted(folder.rglob("*")):
        if _is_image_file(path) and _is_text(path):
            name = encodable(path.relative_to(root).as_posix())
            yield {
                "image_id": name,
                "path": str(path),
                "label": int(kind != REAL),
                "kind": kind,
                "source": name,
                "origin": encodable(path.relative_to(folder).with_suffix("").as_posix()),
                "part": part,
            }
