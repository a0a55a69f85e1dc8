"""The record of a stress test: `StressResult`, the content of `stress.json`.

Enters: numbers computed by `audit.runs.stress_run`. Leaves: JSON that survives the round trip, NaN included,
and the rows of `stress.csv`.
"""

from __future__ import annotations

from pydantic import Field

from audit.schema.nullable import Interval, Rate, Record
from audit.schema.result import Provenance, RateName, VerdictWord

STRESS_VERSION = "1.1"
STRESS_FILE = "stress.json"
TABLE_FILE = "stress.csv"


class StressKind(Record):
    """One kind of transformation."""

    name: str
    label: str
    unit: str
    levels: list[float]
    """By severity, 1 to 5."""


class StressPoint(Record):
    """One group under one transformation at one severity; severity 0 is the untouched image."""

    detector: str
    transformation: str
    severity: int
    attribute: str
    group: str
    n_real: int
    n_fake: int
    fpr: Rate
    fpr_interval: Interval
    fnr: Rate
    fnr_interval: Interval
    auc: Rate
    best_error: Rate
    """(FPR + FNR) / 2 at the threshold that is best for these scores: what is left if the threshold is
    moved.
    """


class Broken(Record):
    """An error rate of all images that a transformation is shown to raise, at its worst severity."""

    detector: str
    transformation: str
    severity: int
    rate: RateName
    value: Rate
    interval: Interval
    """Holds together with those of all transformations, severities and rates of this detector."""
    untouched: Rate
    untouched_interval: Interval
    """In the same way."""


class Damage(Record):
    """By how much one group's error rate rises, on average over the five severities; of compared groups."""

    detector: str
    transformation: str
    attribute: str
    group: str
    rate: RateName
    n: int
    """Images."""
    damage: Rate
    interval: Interval
    first_severity_beyond: int | None
    """The mildest severity at which the rate, as seen, has risen by more than the tolerance; not tested."""


class StressVerdict(Record):
    """Are the groups of an attribute harmed alike by one transformation?"""

    detector: str
    transformation: str
    attribute: str
    rate: RateName
    verdict: VerdictWord
    worse_group: str | None
    better_group: str | None
    difference: Rate
    interval: Interval
    """For all pairs of groups and all verdicts together."""
    p_value: Rate
    """Corrected for all pairs of groups and, by Holm, for all verdicts of this detector's stress test."""


class StressedDetector(Record):
    """One detector and what its threshold does to it."""

    name: str
    threshold: float
    threshold_rule: str
    provenance: Provenance
    n_images: int
    n_left_out: dict[str, int] = Field(default_factory=dict)


class StressResult(Record):
    """Everything a stress test found."""

    schema_version: str = STRESS_VERSION
    confidence: float
    tolerance: float
    min_n: int
    seed: int
    attributes: list[str]
    unit_column: str | None = None
    """Column of the person, video or source photo that was taken for independent, if one was named."""
    detectors: list[StressedDetector]
    kinds: list[StressKind]
    points: list[StressPoint]
    broken: list[Broken] | None = None
    """What breaks a detector, the largest rise first; null in records before 1.1."""
    damage: list[Damage]
    verdicts: list[StressVerdict]
    notes: list[str] = Field(default_factory=list)
    """What the reader must know of what was taken for independent."""

    def to_json(self) -> str:
        """The bytes of `stress.json`."""
        return self.model_dump_json(indent=2) + "\n"
