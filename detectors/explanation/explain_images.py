"""Many images to one picture each, none written over another.

Enters: files, folders and tables as a person names them, a detector, a method. Leaves: a picture an image
and `explanations.json`, one row an image, those without a picture among them with their reason.

Why a part of the content's hash stands in every name: two images called 1.jpg from two folders are two
pictures, in one run and in two runs into the same folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from detectors.data.datasets import IMAGE_SUFFIXES, is_pairs, read_images
from detectors.data.image_batches import Unreadable, read_fitted
from detectors.errors import ExplanationError, NoScoreError
from detectors.explanation.methods import Explanation, explain
from detectors.explanation.pictures import picture
from detectors.models.detector import Detector
from detectors.scoring.options import RayCluster
from detectors.scoring.parts import cut, engine_for, in_order
from detectors.scoring.score_table import NO_SCORE, OK
from detectors.scoring.work import Advance, Tools
from pipelines.errors import UnreadableFile
from pipelines.sources.photos import read_bytes
from pipelines.storage import write_bytes, write_json
from pipelines.untrusted import read_json
from pipelines.visible import visible

RECORD = "explanations.json"
SUMMARY, MEAN_MAPS = "summary.json", "mean-maps.png"
"""What `audit explain --check` writes beside it."""
TABLES = frozenset({".csv", ".parquet", ".pq", ".tsv"})
_HASH_LETTERS = 8
_MAX_STEM = 80


def images_to_explain(given: Sequence[Path], n: int | None = None, seed: int = 0) -> pd.DataFrame:
    """The images that files, folders and tables stand for.

    Args:
        given: Image files; folders, of images or of a layout that `read_images` knows; tables of images.
        n: Take so many of them, drawn by the seed; all where None.
        seed: Of the draw.

    Returns:
        One row an image, in order: path, label (1 = fake, missing where nobody says), kind, pair_id, and the
        attributes of the data sets.

    Raises:
        ExplanationError: nothing is named, a file is not there, or a folder holds no image.
        DataError: as `read_images` does.
    """
    parts = [_rows(path) for path in given]
    if not parts:
        raise ExplanationError("no images: name files, folders or tables, or a pairs dataset with --pairs")
    found = pd.concat(parts, ignore_index=True)
    if n is not None and n < len(found):
        chosen = np.sort(np.random.default_rng(seed).choice(len(found), n, replace=False))
        found = found.iloc[chosen].reset_index(drop=True)
    return found


def _rows(path: Path) -> pd.DataFrame:
    if path.is_dir() and not _has_layout(path):
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
        if not files:
            raise ExplanationError(f"{path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
        return pd.DataFrame({"path": [str(p) for p in files]})
    if path.is_dir() or path.suffix.lower() in TABLES:
        images = read_images(path)
        return images.table[["path", "label", "kind", "pair_id", *images.attributes]].reset_index(drop=True)
    return pd.DataFrame({"path": [str(path)]})


def _has_layout(folder: Path) -> bool:
    names = {entry.name.lower() for entry in folder.iterdir() if entry.is_dir()}
    return is_pairs(folder) or bool(names & {"real", "fake", "train", "valid", "val", "test"})


@dataclass(frozen=True)
class Explained:
    """One image: its row, what the network saw of it, and the map; or why there is none."""

    row: dict[str, Any]
    image: Tensor | None
    found: Explanation | None
    status: str
    detail: str


@dataclass(frozen=True)
class ExplainingWork:
    """Explanations of images, see `detectors.scoring.work`.

    Attributes:
        rows: As `images_to_explain` gives them, as plain values.
        method: A key of `METHODS`.
        threshold: Fake if score >= threshold.
        seed: Of LIME's samples.
    """

    rows: list[dict[str, Any]]
    method: str
    threshold: float
    seed: int

    def part(
        self, detectors: Sequence[Detector], tools: Tools, rows: range, advance: Advance
    ) -> list[Explained]:
        """Explain some images, one after the other."""
        made = []
        for row in self.rows[rows.start : rows.stop]:
            seen = read_fitted(row["path"], [detectors[0].preprocessing], tools.finder)
            if isinstance(seen, Unreadable):
                made.append(Explained(row, None, None, seen.reason, seen.detail))
            else:
                made.append(self._explained(detectors[0], row, seen[0]))
            advance(1)
        return made

    def _explained(self, detector: Detector, row: dict[str, Any], image: Tensor) -> Explained:
        try:
            found = explain(detector, image, self.method, self.threshold, self.seed)
        except NoScoreError as error:
            return Explained(row, None, None, NO_SCORE, str(error))
        return Explained(row, image, found, OK, "")


def explained(
    detector: Detector,
    rows: pd.DataFrame,
    method: str,
    threshold: float,
    seed: int,
    cluster: RayCluster | None = None,
) -> Iterator[Explained]:
    """Explain images, in their order; arguments as for `write_explanations`."""
    values = [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
    parts = cut(len(values), 1)
    work = ExplainingWork(values, method, threshold, seed)
    with engine_for(cluster, [detector], work, parts) as engine:
        for part in in_order(engine, parts):
            yield from part


def write_explanations(
    detector: Detector,
    rows: pd.DataFrame,
    out_dir: Path,
    method: str,
    *,
    threshold: float = 0.5,
    seed: int = 0,
    advance: Advance = lambda n: None,
    cluster: RayCluster | None = None,
) -> dict[str, Any]:
    """Write a picture an image, and the record of all.

    Args:
        detector: The detector.
        rows: As `images_to_explain` gives them.
        out_dir: Made if it is not there.
        method: A key of `detectors.explanation.methods.METHODS`.
        threshold: Fake if score >= threshold.
        seed: Of LIME's samples.
        advance: Is told of every image done.
        cluster: Where to explain; None for this process.

    Returns:
        The record: detector, sha256, method, threshold, seed, and images, one row each in the order given.

    Raises:
        ExpectedError: as `explain` does; before anything is written.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    about = {
        "detector": detector.name, "sha256": detector.sha256 or None, "method": method,
        "threshold": threshold, "seed": seed,
    }  # fmt: skip
    _clear_others(out_dir, about)
    taken: set[str] = set()
    written = []
    for one in explained(detector, rows, method, threshold, seed, cluster):
        file = None
        if one.image is not None and one.found is not None:
            file = _file_name(Path(one.row["path"]), method, taken)
            name = Path(one.row["path"]).name
            write_bytes(
                out_dir / file, picture(one.image, one.found, name, detector.name, threshold), sync=False
            )
        written.append(_entry(one, file))
        advance(1)
    record = {**about, "images": written}
    write_json(out_dir / RECORD, record)
    return record


