"""Rates of images that are not independent: how many independent ones they are worth, and a test by units.

Enters: the sums of the units (`audit.data.unit_totals`). Leaves: for each group the number of independent
images that its rate is worth, the correlation within units, and a permutation test of equal rates.

Why an effective number of images: with it every interval and pairwise test for proportions holds as it
stands (Rao & Scott 1992, Biometrics 48:577-585; Korn & Graubard 1998, Survey Methodology 24:193-201). It is
the smallest of three: the images there are; those that the group's own units show (the linearised variance
of a ratio); and those that follow from the correlation within units, taken over all groups.

Why the smallest and not one of them: the group's own variance is a poor guide with a dozen persons, and
zero where none of them errs; the common correlation is wrong where groups differ in it. Among seven groups
of 20 persons with 10 images each, or a large group beside small ones whose images go together much more
closely, the first alone names equal groups in 22 to 59 of 100 audits, the second in up to 43; the smallest
of all in 0 to 5 (`benchmarks/calibration.py`, "Units").

Why what the own units show is believed only as far as there are units that err: where two or three of 20
persons err, by chance in few of their images, that group seems to be worth many. Its number is cut by the
squared ratio of the normal to Student's quantile with as many degrees of freedom as erring units less one,
down to what it is worth if all images of a unit err together. Without that, 300 persons with a correlation
of 0.05 beside three groups of 20 with 0.6 named equal groups in 5 to 11 of 100 audits, and 200 beside 40 in
9; with it in 0 to 3.

Why units of unlike size count as fewer: a person with most of a group's images sets its rate, so that nothing
is left of them to vary from it, and the variance looks small because of the very unit that makes it large.
Where two of 32 persons had 2,000 images and the others five each, two equal groups were called unequal in
14 of 100 audits, and where one had 1,000 beside a hundred with one each, in 10. So a group counts as many
units as there were of equal size (Kish), for what is believed of its variance and for whether it is compared
at all; with that it was none of 300.

Why the common correlation is the larger of two averages: weighted by images, one large group would speak
for the small ones; with all groups equal, a dozen tiny ones for the large.

Sources: Kish 1965, Survey Sampling (effective number, design effect); the estimate of the intraclass
correlation is its moment estimate over groups; Lohr 2010, Sampling: Design and Analysis (linearised
variance of a ratio); Patefield 1981, Applied Statistics 30:91-97 (random tables).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, random_table
from scipy.stats import t as student

from audit.data.unit_totals import FN, FP, N_FAKE, N_REAL, Floats, Ints, Moments, UnitTotals
from audit.inference.equality_test import EqualityTest, max_abs_z
from audit.inference.pairwise import adjusted_p, pair_deviates

FEW_ERRING = 5
"""With fewer units that err at all, nothing is known of how closely their images go together: as one."""

MOST_PERMUTED = 20_000
"""With more units than this the permutation distribution is its normal limit, to every digit shown."""

MOST_SHUFFLED = 2_000
"""The same where most units are unlike, as with weights, and would have to be shuffled one by one: minutes.
The smallest p-value, which is that of the widest pair, keeps the error (`benchmarks/unlike_units.py`)."""

TAIL = 0.0025
"""One-sided level of the quantiles that say how far to believe a variance: about that of a pair's test."""

CHUNK = 4_000_000
"""Permuted units held in memory at a time."""


@dataclass(frozen=True)
class Linear:
    """A rate as a ratio of two sums over units.

    Attributes:
        above: float64 [4], weights of (reals, flagged, fakes, missed) in the numerator.
        below: float64 [4], in the denominator.
        classes: Which of the two classes' squared weights count below.
        erring: Which of (units with a flagged real, with a missed fake) count as erring.
    """

    above: Floats
    below: Floats
    classes: Floats
    unit: int
    erring: Floats


def _linear(above: dict[int, float], below: list[int], unit: int) -> Linear:
    numerator, denominator = np.zeros(4), np.zeros(4)
    for place, sign in above.items():
        numerator[place] = sign
    denominator[below] = 1.0
    both = np.array([N_REAL in below, N_FAKE in below], dtype=float)
    return Linear(numerator, denominator, both, unit, both)


