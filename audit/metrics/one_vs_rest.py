"""One group against all others of its attribute.

Enters: the counts of all groups of an attribute. Leaves: for every group the measures of REST_MEASURES with
intervals on disjoint counts.

Why these intervals are one at a time: they answer a question about one group named beforehand. Whoever picks
the most striking of them afterwards should read the verdict instead, which accounts for the picking.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audit.data.counts import Counts, Floats, Ints
from audit.inference.effective_sample_size import half_sum_worth, positive_rate_worth
from audit.inference.proportion_intervals import Bounds, newcombe, ratio_score
from audit.metrics.disparity import Kind, group_rates_of

Estimate = tuple[Floats, Bounds]


@dataclass(frozen=True)
class GroupAndRest:
    """k groups and, for each, all the others together."""

    group: Counts
    rest: Counts


def group_and_rest(counts: Counts) -> GroupAndRest:
    """Each group of an attribute, and what remains without it."""
    total = counts.total()
    whole = total.take(np.zeros(len(counts), dtype=np.int64))
    return GroupAndRest(counts, whole.minus(counts))


def fpr_difference_to_rest(split: GroupAndRest, z: float) -> Estimate:
    """FPR_g - FPR_not g, Newcombe's interval; NaN where either side has no real images."""
    return _difference(split.group.fp, split.group.n_real, split.rest.fp, split.rest.n_real, z)


def fnr_difference_to_rest(split: GroupAndRest, z: float) -> Estimate:
    """FNR_g - FNR_not g, Newcombe's interval; NaN where either side has no fakes."""
    return _difference(split.group.fn, split.group.n_fake, split.rest.fn, split.rest.n_fake, z)


def disparate_impact(split: GroupAndRest, z: float) -> Estimate:
    """P(flagged | g) / P(flagged | not g), score interval.

    Zero rule: undefined if nothing is flagged outside the group. Source: Kyllo, Wyman & Thomas 2020.
    """
    p, q = (group_rates_of(side).positive_rate for side in (split.group, split.rest))
    n, m = positive_rate_worth(split.group), positive_rate_worth(split.rest)
    value = np.divide(p, q, out=np.full_like(p, np.nan), where=q > 0)
    return value, ratio_score(p, n, q, m, z)


def average_odds_difference(split: GroupAndRest, z: float) -> Estimate:
    """((FPR_g - FPR_not g) + (TPR_g - TPR_not g)) / 2; NaN unless both split have both classes.

    Source: Kyllo, Wyman & Thomas 2020. Interval: Newcombe's, on the averages (FPR + TPR) / 2.
    """
    p, q = ((side.fpr + 1 - side.fnr) / 2 for side in map(group_rates_of, (split.group, split.rest)))
    n, m = half_sum_worth(split.group), half_sum_worth(split.rest)
    return p - q, newcombe(p, n, q, m, z)


@dataclass(frozen=True)
class RestMeasure:
    """A measure of one group against all others."""

    name: str
    compute: Callable[[GroupAndRest, float], Estimate]
    kind: Kind


REST_MEASURES: dict[str, RestMeasure] = {
    "fpr_difference_to_rest": RestMeasure(
        "FPR, difference to the rest", fpr_difference_to_rest, "difference"
    ),
    "fnr_difference_to_rest": RestMeasure(
        "FNR, difference to the rest", fnr_difference_to_rest, "difference"
    ),
    "disparate_impact": RestMeasure("Disparate impact", disparate_impact, "ratio"),
    "average_odds_difference": RestMeasure("Average odds difference", average_odds_difference, "difference"),
}
"""Every measure of one group against all others, by its key in `audit.json`."""


def _difference(k1: Ints, n1: Ints, k2: Ints, n2: Ints, z: float) -> Estimate:
    p = np.divide(k1, n1, out=np.full(len(k1), np.nan), where=n1 > 0)
    q = np.divide(k2, n2, out=np.full(len(k2), np.nan), where=n2 > 0)
    return p - q, newcombe(p, n1, q, n2, z)
