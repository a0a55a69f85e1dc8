"""Scores reduced to counts, once: after this nothing that depends on a threshold touches the images again.

Enters: a `ScoreTable` and a threshold. Leaves: `Counts`, the joint outcomes of pairs and the outcomes of
single images for every cell (or group), and bootstrap replicates of them.

Why joint outcomes: the two halves of a pair show the same person, so their errors are not independent. The
unit that is resampled is the source image; resampling pairs within a cell is exactly one multinomial draw
over the cell's four joint outcomes, whatever the number of images (tests/audit/test_counts.py compares it
with resampling rows).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audit.data.score_table import ScoreTable
from audit.data.spans import tallied
from audit.data.unit_totals import Moments, UnitTotals, enough_units, unit_totals

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Numbers = NDArray[np.integer] | Floats
"""Images or errors: whole where each image is one, not where they are worth fewer."""


@dataclass(frozen=True)
class Counts:
    """Outcomes at one threshold for k cells or groups; leading axes, if any, are replicates.

    Attributes:
        pairs: int64 [..., k, 2, 2], complete pairs by (real flagged?, fake missed?).
        reals: int64 [..., k, 2], real images without a partner by (flagged?).
        fakes: int64 [..., k, 2], fake images without a partner by (missed?).
        units: Where images belong to units or carry weights: what each unit contributes. The outcomes above
            are then sums of weights, none of them pairs.
        moments: Of the units; also of groups made by taking others away, whose units are not listed.
    """

    pairs: Ints
    reals: Ints
    fakes: Ints
    units: UnitTotals | None = None
    moments: Moments | None = None

    def __len__(self) -> int:
        return self.pairs.shape[-3]

    @property
    def fp(self) -> Ints:
        """[..., k] real images flagged as fake."""
        return self.pairs[..., 1, :].sum(axis=-1) + self.reals[..., 1]

    @property
    def fn(self) -> Ints:
        """[..., k] fakes that pass."""
        return self.pairs[..., :, 1].sum(axis=-1) + self.fakes[..., 1]

    @property
    def n_real(self) -> Ints:
        """[..., k] real images."""
        return self.pairs.sum(axis=(-2, -1)) + self.reals.sum(axis=-1)

    @property
    def n_fake(self) -> Ints:
        """[..., k] fake images."""
        return self.pairs.sum(axis=(-2, -1)) + self.fakes.sum(axis=-1)

    def merge(self, group: NDArray[np.int32], n_groups: int) -> Counts:
        """Sum cells into groups.

        Args:
            group: int32 [k], the group of each cell.
            n_groups: Number of groups.
        """
        if self.units is not None:
            return of_units(self.units.merge(group, n_groups))
        parts = [_sum_by(part, group, n_groups) for part in (self.pairs, self.reals, self.fakes)]
        return Counts(parts[0], parts[1], parts[2])

    def total(self) -> Counts:
        """All cells as one group."""
        return self.merge(np.zeros(len(self), dtype=np.int32), 1)

    def take(self, chosen: NDArray[np.bool_] | Ints) -> Counts:
        """The chosen cells, in that order."""
        if self.units is not None:
            return of_units(self.units.take(chosen))
        return Counts(self.pairs[chosen], self.reals[chosen], self.fakes[chosen])

    def rest(self) -> Counts:
        """For each group, all others together."""
        if self.units is not None:
            return _of_moments(self.units.moments_of_rest())
        parts = [part.sum(axis=0, keepdims=True) - part for part in (self.pairs, self.reals, self.fakes)]
        return Counts(parts[0], parts[1], parts[2])

    def enough(self, min_n: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(reals, fakes), bool [k]: at least min_n images, of enough units, for a rate to be compared."""
        images = self.images
        enough = [images[:, 0] >= min_n, images[:, 2] >= min_n]
        if self.moments is not None:
            units = self.moments.alike
            enough = [one & enough_units(units[:, i], min_n) for i, one in enumerate(enough)]
        return enough[0], enough[1]

    @property
    def images(self) -> Ints:
        """[k, 4] real images, those flagged, fakes, those missed: each image as one, whatever its weight."""
        if self.moments is not None:
            return self.moments.images
        return np.stack([self.n_real, self.fp, self.n_fake, self.fn], axis=-1)


