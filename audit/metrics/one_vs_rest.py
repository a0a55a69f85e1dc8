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

from audit.data.counts import Counts, Floats
from audit.inference.effective_sample_size import (
    fnr_worth,
    fpr_worth,
    half_sum_worth,
    positive_rate_worth,
)
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
    return GroupAndRest(counts, counts.rest())


def fpr_difference_to_rest(split: GroupAndRest, z: float) -> Estimate:
    """FPR_g - FPR_not g, Newcombe's interval; NaN where either side has no real images."""
    return _difference(_fpr(split.group), _fpr(split.rest), z)


def fnr_difference_to_rest(split: GroupAndRest, z: float) -> Estimate:
    """FNR_g - FNR_not g, Newcombe's interval; NaN where either side has no fakes."""
    return _difference(_fnr(split.group), _fnr(split.rest), z)


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


RateAndWorth = tuple[Floats, Floats]


def _fpr(counts: Counts) -> RateAndWorth:
    return group_rates_of(counts).fpr, fpr_worth(counts)


def _fnr(counts: Counts) -> RateAndWorth:
    return group_rates_of(counts).fnr, fnr_worth(counts)


def _difference(one: RateAndWorth, other: RateAndWorth, z: float) -> Estimate:
    (p, n), (q, m) = one, other
    return p - q, newcombe(p, n, q, m, z)
