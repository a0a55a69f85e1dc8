"""What to do next, by verdict; what costs least comes first.

Enters: an `AuditResult`. Leaves: a few steps, each with the section of the report it leads to.

Why fixed texts chosen by rule: advice that follows from the verdict can be checked; advice that sounds
tailored cannot. Why more images come last and with the pool they would come from: they are the dearest
step, and often there are none.
"""

from __future__ import annotations

from dataclasses import dataclass

from audit.judge.usefulness import unanswered, usefulness_in
from audit.schema.gates import Reason
from audit.schema.result import AuditResult, Verdict
from audit.task import Task
from audit.wording.criterion_text import to_learn_the_size
from audit.wording.numbers import count, listing, points
from audit.wording.verdict_text import (
    DISPARITY,
    INSUFFICIENT,
    UNEQUAL,
    by,
    far_in_proportion,
    group_label,
    images_needed,
    is_alone,
    people,
    standing,
)
from reports.text import threshold_text as threshold
from reports.text.answer import is_weak, listed, rendered
from reports.text.photo_pool import Pool, pool_of, provable_gap


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    text: str
    anchor: str | None = None
    """Id of the section that helps with it."""
    link: str = ""
    """The link's words."""


def _first(reason: Reason, result: AuditResult) -> str:
    """The one thing to do before any verdict is read."""
    task = result.task
    if result.overall.auc_interval[1] < 0.5:  # NaN where a class is lacking
        reason = "reversed"
    told: dict[Reason, str] = {
        "reversed": _turn_round(result),
        "threshold": (
            f"Set the threshold at which this {task.system} is used, in the units of its scores, or a rule "
            "such as --threshold eer, and audit again."
        ),
        "guessing": (
            f"First find a {task.system}, or a threshold, that is shown to be better than guessing on these "
            f"{task.items}; or audit more {task.items}, where there are few."
        ),
        "one class": (
            f"Audit {task.negatives} and {task.positives} together: only both show that the "
            f"{task.system} works."
        ),
    }
    return told[reason]


def _turn_round(result: AuditResult) -> str:
    """What to do where scores run the wrong way: of a table first the option that turns them round."""
    data, task = result.provenance.data, result.task
    if data.get("kind") != "scores" or not task.makes_pairs:  # of trials the task's own words name it
        return task.check_first
    word = "fake" if data.get("read_as", {}).get("higher") == "real" else "real"
    turn = f"If a high score in this table means {word}, audit again with --read higher={word}."
    return f"{turn} {task.check_first}"


def _confirm(task: Task) -> str:
    return f"Confirm it on other {task.items}: it was found by looking at these."


def _of(result: AuditResult, word: str) -> list[Verdict]:
    """Verdicts of one kind: those on single attributes where there are any."""
    found = [v for v in result.verdicts if v.verdict == word]
    return [v for v in found if ":" not in v.attribute] or found


def _other_threshold(result: AuditResult) -> list[Step]:
    """The step that costs nothing, where there is one."""
    told = []
    if other := threshold.better(result):
        told.append(threshold.both_errors(result, other))
    if (other := threshold.fairer(result)) and other is not threshold.better(result):
        told.append(threshold.no_disparity(other, result.task))
    if told:
        return [
            Step(
                f"Try another threshold first; it costs nothing. {' '.join(told)} {_confirm(result.task)}",
                "thresholds",
                "Compare",
            )
        ]
    both = result.overall.n_real > 0 and result.overall.n_fake > 0  # else nobody can tell what it costs
    if result.sweep and both and _of(result, DISPARITY):
        text = "See whether another threshold narrows the gap, and what that costs."
        return [Step(text, "thresholds", "Compare")]
    return []


def _when_disparate(result: AuditResult) -> list[Step]:
    task = result.task
    unequal = _of(result, DISPARITY)
    worst = dict.fromkeys(people(v.attribute, v.worst_group) for v in unequal if v.worst_group)
    groups = listing(list(worst)[:3]) or "of the groups concerned"
    anchor, link = ("examples", "See the errors") if result.samples else (None, "")
    return [
        Step(result.task.act),
        Step(f"{task.training_data} {groups}, then audit again.", anchor, link),
    ]


def _more_images(result: AuditResult) -> list[Step]:
    """One step for each kind of open question, with the pool that the images would come from."""
    open_ = _of(result, INSUFFICIENT)
    alone, thin = [v for v in open_ if is_alone(v)], [v for v in open_ if not is_alone(v)]
    unequal = [v for v in thin if standing(result, v) == UNEQUAL]
    unknown = [v for v in thin if v not in unequal]
    plans = [Step(_plan(result, group)) for group in (unknown, unequal) if group]
    if alone:
        names = listed(result, alone)
        plans.append(Step(f"To compare groups by {names}, audit {result.task.items} of two groups or more."))
    return plans


def _plan(result: AuditResult, verdicts: list[Verdict]) -> str:
    task, names = result.task, f"by {listed(result, verdicts)}"
    sized = standing(result, verdicts[0]) == UNEQUAL
    aim = f"To learn {to_learn_the_size(result, names)}" if sized else f"For a clear answer {names}"
    if not any(v.images_needed for v in verdicts):
        return f"{aim}, audit more {task.items} per group."
    plan = f"{aim}, audit {images_needed(result, verdicts)}."
    return f"{plan} {_limit_of_pools(result, verdicts)}".rstrip()


def _limit_of_pools(result: AuditResult, verdicts: list[Verdict]) -> str:
    """Where a pool is too small for the plan: how small it is, and what all of it would show; the worst
    case.
    """
    found = [(provable_gap(result, v, pool), v.attribute, pool) for v, pool in _too_small(result, verdicts)]
    if not found:
        return ""
    least, attribute, pool = max(found, key=lambda one: one[0])
    group, n = pool.smallest
    return (
        f"{pool.name[:1].upper()}{pool.name[1:]} has only {count(n)} photos in its smallest group "
        f"{by(attribute)} ({group_label(attribute, group)}); with all of its photos, only a gap of "
        f"{points(least)} or more has an 80% chance of being proven."
    )


def _too_small(result: AuditResult, verdicts: list[Verdict]) -> list[tuple[Verdict, Pool]]:
    known = [(v, pool) for v in verdicts if (pool := pool_of(result, v.attribute))]
    return [(v, pool) for v, pool in known if pool.smallest[1] < (v.images_needed or 0)]


def next_steps(result: AuditResult) -> list[Step]:
    """Two to six steps, cheapest first; only one where the verdicts cannot be read yet."""
    task = result.task
    if (reason := unanswered(result)) is not None:
        return [Step(_first(reason, result))]
    steps = []
    if is_weak(result):
        steps.append(
            Step(
                f"First find a {task.system} that works: on these {task.items} this one is barely better "
                "than a coin toss."
            )
        )
    else:
        steps += _other_threshold(result)
    if result.overall.fpr == 0 and result.overall.fnr == 0:
        steps.append(Step(f"It was wrong about none of these {task.items}: audit it on {task.harder}."))
    if rendered(result):
        steps.append(Step(task.repeat))
    if usefulness_in(result).reason == "one class":
        steps.append(Step(_first("one class", result)))
    if _of(result, DISPARITY):
        steps += _when_disparate(result)
    if _of(result, INSUFFICIENT):
        steps += _more_images(result)
    if any(far_in_proportion(result, v) for v in result.verdicts):
        steps.append(
            Step("Decide whether points are the right measure: in proportion, some groups fare far worse.")
        )
    if not _of(result, DISPARITY):
        steps.append(Step(task.next_time))
    return steps
