"""The record of a search for a cure: `MitigationResult`, the content of `mitigation.json`.

Enters: numbers computed by `audit.mitigation`. Leaves: JSON that survives the round trip, NaN included.

"Before" is the detector at the threshold it is used with, "after" the same detector with the cure; every
change is after minus before, on the same images of the judging part, which chose nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from audit.errors import ResultFormatError
from audit.schema.nullable import Interval, Rate
from audit.schema.result import Provenance, RateName, Record, Verdict
from pipelines.errors import UnreadableFile
from pipelines.untrusted import read_json
from pipelines.visible import visible

MITIGATION_VERSION = "1.0"
MITIGATION_FILE = "mitigation.json"

Outcome = Literal["accepted", "levelling down", "not accepted", "no candidate", "nothing to cure"]
"""accepted: a gap provably shrinks, accuracy holds, no other gap provably grows, and not by levelling down
alone.
levelling down: a gap provably shrinks, but its better-off group got worse and the worse-off one did not gain.
no candidate: a gap was found on the fitting part, and nothing there promised to help.
nothing to cure: the fitting part shows no gap."""

Method = Literal["threshold", "calibration", "worst group", "group-aware thresholds"]


class PartSize(Record):
    """Images of one part."""

    n_images: int
    n_real: int
    n_fake: int
    n_pairs: int


class Target(Record):
    """A gap that the fitting part shows."""

    attribute: str
    rate: RateName
    gap: Rate
    """On the fitting part, largest minus smallest rate."""
    p_value: Rate
    """That all groups are equal, on the fitting part; not corrected, since it only says what to try."""
    worst_group: str
    best_group: str


class Candidate(Record):
    """One way to choose a single threshold, tried on the fitting part alone."""

    method: Method
    threshold: Rate
    """In units of the score; NaN where the method found none."""
    unfairness: Rate
    """Sum of the targets' gaps, and of what other gaps grow by, on held-out fifths of the fitting part."""
    error: Rate
    """Mean of FPR and FNR on those fifths."""
    chosen: bool = False
    reason: str | None = None
    """Why it was set aside."""


class GapShift(Record):
    """The gap of one attribute and rate, before and after."""

    attribute: str
    rate: RateName
    target: bool
    """Whether the cure was meant for it."""
    before: Rate
    after: Rate
    change: Rate
    interval: Interval | None
    """Of the change, paired; allows for a max-min gap being overstated (`audit.inference.paired_tests`)."""
    p_value: Rate
    adjusted_p_value: Rate = float("nan")
    """Holm, over the targets."""
    shrinks: bool = False
    """Proven to shrink."""
    grows: bool = False
    """Proven to grow."""
    n_groups: int
    reason: str | None = None
    """Why there is no number."""


class GroupShift(Record):
    """One error rate of one group, before and after."""

    attribute: str
    group: str
    rate: RateName
    n: int
    before: Rate
    after: Rate
    change: Rate
    interval: Interval | None
    """Of the change, paired (Tango), of this group alone; None for fewer than `min_n` images."""


class LevellingDown(Record):
    """A gap that shrinks because its better-off group got worse."""

    attribute: str
    rate: RateName
    worst_group: str
    """Worst off on the fitting part; on the judging part not shown to have gained."""
    best_group: str
    """Best off on the fitting part; on the judging part proven to have got worse."""


class ErrorShift(Record):
    """All images together, before and after."""

    fpr_before: Rate
    fpr_after: Rate
    fnr_before: Rate
    fnr_after: Rate
    error_before: Rate
    """Mean of FPR and FNR."""
    error_after: Rate
    change: Rate
    interval: Interval
    """Of the change of that mean, paired."""
    holds: bool
    """Whether the upper limit stays within the margin."""


class GroupRule(Record):
    """How one group is decided under group-aware thresholds: one threshold is drawn for each image."""

    group: str
    thresholds: list[float]
    """1e300 flags nobody, -1e300 everybody."""
    shares: list[float]
    """With which probability each is taken."""


class Trial(Record):
    """A cure on the judging part."""

    method: Method
    outcome: Outcome
    reasons: list[str]
    """Why it was not accepted; empty if it was."""
    threshold: Rate
    """NaN for group-aware thresholds."""
    attribute: str | None = None
    """What group-aware thresholds look at when they decide."""
    rules: list[GroupRule] = Field(default_factory=list)
    error: ErrorShift
    gaps: list[GapShift]
    groups: list[GroupShift]
    levelling_down: list[LevellingDown]
    verdicts: list[Verdict] = Field(default_factory=list)
    """On single attributes with the cure, as `audit run` gives them."""


class TradeOff(Record):
    """One single threshold on the judging part."""

    threshold: float
    error: Rate
    """Mean of FPR and FNR over all images."""
    worst_group_error: Rate
    """The largest of the groups'."""
    front: bool
    """Whether no other single threshold is better in both."""


class MitigationResult(Record):
    """Everything a search for a cure found."""

    schema_version: str = MITIGATION_VERSION
    provenance: Provenance
    """Of the audit."""
    audit_sha256: str = ""
    """Of the `audit.json` whose scores these are."""
    attributes: list[str]
    confidence: float
    tolerance: float
    margin: float
    """By how much the mean of FPR and FNR may rise at most."""
    min_n: int
    seed: int
    n_boot: int
    fit_share: float
    threshold: float
    """Before."""
    threshold_rule: str
    fit: PartSize
    judge: PartSize
    outcome: Outcome
    not_compared: list[str] = Field(default_factory=list)
    """Attributes with fewer than two groups of `min_n` images of a class in both parts: nothing can be
    tried."""
    targets: list[Target]
    candidates: list[Candidate]
    verdicts: list[Verdict]
    """On single attributes of the judging part, before; empty where nothing was tried."""
    cure: Trial | None
    """The one candidate that the fitting part chose."""
    bound: Trial | None
    """What is possible if the group is looked at in deciding; never recommended."""
    front_attribute: str | None
    """The attribute whose worst group `trade_offs` shows."""
    trade_offs: list[TradeOff]
    notes: list[str]

    def to_json(self) -> str:
        """The bytes of `mitigation.json`."""
        return self.model_dump_json(indent=2) + "\n"


def load_mitigation(folder: str | Path) -> MitigationResult:
    """Read `mitigation.json` of a folder.

    Raises:
        ResultFormatError: It is missing, or not what `audit mitigate` writes.
    """
    path = Path(folder) / MITIGATION_FILE
    if not path.is_file():
        raise ResultFormatError(f"no {MITIGATION_FILE} in {folder}; make one with `audit mitigate {folder}`")
    try:
        return MitigationResult.model_validate(read_json(path))
    except UnreadableFile as error:
        raise ResultFormatError(f"{error}; run `audit mitigate` again") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = visible(".".join(map(str, first["loc"])))
        raise ResultFormatError(
            f"{path}: not a result of this program: {place}: {visible(first['msg'])[:300]}; run `audit "
            "mitigate` again"
        ) from error
