"""Verdicts in plain words: what was seen, what follows from it, and what does not.

Enters: the numbers of one verdict. Leaves: two or three sentences for a reader without statistics, none of
them stronger than the evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

from audit.config import AuditConfig
from audit.result import RateName, VerdictWord

WORDS: dict[RateName, str] = {
    "fpr": "share of real faces wrongly flagged as fake",
    "fnr": "share of fakes that pass as real",
}
CLASS: dict[RateName, str] = {"fpr": "real", "fnr": "fake"}


@dataclass(frozen=True)
class Seen:
    """What was counted in one group."""

    name: str
    errors: int
    images: int

    def __str__(self) -> str:
        return f"{100 * self.errors / self.images:.1f} % for {self.name} ({self.errors:,} of {self.images:,})"


@dataclass(frozen=True)
class Findings:
    """The numbers behind one verdict.

    Attributes:
        rate: "fpr" or "fnr".
        word: The verdict.
        best: The group with the lower rate; None where all groups have the same.
        worst: The group with the higher rate.
        limits: Simultaneous interval of the max-min gap.
        highest_ratio: Upper limit of min / max rate.
        differs: Whether equality is rejected after all adjustments.
        detectable: Smallest gap found with 80 % power.
        needed: Images per group that would most likely settle it.
        n_small: Groups too small to take part.
    """

    rate: RateName
    word: VerdictWord
    best: Seen | None
    worst: Seen | None
    limits: tuple[float, float]
    highest_ratio: float
    differs: bool
    detectable: float
    needed: int | None
    n_small: int


def explain(findings: Findings, config: AuditConfig) -> str:
    """The sentences under a verdict."""
    endings = {"disparity": _disparity, "within tolerance": _within, "insufficient evidence": _insufficient}
    what = WORDS[findings.rate]
    seen = (
        f"The {what} is {findings.worst} and {findings.best}. "
        if findings.worst and findings.best
        else f"The {what} is the same in every group here. "
    )
    return seen + endings[findings.word](findings, config) + _left_out(findings, config)


def _disparity(findings: Findings, config: AuditConfig) -> str:
    return f"That is more than {_points(config.tolerance)} apart, and not explained by chance alone."


def _within(findings: Findings, config: AuditConfig) -> str:
    ratio = f"{findings.highest_ratio:.0%}"
    differ = f" In proportion they do differ: the lowest rate is at most {ratio} of the highest."
    return (
        f"With {100 * config.confidence:g} % confidence no two groups differ by more than "
        f"{_points(findings.limits[1])}, within the {_points(config.tolerance)} allowed."
    ) + (differ if findings.highest_ratio < config.ratio_tolerance[0] else "")


def _insufficient(findings: Findings, config: AuditConfig) -> str:
    low, high = (100 * limit for limit in findings.limits)
    start = (
        f"The groups differ, but whether by more than {_points(config.tolerance)} is open"
        if findings.differs
        else f"That neither shows a gap above {_points(config.tolerance)} nor rules one out"
    )
    return (
        f"{start}: the largest gap may be anything from {low:.1f} to {high:.1f} points. A gap under "
        f"{100 * findings.detectable:.1f} points could easily go unnoticed here; about "
        f"{findings.needed or 0:,} {CLASS[findings.rate]} images per group would most likely settle it."
    )


def _left_out(findings: Findings, config: AuditConfig) -> str:
    if not findings.n_small:
        return ""
    return f" Groups of fewer than {config.min_n} images took no part ({findings.n_small})."


def _points(difference: float) -> str:
    return f"{100 * difference:.2g} percentage points"
