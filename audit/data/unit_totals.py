"""What every independent unit contributes to every group, and the sums from which its variance follows.

Enters: images with their unit (a person, a video, a source photo; or each image, where images carry
weights), their weight and whether they are judged wrongly. Leaves: `UnitTotals`, one row a unit and group,
and `Moments`, a few sums a group: everything that an interval or a test needs to know of the units.

Why units and not images are the rows: ten frames of one video are right or wrong together. Rates are still
those of all images; how much they vary follows from the sums of the units (`audit.inference.clusters`).

Why a unit may stand in several groups: a person grows older, a video shows two people. Within a group its
images are added before anything is squared; between groups it is taken for two, which is what it is to a
difference of their rates at worst, since images of one unit err together and not in opposition.

Why an item may have two units: a trial of speaker verification that compares two speakers goes with every
other trial of either. Such a trial is added to both of its units, and what two units share is taken off once:
two trials of the same two speakers would otherwise count twice as going together. That is the variance of
Fafchamps and Gubert and of Aronow, Samii and Assenova, "robust to dyads": the sum over all pairs of trials
that have a speaker in common.

Sources: Fafchamps & Gubert 2007, Journal of Development Economics 83:326-350; Cameron & Miller 2014, Robust
inference for dyadic data; Aronow, Samii & Assenova 2015, Political Analysis 23:564-577.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from audit.data.spans import distinct, spans, summed_by

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_REAL, FP, N_FAKE, FN = range(4)
"""Places of the weighted sums of one unit: reals, those flagged, fakes, those missed."""

LEAST_UNITS = 10
"""Fewer units than this say nothing about how units vary: such a group is shown and never compared."""

_ROUNDING = 1e-9
"""By how much ten units of equal weight may come out as fewer than ten."""

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
        alike: float64 [k, 3], units of equal weight that those in `units` are worth: all where they weigh the
            same, hardly more than one where one unit has nearly all images.
        erring: int64 [k, 2], units with a flagged real, with a missed fake; of trials between two units, how
            many disjoint pairs of units the errors are worth.
        weighted: Whether any image weighs more or less than one.
        bound: float64 [k, 4, 4], the largest that `second` could be, whatever goes together: `second` itself,
            where an item has one unit.
    """

    first: Floats
    second: Floats
    squares: Floats
    images: Ints
    units: Ints
    alike: Floats
    erring: Ints
    weighted: bool
    bound: Floats


