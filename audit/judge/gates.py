"""Gates: what stops a build, and the line that says why.

Enters: an `AuditResult`, and the gate asked for. Leaves: `Failure`s, in the order in which they matter.

Why a detector that is not shown to work fails every gate: one that flags nothing, everything or at random
treats all groups alike, and would pass. It has an exit code of its own, since no group is to blame, and none
is named: where scores run the wrong way, it would be the wrong one.

Why images without a score fail the same gates as verdicts: a detector that gives no answer where it would err
has no error rate there, and would pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from audit.judge.usefulness import unanswered, usefulness_in
from audit.schema.gates import RateLimit
from audit.schema.result import CROSSED, OVERALL, AuditResult, NoScores, Verdict
from audit.task import Task

FailOn = Literal["proven", "disparity", "insufficient"]
"""From the mildest gate to the strictest."""

EXIT_GATE, EXIT_NOT_ANSWERABLE = 1, 3
"""Exit codes of `audit run`; 2 is an expected error."""


@dataclass(frozen=True)
class Failure:
    """One reason to stop a build.

    Attributes:
        kind: "not answerable", "verdict", "no score" or "limit".
        line: What failed, in one line.
    """

    kind: Literal["not answerable", "verdict", "no score", "limit"]
    line: str


def failing(result: AuditResult, fail_on: FailOn | None) -> list[Verdict]:
    """Verdicts that fail a build.

    Args:
        result: What the audit found.
        fail_on: "proven": gaps proven to exceed the tolerance. "disparity": also groups proven unequal whose
            gap exceeds it as seen, and in truth perhaps not. "insufficient": also what could not be decided.
            None fails nothing.

    Returns:
        Empty where the question is not answerable: the gate itself fails then.
    """
    if unanswered(result):
        return []
    if fail_on == "proven":
        return [verdict for verdict in result.verdicts if verdict.beyond_tolerance_proven]
    words: dict[FailOn | None, set[str]] = {
        None: set(),
        "disparity": {"disparity"},
        "insufficient": {"disparity", "insufficient evidence"},
    }
    return [verdict for verdict in result.verdicts if verdict.verdict in words[fail_on]]


def failing_no_scores(result: AuditResult, fail_on: FailOn | None) -> list[NoScores]:
    """Attributes and classes whose images without a score fail a build: gates as for `failing`."""
    if fail_on is None:
        return []
    return [
        one for one in result.no_scores if one.more and (one.beyond_tolerance_proven or fail_on != "proven")
    ]


def broken_limits(result: AuditResult) -> list[RateLimit]:
    """Rates that are not shown to keep to the largest one allowed."""
    return [one for one in result.rate_limits if one.holds is False]


def not_judged(result: AuditResult) -> list[str]:
    """A line for each rate with a limit that small groups are not held to."""
    task = result.task
    lines = []
    for rate in dict.fromkeys(one.rate for one in result.rate_limits):
        small = [
            one
            for one in result.rate_limits
            if one.rate == rate and one.holds is None and one.group != CROSSED
        ]
        names = ", ".join(f"{one.attribute} {one.group} ({one.images})" for one in small)
        if small:
            lines.append(
                f"Not held to --max-{task.rate(rate).lower()}, fewer than {result.config.min_n} "
                f"{task.items}: {names}"
            )
    return lines


def gate_failures(result: AuditResult, fail_on: FailOn | None) -> list[Failure]:
    """Everything that fails a build under the gate asked for; nothing where none is.

    Args:
        result: What the audit found, its limits of rates included.
        fail_on: The gate for verdicts; None where there is none.
    """
    if fail_on is None and not result.rate_limits:
        return []
    useful = usefulness_in(result)
    stop = [] if useful.answerable else [Failure("not answerable", f"not answerable: {useful.sentence}")]
    if unanswered(result) not in (None, "one class"):  # the rates of one class are what they are
        return stop
    verdicts = [Failure("verdict", _verdict_line(v, result.task)) for v in failing(result, fail_on)]
    return [
        *stop,
        *verdicts,
        *(Failure("no score", f"no score: {one.sentence}") for one in failing_no_scores(result, fail_on)),
        *(Failure("limit", limit_line(one, result.task)) for one in broken_limits(result)),
    ]


def exit_code(failures: Sequence[Failure]) -> int:
    """0 where nothing failed, 3 where the question cannot be answered, else 1."""
    if any(one.kind == "not answerable" for one in failures):
        return EXIT_NOT_ANSWERABLE
    return EXIT_GATE if failures else 0


def _verdict_line(v: Verdict, task: Task) -> str:
    return f"{v.verdict}: {task.rate(v.rate)} by {v.attribute.replace(':', ' x ')}"


def limit_line(one: RateLimit, task: Task) -> str:
    """'FPR of race Black may be up to 7.2% (38 of 700, 5.4%), above --max-fpr 5%'."""
    of = "overall" if one.attribute == OVERALL else f"of {one.attribute} {one.group}"
    name, option = task.rate(one.rate), f"--max-{task.rate(one.rate).lower()} {100 * one.limit:g}%"
    if one.images == 0:
        return (
            f"{name} {of} is unknown, without {task.items} of that class, so {option} is not shown to be kept"
        )
    seen = f"{one.errors:,} of {one.images:,}, {100 * one.value:.3g}%"
    return f"{name} {of} may be up to {100 * one.upper:.3g}% ({seen}), above {option}"
