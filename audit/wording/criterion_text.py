"""What the verdicts judge, in words: differences of rates, their ratios, or the shares of reals that pass.

Enters: an `AuditResult` and one of its verdicts. Leaves: phrases that every sentence about a size is made of.

Why one place: a sentence that speaks of points where a ratio was judged would tell of another verdict.
"""

from __future__ import annotations

import math

from audit.schema.result import AuditResult, Verdict
from audit.wording.numbers import percent, point_interval, points

FOUR_FIFTHS = "four-fifths"
FOUR_FIFTHS_LINE = "four fifths (0.8)"
HEADLINES = {
    "disparity": "Disparity",
    "within tolerance": "Within tolerance",
    "insufficient evidence": "Inconclusive",
}
"""The verdicts as a reader meets them; the record keeps its own words."""
OF_FOUR_FIFTHS = {
    "disparity": "Below four fifths",
    "within tolerance": "Four fifths kept",
    "insufficient evidence": "Inconclusive",
}


def in_ratios(result: AuditResult) -> bool:
    """Whether verdicts are about ratios, of whatever."""
    return result.config.criterion != "difference"


def by_four_fifths(result: AuditResult) -> bool:
    """Whether verdicts are about the four-fifths rule."""
    return result.config.criterion == FOUR_FIFTHS


def headline_of(result: AuditResult, word: str) -> str:
    """The verdict's word as a reader meets it."""
    return (OF_FOUR_FIFTHS if by_four_fifths(result) else HEADLINES)[word]


def limit_number(result: AuditResult) -> float:
    """What is tolerated, as a number: a difference, or a ratio of the higher to the lower."""
    low, high = result.config.ratio_tolerance
    return {"difference": result.config.tolerance, "ratio": min(high, 1 / low)}.get(
        result.config.criterion, 1.25
    )


def limit(result: AuditResult) -> str:
    """'the tolerance of 2 points', 'the tolerated ratio of 1.25', 'four fifths (0.8)'."""
    if by_four_fifths(result):
        return FOUR_FIFTHS_LINE
    if in_ratios(result):
        return f"the tolerated ratio of {limit_number(result):.3g}"
    return f"the tolerance of {points(result.config.tolerance)}"


def tolerated(result: AuditResult) -> str:
    """'2 points', 'a ratio of 1.25', 'four fifths (0.8)': for lists of settings."""
    if by_four_fifths(result):
        return f"real images pass at least {FOUR_FIFTHS_LINE} as often"
    return f"a ratio of {limit_number(result):.3g}" if in_ratios(result) else points(result.config.tolerance)


def may_be_within(result: AuditResult) -> str:
    """The end of 'Its error rates differ by race; ...', where they are unequal and the size is open."""
    if by_four_fifths(result):
        return "the four-fifths rule may still be met"
    if in_ratios(result):
        return f"the ratio may still be within {limit(result)}"
    return "the difference may still be within your tolerance"


def to_learn_the_size(result: AuditResult, by_what: str) -> str:
    """What more images would show where groups are proven unequal: 'whether the gap by race exceeds ...'."""
    if by_four_fifths(result):
        return f"whether {FOUR_FIFTHS_LINE} are kept {by_what}"
    what = "ratio" if in_ratios(result) else "gap"
    return f"whether the {what} {by_what} exceeds {limit(result)}"


def nothing_exceeds(result: AuditResult) -> str:
    """What is proven of attributes within tolerance."""
    if by_four_fifths(result):
        return f"in no group do real images pass less than {FOUR_FIFTHS_LINE} as often as in another"
    if in_ratios(result):
        return f"no rate is more than {limit_number(result):.3g} times another"
    return f"no gap exceeds {points(result.config.tolerance)}"


def column_of_sizes(result: AuditResult) -> str:
    """Heading of the sizes in a table of verdicts."""
    kind = "Ratio of shares passed" if by_four_fifths(result) else "Ratio" if in_ratios(result) else "Gap"
    return f"{kind} ({percent(result.config.confidence, 0)} interval), corrected p"


def ratio_number(value: float) -> str:
    """'3.77', '24'; a ratio to a rate of 0 has no number."""
    if not math.isfinite(value):
        return "no finite ratio"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def ratio_span(interval: tuple[float, float] | None) -> str:
    """'2.48 to 5.93', 'at least 2.48' where nothing bounds it above, 'no interval'."""
    if interval is None or not math.isfinite(interval[0]):
        return "no interval"
    low, high = interval
    if not math.isfinite(high):
        step = 0.01 if low < 10 else 1.0  # what is rounded up is not proven
        return f"at least {ratio_number(math.floor(low / step + 1e-9) * step)}"
    return f"{ratio_number(low)} to {ratio_number(high)}"


def size_of(result: AuditResult, v: Verdict, gap: float, interval: tuple[float, float] | None) -> str:
    """'gap 16 points (5.4 to 27.8)', 'ratio 3.77 (2.48 to 5.93)', 'ratio of shares passed 0.94 (...)'."""
    if not in_ratios(result):
        return f"gap {points(gap)} ({point_interval(interval)})"
    what = "ratio of shares passed " if by_four_fifths(result) else "ratio "
    what = what if math.isfinite(v.ratio) else ""
    return f"{what}{ratio_number(v.ratio)} ({ratio_span(v.ratio_interval)})"
