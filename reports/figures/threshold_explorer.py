"""The threshold explorer: counts on a grid, and the figures the slider moves.

Enters: an `AuditResult` with `sweep`. Leaves: one JSON object for the page.

Why counts travel and not rates: from counts the page computes rates and Wilson intervals exactly, and one
array of integers serves both. Why intersections stay out: at 126 cells a picture says nothing, and the page
would double.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from statistics import NormalDist
from typing import Any

from audit.schema.result import OVERALL, AuditResult, GroupResult, Measures, Sweep
from audit.task import Task
from audit.wording.numbers import threshold_text
from audit.wording.verdict_text import RATES, group_label
from reports.figures.curves import MAX_LINES
from reports.figures.gap_plots import MAX_ROWS, worst_first
from reports.text.participation import takes_part


def start_index(result: AuditResult) -> int:
    """Place on the grid nearest the audited threshold."""
    grid = result.sweep_thresholds
    right = min(bisect_left(grid, result.config.threshold), len(grid) - 1)
    left = max(right - 1, 0)
    return min((left, right), key=lambda i: abs(grid[i] - result.config.threshold))


def _worth(measures: Measures | None, sweep: Sweep, kind: str) -> float:
    """Independent images that one of the sweep counts for: 1, but for images that share units or carry
    weights, where it is taken from the audited threshold.
    """
    independent = getattr(measures, {"real": "fpr_worth", "fake": "fnr_worth"}[kind], math.nan)
    n = getattr(sweep, f"n_{kind}")
    return round(independent / n, 6) if n and math.isfinite(independent) else 1


def _compared(result: AuditResult, measures: Measures | None) -> dict[str, bool]:
    """Whether the page's sentences may name a group, by rate."""
    if not isinstance(measures, GroupResult):
        return dict.fromkeys(RATES, measures is not None)
    return {rate: takes_part(measures, rate, result.config.min_n) for rate in RATES}


def _group(result: AuditResult, sweep: Sweep) -> dict[str, Any]:
    own = (g for g in result.groups if (g.attribute, g.group) == (sweep.attribute, sweep.group))
    measures = next(own, result.overall if sweep.attribute == OVERALL else None)
    return {
        "name": group_label(sweep.attribute, sweep.group, f"All {result.task.items}"),
        "compared": _compared(result, measures),
        "n_real": sweep.n_real,
        "n_fake": sweep.n_fake,
        "fp": sweep.fp,
        "fn": sweep.fn,
        "real_worth": _worth(measures, sweep, "real"),
        "fake_worth": _worth(measures, sweep, "fake"),
    }


def _attribute(result: AuditResult, name: str) -> dict[str, Any]:
    order = [g.group for g in worst_first([g for g in result.groups if g.attribute == name], "fpr")]
    found = {s.group: s for s in result.sweep if s.attribute == name}
    chosen = [found[group] for group in order if group in found][:MAX_ROWS]
    return {"name": name, "groups": [_group(result, s) for s in chosen], "curves": len(chosen) <= MAX_LINES}


def _words(task: Task) -> dict[str, str]:
    """What the page's script puts behind numbers."""
    return {
        "fpr": f"of {task.negatives} are {task.fpr_happens}",
        "fnr": f"of {task.positives} are {task.missed}",
        "rare": f"of the {task.items} are {task.positives}, of 1,000 {task.flagged}",
        "wronged": task.wronged,
    }


def payload(result: AuditResult, attributes: list[str]) -> dict[str, Any] | None:
    """Everything the page's slider needs; None where the record holds no sweep.

    Args:
        result: The record.
        attributes: Names in the order of the page; those without a sweep are left out.
    """
    overall = next((s for s in result.sweep if s.attribute == OVERALL), None)
    if overall is None or not result.sweep_thresholds:
        return None
    names = [a for a in attributes if any(s.attribute == a for s in result.sweep)]
    return {
        "thresholds": [round(t, 6) for t in result.sweep_thresholds],
        "shown": [threshold_text(t) for t in result.sweep_thresholds],
        "start": start_index(result),
        "audited": result.config.threshold,
        "z": NormalDist().inv_cdf((1 + result.config.confidence) / 2),
        "overall": _group(result, overall),
        "attributes": [_attribute(result, name) for name in names],
        "words": _words(result.task),
    }
