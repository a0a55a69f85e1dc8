"""Every group of an attribute against one reference group, all at once.

Enters: the counts of an attribute's groups and the name of one of them. Leaves: for every other group its FPR
and FNR minus the reference's, with intervals that hold together: for all groups, both rates, all such
attributes.

Why: policies are often written so: no group's rate may exceed that of one group by more than a tolerance.
Asking only these k - 1 questions, and not all k (k - 1) / 2 pairs, makes the intervals narrower.

How wide: all differences share the reference group, so they are correlated, by sqrt(l_g l_h) where l_g is the
reference's share of the variance of difference g. The critical value is that of the largest of such normal
variables (Dunnett's two-sided many-to-one comparison with unequal sizes and infinite degrees of freedom), and
the limits are those of the skewness-corrected score (`audit.inference.two_proportions`) at it: Newcombe's
held in 87 of 100 audits of 5,000 images and six groups of 60 at 1 % and 0.5 %. Variances are taken at
smoothed rates, away from 0 and 1. Both rates and all attributes with a reference are one family (Bonferroni):
a policy asks whether any group exceeds its reference anywhere.

Sources: Dunnett 1955, JASA 50:1096-1121; Dunnett 1964, Biometrics 20:482-491 (tables); Hochberg & Tamhane
1987, Multiple Comparison Procedures (the integral over the common part, appendix 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from audit.config import AuditConfig
from audit.data.counts import Counts, Floats, Ints, Numbers
from audit.data.groups import Grouping
from audit.errors import GroupError
from audit.inference.effective_sample_size import fnr_worth, fpr_worth
from audit.inference.proportion_intervals import z_value
from audit.inference.two_proportions import difference_limits
from audit.judge.gap_records import eligible, tolerance_check
from audit.metrics.disparity import Needs, group_rates_of
from audit.schema.nullable import Interval
from audit.schema.result import Gap, RateName
from audit.task import task_named

REFERENCE_MEASURES: Mapping[RateName, str] = {
    "fpr": "fpr_difference_to_reference",
    "fnr": "fnr_difference_to_reference",
}
"""Rate to the key of its difference in `audit.json`."""

_SIDES: Mapping[RateName, Needs] = {"fpr": "real", "fnr": "fake"}
"""Rate to the class whose images it is a share of."""

_COMMON = np.linspace(0, 8.5, 2_001)
"""Where the common part of the differences is integrated, in its standard deviations; it is symmetric."""


def check_references(groupings: Sequence[Grouping], references: Mapping[str, str]) -> dict[str, str]:
    """Refuse a reference whose attribute is not audited or whose group does not occur.

    Returns:
        The references as the groups are spelled, where they differ in capitals alone.

    Raises:
        GroupError: Naming it and what there is instead.
    """
    single = {grouping.attribute: grouping for grouping in groupings if ":" not in grouping.attribute}
    spelled: dict[str, str] = {}
    for attribute, group in references.items():
        if attribute not in single:
            raise GroupError(
                f"reference {attribute}={group}: '{attribute}' is not audited; audited are "
                + ", ".join(single)
            )
        grouping = single[attribute]
        names = [name for name, known in zip(grouping.names, grouping.known, strict=True) if known]
        alike = [name for name in names if name.casefold() == group.casefold()]
        if group not in names and len(alike) != 1:
            raise GroupError(
                f"reference {attribute}={group}: there is no group '{group}'; the groups of {attribute} are "
                + ", ".join(names)
            )
        spelled[attribute] = group if group in names else alike[0]
    return spelled


def many_to_one_critical(shares: Floats, alpha: float) -> float:
    """z that the largest |z_g| of k correlated standard normal variables exceeds with probability alpha.

    Args:
        shares: float64 [k], k >= 1, each in 0-1: the reference's share of the variance of each difference.
            Variables g and h correlate by sqrt(shares[g] * shares[h]).
        alpha: 1 - confidence.

    >>> [round(many_to_one_critical(np.full(k, 0.5), 0.05), 2) for k in (1, 2, 6)]
    [1.96, 2.21, 2.57]
    """
    density = np.exp(-(_COMMON**2) / 2)
    density[0] /= 2
    density /= density.sum()
    shift = np.sqrt(shares)[:, None] * _COMMON
    own = np.sqrt(np.maximum(1 - shares, 1e-6))[:, None]

    def inside(z: float) -> float:
        within = ndtr((z - shift) / own) - ndtr((-z - shift) / own)
        return float((density * within.prod(axis=0)).sum()) - (1 - alpha)

    single, bonferroni = z_value(1 - alpha), float(-ndtri(alpha / (2 * len(shares))))
    return float(brentq(inside, single - 0.01, bonferroni + 0.01))


def reference_limits(
    k: Numbers, n: Numbers, reference: int, alpha: float
) -> tuple[Floats, tuple[Floats, Floats]]:
    """(differences, (low, high)) of the rates of all other groups minus the reference's, simultaneous.

    Args:
        k: int64 [g], errors of each group, g >= 2.
        n: int64 [g], images of each group, >= 1.
        reference: Position of the reference group, which is left out of the answer.
        alpha: 1 - confidence, for all differences together.
    """
    near = (k + 2) / (n + 4)
    variance = near * (1 - near) / n
    others = np.delete(np.arange(len(n)), reference)
    shares = variance[reference] / (variance[reference] + variance[others])
    z = many_to_one_critical(shares, alpha)
    rate = k / n
    limits = difference_limits(rate[others], n[others], rate[reference], n[reference], z)
    return rate[others] - rate[reference], limits


def n_reference_questions(cells: Counts, groupings: Sequence[Grouping], config: AuditConfig) -> int:
    """Rates of attributes whose groups are compared with a reference: all their intervals are one family."""
    n = 0
    for grouping in groupings:
        group = config.references.get(grouping.attribute)
        if group is None:
            continue
        counts, reference = cells.merge(grouping.of_cell, len(grouping)), grouping.names.index(group)
        for side in _SIDES.values():
            enough = eligible(counts, grouping, side, config.min_n)
            n += bool(enough[reference] and enough.sum() > 1)
    return n


def reference_gaps(grouping: Grouping, counts: Counts, config: AuditConfig, n_questions: int) -> list[Gap]:
    """Each group minus the reference group of this attribute, if one was named; FPR first.

    The intervals hold together with those of all n_questions rates and attributes (`n_reference_questions`).

    Groups of fewer than `min_n` images of the class get their difference and no interval, and none of the
    others' intervals is wider for them.
    """
    group = config.references.get(grouping.attribute)
    if group is None:
        return []
    alpha = config.alpha / max(n_questions, 1)
    return [gap for rate in REFERENCE_MEASURES for gap in _gaps(grouping, counts, config, group, rate, alpha)]


def _gaps(
    grouping: Grouping, counts: Counts, config: AuditConfig, group: str, rate: RateName, alpha: float
) -> list[Gap]:
    n = fpr_worth(counts) if rate == "fpr" else fnr_worth(counts)
    k = np.nan_to_num(getattr(group_rates_of(counts), rate)) * n
    enough = eligible(counts, grouping, _SIDES[rate], config.min_n)
    reference = grouping.names.index(group)
    limits = _limits(k, n, np.flatnonzero(enough), reference, alpha)
    gaps = []
    for g in np.flatnonzero(grouping.known):
        if g == reference:
            continue
        value = float(k[g] / n[g] - k[reference] / n[reference]) if n[g] and n[reference] else math.nan
        interval = limits.get(int(g))
        gaps.append(
            Gap(
                attribute=grouping.attribute,
                measure=REFERENCE_MEASURES[rate],
                value=value,
                interval=interval,
                reason=None if interval else _reason(bool(enough[reference]), config),
                groups=[grouping.names[g], group],
                tolerance_check=tolerance_check("difference", interval, config),
            )
        )
    return gaps


def _limits(k: Floats, n: Floats, chosen: Ints, reference: int, alpha: float) -> dict[int, Interval]:
    """Position of each other group that is large enough to its interval."""
    if reference not in chosen or len(chosen) < 2:
        return {}
    position = int(np.flatnonzero(chosen == reference)[0])
    _, (low, high) = reference_limits(k[chosen], n[chosen], position, alpha)
    others = np.delete(chosen, position)
    return {int(g): (float(a), float(b)) for g, a, b in zip(others, low, high, strict=True)}


def _reason(reference_enough: bool, config: AuditConfig) -> str:
    task = task_named(config.task)
    which = "this group" if reference_enough else "the reference group"
    return f"{which} has fewer than {config.min_n} {task.items} of the class concerned"
