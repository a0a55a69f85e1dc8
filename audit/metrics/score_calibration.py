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

What holds at 1 - confidence: the intervals of all groups of all single attributes together, of each of the
two numbers (Sidak); that of all images alone.

Sources: Steyerberg 2009, Clinical Prediction Models (calibration in the large); Naeini, Cooper & Hauskrecht
2015, AAAI (expected calibration error).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from scipy.sparse import csr_matrix
from scipy.stats import norm
from scipy.stats import t as student

from audit.config import AuditConfig
from audit.data.counts import Floats, Ints
from audit.data.groups import Grouping, whole
from audit.data.score_table import ScoreTable
from audit.data.unit_totals import LEAST_UNITS
from audit.inference.convex_limits import DRAWS, sublinear_limits
from audit.schema.result import OVERALL, Calibration

N_RANGES = 10
"""Equal ranges of score; a score of 1 belongs to the last."""

NOT_PROBABILITIES = "scores are not probabilities: some lie outside 0 to 1"


@dataclass(frozen=True)
class Calibrated:
    """What one group shows.

    Attributes:
        n_images: Images.
        n_units: What is independent among them.
        mean_score: Weighted, in 0-1.
        share_fake: Weighted, in 0-1.
        excess: float64 [N_RANGES], sums of score minus label over the group's weight, by range of score.
        covariance: float64 [N_RANGES, N_RANGES], of `excess`.
    """

    n_images: int
    n_units: int
    mean_score: float
    share_fake: float
    excess: Floats
    covariance: Floats

    @property
    def error(self) -> float:
        """Expected calibration error, in 0-1."""
        return float(np.abs(self.excess).sum())

    def limits(self, alpha: float, rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
        """(of the mean score minus the share of fakes, of the expected calibration error)."""
        t = float(student.isf(alpha / 2, max(self.n_units - 1, 1)))
        difference = float(self.excess.sum())
        reach = t * math.sqrt(max(float(self.covariance.sum()), 0.0))
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        drawn = rng.standard_normal((DRAWS, N_RANGES)) @ root.T * (t / float(norm.isf(alpha / 2)))
        errors = sublinear_limits(self.error, np.abs(drawn).sum(axis=1), drawn @ np.sign(self.excess), alpha)
        return (max(-1.0, difference - reach), min(1.0, difference + reach)), (
            errors[0],
            min(1.0, errors[1]),
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
    if table.score.min() < 0 or table.score.max() > 1:
        return [], NOT_PROBABILITIES
    everything = whole(len(table.cells))
    found = [(everything, 0, calibrated(table, everything)[0])]
    for grouping in groupings:
        if ":" not in grouping.attribute:
            each = calibrated(table, grouping)
            found += [(grouping, g, each[g]) for g in np.flatnonzero(grouping.known).tolist()]
    least = min(config.min_n, LEAST_UNITS)
    enough = [one.n_images >= config.min_n and one.n_units >= least for _, _, one in found]
    alpha = -math.expm1(math.log1p(-config.alpha) / max(sum(enough) - enough[0], 1))
    return [
        _record(grouping, g, one, config.alpha if grouping.attribute == OVERALL else alpha, taken, config)
        for (grouping, g, one), taken in zip(found, enough, strict=True)
    ], None


def _record(
    grouping: Grouping, g: int, one: Calibrated, alpha: float, taken: bool, config: AuditConfig
) -> Calibration:
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
        reason=None if taken else f"fewer than {config.min_n} images or {LEAST_UNITS} units",
    )


def calibrated(table: ScoreTable, grouping: Grouping) -> list[Calibrated]:
    """What each group of a grouping shows; NaN for one whose images weigh nothing.

    Args:
        table: N images, scores in 0-1.
        grouping: k groups.
    """
    k, group = len(grouping), grouping.of_cell[table.cell].astype(np.int64)
    weight = np.ones(len(table)) if table.weight is None else table.weight
    column = np.minimum((table.score * N_RANGES).astype(np.int64), N_RANGES - 1)
    apart = weight * (table.score - table.fake)
    key = group * N_RANGES + column
    total = np.bincount(group, weights=weight, minlength=k)
    sums = np.bincount(key, weights=apart, minlength=k * N_RANGES).reshape(k, N_RANGES)
    least = np.bincount(key, weights=weight**2 * table.score * (1 - table.score), minlength=k * N_RANGES)
    by_units = _moments_of_units if table.unit is not None else _moments_of_pairs
    products, mixed, squares, n_units = by_units(table, group, column, apart, weight, k)
    n_images = np.bincount(group, minlength=k)
    scores, fakes = (
        np.bincount(group, weights=weight * part, minlength=k) for part in (table.score, table.fake)
    )
    return [
        _calibrated(
            (int(n_images[g]), int(n_units[g]), float(total[g]), float(scores[g]), float(fakes[g])),
            sums[g],
            least.reshape(k, N_RANGES)[g],
            (products[g], mixed[g], float(squares[g])),
        )
        for g in range(k)
    ]


def _calibrated(
    counted: tuple[int, int, float, float, float],
    sums: Floats,
    least: Floats,
    moments: tuple[Floats, Floats, float],
) -> Calibrated:
    """With the linearised covariance of the ten sums over the group's weight.

    Never less on the diagonal than a calibrated detector's: a range with a single image shows no variance.
    """
    n_images, n_units, total, scores, fakes = counted
    if total <= 0:
        nothing = np.full(N_RANGES, math.nan)
        return Calibrated(n_images, 0, math.nan, math.nan, nothing, np.full((N_RANGES, N_RANGES), math.nan))
    excess, (products, mixed, squares) = sums / total, moments
    covariance = products - np.outer(excess, mixed) - np.outer(mixed, excess)
    covariance = (covariance + squares * np.outer(excess, excess)) / total**2
    covariance *= n_units / (n_units - 1) if n_units > 1 else 1.0
    missing = np.maximum(least / total**2 - np.diag(covariance), 0.0)
    covariance = covariance + np.diag(missing)
    return Calibrated(n_images, n_units, scores / total, fakes / total, excess, covariance)


Sums = tuple[Floats, Floats, Floats, Ints]
"""Over the units of each group: products of their ten sums [k, r, r], of the sums and the weight [k, r],
squared weights [k], and the number of units [k]."""


def _moments_of_pairs(
    table: ScoreTable, group: Ints, column: Ints, apart: Floats, weight: Floats, k: int
) -> Sums:
    """Where each image stands for itself, but for the other half of its pair."""
    r = N_RANGES
    own = np.bincount(group * r + column, weights=apart**2, minlength=k * r).reshape(k, r)
    products = own[:, :, None] * np.eye(r)
    of_pair = group[table.real_row]
    place = (of_pair * r + column[table.real_row]) * r + column[table.fake_row]
    both = apart[table.real_row] * apart[table.fake_row]
    shared = np.bincount(place, weights=both, minlength=k * r * r).reshape(k, r, r)
    with_partner = weight.copy()
    with_partner[table.real_row] += weight[table.fake_row]
    with_partner[table.fake_row] = with_partner[table.real_row]
    mixed = (
        np.bincount(group * r + column, weights=apart * with_partner, minlength=k * r)
        .reshape(k, r)
        .astype(float)
    )
    squares = np.bincount(group, weights=weight * with_partner, minlength=k).astype(np.float64)
    n_units = np.bincount(group, minlength=k) - np.bincount(of_pair, minlength=k)
    return products + shared + shared.transpose(0, 2, 1), mixed, squares, n_units


def _moments_of_units(
    table: ScoreTable, group: Ints, column: Ints, apart: Floats, weight: Floats, k: int
) -> Sums:
    """Where the table names units."""
    assert table.unit is not None
    n_most = int(table.unit.max()) + 1
    key, row = np.unique(group * n_most + table.unit, return_inverse=True)
    row = row.reshape(-1)
    sums = csr_matrix((apart, (row, column)), shape=(len(key), N_RANGES))
    weights = np.bincount(row, weights=weight)
    edges = np.searchsorted(key, np.arange(k + 1) * n_most)
    products, mixed = np.zeros((k, N_RANGES, N_RANGES)), np.zeros((k, N_RANGES))
    squares = np.zeros(k)
    for g in range(k):
        part, own = sums[edges[g] : edges[g + 1]], weights[edges[g] : edges[g + 1]]
        products[g] = (part.T @ part).toarray()
        mixed[g] = part.T @ own
        squares[g] = float(own @ own)
    return products, mixed, squares, np.diff(edges)
