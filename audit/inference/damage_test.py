"""Does a transformation do more harm to one group than to another? Tests on changes of decision, image by
image.

Enters: for every image, by how much its errors changed (transformed minus untouched), and its group. Leaves:
the mean change of each group, differences between groups with intervals, p-values.

Why changes and not the transformed rates: the same images are scored before and after, so what a group was
like before cancels. Two groups of unequal rates that are harmed alike are not called unequally harmed.
Why each pair is tested by permuting a studentised difference among its own images: changes are rare, skewed
and differ in spread between groups. Permuting the plain difference is wrong where spreads differ;
studentised, the test is exact for equal distributions and right in the limit for unequal ones (Janssen 1997,
Statistics & Probability Letters 36:9-21; Chung & Romano 2013, Annals of Statistics 41:484-507).
Why two images are added to a variance: where none of thirty images changed, the variance of the sample is 0
and a limit of 0 would be certainty. One image each way makes it close to the rule of three.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from audit.data.counts import Floats, Ints

STAGES = (400, 20_000)
"""Permutations drawn first, and where the p-value is small; more only where a family needs them."""
LOOK_CLOSER = 0.1
MAX_PERMUTATIONS = 400_000


@dataclass(frozen=True)
class GroupChanges:
    """The changes of the images of k groups, as a table of counts.

    Attributes:
        values: float64 [v], the changes that occur, in -1 to 1.
        counts: int64 [k, v], images of each group by change.
    """

    values: Floats
    counts: Ints

    @classmethod
    def of(cls, change: Floats, group: NDArray[np.int32], n_groups: int) -> GroupChanges:
        """Count changes, float64 [N], by group, int32 [N]."""
        values, codes = np.unique(change, return_inverse=True)
        flat = np.bincount(group * len(values) + codes.reshape(-1), minlength=n_groups * len(values))
        return cls(values, flat.reshape(n_groups, len(values)))

    @property
    def images(self) -> Ints:
        """int64 [k]."""
        return self.counts.sum(axis=1)

    @property
    def means(self) -> Floats:
        """float64 [k]; NaN without images."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.counts @ self.values / self.images

    @property
    def errors(self) -> Floats:
        """float64 [k], standard errors of the means, never 0; infinite without images."""
        n, means = self.images, np.nan_to_num(self.means)
        squares = self.counts @ self.values**2 - n * means**2 + 2
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(n > 0, np.sqrt(squares) / n, np.inf)


@dataclass(frozen=True)
class PairDifference:
    """Two groups, and how much more the first is harmed than the second."""

    first: int
    second: int
    difference: float
    low: float
    high: float
    p_value: float
    """Corrected for all pairs of groups."""


def pair_differences(
    changes: GroupChanges, alpha: float, n_questions: int, rng: np.random.Generator
) -> list[PairDifference]:
    """Every pair of groups, the more harmed one first.

    Args:
        changes: Of k groups, all with images.
        alpha: 1 - confidence.
        n_questions: Questions in the family; the p-values can be as small as it asks for, and the intervals
            hold for
            all pairs and questions together.
        rng: Draws the permutations.
    """
    pairs = list(combinations(range(len(changes.counts)), 2))
    z = float(-ndtri(alpha / (2 * max(1, len(pairs)) * n_questions)))
    means, errors = changes.means, changes.errors
    found = []
    for one, two in pairs:
        first, second = (one, two) if means[one] >= means[two] else (two, one)
        difference = float(means[first] - means[second])
        reach = z * math.hypot(errors[first], errors[second])
        needed = min(MAX_PERMUTATIONS, math.ceil(2 * len(pairs) * n_questions / alpha))
        p = permutation_p(changes.values, changes.counts[first], changes.counts[second], needed, rng)
        found.append(
            PairDifference(
                first, second, difference, difference - reach, difference + reach, min(1.0, p * len(pairs))
            )
        )
    return found


def permutation_p(values: Floats, first: Ints, second: Ints, most: int, rng: np.random.Generator) -> float:
    """Two-sided p-value of the studentised difference of two means under permutation of the images.

    Args:
        values: float64 [v].
        first: int64 [v], images of the first group by value.
        second: int64 [v], of the second.
        most: Permutations at the most; fewer where the answer is clear.
        rng: Draws them.

    >>> same = np.array([90, 10])
    >>> permutation_p(np.array([0.0, 1.0]), same, same, 1000, np.random.default_rng(0))
    1.0
    """
    total, n_first = first + second, int(first.sum())
    seen = abs(_studentised(values, first[None], second[None])[0])
    for draws in (*STAGES, most):
        drawn = rng.multivariate_hypergeometric(total, n_first, size=min(draws, max(most, STAGES[0])))
        beyond = int((np.abs(_studentised(values, drawn, total - drawn)) >= seen - 1e-9).sum())
        p = (1 + beyond) / (1 + len(drawn))
        if p > LOOK_CLOSER or draws >= most:
            return float(p)
        if draws > STAGES[0] and beyond > 20:
            return float(p)
    return float(p)


def _studentised(values: Floats, first: Ints, second: Ints) -> Floats:
    """(mean - mean) / standard error for rows of counts [r, v]."""
    moments = []
    for counts in (first, second):
        n = counts.sum(axis=1)
        mean = counts @ values / n
        variance = (counts @ values**2 - n * mean**2 + 2) / n**2
        moments.append((mean, variance))
    (m1, v1), (m2, v2) = moments
    return (m1 - m2) / np.sqrt(v1 + v2)
