"""Two detectors on the same images: tests and intervals that use the pairing.

Enters: for each image of a class, whether the first and whether the second detector was wrong. Leaves:
McNemar's test, an interval for the difference of two rates, and one for the difference of two max-min gaps.

Why the difference of gaps has its own method: a max-min gap has no derivative where several groups share the
largest or the smallest rate, so the plain bootstrap is wrong exactly where detectors are fair. Here the
bootstrap deviations go through the gap's one-sided derivative (Fang & Santos 2019). Which groups share the
extreme rate is not known, so each limit takes the less favourable answer: all groups that the data cannot
tell from the extreme one, or that one alone. Taking the first for both covered 75 % of a truth it should
cover 95 % of (a case of `benchmarks/calibration.py`); this covers 96-100 %.

Sources: McNemar 1947, Psychometrika 12:153-157; Tango 1998, Statistics in Medicine 17:891-908; Fang & Santos
2019, Review of Economic Studies 86:377-412.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import binom

from audit.data.counts import Floats, Ints, Numbers
from audit.inference.equality_test import TIE, range_critical
from audit.inference.proportion_intervals import z_value

BLOCK = 10_000
"""Replicates held in memory at once."""


def joint_outcomes(first: NDArray[np.bool_], second: NDArray[np.bool_], group: Ints, k: int) -> Ints:
    """int64 [k, 2, 2]: images of each group by (first detector wrong?, second detector wrong?)."""
    code = (group.astype(np.int64) * 2 + first) * 2 + second
    return np.bincount(code, minlength=4 * k).reshape(k, 2, 2)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value that both detectors err equally often; 1 without any disagreement.

    Args:
        only_first: Images only the first detector gets wrong.
        only_second: Images only the second one gets wrong.

    >>> round(mcnemar(2, 9), 4)
    0.0654
    """
    n = only_first + only_second
    return float(min(1.0, 2 * binom.cdf(min(only_first, only_second), n, 0.5)))


def rate_difference(only_first: float, only_second: float, n: float, z: float) -> tuple[float, float]:
    """Score interval of the difference of two error rates on the same n images (first minus second), which
    need not be whole.

    Every difference the score test does not reject at z, found by bisection; NaN without images.

    Source: Tango 1998, Statistics in Medicine 17:891-908.

    >>> [round(bound, 3) for bound in rate_difference(5, 5, 100, 1.96)]
    [-0.07, 0.07]
    """
    if n == 0:
        return math.nan, math.nan
    return (
        _tango_limit(only_first, only_second, n, z),
        -_tango_limit(only_second, only_first, n, z),
    )


def _tango_limit(b: float, c: float, n: float, z: float) -> float:
    """The difference below (b - c) / n at which the score statistic is z."""
    low, high = -1.0, (b - c) / n
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _tango_statistic(middle, b, c, n) > z else (low, middle)
    return (low + high) / 2


def _tango_statistic(difference: float, b: float, c: float, n: float) -> float:
    """(b - c - n difference) over its standard error at that difference; falls as it grows."""
    linear = -b - c + (2 * n - b + c) * difference
    constant = -c * difference * (1 - difference)
    fit = (math.sqrt(max(linear**2 - 8 * n * constant, 0.0)) - linear) / (4 * n)
    variance = n * (2 * fit + difference * (1 - difference))
    apart = b - c - n * difference
    return apart / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, apart) if apart else 0.0


def auc_difference(difference: float, variance: float, z: float) -> tuple[float, float, float]:
    """(low, high, p-value) of AUC_first - AUC_second from the variance of their paired influences.

    Source: DeLong et al. 1988. Without any variance: p = 1 for equal AUCs, else undefined.
    """
    if not variance > 0:
        return difference, difference, 1.0 if difference == 0 else math.nan
    se = float(np.sqrt(variance))
    p = 2 * float(ndtr(-abs(difference) / se))
    return max(-1.0, difference - z * se), min(1.0, difference + z * se), p


@dataclass(frozen=True)
class GapDifference:
    """How much further apart the groups are under the first detector than under the second.

    Attributes:
        first: max - min rate of the first detector.
        second: The same of the second.
        interval: Of first - second.
        p_value: That both gaps are equal.
    """

    first: float
    second: float
    interval: tuple[float, float]
    p_value: float


