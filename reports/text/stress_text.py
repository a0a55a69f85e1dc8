"""What a stress test found, in words: never more than its verdicts prove.

Enters: a `StressResult`. Leaves: sentences for the page, the report and the terminal.

Why a headline names two groups and not the one that is harmed "most": a test proves that one group is harmed
more than another. A third, too small for anything to be proven of it, may be harmed more than both.
"""

from __future__ import annotations

from typing import get_args

from audit.data.unit_totals import LEAST_UNITS
from audit.schema.result import RateName
from audit.schema.stress import Broken, StressResult, StressVerdict
from audit.task import FAKE_FACE
from audit.wording.numbers import p_value, percent, percent_interval, point_interval, points
from audit.wording.verdict_text import group_label
from pipelines.visible import isolated

RATES: dict[RateName, str] = {rate: FAKE_FACE.rate_name(rate).lower() for rate in get_args(RateName)}


def headline(record: StressResult) -> str:
    """The answer in two sentences: what breaks the detector most, and whom more than others."""
    if record.broken is None:  # of an older record
        return harmed_unlike(record)
    worst = "Nothing tried is shown to break it."
    if record.broken:
        one = max(record.broken, key=_rise)
        does = "flags {} of real images" if one.rate == "fpr" else "lets {} of fakes through"
        worst = (
            f"{label(record, one.transformation)} at severity {one.severity} "
            f"{does.format(percent(one.value))}{_whose(record, one.detector)}, {percent(one.untouched)} "
            "untouched."
        )
    return f"{worst} {harmed_unlike(record)}"


def broken_sentences(record: StressResult) -> list[str]:
    """'JPEG at severity 4: fakes let through 95.4% (87.3-98.4%), untouched 0% (0-5.6%).', the worst first."""
    return [
        f"{label(record, one.transformation)} at severity {one.severity}{_whose(record, one.detector)}: "
        f"{RATES[one.rate]} {percent(one.value)} ({percent_interval(one.interval)}), untouched "
        f"{percent(one.untouched)} ({percent_interval(one.untouched_interval)})."
        for one in sorted(record.broken or [], key=_rise, reverse=True)
    ]


def _rise(one: Broken) -> float:
    return one.value - one.untouched


def _whose(record: StressResult, detector: str) -> str:
    return f" ({detector})" if len(record.detectors) > 1 else ""


def harmed_unlike(record: StressResult) -> str:
    """Whom a transformation harms more, never stronger than the verdicts."""
    found = unequal(record)
    if found:
        what, who = label(record, found[0].transformation), proven(found[0])
        return f"{what} does not harm everybody alike: {who}{_whose(record, found[0].detector)}."
    if record.verdicts and all(v.verdict == "within tolerance" for v in record.verdicts):
        return "Every transformation harms all groups alike, within the tolerance."
    return "Inconclusive: no transformation is shown to harm one group more than another, or all alike."


def unequal(record: StressResult) -> list[StressVerdict]:
    """The verdicts of unequal harm, the largest difference first."""
    return sorted((v for v in record.verdicts if v.verdict == "disparity"), key=lambda v: -v.difference)


def proven(verdict: StressVerdict) -> str:
    """The two groups of which unequal harm is proven: 'A more than B'."""
    worse, better = _groups(verdict)
    return f"{worse} more than {better}"


def finding(record: StressResult, verdict: StressVerdict) -> tuple[str, str]:
    """A verdict of unequal harm as a list shows it: what does it to whom, and the figures."""
    who = f"{proven(verdict)}{_whose(record, verdict.detector)}"
    return f"{label(record, verdict.transformation)} harms {who}.", sentence(record, verdict)


def sentence(record: StressResult, verdict: StressVerdict) -> str:
    """What one verdict saw."""
    if verdict.worse_group is None or verdict.better_group is None:
        return f"Fewer than two groups have {record.min_n} images{_of_units(record, 'at least')}."
    worse, better = _groups(verdict)
    return (
        f"{RATES[verdict.rate].capitalize()}: the rate rises by {points(verdict.difference)} more for "
        f"{worse} than for {better} ({point_interval(verdict.interval)}; corrected p "
        f"{p_value(verdict.p_value)})."
    )


def compared(record: StressResult) -> str:
    """Which groups take part in a comparison."""
    few = _of_units(record, "fewer than").replace(" of", ", or of", 1)
    return f"Groups of fewer than {record.min_n} images{few} have their curves and are not compared."


def label(record: StressResult, transformation: str) -> str:
    """A transformation as readers know it."""
    return next(kind.label for kind in record.kinds if kind.name == transformation)


def _groups(verdict: StressVerdict) -> tuple[str, str]:
    worse, better = verdict.worse_group, verdict.better_group
    return group_label(verdict.attribute, str(worse)), group_label(verdict.attribute, str(better))


def _of_units(record: StressResult, relation: str) -> str:
    """' of at least 10 values of person as if of equal size' where a column of units was named."""
    if record.unit_column is None:
        return ""
    least = min(record.min_n, LEAST_UNITS)
    return f" of {relation} {least} values of {isolated(record.unit_column)} as if of equal size"
