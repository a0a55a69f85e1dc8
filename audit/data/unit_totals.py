"""What every independent unit contributes to every group, and the sums from which its variance follows.

Enters: images with their unit (a person, a video, a source photo; or each image, where images carry
weights), their weight and whether they are judged wrongly. Leaves: `UnitTotals`, one row a unit and group,
and `Moments`, a few sums a group: everything that an interval or a test needs to know of the units.

Why units and not images are the rows: ten frames of one video are right or wrong together. Rates are still
those of all images; how much they vary follows from the sums of the units (`audit.inference.clusters`).

Why a unit may stand in several groups: a person grows older, a video shows two people. Within a group its
images are added before anything is squared; between groups it is taken for two, which is what it is to a
difference of their rates at worst, since images of one unit err together and not in opposition.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_REAL, FP, N_FAKE, FN = range(4)
"""Places of the weighted sums of one unit: reals, those flagged, fakes, those missed."""

LEAST_UNITS = 10
"""Fewer units than this say nothing about how units vary: such a group is shown and never compared."""

SUMS = 4
SQUARES = slice(4, 6)
IMAGES = slice(6, 10)
"""Behind the sums: sums of squared weights of reals and fakes; reals, flagged, fakes, missed, each as one."""


@dataclass(frozen=True)
class Moments:
    """Sums over the units of k groups.

    Attributes:
        first: float64 [k, 4], weighted reals, flagged, fakes, missed.
        second: float64 [k, 4, 4], sums of their products within units.
        squares: float64 [k, 2], sums of squared weights of reals and of fakes.
        images: int64 [k, 4], reals, flagged, fakes, missed, unweighted.
        units: int64 [k, 3], units with reals, with fakes, with either; units that weigh nothing are none.
        erring: int64 [k, 2], units with a flagged real, with a missed fake.
        weighted: Whether any image weighs more or less than one.
    """

    first: Floats
    second: Floats
    squares: Floats
    images: Ints
    units: Ints
    erring: Ints
    weighted: bool


@dataclass(frozen=True)
class UnitTotals:
    """One row for each unit and group.

    Attributes:
        unit: int64 [m], number of the unit.
        group: int64 [m], number of the group (or cell).
        values: float64 [m, 10], the weighted sums, squares and images as laid out above.
        n_groups: k.
        weighted: Whether any image weighs more or less than one.
    """

    unit: Ints
    group: Ints
    values: Floats
    n_groups: int
    weighted: bool

    def merge(self, of_group: NDArray[np.integer], n_groups: int) -> UnitTotals:
        """Sum groups into larger ones.

        Args:
            of_group: int [k], the new group of each.
            n_groups: Number of new groups.
        """
        group = np.asarray(of_group, dtype=np.int64)[self.group]
        return _summed(self.unit, group, self.values, n_groups, self.weighted)

    def take(self, chosen: NDArray[np.bool_] | Ints) -> UnitTotals:
        """The chosen groups (each at most once), in that order."""
        order = np.flatnonzero(chosen) if np.asarray(chosen).dtype == bool else np.asarray(chosen)
        place = np.full(self.n_groups, -1, dtype=np.int64)
        place[order] = np.arange(len(order))
        kept = place[self.group] >= 0
        group = place[self.group[kept]]
        return UnitTotals(self.unit[kept], group, self.values[kept], len(order), self.weighted)

    def moments(self) -> Moments:
        """The sums of each group."""
        first = self._by_group(self.values)
        sums = self.values[:, :SUMS]
        second = np.stack([np.stack([self._sum(a * b) for b in sums.T], axis=-1) for a in sums.T], axis=-2)
        n = self.values[:, IMAGES]
        weigh = sums[:, N_REAL] > 0, sums[:, N_FAKE] > 0
        units = [weigh[0], weigh[1], weigh[0] | weigh[1]]
        erring = [n[:, 1] > 0, n[:, 3] > 0]
        return Moments(
            first=first[:, :SUMS],
            second=second,
            squares=first[:, SQUARES],
            images=np.rint(first[:, IMAGES]).astype(np.int64),
            units=np.stack([self._sum(one) for one in units], axis=-1).astype(np.int64),
            erring=np.stack([self._sum(one) for one in erring], axis=-1).astype(np.int64),
            weighted=self.weighted,
        )

    def moments_of_rest(self) -> Moments:
        """The sums of all other groups together, for each group; a unit in both counts with what is in
        them.
        """
        everything = self.merge(np.zeros(self.n_groups, dtype=np.int64), 1)
        row = np.searchsorted(everything.unit, self.unit)
        total = everything.values[row]
        rest = replace(self, values=total - self.values)
        whole, own, both = everything.moments(), rest.moments(), replace(self, values=total).moments()
        # units without images in the group, with all of theirs; then those with some, with what remains
        return Moments(
            first=whole.first - self._by_group(self.values)[:, :SUMS],
            second=whole.second - both.second + own.second,
            squares=whole.squares - self._by_group(self.values)[:, SQUARES],
            images=whole.images - self.moments().images,
            units=whole.units - both.units + own.units,
            erring=whole.erring - both.erring + own.erring,
            weighted=self.weighted,
        )

    def _sum(self, values: NDArray) -> Floats:
        sums = np.bincount(self.group, weights=values, minlength=self.n_groups)
        return np.asarray(sums, dtype=np.float64)

    def _by_group(self, values: Floats) -> Floats:
        return np.stack([self._sum(column) for column in values.T], axis=-1)


def unit_totals(
    unit: Ints,
    group: NDArray[np.integer],
    n_groups: int,
    fake: NDArray[np.bool_],
    wrong: NDArray[np.bool_],
    weight: Floats | None,
) -> UnitTotals:
    """Add up N images.

    Args:
        unit: int [N], the unit of each image.
        group: int [N], its group or cell.
        n_groups: Number of groups.
        fake: bool [N].
        wrong: bool [N], flagged reals and missed fakes.
        weight: float64 [N]; None where all are 1.
    """
    w = np.ones(len(unit)) if weight is None else weight
    real = ~fake
    parts = (real, real & wrong, fake, fake & wrong)
    columns = [*(part * w for part in parts), real * w**2, fake * w**2, *(part * 1.0 for part in parts)]
    values = np.stack(columns, axis=1).astype(np.float64)
    return _summed(unit, np.asarray(group, dtype=np.int64), values, n_groups, weight is not None)


def unit_codes(column: pd.Series) -> Ints:
    """int64 [N], the unit of each image; every image without one gets a code of its own."""
    codes, values = pd.factorize(column)
    codes = codes.astype(np.int64)
    alone = np.flatnonzero(codes < 0)
    codes[alone] = len(values) + np.arange(len(alone))
    return codes


def _summed(unit: Ints, group: Ints, values: Floats, n_groups: int, weighted: bool) -> UnitTotals:
    """Rows of the same unit and group added; in ascending order of unit, then group."""
    key, row = np.unique(unit * n_groups + group, return_inverse=True)
    row = row.reshape(-1)
    summed = np.stack([np.bincount(row, weights=column, minlength=len(key)) for column in values.T], axis=1)
    values = np.asarray(summed, dtype=np.float64)
    return UnitTotals(key // n_groups, key % n_groups, values, n_groups, weighted)
