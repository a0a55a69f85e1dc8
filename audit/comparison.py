"""The record of a comparison of detectors on the same images: `Comparison`, the content of `comparison.json`.

Enters: numbers computed by `audit.compare`. Leaves: JSON that survives the round trip, NaN included.

"First" and "second" are two of the compared runs; every difference is first minus second.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from audit.result import Record
from audit.undefined import Interval, Rate

COMPARISON_VERSION = "1.0"
COMPARISON_FILE = "comparison.json"


class ComparedRun(Record):
    """One of the runs, on the images all of them share."""

    name: str
    """The detector's name, or the folder's where two detectors are called the same."""
    path: str
    threshold: float
    threshold_rule: str
    auc: Rate
    auc_interval: Interval
    fpr: Rate
    fpr_interval: Interval
    fnr: Rate
    fnr_interval: Interval


class _Difference(Record):
    """What every comparison of two runs has."""

    first: str
    second: str
    attribute: str
    difference: Rate
    """First minus second."""
    interval: Interval | None
    p_value: Rate
    adjusted_p_value: Rate = float("nan")
    """Holm, over every test of the comparison."""
    reason: str | None = None
    """Why there is no number."""


class AucDifference(_Difference):
    """Difference of two AUCs on the same images of one group (paired DeLong)."""

    group: str
    auc_first: Rate
    auc_second: Rate
    n_real: int
    n_fake: int


class ErrorDifference(_Difference):
    """Difference of two error rates on the same images of one group (exact McNemar)."""

    group: str
    rate: Literal["fpr", "fnr"]
    n: int
    both_wrong: int
    only_first_wrong: int
    only_second_wrong: int
    neither_wrong: int


class GapChange(_Difference):
    """Difference of two max-min gaps between the groups of one attribute."""

    rate: Literal["fpr", "fnr"]
    gap_first: Rate
    gap_second: Rate
    n_groups: int


class Comparison(Record):
    """Everything a comparison found."""

    schema_version: str = COMPARISON_VERSION
    runs: list[ComparedRun]
    confidence: float
    min_n: int
    seed: int
    n_boot: int
    attributes: list[str]
    n_images: int
    """Images scored in every run."""
    n_pairs: int
    n_left_out: dict[str, int]
    """Run to number of its images that not every run has scored."""
    notes: list[str]
    auc: list[AucDifference]
    errors: list[ErrorDifference]
    gaps: list[GapChange]
    n_tests: int
    """Size of the family the p-values are adjusted for."""

    def to_json(self) -> str:
        """The bytes of `comparison.json`."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Comparison:
        """Read what `to_json` wrote; raises pydantic.ValidationError on anything else."""
        return cls.model_validate_json(text)

    @classmethod
    def load(cls, path: str | Path) -> Comparison:
        """Read `comparison.json`, given itself or its folder."""
        path = Path(path)
        return cls.from_json((path / COMPARISON_FILE if path.is_dir() else path).read_text(encoding="utf-8"))