@dataclass(frozen=True)
class UnitTotals:
    """One row for each unit and group.

    Attributes:
        unit: int64 [m], number of the unit.
        group: int64 [m], number of the group (or cell).
        values: float64 [m, 10], the weighted sums, squares and images as laid out above.
        n_groups: k.
        weighted: Whether any image weighs more or less than one.
        pairs: Where an item may have two units: the same for each pair of two units, which are items that the
            rows of both units hold; None where each item has one.
    """

    unit: Ints
    group: Ints
    values: Floats
    n_groups: int
    weighted: bool
    pairs: UnitTotals | None = None

    def merge(self, of_group: NDArray[np.integer], n_groups: int) -> UnitTotals:
        """Sum groups into larger ones.

        Args:
            of_group: int [k], the new group of each.
            n_groups: Number of new groups.
        """
        group = np.asarray(of_group, dtype=np.int64)[self.group]
        merged = _summed(self.unit, group, _Rows(self.values), n_groups, self.weighted)
        return replace(merged, pairs=self.pairs and self.pairs.merge(of_group, n_groups))

    def take(self, chosen: NDArray[np.bool_] | Ints) -> UnitTotals:
        """The chosen groups (each at most once), in that order."""
        order = np.flatnonzero(chosen) if np.asarray(chosen).dtype == bool else np.asarray(chosen)
        place = np.full(self.n_groups, -1, dtype=np.int64)
        place[order] = np.arange(len(order))
        kept = place[self.group] >= 0
        group = place[self.group[kept]]
        pairs = self.pairs and self.pairs.take(order.astype(np.int64))
        return UnitTotals(self.unit[kept], group, self.values[kept], len(order), self.weighted, pairs)

    def moments(self) -> Moments:
        """The sums of each group."""
        own = self._own_moments()
        if self.pairs is None:
            return own
        return _of_trials(own, self.pairs._own_moments(), self._error_pairs())

    def _error_pairs(self) -> Ints:
        """[k, 2]: disjoint pairs of units that errors among reals are worth, half of (sum of errors)^2 over
        the sum of their squares; units with a missed fake.

        Half, although a variance over units rests on all of them: with twice as many, 4 groups of 20 speakers
        at 20 % were called unequal in 6 of 100 audits; so in 2 (`benchmarks/calibration.py`, "Trials").
        """
        flagged, missed = self.values[:, IMAGES][:, 1], self.values[:, IMAGES][:, 3]
        total, squares = self._sum(flagged), self._sum(flagged**2)
        worth = np.divide(total**2, squares, out=np.zeros(self.n_groups), where=squares > 0) / 2
        return np.stack([np.floor(worth + 1e-9), self._sum(missed > 0)], axis=-1).astype(np.int64)

    def _own_moments(self) -> Moments:
        """The sums of each group over the rows as they are."""
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
            alike=_alike(first[:, :SUMS], second),
            erring=np.stack([self._sum(one) for one in erring], axis=-1).astype(np.int64),
            weighted=self.weighted,
            bound=second,
        )

    def moments_of_rest(self) -> Moments:
        """The sums of all other groups together, for each group; a unit in both counts with what is in
        them.
        """
        own = self._own_moments_of_rest()
        if self.pairs is None:
            return own
        pairs = own.erring // np.array([2, 1])
        return _of_trials(own, self.pairs._own_moments_of_rest(), pairs)

    def _own_moments_of_rest(self) -> Moments:
        """The same over the rows as they are."""
        everything = self.merge(np.zeros(self.n_groups, dtype=np.int64), 1)
        row = np.searchsorted(everything.unit, self.unit)
        total = everything.values[row]
        rest = replace(self, values=total - self.values)
        whole, own = everything._own_moments(), rest._own_moments()
        both = replace(self, values=total)._own_moments()
        second = whole.second - both.second + own.second
        # units without images in the group, with all of theirs; then those with some, with what remains
        first = whole.first - self._by_group(self.values)[:, :SUMS]
        return Moments(
            first=first,
            second=second,
            squares=whole.squares - self._by_group(self.values)[:, SQUARES],
            images=whole.images - self._own_moments().images,
            units=whole.units - both.units + own.units,
            alike=_alike(first, second),
            erring=whole.erring - both.erring + own.erring,
            weighted=self.weighted,
            bound=second,
        )

    def _sum(self, values: NDArray) -> Floats:
        sums = np.bincount(self.group, weights=values, minlength=self.n_groups)
        return np.asarray(sums, dtype=np.float64)

    def _by_group(self, values: Floats) -> Floats:
        return np.stack([self._sum(column) for column in values.T], axis=-1)


def _alike(first: Floats, second: Floats) -> Floats:
    """[k, 3] units of equal weight that those with reals, with fakes, with either are worth (Kish 1965):
    (sum of weights)^2 over the sum of the units' squared weights.
    """
    real, fake, both = second[:, N_REAL, N_REAL], second[:, N_FAKE, N_FAKE], second[:, N_REAL, N_FAKE]
    total = first[:, [N_REAL, N_FAKE]]
    sums = np.column_stack([total, total.sum(axis=1)])
    squares = np.column_stack([real, fake, real + fake + 2 * both])
    return np.divide(sums**2, squares, out=np.zeros_like(sums), where=squares > 0)


def enough_units(n_units: ArrayLike, min_n: int) -> NDArray[np.bool_]:
    """Whether so many units, of equal weight, are enough for their group to be compared.

    Args:
        n_units: Any shape.
        min_n: The audit's smallest number of images, which counts where it is below `LEAST_UNITS`.

    >>> enough_units(np.array([9.0, 10.0, 9.9999999999]), 30).tolist(), bool(enough_units(5, 3))
    ([False, True, True], True)
    """
    return np.asarray(n_units) > min(min_n, LEAST_UNITS) - _ROUNDING


def alike_weights(weight: Floats, group: NDArray[np.integer], k: int) -> Floats:
    """float64 [k], units of equal weight that those of each group are worth (Kish 1965); 0 without any.

    Args:
        weight: float64 [u], >= 0, of each unit.
        group: int [u], 0 to k - 1.
        k: Number of groups.
    """
    total, squares = (np.bincount(group, weights=weight**power, minlength=k) for power in (1, 2))
    return np.divide(total**2, squares, out=np.zeros(k), where=squares > 0)


