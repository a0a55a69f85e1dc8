"""What a verdict judges of two rates: their difference, their ratio, or the ratio of the shares that pass.

Enters: error rates of k groups and the images they are worth. Leaves: for every pair how far apart the two
are as seen, and a deviate that says whether the truth lies beyond what is tolerated.

    difference: rate_g - rate_h against a tolerance, 2 percentage points unless said otherwise.
    ratio: rate_g / rate_h against a tolerated ratio, 1.25 unless said otherwise.
    four-fifths: the favourable outcome, a real image that passes: (1 - rate_g) / (1 - rate_h) against 0.8.

Why all three share the test of equality and the naming of pairs: two rates differ, or they do not; only how
far is a matter of the criterion. At equality the deviates of difference and ratio are the same
(`audit.inference.two_proportions`), so that no criterion names a pair that another clears of any inequality.

Source of the four fifths: Uniform Guidelines on Employee Selection Procedures, 29 CFR 1607.4 (D), 1978.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from audit.config import AuditConfig, CriterionName
from audit.data.counts import Floats, Numbers
from audit.inference.two_proportions import difference_limits, difference_z, ratio_limits, ratio_z

FOUR_FIFTHS = 0.8
"""Least ratio of the shares that pass; fixed by the rule."""


@dataclass(frozen=True)
class Criterion:
    """One way to judge how far two rates lie apart.

    Attributes:
        name: Which.
        limit: What is tolerated: a difference in 0-1; a ratio of the higher to the lower rate, above 1; for
            four-fifths, of the higher to the lower share that passes: 1.25.
    """

    name: CriterionName
    limit: float

    def apart(self, rates: Floats) -> Floats:
        """[k, k], by how much g is worse than h, to be held against the limit; infinite beside a 0."""
        g, h = rates[:, None], rates[None, :]
        if self.name == "difference":
            return g - h
        above, below = (g, h) if self.name == "ratio" else (1 - h, 1 - g)
        shape = np.broadcast_shapes(above.shape, below.shape)
        above, below = np.broadcast_to(above, shape), np.broadcast_to(below, shape)
        beside_none = np.where(above > 0, np.inf, 1.0)
        return np.divide(above, below, out=beside_none, where=below > 0)

    def rank(self, errors: Numbers, images: Numbers) -> Floats:
        """[k, k], the same to choose the pair furthest apart: finite, for 0 errors are no infinity."""
        if self.name == "difference":
            return self.apart(errors / images)
        return np.log(self.apart((errors + 0.5) / (images + 1)))

    def deviates_beyond(self, errors: Numbers, images: Numbers) -> Floats:
        """[k, k], normal deviate of how much worse g is than h, if in truth by exactly the limit."""
        rates, n = errors / images, np.asarray(images, dtype=float)
        g, h, n_g, n_h = rates[:, None], rates[None, :], n[:, None], n[None, :]
        if self.name == "difference":
            return difference_z(self.limit, g, n_g, h, n_h)
        if self.name == "ratio":
            return ratio_z(self.limit, g, n_g, h, n_h)
        return ratio_z(self.limit, 1 - h, n_h, 1 - g, n_g)

    def limits(
        self, worse: tuple[float, float], better: tuple[float, float], z: float
    ) -> tuple[float, float]:
        """Limits of what is held against the limit, of one pair.

        Args:
            worse: Rate of g and the images it is worth.
            better: Rate of h and the images it is worth.
            z: Normal quantile.
        """
        (p, n), (q, m) = worse, better
        if self.name == "difference":
            low, high = difference_limits(p, n, q, m, z)
        elif self.name == "ratio":
            low, high = ratio_limits(p, n, q, m, z)
        else:
            low, high = ratio_limits(1 - q, m, 1 - p, n, z)
        return float(low), float(high)

    def planned_as(self, rate: float) -> float:
        """The difference of two rates near `rate` that is as large as the limit, for planning.

        To first order a ratio T of two proportions near p is a difference of p log T.
        """
        if self.name == "difference":
            return self.limit
        return (rate if self.name == "ratio" else 1 - rate) * math.log(self.limit)


def criterion_of(config: AuditConfig) -> Criterion:
    """The criterion with what it tolerates; of a range of ratios the stricter end."""
    low, high = config.ratio_tolerance
    limits: dict[CriterionName, float] = {
        "difference": config.tolerance,
        "ratio": min(high, 1 / low),
        "four-fifths": 1 / FOUR_FIFTHS,
    }
    return Criterion(config.criterion, limits[config.criterion])
