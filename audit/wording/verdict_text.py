"""A verdict in plain words, never stronger than it is: the report, audit.json, JUnit, terminal and notebook.

Enters: an `AuditResult` and one of its verdicts. Leaves: headline, claim, evidence, and what would settle it.

Why the words are chosen by the verdict and not by the size of a gap: "insufficient evidence" must never
read as "fair", nor a large gap in thin data as "unfair". The estimates, their intervals and n are quoted in
every sentence, so that a reader can disagree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from audit.data.unit_totals import LEAST_UNITS
from audit.judge.usefulness import unanswered
from audit.schema.result import (
    OVERALL,
    AuditResult,
    Config,
    GroupResult,
    NoScores,
    RateName,
    Verdict,
    WorseGroup,
)
from audit.wording.criterion_text import (
    by_four_fifths,
    headline_of,
    in_ratios,
    limit,
    nothing_exceeds,
    ratio_number,
    ratio_span,
    size_of,
)
from audit.wording.numbers import (
    about,
    count,
    listing,
    multiple_down,
    p_equals,
    percent,
    point_interval,
    points,
    points_down,
    times,
)
from pipelines.visible import isolated

DISPARITY, WITHIN, INSUFFICIENT = "disparity", "within tolerance", "insufficient evidence"
UNEQUAL = "unequal, size open"
"""Insufficient evidence on the size of a gap whose existence is proven."""
UNANSWERED = "Not answerable"
"""Instead of a verdict, where the detector is not shown to be better than guessing."""
_ORDER = {DISPARITY: 0, INSUFFICIENT: 1, WITHIN: 2}
MOST_NAMED = 5
"""Groups listed by name before the rest are counted."""
_LABELLED = {"race": "{}", "ethnicity": "{}", "gender": "{}", "sex": "{}", "age": "as aged {}"}
RATES: tuple[RateName, ...] = ("fpr", "fnr")


@dataclass(frozen=True)
class Finding:
    """One verdict, put into words."""

    verdict: Verdict
    headline: str
    """'Disparity', 'Within tolerance', 'Inconclusive', 'Not answerable'."""
    short: str
    """A line for the table of verdicts."""
    claim: str
    """The statement alone: who, and how much."""
    evidence: str
    """What it rests on: rates, intervals, n."""
    unnoticed: str = ""
    """Of an inconclusive verdict: the gap that would have been noticed."""

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
        return "of people labelled " + listing(phrases)
    return "with " + listing([f"{name} “{value}”" for name, value in zip(names, values, strict=True)])


def find(result: AuditResult, attribute: str, group: str | None) -> GroupResult | None:
    """The group's measures, if the record has them."""
    return next((g for g in result.groups if g.attribute == attribute and g.group == group), None)


def _subject(result: AuditResult, v: Verdict) -> str:
    """'Real images', at the start of a sentence."""
    return result.task.of_rate(v.rate).capitalize()


def counts(group: GroupResult, rate: str) -> str:
    """'25 of 139 (18.0%)': errors, images, rate; "by weight" where images count for more or fewer people."""
    errors = group.confusion.fp if rate == "fpr" else group.confusion.fn
    n = group.n_real if rate == "fpr" else group.n_fake
    value = getattr(group, rate)
    by_weight = " by weight" if n and not math.isclose(errors / n, value, abs_tol=1e-9) else ""
    return f"{count(errors)} of {count(n)} ({percent(value)}{by_weight})"


def _gap_of_pair(result: AuditResult, v: Verdict) -> str:
    """The named pair's gap; and the range over all groups, where another pair lies further apart."""
    found = deciding(result, v)
    if in_ratios(result):
        of = " of the shares that pass" if by_four_fifths(result) else ""
        size = f"a ratio{of} of {ratio_number(v.ratio)}" if math.isfinite(v.ratio) else ratio_number(v.ratio)
        return f"{size} ({found.because(result)})"
    told = f"a gap of {points(found.gap)} ({found.because(result)})"
    if named_pair(v) is None or abs(found.gap - v.gap) < 1e-9:
        return told
    return f"{told}; over all groups the rates span {points(v.gap)}"


