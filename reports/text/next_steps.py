"""What to do next, by verdict.

Enters: an `AuditResult`. Leaves: a few steps, each with the section of the report it leads to.

Why fixed texts chosen by rule: advice that follows from the verdict can be checked; advice that sounds
tailored cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

from audit.judge.sanity_checks import Fault, fault_in
from audit.schema.result import AuditResult, Verdict
from reports.text.answer import is_weak, rendered
from reports.text.numbers import count, listing
from reports.text.verdict_text import (
    DISPARITY,
    INSUFFICIENT,
    UNEQUAL,
    by,
    far_in_proportion,
    group_label,
    standing,
)


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    text: str
    anchor: str | None = None
    """Id of the section that helps with it."""
    link: str = ""
    """The link's words."""


FIRST: dict[Fault | None, str] = {
    "reversed": (
        "Find out which way the scores and the labels run: a high score and the label 1 must mean fake. Turn "
        "them round, or say --positive, and audit again."
    ),
    "threshold": (
        "Give the threshold at which this detector is used, in the units of its scores, or a rule such as "
        "--threshold eer, and audit again."
    ),
}
"""The one thing to do about a fault before any verdict is read."""


def _of(result: AuditResult, word: str) -> list[Verdict]:
    """Verdicts of one kind: those on single attributes where there are any."""
    found = [v for v in result.verdicts if v.verdict == word]
    return [v for v in found if ":" not in v.attribute] or found


def _when_disparate(result: AuditResult) -> list[Step]:
    unequal = _of(result, DISPARITY)
    worst = dict.fromkeys(group_label(v.attribute, v.worst_group) for v in unequal if v.worst_group)
    groups = listing(list(worst)[:3])
    steps = [Step("Let no flag decide alone: have a person check before anyone is accused or cleared.")]
    if result.sweep:
        steps.append(
            Step(
                "See whether another threshold narrows the gap and what it costs:",
                "explorer",
                "try thresholds",
            )
        )
    anchor = "pairs" if result.samples else None
    ask = f"Ask the detector's maker for better data on {groups or 'the groups concerned'}, then audit again"
    steps.append(Step(f"{ask}{';' if anchor else '.'}", anchor, "look at the errors" if anchor else ""))
    return steps


def _when_thin(result: AuditResult) -> list[Step]:
    thin = _of(result, INSUFFICIENT)
    unequal = [v for v in thin if standing(result, v) == UNEQUAL]
    unknown = [v for v in thin if v not in unequal]
    steps = []
    if unknown:
        amount, sure = _amount(unknown), "enough four times out of five if the groups are in truth equal"
        steps.append(f"To settle what is open ({_names(unknown)}), audit {amount or 'more images per group'}")
        steps[-1] += f": {sure}." if amount else "."
    if unequal:
        amount, sure = _amount(unequal), "most likely enough if it is as large as seen"
        steps.append(f"To learn whether the gap {_names(unequal)} exceeds the tolerance, audit ")
        steps[-1] += f"{amount}: {sure}." if amount else "more images per group."
    return [Step(text) for text in steps]


def _names(verdicts: list[Verdict]) -> str:
    return listing([by(a) for a in dict.fromkeys(v.attribute for v in verdicts)])


def _amount(verdicts: list[Verdict]) -> str:
    needed = max((v.images_needed or 0 for v in verdicts), default=0)
    return f"about {count(needed)} images per group" if needed else ""


def next_steps(result: AuditResult) -> list[Step]:
    """Three to five steps, most urgent first; only one where the verdicts cannot be read yet."""
    if (fault := fault_in(result)) in FIRST:
        return [Step(FIRST[fault])]
    steps = []
    if is_weak(result):
        steps.append(Step("First get a detector that works: this one hardly beats a coin on these images."))
    if rendered(result):
        steps.append(Step("Repeat on photographs of people before saying anything about people."))
    if _of(result, DISPARITY):
        steps += _when_disparate(result)
    if _of(result, INSUFFICIENT):
        steps += _when_thin(result)
    if any(far_in_proportion(result, v) for v in result.verdicts):
        steps.append(
            Step("Decide whether points are the right measure: in proportion, some groups fare far worse.")
        )
    if not _of(result, DISPARITY):
        steps.append(
            Step("Audit again whenever the detector, its threshold, the kind of fakes or the people change.")
        )
    return steps
