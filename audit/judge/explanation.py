"""Verdicts in plain words: what was seen, what follows from it, and what does not.

Enters: the numbers of one verdict. Leaves: two or three sentences for a reader without statistics, none of
them stronger than the evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

from audit.config import AuditConfig
from audit.schema.result import RateName, VerdictWord, WorseGroup

WORDS: dict[RateName, str] = {
    "fpr": "share of real faces wrongly flagged as fake",
    "fnr": "share of fakes that pass as real",
}
MOST_NAMED = 5
"""Groups listed by name before the rest are counted."""
CLASS: dict[RateName, str] = {"fpr": "real", "fnr": "fake"}


@dataclass(frozen=True)
class Seen:
    """What was counted in one group."""

    name: str
    errors: int
    images: int

    def __str__(self) -> str:
        percent = 100 * self.errors / self.images
        shown = f"{percent:.1g}" if 0 < percent < 0.05 else f"{percent:.1f}"
        return f"{shown} % for {self.name} ({self.errors:,} of {self.images:,})"


@dataclass(frozen=True)
class Findings:
    """The numbers behind one verdict.

    Attributes:
        rate: "fpr" or "fnr".
        word: The verdict.
        best: The group with the lower rate; None where all groups have the same.
        worst: The group with the higher rate.
        limits: Simultaneous interval of the max-min gap.
        highest_ratio: Upper limit of min / max rate; 1 where the groups are not within tolerance.
        worse: Groups proven worse than the better one of the pair that stands for the verdict.
        detectable: Smallest gap found with 80 % power.
        needed: Images per group that would most likely settle it, as `Verdict.images_needed`.
        n_small: Groups too small to take part.
        unequal: Whether equality of all groups is rejected, even if no two of them can be named.
        corrected: The largest gap, corrected for being the largest of many.
        n_tests: Comparisons of the audit.
    """

    rate: RateName
    word: VerdictWord
    best: Seen | None
    worst: Seen | None
    limits: tuple[float, float]
    highest_ratio: float
    worse: list[WorseGroup]
    detectable: float
    needed: int | None
    n_small: int
    unequal: bool
    corrected: float
    n_tests: int

    @property
    def pair(self) -> WorseGroup | None:
        """The named pair, if it is proven unequal."""
        name = self.worst.name if self.worst else None
        return next((g for g in self.worse if g.group == name), None)

    @property
    def least_proven(self) -> float:
        """Lower limit of the named pair's difference; 0 where no pair is proven unequal."""
        return self.pair.difference_interval[0] if self.pair else 0.0


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
    tolerance, least = _points(config.tolerance), findings.least_proven
    proven = (
        f"The true gap between them is at least {_points(least)}."
        if least > config.tolerance
        else f"The true gap between them may be as small as {_points(least)}, within the tolerance."
    )
    seen = (
        f"That is more than {tolerance} apart, and not explained by chance alone{_chance(findings)}. {proven}"
    )
    return seen + _inflated(findings) + _also(findings)


def _chance(findings: Findings) -> str:
    """The p-value of the two groups that are named."""
    if findings.pair is None:
        return ""
    p = findings.pair.p_value
    shown = "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"
    over = f" and all {findings.n_tests} comparisons" if findings.n_tests > 1 else ""
    return f" ({shown} for these two, corrected for every pair{over})"


def _inflated(findings: Findings) -> str:
    """What the gap is likely to be, since the pair was picked because it lies far apart."""
    if findings.pair is None:
        return ""
    likely = _points(findings.pair.corrected_difference)
    return f" A pair picked for its gap shows too large a one; corrected for that it is about {likely}."


def _also(findings: Findings) -> str:
    """The other groups proven worse than the best one."""
    others = [g for g in findings.worse if findings.worst and g.group != findings.worst.name]
    if not others:
        return ""
    told = ", ".join(f"{g.group} (by {_points(g.difference)})" for g in others[:MOST_NAMED])
    more = f" and {len(others) - MOST_NAMED} more groups" if len(others) > MOST_NAMED else ""
    return f" Also proven higher than for {others[0].than}: {told}{more}."


def _within(findings: Findings, config: AuditConfig) -> str:
    sure = f"With {100 * config.confidence:g} % confidence{_together(findings)}"
    apart = f"no two groups differ by more than {_points(findings.limits[1])}"
    differ = f" In proportion they do differ: {_proportion(findings)}."
    return f"{sure} {apart}, within the {_points(config.tolerance)} allowed." + (
        differ if findings.highest_ratio < config.ratio_tolerance[0] else ""
    )


def _together(findings: Findings) -> str:
    """How many such statements the confidence is for."""
    return f", for all {findings.n_tests} comparisons of this audit together," if findings.n_tests > 1 else ""


def _proportion(findings: Findings) -> str:
    """How far apart in proportion: for the group proven worst, else over all groups."""
    far = max(findings.worse, key=lambda g: g.ratio_interval[0], default=None)
    if far is None:
        return f"the lowest rate is at most {findings.highest_ratio:.0%} of the highest"
    return f"{far.group} at least {far.ratio_interval[0]:.2g} times as often as {far.than}"


def _insufficient(findings: Findings, config: AuditConfig) -> str:
    low, high = (100 * limit for limit in findings.limits)
    start = f"That neither shows a gap above {_points(config.tolerance)} nor rules one out"
    if findings.worse:
        start = f"The groups differ, but whether by more than {_points(config.tolerance)} is open"
    elif findings.unequal:
        start = "The groups are not all equal, but no two of them are proven to differ"
    span = f"the largest gap may be anything from {low:.1f} to {high:.1f} points"
    likely = f"corrected for being the largest of many, it is about {100 * findings.corrected:.1f}"
    return f"{start}: {span}; {likely}.{_plan(findings)}"


def _plan(findings: Findings) -> str:
    """What might be missed, and how many images would help, under which assumption."""
    if findings.needed is None:
        needed = ""
    else:
        if_ = "the gap is as large as it looks" if findings.worse else "the groups are equal"
        amount = f"{findings.needed:,} {CLASS[findings.rate]} images in each group"
        needed = f" With about {amount} there would be an 80 % chance of a clear result if {if_}."
    missed = f" A gap under {100 * findings.detectable:.1f} points could go unnoticed here."
    return ("" if findings.worse else missed) + needed


def _left_out(findings: Findings, config: AuditConfig) -> str:
    if not findings.n_small:
        return ""
    return f" Groups of fewer than {config.min_n} images took no part ({findings.n_small})."


def _points(difference: float) -> str:
    return f"{100 * difference:.2g} percentage points"
