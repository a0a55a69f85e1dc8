"""Two parts of a table: one on which cures are fitted and chosen, one on which the chosen one is judged.

Enters: a table and the share to fit on. Leaves: two checked tables that share no pair and no unit.

Why the same hash as for threshold rules (`audit.metrics.operating_point.calibration_rows`): images on which a
rule fixed the threshold then lie in the fitting part, so that the judging part has chosen nothing at all.

Why one real and one fake image of each unit: the paired tests of `audit.mitigation.trial` take images for
independent. Those of `audit compare` have a form for units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.config import AuditConfig
from audit.data.groups import Grouping
from audit.data.sampling_units import one_of_each
from audit.data.score_table import ScoreTable, score_table
from audit.errors import MitigationError
from audit.metrics.operating_point import calibration_rows
from audit.schema.result import RateName

RATES: tuple[RateName, ...] = ("fpr", "fnr")


@dataclass(frozen=True)
class Plan:
    """How a cure is looked for.

    Attributes:
        fit_share: Share of the units on which it is fitted and chosen, in 0-1; the others judge it.
        margin: By how much the mean of FPR and FNR may rise at most, a difference of proportions in 0-1.
    """

    fit_share: float = 0.5
    margin: float = 0.02

    def check(self) -> Plan:
        """Return self if it is possible.

        Raises:
            MitigationError: Naming every faulty option at once.
        """
        faults = [
            f"{name} is {given!r}; it must be a number, such as {usual}"
            for name, given, usual in (("fit_share", self.fit_share, 0.5), ("margin", self.margin, 0.02))
            if not isinstance(given, Real) or isinstance(given, bool)
        ]
        if faults:
            raise MitigationError("; ".join(faults))
        if not 0.1 <= self.fit_share <= 0.9:
            faults.append(f"fit share {self.fit_share} is not in 0.1-0.9: both parts need images")
        if not 0 <= self.margin < 0.5:
            faults.append(f"margin {self.margin} is not in 0-0.5")
        if faults:
            raise MitigationError("; ".join(faults))
        return self


@dataclass(frozen=True)
class Parts:
    """The two parts.

    Attributes:
        fit: Cures are fitted and chosen on it.
        judge: The chosen one is judged on it, once.
        n_left_out: Images left out because another of their unit and class is kept.
    """

    fit: ScoreTable
    judge: ScoreTable
    n_left_out: int


def split(frame: pd.DataFrame, config: AuditConfig, share: float) -> Parts:
    """Deal pairs and units, whole, to the two parts.

    Args:
        frame: One row an image, columns as in `config`.
        config: Options in the table's own spelling.
        share: Of the units that fit, in 0-1.

    Raises:
        MitigationError: A part has no real images, no fakes, or nothing to compare.
        ScoreTableError: The table cannot be audited.
    """
    table = score_table(frame, config, split=True)
    fitting = calibration_rows(table, share, config.seed)
    alone = replace(config, unit_column=None, weight_column=None)
    tables, n_left_out = [], 0
    for rows in (fitting, ~fitting):
        part, n = one_of_each(frame[rows], config)
        _refuse_one_class(part, table.fake[rows])
        tables.append(score_table(part, alone, split=True))
        n_left_out += n
    parts = Parts(tables[0], tables[1], n_left_out)
    _refuse_too_small(parts, config)
    return parts


def singles(table: ScoreTable) -> list[Grouping]:
    """The single attributes of a table."""
    return [table.cells.grouping([position]) for position in range(len(table.cells.attributes))]


def members(table: ScoreTable, grouping: Grouping) -> NDArray[np.int32]:
    """int32 [N], the group of each image."""
    return grouping.of_cell[table.cell]


def compared(table: ScoreTable, grouping: Grouping, rate: RateName, min_n: int) -> NDArray[np.bool_]:
    """bool [k]: groups with a known label and enough images of the class that the rate is about."""
    rows = table.fake == (rate == "fnr")
    n = np.bincount(members(table, grouping)[rows], minlength=len(grouping))
    return np.asarray(grouping.known & (n >= max(min_n, 1)))


def not_compared(parts: Parts, min_n: int) -> list[str]:
    """Attributes of which neither rate has two groups large enough in both parts."""
    return [
        attribute
        for position, attribute in enumerate(parts.fit.cells.attributes)
        if _most_compared(parts, position, min_n) < 2
    ]


def _most_compared(parts: Parts, position: int, min_n: int) -> int:
    """Groups of an attribute that are large enough in both parts, for the better of the two rates."""
    both = (parts.fit, parts.judge)
    return max(min(_n_compared(table, position, rate, min_n) for table in both) for rate in RATES)


def _refuse_one_class(part: pd.DataFrame, fake: NDArray[np.bool_]) -> None:
    """Of a table of one class `audit.runs.mitigate_run` says so before."""
    if len(part) == 0 or fake.all() or not fake.any():
        raise MitigationError(
            "the table is too small to split: a cure is fitted on one part and judged on another, and both "
            f"need real and fake images; give more images than these {len(part)} in a part, or change "
            "--fit-share"
        )


def _refuse_too_small(parts: Parts, config: AuditConfig) -> None:
    """See that some attribute has two groups large enough in both parts."""
    attributes = parts.fit.cells.attributes
    found = [_most_compared(parts, position, config.min_n) for position in range(len(attributes))]
    if max(found, default=0) >= 2:
        return
    n_groups = [
        len(part.cells.grouping([position]))
        for part in (parts.fit, parts.judge)
        for position in range(len(attributes))
    ]
    if max(n_groups, default=0) < 2:
        raise MitigationError(
            f"all images have the same {' and the same '.join(attributes)}: there is no gap to narrow; give "
            "images of two groups or more, or another --attribute"
        )
    told = [f"{attribute} has {n}" for attribute, n in zip(attributes, found, strict=True)]
    raise MitigationError(
        f"the table is too small to split: no attribute has two groups of at least {config.min_n} images of "
        f"a class in both the fitting and the judging part ({_listed(told)}); give more images, or coarser "
        "groups with --bins"
    )


def _n_compared(table: ScoreTable, position: int, rate: RateName, min_n: int) -> int:
    return int(compared(table, table.cells.grouping([position]), rate, min_n).sum())


def _listed(told: Sequence[str]) -> str:
    return ", ".join(told) if told else "there is no attribute"
