"""Do a group's scores mean what they say? Calibration of scores that are probabilities, group by group.

Enters: a score table whose scores all lie in 0-1. Leaves: `Calibration` records: how far the mean score
lies above the share of fakes (calibration in the large), and by how much scores of ten equal ranges differ
from the share of fakes in them (expected calibration error), each with an interval.

Why only for scores in 0-1: a logit or a distance promises no probability, so it cannot break the promise.

Why a gap between groups is read and not the numbers alone: the share of fakes is that of the table, chosen by
whoever made it. A detector that is calibrated where one image in a hundred is fake is not on a table where
every second one is; that shifts all groups alike as far as they have the same share.

How: both are functions of ten sums a group (score minus label, by range of score), whose covariance follows
from the units, or from the pairs, which keep what their halves share. The first has Student's interval. The
second grows with noise and is 0 only where all ten sums are, so its interval is that of
`audit.inference.convex_limits`: its lower limit is 0 wherever a calibrated detector could have shown as much.

Why a real image and a fake judged wrongly are added to the variance, and the limits are moved outwards where
they are most of it: a detector whose scores lie near 0 and 1 shows no variance in a group in which it made no
mistake by luck, and a limit there would be certainty. Sums of rare mistakes are skewed: the shift is
Johnson's. Among persons or videos it is a person all of whose images of one class are judged wrongly, and the
less of one the more the errors seen show that images of a person do not go together.

What holds at 1 - confidence: the intervals of all groups of all single attributes together, of each of the
two numbers (Sidak); that of all images alone.

Sources: Steyerberg 2009, Clinical Prediction Models (calibration in the large); Naeini, Cooper & Hauskrecht
2015, AAAI (expected calibration error); Johnson 1978, JASA 73:536-544 (t limits of a skewed mean).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import norm
from scipy.stats import t as student

from audit.config import AuditConfig
from audit.data.counts import Floats, Ints
from audit.data.groups import Grouping, whole
from audit.data.score_table import ScoreTable
from audit.data.spans import distinct, spans
from audit.data.unit_totals import LEAST_UNITS, enough_units
from audit.inference.convex_limits import DRAWS, sublinear_limits
from audit.schema.result import OVERALL, Calibration
from audit.task import task_named

N_RANGES = 10
"""Equal ranges of score; a score of 1 belongs to the last."""

OF_TRIALS = "the share of genuine trials is that of the trial list, not that of use"
NOT_PROBABILITIES = "scores are not probabilities: some lie outside 0 to 1"


@dataclass(frozen=True)
class Calibrated:
    """What one group shows.

    Attributes:
        n_images: Images.
        n_units: What is independent among them, as units of equal weight.
        mean_score: Weighted, in 0-1.
        share_fake: Weighted, in 0-1.
        excess: float64 [N_RANGES], sums of score minus label over the group's weight, by range of score.
        covariance: float64 [N_RANGES, N_RANGES], of `excess`.
        mistake: What one more unit judged wrongly adds to the sum of `excess`.
    """

    n_images: int
    n_units: float
    mean_score: float
    share_fake: float
    excess: Floats
    covariance: Floats
    mistake: float

    @property
    def error(self) -> float:
        """Expected calibration error, in 0-1."""
        return float(np.abs(self.excess).sum())

    def limits(self, alpha: float, rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
        """(of the mean score minus the share of fakes, of the expected calibration error)."""
        t = float(student.isf(alpha / 2, max(self.n_units - 1, 1)))
        difference, covariance = float(self.excess.sum()), self.covariance.copy()
        covariance[[0, -1], [0, -1]] += self.mistake**2  # a fake scored 0 and a real image scored 1
        variance = max(float(covariance.sum()), 2 * self.mistake**2)
        shift = (1 + 2 * t**2) / 6 * self.mistake**3 / (variance - self.mistake**2)
        reach = t * math.sqrt(variance) + shift
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        drawn = rng.standard_normal((DRAWS, N_RANGES)) @ root.T * (t / float(norm.isf(alpha / 2)))
        along = drawn @ np.where(self.excess < 0, -1.0, 1.0)
        low, high = sublinear_limits(self.error, np.abs(drawn).sum(axis=1), along, alpha)
        return (max(-1.0, difference - reach), min(1.0, difference + reach)), (
            max(0.0, low - shift),
            min(1.0, high + shift),
        )


def calibrations(
    table: ScoreTable, groupings: Sequence[Grouping], config: AuditConfig
) -> tuple[list[Calibration], str | None]:
    """All images, then every group with a label of every single attribute; or why there are none.

    Args:
        table: N images.
        groupings: Those that are intersections are passed over.
        config: For the confidence, min_n and seed.
    """
    if task_named(config.task).of_trials:
        return [], OF_TRIALS
    if table.score.min() < 0 or table.score.max() > 1:
        return [], NOT_PROBABILITIES
    everything, of_cells = whole(len(table.cells)), CellSums.of(table)
    found = [(everything, 0, calibrated(table, everything, of_cells)[0])]
    for grouping in groupings:
        if ":" not in grouping.attribute:
            each = calibrated(table, grouping, of_cells)
            found += [(grouping, g, each[g]) for g in np.flatnonzero(grouping.known).tolist()]
    enough = [
        one.n_images >= config.min_n and bool(enough_units(one.n_units, config.min_n)) for _, _, one in found
    ]
    alpha = -math.expm1(math.log1p(-config.alpha) / max(sum(enough) - enough[0], 1))
    return [
        _record(grouping, g, one, config.alpha if grouping.attribute == OVERALL else alpha, taken, config)
        for (grouping, g, one), taken in zip(found, enough, strict=True)
    ], None


def _record(
    grouping: Grouping, g: int, one: Calibrated, alpha: float, taken: bool, config: AuditConfig
) -> Calibration:
    task = task_named(config.task)
    name = grouping.names[g]
    rng = np.random.default_rng([config.seed, crc32(f"{grouping.attribute} {name}".encode()), 5])
    difference, error = one.limits(alpha, rng) if taken else (None, None)
    return Calibration(
        attribute=grouping.attribute,
        group=name,
        n=one.n_images,
        mean_score=one.mean_score,
        share_fake=one.share_fake,
        difference=one.mean_score - one.share_fake,
        difference_interval=difference,
        ece=one.error if one.n_images else math.nan,
        ece_interval=error,
        reason=None if taken else f"fewer than {config.min_n} {task.items} or {LEAST_UNITS} units",
    )


def calibrated(table: ScoreTable, grouping: Grouping, of_cells: CellSums) -> list[Calibrated]:
    """What each group of a grouping shows; NaN for one whose images weigh nothing.

    Args:
        table: N images, scores in 0-1.
        grouping: k groups.
        of_cells: Sums of the table's cells.
    """
    k = len(grouping)
    sums = of_cells.merge(grouping.of_cell, k)
    if table.unit is not None:
        products, mixed, squares, of_one = _moments_of_units(table, grouping)
    else:
        products, mixed, squares = sums.products, sums.mixed, sums.squares
        of_one = np.ones((k, 2))
    return [
        _calibrated(
            (int(sums.n_images[g]), *sums.totals[g].tolist()),
            sums.excess[g],
            sums.least[g],
            (products[g], mixed[g], float(squares[g])),
            (*of_one[g].tolist(), float(np.trace(sums.products[g]))),
        )
        for g in range(k)
    ]


@dataclass(frozen=True)
class CellSums:
    """Sums over the images of k cells or groups; r ranges of score.

    Attributes:
        n_images: int64 [k].
        totals: float64 [k, 3], of weights, of scores and of fakes by weight.
        excess: float64 [k, r], of weight x (score - label).
        least: float64 [k, r], of squared weight x score x (1 - score).
        products: float64 [k, r, r], over pairs and single images: of products of what they add to `excess`;
            this and the last two hold where no units are named and no image weighs more than another.
        mixed: float64 [k, r], over the same: of what they add to `excess` times their weight.
        squares: float64 [k], over the same: of squared weights.
    """

    n_images: Ints
    totals: Floats
    excess: Floats
    least: Floats
    products: Floats
    mixed: Floats
    squares: Floats

    @classmethod
    def of(cls, table: ScoreTable) -> CellSums:
        """One pass over the images and, where no units are named, one over the pairs."""
        k, r = len(table.cells), N_RANGES
        n_images, totals = np.zeros(k, dtype=np.int64), np.zeros((3, k))
        excess, least, own = np.zeros((3, k * r))
        for part in spans(len(table)):
            cell, weight, column, apart = _images(table, part)
            key, score = cell * r + column, table.score[part]
            n_images += np.bincount(cell, minlength=k)
            for total, one in zip(totals, (weight, weight * score, weight * table.fake[part]), strict=True):
                total += np.bincount(cell, weights=one, minlength=k)
            excess += np.bincount(key, weights=apart, minlength=k * r)
            least += np.bincount(key, weights=weight**2 * score * (1 - score), minlength=k * r)
            own += np.bincount(key, weights=apart**2, minlength=k * r)
        products, mixed, n_pairs = np.zeros(k * r * r), excess.copy(), np.zeros(k, dtype=np.int64)
        for part in spans(len(table.real_row) if table.unit is None else 0):
            cell, _, real_column, real_apart = _images(table, table.real_row[part])
            _, _, fake_column, fake_apart = _images(table, table.fake_row[part])
            place = (cell * r + real_column) * r + fake_column
            products += np.bincount(place, weights=real_apart * fake_apart, minlength=k * r * r)
            mixed += np.bincount(cell * r + real_column, weights=real_apart, minlength=k * r)
            mixed += np.bincount(cell * r + fake_column, weights=fake_apart, minlength=k * r)
            n_pairs += np.bincount(cell, minlength=k)
        shared = products.reshape(k, r, r)
        return cls(
            n_images=n_images,
            totals=totals.T,
            excess=excess.reshape(k, r),
            least=least.reshape(k, r),
            products=own.reshape(k, r)[:, :, None] * np.eye(r) + shared + shared.transpose(0, 2, 1),
            mixed=mixed.reshape(k, r),
            squares=(n_images + 2 * n_pairs).astype(np.float64),
        )

    def merge(self, group: NDArray[np.integer], n_groups: int) -> CellSums:
        """Sum cells into groups.

        Args:
            group: int [k], the group of each cell.
            n_groups: Number of groups.
        """
        merged = {}
        for one in fields(self):
            part = getattr(self, one.name)
            merged[one.name] = np.zeros((n_groups, *part.shape[1:]), dtype=part.dtype)
            np.add.at(merged[one.name], group, part)
        return CellSums(**merged)


def _images(table: ScoreTable, rows: slice | NDArray[np.integer]) -> tuple[Ints, Floats, Ints, Floats]:
    """Cell, weight, range of score, and weight x (score - label) of some images."""
    score = table.score[rows]
    weight = np.ones(len(score)) if table.weight is None else table.weight[rows]
    column = np.minimum((score * N_RANGES).astype(np.int64), N_RANGES - 1)
    return table.cell[rows].astype(np.int64), weight, column, weight * (score - table.fake[rows])


def _calibrated(
    counted: tuple[int, float, float, float],
    sums: Floats,
    least: Floats,
    moments: tuple[Floats, Floats, float],
    mistake: tuple[float, float, float],
) -> Calibrated:
    """With the linearised covariance of the ten sums over the group's weight.

    Never less on the diagonal than a calibrated detector's: a range with a single image shows no variance.
    """
    n_images, total, scores, fakes = counted
    if total <= 0:
        nothing = np.full(N_RANGES, math.nan)
        spread = np.full((N_RANGES, N_RANGES), math.nan)
        return Calibrated(n_images, 0, math.nan, math.nan, nothing, spread, math.nan)
    excess, (products, mixed, squares) = sums / total, moments
    n_units = total**2 / squares
    covariance = products - np.outer(excess, mixed) - np.outer(mixed, excess)
    covariance = (covariance + squares * np.outer(excess, excess)) / total**2
    covariance *= n_units / max(n_units - 1, 1.0)
    missing = np.maximum(least / total**2 - np.diag(covariance), 0.0)
    covariance = covariance + np.diag(missing)
    one = _mistake(*mistake, float(covariance.sum()) * total**2) / total
    return Calibrated(n_images, n_units, scores / total, fakes / total, excess, covariance, one)


def _mistake(unit: float, image: float, alone: float, together: float) -> float:
    """Standard deviation of the sum that one more unit adds whose images of one class may be judged wrongly.

    Args:
        unit: Weight of a unit's images of one class.
        image: Weight of an image.
        alone: Variance of the group's sum, were its images independent.
        together: As its units show it; few errors teach little, so a unit judged wholly wrongly is added.
    """
    correlated = (together + unit**2) / (alone + unit * image)
    return math.sqrt(unit * image * min(max(correlated, 1.0), max(unit / image, 1.0)))


Sums = tuple[Floats, Floats, Floats, Floats]
"""Over the units of each group: products of their ten sums [k, r, r], of the sums and the weight [k, r],
squared weights [k], and what a unit's images of one class and an image weigh, by weight [k, 2]."""


