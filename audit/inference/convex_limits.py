"""Intervals for measures of spread that noise alone makes larger: Gini, maximum over mean, calibration error.

Enters: an estimate and draws of its sampling error. Leaves: low and high.

Why no percentile bootstrap: the spread of equal rates is 0, of observed ones never, so its percentiles
cannot contain 0 and lie above the truth wherever groups are close. These measures H are sublinear, so
    H(seen) <= H(true) + H(error), so H(true) is at least H(seen) less what pure error shows;
    H(seen) >= H(true) + slope * error, so H(true) is at most H(seen) less the error along its slope.
The lower limit holds whatever the truth is, with room to spare where groups differ; it is 0 wherever equal
groups could have shown as much. The upper limit is the usual one where groups differ.

Why each half of the interval has half of alpha: the two inequalities fail in different samples.

Why errors are drawn around each rate (Jeffreys) and not from the images: a rate of 0 out of 40 has no spread
to resample. Units and weights enter as the number of independent images that a rate is worth.

Sources: Rockafellar 1970, Convex Analysis (sublinear functions); Brown, Cai & DasGupta 2001, Statistical
Science 16:101-133 (Jeffreys). Coverage: `benchmarks/calibration.py`, "Spread of rates" and "Calibration".
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from audit.data.counts import Floats

Limits = tuple[float, float]

DRAWS = 4_000
"""Draws of the error; limits move by about 2 % of their width from seed to seed."""

STEPS = 40
"""Bisections of a limit in 0-1."""


def sublinear_limits(value: float, of_error: Floats, along: Floats, alpha: float) -> Limits:
    """Limits of H(true), not below 0.

    Args:
        value: H(seen).
        of_error: float64 [b], H of each drawn error.
        along: float64 [b], each drawn error along the slope of H at what was seen.
        alpha: 1 - confidence.
    """
    low = value - float(np.quantile(of_error, 1 - alpha / 2, method="higher"))
    high = value - float(np.quantile(along, alpha / 2, method="lower"))
    return max(0.0, low), max(high, value)


def gini_limits(rate: Floats, n: Floats, alpha: float, rng: np.random.Generator) -> Limits:
    """Limits of the Gini coefficient of k true rates, in 0-1 (`audit.metrics.disparity.gini`).

    A ratio of a sublinear measure D and the sum M of the rates: a value g is kept where D - g M as seen is no
    larger (or smaller) than its error allows.

    Args:
        rate: float64 [k], k >= 2, in 0-1.
        n: float64 [k], independent images each is worth, > 0.
        alpha: 1 - confidence.
        rng: Source of randomness.
    """
    if not rate.any():
        return 0.0, 1.0  # nothing is known of how errors spread that were never seen
    order = np.lexsort((n, rate))
    rate, n = rate[order], n[order]
    k = len(rate)
    ranks = (2 * np.arange(1, k + 1) - k - 1) / (k - 1)
    error = rate - _drawn(rate, n, rng)
    apart, total = float(ranks @ rate), float(rate.sum())
    of_error = np.sort(error, axis=1) @ ranks
    sums, along = error.sum(axis=1), error @ ranks
    middle = apart / total

    def above(g: float) -> bool:
        allowed = np.quantile(of_error - g * sums, 1 - alpha / 2, method="higher")
        return bool(apart - g * total <= allowed)

    def below(g: float) -> bool:
        allowed = np.quantile(along - g * sums, alpha / 2, method="lower")
        return bool(apart - g * total >= allowed)

    return _edge(above, middle, 0.0), _edge(below, middle, 1.0)


def max_over_geometric_mean_limits(rate: Floats, n: Floats, alpha: float, rng: np.random.Generator) -> Limits:
    """Limits of the largest true rate over the geometric mean of all, >= 1.

    Args:
        rate: float64 [k], k >= 2, in 0-1, none of them 0.
        n: float64 [k], independent images each is worth, > 0.
        alpha: 1 - confidence.
        rng: Source of randomness.
    """
    order = np.lexsort((n, rate))
    rate, n = rate[order], n[order]
    logs = np.log(rate)
    error = logs - np.log(np.maximum(_drawn(rate, n, rng), 1e-300))
    mean = error.mean(axis=1)
    low, high = sublinear_limits(
        float(logs[-1] - logs.mean()), error.max(axis=1) - mean, error[:, -1] - mean, alpha
    )
    return math.exp(low), math.exp(high)


def _drawn(rate: Floats, n: Floats, rng: np.random.Generator) -> Floats:
    """[DRAWS, k] true rates that could have led to those seen."""
    errors = rate * n
    return rng.beta(errors + 0.5, n - errors + 0.5, size=(DRAWS, len(rate)))


def _edge(kept: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where `kept` changes between a value that is kept and the end of the range."""
    if kept(outside):
        return outside
    for _ in range(STEPS):
        middle = (inside + outside) / 2
        if kept(middle):
            inside = middle
        else:
            outside = middle
    return inside
