"""Labelled images as one table, whatever layout they came in.

Enters: rows. Leaves: `LabelledImages`, the only thing training and scoring read.

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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from detectors.errors import EmptyDataset
from pipelines.storage import file_sha256

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


@dataclass(frozen=True)
class LabelledImages:
    """Images with labels, ready to train on or to score."""

    table: pd.DataFrame
    """One row an image, the columns of the module's docstring, sorted by image_id."""
    attributes: tuple[str, ...]
    """Names of the demographic columns of `table`."""
    layout: str
    """"pairs", "folders", "table", "files" or "combined"."""
    root: Path
    """The folder or file they were read from."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """What the data set says about itself (a pairs dataset's `provenance.json`)."""
    n_left_out: dict[str, int] = field(default_factory=dict)
    """Reason to number of source photos (pairs) or files (others) that are not in the table."""
    others: tuple[str, ...] = ()
    """Names of further columns that an image table had, such as a person: carried into the scores."""
    origin_rule: str = "source photo"
    """What an origin is here, for the record."""
    added: tuple[str, ...] = ()
    """Data sets added to the training part alone, as they were named."""

    @property
    def folder(self) -> Path:
        """Where image_ids are relative to: the root, or the folder of a table."""
        return self.root.parent if self.layout == "table" else self.root

    @property
    def kinds(self) -> list[str]:
        """Classes in the order of a network's outputs: "real" first, then the kinds of fake by name."""
        return [REAL, *sorted(set(self.table["kind"]) - {REAL})]

    def only(self, keep: pd.Series) -> LabelledImages:
        """The same data set with the rows marked in `keep` (bool, index of `table`)."""
        return replace(self, table=self.table[keep].reset_index(drop=True))

    def not_empty(self) -> LabelledImages:
        """These images; raises EmptyDataset if there are none."""
        if self.table.empty:
            raise EmptyDataset(f"{self.root} holds no usable images (left out: {self._left_out()})")
        return self

    def with_both_classes(self) -> LabelledImages:
        """These images; raises EmptyDataset unless there are real and fake ones."""
        for label, word in ((0, "real"), (1, "fake")):
            if not (self.table["label"] == label).any():
                raise EmptyDataset(
                    f"{self.root} holds no {word} images ({len(self.table)} usable; left out: "
                    f"{self._left_out()}): detectors learn from both"
                )
        return self

    def _left_out(self) -> str:
        return ", ".join(f"{n} {reason}" for reason, n in self.n_left_out.items()) or "none"


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
        return file_sha256(path)
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