def _size(result: AuditResult, v: Verdict) -> str:
    """What is proven of the size of a disparity."""
    if by_four_fifths(result):
        return f"It is proven to lie below {limit(result)}."
    what = "ratio" if in_ratios(result) else "gap"
    if beyond_proven(result, v):
        return f"The {what} is proven to exceed {limit(result)}.{_inflated(result, v)}"
    small = _least(result, v)
    told = f"The groups are proven unequal, but the true {what} may be {small}, within {limit(result)}."
    return told + _inflated(result, v)


def _least(result: AuditResult, v: Verdict) -> str:
    """How small a gap, or ratio, the interval leaves possible."""
    if in_ratios(result):
        return f"as small as {ratio_number(v.ratio_interval[0])}" if v.ratio_interval else "close to 1"
    _, interval = proven_gap(v)
    least = interval[0] if interval and interval[0] == interval[0] else 0.0
    return f"as small as {points(least)}" if least > 0 else "close to zero"


def _inflated(result: AuditResult, v: Verdict) -> str:
    """What the gap is likely to be: a pair picked because it lies far apart shows too large a gap."""
    if in_ratios(result):
        return " The largest of many ratios is too large on average." if v.n_groups > 2 else ""
    if v.n_groups == 2:  # whose only gap nobody picked
        return ""
    pair = named_pair(v)
    seen, corrected = (pair.difference, pair.corrected_difference) if pair else (v.gap, v.gap_corrected)
    likely = points(corrected)
    if math.isnan(corrected) or likely == points(seen):
        return ""
    size = "the largest" if abs(seen - v.gap) < 1e-9 else "large"
    return (
        f" A gap picked for being {size} looks larger than it is; corrected for that, it is about {likely}."
    )


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
    far = far or result.config.criterion == "ratio"
    more = f"{multiple_down(ratio)} times as often" if far else f"{points_down(least)} more"
    return f"{before_number(v.attribute, worse.group)} {rate} (at least {more})"


def _compared(result: AuditResult, v: Verdict, pair: WorseGroup | None) -> tuple[str, str] | None:
    """'Real images of X are flagged 3 times as often as those of Y:' and both rates, if on record."""
    task = result.task
    worst, best = find(result, v.attribute, v.worst_group), find(result, v.attribute, v.best_group)
    if pair:
        worst, best = find(result, v.attribute, pair.group), find(result, v.attribute, pair.than)
    if worst is None or best is None:
        return None
    often = _as_often(pair, getattr(worst, v.rate), getattr(best, v.rate))
    if by_four_fifths(result):
        span = ratio_span(v.ratio_interval)
        claim = (
            f"{task.negatives.capitalize()} {people(v.attribute, worst.group)} pass {ratio_number(v.ratio)} "
            f"({span}) times as often as those {people(v.attribute, best.group)}"
        )
        return claim, f"flagged {counts(worst, v.rate)} against {counts(best, v.rate)}"
    claim = (
        f"{_subject(result, v)} {people(v.attribute, worst.group)} are {result.task.happens(v.rate)} {often} "
        f"those {people(v.attribute, best.group)}"
    )
    return claim, f"{counts(worst, v.rate)} against {counts(best, v.rate)}"


def _disparity(result: AuditResult, v: Verdict) -> tuple[str, str]:
    pair = named_pair(v)
    compared = _compared(result, v, pair)
    if compared is None:
        claim = (
            f"{_subject(result, v)} are not {result.task.happens(v.rate)} equally often {by(v.attribute)}:"
        )
        return claim, f"{_gap_of_pair(result, v)}. {_size(result, v)}"
    claim, rates = compared
    also = _others(result, v, v.worst_group, "Also:")
    return (
        f"{claim}:",
        f"{rates}, {_gap_of_pair(result, v)}. {_size(result, v)} {also}".rstrip(),
    )


