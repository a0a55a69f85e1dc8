"""Scores reduced to counts, once: after this nothing that depends on a threshold touches the images again.

Enters: a `ScoreTable` and a threshold. Leaves: `Counts`, the joint outcomes of pairs and the outcomes of
single images for every cell (or group), and bootstrap replicates of them.

Why joint outcomes: the two halves of a pair show the same person, so their errors are not independent. The
unit that is resampled is the source image; resampling pairs within a cell is exactly one multinomial draw
over the cell's four joint outcomes, whatever the number of images (tests/audit/test_counts.py compares it
with resampling rows).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.data.score_table import ScoreTable

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Outcomes at one threshold for k cells or groups; leading axes, if any, are replicates.

    Attributes:
        pairs: int64 [..., k, 2, 2], complete pairs by (real flagged?, fake missed?).
        reals: int64 [..., k, 2], real images without a partner by (flagged?).
        fakes: int64 [..., k, 2], fake images without a partner by (missed?).
    """

    pairs: Ints
    reals: Ints
    fakes: Ints

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
        return Counts(*[_sum_by(part, group, n_groups) for part in (self.pairs, self.reals, self.fakes)])

    def total(self) -> Counts:
        """All cells as one group."""
        return self.merge(np.zeros(len(self), dtype=np.int32), 1)

    def take(self, chosen: NDArray[np.bool_] | Ints) -> Counts:
        """The chosen cells, in that order."""
        return Counts(self.pairs[chosen], self.reals[chosen], self.fakes[chosen])

    def minus(self, other: Counts) -> Counts:
        """Outcomes that are here and not in `other`, a part of it."""
        return Counts(self.pairs - other.pairs, self.reals - other.reals, self.fakes - other.fakes)


def count(table: ScoreTable, threshold: float) -> Counts:
    """Outcomes per cell at a threshold: fake if score >= threshold. O(N).

    Args:
        table: N images.
        threshold: Decision threshold in units of the score.
    """
    k = len(table.cells)
    wrong = (table.score >= threshold) != table.fake
    code = table.cell.astype(np.int64) * 2 + wrong
    single = np.ones(len(table), dtype=bool)
    single[table.real_row] = single[table.fake_row] = False
    joint = code[table.real_row] * 2 + wrong[table.fake_row]
    return Counts(
        pairs=np.bincount(joint, minlength=4 * k).reshape(k, 2, 2),
        reals=np.bincount(code[single & ~table.fake], minlength=2 * k).reshape(k, 2),
        fakes=np.bincount(code[single & table.fake], minlength=2 * k).reshape(k, 2),
    )


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
