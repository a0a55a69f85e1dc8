"""The difference of two groups' error rates at equal value of other things: standardisation by regression.

Enters: which images are wrong, which of two groups each belongs to, and columns that say something about each
image (a quality, a file format). Leaves: the two rates as they would be if both groups had images of the same
values, their difference with an interval, or a sentence that says why the data cannot tell.

How: (1) a logistic regression of the group on the columns gives each image's chance e of belonging to the
first group; (2) an image weighs its chance of being of the *other* group, so that what counts is the range of
values where both groups are found; (3) a logistic regression of the error on group and columns, with these
weights, predicts every image as a member of either group; (4) the predictions are averaged over all images
with the weights e (1 - e) (g-computation, or marginal standardisation). Numbers enter as natural cubic
splines of their ranks, words as indicators, several columns at once.

Why both regressions: weighted in this way, the difference is right if either of them is. Five classes of a
number leave a tenth of the confounding, which 25,000 images show as a gap that is not there.

Why ranks: knots then lie where the images are, and no outlier pulls a curve.

Why these weights and not 1 / e: images without a counterpart weigh nothing instead of everything; and of all
averages over a range of values this one is the most certain. It continues Mantel and Haenszel's n1 n0 / n.

Why Wilson's limits of both rates are combined (MOVER) and not z times a standard error: with five errors in
one group the latter's interval lies too low. The variances and the covariance are those of the sums of
influences, of all four steps, over independent units.

What goes with the columns is the raw difference minus the standardised one. Both are of the same images, so
its variance is that of the difference of their influences; two intervals side by side say much less.

Sources: Robins 1986, Mathematical Modelling 7:1393-1512 (g-computation); Li, Morgan & Zaslavsky 2018, JASA
113:390-400 (overlap weights); Robins, Sued, Lei-Gomez & Rotnitzky 2007, Statistical Science 22:544-559
(weighted regression is doubly robust); Zou & Donner 2008, Statistics in Medicine 27:1693-1702 (MOVER);
Stefanski & Boos 2002, The American Statistician 56:29-38 (variance of stacked estimating equations).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import pinvh, qr
from scipy.special import expit, ndtr, stdtrit

from audit.data.counts import Floats, Ints
from audit.inference.proportion_intervals import wilson

CURVE_DF = 6
"""Degrees of freedom of a number's curve."""

SIMPLER = (CURVE_DF, 3, 1)
"""Degrees of freedom of the error's curve: fewer where errors are too rare for more."""

FEW_VALUES = 5
"""A number with at most this many values enters as words."""

LEAST_SHARE = 0.05
"""Share of each group that the images in the overlap must be worth."""

SEPARATED = 1e-4
"""Where every prediction is as close as this to what was seen, the columns tell right from wrong alone."""


