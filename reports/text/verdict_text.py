"""The answer in plain words, generated from the verdicts and never stronger than they are.

Enters: an `AuditResult`. Leaves: a headline, one sentence a verdict, how sure we are, and what to do next.

Why the words are chosen by the verdict and not by the size of a gap: "insufficient evidence" must never
read as "fair", nor a large gap in thin data as "unfair". The estimates, their intervals and n are quoted in
every sentence, so that a reader can disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from audit.schema.result import OVERALL, AuditResult, GroupResult, Verdict, WorseGroup
from pipelines.visible import isolated
from reports.text.numbers import count, listing, percent, percent_interval, point_interval, points, times

DISPARITY, WITHIN, INSUFFICIENT = "disparity", "within tolerance", "insufficient evidence"
UNEQUAL = "unequal, size open"
"""Insufficient evidence on the size of a gap whose existence is proven."""
_ORDER = {DISPARITY: 0, INSUFFICIENT: 1, WITHIN: 2}
HEADLINES = {DISPARITY: "Disparity", WITHIN: "Within tolerance", INSUFFICIENT: "Cannot tell"}
"""The verdicts as a reader meets them."""
MOST_NAMED = 5
"""Groups listed by name before the rest are counted."""
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
    return isolated(words[:1].upper() + words[1:])


def by(attribute: str) -> str:
    """'race' -> 'by race', 'gender:race' -> 'by gender × race'."""
    return "by " + " × ".join(map(isolated, attribute.split(":")))


def people(attribute: str, group: str) -> str:
    """'race', 'Black' -> 'of people labelled Black'; 'tone', 'dark' -> 'with tone “dark”'."""
    names, values = attribute.split(":"), group.split(":")
    if len(names) != len(values):
        names, values = [attribute], [group]
    names, values = ([isolated(word) for word in words] for words in (names, values))
    if all(name.lower() in _LABELLED for name in names):
        phrases = [_LABELLED[name.lower()].format(value) for name, value in zip(names, values, strict=True)]
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


def _gap_of_pair(v: Verdict) -> str:
    """The named pair's gap; and the range over all groups, where another pair lies further apart."""
    gap, interval = proven_gap(v)
    told = f"a gap of {points(gap)} ({point_interval(interval)})"
    span = f"over all groups the rates span {points(v.gap)} ({point_interval(v.gap_interval)})"
    if named_pair(v) is None:
        return span
    return told if abs(gap - v.gap) < 1e-9 else f"{told}; {span}"


def _size(result: AuditResult, v: Verdict) -> str:
    """What is proven of the size of a disparity."""
    limit = points(result.config.tolerance)
    if beyond_proven(result, v):
        return f"That the gap exceeds the tolerance of {limit} is proven."
    _, interval = proven_gap(v)
    least = interval[0] if interval and interval[0] == interval[0] else 0.0
    small = f"as small as {points(least)}" if least > 0 else "close to none"
    return f"That they are unequal is proven; the true gap may be {small}, inside the tolerance of {limit}."


def _as_often(pair: WorseGroup | None, high: float, low: float) -> str:
    """'3.0 (2.1–4.4) times as often as', or 'more often than' where no ratio is proven."""
    ratio = high / low if low > 0 else math.inf
    if pair is None or not pair.ratio_interval[0] > 1 or ratio < 1.1:
        return "more often than"
    return f"{times(ratio, pair.ratio_interval)} as often as"


def _others(result: AuditResult, v: Verdict, but: str | None, start: str) -> str:
    """The other groups proven worse off, each with how much it is worse at least."""
    others = [g for g in v.worse_groups if g.group != but]
    told = [_at_least(result, v, g) for g in others[:MOST_NAMED]]
    if len(others) > MOST_NAMED:
        told.append(f"{count(len(others) - MOST_NAMED)} more groups")
    return f"{start} {listing(told)}." if told else ""


def _at_least(result: AuditResult, v: Verdict, worse: WorseGroup) -> str:
    """'Indian 10.2% (at least 1.3 points more)'; in proportion where points say too little."""
    group = find(result, v.attribute, worse.group)
    rate = percent(getattr(group, v.rate)) if group else ""
    least, ratio = worse.difference_interval[0], worse.ratio_interval[0]
    far = v.verdict == WITHIN and ratio > result.config.ratio_tolerance[1]
    more = f"{times(ratio)} as often" if far else f"{points(least)} more"
    return f"{group_label(v.attribute, worse.group)} {rate} (at least {more})"


def _compared(result: AuditResult, v: Verdict, pair: WorseGroup | None) -> tuple[str, str] | None:
    """'Real images of X are flagged 3 times as often as those of Y:' and both rates, if on record."""
    worst, best = find(result, v.attribute, v.worst_group), find(result, v.attribute, v.best_group)
    if pair:
        worst, best = find(result, v.attribute, pair.group), find(result, v.attribute, pair.than)
    if worst is None or best is None:
        return None
    often = _as_often(pair, getattr(worst, v.rate), getattr(best, v.rate))
    claim = (
        f"{_images(v.rate).capitalize()} {people(v.attribute, worst.group)} are {_happens(v.rate)} {often} "
        f"those {people(v.attribute, best.group)}"
    )
    return claim, f"{_quoted(worst, v.rate)} against {_quoted(best, v.rate)}"