def gap_difference(
    outcomes: Numbers, alpha: float, n_boot: int, rng: np.random.Generator, n_tests: int = 1
) -> GapDifference:
    """Compare the max-min gaps of two detectors on the same images.

    Args:
        outcomes: [k, 2, 2] from `joint_outcomes` or `audit.inference.paired_units`, k >= 2 groups of whole
            numbers of independent images, none empty.
        alpha: 1 - confidence.
        n_boot: Bootstrap replicates.
        rng: Source of randomness.
        n_tests: Size of the family the p-value will be adjusted in. A p-value of at most alpha is drawn
            again with the smoothing of level alpha / n_tests, and the larger one counts, up to alpha.
    """
    ordered = outcomes[np.lexsort(outcomes.reshape(len(outcomes), 4).T)]
    n = ordered.sum(axis=(1, 2))
    rates = (ordered[:, 1, :].sum(axis=1) / n, ordered[:, :, 1].sum(axis=1) / n)
    first, second = (float(rate.max() - rate.min()) for rate in rates)
    difference = first - second
    up, down = _moves(ordered, rates, alpha, alpha, n_boot, rng)
    low = difference - float(np.quantile(up, 1 - alpha / 2))
    high = difference - float(np.quantile(down, alpha / 2))
    p = _beyond(difference, up, down)
    if p <= alpha and n_tests > 1:
        again = _beyond(difference, *_moves(ordered, rates, alpha, alpha / n_tests, n_boot, rng))
        p = max(p, min(alpha, again))
    return GapDifference(first, second, (low, high), p)


def _beyond(difference: float, up: Floats, down: Floats) -> float:
    """Two-sided p-value of a difference of gaps among its bootstrap deviations."""
    beyond = min(int((up >= difference - TIE).sum()), int((down <= difference + TIE).sum()))
    return min(1.0, 2 * (beyond + 1) / (len(up) + 1))


def _moves(
    outcomes: Numbers, rates: tuple[Floats, Floats], alpha: float, level: float, n_boot: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:  # fmt: skip
    """([b], [b]) bootstrap deviations of the difference of gaps, at most and at least.

    Every joint outcome of a group gets z^2 / 8 images more, z being the two-sided quantile of `level`: half
    an image at 5 %, so that none is impossible; more where a small p-value is to be believed, since in a
    group that shows no error by luck, deviations drawn from what it shows are far too small. Measured on two
    groups of 300 and 100 with opposite gaps, at level 0.05 / 90 = 0.056 %: rejected 0.04 % of 25,000
    simulations (groups of 100 and 60: 0.08 %); with half an image at every level, 0.23 % of 3,000.
    """
    n = np.rint(outcomes.sum(axis=(1, 2))).astype(np.int64)
    pseudo = z_value(1 - level) ** 2 / 8
    share = (outcomes.reshape(-1, 4) + pseudo) / (n + 4 * pseudo)[:, None]
    critical = range_critical(len(n), alpha)
    ups, downs = [], []
    for start in range(0, n_boot, BLOCK):
        drawn = rng.multinomial(n, share, size=(min(BLOCK, n_boot - start), len(n))) / n[:, None]
        deviation = drawn - share
        moved = (deviation[..., 2] + deviation[..., 3], deviation[..., 1] + deviation[..., 3])
        (most1, least1), (most2, least2) = (
            _gap_moves(rate, n, move, critical) for rate, move in zip(rates, moved, strict=True)
        )
        ups.append(most1 - least2)
        downs.append(least1 - most2)
    return np.concatenate(ups), np.concatenate(downs)


def _gap_moves(rate: Floats, n: Ints, move: Floats, critical: float) -> tuple[Floats, Floats]:
    """([b], [b]) first-order change of max - min when the rates [k] move by [b, k], at most and at least.

    At most: every group within `critical` standard errors of the extreme one may be the extreme one. At
    least: only that one.
    """
    near = (rate * n + 2) / (n + 4)
    variance = near * (1 - near) / n
    top, bottom = int(rate.argmax()), int(rate.argmin())
    at_top = rate[top] - rate <= critical * np.sqrt(variance[top] + variance)
    at_bottom = rate - rate[bottom] <= critical * np.sqrt(variance[bottom] + variance)
    most = move[:, at_top].max(axis=1) - move[:, at_bottom].min(axis=1)
    return most, move[:, top] - move[:, bottom]
