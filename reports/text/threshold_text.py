"""Is the threshold right? In words.

Enters: an `AuditResult`. Leaves: one sentence for the first screen where another threshold would be better
in both ways or nearly so, and the answer that stands above the table of thresholds.

Why a threshold is named before more data: moving it costs nothing. Why each sentence asks for new images:
it was found by looking at these.
"""

from __future__ import annotations

import math

from audit.judge.usefulness import unanswered
from audit.schema.result import AuditResult, OtherThreshold
from audit.task import Task
from audit.wording.numbers import percent, threshold_text
from audit.wording.verdict_text import DISPARITY, WITHIN

WORTH_MOVING = 0.01
"""By how much the worse of both error rates must fall before another threshold is recommended ..."""
WORTH_SHARE = 0.75
"""... and to which share of itself at most."""


def balanced(result: AuditResult) -> OtherThreshold | None:
    """The threshold of the closest error rates, where it decides otherwise than the audited one."""
    return next((o for o in result.other_thresholds if o.rule == "eer" and math.isfinite(o.threshold)), None)


def better(result: AuditResult) -> OtherThreshold | None:
    """The balanced threshold, where the worse of both error rates is clearly lower there.

    Only where the two rates are shown to differ at the audited threshold: their intervals do not meet, which
    allows for any dependence between a photo and its fake. At a threshold that balances both in truth, chance
    alone made another look better in 40 to 48 of 100 audits of 40 + 40 images. Never beside a rule that holds
    one of the two to a level: it says which of them costs more.
    """
    if result.config.threshold_rule.startswith(("fpr", "fnr")):
        return None
    other, m = balanced(result), result.overall
    if other is None or m.fpr_interval is None or m.fnr_interval is None:
        return None
    if max(m.fpr_interval[0], m.fnr_interval[0]) <= min(m.fpr_interval[1], m.fnr_interval[1]):
        return None
    worst, there = max(m.fpr, m.fnr), max(other.fpr, other.fnr)
    return other if worst - there >= WORTH_MOVING and there <= WORTH_SHARE * worst else None


def fairer(result: AuditResult) -> OtherThreshold | None:
    """Of the thresholds at which every disparity is shown to be within tolerance, the one with the fewest
    errors.

    A threshold at which it is merely no longer proven is no better, and is not named; nor is one at which the
    worse of both error rates is higher: every gap is within tolerance where all fakes pass.
    """
    worst = max(result.overall.fpr, result.overall.fnr)
    unequal = {
        (v.attribute, v.rate) for v in result.verdicts if v.verdict == DISPARITY and ":" not in v.attribute
    }
    cleared = [
        o
        for o in result.other_thresholds
        if unequal and unequal <= {(v.attribute, v.rate) for v in o.verdicts if v.verdict == WITHIN}
        if max(o.fpr, o.fnr) <= worst
    ]
    return min(cleared, key=lambda o: max(o.fpr, o.fnr), default=None)


def is_level(other: OtherThreshold) -> bool:
    """Whether both error rates are as good as equal there; scores of a few values leave them far apart."""
    return abs(other.fpr - other.fnr) < WORTH_MOVING


def both_errors(result: AuditResult, other: OtherThreshold) -> str:
    """'At threshold 0.737 both error rates are about 2%, not 27% and 0%.'"""
    task = result.task
    m = result.overall
    if not is_level(other):
        return (
            f"At threshold {threshold_text(other.threshold)}, {percent(other.fpr)} of {task.negatives} are "
            f"{task.flagged} and {percent(other.fnr)} of {task.positives} {task.missed}, not "
            f"{percent(m.fpr)} and {percent(m.fnr)}."
        )
    same = f"{percent(max(other.fpr, other.fnr))}"
    return (
        f"At threshold {threshold_text(other.threshold)}, both error rates are about {same}, not "
        f"{percent(m.fpr)} ({task.negatives} {task.flagged}) and {percent(m.fnr)} "
        f"({task.positives} {task.missed})."
    )


def no_disparity(other: OtherThreshold, task: Task) -> str:
    """What a threshold costs at which the gaps are within tolerance."""
    return (
        f"At threshold {threshold_text(other.threshold)} these gaps are within tolerance; "
        f"{percent(other.fpr)} of {task.negatives} are {task.flagged} there and {percent(other.fnr)} of "
        f"{task.positives} {task.missed}."
    )


def answer(result: AuditResult) -> str:
    """Whether the audited threshold suits these scores."""
    task = result.task
    at, m = threshold_text(result.config.threshold), result.overall
    if not (math.isfinite(m.fpr) and math.isfinite(m.fnr)):
        return (
            f"Only one kind of {task.item} was audited, so nothing can be said about the threshold of {at}."
        )
    if unanswered(result) in ("reversed", "guessing"):
        now = task.at_threshold.format(fpr=percent(m.fpr), fnr=percent(m.fnr))
        return f"No threshold answers for these scores. At {at} {now}."
    if other := better(result):
        return f"Probably not. {both_errors(result, other)}"
    now = f"At {at} {task.at_threshold.format(fpr=percent(m.fpr), fnr=percent(m.fnr))}"
    other = balanced(result)
    level_here = abs(m.fpr - m.fnr) < WORTH_MOVING
    if other is None:
        told = (
            "It balances both errors"
            if level_here
            else "No other threshold brings both errors closer together"
        )
        return f"{told}. {now}."
    there = threshold_text(other.threshold)
    level = f"both rates are about {percent(max(other.fpr, other.fnr))} at {there}"
    if not is_level(other):
        level = f"they lie closest at {there}, where they are {percent(other.fpr)} and {percent(other.fnr)}"
    if level_here:
        return f"It balances both errors well. {now}; {level}."
    return f"It depends on which error costs more. {now}; {level}."
