"""The answer in plain words, generated from the verdicts and never stronger than they are.

Enters: an `AuditResult`. Leaves: a headline, one sentence a verdict, how sure we are, and what to do next.

Why the words are chosen by the verdict and not by the size of a gap: "insufficient evidence" must never
read as "fair", nor a large gap in thin data as "unfair". The estimates, their intervals and n are quoted in
every sentence, so that a reader can disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

from audit.result import OVERALL, AuditResult, GroupResult, Verdict
from reports.numbers import count, listing, percent, percent_interval, point_interval, points, times

DISPARITY, WITHIN, INSUFFICIENT = "disparity", "within tolerance", "insufficient evidence"
UNEQUAL = "unequal, size open"
"""Insufficient evidence on the size of a gap whose existence is proven."""
_ORDER = {DISPARITY: 0, INSUFFICIENT: 1, WITHIN: 2}
MISSING = "(missing)"
"""Group of the images without a label; shown, never compared."""
_LABELLED = {"race": "labelled {}", "gender": "labelled {}", "age": "labelled as aged {}"}
RATE_NAMES = {"fpr": "Real images flagged as fake", "fnr": "Fakes let through"}


@dataclass(frozen=True)
class Finding:
    """One verdict, put into words."""

    verdict: Verdict
    headline: str
    """'Disparity', 'Within tolerance', 'Cannot tell'."""
    short: str
    """A line for the table of verdicts."""
    claim: str
    """The statement alone: who, and how much."""
    evidence: str
    """What it rests on: rates, intervals, n."""

    @property
    def sentence(self) -> str:
        """Claim and evidence in one."""
        return f"{self.claim} {self.evidence}"


def title(attribute: str) -> str:
    """'age:gender:race' -> 'Age × gender × race'; an attribute of the user's own keeps its spelling."""
    words = " × ".join(attribute.split(":"))
    return words[:1].upper() + words[1:]


def by(attribute: str) -> str:
    """'race' -> 'by race', 'gender:race' -> 'by gender × race'."""
    return "by " + " × ".join(attribute.split(":"))


def people(attribute: str, group: str) -> str:
    """'race', 'Black' -> 'of people labelled Black'; 'tone', 'dark' -> 'with tone “dark”'."""
    names, values = attribute.split(":"), group.split(":")
    if len(names) != len(values):
        names, values = [attribute], [group]
    if all(name in _LABELLED for name in names):
        phrases = [_LABELLED[name].format(value) for name, value in zip(names, values, strict=True)]
        return "of people " + listing(phrases)
    return "with " + listing([f"{name} “{value}”" for name, value in zip(names, values, strict=True)])


def find(result: AuditResult, attribute: str, group: str | None) -> GroupResult | None:
    """The group's measures, if the record has them."""
    return next((g for g in result.groups if g.attribute == attribute and g.group == group), None)


def _images(rate: str) -> str:
    return "real images" if rate == "fpr" else "fakes"


def _happens(rate: str) -> str:
    return "flagged as fake" if rate == "fpr" else "let through as real"


def _quoted(group: GroupResult, rate: str) -> str:
    n = group.n_real if rate == "fpr" else group.n_fake
    interval = percent_interval(getattr(group, rate + "_interval"))
    return f"{percent(getattr(group, rate))} ({interval}) of {count(n)}"


def _gap_of_pair(v: Verdict, apart: float) -> str:
    """The named pair's gap; and the range over all groups, where another pair lies further apart unproven."""
    whole = f"{points(v.gap)} ({point_interval(v.gap_interval)})"
    if abs(apart - v.gap) < 1e-9:
        return f"a gap of {whole}"
    return f"a gap of {points(apart)}; over all groups the rates span {whole}"


def _disparity(result: AuditResult, v: Verdict) -> tuple[str, str]:
    worst, best = find(result, v.attribute, v.worst_group), find(result, v.attribute, v.best_group)
    if worst is None or best is None:
        claim = f"{_images(v.rate).capitalize()} are not {_happens(v.rate)} equally often {by(v.attribute)}:"
        return claim, f"a gap of {points(v.gap)} ({point_interval(v.gap_interval)})."
    high, low = getattr(worst, v.rate), getattr(best, v.rate)
    often = f"{times(high / low)} as often as" if low > 0 and high / low >= 1.1 else "more often than"
    claim = (
        f"{_images(v.rate).capitalize()} {people(v.attribute, worst.group)} are {_happens(v.rate)} {often} "
        f"those {people(v.attribute, best.group)}:"
    )
    return claim, f"{_quoted(worst, v.rate)} against {_quoted(best, v.rate)}, {_gap_of_pair(v, high - low)}."