def alike_units(unit: Ints, group: NDArray[np.integer], k: int, weight: Floats | None) -> Floats:
    """The same of images: float64 [k], units of equal weight that those of each group are worth.

    Args:
        unit: int64 [N].
        group: int [N], 0 to k - 1.
        k: Number of groups.
        weight: float64 [N]; None where all are 1.

    >>> alike_units(np.array([0, 0, 1, 1, 2]), np.array([0, 0, 0, 0, 1]), 3, None).tolist()
    [2.0, 1.0, 0.0]
    """
    key, row = units_of_groups(unit, group, k)
    of_unit = summed_by(row, len(key), lambda part: weights_of(weight, part))
    return alike_weights(of_unit, key % k, k)


def unit_totals(
    unit: Ints,
    group: NDArray[np.integer],
    n_groups: int,
    fake: NDArray[np.bool_],
    wrong: NDArray[np.bool_],
    weight: Floats | None,
    partner: Ints | None = None,
) -> UnitTotals:
    """Add up N images.

    Args:
        unit: int [N], the unit of each image.
        group: int [N], its group or cell.
        n_groups: Number of groups.
        fake: bool [N].
        wrong: bool [N], flagged reals and missed fakes.
        weight: float64 [N]; None where all are 1.
        partner: int [N], the second unit of each trial, which is the first again where it has one; None where
            no item has two.
    """
    items, weighted = _Items(fake, wrong, weight), weight is not None
    if partner is None:
        return _summed(unit, group, items, n_groups, weighted)
    units, pairs, two = of_both(unit, partner)
    totals = _summed(units, np.concatenate([group, group[two]]), items.followed_by(two), n_groups, weighted)
    return replace(totals, pairs=_summed(pairs, group[two], items.only(two), n_groups, weighted))


@dataclass(frozen=True)
class _Items:
    """What each of n images adds to its unit, worked out where it is asked for: ten numbers an image.

    Attributes:
        fake: bool [n].
        wrong: bool [n].
        weight: float64 [n]; None where all are 1.
    """

    fake: NDArray[np.bool_]
    wrong: NDArray[np.bool_]
    weight: Floats | None

    def column(self, number: int, part: slice) -> NDArray:
        """One of the ten, of a part of the images."""
        fake, wrong = self.fake[part], self.wrong[part]
        weight = weights_of(self.weight, part)
        outcomes = (~fake, ~fake & wrong, fake, fake & wrong)
        if number < SUMS:
            return outcomes[number] * weight
        if number < SQUARES.stop:
            return outcomes[2 * (number - SUMS)] * weight**2
        return outcomes[number - IMAGES.start] * 1.0

    def only(self, chosen: NDArray[np.bool_]) -> _Items:
        """Some of them."""
        weight = None if self.weight is None else self.weight[chosen]
        return _Items(self.fake[chosen], self.wrong[chosen], weight)

    def followed_by(self, chosen: NDArray[np.bool_]) -> _Items:
        """All of them, then some once more."""
        more = self.only(chosen)
        weight = None
        if self.weight is not None and more.weight is not None:
            weight = np.concatenate([self.weight, more.weight])
        fake, wrong = np.concatenate([self.fake, more.fake]), np.concatenate([self.wrong, more.wrong])
        return _Items(fake, wrong, weight)


@dataclass(frozen=True)
class _Rows:
    """Rows of `UnitTotals`, to be added up further.

    Attributes:
        values: float64 [n, 10].
    """

    values: Floats

    def column(self, number: int, part: slice) -> NDArray:
        """One of the ten, of a part of the rows."""
        return self.values[part, number]


