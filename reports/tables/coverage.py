"""What auditors are asked for, and what of it this report shows: facts about coverage, never legal advice.

Enters: `coverage.toml` and an `AuditResult`. Leaves: rows for the page.

Why what is missing has a column of its own: whoever signs must not take a report for more than it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from audit.schema.result import AuditResult
from audit.wording.criterion_text import FOUR_FIFTHS as FOUR_FIFTHS_RULE
from audit.wording.numbers import listing, number
from reports.text.glossary import entries, filled
from reports.text.participation import takes_part

FOUR_FIFTHS = 0.8
"""Source: Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4 (D), 1978."""


@dataclass(frozen=True)
class Covered:
    """One thing that is asked for."""

    source: str
    asked: str
    shown: str
    missing: str
    section: str
    """Anchor of the part of the report that holds it."""


@cache
def _fixed(task: str) -> list[Covered]:
    """What every report covers, less what another kind of system is asked for."""
    items = (item for item in entries("coverage.toml")["item"] if task in item.pop("tasks", [task]))
    return [Covered(**{key: filled(text, task) for key, text in item.items()}) for item in items]


def pass_ratio(result: AuditResult, attribute: str) -> float:
    """Share of real images passed as real, of the lowest group over the highest; NaN for fewer than two
    groups.
    """
    groups = [
        g for g in result.groups if g.attribute == attribute and takes_part(g, "fpr", result.config.min_n)
    ]
    passed = [1 - g.fpr for g in groups if math.isfinite(g.fpr)]
    return min(passed) / max(passed) if len(passed) > 1 and max(passed) > 0 else math.nan


def _four_fifths(result: AuditResult) -> Covered:
    task = result.task
    ratios = {name: pass_ratio(result, name) for name in result.config.attributes}
    told = [f"{number(ratio, 2)} by {name}" for name, ratio in ratios.items() if math.isfinite(ratio)]
    shown = (
        f"{task.negatives.capitalize()} {task.passed}, lowest group over highest: {listing(told)}"
        if told
        else "Not computed"
    )
    return Covered(
        "Four-fifths guideline (29 CFR 1607.4 D)",
        f"A group’s selection rate is compared with four fifths ({FOUR_FIFTHS}) of the highest group’s",
        f"{shown}. Ratios of both error rates, with intervals, are among the numbers",
        "The guideline is about selecting employees; whether it applies to this use is not judged",
        "numbers",
    )


def coverage(result: AuditResult) -> list[Covered]:
    """Every item, in the order of the page."""
    told = _fixed(result.task.name)
    has_four_fifths = all(name != FOUR_FIFTHS_RULE for name, _ in result.task.without_criteria)
    return [*told, _four_fifths(result)] if has_four_fifths else told
