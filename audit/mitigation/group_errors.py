"""Errors of every group at many single thresholds.

Enters: a part and thresholds. Leaves: `ErrorGrid`, from which gaps, overall errors and worst groups are read
    off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.data.counts import Floats, Ints
from audit.data.groups import Grouping
from audit.data.score_table import ScoreTable
from audit.metrics.error_curves import error_curve
from audit.metrics.rates import divide
from audit.mitigation.parts import members
from audit.schema.result import RateName

N_GRID = 400
"""Thresholds tried, about: every one that moves an error rate where rates are small."""


@dataclass(frozen=True)
class ErrorGrid:
    """Errors of k groups at t thresholds.

    Attributes:
        fp: int64 [k, t], real images flagged.
        fn: int64 [k, t], fakes let through.
        n_real: int64 [k].
        n_fake: int64 [k].
    """

    fp: Ints
    fn: Ints
    n_real: Ints
    n_fake: Ints

    def rates(self, rate: RateName) -> Floats:
        """float64 [k, t], NaN without images of the class."""
        errors, n = (self.fp, self.n_real) if rate == "fpr" else (self.fn, self.n_fake)
        return divide(errors, np.broadcast_to(n[:, None], errors.shape))

    @property
    def total(self) -> ErrorGrid:
        """All groups as one."""
        parts = (self.fp, self.fn, self.n_real, self.n_fake)
        return ErrorGrid(*(part.sum(axis=0, keepdims=True) for part in parts))

    @property
    def error(self) -> Floats:
        """float64 [k, t], mean of FPR and FNR."""
        return (self.rates("fpr") + self.rates("fnr")) / 2


def error_grid(table: ScoreTable, grouping: Grouping, thresholds: Floats) -> ErrorGrid:
    """Count errors: fake if score >= threshold.

    Args:
        table: N images.
        grouping: Of its cells.
        thresholds: float64 [t], finite.
    """
    group, k = members(table, grouping), len(grouping)
    fp, fn = (np.zeros((k, len(thresholds)), dtype=np.int64) for _ in range(2))
    n_real, n_fake = (np.bincount(group[table.fake == fake], minlength=k) for fake in (False, True))
    for g in range(k):
        of_group = group == g
        below = [
            np.searchsorted(np.sort(table.score[of_group & (table.fake == fake)]), thresholds, side="left")
            for fake in (False, True)
        ]
        fp[g], fn[g] = n_real[g] - below[0], below[1]
    return ErrorGrid(fp, fn, n_real, n_fake)


def decision_grid(table: ScoreTable, grouping: Grouping, flagged: NDArray[np.bool_]) -> ErrorGrid:
    """Count errors of given decisions.

    Args:
        table: N images.
        grouping: Of its cells.
        flagged: bool [N, t], decided to be fake.
    """
    group, k = members(table, grouping), len(grouping)
    wrong = flagged != table.fake[:, None]
    fp, fn = (
        np.stack([np.bincount(group[rows], weights=column[rows], minlength=k) for column in wrong.T], axis=1)
        for rows in (~table.fake, table.fake)
    )
    n_real, n_fake = (np.bincount(group[table.fake == fake], minlength=k) for fake in (False, True))
    return ErrorGrid(fp.astype(np.int64), fn.astype(np.int64), n_real, n_fake)


def thresholds_of(table: ScoreTable, n: int = N_GRID) -> Floats:
    """float64 [about n], thresholds at which some image is decided otherwise, ascending."""
    order = np.argsort(table.score, kind="stable")
    return error_curve(table.score[order], table.fake[order]).thin(n).thresholds
