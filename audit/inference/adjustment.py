"""The difference of two proportions at equal value of a third thing: Mantel and Haenszel's pooled difference.

Enters: errors and images of two groups in every stratum. Leaves: one difference and its variance.

Why pooled with these weights: a stratum counts by n1 n0 / (n1 + n0), so one that holds a single image of
either group adds nothing but noise in that measure, and one without either group drops out by itself. The
estimate holds up with many thin strata as well as with few full ones.

What it is where the gap differs from stratum to stratum: the mean of the gaps under those weights. The
variance supposes one gap in all strata; where they differ strongly, 95 % intervals were seen to cover it in
94 to 99 of 100 simulated audits (five strata, 200 images or more in each, gaps from -5 to 55 points).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from audit.data.counts import Floats


def risk_difference(errors: ArrayLike, images: ArrayLike) -> tuple[Floats, Floats]:
    """Pooled difference of the rates of two groups over strata, first minus second.

    With a errors among n1 images of the first group, b among n0 of the second, N = n1 + n0, per stratum:

        difference d = sum((a n0 - b n1) / N) / sum(n1 n0 / N)
        variance     = (d sum P + sum Q) / sum(n1 n0 / N)^2
        P = (n1^2 b - n0^2 a + n1 n0 (n0 - n1) / 2) / N^2
        Q = (a (n0 - b) + b (n1 - a)) / (2 N)

    Args:
        errors: Counts [..., k strata, 2 groups]; leading axes are replicates.
        images: Counts of the same shape (or one that broadcasts), zeros allowed.

    Returns:
        (difference in -1 to 1, its variance), each [...]; NaN where no stratum holds images of both groups.

    Sources: the estimate, Cochran 1954, Biometrics 10:417-451, and Mantel & Haenszel 1959, JNCI 22:719-748;
    the variance, Sato 1989, Biometrics 45:1323-1324, consistent for few large strata and for many thin ones.

    >>> difference, variance = risk_difference([[8, 5], [22, 16]], [[106, 120], [98, 85]])
    >>> round(float(difference), 4), round(float(variance) ** 0.5, 4)
    (0.0349, 0.0319)
    """
    n1, n0 = np.moveaxis(np.asarray(images, dtype=float), -1, 0)
    a, b = np.moveaxis(np.asarray(errors, dtype=float), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(n1 + n0 > 0, 1 / (n1 + n0), 0.0)
        weight = (n1 * n0 * share).sum(axis=-1)
        difference = ((a * n0 - b * n1) * share).sum(axis=-1) / weight
        p = (n1**2 * b - n0**2 * a + n1 * n0 * (n0 - n1) / 2) * share**2
        q = (a * (n0 - b) + b * (n1 - a)) * share / 2
        variance = (difference * p.sum(axis=-1) + q.sum(axis=-1)) / weight**2
    return difference, np.maximum(variance, 0.0)
