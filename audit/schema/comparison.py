"""The record of a comparison of detectors on the same images: `Comparison`, the content of `comparison.json`.

Enters: numbers computed by `audit.runs.compare_runs`. Leaves: JSON that survives the round trip, NaN
included.

"First" and "second" are two of the compared runs; every difference is first minus second.

Tests are corrected in three families, each by itself (`FAMILIES`). Why not all together: with five detectors
and three attributes there are 700 tests, 600 of them on single groups that nobody asked about beforehand, and
the questions everybody asks would pay for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from audit.schema.nullable import Interval, Rate, Record
from audit.task import Task, TaskName, task_named

COMPARISON_VERSION = "1.1"
COMPARISON_FILE = "comparison.json"

FamilyName = Literal["headline", "intersections", "groups"]

FAMILIES: Mapping[FamilyName, str] = {
    "headline": "AUC, {fpr} and {fnr} on all {items}, and the gaps of every single attribute",
    "intersections": "the gaps of every intersection of attributes (exploratory)",
    "groups": "AUC, {fpr} and {fnr} of every single group (exploratory)",
}
"""What is corrected together, with places for the words of a task. Only the headline family answers questions
that stood before the data; the chance that any of its answers is false is at most alpha. What the exploratory
ones find asks to be confirmed on new images."""


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
    """Holm, over the tests of its family."""
    family: FamilyName | None = None
    """None in files of version 1.0, where all tests were corrected together."""
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


class Family(Record):
    """Tests that are corrected together."""

    name: FamilyName
    what: str
    n_tests: int


class Comparison(Record):
    """Everything a comparison found."""

    schema_version: str = COMPARISON_VERSION
    runs: list[ComparedRun]
    confidence: float
    min_n: int
    seed: int
    n_boot: int
    """Replicates drawn: as many as the first run, or more where a family needs more."""
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
    """Tests made, in all families."""
    families: list[Family] = Field(default_factory=list)
    task: TaskName = "fake-face"
    """What was audited, of all runs (`audit.task`)."""

    @property
    def words(self) -> Task:
        """The words of what was audited."""
        return task_named(self.task)

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
