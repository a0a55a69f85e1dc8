"""The record of a search for shortcuts: `ShortcutsResult`, the content of `shortcuts.json`.

Enters: numbers computed by `audit.runs.shortcuts_run`. Leaves: JSON that survives the round trip, NaN
included.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from audit.schema.nullable import Interval, Rate, Record
from audit.schema.result import AdjustedGap, Provenance

SHORTCUTS_VERSION = "1.0"
SHORTCUTS_FILE = "shortcuts.json"
TABLE_FILE = "shortcuts.csv"

PartName = Literal["all", "file", "picture"]
Finding = Literal["files", "picture", "together", "not shown"]
"""What tells real from fake: what stands in the file, statistics of the whole picture, only all of it,
nothing.
"""


class PartResult(Record):
    """How well one part of the facts tells real from fake on images the classifier has not seen."""

    part: PartName
    auc: Rate
    interval: Interval
    """Of "all" at the confidence; of the others for all parts and families together."""
    told: bool
    """The interval lies above 0.5, and that of all facts does too."""


class FamilyResult(Record):
    """How well one family of facts tells real from fake by itself."""

    family: str
    label: str
    part: Literal["file", "picture"]
    auc: Rate
    interval: Interval
    """For all parts and families together."""
    told: bool
    fact: str
    """The fact of the family that differs most between the classes."""
    fact_label: str
    real: str
    """Its most frequent value, or its median, among real images."""
    fake: str


class Flip(Record):
    """How many decisions about one class of one group change once the file is written like the other
    class.
    """

    attribute: str
    group: str
    half: Literal["real", "fake"]
    n: int
    """Independent source photos."""
    flipped: Rate
    interval: Interval
    """Of this share alone."""
    toward: Rate
    """The share that changes to what the other class should be called: a real image is now flagged, a fake
    passes.
    """


class AtEqualFiles(Record):
    """How many more fakes than real images are flagged, at equal value of the file-only score."""

    raw: Rate
    raw_interval: Interval
    adjusted: Rate
    interval: Interval | None
    reason: str | None
    """Why there is no adjusted number."""


class ShortcutDetector(Record):
    """What a detector does where the files are exchanged."""

    name: str
    threshold: float
    threshold_rule: str
    provenance: Provenance
    n_images: int
    n_left_out: dict[str, int] = Field(default_factory=dict)
    exchange: dict[str, int]
    """"exchanged", or why an image could not be written like its counterpart, to a number of images."""
    flips: list[Flip]
    at_equal_files: AtEqualFiles
    gaps: list[AdjustedGap]
    """Gaps between groups at equal value of the file-only score."""


class ShortcutsResult(Record):
    """Everything a search for shortcuts found."""

    schema_version: str = SHORTCUTS_VERSION
    data: str
    """Path of the data set."""
    layout: str
    n_real: int
    n_fake: int
    n_units: int
    """Source photos, or pairs, that folds keep whole."""
    n_left_out: dict[str, int] = Field(default_factory=dict)
    confidence: float
    seed: int
    attributes: list[str]
    finding: Finding
    parts: list[PartResult]
    families: list[FamilyResult]
    detector: ShortcutDetector | None = None
    command: str = ""

    def part(self, name: PartName) -> PartResult:
        """One part of the facts."""
        return next(part for part in self.parts if part.part == name)

    @property
    def betrays(self) -> list[FamilyResult]:
        """Families that tell the classes apart, the clearest first."""
        return sorted((f for f in self.families if f.told), key=lambda f: -f.auc)

    def to_json(self) -> str:
        """The bytes of `shortcuts.json`."""
        return self.model_dump_json(indent=2) + "\n"
