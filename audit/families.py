"""What a comparison corrects together: every difference belongs to one family of tests.

Enters: the differences of a comparison. Leaves: the family and the adjusted p-value of each, and how many
bootstrap replicates the families need. Which families there are, and why: `audit.comparison`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from audit.comparison import (
    FAMILIES,
    AucDifference,
    ErrorDifference,
    Family,
    FamilyName,
    GapChange,
)
from audit.config import AuditConfig
from audit.equality import holm
from audit.groups import Grouping
from audit.replicates import SMALLEST_BOOTSTRAPPED, enough_replicates
from audit.result import OVERALL

RATES_TESTED = 2
"""FPR and FNR."""

Difference = AucDifference | ErrorDifference | GapChange


def planned_sizes(groupings: Sequence[Grouping], n_pairs: int) -> dict[FamilyName, int]:
    """Tests in the families that hold gaps, if every group is large enough."""
    single = sum(":" not in grouping.attribute for grouping in groupings)
    return {
        "headline": n_pairs * (1 + RATES_TESTED + RATES_TESTED * single),
        "intersections": n_pairs * RATES_TESTED * (len(groupings) - single),
    }


def replicates(sizes: Mapping[FamilyName, int], config: AuditConfig) -> int:
    """Bootstrap replicates with which the largest of these families can reject."""
    return max(config.n_boot, enough_replicates(max(sizes.values()), config.alpha, SMALLEST_BOOTSTRAPPED))


def family_of_gap(attribute: str) -> FamilyName:
    """The family of the gap of an attribute or intersection."""
    return "intersections" if ":" in attribute else "headline"


def family_of(difference: Difference) -> FamilyName:
    """The family a difference is corrected in."""
    if isinstance(difference, GapChange):
        return family_of_gap(difference.attribute)
    return "headline" if difference.attribute == OVERALL else "groups"


def adjusted(differences: Sequence[Difference]) -> list[dict[str, object]]:
    """Family and adjusted p-value of each difference, in their order."""
    found: dict[int, float] = {}
    for name in FAMILIES:
        members = [i for i, one in enumerate(differences) if family_of(one) == name]
        found.update(zip(members, holm([differences[i].p_value for i in members]), strict=True))
    return [{"family": family_of(one), "adjusted_p_value": found[i]} for i, one in enumerate(differences)]


def families(differences: Sequence[Difference]) -> list[Family]:
    """The families in which a test was made, with their sizes."""
    tested = [family_of(one) for one in differences if not math.isnan(one.p_value)]
    return [
        Family(name=name, what=what, n_tests=tested.count(name))
        for name, what in FAMILIES.items()
        if name in tested
    ]
