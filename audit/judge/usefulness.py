"""Is the detector shown to be better than one that looks at nothing? If not, no verdict on groups answers.

Enters: the measures on all images, and how the threshold was found. Leaves: `Usefulness`, for the record, the
headline and every gate.

Why images of one class alone do not answer: a detector that flags nothing has the same FPR of 0 in every
group. A disparity among real images is still one, and is still named; that there is none shows nothing.
"""

from __future__ import annotations

import math

from audit.judge.sanity_checks import Fault, balanced_accuracy_interval, fault_of, sentences
from audit.schema.gates import Baseline, Reason, Usefulness
from audit.schema.result import AuditResult, Measures
from audit.task import Task

REASONS: dict[Fault | None, Reason] = {
    "reversed": "reversed",
    "guessing": "guessing",
    "threshold": "threshold",
}
"""Faults that leave nothing to answer; the others are told, and the question stands."""


def usefulness(overall: Measures, threshold: float, rule: str, task: Task) -> Usefulness:
    """Whether fairness can be asked about, why not, and what detectors that look at nothing get.

    Args:
        overall: Measures on all images.
        threshold: Fake if score >= this.
        rule: "fixed", or the rule it came from.
        task: Whose words are used.
    """
    told = sentences(overall, threshold, rule, task)
    reason = REASONS.get(fault_of(overall, rule))
    if overall.n_real == 0 or overall.n_fake == 0:
        reason, told = "one class", [_one_class(overall, task)]
    return Usefulness(
        answerable=reason is None,
        reason=reason,
        sentence="" if reason is None else told[0],
        balanced_accuracy_interval=balanced_accuracy_interval(overall),
        baselines=baselines(overall.positive_rate),
    )


def usefulness_in(result: AuditResult) -> Usefulness:
    """The same for a record; computed again for those of before 1.3."""
    config = result.config
    return result.usefulness or usefulness(
        result.overall, config.threshold, config.threshold_rule, result.task
    )


def unanswered(result: AuditResult) -> Reason | None:
    """Why verdicts may not be read as an answer; None where they may.

    A disparity among images of one class is one whatever the detector does on the other.
    """
    reason = usefulness_in(result).reason
    disparity = any(v.verdict == "disparity" for v in result.verdicts)
    return None if reason == "one class" and disparity else reason


def baselines(share: float) -> list[Baseline]:
    """Flagging nothing, everything, and this share of all images at random."""
    chance, share = {"balanced_accuracy": 0.5, "auc": 0.5}, math.nan if math.isnan(share) else share
    return [
        Baseline(name="always real", fpr=0.0, fnr=1.0, **chance),
        Baseline(name="always fake", fpr=1.0, fnr=0.0, **chance),
        Baseline(name="random", fpr=share, fnr=math.nan if math.isnan(share) else 1 - share, **chance),
    ]


def _one_class(overall: Measures, task: Task) -> str:
    here, lacking, idle = (task.all_positive, task.negatives, f"{task.flagging} everything")
    if overall.n_fake == 0:
        here, lacking, idle = (task.all_negative, task.positives, f"{task.flagging} nothing")
    return (
        f"All {task.items} are {here}: without {lacking} nothing shows that the {task.system} is better than "
        f"{idle}, which treats all groups alike."
    )