def _observed(v: Verdict) -> str:
    ends = [group_label(v.attribute, g) for g in (v.worst_group, v.best_group) if g]
    groups = f" between {ends[0]} and {ends[1]}" if len(ends) == 2 else ""
    return f"{points(v.gap)}{groups} ({point_interval(v.gap_interval)})"


def standing(result: AuditResult, v: Verdict) -> str:
    """The verdict's word, with UNEQUAL told apart from the rest of the insufficient evidence."""
    differs = v.adjusted_p_value <= 1 - result.config.confidence
    return UNEQUAL if v.verdict == INSUFFICIENT and differs else v.verdict


def ratio_note(result: AuditResult, v: Verdict) -> str:
    """What the ratio adds to a small gap: low rates that are far apart in proportion. Else nothing."""
    key = (v.attribute, f"{v.rate}_ratio")
    ratio = next((g for g in result.gaps if (g.attribute, g.measure) == key), None)
    if ratio is None or ratio.interval is None or not ratio.interval[1] < result.config.ratio_tolerance[0]:
        return ""
    most = percent(ratio.interval[1], 0)
    return f"In proportion they do differ: the lowest rate is at most {most} of the highest."


def _within(result: AuditResult, v: Verdict) -> tuple[str, str]:
    claim = f"{_images(v.rate).capitalize()} are {_happens(v.rate)} about equally often {by(v.attribute)}:"
    tolerance = points(result.config.tolerance)
    evidence = f"any gap is below the tolerance of {tolerance}; the largest seen is {_observed(v)}."
    return claim, f"{evidence} {ratio_note(result, v)}".rstrip()


def _open_claim(result: AuditResult, v: Verdict) -> str:
    """Unequal, but by how much is open; or not even that."""
    if standing(result, v) == UNEQUAL:
        start = f"{_images(v.rate).capitalize()} are not {_happens(v.rate)} equally often {by(v.attribute)}"
        limit = points(result.config.tolerance)
        return f"{start}, but whether the gap exceeds the tolerance of {limit}, the data cannot tell."
    what = f"{_images(v.rate)} are {_happens(v.rate)}"
    return f"The data cannot tell whether {what} equally often {by(v.attribute)}."


def _insufficient(result: AuditResult, v: Verdict) -> tuple[str, str]:
    claim = _open_claim(result, v)
    if v.gap != v.gap:
        return claim, v.explanation
    seen = f"The largest gap seen is {_observed(v)}"
    if v.min_detectable_gap == v.min_detectable_gap:
        seen += f"; a true gap under {points(v.min_detectable_gap)} would usually go unnoticed"
    needed = f" About {count(v.images_needed)} images per group would settle it." if v.images_needed else ""
    return claim, f"{seen}.{needed}"


def _short(v: Verdict) -> str:
    if v.gap != v.gap:
        return "fewer than two groups with enough images"
    ends = [group_label(v.attribute, g) for g in (v.worst_group, v.best_group) if g]
    proven = v.verdict == DISPARITY and len(ends) == 2
    groups = " vs ".join(ends) + ": " if proven else ""
    return f"{groups}gap {points(v.gap)} ({point_interval(v.gap_interval)})"


def finding(result: AuditResult, v: Verdict) -> Finding:
    """Say one verdict in words."""
    if v.verdict == DISPARITY:
        return Finding(v, "Disparity", _short(v), *_disparity(result, v))
    if v.verdict == WITHIN:
        return Finding(v, "Within tolerance", _short(v), *_within(result, v))
    return Finding(v, "Cannot tell", _short(v), *_insufficient(result, v))


def findings(result: AuditResult) -> list[Finding]:
    """All verdicts in words: disparities first, single attributes before intersections, wrongful flags before
    missed fakes, larger gaps first.
    """
    ranked = sorted(
        result.verdicts,
        key=lambda v: (
            _ORDER[v.verdict],
            v.attribute.count(":"),
            v.rate != "fpr",
            -v.gap if v.gap == v.gap else 0.0,
        ),
    )
    return [finding(result, v) for v in ranked]


def group_label(attribute: str, group: str) -> str:
    """A group's name in tables and on axes."""
    return "All images" if attribute == OVERALL else group.replace(":", " · ")