@dataclass(frozen=True)
class Standardised:
    """Two rates at equal value of the columns, first group first.

    Attributes:
        rates: In 0-1.
        variances: Of the rates.
        covariance: Between them, through the columns and through units that have images in both groups.
        worth: Images that those in the overlap are worth in each group (Kish's effective number).
        part: Raw difference of the same images minus the standardised one: what goes with the columns.
        part_variance: Of it.
    """

    rates: tuple[float, float]
    variances: tuple[float, float]
    covariance: float
    worth: tuple[float, float]
    part: float = math.nan
    part_variance: float = math.nan

    @property
    def difference(self) -> float:
        """First rate minus second."""
        return self.rates[0] - self.rates[1]

    @property
    def degrees_of_freedom(self) -> float:
        """Of the difference's standard error (Welch and Satterthwaite)."""
        parts = [v / max(n - 1, 1e-9) ** 0.5 for v, n in zip(self.variances, self.worth, strict=True)]
        if not any(parts):  # no image was wrong, or all were
            return max(min(self.worth) - 1, 1.0)
        return sum(self.variances) ** 2 / sum(part**2 for part in parts)

    def interval(self, z: float) -> tuple[float, float]:
        """Limits of the difference, in -1 to 1, from the Wilson limits of both rates (MOVER).

        Args:
            z: Normal quantile; with few units the t quantile of the same level is taken.
        """
        z = float(-stdtrit(self.degrees_of_freedom, ndtr(-z)))
        (p, q), (low1, high1), (low2, high2) = self.rates, *self._wilson(z)
        spread = math.sqrt(self.variances[0] * self.variances[1])
        r = self.covariance / spread if spread > 0 else 0.0
        down = (p - low1) ** 2 - 2 * r * (p - low1) * (high2 - q) + (high2 - q) ** 2
        up = (high1 - p) ** 2 - 2 * r * (high1 - p) * (q - low2) + (q - low2) ** 2
        return p - q - math.sqrt(max(down, 0.0)), p - q + math.sqrt(max(up, 0.0))

    def part_interval(self, z: float) -> tuple[float, float]:
        """Limits of `part`, at the quantiles of `interval`; NaN where it is not known."""
        reach = -float(stdtrit(self.degrees_of_freedom, ndtr(-z))) * math.sqrt(self.part_variance)
        return self.part - reach, self.part + reach

    def _wilson(self, z: float) -> list[tuple[float, float]]:
        """Limits of both rates; of one without variance, 0 or 1, those of as many images as it is worth."""
        told = zip(self.rates, self.variances, self.worth, strict=True)
        found = [wilson(p, p * (1 - p) / v if v > 0 else n, z) for p, v, n in told]
        return [(float(low), float(high)) for low, high in found]


@dataclass(frozen=True)
class _Fit:
    """A weighted logistic regression: design [n, p], predictions [n], inverse of its information [p, p]."""

    design: Floats
    coefficients: Floats
    predicted: Floats
    inverse: Floats


def in_common(side: Ints, columns: Sequence[pd.Series]) -> NDArray[np.bool_]:
    """bool [n]: images with all values, each in a range (or a word) in which both groups have images.

    Args:
        side: int [n], 0 or 1.
        columns: Of n rows each, as `audit.data.strata.plain` returns them.
    """
    kept = np.ones(len(side), dtype=bool)
    for column in columns:
        kept &= column.notna().to_numpy()
    for column in sorted(
        columns, key=_is_words
    ):  # a range is taken once: cutting it again would cut for ever
        kept[kept] = _shared(side[kept], column[kept])
    return kept


def least_worth(side: Ints, unit: Ints | None, min_n: int) -> tuple[float, float]:
    """What the images in the overlap must be worth in each group, given all images of both.

    Args:
        side: int [n], 0 or 1, of all images.
        unit: int [n], the independent unit of each; None where each is one.
        min_n: Units needed in any case.
    """
    sizes = [(side == one).sum() if unit is None else len(np.unique(unit[side == one])) for one in (0, 1)]
    first, second = (max(float(min_n), LEAST_SHARE * float(n)) for n in sizes)
    return first, second


def standardised_difference(
    wrong: NDArray[np.bool_],
    side: Ints,
    columns: Sequence[pd.Series],
    least: tuple[float, float],
    unit: Ints | None = None,
    weight: Floats | None = None,
) -> Standardised | str:
    """The rates of two groups at equal value of the columns, or why they cannot be told apart from them.

    Args:
        wrong: bool [n], the error.
        side: int [n], 0 for the first group, 1 for the second.
        columns: Of n rows each, without missing values: floats, or categories (`audit.data.strata.plain`).
        least: What the images in the overlap must be worth in each group (`least_worth`).
        unit: int [n], the independent unit of each image; None where each is one.
        weight: float [n], population weights; None where all are equal.

    Returns:
        The standardised rates, or a sentence without a capital and a full stop.
    """
    names = " and ".join(str(column.name) for column in columns)
    apart = f"the groups do not overlap in {names}: the two cannot be separated"
    given = np.ones(len(side)) if weight is None else weight / weight.mean()
    first = side == 0
    if not first.any() or first.all():
        return apart
    curves = [_basis(column, CURVE_DF) for column in columns]
    of_group = _regression(first.astype(float), _independent(curves), given)
    if of_group is None:
        return apart
    chance = of_group.predicted
    both = chance * (1 - chance)
    weights = given * np.where(first, 1 - chance, chance)
    worth = _worth(weights, first, unit), _worth(weights, ~first, unit)
    if worth[0] < least[0] or worth[1] < least[1]:
        return apart
    for mask in (first, ~first):
        if not wrong[mask].any() or wrong[mask].all():
            return f"one group has no image judged {'wrongly' if not wrong[mask].any() else 'rightly'}" + (
                f" among those alike in {names}: the two cannot be separated"
            )
    of_error = _error_regression(wrong, first, columns, weights)
    if of_error is None:
        return f"{names} alone tells right from wrong: the two cannot be separated"
    return _standardised(wrong, first, of_group, of_error, given * both, worth, (given, unit))


