"""Who is proven worse off: every pair of groups at once, and the groups to be named.

Enters: one question's groups and how many questions its proofs are shared among. Leaves: which pair stands
for the verdict, and all groups proven to have a higher rate than the better one of that pair, with how much
higher.

Why a pair is named by its own evidence and never by the other groups': see `audit.inference.pairwise`. The
limits shown are those of the test that decides: at the same critical value, over all pairs of groups and all
questions of the audit, so that they exclude 0 where the pair is named and only there.

Why a pair proven to lie beyond the tolerance is named before one that merely lies further apart: with many
groups the largest difference often belongs to a small group, and proves the least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.data.counts import Floats, Numbers
from audit.inference.criteria import Criterion
from audit.inference.pairwise import (
    adjusted_p,
    pair_critical,
    pair_deviates,
    shrunken_rates,
)
from audit.inference.two_proportions import difference_limits, ratio_limits
from audit.schema.result import GroupDifference, WorseGroup


@dataclass(frozen=True)
class GroupPairs:
    """All ordered pairs of k groups, [g, h] being rate_g - rate_h.

    Attributes:
        errors: int64 [k].
        images: int64 [k].
        deviates: float64 [k, k], of each pair under equality of the two.
        gate: Adjusted p-value of the equality of all groups; nobody is named unless it rejects.
        shared: Questions among which the level is divided.
        alpha: 1 - confidence.
        z: Critical value of a pair, all adjustments included.
    """

    errors: Numbers
    images: Numbers
    deviates: Floats
    gate: float
    shared: int
    alpha: float
    z: float

    @property
    def rates(self) -> Floats:
        """float64 [k]."""
        return self.errors / self.images

    @property
    def apart(self) -> Floats:
        """float64 [k, k], the differences."""
        return self.rates[:, None] - self.rates[None, :]

    @property
    def higher(self) -> NDArray[np.bool_]:
        """bool [k, k], whether g's rate is proven higher than h's."""
        return (self.deviates > self.z) & (self.gate <= self.alpha)

    def p_value(self, worst: int, best: int) -> float:
        """Of one pair, adjusted for all pairs and questions, and never below that of the gate."""
        pair = adjusted_p(float(self.deviates[worst, best]), len(self.images))
        return max(min(1.0, pair * self.shared), self.gate)

    def beyond(self, criterion: Criterion) -> NDArray[np.bool_]:
        """bool [k, k], whether g is proven to be worse than h by more than is tolerated."""
        return self.higher & (criterion.deviates_beyond(self.errors, self.images) > self.z)

    def named(self, criterion: Criterion) -> tuple[int, int] | None:
        """(best, worst): the pair proven unequal that stands for all; None where none is proven.

        The pair furthest apart among those proven to differ by more than is tolerated; where there is none,
        among those proven to differ at all.
        """
        higher, beyond = self.higher, self.beyond(criterion)
        chosen = beyond if beyond.any() else higher
        if not chosen.any():
            return None
        rank = criterion.rank(self.errors, self.images)
        worst, best = np.unravel_index(int(np.where(chosen, rank, -np.inf).argmax()), chosen.shape)
        return int(best), int(worst)

    def worse(self, best: int, names: Sequence[str]) -> list[WorseGroup]:
        """All groups proven to have a higher rate than `best`, the highest rate first."""
        found = np.flatnonzero(self.higher[:, best])
        if len(found) == 0:
            return []
        found = found[np.argsort(-self.rates[found], kind="stable")]
        one = (self.rates[found], self.images[found], self.rates[best], self.images[best], self.z)
        apart, times = difference_limits(*one), ratio_limits(*one)
        guesses, _ = shrunken_rates(self.errors, self.images)
        seen = self.apart[found, best]
        corrected = np.minimum(np.maximum(guesses[found] - guesses[best], apart[0]), seen)
        return [
            WorseGroup(
                group=names[g],
                than=names[best],
                difference=float(seen[i]),
                difference_interval=(float(apart[0][i]), float(apart[1][i])),
                ratio_interval=(float(times[0][i]), float(times[1][i])),
                p_value=self.p_value(g, best),
                corrected_difference=float(corrected[i]),
            )
            for i, g in enumerate(found.tolist())
        ]

    def differences(self, best: int, names: Sequence[str], z: float) -> list[GroupDifference]:
        """Every other group's rate minus that of `best`, with limits at z, the highest rate first.

        Where the two are not proven unequal the limits reach 0, also if the pair alone would say otherwise:
        the test of all groups together is the gate, and an interval claims nothing that it does not let pass.
        """
        others = np.argsort(-self.rates, kind="stable")
        others = others[others != best]
        low, high = difference_limits(
            self.rates[others], self.images[others], self.rates[best], self.images[best], z
        )
        low = np.where(self.higher[others, best], low, np.minimum(low, 0.0))
        high = np.where(self.higher[best, others], high, np.maximum(high, 0.0))
        return [
            GroupDifference(
                group=names[g],
                difference=float(self.apart[g, best]),
                interval=(float(low[i]), float(high[i])),
            )
            for i, g in enumerate(others.tolist())
        ]


def compare_pairs(errors: Numbers, images: Numbers, gate: float, shared: int, alpha: float) -> GroupPairs:
    """Compare every group with every other.

    Args:
        errors: int64 [k].
        images: int64 [k], >= 1.
        gate: Adjusted p-value of the equality of all groups.
        shared: Questions among which the level is divided.
        alpha: 1 - confidence.
    """
    z = pair_critical(len(images), alpha / shared)
    return GroupPairs(errors, images, pair_deviates(errors, images), gate, shared, alpha, z)


def compare_all_pairs(
    questions: Sequence[tuple[Numbers, Numbers]], gates: Sequence[float], alpha: float
) -> list[GroupPairs]:
    """The pairs of every question of an audit, the level divided so that no equal pair is named anywhere.

    The level is divided among all questions; one whose pairs are all proven unequal cannot be wrong any more
    and leaves its share to the others. A question whose gate alone has rejected keeps its share: some of its
    pairs may be equal.

    Args:
        questions: (errors, images) of each, int64 [k], k >= 2.
        gates: Adjusted p-value of each question's test of equality.
        alpha: 1 - confidence.

    Source: the sequential rejection principle, Goeman & Solari 2010, Annals of Statistics 38:3782-3810.
    """
    shared = [len(questions)] * len(questions)
    settled: set[int] = set()
    while True:
        left = len(questions) - len(settled)
        shared = [shared[i] if i in settled else max(left, 1) for i in range(len(questions))]
        pairs = [
            compare_pairs(*question, gate, n, alpha)
            for question, gate, n in zip(questions, gates, shared, strict=True)
        ]
        now = {i for i, one in enumerate(pairs) if _all_proven(one)}
        if now <= settled:
            return pairs
        settled |= now


def _all_proven(pairs: GroupPairs) -> bool:
    k = len(pairs.images)
    return int(pairs.higher.sum()) == k * (k - 1) // 2