def _clear_others(folder: Path, about: dict[str, Any]) -> None:
    """Take away what another detector or threshold left in the folder: it would pass for this one's."""
    try:
        before = read_json(folder / RECORD)
        other = any(before.get(name) != about[name] for name in ("sha256", "threshold"))
        others = before["images"] if other else []
        pictures = [str(one["picture"]) for one in others if one.get("picture")]
    except (UnreadableFile, LookupError, TypeError, AttributeError):
        return  # none, or none of ours
    for name in [*pictures, *((SUMMARY, MEAN_MAPS) if others else ())]:
        if Path(name).name == name:
            (folder / name).unlink(missing_ok=True)


def _entry(one: Explained, file: str | None) -> dict[str, Any]:
    """One row of the record."""
    found = one.found
    label = one.row.get("label")
    return {
        "image": one.row["path"],
        "label": None if label is None or pd.isna(label) else int(label),
        "status": one.status,
        "detail": one.detail,
        "score": found.score if found else None,
        "answer": found.answer if found else None,
        "picture": file,
        "flat": found.is_flat if found else None,
        "legend": found.legend if found else None,
    }


def _file_name(path: Path, method: str, taken: set[str]) -> str:
    """A name that no other image of this run has, and none of another content."""
    content = hashlib.sha256(read_bytes(path)).hexdigest()[:_HASH_LETTERS]
    stem = visible(path.stem)[:_MAX_STEM].replace("/", "_")
    name, number = f"{stem}-{content}.{method}.png", 2
    while name in taken:
        name, number = f"{stem}-{content}-{number}.{method}.png", number + 1
    taken.add(name)
    return name
