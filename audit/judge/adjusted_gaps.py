"""Is a gap the detector's, or do the images of the groups differ? Gaps at equal value of another column.

Enters: the audited images, a column that says something about each (quality of the pair, a file format, a
source), and the verdicts, which name a worst and a best group. Leaves: `AdjustedGap`s: the gap between those
two groups, computed again at equal value of each column, and of all of them at once. The rates by fifths (or
words) of a column stand beside it as a picture; nothing is computed from them.

Why the pair of the verdict and no other: the question is whether *that* accusation stands. The pair was
chosen because it lies far apart, so all intervals are wide enough to hold for all pairs of groups of the
attribute at once (Tukey's range); no verdict is drawn from them.

Why the adjusted gaps share one error: each of them, and what of the gap goes with the column, is told in a
sentence. So that any sentence is wrong in at most 1 - confidence of audits, both intervals of all of them
hold together (Bonferroni over all attributes, rates and columns with an interval, twice).

Why this never replaces the raw gap: a column can be a consequence of the very thing that is judged. Photos of
one group may be "of low quality" to a face finder that sees the group badly; holding that constant hides it.

Why missing values and lone ones take no part instead of being filled in: an image without a counterpart of
the other group at its value says nothing about that comparison. How many took part stands beside the number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.config import AuditConfig
from audit.data.columns import TableColumns
from audit.data.counts import Floats, Ints, of_units
from audit.data.score_table import ScoreTable
from audit.data.strata import NO_STRATUM, Strata, cut, plain
from audit.data.unit_totals import LEAST_UNITS, unit_totals
from audit.errors import MissingColumnError
from audit.inference.adjustment import (
    Standardised,
    in_common,
    least_worth,
    standardised_difference,
)
from audit.inference.effective_sample_size import fpr_worth
from audit.inference.equality_test import range_critical
from audit.inference.proportion_intervals import newcombe
from audit.metrics.rates import divide
from audit.schema.result import AdjustedGap, RateName, Stratum, Verdict

BOTH: tuple[RateName, ...] = ("fpr", "fnr")


@dataclass(frozen=True)
class Control:
    """A column to hold constant, and the rates for which it makes sense."""

    column: str
    rates: tuple[RateName, ...] = BOTH


OF_PAIRS = (Control("real_confidence", ("fpr",)), Control("reconstruction_ms_ssim", ("fnr",)))
"""Held constant in a pairs dataset without being asked: how clearly a face is seen in the real photo, for
wrongful flags; how near the fake is to the photo it was made from, for missed fakes."""


@dataclass(frozen=True)
class _Rows:
    """The images of one rate and of the two groups of one verdict.

    Attributes:
        at: int64 [n], rows of the table.
        side: int64 [n], 0 for the worst group, 1 for the best.
        wrong: bool [n].
        unit: int64 [n], the independent unit of each; None where each is one.
        weight: float64 [n]; None where all are equal.
    """

    at: Ints
    side: Ints
    wrong: NDArray[np.bool_]
    unit: Ints | None = None
    weight: Floats | None = None

    def rates(self, taking: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """(rates, independent images that they are worth), each [2], by weight; NaN without images.

        Args:
            taking: bool [n], images that take part.
        """
        n = int(np.count_nonzero(taking))
        unit = np.arange(n) if self.unit is None else self.unit[taking]
        weight = None if self.weight is None else self.weight[taking]
        totals = unit_totals(unit, self.side[taking], 2, np.zeros(n, dtype=bool), self.wrong[taking], weight)
        found = of_units(totals)
        rates = divide(found.fp, found.n_real)
        plain = self.unit is None and self.weight is None
        return rates, found.n_real.astype(float) if plain else fpr_worth(found)

    def counts(self, stratum: Ints, n_strata: int) -> tuple[Ints, Ints]:
        """(errors, images), each [n_strata, 2]; rows of stratum NO_STRATUM are passed over."""
        known = stratum != NO_STRATUM
        cell = (stratum * 2 + self.side)[known]
        images = np.bincount(cell, minlength=2 * n_strata)
        errors = np.bincount(cell[self.wrong[known]], minlength=2 * n_strata)
        return errors.reshape(-1, 2).astype(np.int64), images.reshape(-1, 2).astype(np.int64)


def merged(asked: Sequence[str], usual: Sequence[Control]) -> list[Control]:
    """The columns asked for, for both rates, then the usual ones that were not asked for."""
    return [*map(Control, asked), *(control for control in usual if control.column not in asked)]


def require_columns(frame: TableColumns, controls: Sequence[Control], config: AuditConfig) -> None:
    """Refuse columns that are not there, and those that decide the error itself.

    Raises:
        MissingColumnError: Naming them.
    """
    taken = (config.columns.label, config.columns.score)
    names = [control.column for control in controls]
    missing = [name for name in names if name not in frame.columns or name in taken]
    if missing:
        usable = [str(name) for name in frame.columns if name not in taken]
        raise MissingColumnError(
            f"no column {', '.join(map(repr, missing))} to hold constant; there are "
            f"{', '.join(map(repr, usable))}"
        )


def adjusted_gaps(
    table: ScoreTable,
    columns: pd.DataFrame,
    threshold: float,
    verdicts: Sequence[Verdict],
    controls: Sequence[Control],
    config: AuditConfig,
) -> list[AdjustedGap]:
    """The gap of every single attribute's verdict, at equal value of every column, then of all together.

    Args:
        table: N audited images.
        columns: N rows in the order of the table, with the columns that `controls` name.
        threshold: Fake if score >= threshold.
        verdicts: Those that name no two groups, and intersections, are passed over.
        controls: What to hold constant; an attribute is not held constant against itself.
        config: Confidence and the smallest group that counts.
    """
    if not controls:
        return []
    found: list[tuple[AdjustedGap, Standardised | str, int]] = []
    held = {control.column: plain(columns[control.column]) for control in controls}
    for verdict in verdicts:
        if verdict.worst_group is None or verdict.attribute not in table.cells.attributes:
            continue
        rows = _rows(table, threshold, verdict)
        parts = [
            held[control.column].iloc[rows.at]
            for control in controls
            if verdict.rate in control.rates and control.column != verdict.attribute
        ]
        sets = [[part] for part in parts] + ([parts] if len(parts) > 1 else [])
        found += [(*_adjusted(verdict, rows, some, config), verdict.n_groups) for some in sets]
    n_told = sum(isinstance(told, Standardised) for _, told, _ in found)
    return [
        gap if isinstance(told, str) else _with_intervals(gap, told, shared_z(n, n_told, config.alpha))
        for gap, told, n in found
    ]


def shared_z(n_groups: int, n_gaps: int, alpha: float) -> float:
    """Critical value of both intervals of an adjusted gap.

    Args:
        n_groups: Of the attribute; the pair was picked among them.
        n_gaps: Adjusted gaps of the audit that have intervals.
        alpha: 1 - confidence, of all of them together.
    """
    return range_critical(max(n_groups, 2), alpha / (2 * n_gaps))


def _with_intervals(gap: AdjustedGap, told: Standardised, z: float) -> AdjustedGap:
    return gap.model_copy(update={"interval": told.interval(z), "part_interval": told.part_interval(z)})


def _rows(table: ScoreTable, threshold: float, verdict: Verdict) -> _Rows:
    fake = verdict.rate == "fnr"
    grouping = table.cells.grouping([table.cells.attributes.index(verdict.attribute)])
    worst, best = (grouping.names.index(str(name)) for name in (verdict.worst_group, verdict.best_group))
    group = grouping.of_cell[table.cell]
    at = np.flatnonzero((table.fake == fake) & ((group == worst) | (group == best)))
    at = at[np.argsort(table.rows()[at])]  # a regression is summed in the order of the rows
    wrong = (table.score[at] >= threshold) != fake
    unit = None if table.unit is None else table.unit[at]
    weight = None if table.weight is None else table.weight[at]
    return _Rows(at, (group[at] == best).astype(np.int64), wrong, unit, weight)


def _adjusted(
    verdict: Verdict, rows: _Rows, columns: Sequence[pd.Series], config: AuditConfig
) -> tuple[AdjustedGap, Standardised | str]:
    """The record without its intervals, which depend on how many there are, and what they follow from."""
    z = range_critical(max(verdict.n_groups, 2), config.alpha)
    rates, n = rows.rates(np.ones(len(rows.at), dtype=bool))
    raw_limits = newcombe(rates[0], n[0], rates[1], n[1], z)
    known = np.all([column.notna().to_numpy() for column in columns], axis=0)
    taking = in_common(rows.side, columns)
    nothing = _nothing_to_hold(known, columns)
    found = nothing or _standardised(rows, taking, columns, config)
    strata = cut(columns[0]) if len(columns) == 1 else None
    record = AdjustedGap(
        attribute=verdict.attribute,
        rate=verdict.rate,
        column=" and ".join(str(column.name) for column in columns),
        columns=[str(column.name) for column in columns],
        kind="together" if strata is None else strata.kind,
        worst_group=str(verdict.worst_group),
        best_group=str(verdict.best_group),
        raw=float(rates[0] - rates[1]),
        raw_interval=(float(raw_limits[0]), float(raw_limits[1])),
        raw_taking_part=_raw(rows, taking),
        adjusted=math.nan if isinstance(found, str) else found.difference,
        interval=None,
        reason=found if isinstance(found, str) else None,
        separable=bool(nothing) or not isinstance(found, str),
        n_images=len(rows.at),
        n_taking_part=int(taking.sum()),
        n_missing=int((~known).sum()),
        strata=[] if strata is None else _strata(strata, *rows.counts(strata.of_row, len(strata.names))),
    )
    return record, found


def _nothing_to_hold(known: NDArray[np.bool_], columns: Sequence[pd.Series]) -> str | None:
    if not known.any():
        return "no image has a value"
    if all(column[known].nunique() == 1 for column in columns):
        return "all images have the same value: there is nothing to hold constant"
    return None


def _standardised(
    rows: _Rows, taking: NDArray[np.bool_], columns: Sequence[pd.Series], config: AuditConfig
) -> Standardised | str:
    """Both rates at equal value of the columns, or why they cannot be separated from these."""
    return standardised_difference(
        rows.wrong[taking],
        rows.side[taking],
        [column[taking] for column in columns],
        least_worth(
            rows.side, rows.unit, config.min_n if rows.unit is None else min(config.min_n, LEAST_UNITS)
        ),
        None if rows.unit is None else rows.unit[taking],
        None if rows.weight is None else rows.weight[taking],
    )


def _raw(rows: _Rows, taking: NDArray[np.bool_]) -> float:
    """The raw gap among the images that take part."""
    rates, _ = rows.rates(taking)
    return float(rates[0] - rates[1])


def _strata(strata: Strata, errors: Ints, images: Ints) -> list[Stratum]:
    return [
        Stratum(
            name=name,
            worst_errors=int(wrong[0]),
            worst_images=int(n[0]),
            best_errors=int(wrong[1]),
            best_images=int(n[1]),
        )
        for name, wrong, n in zip(strata.names, errors, images, strict=True)
    ]
