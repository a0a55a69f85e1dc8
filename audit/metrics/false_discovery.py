"""What a flag means: of the images flagged, the share that is real, for any share of fakes in use.

Enters: error counts of a group, and how common fakes are where the detector will be used. Leaves: the false
discovery rate and its limits.

Why not from the confusion matrix: 1 - precision holds for the test set's own share of fakes, half in matched
pairs. Where one image in a hundred is fake, the same detector's flags fall mostly on real people.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from audit.data.counts import Floats
from audit.inference.proportion_intervals import Bounds, ratio_score


def false_discovery(
    fp: ArrayLike, n_real: ArrayLike, fn: ArrayLike, n_fake: ArrayLike, share: ArrayLike, z: ArrayLike
) -> tuple[Floats, Bounds]:
    """P(real | flagged) by Bayes' theorem, with limits from those of the ratio of the two rates.

    With f = FPR and t = 1 - FNR: f (1 - share) / (f (1 - share) + t share), which grows with f / t; so limits
    of f / t (`audit.inference.proportion_intervals.ratio_score`) are limits of this rate. The halves of a
    pair are taken as independent; where they are alike, the limits are a little too wide.

    Args:
        fp: Real images flagged.
        n_real: Real images.
        fn: Fakes let through.
        n_fake: Fakes.
        share: Share of fakes among the images in use, in 0-1, ends excluded.
        z: Normal quantile.

    Returns:
        The rate in 0-1 and its (low, high); NaN without images of either class, or where nothing is flagged.

    >>> rate, (low, high) = false_discovery(50, 1000, 100, 1000, 0.01, 1.96)
    >>> round(float(rate), 3), round(float(low), 3), round(float(high), 3)
    (0.846, 0.807, 0.878)
    """
    n_real, n_fake = np.asarray(n_real, dtype=float), np.asarray(n_fake, dtype=float)
    share = np.asarray(share, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        flagged, caught = np.asarray(fp) / n_real, 1 - np.asarray(fn) / n_fake
        rate = flagged * (1 - share) / (flagged * (1 - share) + caught * share)
        limits = ratio_score(flagged, n_real, caught, n_fake, z)
        low, high = (1 - 1 / (1 + limit * (1 - share) / share) for limit in limits)
    undefined = np.isnan(rate)
    return rate, (np.where(undefined, np.nan, low), np.where(undefined, np.nan, high))