def _standardised(
    wrong: NDArray[np.bool_],
    first: NDArray[np.bool_],
    of_group: _Fit,
    of_error: _Fit,
    target: Floats,
    worth: tuple[float, float],
    sampling: tuple[Floats, Ints | None],
) -> Standardised:
    """Average the predictions over the target, and every image's influence on the two averages."""
    given, unit = sampling
    chance, z, x = of_group.predicted, of_group.design, of_error.design
    both, residual = chance * (1 - chance), wrong - of_error.predicted
    group_influence = (z * (given * (first - chance))[:, None]) @ of_group.inverse
    passed = (x * (given * np.where(first, -both, both) * residual)[:, None]).T @ z
    weights = given * np.where(first, 1 - chance, chance)
    error_influence = (x * (weights * residual)[:, None] + group_influence @ passed.T) @ of_error.inverse
    rates, influences = [], []
    raw, raw_influence = _raw_difference(wrong, first, given)
    for member in (1.0, 0.0):
        as_member = x.copy()
        as_member[:, 1] = member
        predicted = expit(as_member @ of_error.coefficients)
        rate = float((target * predicted).sum() / target.sum())
        by_error = (target * predicted * (1 - predicted)) @ as_member
        by_group = (target * (1 - 2 * chance) * (predicted - rate)) @ z
        own = target * (predicted - rate)
        influences.append((own + error_influence @ by_error + group_influence @ by_group) / target.sum())
        rates.append(rate)
    of_part = raw_influence - (influences[0] - influences[1])
    sums = [one if unit is None else np.bincount(unit, weights=one) for one in (*influences, of_part)]
    n = len(sums[0]) if unit is None else int((np.bincount(unit) > 0).sum())
    scale = n / (n - x.shape[1]) if n > x.shape[1] else math.nan
    pairs = ((0, 0), (1, 1), (0, 1), (2, 2))
    v1, v2, both_ways, of_both = (float(scale * (sums[a] * sums[b]).sum()) for a, b in pairs)
    part = raw - (rates[0] - rates[1])
    return Standardised((rates[0], rates[1]), (v1, v2), both_ways, worth, part, of_both)


def _raw_difference(
    wrong: NDArray[np.bool_], first: NDArray[np.bool_], given: Floats
) -> tuple[float, Floats]:
    """The rate of the first group minus that of the second, and every image's influence on it."""
    difference, influence = 0.0, np.zeros(len(wrong))
    for member, sign in ((first, 1.0), (~first, -1.0)):
        weights = given * member / given[member].sum()
        rate = float((weights * wrong).sum())
        difference += sign * rate
        influence += sign * weights * (wrong - rate)
    return difference, influence


def _error_regression(
    wrong: NDArray[np.bool_], first: NDArray[np.bool_], columns: Sequence[pd.Series], weights: Floats
) -> _Fit | None:
    """The error on group and columns, with as flexible curves as the errors allow; None if none fits."""
    for df in SIMPLER:
        others = _independent([_basis(column, df) for column in columns])
        design = np.column_stack([others[:, :1], first, others[:, 1:]])
        fit = _regression(wrong.astype(float), design, weights)
        if fit is not None:
            return fit
    return None


