"""The table of verdicts at other thresholds, above the slider.

Enters: an `AuditResult`. Leaves: a row a threshold, the audited one among them, from the most real images
flagged to the fewest.

Why no sentences about groups here: those of the other sections quote rates at the audited threshold. A
verdict, its gap and the interval hold for the row they stand in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audit.judge.usefulness import unanswered
from audit.schema.result import AuditResult, OtherThreshold, Verdict
from audit.task import Task
from audit.wording.criterion_text import headline_of, in_ratios, ratio_number, ratio_span
from audit.wording.numbers import percent, point_interval, points, threshold_text
from audit.wording.verdict_text import UNANSWERED, deciding, is_alone
from reports.text.threshold_text import is_level


@dataclass(frozen=True)
class Judged:
    """One verdict as shown."""

    verdict: Verdict
    headline: str
    gap: str
    interval: str


@dataclass(frozen=True)
class Line:
    """One kind of error at one threshold."""

    overall: str
    """Its rate over all images."""
    cells: list[Judged | None]
    """A verdict an attribute; None where the record has none."""


@dataclass(frozen=True)
class Row:
    """One threshold."""

    threshold: str
    reason: str
    """What led to it, in words."""
    fpr: float
    lines: list[Line]
    """Real images flagged as fake, fakes let through."""
    audited: bool = False


def _reason(other: OtherThreshold, task: Task) -> str:
    if other.rule == "eer":
        return "equal error rates" if is_level(other) else "closest error rates"
    return f"{task.fpr} at most {percent(float(other.rule.partition('=')[2]), 0)}"


def _judged(result: AuditResult, v: Verdict) -> Judged:
    task = result.task
    found, word = deciding(result, v), headline_of(result, v.verdict)
    if found.gap != found.gap:
        return Judged(v, word, "–", "not two groups" if is_alone(v) else f"too few {task.items}")
    if in_ratios(result):
        return Judged(v, word, ratio_number(v.ratio), ratio_span(v.ratio_interval))
    return Judged(v, word, points(found.gap).split()[0], point_interval(found.interval))


def _row(
    result: AuditResult,
    threshold: float,
    reason: str,
    rates: tuple[float, float],
    verdicts: Sequence[Verdict],
    names: Sequence[str],
) -> Row:
    task = result.task
    found = {(v.attribute, v.rate): _judged(result, v) for v in verdicts}
    flagged, missed = (percent(rate) for rate in rates)
    lines = [
        Line(f"{task.fpr} {flagged}", [found.get((name, "fpr")) for name in names]),
        Line(f"{task.fnr} {missed}", [found.get((name, "fnr")) for name in names]),
    ]
    return Row(threshold_text(threshold), reason, rates[0], lines)


def rows(result: AuditResult, names: Sequence[str]) -> list[Row]:
    """The table's rows; none where the record judges no other threshold, or the scores answer at none.

    Args:
        result: The record.
        names: Attributes in the order of the page.
    """
    reason = unanswered(result)
    if not result.other_thresholds or reason not in (None, "threshold"):
        return []
    m = result.overall
    rates = (m.fpr, m.fnr)
    own = replace(
        _row(result, result.config.threshold, "audited", rates, result.verdicts, names), audited=True
    )
    if reason is not None:
        own = replace(own, lines=[_unread(line) for line in own.lines])
    others = [
        _row(result, o.threshold, _reason(o, result.task), (o.fpr, o.fnr), o.verdicts, names)
        for o in result.other_thresholds
    ]
    return sorted([own, *others], key=lambda row: -row.fpr)


def _unread(line: Line) -> Line:
    """A line of a threshold at which the question is not answerable."""
    return replace(line, cells=[one and replace(one, headline=UNANSWERED) for one in line.cells])


def n_compared(result: AuditResult) -> int:
    """Comparisons at other thresholds, which are corrected together."""
    return sum(v.p_value == v.p_value for o in result.other_thresholds for v in o.verdicts)
