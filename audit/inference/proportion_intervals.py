"""Intervals for one proportion, the difference and the ratio of two independent ones.

Enters: counts (or a proportion and the number of independent images it is worth). Leaves: low and high.
Everything is vectorised: arguments broadcast, NaN wherever n is 0.

Why score-type intervals: a rate of 0 out of 40 is where audits live. Wald's interval is [0, 0] there, the
percentile bootstrap's too; Wilson's and what is built on it keep their coverage.

Why `z` and not a confidence: the same formulas with a larger z (of a max-|z| distribution) give intervals
that hold for all groups at once (`audit.inference.equality_test`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtri

from audit.data.counts import Floats

Bounds = tuple[Floats, Floats]

LOG_REACH = 25.0
"""Ratios are looked for between exp(-25) and exp(25)."""

BISECTIONS = 60
"""Steps, enough for the last digit."""


def z_value(confidence: float) -> float:
    """Two-sided normal quantile: 1.96 for 0.95."""
    return float(ndtri(0.5 + confidence / 2))


def one_sided_z(alpha: float) -> float:
    """Normal quantile that is exceeded with probability alpha: 1.645 for 0.05."""
    return float(-ndtri(alpha))


def wilson(p: ArrayLike, n: ArrayLike, z: ArrayLike) -> Bounds:
    """Score interval of a proportion.

    Args:
        p: Proportion in 0-1; NaN gives NaN.
        n: Number of independent images it is worth, >= 0; need not be whole.
        z: Normal quantile.

    Source: Wilson 1927, JASA 22:209-212.

    >>> [round(float(bound), 4) for bound in wilson(0, 10, 1.959964)]
    [0.0, 0.2775]
    """
    p, n, z = np.asarray(p, dtype=float), np.asarray(n, dtype=float), np.asarray(z, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        z2 = z**2 / n
        centre = (p + z2 / 2) / (1 + z2)
        half = z * np.sqrt(p * (1 - p) / n + z2 / (4 * n)) / (1 + z2)
        low, high = np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
    low, high = np.where(p == 0, 0.0, low), np.where(p == 1, 1.0, high)
    undefined = (n == 0) | np.isnan(p)
    return np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)


def exact(p: ArrayLike, n: ArrayLike, alpha: float) -> Bounds:
    """Exact interval of a proportion: missed with probability alpha at most, however rare the errors are.

    Args:
        p: Proportion in 0-1; NaN gives NaN.
        n: Number of independent images it is worth, >= 0; need not be whole.
        alpha: Chance of missing the truth, in 0-1, half of it on either side.

    Source: Clopper & Pearson 1934, Biometrika 26:404-413.

    >>> [round(float(bound), 4) for bound in exact(0.1, 100, 0.05)]
    [0.049, 0.1762]
    """
    p, n = np.asarray(p, dtype=float), np.asarray(n, dtype=float)
    errors, right = p * n, (1 - p) * n
    with np.errstate(invalid="ignore"):
        low = np.where(errors > 0, betaincinv(np.maximum(errors, 1e-300), right + 1, alpha / 2), 0.0)
        high = np.where(right > 0, betaincinv(errors + 1, np.maximum(right, 1e-300), 1 - alpha / 2), 1.0)
    undefined = ~(n > 0) | np.isnan(p)
    return np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)


def newcombe(p1: ArrayLike, n1: ArrayLike, p2: ArrayLike, n2: ArrayLike, z: ArrayLike) -> Bounds:
    """Hybrid score interval of p1 - p2 from the Wilson limits of both.

    Source: Newcombe 1998, Statistics in Medicine 17:873-890, method 10.

    >>> [round(float(bound), 4) for bound in newcombe(56 / 70, 70, 48 / 80, 80, 1.959964)]
    [0.0524, 0.3339]
    """
    p1, p2 = np.asarray(p1, dtype=float), np.asarray(p2, dtype=float)
    low1, high1 = wilson(p1, n1, z)
    low2, high2 = wilson(p2, n2, z)
    low = p1 - p2 - np.sqrt((p1 - low1) ** 2 + (high2 - p2) ** 2)
    high = p1 - p2 + np.sqrt((high1 - p1) ** 2 + (p2 - low2) ** 2)
    return low, high


def ratio_score(p1: ArrayLike, n1: ArrayLike, p2: ArrayLike, n2: ArrayLike, z: ArrayLike) -> Bounds:
    """Score interval of p1 / p2: every ratio the score test does not reject at z.

    The low end is 0 where p1 is 0, the high end infinite where p2 is 0; both NaN where a group is empty.
    Solved by bisection on the logarithm of the ratio, in which the score statistic is monotone.

    Source: Koopman 1984, Biometrics 40:513-517. Chosen over the interval from Wilson limits (MOVER-R, Donner
    & Zou 2012), which has no finite or no real limits where p2 is small against its own upper limit: 1 error
    in 40.

    >>> [round(float(bound), 3) for bound in ratio_score(36 / 40, 40, 16 / 80, 80, 1.959964)]
    [2.94, 7.152]
    """
    values = [np.asarray(value, dtype=float) for value in (p1, n1, p2, n2, z)]
    q1, m1, q2, m2, z_ = np.broadcast_arrays(*values)
    low = _ratio_limit(q1, m1, q2, m2, z_)
    high = _ratio_limit(q1, m1, q2, m2, -z_)
    empty = (m1 == 0) | (m2 == 0) | np.isnan(q1) | np.isnan(q2)
    low = np.where(q1 == 0, 0.0, low)
    high = np.where(q2 == 0, np.inf, high)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def _ratio_limit(p1: Floats, n1: Floats, p2: Floats, n2: Floats, z: Floats) -> Floats:
    """The ratio at which the score statistic equals z; it falls as the ratio grows."""
    low, high = np.full(p1.shape, -LOG_REACH), np.full(p1.shape, LOG_REACH)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        above = _ratio_statistic(np.exp(middle), p1, n1, p2, n2) > z
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.exp((low + high) / 2)


def _ratio_statistic(ratio: Floats | np.float64, p1: Floats, n1: Floats, p2: Floats, n2: Floats) -> Floats:
    """(p1 - ratio p2) over its standard error under p1 = ratio p2 (constrained maximum likelihood)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        a = (n1 + n2) * ratio
        b = -(n1 * ratio + n1 * p1 + n2 + n2 * p2 * ratio)
        c = n1 * p1 + n2 * p2
        fit2 = 2 * c / (-b + np.sqrt(np.maximum(b * b - 4 * a * c, 0)))
        fit1 = ratio * fit2
        variance = fit1 * (1 - fit1) / n1 + ratio**2 * fit2 * (1 - fit2) / n2
        difference = p1 - ratio * p2
        return np.where(difference == 0, 0.0, difference / np.sqrt(np.maximum(variance, 1e-300)))
