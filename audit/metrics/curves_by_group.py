"""Everything that depends on all scores of a group, not on one threshold, for every group of every grouping.

Enters: a `ScoreTable` and a grouping. Leaves: one `ScoreMeasures` per group: curve, AUC, EER and what else is
read off the curve, with intervals.

Why the standard error of the EER is not bootstrapped: to first order the EER moves by a weighted mean of the
errors of FPR and FNR at its threshold, the weights being the score densities of the two classes there. That
is one line and keeps its coverage (`benchmarks/calibration.py`); resampling every group's scores would take
longer than everything else together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.data.counts import Floats
from audit.data.groups import Grouping
from audit.data.score_table import ScoreTable
from audit.inference.proportion_intervals import wilson
from audit.metrics.auc import auc_influence, auc_interval
from audit.metrics.error_curves import ErrorCurve, eer, eer_density_share, eer_threshold, error_curve

Codes = NDArray[np.int32]


@dataclass(frozen=True)
class ScoreMeasures:
    """What the scores of one group show at all thresholds."""

    curve: ErrorCurve
    auc: float
    auc_interval: tuple[float, float]
    eer: float
    eer_interval: tuple[float, float]
    worth: tuple[float, float]
    """Independent reals and fakes behind the curve: whole units count as one image (Kish's sample size)."""


@dataclass(frozen=True)
class SortedScores:
    """A score table in ascending order of score, sorted once for all groupings."""

    table: ScoreTable
    order: NDArray[np.int64]

    @classmethod
    def of(cls, table: ScoreTable) -> SortedScores:
        """Sort a table."""
        return cls(table, np.argsort(table.score, kind="stable"))

    def by_group(self, grouping: Grouping) -> Iterator[NDArray[np.int64]]:
        """Rows of each group in ascending order of score; a group without images gives no rows."""
        kind = np.int16 if len(grouping) < 2**15 else np.int32  # 16 bits are sorted in linear time
        code = grouping.of_cell.astype(kind)[self.table.cell][self.order]
        rows = self.order[np.argsort(code, kind="stable")]
        return iter(np.split(rows, np.cumsum(np.bincount(code, minlength=len(grouping)))[:-1]))


def score_measures(scores: SortedScores, grouping: Grouping, z: float) -> list[ScoreMeasures]:
    """Curves and what is read off them for every group of a grouping.

    Args:
        scores: N images.
        grouping: Its groups.
        z: Normal quantile of the intervals.
    """
    table = scores.table
    curves: list[ErrorCurve] = []
    areas: list[float] = []
    influence = np.zeros(len(table))
    for rows in scores.by_group(grouping):
        score, fake = table.score[rows], table.fake[rows]
        weight = None if table.weight is None else table.weight[rows]
        curves.append(error_curve(score, fake, weight))
        if curves[-1].two_sided:
            area, influence[rows] = auc_influence(score, fake, weight)
        areas.append(area if curves[-1].two_sided else math.nan)
    if table.unit is None:
        variances = _pair_variance(table, grouping, influence)
        effective = _effective_images(table, grouping, influence)
        shared = _pair_covariance(table, grouping, [eer_threshold(curve) for curve in curves])
    else:
        variances, effective = _unit_variance(table, grouping, influence)
        shared = _unit_covariance(table, grouping, curves)
    sizes, images, worth = _sizes(table, grouping), _images(table, grouping), _worth(table, grouping)
    return [
        ScoreMeasures(
            curve=curve,
            auc=area,
            auc_interval=auc_interval(area, float(variance), int(size[0]), int(size[1]), float(n), z),
            eer=(rate := eer(curve)),
            eer_interval=eer_interval(curve, rate, float(covariance), z, image, float(size.min())),
            worth=(float(own[0]), float(own[1])),
        )
        for curve, area, variance, n, covariance, size, image, own in zip(
            curves, areas, variances, effective, shared, sizes, images, worth, strict=True
        )
    ]


def _sizes(table: ScoreTable, grouping: Grouping) -> NDArray[np.int64]:
    """[k, 2]: independent real images and fakes of each group; units of them, where images share units; of
    images that carry weights, as many of equal weight as theirs are worth (Kish).
    """
    group = grouping.of_cell[table.cell].astype(np.int64) * 2 + table.fake
    if table.weight is not None and table.unit is not None:
        key, row = np.unique(table.unit * (2 * len(grouping)) + group, return_inverse=True)
        sums = np.bincount(row.reshape(-1), weights=table.weight)
        total, squares = (
            np.bincount(key % (2 * len(grouping)), weights=sums**power, minlength=2 * len(grouping))
            for power in (1, 2)
        )
        worth = np.divide(total**2, squares, out=np.zeros(len(total)), where=squares > 0)
        return np.floor(worth + 1e-9).astype(np.int64).reshape(-1, 2)
    if table.unit is not None:
        group = np.unique(table.unit * (2 * len(grouping)) + group) % (2 * len(grouping))
    return np.bincount(group, minlength=2 * len(grouping)).reshape(-1, 2)


def _images(table: ScoreTable, grouping: Grouping) -> Floats:
    """[k, 2]: real images and fakes of each group; of equal weight, where they carry weights (Kish)."""
    k, group = 2 * len(grouping), grouping.of_cell[table.cell].astype(np.int64) * 2 + table.fake
    if table.weight is None:
        return np.bincount(group, minlength=k).reshape(-1, 2).astype(np.float64)
    total, squares = (np.bincount(group, weights=table.weight**power, minlength=k) for power in (1, 2))
    return np.divide(total**2, squares, out=np.zeros(k), where=squares > 0).reshape(-1, 2)


def _worth(table: ScoreTable, grouping: Grouping) -> Floats:
    """[k, 2]: reals and fakes, had all images of a unit the same score: (sum w)^2 / sum w^2 over units.

    No correlation within units makes a rate vary more than that, whatever the threshold.
    """
    if table.unit is None:
        return _images(table, grouping)
    k, group = 2 * len(grouping), grouping.of_cell[table.cell].astype(np.int64) * 2 + table.fake
    key, row = np.unique(table.unit * k + group, return_inverse=True)
    sums = np.bincount(row.reshape(-1), weights=table.weight)
    total, squares = (np.bincount(key % k, weights=sums**power, minlength=k) for power in (1, 2))
    return np.divide(total**2, squares, out=np.zeros(k), where=squares > 0).reshape(-1, 2)


def _unit_variance(table: ScoreTable, grouping: Grouping, influence: Floats) -> tuple[Floats, Floats]:
    """Sum over the units of a group of (sum of influence)^2, over (units - 1) / units; units it rests on."""
    k, group = len(grouping), grouping.of_cell[table.cell].astype(np.int64)
    assert table.unit is not None
    key, row = np.unique(table.unit * k + group, return_inverse=True)
    sums = np.bincount(row.reshape(-1), weights=influence)
    n_units = np.bincount(key % k, minlength=k)
    square, fourth = (np.bincount(key % k, weights=sums**power, minlength=k) for power in (2, 4))
    scale: Floats = np.divide(n_units, n_units - 1, out=np.ones(k), where=n_units > 1)
    rests_on: Floats = np.divide(square**2, fourth, out=np.zeros(k), where=fourth > 0)
    return np.asarray(square * scale, dtype=np.float64), rests_on


def _unit_covariance(table: ScoreTable, grouping: Grouping, curves: Sequence[ErrorCurve]) -> Floats:
    """What units add to the variance of each group's EER, in the place of the covariance of FPR and FNR.

    The EER moves by w (errors of reals - EER) / n_real + (1 - w) (errors of fakes - EER) / n_fake, w the
    share of fakes in the score density at the threshold.
    """
    group = grouping.of_cell[table.cell]
    at = np.array([eer_threshold(curve) for curve in curves])
    w = np.array([eer_density_share(curve) if curve.two_sided else 0.5 for curve in curves])
    image = np.ones(len(table)) if table.weight is None else table.weight
    sums = np.array([[curve.n_real, curve.n_fake] for curve in curves], dtype=float)
    n = np.where(sums > 0, sums, 1.0)
    weight = np.stack([w, 1 - w], axis=1) / n
    own = weight[group, table.fake.astype(np.int64)] * image
    wrong = ((table.score >= at[group]) != table.fake).astype(float)
    key = group.astype(np.int64) * 2 + table.fake
    total = np.bincount(key, weights=image)
    share = np.bincount(key, weights=wrong * image) / np.where(total > 0, total, 1.0)
    influence = own * (wrong - share[key])
    together, _ = _unit_variance(table, grouping, influence)
    apart = np.bincount(group, weights=influence**2, minlength=len(grouping))
    twice = 2 * w * (1 - w)
    return np.divide(together - apart, twice, out=np.zeros(len(grouping)), where=twice > 0)


def eer_interval(
    curve: ErrorCurve, rate: float, covariance: float, z: float, images: Floats, least: float
) -> tuple[float, float]:
    """Wilson's interval for the EER, worth rate (1 - rate) / variance images.

    variance = w^2 e (1 - e) / n_real + (1 - w)^2 e (1 - e) / n_fake + 2 w (1 - w) covariance, w the share of
    fakes in the score density at the threshold; worth the rarer class where the EER is 0.

    Args:
        curve: Of one group.
        rate: Its EER in 0-1.
        covariance: Of FPR and FNR at the EER threshold, through the pairs.
        z: Normal quantile.
        images: float64 [2], reals and fakes of equal weight that those behind the curve are worth.
        least: What is independent of the rarer class.
    """
    if not curve.two_sided:
        return math.nan, math.nan
    n_real, n_fake = (float(n) for n in images)
    w, unit = eer_density_share(curve), rate * (1 - rate)
    own = unit * (w**2 / n_real + (1 - w) ** 2 / n_fake)
    variance = max(own + 2 * w * (1 - w) * covariance, own / 4)
    worth = unit / variance if unit > 0 else least
    low, high = wilson(rate, worth, z)
    return float(low), float(high)


def _pair_variance(table: ScoreTable, grouping: Grouping, influence: Floats) -> Floats:
    """Sum over independent units of (sum of influence)^2, per group; NaN influence gives NaN."""
    group = grouping.of_cell[table.cell]
    own = np.bincount(group, weights=influence**2, minlength=len(grouping)).astype(float)
    product = influence[table.real_row] * influence[table.fake_row]
    shared = np.bincount(group[table.real_row], weights=product, minlength=len(grouping)).astype(float)
    return own + 2 * shared


def _effective_images(table: ScoreTable, grouping: Grouping, influence: Floats) -> Floats:
    """Images that each group's variance rests on; 0 where no image has any influence."""
    group = grouping.of_cell[table.cell]
    square, fourth = (
        np.bincount(group, weights=influence**power, minlength=len(grouping)).astype(float)
        for power in (2, 4)
    )
    return np.divide(square**2, fourth, out=np.zeros(len(grouping)), where=fourth > 0)


def _pair_covariance(table: ScoreTable, grouping: Grouping, thresholds: list[float]) -> Floats:
    """Covariance of FPR and FNR of each group at its own threshold; 0 without pairs."""
    k, group = len(grouping), grouping.of_cell[table.cell]
    at = np.asarray(thresholds)[group]
    wrong = (table.score >= at) != table.fake
    pair_group = group[table.real_row]
    both = np.bincount(pair_group, weights=wrong[table.real_row] & wrong[table.fake_row], minlength=k)
    real = np.bincount(pair_group, weights=wrong[table.real_row], minlength=k)
    fake = np.bincount(pair_group, weights=wrong[table.fake_row], minlength=k)
    n_pairs = np.bincount(pair_group, minlength=k)
    n_real = np.bincount(group, weights=~table.fake, minlength=k)
    n_fake = np.bincount(group, weights=table.fake, minlength=k)
    excess = np.divide(real * fake, n_pairs, out=np.zeros(k), where=n_pairs > 0)
    return np.divide(both - excess, n_real * n_fake, out=np.zeros(k), where=n_real * n_fake > 0)