def _observed(result: AuditResult, v: Verdict) -> str:
    """'10 points (95% interval 0 to 37.7, p = 0.171): 60-69: 5 of 30 (16.7%) against 40-49: 9 of 134'."""
    decided, pair = deciding(result, v), deciding_pair(result, v)
    names = (pair.group, pair.than) if pair else (v.worst_group, v.best_group)
    ends = [find(result, v.attribute, g) for g in names if g]
    told = [f"{before_number(v.attribute, g.group)} {counts(g, v.rate)}" for g in ends if g]
    groups = f": {told[0]} against {told[1]}" if len(told) == 2 else ""
    if in_ratios(result):
        flagged = groups.replace(": ", ", flagged ", 1) if by_four_fifths(result) else groups
        return f"{ratio_number(v.ratio)} ({decided.because(result)}){flagged}"
    return f"{points(decided.gap)} ({decided.because(result)}){groups}"


def standing(result: AuditResult, v: Verdict) -> str:
    """The verdict's word, with UNEQUAL told apart from the rest of the insufficient evidence."""
    differs = v.adjusted_p_value <= 1 - result.config.confidence
    return UNEQUAL if v.verdict == INSUFFICIENT and differs else v.verdict


def _within(result: AuditResult, v: Verdict) -> tuple[str, str]:
    if in_ratios(result):
        return _within_ratio(result, v)
    tolerance = points(result.config.tolerance)
    evidence = f"no gap exceeds the tolerance of {tolerance}; the largest seen is {_observed(result, v)}."
    far = far_in_proportion(result, v)
    compared = _compared(result, v, far) if far else None
    if far and compared:
        claim, rates = compared
        also = _others(result, v, far.group, "Also proven higher:")
        return (
            f"Within {tolerance}, but {claim[:1].lower()}{claim[1:]}:",
            f"{rates}; {evidence} {also}".rstrip(),
        )
    claim = f"{_subject(result, v)} are {result.task.happens(v.rate)} about equally often {by(v.attribute)}:"
    return claim, evidence


def _within_ratio(result: AuditResult, v: Verdict) -> tuple[str, str]:
    """The same for a criterion of ratios."""
    task = result.task
    claim = f"{_subject(result, v)} are {result.task.happens(v.rate)} about equally often {by(v.attribute)}:"
    extreme = "largest ratio"
    if by_four_fifths(result):
        claim = (
            f"{task.negatives.capitalize()} pass at least four fifths as often in every group "
            f"{by(v.attribute)}:"
        )
        extreme = "smallest ratio of shares passed"
    return claim, f"{nothing_exceeds(result)}; the {extreme} seen is {_observed(result, v)}."


def _open_claim(result: AuditResult, v: Verdict) -> str:
    """Unequal, but by how much is open; or not even that."""
    if standing(result, v) == UNEQUAL:
        unequal = (
            f"{_subject(result, v)} are not {result.task.happens(v.rate)} equally often {by(v.attribute)}"
        )
        if by_four_fifths(result):
            return f"{unequal}, but may pass at least {limit(result)} as often in every group."
        what = "ratio" if in_ratios(result) else "gap"
        return f"{unequal}, but the {what} may be within {limit(result)}."
    why = too_few(result) if v.gap == v.gap else f"too few {result.task.items} to compare groups"
    why = NOT_TWO if is_alone(v) else why
    return f"{result.task.rate_name(v.rate)}, {by(v.attribute)}: {why}."


NOT_TWO = "there are not two groups to compare"
"""Why there is no answer where more images of the same people would give none."""


def is_alone(v: Verdict) -> bool:
    """Whether fewer than two groups are named in the data at all, however many images they have."""
    return v.gap != v.gap and v.n_groups + v.n_small_groups < 2


def too_few(result: AuditResult) -> str:
    """Why groups that were compared gave no answer: 'too few images for a clear answer'."""
    return f"too few {result.task.items} for a clear answer"


