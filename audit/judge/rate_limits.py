"""Does any rate exceed what is allowed? Overall and in every group, by upper limits that hold together.

Enters: counts, and the largest rates allowed. Leaves: `RateLimit`s, which `audit.judge.gates` reads.

Why upper limits and not the rates as seen: a gate is to let through what is shown to keep the limit, and few
images show little. Why together: the worst group is picked from many, so the limit beside it must allow for
all of them (Bonferroni over all groups, both rates and the overall ones).

Why single attributes alone: cells of three attributes hold a few dozen images, whose upper limits no detector
keeps.

Source of the limit: Clopper & Pearson 1934, Biometrika 26:404-413: exact, so that it holds for rare errors;
where images share units, for as many independent images as they are worth (Korn & Graubard 1998).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import betaincinv

from audit.config import AuditConfig
from audit.data.counts import Counts
from audit.data.groups import Grouping
from audit.inference.effective_sample_size import fnr_worth, fpr_worth
from audit.metrics.disparity import group_rates_of
from audit.schema.gates import RateLimit
from audit.schema.result import OVERALL, RateName


@dataclass(frozen=True)
class _Row:
    """One rate of one group, before judgement; `worth` independent images."""

    rate: RateName
    attribute: str
    group: str
    limit: float
    value: float
    worth: float
    errors: int
    images: int
    judged: bool


def upper_limit(rate: float, worth: float, alpha: float) -> float:
    """The rate that is exceeded in truth with probability alpha at most; NaN without images.

    Args:
        rate: As seen, in 0-1.
        worth: Independent images it is worth; need not be whole.
        alpha: Chance of being wrong, in 0-1.

    >>> round(upper_limit(0.0, 100, 0.05), 4)
    0.0295
    """
    if not worth > 0:
        return math.nan
    errors = rate * worth
    return 1.0 if errors >= worth else float(betaincinv(errors + 1, worth - errors, 1 - alpha))


def rate_limits(cells: Counts, groupings: Sequence[Grouping], config: AuditConfig) -> list[RateLimit]:
    """Hold the overall rate and every group's to the limits of the configuration; none without a limit.

    Args:
        cells: Counts at the threshold.
        groupings: Of the cells; intersections are passed over.
        config: `max_fpr`, `max_fnr`, confidence, `min_n`.
    """
    allowed: dict[RateName, float | None] = {"fpr": config.max_fpr, "fnr": config.max_fnr}
    single = [grouping for grouping in groupings if ":" not in grouping.attribute]
    rows: list[_Row] = []
    for rate, limit in allowed.items():
        if limit is None:
            continue
        rows += _rows(rate, limit, OVERALL, [OVERALL], cells.total(), [True])
        for grouping in single:
            counts = cells.merge(grouping.of_cell, len(grouping))
            enough = counts.enough(config.min_n)[rate == "fnr"] & grouping.known
            rows += _rows(rate, limit, grouping.attribute, grouping.names, counts, enough.tolist())
    alpha = config.alpha / max(sum(row.judged for row in rows), 1)
    return [_judged(row, alpha) for row in rows]


def _rows(
    rate: RateName, limit: float, attribute: str, names: Sequence[str], counts: Counts, judged: Sequence[bool]
) -> list[_Row]:
    values = getattr(group_rates_of(counts), rate)
    worth = fpr_worth(counts) if rate == "fpr" else fnr_worth(counts)
    images = counts.images[:, [1, 0]] if rate == "fpr" else counts.images[:, [3, 2]]
    return [
        _Row(rate, attribute, name, limit, float(values[g]), float(worth[g]), int(images[g, 0]),
             int(images[g, 1]), judged[g])
        for g, name in enumerate(names)
    ]  # fmt: skip


def _judged(row: _Row, alpha: float) -> RateLimit:
    upper = upper_limit(row.value, row.worth, alpha) if row.judged else math.nan
    return RateLimit(
        rate=row.rate,
        attribute=row.attribute,
        group=row.group,
        limit=row.limit,
        value=row.value,
        errors=row.errors,
        images=row.images,
        upper=upper,
        holds=upper <= row.limit if row.judged else None,
    )
