"""The record of a cross table: `CrossTable`, the content of `cross-table.json`.

Enters: numbers computed by `audit.runs.cross_table`. Leaves: JSON that survives the round trip, NaN included,
and the rows of `cross-table.csv`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audit.schema.benchmark import flat
from audit.schema.nullable import Interval, Rate
from audit.schema.result import Measures, Record

CROSS_VERSION = "1.0"
CROSS_FILE = "cross-table.json"
CROSS_CSV = "cross-table.csv"


class CrossTraining(Record):
    """One row of the table: a detector and what it learned from."""

    trained_on: str
    """A kind of fake, or "all kinds"."""
    checkpoint: str
    """Its file, relative to the folder of the record."""
    sha256: str
    n_train_images: int
    """Real and fake images of the training part."""
    n_drawn: int
    """Images the network saw in all epochs together, repetitions included."""
    best_epoch: int
    """The epoch whose weights were kept, from 1."""
    valid_accuracy: float
    """Accuracy at that epoch on the photos that chose it."""


class CrossCell(Record):
    """One detector on the held-out photos and one kind of their fakes."""

    trained_on: str
    tested_on: str
    n_photos: int
    """Held-out photos; each is there twice, as it is and as a fake."""
    measures: Measures
    difference: Rate
    """AUC minus that of the detector trained on the kind tested here; NaN for that detector itself."""
    difference_interval: Interval
    """Of `difference`, from the same photos under both detectors."""


class CrossTable(Record):
    """One architecture, kinds trained on x kinds tested on."""

    schema_version: str = CROSS_VERSION
    arch: str
    settings: dict[str, Any]
    """Of every training, see `detectors.training.settings.Settings`."""
    starts_from: str
    """Random or ImageNet weights, in words."""
    data: str
    """Path of the pairs dataset."""
    threshold: float
    confidence: float
    kinds: list[str]
    n_photos: dict[str, int]
    """Photos of the parts "train", "valid" and "test"."""
    n_left_out: dict[str, int]
    """Reason to number of photos without a place in the table."""
    trainings: list[CrossTraining]
    """The kinds by name, then "all kinds"."""
    cells: list[CrossCell]

    def cell(self, trained_on: str, tested_on: str) -> CrossCell:
        """One cell; KeyError if it is not there."""
        for cell in self.cells:
            if (cell.trained_on, cell.tested_on) == (trained_on, tested_on):
                return cell
        raise KeyError((trained_on, tested_on))

    def to_json(self) -> str:
        """The bytes of `cross-table.json`."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def load(cls, folder: str | Path) -> CrossTable:
        """Read `cross-table.json` of a folder; raises pydantic.ValidationError on anything else."""
        return cls.model_validate_json((Path(folder) / CROSS_FILE).read_text(encoding="utf-8"))

    def rows(self) -> list[dict[str, Any]]:
        """Rows of `cross-table.csv`: one a cell."""
        return [
            {"trained_on": c.trained_on, "tested_on": c.tested_on, "n_photos": c.n_photos}
            | flat(c.measures)
            | {"auc_difference": c.difference}
            | dict(zip(("auc_difference_low", "auc_difference_high"), c.difference_interval, strict=True))
            for c in self.cells
        ]