def of_both(unit: Ints, partner: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Which unit each of N trials belongs to, twice those of two units; and which pair of units.

    Args:
        unit: int [N].
        partner: int [N].

    Returns:
        int64 [N + M], the first units, then the second ones of the M trials that have two; int64 [M], the
        pair of units of these, in either order; bool [N], which they are.

    >>> of_both(np.array([0, 0, 2]), np.array([1, 0, 1]))[:2]
    (array([0, 0, 2, 1, 1]), array([1, 5]))
    """
    two = unit != partner
    first, second = np.minimum(unit, partner)[two], np.maximum(unit, partner)[two]
    n = int(max(unit.max(initial=-1), partner.max(initial=-1))) + 1
    return np.concatenate([unit, partner[two]]), first * n + second, two


@dataclass(frozen=True)
class UnitSquares:
    """How sums over units vary, in k groups.

    Attributes:
        square: float64 [k], sum over units of (sum of influences)^2; of trials of two units, over all pairs
            of trials that have a unit in common, each once, and not below that of trials taken one by one.
        fourth: float64 [k], sum over units of the fourth powers.
        n_units: int64 [k].
    """

    square: Floats
    fourth: Floats
    n_units: Ints

    @property
    def rests_on(self) -> Floats:
        """float64 [k], units that the variance rests on; 0 where none has any influence."""
        top = np.divide(self.square**2, self.fourth, out=np.zeros(len(self.square)), where=self.fourth > 0)
        return np.minimum(top, self.n_units)


def unit_squares(
    influence: Floats, unit: Ints, partner: Ints | None, group: NDArray[np.integer], k: int
) -> UnitSquares:
    """Add up influences within units and groups, and their squares over the units of a group.

    Args:
        influence: float64 [N].
        unit: int64 [N].
        partner: int64 [N], the second unit of each trial; None where no item has two.
        group: int [N], 0 to k - 1.
        k: Number of groups.
    """
    if partner is None:
        return _squares(influence, unit, group, k)
    of_group = group.astype(np.int64)
    units, pairs, two = of_both(unit, partner)
    both = [np.concatenate([part, part[two]]) for part in (influence, of_group)]
    found = _squares(both[0], units, both[1], k)
    twice = _squares(influence[two], pairs, of_group[two], k).square
    alone = np.bincount(of_group, weights=influence**2, minlength=k)
    return replace(found, square=np.maximum(found.square - twice, alone))


def _squares(influence: Floats, unit: Ints, group: NDArray[np.integer], k: int) -> UnitSquares:
    key, row = units_of_groups(unit, group, k)
    of_unit = summed_by(row, len(key), lambda part: influence[part])
    square, fourth = (
        np.bincount(key % k, weights=of_unit**power, minlength=k).astype(np.float64) for power in (2, 4)
    )
    return UnitSquares(square, fourth, np.bincount(key % k, minlength=k))


def _of_trials(units: Moments, pairs: Moments, erring: Ints) -> Moments:
    """Sums over units less those over pairs of units: each trial once, each pair of trials that share a unit
    once.

    Two trials that share one of two independent units have errors that correlate by at most one half
    (Hoeffding 1948: the variance of a kernel's projection), which bounds `second`.
    """
    half = np.sqrt(np.array([0.5, 0.5, 1.0, 1.0]))
    return Moments(
        first=units.first - pairs.first,
        second=units.second - pairs.second,
        squares=units.squares - pairs.squares,
        images=units.images - pairs.images,
        units=units.units,
        alike=units.units.astype(np.float64),
        erring=erring,
        weighted=units.weighted,
        bound=units.second * half[:, None] * half[None, :],
    )


def unit_codes(column: pd.Series) -> Ints:
    """int64 [N], the unit of each image; every image without one gets a code of its own."""
    codes, values = pd.factorize(column)
    codes = codes.astype(np.int64)
    alone = np.flatnonzero(codes < 0)
    codes[alone] = len(values) + np.arange(len(alone))
    return codes


def unit_codes_of_two(first: pd.Series, second: pd.Series) -> tuple[Ints, Ints]:
    """int64 [N] each, the units of both columns, counted as one set of names."""
    codes = unit_codes(pd.concat([first, second], ignore_index=True))
    return codes[: len(first)], codes[len(first) :]


def weights_of(weight: Floats | None, part: slice) -> Floats:
    """Of some images; 1 each where there are none."""
    return np.ones(part.stop - part.start) if weight is None else weight[part]


def units_of_groups(unit: Ints, group: NDArray[np.integer], k: int) -> tuple[Ints, NDArray[np.signedinteger]]:
    """The units in each of k groups, as int64 [m], unit x k + group, ascending; and int [n], which of them
    each of n images belongs to.
    """
    key = np.multiply(unit, k, dtype=np.int64)
    for part in spans(len(key)):
        key[part] += group[part]
    return distinct(key)


def _summed(
    unit: Ints, group: NDArray[np.integer], items: _Items | _Rows, n_groups: int, weighted: bool
) -> UnitTotals:
    """Rows of the same unit and group added; in ascending order of unit, then group."""
    key, row = units_of_groups(unit, group, n_groups)
    values = np.empty((len(key), IMAGES.stop))
    for number in range(IMAGES.stop):
        values[:, number] = summed_by(row, len(key), partial(items.column, number))
    return UnitTotals(key // n_groups, key % n_groups, values, n_groups, weighted)
