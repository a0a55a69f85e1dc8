"""The record of a benchmark: `BenchmarkResult`, the content of `benchmark.json`.

Enters: numbers computed by `audit.runs.detector_benchmark`. Leaves: JSON that survives the round trip, NaN
included, and the rows of `benchmark.csv`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from audit.schema.nullable import Interval, Rate, Record
from audit.schema.result import Curve, GroupResult, Measures
from audit.schema.shortcuts import Finding

BENCHMARK_VERSION = "1.0"
BENCHMARK_FILE = "benchmark.json"
TABLE_FILE = "benchmark.csv"
IN_TRAINING = "in the detector's training data"
"""Reason of images whose photo a detector was trained on, or that chose its epoch."""
OTHER_FAKES = "another fake of the same photo, which counts under its own kind alone"
"""Why a fake is in no number of the whole set: intervals need images that do not depend on each other."""


class BenchmarkDetector(Record):
    """One row of the table."""

    name: str
    arch: str
    sha256: str
    trained_on: str
    """Name of the data set it was trained on, as its checkpoint says; empty for foreign detectors."""


class FilesAlone(Record):
    """How well files and statistics of the picture tell real from fake on one data set, without its faces."""

    finding: Finding
    auc: Rate
    """Of all facts, on source photos that the classifier has not seen."""
    interval: Interval
    betrays: str | None
    """The property that tells best by itself, where one is proven to."""


class Harm(Record):
    """By how much one transformation raises both error rates, on average over its five severities."""

    transformation: str
    fpr: Rate
    fpr_interval: Interval
    fnr: Rate
    fnr_interval: Interval


class BenchmarkDataset(Record):
    """One column of the table."""

    name: str
    path: str
    layout: str
    n_images: int
    kinds: list[str]
    """"real", then the kinds of fake."""
    attributes: list[str]
    unit_column: str | None = None
    """Of persons, videos or source photos that several images share; None where every image, or pair, stands
    for itself."""
    files: FilesAlone | None = None
    """Where `audit benchmark --shortcuts` looked."""
    files_reason: str | None = None
    """Why it could not."""


class Misclassified(Record):
    """One image on the wrong side of the threshold."""

    image_id: str
    kind: str
    score: Rate
    confidence: Rate
    """How sure the detector was: how far the score lies from the threshold on the way to 0 or 1."""
    groups: dict[str, str]
    """Attribute to group."""


class BenchmarkCell(Record):
    """One detector on one data set."""

    detector: str
    dataset: str
    seen_in_training: bool
    """The detector was trained on a part of this very data set; that part is left out of all numbers."""
    n_left_out: dict[str, int]
    """Reason to number of source photos or images without a place in the numbers."""
    measures: Measures
    by_kind: dict[str, Measures]
    """Kind of fake to the measures on all real images and that kind."""
    curve: Curve
    """Error rates at all thresholds: ROC and DET, from either class's point of view, are views of it."""
    groups: list[GroupResult]
    """By demographic group, where the data set has labels."""
    n_misclassified: int
    misclassified: list[Misclassified]
    """The most confident ones first, up to `MAX_SHOWN`."""
    harm: list[Harm] = Field(default_factory=list)
    """Of the transformations that `audit benchmark --stress` tried."""


def of_training(cell: BenchmarkCell) -> str:
    """What a detector knows of a set: "own set", "12 images it was trained on left out", or nothing."""
    if cell.seen_in_training:
        return "own set"
    n = cell.n_left_out.get(IN_TRAINING, 0)
    return f"{n:,} image{'' if n == 1 else 's'} of photos it was trained on left out" if n else ""


class BenchmarkResult(Record):
    """Detectors x data sets."""

    schema_version: str = BENCHMARK_VERSION
    threshold: float
    confidence: float
    detectors: list[BenchmarkDetector]
    datasets: list[BenchmarkDataset]
    cells: list[BenchmarkCell]

    def cell(self, detector: str, dataset: str) -> BenchmarkCell:
        """One detector on one data set; KeyError if it is not there."""
        for cell in self.cells:
            if (cell.detector, cell.dataset) == (detector, dataset):
                return cell
        raise KeyError((detector, dataset))

    def to_json(self) -> str:
        """The bytes of `benchmark.json`."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def load(cls, folder: str | Path) -> BenchmarkResult:
        """Read `benchmark.json` of a folder; raises pydantic.ValidationError on anything else."""
        return cls.model_validate_json((Path(folder) / BENCHMARK_FILE).read_text(encoding="utf-8"))

    def rows(self) -> list[dict[str, Any]]:
        """Rows of `benchmark.csv`: one a detector, data set and kind of fake ("all" for all of them)."""
        files = {s.name: s.files for s in self.datasets}
        return [
            {"detector": cell.detector, "dataset": cell.dataset, "kind": kind, **flat(measures)}
            | {"seen_in_training": cell.seen_in_training}
            | (_flat_files(files[cell.dataset]) | _flat_harm(cell.harm) if kind == "all" else {})
            for cell in self.cells
            for kind, measures in {"all": cell.measures, **cell.by_kind}.items()
        ]


def _flat_files(files: FilesAlone | None) -> dict[str, Any]:
    if files is None:
        return {}
    low, high = files.interval
    return {"files_auc": files.auc, "files_auc_low": low, "files_auc_high": high, "files": files.finding}


def _flat_harm(harm: list[Harm]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for one in harm:
        for rate in ("fpr", "fnr"):
            name, (low, high) = f"{one.transformation}_{rate}_rise", getattr(one, f"{rate}_interval")
            row |= {name: getattr(one, rate), f"{name}_low": low, f"{name}_high": high}
    return row


def flat(measures: Measures) -> dict[str, Any]:
    """Measures as one row: intervals as two columns, the confusion matrix as four."""
    names = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "auc", "average_precision", "eer")
    row: dict[str, Any] = {"n_real": measures.n_real, "n_fake": measures.n_fake}
    row |= {name: getattr(measures, name) for name in (*names, "fpr", "fnr")}
    for name in ("accuracy", "auc", "eer", "fpr", "fnr"):
        interval = getattr(measures, f"{name}_interval") or (float("nan"), float("nan"))
        row[f"{name}_low"], row[f"{name}_high"] = interval
    return row | measures.confusion.model_dump()
