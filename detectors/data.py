"""Labelled images as one table, whatever layout they lie in.

Enters: a pairs dataset (`manifest.parquet`), or a folder: `real/` and `fake/`; `real/` and several kinds of
fake; either of these under `train/`, `valid/` and `test/` (the layout of the "140k real and fake faces" set).
CSV tables are read by `tables`. Leaves: `LabelledImages`, the only thing training and scoring read.

    image_id       str, unique: path relative to the root
    path           str, where the file is
    pair_id        str or None: both halves of a pair share it
    label          int, 1 = fake
    kind           str: "real", or the kind of fake ("fake", "deepfake", "f2f" ...)
    source         str: the source photo (pairs), or the image itself
    source_sha256  str or None: SHA-256 of the source photo
    origin         str: what may not straddle a split
    part           str or None: "train", "valid" or "test" where the layout says so
    weight         float: relative weight in training
    ...            the attributes

Why an origin beside the source: a split must keep together whatever shows the same face (both halves of a
pair, byte-identical photos, frames of one video), and `splits` needs no other knowledge than this column.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.manifest import MANIFEST, OK, read_manifest, read_provenance

from .errors import DatasetLayoutError, DatasetNotFound, EmptyDataset

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
PAIR_ATTRIBUTES = ("age", "gender", "race")
PARTS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
"""Folder names that say which part of a split they are."""
REAL = "real"
COLUMNS = (
    "image_id",
    "path",
    "pair_id",
    "label",
    "kind",
    "source",
    "source_sha256",
    "origin",
    "part",
    "weight",
)
_HINT = (
    "expected manifest.parquet (a pairs dataset), or real/ and fake/, or train|valid|test with those inside"
)


@dataclass(frozen=True)
class LabelledImages:
    """Images with labels, ready to train on or to score.

    Attributes:
        table: One row an image, the columns of the module's docstring, sorted by image_id.
        attributes: Names of the demographic columns of `table`.
        layout: "pairs", "folders" or "table".
        root: The folder or file they were read from.
        provenance: What the data set says about itself (a pairs dataset's `provenance.json`).
        n_left_out: Reason to number of source photos (pairs) or files (others) that are not in the table.
    """

    table: pd.DataFrame
    attributes: tuple[str, ...]
    layout: str
    root: Path
    provenance: dict[str, Any] = field(default_factory=dict)
    n_left_out: dict[str, int] = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        """Classes in the order of a network's outputs: "real" first, then the kinds of fake by name."""
        return [REAL, *sorted(set(self.table["kind"]) - {REAL})]

    def only(self, keep: pd.Series) -> LabelledImages:
        """The same data set with the rows marked in `keep` (bool, index of `table`)."""
        return replace(self, table=self.table[keep].reset_index(drop=True))


def read_images(path: str | Path) -> LabelledImages:
    """Read a folder of labelled images, in whichever known layout it is.

    Args:
        path: A pairs dataset or an image folder.

    Raises:
        DatasetNotFound: no such folder.
        DatasetLayoutError: none of the known layouts.
        EmptyDataset: a known layout without images of both classes.
    """
    root = Path(path)
    if not root.is_dir():
        raise DatasetNotFound(f"no folder {root}: make pairs with `audit generate-pairs --out {root}`")
    images = _read_pairs(root) if (root / MANIFEST).is_file() else _read_folders(root)
    for label, word in ((0, "real"), (1, "fake")):
        if not (images.table["label"] == label).any():
            raise EmptyDataset(f"{root} holds no {word} images ({_counts(images)}): detectors need both")
    return images


def _counts(images: LabelledImages) -> str:
    left_out = ", ".join(f"{n} {reason}" for reason, n in images.n_left_out.items()) or "none"
    return f"{len(images.table)} usable images; left out: {left_out}"


def _read_pairs(root: Path) -> LabelledImages:
    """Both halves of every pair whose status is "ok"; the other rows are counted by their status."""
    manifest = read_manifest(root)
    ok = manifest[manifest["status"] == OK]
    halves = pd.concat([_half(root, ok, half) for half in ("real", "fake")], ignore_index=True)
    rejected = manifest.loc[manifest["status"] != OK, "status"].value_counts().sort_index()
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
            "kind": half,
            "source": ok["source"].astype(str),
            "source_sha256": ok["source_sha256"].astype(object).where(ok["source_sha256"].notna(), None),
            "origin": ok["source_sha256"].fillna(ok["source"]).astype(str),
            "part": None,
            "weight": 1.0,
        }
    )
    return pd.concat([table, ok[list(PAIR_ATTRIBUTES)]], axis=1)