def _moments_of_units(table: ScoreTable, grouping: Grouping) -> Sums:
    """Where the table names units."""
    assert table.unit is not None
    k = len(grouping)
    cell, weight, column, apart = _images(table, slice(None))
    group = grouping.of_cell[cell].astype(np.int64)
    n_most = int(table.unit.max()) + 1
    key, row = distinct(group * n_most + table.unit)
    sums = csr_matrix((apart, (row, column)), shape=(len(key), N_RANGES))
    fakes = np.bincount(row, weights=weight * table.fake)
    weights = np.bincount(row, weights=weight)
    most = np.maximum(fakes, weights - fakes)
    edges = np.searchsorted(key, np.arange(k + 1) * n_most)
    products, mixed = np.zeros((k, N_RANGES, N_RANGES)), np.zeros((k, N_RANGES))
    squares, of_one = np.zeros(k), np.ones((k, 2))
    images = [np.bincount(group, weight**power, k) for power in (1, 2)]
    for g in range(k):
        part, own = sums[edges[g] : edges[g + 1]], weights[edges[g] : edges[g + 1]]
        products[g] = (part.T @ part).toarray()
        mixed[g] = part.T @ own
        squares[g] = float(own @ own)
        one = most[edges[g] : edges[g + 1]]
        if images[0][g] > 0:
            of_one[g] = (one @ one) / one.sum(), images[1][g] / images[0][g]
    return products, mixed, squares, of_one
