"""The difference and the ratio of two independent proportions: one score test, and its intervals.

Enters: two proportions and the independent images each is worth. Leaves: a normal deviate for any supposed
difference or ratio, and limits. Everything is vectorised: arguments broadcast.

Why skewness is corrected: beside a large group at 0.2 %, 2 errors in 60 images are 5.4 standard deviations
too many to a plain score test and 0.7 % likely. In the tail, where tests of many pairs are decided, the plain
score test, Newcombe's and Wilson's intervals miss by orders of magnitude. The correction solves the
Cornish-Fisher expansion for the deviate; that comes close to the exact mid-p-value and errs to the safe side
far out.

Why one statistic for all: at equality the difference and the ratio have the same variance and skewness, so
the test, the interval of the difference and that of the ratio reject together. A pair is never proven unequal
while its interval holds 0, nor the reverse.

Sources: Miettinen & Nurminen 1985, Statistics in Medicine 4:213-226 (the score test of a difference and of a
ratio, variance at the constrained maximum likelihood estimate times N / (N - 1)); Gart & Nam 1988, Biometrics
44:323-338 (skewness of the ratio's); Laud 2017, Pharmaceutical Statistics 16:334-348 (the method as used
here, SCAS in the R package ratesci).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from audit.data.counts import Floats

Bounds = tuple[Floats, Floats]
Measure = Literal["difference", "ratio"]

REACH = 25.0
"""Ratios are looked for between exp(-25) and exp(25)."""

DIGITS = 2.0**-44
"""Limits are found to this share of the range in which they are looked for: twelve digits."""

AT_ONCE = 1024
"""Deviates computed in one step: of so few, numpy's calls cost more than the arithmetic, so that trying 64
points of a limit's range costs little more than trying its middle."""

_TINY = 1e-300
_NOTHING = 1e-12
"""A difference this small is none, reached by rounding."""


def equality_z(p1: ArrayLike, n1: ArrayLike, p2: ArrayLike, n2: ArrayLike) -> Floats:
    """Standard normal deviate of p1 - p2 if both are the same in truth; 0 where neither or both always err.

    Args:
        p1: Proportions in 0-1.
        n1: Independent images they are worth, >= 1; need not be whole.
        p2: Proportions in 0-1.
        n2: Images they are worth.

    >>> round(float(equality_z(2 / 60, 60, 40 / 20_000, 20_000)), 2)
    2.6
    """
    return _difference_z(np.zeros(()), *_floats(p1, n1, p2, n2))


def difference_z(supposed: ArrayLike, p1: ArrayLike, n1: ArrayLike, p2: ArrayLike, n2: ArrayLike) -> Floats:
    """The deviate if the true difference is `supposed`, in -1 to 1."""
    return _difference_z(np.asarray(supposed, dtype=float), *_floats(p1, n1, p2, n2))


def ratio_z(supposed: ArrayLike, p1: ArrayLike, n1: ArrayLike, p2: ArrayLike, n2: ArrayLike) -> Floats:
    """The deviate if the true ratio p1 / p2 is `supposed`, above 0."""
    return _ratio_z(np.asarray(supposed, dtype=float), *_floats(p1, n1, p2, n2))


def difference_limits(
    p1: ArrayLike, n1: ArrayLike, p2: ArrayLike, n2: ArrayLike, z: ArrayLike
) -> tuple[Floats, Floats]:
    """Limits of p1 - p2: every difference that the test does not reject at z; NaN where a group is empty.

    >>> [round(float(limit), 4) for limit in difference_limits(5 / 56, 56, 0 / 29, 29, 1.959964)]
    [-0.0186, 0.1867]
    """
    return _limits("difference", _floats(p1, n1, p2, n2), np.asarray(z, dtype=float))


