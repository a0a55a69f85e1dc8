"""Who is proven worse off: every pair of groups at once, and the groups to be named.

Enters: one question's groups and their equality test. Leaves: which pair stands for the verdict, and all
groups proven to have a higher rate than the better one of that pair, with how much higher.

Why a pair proven to lie beyond the tolerance is named before one that merely lies further apart: with many
groups the largest difference often belongs to a small group, and proves the least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.data.counts import Floats, Ints
from audit.inference.equality_test import EqualityTest
from audit.inference.proportion_intervals import newcombe, ratio_score
from audit.schema.result import WorseGroup


@dataclass(frozen=True)
class GroupPairs:
    """All ordered pairs of k groups, [g, h] being rate_g - rate_h.

    Attributes:
        rates: float64 [k].
        images: int64 [k].
        low: float64 [k, k], lower simultaneous limit of the difference.
        high: float64 [k, k], upper limit.
        higher: bool [k, k], whether g's rate is proven higher than h's, all adjustments included.
        z: Critical value of the simultaneous intervals.
    """

    rates: Floats
    images: Ints
    low: Floats
    high: Floats
    higher: NDArray[np.bool_]
    z: float

    @property
    def apart(self) -> Floats:
        """float64 [k, k], the differences."""
        return self.rates[:, None] - self.rates[None, :]

    def named(self, tolerance: float) -> tuple[int, int] | None:
        """(best, worst): the pair proven unequal that stands for all; None where none is proven.

        The pair furthest apart among those proven to differ by more than the tolerance; where there is none,
        among those proven to differ at all.
        """
        beyond = self.higher & (self.low > tolerance)
        chosen = beyond if beyond.any() else self.higher
        if not chosen.any():
            return None
        worst, best = np.unravel_index(int(np.where(chosen, self.apart, -1.0).argmax()), chosen.shape)
        return int(best), int(worst)

    def worse(self, best: int, names: Sequence[str]) -> list[WorseGroup]:
        """All groups proven to have a higher rate than `best`, the highest rate first."""
        found = np.flatnonzero(self.higher[:, best])
        found = found[np.argsort(-self.rates[found], kind="stable")]
        low, high = ratio_score(
            self.rates[found], self.images[found], self.rates[best], self.images[best], self.z
        )
        return [
            WorseGroup(
                group=names[g],
                than=names[best],
                difference=float(self.rates[g] - self.rates[best]),
                difference_interval=(float(max(0.0, self.low[g, best])), float(self.high[g, best])),
                ratio_interval=(float(low[i]), float(high[i])),
            )
            for i, g in enumerate(found.tolist())
        ]


def pairs_of(test: EqualityTest, errors: Ints, images: Ints, factor: float, alpha: float) -> GroupPairs:
    """Compare every group with every other.

    Args:
        test: Of these k groups.
        errors: int64 [k].
        images: int64 [k], >= 1.
        factor: What Holm's adjustment multiplies the p-values by.
        alpha: 1 - confidence.
    """
    rates, z = errors / images, test.critical(alpha)
    low, high = newcombe(rates[:, None], images[:, None], rates[None, :], images[None, :], z)
    unequal = test.p_of(np.abs(test.z)) * factor <= alpha
    return GroupPairs(rates, images, low, high, unequal & (rates[:, None] > rates[None, :]), z)