def _regression(outcome: Floats, design: Floats, weights: Floats) -> _Fit | None:
    """Weighted logistic regression; None where it finds no end, or predicts everything."""
    from statsmodels.genmod.families import Binomial  # here: they take a second to import
    from statsmodels.genmod.generalized_linear_model import GLM

    with warnings.catch_warnings(), np.errstate(over="ignore", under="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = GLM(outcome, design, family=Binomial(), var_weights=weights).fit(maxiter=50, rtol=1e-10)
            predicted, beta = np.asarray(found.fittedvalues), np.asarray(found.params)
        except (
            ValueError,
            np.linalg.LinAlgError,
        ):  # what statsmodels raises where a fit runs off to infinity
            return None
    if not np.isfinite(beta).all() or not found.converged or np.abs(outcome - predicted).max() < SEPARATED:
        return None
    information = (design * (weights * predicted * (1 - predicted))[:, None]).T @ design
    return _Fit(design, beta, predicted, pinvh(information))


def _basis(column: pd.Series, df: int) -> Floats:
    """[n, ...]: indicators of words, or a natural cubic spline of a number's ranks."""
    if _is_words(column):
        codes, values = pd.factorize(column, sort=True)
        return np.equal.outer(codes, np.arange(1, len(values))).astype(float)
    _, of_row, n = np.unique(column.to_numpy(dtype=float), return_inverse=True, return_counts=True)
    ranks = ((np.cumsum(n) - n / 2) / n.sum())[of_row.reshape(-1)]
    inner = np.unique(np.quantile(ranks, np.linspace(0, 1, df + 1)[1:-1]))
    inner = inner[(inner > ranks.min()) & (inner < ranks.max())]
    if df == 1 or len(inner) == 0:
        return ranks[:, None]
    from patsy import cr

    return np.asarray(cr(ranks, knots=inner, lower_bound=ranks.min(), upper_bound=ranks.max()))


def _independent(parts: Sequence[Floats]) -> Floats:
    """An intercept and orthogonal columns that span the parts, of mean 0 and mean square 1."""
    every = np.column_stack(parts)
    q, r, _ = qr(every - every.mean(axis=0), mode="economic", pivoting=True)
    size = np.abs(np.diag(r))
    kept = size > 1e-7 * max(size.max(initial=0.0), 1e-300)
    return np.column_stack([np.ones(len(q)), q[:, kept] * math.sqrt(len(q))])


def _shared(side: Ints, column: pd.Series) -> NDArray[np.bool_]:
    """bool [n]: rows whose word, or range of numbers, has images of both groups."""
    if _is_words(column):
        codes, values = pd.factorize(column)
        counts = np.bincount(codes * 2 + side, minlength=2 * len(values)).reshape(-1, 2)
        shared: NDArray[np.bool_] = np.all(counts > 0, axis=1)
        return shared[codes]
    numbers = column.to_numpy(dtype=float)
    ends = [(numbers[side == one].min(), numbers[side == one].max()) for one in (0, 1) if (side == one).any()]
    if len(ends) < 2:
        return np.zeros(len(side), dtype=bool)
    low, high = max(end[0] for end in ends), min(end[1] for end in ends)
    return (numbers >= low) & (numbers <= high)


def _is_words(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype) or column.nunique() <= FEW_VALUES


def _worth(weights: Floats, chosen: NDArray[np.bool_], unit: Ints | None) -> float:
    """Independent units that the chosen images are worth: (sum w)^2 / sum w^2, w the weights by unit."""
    w = weights[chosen] if unit is None else np.bincount(unit[chosen], weights=weights[chosen])
    square = float((w**2).sum())
    return float(w.sum()) ** 2 / square if square > 0 else 0.0
