"""Every pair of k groups at once: which rates are proven to differ, how surely, and by how much.

Enters: errors and images of k groups. Leaves: a deviate for every pair, p-values adjusted for all pairs,
limits that hold for all pairs together, and differences corrected for being the largest of many.

Why each pair is tested on its own two groups: dividing by a variance pooled over all groups is right only
where all are equal. Once one group differs, the pooled rate is nobody's, and pairs that are truly equal were
named as unequal in up to two audits of three (20,000 images at 0.2 % and eight groups of 60 at 2 %). The
global test keeps its pooled variance, since it asks about all groups together, and stays the gate; who is
named follows from the pair alone (`audit.inference.two_proportions`).

Why the studentised range decides how large a deviate must be: each pair's deviate is close to standard normal
whatever the other groups do, and for any variances the largest of all is at most as large as the range of k
equal ones (Tukey, Kramer, Hayter). So one critical value serves the test, its p-value and the intervals of
differences and ratios, whichever groups are equal in truth, and they never contradict each other.

What was compared (2,000 audits a case; truly equal pairs named, and audits that name any unequal one; the
rows "Any truly equal pair named" of `benchmarks/calibration.py`):
    20,000 at 0.2 % + 8 x 60 at 2 %: pooled 65.2 and 97.2 %, this one 0.0 and 63.0, Fisher's mid-p with Holm's
        and Shaffer's steps 0.0 and 63.0, Fisher's exact p with the same steps 0.0 and 62.8.
    5,000 at 1 % + 6 x 150 at 3 %: 35.8 and 87.7, 1.4 and 64.0, 2.2 and 65.8, 0.8 and 58.3.
    7,000 at 0.5 % + 600 to 100 at 2 %: 35.8 and 97.6, 1.4 and 94.0, 1.8 and 94.5, 0.7 and 91.8.
    7 races, one at 5 + 3 %: 2.5 and 96.2, 3.2 and 94.6, 3.2 and 95.0, 2.8 and 94.2.
The power lost against the pooled test is the power of proofs that proved nothing. Steps were not taken: they
win under one audit in fifty, and a pair found by a later step has an interval that holds 0.

Sources: Tukey 1953; Kramer 1956, Biometrics 12:307-310; Hayter 1984, Annals of Statistics 12:61-75
(conservative for unequal variances); Paule & Mandel 1982, Journal of Research of the NBS 87:377-385 (variance
between groups); Louis 1984, JASA 79:393-398 (shrunken estimates that keep the spread of the truth).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import studentized_range

from audit.data.counts import Floats, Numbers
from audit.inference.equality_test import range_critical
from audit.inference.two_proportions import equality_z

_EXACT = 1e-8
"""Below this the range's tail probability is lost in rounding; Bonferroni's bound has met it long before."""

PRIOR = 4.0
"""Images at the common rate added to each group before its variance is taken: no errors, yet no certainty."""


def pair_deviates(errors: Numbers, images: Numbers) -> Floats:
    """float64 [k, k], deviate of rate_g - rate_h under equality of the two; [g, h] = -[h, g].

    Args:
        errors: int64 [k].
        images: int64 [k], >= 1.
    """
    rates = errors / images
    first, second = np.triu_indices(len(rates), 1)
    deviates = np.zeros((len(rates), len(rates)))
    deviates[first, second] = equality_z(rates[first], images[first], rates[second], images[second])
    return deviates - deviates.T


def adjusted_p(z: float, n_groups: int) -> float:
    """Chance of a deviate as large as |z| in any pair of n_groups equal groups.

    >>> round(adjusted_p(1.959964, 2), 4), round(adjusted_p(3.0, 7), 4)
    (0.05, 0.0429)
    """
    n_pairs = n_groups * (n_groups - 1) // 2
    bound = min(1.0, n_pairs * 2 * float(ndtr(-abs(z))))
    if bound < _EXACT:
        return bound
    return min(bound, float(studentized_range.sf(abs(z) * math.sqrt(2), n_groups, np.inf)))


@lru_cache(maxsize=512)
def pair_critical(n_groups: int, alpha: float) -> float:
    """Deviate that any pair of n_groups equal groups exceeds with probability alpha."""
    return range_critical(max(n_groups, 2), alpha)


def shrunken_rates(errors: Numbers, images: Numbers) -> tuple[Floats, Floats]:
    """(posterior means, the same spread out again) of k rates that vary around a common one.

    The first is each group's own best guess: of a pair picked because it lies far apart, the difference of
    the posterior means is off by about a third of what the observed one is. The second has the spread of the
    true rates: its range estimates the largest gap. Measured on 600 audits a case: for seven races with a
    true range of 1.5 points the observed range is 2.28 on average and the corrected one 1.46, for one of 5
    points 5.62 and 5.17, for seven equal races 1.52 and 0.48.

    Args:
        errors: int64 [k].
        images: int64 [k], >= 1.

    Returns:
        Two float64 [k], in 0-1.
    """
    rates, common = errors / images, float(errors.sum() / images.sum())
    near = (errors + PRIOR * common) / (images + PRIOR)
    variance = np.maximum(near * (1 - near), 1e-12) / images
    between = _variance_between(rates, variance)
    weight = 1 / (variance + between)
    centre = float((weight * rates).sum() / weight.sum())
    if between == 0:
        equal = np.full(len(rates), centre)
        return equal, equal
    means = centre + between * weight * (rates - centre)
    seen = float(means.var())
    missing = float((between * variance * weight).mean())
    stretch = math.sqrt(1 + missing / seen) if seen > 0 else 1.0
    spread = means.mean() + stretch * (means - means.mean())
    return np.clip(means, 0, 1), np.clip(spread, 0, 1)


def _variance_between(rates: Floats, variance: Floats) -> float:
    """Variance of the true rates, by Paule and Mandel's equation; 0 where chance explains the spread."""

    def excess(between: float) -> float:
        weight = 1 / (variance + between)
        centre = (weight * rates).sum() / weight.sum()
        return float((weight * (rates - centre) ** 2).sum() - (len(rates) - 1))

    if excess(0.0) <= 0:
        return 0.0
    return float(brentq(excess, 0.0, 1.0, xtol=1e-14))
