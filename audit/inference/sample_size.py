"""How many images would settle an open question.

Enters: rates, tolerance, number of groups. Leaves: images in each group with which four audits in five end
with a verdict, under an assumption that the reader is told.

Why not the images that detect a gap as large as the tolerance: an equal detector is cleared only when the
interval of every pair of groups, noise and all, lies inside the tolerance. With as many images as detect the
gap, two equal groups were cleared in 68 of 100 simulated audits, nine or 85 of them in none; what is planned
here clears them in 77-80 % (`benchmarks/calibration.py`).
"""

from __future__ import annotations

import math

from audit.inference.equality_test import images_for_gap, range_critical
from audit.inference.pairwise import pair_critical
from audit.inference.proportion_intervals import one_sided_z

POWER = 0.8
"""Share of audits of the planned size that come to a verdict."""

POWER_Z = 0.8416
"""Its normal quantile."""

NEAR = 0.25
"""A gap within this share of the tolerance from its edge is near it: no number of images is promised."""


def within_critical(n_groups: int, alpha: float, n_tests: int) -> float:
    """z of the limits that must lie inside the tolerance: for all pairs at once, and right over all tests.

    The second is one-sided and not divided among the pairs, since all of them must be inside
    (`audit.judge.verdicts`).
    """
    return max(pair_critical(n_groups, alpha), one_sided_z(alpha / n_tests))


def images_if_equal(rate: float, n_groups: int, tolerance: float, alpha: float, n_tests: int) -> int:
    """Images in each group with which equal groups are found "within tolerance" in POWER of the audits.

    All pairwise intervals lie inside +-tolerance if the largest |z| among the groups, whose distribution is
    the studentised range's, stays below tolerance / standard error - critical value.

    Args:
        rate: Common rate, smoothed.
        n_groups: All groups of the attribute, the small ones included.
        tolerance: A difference of proportions.
        alpha: 1 - confidence.
        n_tests: Tests of the audit, all of which may be called within tolerance.
    """
    spread = range_critical(n_groups, 1 - POWER)
    return images_for_gap(rate, tolerance, within_critical(n_groups, alpha, n_tests), spread)


def images_if_as_seen(
    rates: tuple[float, float], n_groups: int, tolerance: float, alpha: float, n_tests: int
) -> int | None:
    """Images in each group with which a gap as large as seen falls on its side of the tolerance.

    Args:
        rates: The lowest and the highest rate, smoothed.
        n_groups: All groups of the attribute, the small ones included.
        tolerance: A difference of proportions.
        alpha: 1 - confidence.
        n_tests: Tests of the audit, which either answer is corrected for.

    Returns:
        None where the gap is so near the tolerance that no number is worth giving.
    """
    low, high = rates
    margin = abs(high - low - tolerance)
    if margin < NEAR * tolerance:
        return None
    beyond = high - low > tolerance
    z = pair_critical(n_groups, alpha / n_tests) if beyond else within_critical(n_groups, alpha, n_tests)
    z += POWER_Z if beyond else range_critical(n_groups, 1 - POWER)
    return math.ceil((low * (1 - low) + high * (1 - high)) * (z / margin) ** 2)
