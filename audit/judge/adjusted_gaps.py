"""Is a gap the detector's, or do the images of the groups differ? Gaps at equal value of another column.

Enters: the audited images, a column that says something about each (quality of the pair, a file format, a
source), and the verdicts, which name a worst and a best group. Leaves: `AdjustedGap`s: the gap between those
two groups, computed again among images of like value.

Why the pair of the verdict and no other: the question is whether *that* accusation stands. The pair was
chosen because it lies far apart, so both intervals are wide enough to hold for all pairs of groups of the
attribute at once (Tukey's range); no verdict is drawn from them.

Why this never replaces the raw gap: a column can be a consequence of the very thing that is judged. Photos of
one group may be "of low quality" to a face finder that sees the group badly; holding that constant hides it.

Why missing values and lone strata take no part instead of being filled in: an image without a counterpart of
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
from audit.data.counts import Ints
from audit.data.score_table import ScoreTable
from audit.data.strata import NO_STRATUM, Strata, cut, plain
from audit.errors import MissingColumnError
from audit.inference.adjustment import risk_difference
from audit.inference.equality_test import range_critical
from audit.inference.proportion_intervals import newcombe
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
    """

    at: Ints
    side: Ints
    wrong: NDArray[np.bool_]

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


def require_columns(frame: pd.DataFrame, controls: Sequence[Control], config: AuditConfig) -> None:
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
    """The gap of every single attribute's verdict, at equal value of every column it is to be held against.

    Args:
        table: N audited images.
        columns: N rows in the same order, with the columns that `controls` name.
        threshold: Fake if score >= threshold.
        verdicts: Those that name no two groups, and intersections, are passed over.
        controls: What to hold constant; an attribute is not held constant against itself.
        config: Confidence and the smallest group that counts.
    """
    held = {control.column: plain(columns[control.column]) for control in controls}
    found = []
    for verdict in verdicts:
        if verdict.worst_group is None or verdict.attribute not in table.cells.attributes:
            continue
        rows = _rows(table, threshold, verdict)
        found += [
            _adjusted(verdict, rows, held[control.column].iloc[rows.at], config)
            for control in controls
            if verdict.rate in control.rates and control.column != verdict.attribute
        ]
    return found


def _rows(table: ScoreTable, threshold: float, verdict: Verdict) -> _Rows:
    fake = verdict.rate == "fnr"
    grouping = table.cells.grouping([table.cells.attributes.index(verdict.attribute)])
    worst, best = (grouping.names.index(str(name)) for name in (verdict.worst_group, verdict.best_group))
    group = grouping.of_cell[table.cell]
    at = np.flatnonzero((table.fake == fake) & ((group == worst) | (group == best)))
    wrong = (table.score[at] >= threshold) != fake
    return _Rows(at, (group[at] == best).astype(np.int64), wrong)


def _adjusted(verdict: Verdict, rows: _Rows, column: pd.Series, config: AuditConfig) -> AdjustedGap:
    strata, z = cut(column), range_critical(max(verdict.n_groups, 2), config.alpha)
    whole_errors, whole_images = (part[0] for part in rows.counts(np.zeros_like(rows.side), 1))
    errors, images = rows.counts(strata.of_row, len(strata.names))
    both: NDArray[np.bool_] = np.all(images > 0, axis=1)
    rates = whole_errors / whole_images
    raw_limits = newcombe(rates[0], whole_images[0], rates[1], whole_images[1], z)
    reason = _unusable(verdict, images, both, config)
    value, limits = math.nan, None
    if reason is None:
        difference, variance = risk_difference(errors, images)
        value, half = float(difference), z * math.sqrt(float(variance))
        limits = (max(value - half, -1.0), min(value + half, 1.0)) if half > 0 else None
        reason = None if limits else "no interval: hardly any image is judged wrongly, or hardly any rightly"
    return AdjustedGap(
        attribute=verdict.attribute,
        rate=verdict.rate,
        column=str(column.name),
        kind=strata.kind,
        worst_group=str(verdict.worst_group),
        best_group=str(verdict.best_group),
        raw=float(rates[0] - rates[1]),
        raw_interval=(float(raw_limits[0]), float(raw_limits[1])),
        raw_taking_part=_raw(errors[both], images[both]),
        adjusted=value,
        interval=limits,
        reason=reason,
        n_images=len(rows.at),
        n_taking_part=int(images[both].sum()),
        n_missing=int((strata.of_row == NO_STRATUM).sum()),
        strata=_strata(strata, errors, images),
    )


def _unusable(verdict: Verdict, images: Ints, both: NDArray[np.bool_], config: AuditConfig) -> str | None:
    """Why there is no adjusted gap, if there is none."""
    if not images.any():
        return "no image has a value"
    if len(images) == 1:
        return "all images have the same value: there is nothing to hold constant"
    if not both.any():
        return "no value occurs in both groups"
    least = images[both].sum(axis=0)
    if least.min() < config.min_n:
        name = (verdict.worst_group, verdict.best_group)[int(least.argmin())]
        return (
            f"only {least.min()} images of {name} have a counterpart of like value, fewer than {config.min_n}"
        )
    return None


def _raw(errors: Ints, images: Ints) -> float:
    """The raw gap among these strata."""
    if not images.any():
        return math.nan
    rates = errors.sum(axis=0) / images.sum(axis=0)
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
