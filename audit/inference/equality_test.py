"""Are the rates of k groups equal? The max-|z| test, and critical values for simultaneous intervals.

Enters: errors and images of k groups. Leaves: a p-value, and critical values z such that intervals built with
z hold for every pair of groups at once.

Why not the range (largest minus smallest rate) with a percentile bootstrap: it can never contain 0, so it
finds a gap everywhere. Why not the permuted range: groups of 30 set it and hide what groups of 3,000 show.
Dividing each difference by its own standard error before taking the largest cures both.

Why permutation: given the total number of errors, under equality every assignment of them to images is
equally likely, so the counts per group are multivariate hypergeometric: exact at any sample size, no
bootstrap of a statistic at the edge of its range. Ties of the discrete statistic count half (mid-p), without
which rare errors would make the test reject far less often than it says.

Why groups are sorted by their counts before drawing: renaming groups must not change a p-value.

Sources: Westfall & Young 1993, Resampling-Based Multiple Testing (max-|z|, single step); Lancaster 1961, JASA
56:223-234 (mid-p); Tukey 1953 and Kramer 1956 (studentised range); Hayter 1984, Annals of Statistics 12:61-75
(it is conservative for unequal sizes); Holm 1979, Scandinavian Journal of Statistics 6:65-70.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import studentized_range

from audit.data.counts import Floats, Ints, Numbers

TIE = 1e-9
"""Statistics closer than this are the same number reached by different roundings."""


@dataclass(frozen=True)
class EqualityTest:
    """What the permutations said about k groups.

    Attributes:
        n_groups: k.
        pooled: Rate of all groups together.
        z: float64 [k, k], studentised differences rate_g - rate_h; NaN for fewer than two groups.
        null: float64 [n_permutations], sorted, the largest |z| under equality.
        least: What the p-value is never below, for reasons the permutations do not know.
    """

    n_groups: int
    pooled: float
    z: Floats
    null: Floats
    least: float = 0.0

    @property
    def p_value(self) -> float:
        """Of the largest |z|; NaN for fewer than two groups.

        1 where all rates are the same: no assignment of the errors shows less, and half of the ties would say
        0.5 of groups without any error.
        """
        if self.n_groups < 2:
            return math.nan
        largest = np.abs(self.z).max()
        return 1.0 if largest <= TIE else max(float(self.p_of(largest)), self.least)

    def p_of(self, z: ArrayLike) -> Floats:
        """Single-step adjusted mid-p-values of differences |z| among all pairs of groups."""
        above = len(self.null) - np.searchsorted(self.null, np.asarray(z) + TIE)
        ties = len(self.null) - np.searchsorted(self.null, np.asarray(z) - TIE) - above
        return np.asarray((above + (ties + 1) / 2) / (len(self.null) + 1))

    def critical(self, alpha: float) -> float:
        """z that |z| exceeds for any pair of groups with probability alpha under equality.

        Never below the studentised range's, which the permutations approach as counts grow.
        """
        normal = range_critical(max(self.n_groups, 2), alpha)
        if len(self.null) == 0:
            return normal
        return max(normal, float(np.quantile(self.null, 1 - alpha, method="higher")))


def equality_test(k: Ints, n: Ints, n_permutations: int, rng: np.random.Generator) -> EqualityTest:
    """Test that k groups share one error rate.

    Args:
        k: int64 [g], errors of each group.
        n: int64 [g], images of each group, >= 1.
        n_permutations: Number of permutations drawn.
        rng: Source of randomness.
    """
    if len(n) < 2:
        return EqualityTest(len(n), math.nan, np.full((len(n), len(n)), np.nan), np.zeros(0))
    pooled = float(k.sum() / n.sum())
    unit = pooled * (1 - pooled)
    if unit == 0:  # no errors, or nothing but errors: every permutation is the same
        return EqualityTest(len(n), pooled, np.zeros((len(n), len(n))), np.zeros(n_permutations))
    variance = unit / n
    rate = k / n
    z = (rate[:, None] - rate[None, :]) / np.sqrt(variance[:, None] + variance[None, :])
    order = np.lexsort((k, n))
    drawn = rng.multivariate_hypergeometric(n[order], int(k.sum()), size=n_permutations, method="marginals")
    null = max_abs_z(drawn / n[order], variance[order])
    return EqualityTest(len(n), pooled, z, np.sort(null))


def max_abs_z(rates: Floats, variance: Floats) -> Floats:
    """Largest |rate_g - rate_h| / sqrt(variance_g + variance_h) over all pairs of groups.

    Args:
        rates: float64 [b, k].
        variance: float64 [k], > 0.

    Returns:
        float64 [b].
    """
    columns = np.ascontiguousarray(rates.T)
    largest = np.zeros(len(rates))
    for g in range(len(columns) - 1):
        difference = columns[g + 1 :] - columns[g]
        np.abs(difference, out=difference)
        difference /= np.sqrt(variance[g + 1 :] + variance[g])[:, None]
        np.maximum(largest, difference.max(axis=0), out=largest)
    return largest


@cache
def range_critical(n_groups: int, alpha: float) -> float:
    """Upper alpha point of the largest |z| among all pairs of n_groups normal means."""
    return float(studentized_range.ppf(1 - alpha, n_groups, np.inf) / math.sqrt(2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false rejection; NaN is no test and stays NaN.

    Source: Holm 1979.

    >>> holm([0.01, float("nan"), 0.04, 0.03])
    [0.03, nan, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factor = len(order) - np.arange(len(order))
    adjusted = p.copy()
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factor))
    return adjusted.tolist()


def smoothed(rate: float, n: float) -> float:
    """Rate with two errors and two right answers added, away from 0 and 1: for planning, never for reporting.

    Source: Agresti & Coull 1998, The American Statistician 52:119-126.
    """
    return (rate * n + 2) / (n + 4)


STEPS = 40
"""Of the search for a detectable gap; it changes in no digit that is shown after a dozen."""


def detectable_gap(rate: float, n: Numbers, critical: float, power_z: float = 0.8416) -> float:
    """Smallest gap between any two of the groups found with 80 % power; NaN for fewer than two groups.

    The smallest group errs more often than the rest by g = critical * (standard error of the difference to
    the second smallest at their common rate) + power_z * (the same at their own rates); at most 1. The rates
    depend on g, so g is found step by step.

    Args:
        rate: Of the other groups, smoothed.
        n: Images of each group.
        critical: Critical |z| of the test, all adjustments included.
        power_z: Normal quantile of the power.

    Source: the sample size of two proportions, Fleiss, Levin & Paik 2003, section 4.2, solved for the gap.
    """
    if len(n) < 2:
        return math.nan
    small, other = np.sort(n)[:2]
    gap = 0.0
    for _ in range(STEPS):
        raised = min(rate + gap, 1.0)
        common = (small * raised + other * rate) / (small + other)
        equal = common * (1 - common) * (1 / small + 1 / other)
        apart = raised * (1 - raised) / small + rate * (1 - rate) / other
        gap = min(critical * math.sqrt(equal) + power_z * math.sqrt(apart), 1.0)
    return float(gap)


def images_for_gap(rate: float, gap: float, critical: float, power_z: float = 0.8416) -> int:
    """Images in each group with which a gap of this size is found with 80 % power."""
    return math.ceil(2 * rate * (1 - rate) * ((critical + power_z) / gap) ** 2)


SMALLEST_PERMUTED = 0.5
"""Replicates + 1 times the smallest p-value of `audit.inference.equality_test` (mid-p, one-sided in max
|z|).
"""

SMALLEST_BOOTSTRAPPED = 2.0
"""The same of `audit.inference.paired_tests.gap_difference` (two-sided)."""

ROOM = 5
"""Times the least number of replicates: with the least one, a single chance replicate would decide."""


def can_reject(replicates: int, n_tests: int, alpha: float, smallest: float) -> bool:
    """Whether the smallest p-value of so many replicates, times the size of the family, is at most alpha.

    >>> can_reject(100, 14, 0.05, SMALLEST_PERMUTED)
    False
    """
    return smallest * n_tests <= alpha * (replicates + 1)


def enough_replicates(n_tests: int, alpha: float, smallest: float) -> int:
    """Replicates with which a family can reject, and not by a single chance replicate.

    Args:
        n_tests: Size of the family that is adjusted together.
        alpha: 1 - confidence.
        smallest: Smallest p-value, in units of 1 / (replicates + 1).

    >>> enough_replicates(14, 0.05, SMALLEST_PERMUTED)
    700
    """
    return 100 * math.ceil(round(ROOM * smallest * n_tests / alpha / 100, 6))


def replicates_for(asked: int, n_tests: int, alpha: float) -> int:
    """As many permutations as asked for; more where so few could not reject anything after Holm's adjustment.

    >>> replicates_for(10_000, 14, 0.05), replicates_for(100, 14, 0.05)
    (10000, 700)
    """
    if can_reject(asked, max(n_tests, 1), alpha, SMALLEST_PERMUTED):
        return asked
    return enough_replicates(n_tests, alpha, SMALLEST_PERMUTED)


def raised_note(asked: int, drawn: int, n_tests: int) -> str:
    """Say that more permutations were drawn than asked for, and why."""
    return (
        f"{asked:,} permutations are too few for {n_tests} comparisons: even the largest gap would have "
        f"stayed unsettled. {drawn:,} were drawn instead."
    )
