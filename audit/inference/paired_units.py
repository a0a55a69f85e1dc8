"""Two detectors on the same images, where images share units or carry weights.

Enters: which images each detector gets wrong, what each image belongs to, what it weighs. Leaves: for each
group the joint outcomes as shares, how many independent images they are worth, and the p-value of a test that
both detectors err equally often.

Why sign flips: if the two detectors are alike, exchanging their answers for all images of one unit changes
nothing. So the differences summed within units, each with a sign drawn at random, are what chance shows;
without units that is McNemar's test exactly (Fisher's randomisation test of pairs). Whole sums have the exact
distribution by convolution; sums of weights every sign of up to MOST_SIGNS units, and beyond that the normal
limit, whose tails are heavier than those of random signs (Hoeffding).

Why a number of independent images: Tango's interval and the difference of gaps then hold as they stand
(`audit.inference.clusters`). It is the smallest that the disagreements and the difference itself show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from scipy.special import ndtr
from scipy.stats import binom

from audit.data.counts import Floats, Ints, Numbers
from audit.data.unit_totals import UnitSquares, alike_weights, unit_squares, unit_totals
from audit.inference.clusters import believed, worth
from audit.inference.paired_tests import joint_outcomes, mcnemar

MOST_SIGNS = 16
"""With weights, up to so many disagreeing units have all their signs tried: 65,536 sums."""

MOST_STEPS = 2_000_000
"""A longer exact distribution is replaced by its normal limit."""


@dataclass(frozen=True)
class PairedOutcomes:
    """Of k groups and one class of images.

    Attributes:
        images: int64 [k, 2, 2], images by (first detector wrong?, second wrong?).
        shares: float64 [k, 2, 2], the same as weighted shares; 0 for an empty group.
        worth: float64 [k], independent images the difference of the two rates is worth.
        worth_of_rates: float64 [k], the smaller of what the two rates themselves are worth.
        n_units: float64 [k], as units of equal weight; of trials, all there are.
        p_value: float64 [k], that both err equally often; NaN without images.
    """

    images: Ints
    shares: Floats
    worth: Floats
    worth_of_rates: Floats
    n_units: Numbers
    p_value: Floats

    def of_rates(self, chosen: NDArray[np.bool_]) -> Numbers:
        """[j, 2, 2]: the chosen groups as so many whole independent images."""
        if (self.worth_of_rates == self.images.sum(axis=(1, 2))).all():
            return self.images[chosen]
        n = np.maximum(np.floor(self.worth_of_rates[chosen] + 1e-9), 1.0)
        return self.shares[chosen] * n[:, None, None]


def paired_outcomes(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    group: NDArray[np.integer],
    k: int,
    unit: Ints,
    weight: Floats | None,
    partner: Ints | None = None,
) -> PairedOutcomes:
    """Compare two detectors within each group.

    Args:
        first: bool [n], images the first detector gets wrong.
        second: bool [n], the second one.
        group: int [n], 0 to k - 1.
        k: Number of groups.
        unit: int64 [n], what is independent.
        weight: float64 [n], >= 0; None where each image counts once.
        partner: int64 [n], the second unit of each trial; None where no image has two. Signs of units are
            then not exchangeable, and the p-value is that of the difference at what it is worth.
    """
    of_group = group.astype(np.int64)
    code = (of_group * 2 + first) * 2 + second
    w = np.ones(len(code)) if weight is None else weight
    sums = np.bincount(code, weights=w, minlength=4 * k).reshape(k, 4)
    total = sums.sum(axis=1, keepdims=True)
    shares = np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)
    none = np.zeros(len(code), dtype=bool)
    units = [
        unit_totals(unit, of_group, k, none, wrong, weight, partner)
        for wrong in (first, second, first != second)
    ]
    n_first, n_second, n_apart = (worth(one.moments(), "fpr").n for one in units)
    images = np.bincount(code, minlength=4 * k).reshape(k, 2, 2)
    if partner is not None:
        squares = partial(unit_squares, unit=unit, partner=partner, group=of_group, k=k)
        n = np.minimum(
            n_apart, _own_worth_of_trials(w * (first.astype(float) - second), w, shares, of_group, squares)
        )
        each = shares[:, 1] + shares[:, 2]
        z = np.abs(shares[:, 2] - shares[:, 1]) * np.sqrt(np.divide(n, each, out=np.zeros(k), where=each > 0))
        p_value = np.where(total[:, 0] > 0, 2 * ndtr(-z), np.nan)
        n_units = squares(np.zeros(len(code))).n_units
        rates_worth = np.minimum(n_first, n_second)
        return PairedOutcomes(images, shares.reshape(k, 2, 2), n, rates_worth, n_units, p_value)
    key, row = np.unique(unit * k + of_group, return_inverse=True)
    parts = (w * (first.astype(float) - second), w)
    apart, of_images = (np.bincount(row.reshape(-1), weights=part).astype(np.float64) for part in parts)
    of_unit = key % k
    return PairedOutcomes(
        images=images,
        shares=shares.reshape(k, 2, 2),
        worth=np.minimum(n_apart, _own_worth(apart, of_images, of_unit, shares, k)),
        worth_of_rates=np.minimum(n_first, n_second),
        n_units=alike_weights(of_images, of_unit, k),
        p_value=np.array([sign_test(apart[of_unit == g]) if total[g] else np.nan for g in range(k)]),
    )


def paired_images(
    first: NDArray[np.bool_], second: NDArray[np.bool_], group: NDArray[np.integer], k: int
) -> PairedOutcomes:
    """The same where each image stands for itself: McNemar's exact test.

    Args:
        first: bool [n], images the first detector gets wrong.
        second: bool [n], the second one.
        group: int [n], 0 to k - 1.
        k: Number of groups.
    """
    images = joint_outcomes(first, second, group.astype(np.int64), k)
    n = images.sum(axis=(1, 2))
    shares = np.divide(images, n[:, None, None], out=np.zeros(images.shape), where=n[:, None, None] > 0)
    p_value = [mcnemar(int(one[1, 0]), int(one[0, 1])) if one.any() else np.nan for one in images]
    return PairedOutcomes(images, shares, n.astype(float), n.astype(float), n, np.array(p_value))


def _own_worth(apart: Floats, images: Floats, of_unit: Ints, shares: Floats, k: int) -> Floats:
    """Variance of the difference among independent images over its linearised variance by units."""
    total = np.bincount(of_unit, weights=images, minlength=k)
    n_units = alike_weights(images, of_unit, k)
    difference = shares[:, 2] - shares[:, 1]
    rest = apart - difference[of_unit] * images
    own = np.bincount(of_unit, weights=rest**2, minlength=k) * n_units / np.maximum(n_units - 1, 1.0)
    each = shares[:, 1] + shares[:, 2] - difference**2
    return np.divide(each * total**2, own, out=np.full(k, np.inf), where=own > 1e-12)


def _own_worth_of_trials(
    apart: Floats,
    weight: Floats,
    shares: Floats,
    group: Ints,
    squares: Callable[[Floats], UnitSquares],
) -> Floats:
    """The same where a trial may have two units, and as far as that variance is believed."""
    k = len(shares)
    total = np.bincount(group, weights=weight, minlength=k)
    difference = shares[:, 2] - shares[:, 1]
    found = squares(apart - difference[group] * weight)
    n = found.n_units // 2
    own = found.square * np.divide(n, n - 1, out=np.ones(k), where=n > 1)
    each = shares[:, 1] + shares[:, 2] - difference**2
    worth = np.divide(each * total**2, own, out=np.full(k, np.inf), where=own > 1e-12)
    share = np.maximum(believed(found.rests_on / 2), 1e-3)
    return np.where(np.isfinite(worth), worth * share, np.inf)


def sign_test(apart: Floats) -> float:
    """Two-sided p-value of a sum of differences whose signs are arbitrary; 1 where all are 0.

    Args:
        apart: float64 [m], a difference each unit.

    >>> round(sign_test(np.array([1.0] * 9 + [-1.0] * 2)), 4)  # McNemar of 9 and 2
    0.0654
    """
    sizes = np.abs(apart[np.abs(apart) > 1e-12])
    if len(sizes) == 0:
        return 1.0
    seen = abs(float(apart.sum()))
    if np.allclose(sizes, np.rint(sizes), atol=1e-9) and sizes.sum() * 2 < MOST_STEPS:
        return _of_whole_sums(np.rint(sizes).astype(np.int64), seen)
    if len(sizes) <= MOST_SIGNS:
        sums = np.zeros(1)
        for size in sizes:
            sums = np.concatenate([sums - size, sums + size])
        return float((np.abs(sums) >= seen * (1 - 1e-9)).mean())
    return float(2 * ndtr(-seen / np.sqrt((sizes**2).sum())))


def _of_whole_sums(sizes: Ints, seen: float) -> float:
    """P(|sum of signed sizes| >= seen), exactly: units of equal size are one binomial variable."""
    chance = np.ones(1)
    for size, n in zip(*np.unique(sizes, return_counts=True), strict=True):
        one = np.zeros(int(n * size) + 1)
        one[::size] = binom.pmf(np.arange(n + 1), n, 0.5)
        chance = np.convolve(chance, one) if len(one) < 2_000 else fftconvolve(chance, one)
    sums = 2 * np.arange(len(chance)) - int(sizes.sum())
    return float(min(1.0, np.maximum(chance, 0.0)[np.abs(sums) >= seen - 1e-6].sum()))