def ratio_limits(
    p1: ArrayLike, n1: ArrayLike, p2: ArrayLike, n2: ArrayLike, z: ArrayLike
) -> tuple[Floats, Floats]:
    """Limits of p1 / p2; the lower is 0 where p1 is 0, the upper infinite where p2 is 0.

    >>> [round(float(limit), 3) for limit in ratio_limits(36 / 40, 40, 16 / 80, 80, 1.959964)]
    [2.962, 7.368]
    """
    rates = _floats(p1, n1, p2, n2)
    low, high = _limits("ratio", rates, np.asarray(z, dtype=float))
    q1, m1, q2, m2, _ = np.broadcast_arrays(*rates, low)
    known = (m1 > 0) & (m2 > 0)
    return np.where(known & (q1 == 0), 0.0, low), np.where(known & (q2 == 0), np.inf, high)


def extreme_limit(
    measure: Measure, p1: Floats, n1: Floats, p2: Floats, n2: Floats, z: float, smallest: bool
) -> float:
    """The smallest (or largest) of the limits of many pairs: the lower limits for z, the upper ones for -z.

    One search for all of them: a pair whose limit cannot be the extreme one any more is dropped, so the cost
    is that of a few evaluations and not of a search each.

    Args:
        measure: Of what.
        p1: float64 [m], first proportions.
        n1: float64 [m], images they are worth, > 0.
        p2: float64 [m], second proportions.
        n2: float64 [m], images they are worth, > 0.
        z: Normal quantile; negative for upper limits.
        smallest: Which of the m limits.
    """
    rows = np.stack([p1, n1, p2, n2])
    if measure == "ratio":
        unbounded = (p1 == 0) if z > 0 else (p2 == 0)
        if (unbounded.any() and smallest == (z > 0)) or unbounded.all():
            return 0.0 if z > 0 else math.inf
        rows = rows[:, ~unbounded]
    statistic, scale, low, high = _MEASURES[measure]
    finest = (high - low) * DIGITS
    while high - low > finest:
        points = low + (high - low) * _inner_points(rows.shape[1])
        above = statistic(scale(points[:, None]), *rows) > z  # the pair's limit is above the point
        candidates = ~above if smallest else above
        some = np.flatnonzero(candidates.any(axis=1))
        at = int(some[0] if smallest else some[-1]) if some.size else None
        if smallest:
            low, high = _part(points, low, high, len(points) if at is None else at)
        else:
            low, high = _part(points, low, high, 0 if at is None else at + 1)
        rows = rows if at is None else rows[:, candidates[at]]
    return float(_at_the_end(measure, scale((low + high) / 2)))


def _floats(*values: ArrayLike) -> list[Floats]:
    return [np.asarray(value, dtype=float) for value in values]


def _limits(measure: Measure, rates: list[Floats], z: Floats) -> Bounds:
    statistic, scale, reach_low, reach_high = _MEASURES[measure]
    *pairs, z = np.broadcast_arrays(*rates, z)
    limits = []
    for bound in (z, -z):
        low, width = np.full(z.shape, reach_low), reach_high - reach_low
        inner = _inner_points(z.size).reshape(-1, *[1] * z.ndim)
        for _ in range(math.ceil(-math.log2(DIGITS) / math.log2(len(inner) + 1))):
            above = statistic(scale(low + width * inner), *pairs) > bound
            width = width / (len(inner) + 1)
            low = low + width * np.logical_and.accumulate(above).sum(axis=0)
        limits.append(np.asarray(_at_the_end(measure, scale(low + width / 2))))
    empty = (pairs[1] == 0) | (pairs[3] == 0) | np.isnan(pairs[0]) | np.isnan(pairs[2])
    return np.where(empty, np.nan, limits[0]), np.where(empty, np.nan, limits[1])


def _at_the_end(measure: Measure, limit: Floats) -> Floats:
    """A limit of a difference that the search found beside 1 or -1 is that: nothing further apart exists."""
    if measure == "ratio":
        return limit
    return np.where(np.abs(limit) > 1 - _NOTHING, np.sign(limit), limit)


