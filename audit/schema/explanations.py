"""The record of measured explanations: `explanations/summary.json` of a run, or of `audit explain --check`.

Enters: what `audit.api.explanations` measured. Leaves: JSON that a report may read, whoever wrote it.
"""

from __future__ import annotations

from typing import Literal

from audit.schema.result import Record

SUMMARY_FILE = "summary.json"
LEAST_FAKES = 10
"""No method is trusted on fewer, and no group compared."""
Bounds = tuple[float | None, float | None]


class MethodMeasure(Record):
    """What a method's maps were worth on fakes of which is known what was changed."""

    method: str
    attribute: str | None = None
    group: str | None = None
    small: bool = False
    """Of a group: too few fakes to say much."""
    n: int
    n_flat: int
    area: float
    """Mean share of the image that was changed: what chance gets of `hit` and `energy`."""
    hit: float
    """Share of maps whose brightest place lies in it."""
    hit_interval: Bounds
    energy: float
    """Mean share of the map in it."""
    energy_gain_interval: Bounds
    """Of `energy` minus `area`."""
    deletion_gain: float
    """How much faster the decision falls than in a random order."""
    deletion_gain_interval: Bounds
    insertion_gain: float
    insertion_gain_interval: Bounds
    agreement: float | None
    """Mean rank correlation with maps of random weights; null without a network of torch."""
    trusted: bool | None = None
    """By all three tests; null of a group."""


class RegionDifference(Record):
    """How much of a group's maps lies on one part of the face."""

    half: Literal["real", "fake"]
    attribute: str
    group: str
    region: str
    n: int
    share: float
    share_others: float
    p_value: float
    """Corrected for all groups, regions, attributes and halves."""


class ExplanationSummary(Record):
    """Everything that was measured."""

    detector: str
    sha256: str | None
    threshold: float
    seed: int
    confidence: float
    fakes_with_mask: int
    fakes_called_fake: int
    trust: list[MethodMeasure]
    trust_by_group: list[MethodMeasure]
    method: str
    """Of the mean maps."""
    images: int
    left_out: int
    """Images whose map was flat, or that could not be read."""
    differences: list[RegionDifference]