RATES = {
    "fpr": _linear({FP: 1}, [N_REAL], 0),
    "fnr": _linear({FN: 1}, [N_FAKE], 1),
    "positive_rate": _linear({FP: 1, N_FAKE: 1, FN: -1}, [N_REAL, N_FAKE], 2),
    "error": _linear({FP: 1, FN: 1}, [N_REAL, N_FAKE], 2),
}
"""Rates of images; the accuracy is worth what the share of errors is."""


@dataclass(frozen=True)
class Worth:
    """How much the images of k groups tell about a rate.

    Attributes:
        rate: float64 [k], NaN without images.
        n: float64 [k], independent images they are worth; 0 without images.
        correlation: Of the errors of two images of one unit, over all groups; NaN where no unit has two.
    """

    rate: Floats
    n: Floats
    correlation: float


def worth(moments: Moments, name: str) -> Worth:
    """Rate and worth of each group.

    Args:
        moments: Of k groups.
        name: A key of RATES.
    """
    linear = RATES[name]
    total = moments.first @ linear.below
    images = moments.images[:, [N_REAL, N_FAKE]] @ linear.classes
    known = total > 0
    rate = np.divide(moments.first @ linear.above, total, out=np.full(len(total), np.nan), where=known)
    own, squares, products, most = _sums(moments, linear, np.where(known, rate, 0.0))
    n_units, alike = moments.units[:, linear.unit], moments.alike[:, linear.unit]
    unit_variance = np.where(known, rate * (1 - rate), 0.0)
    own = own * alike / np.maximum(alike - 1, 1.0)
    correlation = _correlation(own, squares, products, unit_variance, moments.erring @ linear.erring)
    shared = 0.0 if math.isnan(correlation) else correlation
    spread = squares + shared * (products - squares)
    by_common = np.divide(total**2, spread, out=np.zeros(len(total)), where=spread > 0)
    by_own = np.divide(unit_variance * total**2, own, out=np.full(len(total), np.inf), where=own > 0)
    as_one = np.divide(total**2, most, out=np.zeros(len(total)), where=most > 0)
    by_common = np.maximum(by_common, as_one)
    evenly = np.divide(alike, n_units, out=np.zeros(len(total)), where=n_units > 0)
    share = believed((moments.erring @ linear.erring) * evenly)
    by_erring = np.multiply(by_own, share, out=np.zeros(len(total)), where=share > 0)
    by_erring = np.maximum(by_erring, as_one)
    n = np.minimum(np.minimum(np.minimum(by_common, by_own), by_erring), images)
    return Worth(rate, np.where(known, n, 0.0), correlation)


def believed(erring: Ints | Floats) -> Floats:
    """Share of an effective number that is believed where so many units err (or say anything), 0-1.

    The squared ratio of the normal to Student's quantile with one degree of freedom less than there are units
    that err (Korn & Graubard 1998, whose degrees of freedom are those of the design; where errors are rare
    only the erring units say how closely images go together).
    """
    freedom = np.asarray(erring, dtype=np.float64) - 1
    tail = student.isf(TAIL, np.maximum(freedom, 1.0))
    return np.where(freedom < 1, 0.0, (norm.isf(TAIL) / tail) ** 2)


def half_sum_worth_by_units(moments: Moments) -> Floats:
    """Independent images that (FPR + TPR) / 2 is worth, by the linearised variance; 0 without both
    classes.
    """
    fpr, fnr = worth(moments, "fpr"), worth(moments, "fnr")
    both = (fpr.n > 0) & (fnr.n > 0)
    p, q = np.where(both, fpr.rate, 0.0), np.where(both, fnr.rate, 0.0)
    half = (p + 1 - q) / 2
    apart = np.divide(p * (1 - p), 4 * fpr.n, out=np.zeros(len(p)), where=both)
    apart += np.divide(q * (1 - q), 4 * fnr.n, out=np.zeros(len(p)), where=both)
    vector = np.zeros((len(p), 4))
    n_real, n_fake = (np.where(both, moments.first[:, place], 1.0) for place in (N_REAL, N_FAKE))
    vector[:, N_REAL], vector[:, FP] = -p / (2 * n_real), 1 / (2 * n_real)
    vector[:, N_FAKE], vector[:, FN] = q / (2 * n_fake), -1 / (2 * n_fake)
    own = np.einsum("ki,kij,kj->k", vector, moments.second, vector)
    variance = np.maximum(own, apart)
    least = np.minimum(fpr.n, fnr.n)
    n = np.divide(half * (1 - half), variance, out=least.copy(), where=variance > 0)
    return np.where(both, n, 0.0)