def _insufficient(result: AuditResult, v: Verdict) -> tuple[str, str]:
    claim = _open_claim(result, v)
    if v.gap != v.gap:
        return claim, _nothing_to_compare(result, v)
    what = "Smallest ratio of shares passed," if by_four_fifths(result) else "Largest ratio"
    what = what if in_ratios(result) else "Largest gap"
    seen = f"{what} {'proven' if v.worse_groups else 'seen'}: {_observed(result, v)}."
    if v.n_groups > 2 and not v.worse_groups:
        seen += _inflated(result, v)
    if standing(result, v) == UNEQUAL and not v.worse_groups:
        seen += " No two groups are proven to differ from each other."
    seen = f"{seen} {unnoticed(result, v)}".rstrip()
    than = v.worse_groups[0].than if v.worse_groups else ""
    higher = _others(result, v, None, f"Proven higher than for {group_label(v.attribute, than)}:")
    return claim, f"{seen} {higher}".rstrip()


def unnoticed(result: AuditResult, v: Verdict) -> str:
    """How large a gap would have been noticed, and how surely; nothing where one was noticed."""
    if v.verdict != INSUFFICIENT or standing(result, v) == UNEQUAL or math.isnan(v.min_detectable_gap):
        return ""
    return f"A gap of {points(v.min_detectable_gap)} in the smallest group had an 80% chance to show."


def _nothing_to_compare(result: AuditResult, v: Verdict) -> str:
    """How many groups are large enough, where a comparison needs two."""
    config = result.config
    of_units = f", {_enough_units(config, 'at least')}" if config.unit_column or config.weight_column else ""
    total = v.n_groups + v.n_small_groups
    if total < 2:
        of_two = "are of two groups or " if v.rate == "fpr" and result.task.of_trials else ""
        whose = "are of one group" if total else f"{of_two}have no label"
        return f"All {result.task.of_rate(v.rate)} {whose}; a comparison needs two."
    have = "has" if v.n_groups == 1 else "have"
    return (
        f"{count(v.n_groups)} of {count(total)} groups {have} at least {config.min_n} "
        f"{result.task.of_rate(v.rate)}{of_units}; a comparison needs two."
    )


def or_few_units(config: Config) -> str:
    """What a group with enough images may lack where they share units or carry weights.

    Such as ", or of fewer than 10 values of person as if of equal size"; else nothing.
    """
    return f", or {_enough_units(config, 'fewer than')}" if config.unit_column or config.weight_column else ""


def _enough_units(config: Config, relation: str) -> str:
    least = min(config.min_n, LEAST_UNITS)
    if config.unit_column:
        return f"of {relation} {least} values of {isolated(config.unit_column)} as if of equal size"
    return f"worth {relation} {least} of equal weight"


def gap_line(result: AuditResult, v: Verdict) -> str:
    """'gap 16 points (5.4 to 27.8), p = 0.004': what every table of verdicts shows beside the word."""
    task = result.task
    found = deciding(result, v)
    if found.gap != found.gap:
        return f"fewer than two groups with enough {task.items}"
    chance = f", {p_equals(found.p_value)}" if found.p_value == found.p_value else ""
    return f"{size_of(result, v, found.gap, found.interval)}{chance}"


def _short(result: AuditResult, v: Verdict) -> str:
    """The gap, and whom it concerns where that is proven."""
    far, pair = far_in_proportion(result, v), named_pair(v)
    if far:
        who, than = (group_label(v.attribute, g) for g in (far.group, far.than))
        least = multiple_down(far.ratio_interval[0])
        return f"{gap_line(result, v)}; {who} at least {least} times as often as {than}"
    if v.verdict != DISPARITY:
        return gap_line(result, v)
    ends = [group_label(v.attribute, g) for g in (pair.group, pair.than)] if pair else []
    groups = " vs ".join(ends) + ": " if ends else ""
    open_ = "" if beyond_proven(result, v) else "; unequal, but possibly within the tolerance"
    return f"{groups}{gap_line(result, v)}{open_}"