def of_units(units: UnitTotals) -> Counts:
    """Counts of groups whose images belong to units or carry weights."""
    return replace(_of_moments(units.moments()), units=units)


def _of_moments(moments: Moments) -> Counts:
    first = moments.first if moments.weighted else np.rint(moments.first).astype(np.int64)
    reals, fakes = (
        np.stack([part[:, 0] - part[:, 1], part[:, 1]], -1) for part in (first[:, :2], first[:, 2:])
    )
    return Counts(np.zeros((len(first), 2, 2), dtype=np.int64), reals, fakes, moments=moments)


def count(table: ScoreTable, threshold: float) -> Counts:
    """Outcomes per cell at a threshold: fake if score >= threshold. O(N).

    Args:
        table: N images.
        threshold: Decision threshold in units of the score.
    """
    k, n = len(table.cells), len(table)
    wrong = (table.score >= threshold) != table.fake
    if table.unit is not None:
        return of_units(
            unit_totals(table.unit, table.cell, k, table.fake, wrong, table.weight, table.partner)
        )

    def outcome(part: slice) -> Ints:
        """Of single images: cell, class, wrong?"""
        return (table.cell[part].astype(np.int64) * 2 + table.fake[part]) * 2 + wrong[part]

    def joint(part: slice) -> Ints:
        """Of pairs: cell, real flagged?, fake missed?"""
        real, fake = table.real_row[part], table.fake_row[part]
        return (table.cell[real].astype(np.int64) * 2 + wrong[real]) * 2 + wrong[fake]

    pairs = tallied(len(table.real_row), 4 * k, joint).reshape(k, 2, 2)
    images = tallied(n, 4 * k, outcome).reshape(k, 2, 2)
    return Counts(pairs, images[:, 0] - pairs.sum(axis=2), images[:, 1] - pairs.sum(axis=1))


def bootstrap(counts: Counts, n_replicates: int, rng: np.random.Generator) -> Counts:
    """Resample source images with replacement within every cell: Counts with a leading axis [n_replicates].

    Pairs, single reals and single fakes of a cell are strata: each keeps its number of units.
    """
    return Counts(
        _multinomial(counts.pairs.reshape(len(counts), 4), n_replicates, rng).reshape(-1, len(counts), 2, 2),
        _multinomial(counts.reals, n_replicates, rng),
        _multinomial(counts.fakes, n_replicates, rng),
    )


def equal_replicates(counts: Counts, n_replicates: int, rng: np.random.Generator) -> Counts:
    """Replicates of groups of the same sizes in which every group has the outcome rates of all together."""
    return Counts(
        _pooled(counts.pairs.reshape(len(counts), 4), n_replicates, rng).reshape(-1, len(counts), 2, 2),
        _pooled(counts.reals, n_replicates, rng),
        _pooled(counts.fakes, n_replicates, rng),
    )


def _multinomial(outcomes: Ints, n_replicates: int, rng: np.random.Generator) -> Ints:
    """[k, o] -> [n_replicates, k, o]; empty strata stay empty."""
    n = outcomes.sum(axis=-1)
    if not n.any():
        return np.zeros((n_replicates, *outcomes.shape), dtype=np.int64)
    share = outcomes / np.maximum(n, 1)[:, None]
    share[n == 0, 0] = 1.0
    return rng.multinomial(n, share, size=(n_replicates, len(n)))


def _pooled(outcomes: Ints, n_replicates: int, rng: np.random.Generator) -> Ints:
    n = outcomes.sum(axis=-1)
    if not n.any():
        return np.zeros((n_replicates, *outcomes.shape), dtype=np.int64)
    share = outcomes.sum(axis=0) / n.sum()
    return rng.multinomial(n, share, size=(n_replicates, len(n)))


def _sum_by(part: Ints, group: NDArray[np.int32], n_groups: int) -> Ints:
    out = np.zeros((n_groups, *part.shape[1:]), dtype=np.int64)
    np.add.at(out, group, part)
    return out
