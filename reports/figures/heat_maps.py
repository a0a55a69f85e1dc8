"""Intersections of attributes: heat maps, and the cells that fare worst.

Enters: an `AuditResult`. Leaves: `HeatMap`s (a table of shaded cells for each value of the remaining
attributes) and a table of the worst cells with the images needed to be sure of them.

Why a table with shaded cells and not a drawn heat map: it can be read aloud, printed, copied and zoomed,
and a cell's rate and n are text. Why thin cells are not shaded: 1 error in 3 images is 33 %, and a map that
shows it darkest shows noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from statistics import NormalDist

from audit.schema.result import AuditResult, Config, GroupResult
from audit.wording.numbers import images_for_margin, percent, percent_interval
from audit.wording.verdict_text import by, title
from reports.tables.report_tables import measures_row
from reports.tables.table import Column, Table
from reports.text.participation import takes_part

N_SHADES = 6
MAX_PANELS = 12
"""More maps than this are not drawn; the table of all cells stays."""


@dataclass(frozen=True)
class HeatCell:
    """One square of a map."""

    text: str
    """The rate, or 'no data'."""
    n: int
    shade: int | None
    """0 (lowest) to N_SHADES - 1 (highest); None where the cell takes no part in the verdict on this rate."""
    interval: str


@dataclass(frozen=True)
class HeatMap:
    """One map: a rate by two attributes, the others fixed."""

    caption: str
    corner: str
    columns: list[str]
    rows: list[tuple[str, list[HeatCell]]]


def crossed(result: AuditResult) -> list[str]:
    """The intersections in the record, those of most attributes first."""
    names = dict.fromkeys(g.attribute for g in result.groups if ":" in g.attribute)
    return sorted(names, key=lambda name: -name.count(":"))


def _levels(result: AuditResult, intersection: str) -> list[list[str]]:
    """Values of each part, in the order of the one-attribute groups (then of appearance)."""
    parts = intersection.split(":")
    order = [[g.group for g in result.groups if g.attribute == part] for part in parts]
    for group in (g.group.split(":") for g in result.groups if g.attribute == intersection):
        for known, value in zip(order, group, strict=False):
            if value not in known:
                known.append(value)
    return order


def _axes(levels: list[list[str]]) -> tuple[int, int]:
    """Positions of the attributes for rows (most values) and columns (next most)."""
    ranked = sorted(range(len(levels)), key=lambda i: -len(levels[i]))
    return ranked[0], ranked[1]


def comparable(result: AuditResult, intersection: str, rate: str) -> list[GroupResult]:
    """The cells that take part in the verdict on `rate`: enough images of its class, every label known."""
    cells = [g for g in result.groups if g.attribute == intersection]
    return [g for g in cells if takes_part(g, rate, result.config.min_n)]


def _cell(group: GroupResult | None, rate: str, top: float, config: Config) -> HeatCell:
    if group is None:
        return HeatCell("no data", 0, None, "no interval")
    value, n = getattr(group, rate), group.n_real if rate == "fpr" else group.n_fake
    interval = percent_interval(getattr(group, rate + "_interval"))
    if not math.isfinite(value) or not takes_part(group, rate, config.min_n):
        return HeatCell(percent(value, 0), n, None, interval)
    shade = min(N_SHADES - 1, int(N_SHADES * value / top)) if top else 0
    return HeatCell(percent(value, 0 if value >= 0.095 else 1), n, shade, interval)


def heat_maps(result: AuditResult, intersection: str, rate: str) -> list[HeatMap]:
    """Maps of `rate` ("fpr" or "fnr"), one for each value of the attributes that are not on an axis.

    Shades are shared by all maps of one call: equal steps from 0 to the highest rate of a well-filled cell.
    """
    levels, parts = _levels(result, intersection), intersection.split(":")
    down, across = _axes(levels)
    others = [i for i in range(len(parts)) if i not in (down, across)]
    if math.prod(len(levels[i]) for i in others) > MAX_PANELS:
        return []
    cells = {g.group: g for g in result.groups if g.attribute == intersection}
    top = max((getattr(g, rate) for g in comparable(result, intersection, rate)), default=0.0)
    maps = []
    for fixed in product(*(levels[i] for i in others)):
        rows = []
        for r in levels[down]:
            line = []
            for c in levels[across]:
                at = dict(zip(others, fixed, strict=True)) | {down: r, across: c}
                cell = cells.get(":".join(at[i] for i in range(len(parts))))
                line.append(_cell(cell, rate, top, result.config))
            rows.append((r, line))
        corner = f"{parts[down]} \\ {parts[across]}"
        maps.append(HeatMap(" · ".join(fixed) or title(intersection), corner, levels[across], rows))
    return maps


def worst_cells(result: AuditResult, intersection: str, rate: str, longest: int = 8) -> Table:
    """The cells whose rate is highest beyond doubt: by the interval's lower end, of those that take part.

    The last column says how many images of the cell would pin its rate to within the tolerance.
    """
    task = result.task
    n_key, errors_key = ("n_real", "fp") if rate == "fpr" else ("n_fake", "fn")
    groups = comparable(result, intersection, rate)
    groups.sort(key=lambda g: (-getattr(g, rate + "_interval")[0], g.group))
    margin = result.config.tolerance or 0.01
    z = NormalDist().inv_cdf((1 + result.config.confidence) / 2)
    rows = []
    for row in (measures_row(g, task=task) for g in groups[:longest]):
        needed = images_for_margin(row[errors_key], row[n_key], margin, z)
        rows.append(row | {"needed": max(needed, row[n_key])})
    columns = [
        Column("group", title(intersection)),
        Column(rate, task.rate(rate), "percent", rate),
        Column(rate + "_interval", "Interval", "percent interval", "interval"),
        Column(n_key, task.items.capitalize(), "count"),
        Column("needed", f"{task.items.capitalize()} to know it within ±{100 * margin:.3g} points", "count"),
    ]
    what = f"{task.negatives} are {task.flagged}" if rate == "fpr" else f"{task.positives} are {task.missed}"
    return Table(
        f"worst-{task.rate(rate)}-{intersection}".lower(),
        f"Cells {by(intersection)} where {what} most often",
        columns,
        rows,
    )


def all_cells(result: AuditResult, intersection: str) -> Table:
    """Every cell that occurs, with counts, rates and intervals."""
    task = result.task
    columns = [
        Column("group", title(intersection)),
        Column("n_real", task.negatives.capitalize(), "count"),
        Column("fpr", task.fpr, "percent", "fpr"),
        Column("fpr_interval", f"{task.fpr} interval", "percent interval", "interval"),
        Column("n_fake", task.positives.capitalize(), "count"),
        Column("fnr", task.fnr, "percent", "fnr"),
        Column("fnr_interval", f"{task.fnr} interval", "percent interval", "interval"),
        Column("note", "Note", "text", "few"),
    ]
    rows = [measures_row(g, task, result.config.min_n) for g in result.groups if g.attribute == intersection]
    return Table(f"cells-{intersection}", f"All cells {by(intersection)}", columns, rows)