def finding(result: AuditResult, v: Verdict) -> Finding:
    """Say one verdict in words; without naming anybody where the question is not answerable."""
    if unanswered(result):
        line = gap_line(result, v)
        what = f"{result.task.rate_name(v.rate)}, {by(v.attribute)}:"
        return Finding(v, UNANSWERED, line, what, f"not answerable; {line}.")
    tell = {DISPARITY: _disparity, WITHIN: _within, INSUFFICIENT: _insufficient}[v.verdict]
    claim, evidence = tell(result, v)
    word = headline_of(result, v.verdict)
    return Finding(v, word, _short(result, v), claim, evidence, unnoticed(result, v))


def explained(result: AuditResult) -> AuditResult:
    """The record with every verdict's explanation: finding, what would settle it, and who took no part."""
    told = [v.model_copy(update={"explanation": _explanation(result, v)}) for v in result.verdicts]
    lost = [n.model_copy(update={"sentence": no_score_sentence(result, n)}) for n in result.no_scores]
    notes = [*(n.sentence for n in lost if n.more), *result.notes]
    return result.model_copy(update={"verdicts": told, "no_scores": lost, "notes": notes})


def no_score_sentence(result: AuditResult, found: NoScores) -> str:
    """Whether groups are proven to differ in how many of their images got no score, and which."""
    task = result.task
    items = task.negatives if found.label == "real" else task.positives
    by_name = {group.group: group for group in found.groups}

    def told(name: str) -> str:
        group = by_name[name]
        share = f"{percent(group.share)} ({count(group.n_without)} of {count(group.n)})"
        return f"{before_number(found.attribute, name)} {share}"

    where = f"B{by(found.attribute)[1:]}"
    if not found.more or found.less is None:
        lost, n = (sum(getattr(g, key) for g in found.groups) for key in ("n_without", "n"))
        open_ = "no two groups are both proven to differ in that and further apart than the tolerance"
        if math.isnan(found.adjusted_p_value):
            open_ = f"fewer than two groups have enough {items} to be compared"
        return f"{count(lost)} of {count(n)} {items} got no score. {where}, {open_}."
    named = listing([told(name) for name in found.more[:MOST_NAMED]])
    more = f" and {count(len(found.more) - MOST_NAMED)} more groups" if len(found.more) > MOST_NAMED else ""
    return (
        f"{where}, {items} of some groups got no score more often, proven "
        f"({p_equals(found.pair_p_value)}): {named}{more} against {told(found.less)}. How those {items} "
        "would have been judged, nothing here says."
    )


def _explanation(result: AuditResult, v: Verdict) -> str:
    told = [finding(result, v).sentence]
    if unanswered(result):
        return told[0]
    if v.images_needed:
        told.append(f"To settle it, audit {images_needed(result, [v])}.")
    if v.n_small_groups and v.gap == v.gap:
        n = v.n_small_groups
        are = "group is" if n == 1 else "groups are"
        or_units = or_few_units(result.config)
        told.append(
            f"{count(n)} {'' if or_units else 'smaller '}{are} not judged (fewer than {result.config.min_n} "
            f"{result.task.of_rate(v.rate)}{or_units})."
        )
    return " ".join(told)


def images_needed(result: AuditResult, verdicts: Sequence[Verdict]) -> str:
    """'about 4,100 images per group; if the groups are equal, that gives an 80% chance of a clear result'.

    Args:
        result: Whose verdicts they are.
        verdicts: Of one standing, some with a number of images needed.
    """
    needed = max((v.images_needed or 0 for v in verdicts), default=0)
    sized = standing(result, verdicts[0]) == UNEQUAL
    what = "ratio" if in_ratios(result) else "gap"
    chance = f"if the {what} is as large as it looks" if sized else "if the groups are equal"
    return (
        f"about {about(needed)} {result.task.items} per group{result.task.planned}; {chance}, that gives an "
        "80% chance of a clear result"
    )


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


def group_label(attribute: str, group: str, everything: str = "All images") -> str:
    """A group's name in tables and on axes."""
    return everything if attribute == OVERALL else isolated(group.replace(":", " · "))


