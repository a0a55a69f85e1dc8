"""Area under the ROC curve with DeLong's standard error, for one detector or several on the same images.

Enters: scores of one group in ascending order. Leaves: AUC, and every image's influence on it, from which
variances and covariances are sums.

Why the halves of a pair are summed before squaring: DeLong's variance takes the images as independent. A
real face and its fake show one person and their scores go together, so the pair is the independent unit
(Obuchowski's clustered form of the same variance). Without pairs it is DeLong's, to the last digit.

Why the interval is not AUC +- z * se: at AUC = 1 that is the single point 1. The standard error is turned
into the number of images a proportion of this size would need for it, and Wilson's interval is taken.

Sources: DeLong et al. 1988, Biometrics 44:837-845; Obuchowski 1997, Biometrics 53:567-578; upper bound of the
variance: Birnbaum & Klose 1957, Annals of Mathematical Statistics 28:933-945.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from audit.data.counts import Floats
from audit.inference.proportion_intervals import wilson

FEW = 3
"""Expected images on the wrong side below which their variance is not believed."""


def auc_influence(score: Floats, fake: NDArray[np.bool_]) -> tuple[float, Floats]:
    """AUC and the influence of each image on it.

    AUC = P(score of a fake > score of a real image) + P(equal) / 2.

    Args:
        score: float64 [n], ascending.
        fake: bool [n], both values present.

    Returns:
        AUC in 0-1, and float64 [n] whose sum of squares is DeLong's variance (NaN where a class has one
        image: no variance can be estimated from it).
    """
    new = np.r_[True, score[1:] != score[:-1]]
    block = np.cumsum(new) - 1
    fakes = np.bincount(block, weights=fake)
    reals = np.bincount(block, weights=~fake)
    n_fake, n_real = fakes.sum(), reals.sum()
    beaten = (np.cumsum(reals) - reals / 2) / n_real  # by a fake with this score
    lost = (n_fake - np.cumsum(fakes) + fakes / 2) / n_fake  # fakes that beat a real with this score
    auc = float((beaten * fakes).sum() / n_fake)
    placement = np.where(fake, beaten[block], lost[block]) - auc
    with np.errstate(divide="ignore", invalid="ignore"):
        scale_fake, scale_real = 1 / np.sqrt(n_fake * (n_fake - 1)), 1 / np.sqrt(n_real * (n_real - 1))
        influence = placement * np.where(fake, scale_fake, scale_real)
    return auc, influence if min(n_fake, n_real) > 1 else np.full(len(score), np.nan)


def auc_interval(auc: float, variance: float, n_real: int, n_fake: int, z: float) -> tuple[float, float]:
    """Wilson's interval for a proportion AUC worth AUC (1 - AUC) / variance images.

    That number is never taken smaller than the rarer class, which Birnbaum and Klose's bound on the variance
    allows, and is exactly that where the variance cannot be estimated (AUC of 0 or 1, one image). Where fewer
    than FEW images of the rarer class are on the wrong side, it is never taken larger than all images: a
    variance estimated from a handful of misplaced images is too small more often than not.
    """
    if math.isnan(auc):
        return math.nan, math.nan
    floor = min(n_real, n_fake)
    worth = auc * (1 - auc) / variance if variance > 0 else floor
    if floor * min(auc, 1 - auc) < FEW:
        worth = min(worth, n_real + n_fake)
    low, high = wilson(auc, max(worth, floor), z)
    return float(low), float(high)