def _read_folders(root: Path) -> LabelledImages:
    """Class folders, directly below the root or below train/, valid/ and test/."""
    parts = {part: root / name for name, part in PARTS.items() if (root / name).is_dir()}
    bases: list[tuple[str | None, Path]] = [*parts.items()] or [(None, root)]
    folders = [(part, folder) for part, base in bases for folder in _folders(base)]
    if not any(folder.name.lower() == REAL for _, folder in folders):
        names = ", ".join(sorted(p.name for p in root.iterdir())[:6]) or "nothing"
        raise DatasetLayoutError(f"{root} holds {names}: {_HINT}")
    rows = [row for part, folder in folders for row in _folder_rows(root, part, folder)]
    n_other = sum(1 for _, folder in folders for path in folder.rglob("*") if _is_other_file(path))
    return LabelledImages(
        table=to_table(rows),
        attributes=(),
        layout="folders",
        root=root,
        n_left_out={"not an image file": n_other} if n_other else {},
    )


def _folders(base: Path) -> list[Path]:
    return sorted(p for p in base.iterdir() if p.is_dir() and not p.name.startswith("."))


def _is_other_file(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES


def _folder_rows(root: Path, part: str | None, folder: Path) -> Iterator[dict[str, Any]]:
    """One row for every image file below a class folder.

    Why the stem is the origin: sets made of pairs name both halves alike, and keeping equal names together
    costs sets that are not made of pairs nothing.
    """
    kind = folder.name.lower()
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            name = path.relative_to(root).as_posix()
            yield {
                "image_id": name,
                "path": str(path),
                "label": int(kind != REAL),
                "kind": kind,
                "source": name,
                "origin": path.relative_to(folder).with_suffix("").as_posix(),
                "part": part,
            }


def to_table(rows: Iterable[dict[str, Any]], attributes: Sequence[str] = ()) -> pd.DataFrame:
    """Rows as a table with all columns, sorted by image_id; what a row lacks is None (weight: 1)."""
    table = pd.DataFrame(list(rows), columns=[*COLUMNS, *attributes])
    table["weight"] = table["weight"].astype(float).fillna(1.0)
    table["label"] = table["label"].astype("int64")
    for name in ("pair_id", "part", "source_sha256"):
        table[name] = table[name].astype(object).where(table[name].notna(), None)
    return table.sort_values("image_id", ignore_index=True)


def with_hashes(images: LabelledImages) -> LabelledImages:
    """The same data set with `source_sha256` filled in from the image files, where it is not known."""
    table = images.table.copy()
    unknown = table["source_sha256"].isna()
    table.loc[unknown, "source_sha256"] = [_sha256(path) for path in table.loc[unknown, "path"]]
    return replace(images, table=table)


def _sha256(path: str) -> str | None:
    """Of a file's bytes; None where there is no such file (scoring says so in its row)."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def fingerprint(images: LabelledImages) -> str:
    """SHA-256 over the names, labels and contents of all images: equal for equal training data."""
    digest = hashlib.sha256()
    for row in with_hashes(images).table.itertuples():
        digest.update(f"{row.image_id}\t{row.kind}\t{row.source_sha256}\t{row.weight}\n".encode())
    return digest.hexdigest()


def combine(sets: Sequence[tuple[LabelledImages, float]]) -> LabelledImages:
    """Several data sets as one, each with its share of the training.

    Args:
        sets: Data sets with weights above 0: with weights 3 and 1, three quarters of what the network sees in
            an epoch come from the first, however large either is.

    Returns:
        One data set; image_ids are prefixed by the position of their set, so they stay unique.
    """
    if len(sets) == 1:
        return sets[0][0]
    tables = []
    for number, (images, weight) in enumerate(sets):
        table = images.table.copy()
        table["image_id"] = f"{number}:" + table["image_id"]
        table["weight"] = weight * table["weight"] / table["weight"].sum()
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    table["weight"] *= len(table) / table["weight"].sum()
    attributes = tuple(dict.fromkeys(name for images, _ in sets for name in images.attributes))
    first = sets[0][0]
    left_out = {f"{s.root.name}: {reason}": n for s, _ in sets for reason, n in s.n_left_out.items()}
    return LabelledImages(table, attributes, "combined", first.root, first.provenance, left_out)