def _disparity(result: AuditResult, v: Verdict) -> tuple[str, str]:
    pair = named_pair(v)
    compared = _compared(result, v, pair)
    if compared is None:
        claim = f"{_images(v.rate).capitalize()} are not {_happens(v.rate)} equally often {by(v.attribute)}:"
        return claim, f"{_gap_of_pair(v)}. {_size(result, v)}"
    claim, rates = compared
    also = _others(result, v, v.worst_group, "Also:")
    return f"{claim}:", f"{rates}, {_gap_of_pair(v)}. {_size(result, v)} {also}".rstrip()


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
    tolerance = points(result.config.tolerance)
    evidence = f"any gap is below the tolerance of {tolerance}; the largest seen is {_observed(v)}."
    far = far_in_proportion(result, v)
    compared = _compared(result, v, far) if far else None
    if far and compared:
        claim, rates = compared
        also = _others(result, v, far.group, "Also proven higher:")
        return (
            f"Within {tolerance}, but {claim[:1].lower()}{claim[1:]}:",
            f"{rates}; {evidence} {also}".rstrip(),
        )
    claim = f"{_images(v.rate).capitalize()} are {_happens(v.rate)} about equally often {by(v.attribute)}:"
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
    unequal = standing(result, v) == UNEQUAL
    seen = f"The largest gap seen is {_observed(v)}"
    if not unequal and v.min_detectable_gap == v.min_detectable_gap:
        seen += f"; a true gap under {points(v.min_detectable_gap)} could go unnoticed"
    than = v.worse_groups[0].than if v.worse_groups else ""
    higher = _others(result, v, None, f"Proven higher than for {group_label(v.attribute, than)}:")
    return claim, " ".join(part for part in (f"{seen}.", higher, _plan(v, unequal)) if part)


def _plan(v: Verdict, unequal: bool) -> str:
    """How many images would help, and under which assumption; nothing where that cannot be said."""
    if not v.images_needed:
        return ""
    amount = f"about {count(v.images_needed)} images per group"
    if unequal:
        return f"If the gap is in truth as large as seen, {amount} would most likely settle it."
    return f"If the groups are in truth equal, {amount} would settle it four times out of five."


def _gap_line(v: Verdict) -> str:
    if v.gap != v.gap:
        return "fewer than two groups with enough images"
    gap, interval = shown_gap(v)
    return f"gap {points(gap)} ({point_interval(interval)})"


def _short(result: AuditResult, v: Verdict) -> str:
    """The gap, and whom it concerns where that is proven."""
    far, pair = far_in_proportion(result, v), named_pair(v)
    if far:
        who, than = (group_label(v.attribute, g) for g in (far.group, far.than))
        return f"{_gap_line(v)}; {who} at least {times(far.ratio_interval[0])} as often as {than}"
    if v.verdict != DISPARITY:
        return _gap_line(v)
    ends = [group_label(v.attribute, g) for g in (pair.group, pair.than)] if pair else []
    groups = " vs ".join(ends) + ": " if ends else ""
    open_ = "" if beyond_proven(result, v) else "; proven unequal, perhaps within tolerance"
    return f"{groups}{_gap_line(v)}{open_}"


def finding(result: AuditResult, v: Verdict) -> Finding:
    """Say one verdict in words."""
    if v.verdict == DISPARITY:
        return Finding(v, HEADLINES[v.verdict], _short(result, v), *_disparity(result, v))
    if v.verdict == WITHIN:
        return Finding(v, HEADLINES[v.verdict], _short(result, v), *_within(result, v))
    return Finding(v, HEADLINES[v.verdict], _short(result, v), *_insufficient(result, v))


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
    return "All images" if attribute == OVERALL else isolated(group.replace(":", " · "))


def named_pair(v: Verdict) -> WorseGroup | None:
    """The pair that the verdict names, if the record proves it unequal."""
    return next((g for g in v.worse_groups if (g.group, g.than) == (v.worst_group, v.best_group)), None)


def proven_gap(v: Verdict) -> tuple[float, tuple[float, float] | None]:
    """The named pair's gap and its interval; the largest of all where no pair is known."""
    pair = named_pair(v)
    return (pair.difference, pair.difference_interval) if pair else (v.gap, v.gap_interval)


def shown_gap(v: Verdict) -> tuple[float, tuple[float, float] | None]:
    """The gap and its interval: of the pair that a disparity names, else the largest of all."""
    return proven_gap(v) if v.verdict == "disparity" else (v.gap, v.gap_interval)


def beyond_proven(result: AuditResult, v: Verdict) -> bool:
    """Whether a disparity's gap itself, and not only its estimate, is proven to exceed the tolerance."""
    _, interval = proven_gap(v)
    return v.verdict == "disparity" and interval is not None and interval[0] > result.config.tolerance


def far_in_proportion(result: AuditResult, v: Verdict) -> WorseGroup | None:
    """Of the groups within tolerance, the one proven furthest beyond the ratio tolerance."""
    if v.verdict != "within tolerance":
        return None
    limit = result.config.ratio_tolerance[1]
    far = [g for g in v.worse_groups if g.ratio_interval[0] > limit]
    return max(far, key=lambda g: g.ratio_interval[0], default=None)