def _inner_points(n: int) -> Floats:
    """Points that cut 0-1 in equal parts, as many as may be tried at once for n pairs."""
    n_parts = min(64, max(2, AT_ONCE // max(n, 1)))
    return np.arange(1, n_parts) / n_parts


def _part(points: Floats, low: float, high: float, at: int) -> tuple[float, float]:
    """The ends of one of the parts into which points cut a range."""
    ends = [low, *points.tolist(), high]
    return ends[at], ends[at + 1]


def _difference_z(supposed: Floats, p1: Floats, n1: Floats, p2: Floats, n2: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        fit2 = _fit_difference(supposed, p1, n1, p2, n2)
        return _deviate(p1 - p2 - supposed, 1.0, supposed + fit2, n1, fit2, n2)


def _fit_difference(supposed: Floats, p1: Floats, n1: Floats, p2: Floats, n2: Floats) -> Floats:
    """Most likely p2 under p1 = p2 + supposed: a root of a cubic (Miettinen & Nurminen, appendix 1)."""
    total = n1 + n2
    errors2 = n2 * p2
    a2 = ((n1 + 2 * n2) * supposed - total - n1 * p1 - errors2) / total
    a1 = ((n2 * supposed - total - 2 * errors2) * supposed + n1 * p1 + errors2) / total
    a0 = errors2 * supposed * (1 - supposed) / total
    half = (a2 / 3) ** 3 - a1 * a2 / 6 + a0 / 2
    radius = np.sqrt(np.maximum((a2 / 3) ** 2 - a1 / 3, 0)) * np.where(half > 0, 1, -1)
    cosine = np.where(radius == 0, 0.0, half / radius**3)
    root = 2 * radius * np.cos((np.pi + np.arccos(np.clip(cosine, -1, 1))) / 3) - a2 / 3
    return np.clip(root, np.maximum(0, -supposed), np.minimum(1, 1 - supposed))


def _ratio_z(supposed: Floats, p1: Floats, n1: Floats, p2: Floats, n2: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        a = (n1 + n2) * supposed
        b = -(n1 * supposed + n1 * p1 + n2 + n2 * p2 * supposed)
        c = n1 * p1 + n2 * p2
        fit2 = np.where(c == 0, 0.0, 2 * c / (-b + np.sqrt(np.maximum(b * b - 4 * a * c, 0))))
        return _deviate(p1 - supposed * p2, supposed, supposed * fit2, n1, fit2, n2)


def _deviate(
    apart: Floats, weight: Floats | float, fit1: Floats, n1: Floats, fit2: Floats, n2: Floats
) -> Floats:
    """Normal deviate of what is apart: solves apart / sd = z + skewness (z^2 - 1) / 6 for z.

    A difference too small for its sign to survive the correction (between mean and median) counts as none.
    """
    unit1, unit2 = fit1 * (1 - fit1) / n1, weight**2 * fit2 * (1 - fit2) / n2
    variance = np.maximum((unit1 + unit2) * (n1 + n2) / np.maximum(n1 + n2 - 1, 1), 0)
    third = unit1 * (1 - 2 * fit1) / n1 - weight * unit2 * (1 - 2 * fit2) / n2
    certain = variance < _TINY
    spread = np.sqrt(np.where(certain, 1.0, variance))
    a = third / spread**3 / 6
    shifted = apart / spread + a
    z = 2 * shifted / (1 + np.sqrt(np.maximum(1 + 4 * a * shifted, 0)))
    z = np.where(certain, np.sign(apart) * np.inf, z)
    return np.where((np.abs(apart) < _NOTHING) | (np.sign(z) != np.sign(apart)), 0.0, z)


def _plain(value: float | Floats) -> Floats:
    return np.asarray(value)


_Statistic = Callable[..., Floats]
_MEASURES: dict[str, tuple[_Statistic, Callable[[float | Floats], Floats], float, float]] = {
    "difference": (_difference_z, _plain, -1.0, 1.0),
    "ratio": (_ratio_z, np.exp, -REACH, REACH),
}
"""Statistic, from what is bisected to the measure, and between which ends."""
