"""Everything that depends on all scores of a group, not on one threshold, for every group of every grouping.

Enters: a `ScoreTable` and a grouping. Leaves: one `ScoreMeasures` per group: AUC and EER with intervals, and
what is read off the curve (`CurveSummary`). The curve itself, as long as the group has images, is let go.

Why the standard error of the EER is not bootstrapped: to first order the EER moves by a weighted mean of the
errors of FPR and FNR at its threshold, the weights being the score densities of the two classes there. That
is one line and keeps its coverage (`benchmarks/calibration.py`); resampling every group's scores would take
longer than everything else together.

Why ranks are counted and not computed: the influence of an image on the AUC of its group is a function of how
many images of the other class score lower (`audit.metrics.auc`), a whole number that the curve has counted
already. So an image costs four bytes, sums over images are exact until the last step, and only the products
over pairs need to look images up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from audit.data.counts import Floats, Ints, Numbers
from audit.data.groups import Grouping
from audit.data.score_table import ScoreTable
from audit.data.spans import Taken, row_dtype, spans, summed_by, tallied
from audit.data.unit_totals import (
    LEAST_UNITS,
    alike_units,
    of_both,
    unit_squares,
    units_of_groups,
    weights_of,
)
from audit.inference.proportion_intervals import wilson
from audit.metrics.auc import auc_influence, auc_interval
from audit.metrics.error_curves import (
    DCF_PRIORS,
    FAKE_PRIOR,
    WORKING_POINTS,
    ErrorCurve,
    Labels,
    ListedCurve,
    Scores,
    average_precision,
    eer,
    eer_density_share,
    eer_threshold,
    error_curve,
    fnr_at_fpr,
    fpr_at_fnr,
    histogram,
    min_dcfs,
)
from audit.schema.result import OVERALL


@dataclass(frozen=True)
class Axes:
    """What is read off every curve, so that groups can be laid over each other.

    Attributes:
        edges: float64 [b + 1], of all histograms.
        thresholds: float64, of all sweeps, the audit's own included.
        limits: float64, further thresholds at which missed fakes are counted.
    """

    edges: Floats
    thresholds: Floats
    limits: Floats


@dataclass(frozen=True)
class CurveSummary:
    """What is read off the curve of one group.

    Attributes:
        n_real: Real images, or the sum of their weights.
        n_fake: Fakes, likewise.
        thin: Some of its points, each exact.
        average_precision: See `audit.metrics.error_curves`, as of the next three.
        min_dcf: Smallest detection cost.
        min_dcf_at: The same at the priors in DCF_PRIORS.
        apcer_at_bpcer: FNR at the levels of FPR in WORKING_POINTS.
        bpcer_at_apcer: FPR at the same levels of FNR.
        bins: (reals, fakes) per bin of the histogram; None without axes.
        sweep: (fp, fn) at the thresholds of the sweep; None without axes.
        fn_at_limits: Missed fakes at the further thresholds; None without axes.
    """

    n_real: float
    n_fake: float
    thin: ListedCurve
    average_precision: float
    min_dcf: float
    min_dcf_at: dict[str, float]
    apcer_at_bpcer: dict[str, float]
    bpcer_at_apcer: dict[str, float]
    bins: tuple[Numbers, Numbers] | None = None
    sweep: tuple[Numbers, Numbers] | None = None
    fn_at_limits: Numbers | None = None

    @classmethod
    def of(cls, curve: ErrorCurve, n_points: int, axes: Axes | None) -> CurveSummary:
        """Read a curve; about n_points of it are kept."""
        costs = min_dcfs(curve, [FAKE_PRIOR, *DCF_PRIORS.values()])
        return cls(
            n_real=curve.n_real,
            n_fake=curve.n_fake,
            thin=curve.thin(n_points),
            average_precision=average_precision(curve),
            min_dcf=costs[0],
            min_dcf_at=dict(zip(DCF_PRIORS, costs[1:], strict=True)),
            apcer_at_bpcer={name: fnr_at_fpr(curve, level) for name, level in WORKING_POINTS.items()},
            bpcer_at_apcer={name: fpr_at_fnr(curve, level) for name, level in WORKING_POINTS.items()},
            bins=None if axes is None else histogram(curve, axes.edges),
            sweep=None if axes is None else curve.at(axes.thresholds),
            fn_at_limits=None if axes is None else curve.at(axes.limits)[1],
        )


TAIL = 0.025
"""One-sided level at which few speakers are allowed for."""


@dataclass(frozen=True)
class ScoreMeasures:
    """What the scores of one group show at all thresholds."""

    curve: CurveSummary
    auc: float
    auc_interval: tuple[float, float]
    eer: float
    eer_interval: tuple[float, float]
    worth: tuple[float, float]
    """Independent reals and fakes behind the curve: whole units count as one image (Kish's sample size)."""


@dataclass(frozen=True)
class GroupImages:
    """The images of one group in ascending order of score, looked up in the table they stand in.

    Attributes:
        table: In ascending order of score.
        rows: int [n], where they stand; None where they are all.
    """

    table: ScoreTable
    rows: NDArray[np.integer] | None

    def __len__(self) -> int:
        return len(self.table) if self.rows is None else len(self.rows)

    @property
    def score(self) -> Scores:
        """float64 [n], ascending."""
        return self.table.score if self.rows is None else Taken(self.table.score, self.rows)

    @property
    def fake(self) -> Labels:
        """bool [n]."""
        return self.table.fake if self.rows is None else Taken(self.table.fake, self.rows)

    @property
    def weight(self) -> Floats | None:
        """float64 [n]; None where all are equal."""
        return None if self.table.weight is None else self.table.weight[self.at(slice(None))]

    def at(self, part: slice) -> slice | NDArray[np.integer]:
        """Where some of them stand in the table."""
        return part if self.rows is None else self.rows[part]

    def curve(self) -> ErrorCurve:
        """Of these images."""
        return error_curve(self.score, self.fake, self.weight)


@dataclass(frozen=True)
class SortedScores:
    """A score table in ascending order of score, sorted once for all groupings.

    Attributes:
        table: Its rows sorted.
    """

    table: ScoreTable

    @classmethod
    def of(cls, table: ScoreTable) -> SortedScores:
        """Sort a table, if it is not sorted yet."""
        return cls(table.by_score())

    def curve(self) -> ErrorCurve:
        """Of all images."""
        return GroupImages(self.table, None).curve()

    def by_group(self, grouping: Grouping) -> Iterator[GroupImages]:
        """The images of each group; a group may have none."""
        cell, k = self.table.cell, len(grouping)
        if k == 1:
            return iter([GroupImages(self.table, None)])
        kind = np.int16 if k < 2**15 else np.int32  # 16 bits are sorted in linear time
        of_cell: NDArray[np.integer] = grouping.of_cell.astype(kind)
        sizes = tallied(len(cell), k, lambda part: of_cell[cell[part]])
        ends = np.cumsum(sizes)
        rows, next_row = np.empty(len(cell), dtype=row_dtype(len(cell))), ends - sizes
        for part in spans(len(cell)):
            group = of_cell[cell[part]]
            order, n = np.argsort(group, kind="stable"), np.bincount(group, minlength=k)
            place = np.repeat(next_row - (np.cumsum(n) - n), n) + np.arange(len(group))
            rows[place] = order + part.start
            next_row = next_row + n
        return (GroupImages(self.table, own) for own in np.split(rows, ends[:-1]))


def score_measures(
    scores: SortedScores, grouping: Grouping, z: float, axes: Axes | None = None
) -> list[ScoreMeasures]:
    """What the curves of every group of a grouping show.

    Args:
        scores: N images.
        grouping: Its groups.
        z: Normal quantile of the intervals.
        axes: What to read off every curve beside its measures.
    """
    table = scores.table
    spread = _PairSpread(table, grouping) if table.unit is None else _UnitSpread(table, grouping)
    of_curves: list[tuple[CurveSummary, float, _EerPoint]] = []
    for g, images in enumerate(scores.by_group(grouping)):
        curve = images.curve()
        area = spread.add(g, images, curve) if curve.two_sided else math.nan
        of_curves.append((CurveSummary.of(curve, _n_points(grouping), axes), area, _EerPoint.of(curve)))
        del curve
    points = [point for _, _, point in of_curves]
    variances, effective = spread.variance()
    shared = spread.eer_covariance(points)
    sizes, counted, worth = _sizes(table, grouping), _images(table, grouping), _worth(table, grouping)
    if table.unit is not None:  # units too few to show how they vary: at worst all images of one are alike
        few = sizes.min(axis=1) < LEAST_UNITS
        counted, shared = np.where(few[:, None], sizes, counted), np.where(few, 0.0, shared)
        variances = np.where(few, 0.0, variances)
    return [
        ScoreMeasures(
            curve=summary,
            auc=area,
            auc_interval=auc_interval(area, float(variance), int(size[0]), int(size[1]), float(n), z),
            eer=point.rate,
            eer_interval=eer_interval(point, float(covariance), z, image, float(size.min())),
            worth=(float(own[0]), float(own[1])),
        )
        for (summary, area, point), variance, n, covariance, size, image, own in zip(
            of_curves, variances, effective, shared, sizes, counted, worth, strict=True
        )
    ]


def _n_points(grouping: Grouping) -> int:
    """Points kept of a curve, each exact: fewer where there are many curves."""
    if grouping.attribute == OVERALL:
        return 400
    return 60 if ":" in grouping.attribute else 200


@dataclass(frozen=True)
class _EerPoint:
    """Where a curve has its equal error rate; NaN for one class.

    Attributes:
        rate: In 0-1.
        threshold: Where FPR and FNR are closest.
        density_share: Share of fakes in the density of scores there; 0.5 for one class.
        sums: Real images and fakes, or sums of their weights.
    """

    rate: float
    threshold: float
    density_share: float
    sums: tuple[float, float]

    @classmethod
    def of(cls, curve: ErrorCurve) -> _EerPoint:
        share = eer_density_share(curve) if curve.two_sided else 0.5
        return cls(eer(curve), eer_threshold(curve), share, (curve.n_real, curve.n_fake))

    @property
    def two_sided(self) -> bool:
        return min(self.sums) > 0


class _PairSpread:
    """How AUC and EER of every group vary, where each image stands for itself but for its pair's other half.

    The influence of an image on the AUC is (share of the other class that it is on the right side of - AUC)
    / sqrt(n (n - 1)), n of its own class; that of a pair is the sum of its halves'.
    """

    def __init__(self, table: ScoreTable, grouping: Grouping) -> None:
        self.table, self.of_cell, self.k = table, grouping.of_cell, len(grouping)
        self.images = _images(table, grouping)
        self.rank = np.zeros(len(table), dtype=np.uint32 if len(table) < 2**31 else np.uint64)
        """Twice the number of images of the other class in the same group that score lower, ties half."""
        self.n = np.zeros((self.k, 2), dtype=np.int64)
        self.auc = np.full(self.k, np.nan)
        self.own, self.fourth = np.zeros(self.k), np.zeros(self.k)

    def add(self, g: int, images: GroupImages, curve: ErrorCurve) -> float:
        """Rank the images of group g; returns its AUC."""
        self.n[g], total = (curve.n_real, curve.n_fake), 0
        for part, fake, rank in doubled_ranks(images.score, images.fake, curve):
            self.rank[images.at(part)] = rank
            total += int(rank[fake].sum())
        self.auc[g] = total / (2 * int(curve.n_real) * int(curve.n_fake))
        for _, fake, rank in doubled_ranks(images.score, images.fake, curve):
            influence = self._influence(rank, fake.astype(np.int64), np.array(g))
            square = influence**2
            self.own[g] += square.sum()
            self.fourth[g] += (square**2).sum()
        return float(self.auc[g])

    def _influence(self, rank: NDArray[Any], fake: NDArray[Any], group: NDArray[Any]) -> Floats:
        """Of images with that rank, class (0 or 1) and group."""
        with np.errstate(divide="ignore", invalid="ignore"):  # NaN where a class has one image or none
            lower = rank / (2.0 * self.n)[group, 1 - fake]
            scale = 1 / np.sqrt(self.n * (self.n - 1.0))
            apart = np.where(fake == 1, lower, 1 - lower) - self.auc[group]
            few = self.n.min(axis=1) < 2
            found = apart * np.where(few[:, None], np.nan, scale)[group, fake]
        return np.asarray(found, dtype=np.float64)

    def variance(self) -> tuple[Floats, Floats]:
        """Sum over independent units of (sum of influence)^2 per group, and images it rests on."""
        table = self.table

        def product(part: slice) -> Floats:
            real, fake = table.real_row[part], table.fake_row[part]
            group = self.of_cell[table.cell[real]]
            zero = np.zeros(len(group), dtype=np.int64)
            one_sided = np.isnan(self.auc)[group]
            both = self._influence(self.rank[real], zero, group) * self._influence(
                self.rank[fake], zero + 1, group
            )
            return np.where(one_sided, 0.0, both)

        pairs = len(table.real_row)
        shared = tallied(pairs, self.k, lambda part: self.of_cell[table.cell[table.real_row[part]]], product)
        rests_on = np.divide(self.own**2, self.fourth, out=np.zeros(self.k), where=self.fourth > 0)
        return self.own + 2 * shared, rests_on

    def eer_covariance(self, points: Sequence[_EerPoint]) -> Floats:
        """Covariance of FPR and FNR of each group at its own threshold; 0 without pairs."""
        table, k = self.table, self.k
        at = np.array([point.threshold for point in points])

        def outcome(part: slice) -> Ints:
            """Group of a pair, whether its real half is flagged, whether its fake half is missed."""
            real, fake = table.real_row[part], table.fake_row[part]
            group = self.of_cell[table.cell[real]]
            flagged, missed = table.score[real] >= at[group], table.score[fake] < at[group]
            return (group.astype(np.int64) * 2 + flagged) * 2 + missed

        pairs = tallied(len(table.real_row), 4 * k, outcome).reshape(k, 2, 2)
        n_pairs, both = pairs.sum(axis=(1, 2)), pairs[:, 1, 1]
        single = pairs[:, 1].sum(axis=1) * pairs[:, :, 1].sum(axis=1).astype(float)
        images = self.images
        excess = np.divide(single, n_pairs, out=np.zeros(k), where=n_pairs > 0)
        n = images.prod(axis=1)
        return np.divide(both - excess, n, out=np.zeros(k), where=n > 0)


def doubled_ranks(
    score: Scores, fake: Labels, curve: ErrorCurve
) -> Iterator[tuple[slice, NDArray[np.bool_], Ints]]:
    """Twice the number of images of the other class that score lower, ties half, part by part.

    Args:
        score: float64 [n], ascending.
        fake: bool [n].
        curve: Of these images, unweighted.

    Yields:
        A slice of the images, which of them are fakes, and int64, their ranks.
    """
    tied, point = len(curve) <= len(score), -1
    for part in spans(len(score)):
        at = np.arange(part.start, part.stop)
        if tied:
            own = score[part]
            at = (
                point
                + (score[part.start - 1] != own[0] if part.start else 1)
                + np.r_[0, np.cumsum(own[1:] != own[:-1])]
            )
            point = int(at[-1])
        (flagged, missed), (flagged_next, missed_next) = curve.errors(at), curve.errors(at + 1)
        lower_fakes = missed.astype(np.int64) + missed_next
        lower_reals = 2 * int(curve.n_real) - flagged.astype(np.int64) - flagged_next
        is_fake = fake[part]
        yield part, is_fake, np.where(is_fake, lower_reals, lower_fakes)


class _UnitSpread:
    """How AUC and EER of every group vary, where images share units or carry weights."""

    def __init__(self, table: ScoreTable, grouping: Grouping) -> None:
        self.table, self.grouping = table, grouping
        self.influence = np.zeros(len(table))

    def add(self, g: int, images: GroupImages, curve: ErrorCurve) -> float:
        """The influence of the images of group g; returns its AUC."""
        rows = images.at(slice(None))
        area, self.influence[rows] = auc_influence(
            self.table.score[rows], self.table.fake[rows], images.weight
        )
        return area

    def variance(self) -> tuple[Floats, Floats]:
        """Sum over units of (sum of influence)^2 per group, and units it rests on."""
        return _unit_variance(self.table, self.grouping, self.influence)

    def eer_covariance(self, points: Sequence[_EerPoint]) -> Floats:
        """What units add to the variance of each group's EER."""
        return _unit_covariance(self.table, self.grouping, points)


def _classes(table: ScoreTable, grouping: Grouping) -> Callable[[slice], Ints]:
    """Group and class of a part of the images."""
    return lambda part: grouping.of_cell[table.cell[part]].astype(np.int64) * 2 + table.fake[part]


def _sizes(table: ScoreTable, grouping: Grouping) -> NDArray[np.int64]:
    """[k, 2]: independent real images and fakes of each group; where they share units or carry weights, as
    many units of equal weight as theirs are worth (Kish).
    """
    if table.unit is None:
        return tallied(len(table), 2 * len(grouping), _classes(table, grouping)).reshape(-1, 2)
    if table.partner is None:
        return np.floor(_worth(table, grouping) + 1e-9).astype(np.int64)
    group, k = grouping.of_cell[table.cell].astype(np.int64) * 2 + table.fake, 2 * len(grouping)
    sizes = unit_squares(np.zeros(len(table)), table.unit, table.partner, group, k).n_units.reshape(-1, 2)
    # every impostor trial has two units: so many disjoint pairs of them are independent
    return sizes // np.array([2, 1])


def _images(table: ScoreTable, grouping: Grouping) -> Floats:
    """[k, 2]: real images and fakes of each group; of equal weight, where they carry weights (Kish)."""
    k = 2 * len(grouping)
    if table.weight is None:
        return tallied(len(table), k, _classes(table, grouping)).reshape(-1, 2).astype(np.float64)
    group = grouping.of_cell[table.cell].astype(np.int64) * 2 + table.fake
    total, squares = (np.bincount(group, weights=table.weight**power, minlength=k) for power in (1, 2))
    return np.divide(total**2, squares, out=np.zeros(k), where=squares > 0).reshape(-1, 2)


def _worth(table: ScoreTable, grouping: Grouping) -> Floats:
    """[k, 2]: reals and fakes, had all images of a unit the same score: (sum w)^2 / sum w^2 over units.

    No correlation within units makes a rate vary more than that, whatever the threshold. Of trials that have
    two units half of that sum: two that share one unit correlate by one half at most.
    """
    if table.unit is None:
        return _images(table, grouping)
    k, group = 2 * len(grouping), grouping.of_cell[table.cell].astype(np.int64) * 2 + table.fake
    weight = table.weight
    total = summed_by(group, k, lambda part: weights_of(weight, part))
    unit, share = table.unit, np.ones(2)
    if table.partner is not None:
        unit, _, two = of_both(table.unit, table.partner)
        group = np.concatenate([group, group[two]])
        weight = None if weight is None else np.concatenate([weight, weight[two]])
        share = np.array([0.5, 1.0])
    key, row = units_of_groups(unit, group, k)
    of_unit = summed_by(row, len(key), lambda part: weights_of(weight, part))
    squares = np.bincount(key % k, weights=of_unit**2, minlength=k) * np.tile(share, len(grouping))
    return np.divide(total**2, squares, out=np.zeros(k), where=squares > 0).reshape(-1, 2)


def _unit_variance(table: ScoreTable, grouping: Grouping, influence: Floats) -> tuple[Floats, Floats]:
    """Sum over the units of a group of (sum of influence)^2, over (units - 1) / units; units it rests on."""
    k, group = len(grouping), grouping.of_cell[table.cell]
    assert table.unit is not None
    found = unit_squares(influence, table.unit, table.partner, group, k)
    n = (
        found.n_units.astype(float)
        if table.partner is not None
        else alike_units(table.unit, group, k, table.weight)
    )
    return found.square * n / np.maximum(n - 1, 1.0), found.rests_on


def _unit_covariance(table: ScoreTable, grouping: Grouping, points: Sequence[_EerPoint]) -> Floats:
    """What units add to the variance of each group's EER, in the place of the covariance of FPR and FNR.

    The EER moves by w (errors of reals - EER) / n_real + (1 - w) (errors of fakes - EER) / n_fake, w the
    share of fakes in the score density at the threshold.
    """
    group = grouping.of_cell[table.cell]
    at = np.array([point.threshold for point in points])
    w = np.array([point.density_share for point in points])
    image = np.ones(len(table)) if table.weight is None else table.weight
    sums = np.array([point.sums for point in points], dtype=float)
    n = np.where(sums > 0, sums, 1.0)
    weight = np.stack([w, 1 - w], axis=1) / n
    own = weight[group, table.fake.astype(np.int64)] * image
    wrong = ((table.score >= at[group]) != table.fake).astype(float)
    key = group.astype(np.int64) * 2 + table.fake
    total = np.bincount(key, weights=image)
    share = np.bincount(key, weights=wrong * image) / np.where(total > 0, total, 1.0)
    influence = own * (wrong - share[key])
    together, _ = _unit_variance(table, grouping, influence)
    if table.partner is not None:
        together = together * _few_speakers(_sizes(table, grouping).min(axis=1))
    apart = np.bincount(group, weights=influence**2, minlength=len(grouping))
    twice = 2 * w * (1 - w)
    return np.divide(together - apart, twice, out=np.zeros(len(grouping)), where=twice > 0)


def _few_speakers(n_pairs: NDArray[np.int64]) -> Floats:
    """How much larger a variance must be taken that rests on so many disjoint pairs of speakers: the squared
    ratio of Student's to the normal quantile, which holds the interval of the EER of 20 speakers at 93 of 100
    and more instead of 89 to 91 (`benchmarks/calibration_trials.py`).
    """
    return np.asarray((student.isf(TAIL, np.maximum(n_pairs - 1, 1)) / norm.isf(TAIL)) ** 2)


def eer_interval(
    point: _EerPoint, covariance: float, z: float, images: Floats, least: float
) -> tuple[float, float]:
    """Wilson's interval for the EER, worth rate (1 - rate) / variance images.

    variance = w^2 e (1 - e) / n_real + (1 - w)^2 e (1 - e) / n_fake + 2 w (1 - w) covariance, w the share of
    fakes in the score density at the threshold; worth the rarer class where the EER is 0.

    Args:
        point: Of one group.
        covariance: Of FPR and FNR at the EER threshold, through the pairs.
        z: Normal quantile.
        images: float64 [2], reals and fakes of equal weight that those behind the curve are worth.
        least: What is independent of the rarer class.
    """
    if not point.two_sided:
        return math.nan, math.nan
    rate = point.rate
    n_real, n_fake = (float(n) for n in images)
    w, unit = point.density_share, rate * (1 - rate)
    own = unit * (w**2 / n_real + (1 - w) ** 2 / n_fake)
    variance = max(own + 2 * w * (1 - w) * covariance, own / 4)
    worth = unit / variance if unit > 0 else least
    low, high = wilson(rate, worth, z)
    return float(low), float(high)
