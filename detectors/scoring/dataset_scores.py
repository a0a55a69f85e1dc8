"""Score a data set with a detector, leaving out what the detector has learned from.

Enters: a detector and labelled images. Leaves: `Scored`, a score table and the number of source photos left
out.

Why photos are left out and not just counted: a detector has seen the answers to its training photos, and an
audit that includes them measures memory. They are recognised by their bytes, whatever they are called here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from detectors.data.datasets import read_images
from detectors.data.labelled_images import LabelledImages, to_table, with_hashes
from detectors.errors import DatasetNotFound, EmptyDataset
from detectors.models.detector import Detector
from detectors.models.loading import load_detector
from detectors.scoring.engine import score_images
from detectors.scoring.options import Options
from detectors.scoring.score_table import OK

SEEN = "in the detector's training data"
_SOURCE_LISTS = ("trained_on", "validated_on", "held_out")


@dataclass(frozen=True)
class Scored:
    """What one detector says about one data set."""

    table: pd.DataFrame
    """The score table of `scores`, one row an image, sorted by image_id."""
    attributes: tuple[str, ...]
    """Its demographic columns."""
    n_left_out: dict[str, int] = field(default_factory=dict)
    """Reason to number of source photos that are not in the table."""
    detector: dict[str, Any] = field(default_factory=dict)
    """name, arch, sha256, preprocessing, output and provenance of the detector; plain values."""
    data: dict[str, Any] = field(default_factory=dict)
    """layout, path, folder (to which image_ids are relative) and provenance of the data set; plain values."""


def score_pairs(
    detector: str | Path | Detector,
    data: str | Path | LabelledImages,
    *,
    device: str = "auto",
    include_seen: bool = False,
    options: Options | None = None,
) -> Scored:
    """Score every image of a data set the detector has not learned from.

    Args:
        detector: A detector file, or a detector in memory.
        data: A pairs dataset, an image folder, or images read before (from a table, say).
        device: "auto", "cpu" or "cuda"; for detector files only.
        include_seen: Keep source photos the detector was trained or validated on.
        options: Batch size, decoding threads, where an interrupted run continues, progress bar.

    Returns:
        The scores, and what was left out.

    Raises:
        EmptyDataset: every source photo was in the detector's training data, or no image has a score.
        DetectorError: as `load_detector` does.
        DataError: as `read_images` does.
    """
    if not isinstance(detector, Detector):
        detector = load_detector(detector, device=device)
    images = data if isinstance(data, LabelledImages) else read_images(data)
    kept, n_seen = (images, 0) if include_seen else leave_out_seen(images, detector)
    table = score_images([detector], kept, options)[0]
    _refuse_no_score(table, images, detector)
    return Scored(
        table=table,
        attributes=kept.attributes,
        n_left_out=dict(images.n_left_out) | ({SEEN: n_seen} if n_seen else {}),
        detector=describe(detector),
        data={
            "layout": images.layout,
            "path": str(images.root),
            "folder": str(images.folder),
            "provenance": images.provenance,
        },
    )


def _refuse_no_score(table: pd.DataFrame, images: LabelledImages, detector: Detector) -> None:
    failed = table[table["status"] != OK]
    if len(table) and len(failed) == len(table):
        reasons = ", ".join(f"{n} {reason}" for reason, n in failed["status"].value_counts().items())
        raise EmptyDataset(
            f"{detector.name} gives no score to any of the {len(table)} images of {images.root}: {reasons}, "
            f"such as: {failed['detail'].iloc[0]}; run `audit check` on the detector first"
        )


def describe(detector: Detector) -> dict[str, Any]:
    """A detector in plain values, for the record of a run; lists of source photos become their length."""
    provenance = {
        key: len(value) if key in _SOURCE_LISTS else value
        for key, value in detector.provenance.items()
        if not key.endswith("_sha256")
    }
    return {
        "name": detector.name,
        "arch": detector.arch,
        "sha256": detector.sha256,
        "preprocessing": detector.preprocessing.as_dict(),
        "output": detector.output.as_dict(),
        "provenance": provenance,
    }


def seen_sources(detector: Detector) -> set[str]:
    """SHA-256 of the source photos a detector was trained on, or whose accuracy chose its epoch."""
    lists = (detector.provenance.get(f"{name}_sha256", []) for name in ("trained_on", "validated_on"))
    return {sha256 for names in lists for sha256 in names}


def leave_out_seen(images: LabelledImages, detector: Detector) -> tuple[LabelledImages, int]:
    """Drop source photos a detector was trained or validated on.

    Returns:
        The other images, and how many source photos were dropped.

    Raises:
        EmptyDataset: none is left.
    """
    seen = seen_sources(detector)
    if not seen:
        return images, 0
    hashed = with_hashes(images)
    known = hashed.table["source_sha256"].isin(seen)
    if known.all():
        raise EmptyDataset(
            f"every source photo of {images.root} was in the training data of {detector.name}: "
            "audit it on other pairs, or train on a part of these (`audit train` holds 30 % out)"
        )
    return hashed.only(~known), int(hashed.table.loc[known, "source_sha256"].nunique())


def score_files(
    detector: str | Path | Detector,
    paths: Sequence[str | Path],
    *,
    device: str = "auto",
    options: Options | None = None,
) -> pd.DataFrame:
    """Score image files without labels.

    Args:
        detector: A detector file, or a detector in memory.
        paths: Image files.
        device: For detector files only.
        options: As for `score_pairs`.

    Returns:
        One row a file, in the order given: path, score (0-1, higher = more fake, NaN where it cannot be
        read), status, detail.

    Raises:
        DatasetNotFound: no paths.
        DetectorError: as `load_detector` does.
    """
    if not paths:
        raise DatasetNotFound("no image to score: name at least one file")
    if not isinstance(detector, Detector):
        detector = load_detector(detector, device=device)
    names = [f"{i:09d}" for i in range(len(paths))]
    rows = [{"image_id": n, "path": str(p), "label": 0} for n, p in zip(names, paths, strict=True)]
    images = LabelledImages(to_table(rows), (), "files", Path())
    table = score_images([detector], images, options or Options(progress=False))[0]
    return table.assign(path=[str(p) for p in paths])[["path", "score", "status", "detail"]]