def before_number(attribute: str, group: str) -> str:
    """A group's name where a number follows: '60-69: 5 of 30', 'White 5 of 30'."""
    label = group_label(attribute, group)
    return f"{label}:" if label[-1:].isdigit() else label


def named_pair(v: Verdict) -> WorseGroup | None:
    """The pair that the verdict names, if the record proves it unequal."""
    return next((g for g in v.worse_groups if (g.group, g.than) == (v.worst_group, v.best_group)), None)


def proven_gap(v: Verdict) -> tuple[float, tuple[float, float] | None]:
    """The named pair's gap and its interval; the largest of all where no pair is known."""
    pair = named_pair(v)
    return (pair.difference, pair.difference_interval) if pair else (v.gap, v.gap_interval)


@dataclass(frozen=True)
class Deciding:
    """The numbers that a verdict rests on; everything that shows a gap shows these."""

    gap: float
    interval: tuple[float, float] | None
    p_value: float
    """Corrected for every comparison of the audit."""
    group: str | None
    """The worse group of the two that are compared."""
    ratio_interval: tuple[float, float] | None = None
    """For criteria of ratios."""

    def because(self, result: AuditResult) -> str:
        """'95% interval 5.4 to 27.8, p = 0.004'."""
        level = percent(result.config.confidence, 0)
        told = [f"{level} interval {point_interval(self.interval)}" if self.interval else "no interval"]
        if in_ratios(result):
            told = [f"{level} interval {ratio_span(self.ratio_interval)}"]
        if self.p_value == self.p_value:
            told.append(p_equals(self.p_value))
        return ", ".join(told)


def deciding(result: AuditResult, v: Verdict) -> Deciding:
    """Gap, interval and p-value that decided: of the pair proven unequal, else of the largest gap seen."""
    pair, ratio = deciding_pair(result, v), v.ratio_interval
    if pair is not None:
        p_value = v.pair_p_value if v.pair_p_value == v.pair_p_value else v.adjusted_p_value
        return Deciding(pair.difference, pair.difference_interval, p_value, pair.group, ratio)
    apart = next((d for d in v.differences if d.group == v.worst_group), None)
    if apart is not None and v.compared_with == v.best_group and v.verdict != DISPARITY:
        return Deciding(apart.difference, apart.interval, v.adjusted_p_value, apart.group, ratio)
    return Deciding(v.gap, v.gap_interval, v.adjusted_p_value, v.worst_group, ratio)


def deciding_pair(result: AuditResult, v: Verdict) -> WorseGroup | None:
    """The pair proven unequal that a verdict rests on; None where it rests on no such pair."""
    if v.verdict == DISPARITY:
        return named_pair(v)
    return v.worse_groups[0] if v.worse_groups and standing(result, v) == UNEQUAL else None


Differences = dict[str, tuple[float, tuple[float, float]]]


def differences(v: Verdict) -> tuple[str | None, Differences]:
    """The group that others are compared with, and each other group's rate minus its, with the interval."""
    if v.differences:
        return v.compared_with, {d.group: (d.difference, d.interval) for d in v.differences}
    found: Differences = {g.group: (g.difference, g.difference_interval) for g in v.worse_groups}
    return (v.worse_groups[0].than if found else v.best_group), found


def beyond_proven(result: AuditResult, v: Verdict) -> bool:
    """Whether a disparity's gap itself, and not only its estimate, is proven to exceed the tolerance."""
    if in_ratios(result):
        return v.beyond_tolerance_proven
    _, interval = proven_gap(v)
    return v.verdict == DISPARITY and interval is not None and interval[0] > result.config.tolerance


def far_in_proportion(result: AuditResult, v: Verdict) -> WorseGroup | None:
    """Of the groups within tolerance, the one proven furthest beyond the ratio tolerance."""
    if v.verdict != WITHIN or in_ratios(result):
        return None
    most = result.config.ratio_tolerance[1]
    far = [g for g in v.worse_groups if g.ratio_interval[0] > most]
    return max(far, key=lambda g: g.ratio_interval[0], default=None)