def _sums(moments: Moments, linear: Linear, rate: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Sums over units of (errors - rate x images)^2, over images of weight^2, over units of (sum of
    weights)^2, and the largest that variance can be, in units of one image's.
    """
    residual = linear.above - rate[:, None] * linear.below
    own = np.maximum(np.einsum("ki,kij,kj->k", residual, moments.second, residual), 0.0)
    products = np.einsum("i,kij,j->k", linear.below, moments.second, linear.below)
    most = np.einsum("i,kij,j->k", linear.below, moments.bound, linear.below)
    return own, moments.squares @ linear.classes, products, most


def _correlation(own: Floats, squares: Floats, products: Floats, variance: Floats, erring: Floats) -> float:
    """Correlation within units over all groups, in 0-1; 1 where too few units err to tell, or all
    images of every group are judged alike.
    """
    shared = products - squares
    if not (shared > 1e-9 * products).any():
        return math.nan
    excess, most = own - variance * squares, variance * shared
    if erring.sum() < FEW_ERRING or not most.sum() > 0:
        return 1.0
    defined = variance * squares > 0
    scale = np.divide(1.0, variance * squares, out=np.zeros(len(own)), where=defined)
    by_images = excess.sum() / most.sum()
    even = (most * scale).sum()
    by_groups = (excess * scale).sum() / even if even > 0 else by_images
    return float(np.clip(max(by_images, by_groups), 0.0, 1.0))


def unit_equality_test(
    totals: UnitTotals, name: str, n_permutations: int, rng: np.random.Generator
) -> EqualityTest:
    """Test that k groups share one rate, by giving their units to the groups at random.

    The p-value is never below that of the widest pair at its worth (`worth`), which holds where groups
    differ in how closely the images of a unit go together; permutations take that for a difference of
    rates.

    Args:
        totals: Of k groups.
        name: "fpr" or "fnr".
        n_permutations: Number of permutations drawn.
        rng: Source of randomness.
    """
    linear, k = RATES[name], totals.n_groups
    moments = totals.moments()
    found = worth(moments, name)
    if k < 2:
        return EqualityTest(k, math.nan, np.full((k, k), np.nan), np.zeros(0))
    deviates = pair_deviates(found.rate * found.n, found.n)
    least = adjusted_p(float(np.abs(deviates).max()), k)
    if totals.pairs is not None:
        return _by_worth(found, deviates, least, n_permutations, rng)
    images, errors = totals.values[:, :4] @ linear.below, totals.values[:, :4] @ linear.above
    taking = images > 0
    images, errors, group = images[taking], errors[taking], totals.group[taking]
    pooled = float(errors.sum() / images.sum())
    excess = errors - pooled * images
    spread = float((excess**2).mean())
    if pooled in (0.0, 1.0) or spread == 0:
        return EqualityTest(k, pooled, np.zeros((k, k)), np.zeros(n_permutations))
    n_units = np.bincount(group, minlength=k)
    variance = spread * n_units / np.bincount(group, weights=images, minlength=k) ** 2
    rates = np.bincount(group, weights=excess, minlength=k) / np.bincount(group, weights=images, minlength=k)
    z = (rates[:, None] - rates[None, :]) / np.sqrt(variance[:, None] + variance[None, :])
    null = _permuted(excess, images, np.sort(n_units)[::-1], n_permutations, rng)
    return EqualityTest(k, pooled, z, np.sort(null), least)


def _by_worth(found: Worth, deviates: Floats, least: float, n: int, rng: np.random.Generator) -> EqualityTest:
    """The test of trials between units: units cannot change groups without changing which trials there are,
    so the largest |z| is held against its normal limit, and its p-value is that of the widest pair.
    """
    k = len(found.n)
    pooled = float((found.rate * found.n).sum() / found.n.sum())
    variance = 1.0 / found.n
    null = max_abs_z(rng.normal(size=(n, k)) * np.sqrt(variance), variance)
    return EqualityTest(k, pooled, deviates, np.sort(null), least)


def _permuted(excess: Floats, images: Floats, n_units: Ints, n: int, rng: np.random.Generator) -> Floats:
    """Largest |z| between groups of so many units, drawn without regard to where the units belong.

    Units enter in the order of their values and groups in that of their sizes: names and rows change nothing.
    Units that are alike are dealt by kind, others one by one; the normal limit stands for more of either than
    MOST_PERMUTED and MOST_SHUFFLED.

    Args:
        excess: float64 [u], errors of each unit less the pooled rate times its images.
        images: float64 [u], images of each unit, weighted; > 0.
        n_units: int64 [k], units of each group, the largest first.
        n: Permutations.
        rng: Source of randomness.

    Returns:
        float64 [n].
    """
    order = np.lexsort((images, excess))
    excess, images = excess[order], images[order]
    kinds = np.flatnonzero(np.concatenate([[True], (np.diff(excess) != 0) | (np.diff(images) != 0)]))
    alike = 2 * len(kinds) * len(n_units) < len(excess)
    if len(excess) > (MOST_PERMUTED if alike else MOST_SHUFFLED):
        variance = 1.0 / n_units
        return max_abs_z(rng.normal(size=(n, len(n_units))) * np.sqrt(variance), variance)
    if alike:
        return _dealt_by_kind(excess, images, kinds, n_units, n, rng)
    starts = np.concatenate([[0], np.cumsum(n_units)[:-1]])
    spread = (excess**2).mean()
    rows, found = max(1, CHUNK // len(excess)), []
    for first in range(0, n, rows):
        size = min(rows, n - first)
        drawn = rng.permuted(
            np.broadcast_to(np.arange(len(excess), dtype=np.int32), (size, len(excess))), axis=1
        )
        weights = np.add.reduceat(images[drawn], starts, axis=1)
        rates = np.add.reduceat(excess[drawn], starts, axis=1) / weights
        found.append(_largest(rates, spread * n_units / weights**2))
    return np.concatenate(found)


def _dealt_by_kind(
    excess: Floats, images: Floats, first: Ints, n_units: Ints, n: int, rng: np.random.Generator
) -> Floats:
    """`_permuted` where many units are alike: how many of each kind a group gets, not which.

    Given how many units there are of each kind and in each group, these numbers are a random table with
    those sums (Patefield 1981, Applied Statistics 30:91-97). Of 20,000 persons in seven groups it takes a
    tenth of the time.

    Args:
        excess: float64 [u], sorted together with `images`.
        images: float64 [u].
        first: int64 [d], where each kind of unit begins.
        n_units: int64 [k], units of each group.
        n: Permutations.
        rng: Source of randomness.
    """
    of_kind = np.diff(first, append=len(excess))
    spread, tables = (excess**2).mean(), random_table(n_units, of_kind)
    rows, found = max(1, CHUNK // (len(first) * len(n_units))), []
    for begun in range(0, n, rows):
        dealt = tables.rvs(min(rows, n - begun), method="patefield", random_state=rng).astype(np.float64)
        weights = dealt @ images[first]
        found.append(_largest(dealt @ excess[first] / weights, spread * n_units / weights**2))
    return np.concatenate(found)


def _largest(rates: Floats, variance: Floats) -> Floats:
    """[b]: largest |rate_g - rate_h| / sqrt(variance_g + variance_h); both [b, k]."""
    largest = np.zeros(len(rates))
    for g in range(rates.shape[1] - 1):
        apart = np.abs(rates[:, g + 1 :] - rates[:, g : g + 1])
        apart /= np.sqrt(variance[:, g + 1 :] + variance[:, g : g + 1])
        np.maximum(largest, apart.max(axis=1), out=largest)
    return largest
