"""The part of the page on intersections: maps, worst cells and verdicts of each.

Enters: an `AuditResult` and its findings. Leaves: `Crossing`s for the template.
"""

from __future__ import annotations

from dataclasses import dataclass

from audit.schema.result import AuditResult
from audit.task import Task
from audit.wording.numbers import count, counted
from audit.wording.verdict_text import RATES, Finding, by
from reports.figures.heat_maps import HeatMap, all_cells, comparable, crossed, heat_maps, worst_cells
from reports.tables.table import Table


@dataclass(frozen=True)
class Crossing:
    """One intersection as shown."""

    name: str
    anchor: str
    summary: str
    """How many cells there are, and how many of them each verdict compares."""
    findings: list[Finding]
    rates: list[tuple[str, Table, list[HeatMap]]]
    """Name of the rate, its worst cells, its maps."""
    cells: Table
    open: bool
    """Whether its first map is unfolded."""
    compared: bool
    """Whether any two of its cells have enough images."""


def _summary(result: AuditResult, name: str) -> str:
    task = result.task
    n = sum(g.attribute == name for g in result.groups)
    n_real, n_fake = (len(comparable(result, name, rate)) for rate in ("fpr", "fnr"))
    real, fake = f"{count(n_real)} {'is' if n_real == 1 else 'are'}", count(n_fake)
    occurring = counted(n, "cell occurs", "cells occur")
    return (
        f"{occurring}. With at least {result.config.min_n} {task.items} of the kind and every label known, "
        f"{real} compared on their {task.negatives} and {fake} on their {task.positives}."
    )


def not_compared(crossed: list[Crossing], min_n: int, task: Task) -> str:
    """One line for all intersections without two cells to compare; nothing where there is none."""
    names = [by(c.name).removeprefix("by ") for c in crossed if not c.compared]
    if not names:
        return ""
    return f"Not compared, because fewer than two cells have {min_n} {task.items}: {'; '.join(names)}."


def crossings(result: AuditResult, told: list[Finding]) -> list[Crossing]:
    """All intersections in the record, the full one first."""
    task = result.task
    return [
        Crossing(
            name=name,
            anchor=f"crossing-{index}",
            summary=_summary(result, name),
            findings=[f for f in told if f.verdict.attribute == name],
            rates=[
                (
                    f"{task.rate_name(rate)} ({task.rate(rate)})",
                    worst_cells(result, name, rate),
                    heat_maps(result, name, rate),
                )
                for rate in RATES
            ],
            cells=all_cells(result, name),
            open=index == 0,
            compared=any(len(comparable(result, name, rate)) > 1 for rate in RATES),
        )
        for index, name in enumerate(crossed(result))
    ]
