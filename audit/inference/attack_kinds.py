"""Which kind of fake passes, and how bad is the worst kind for each group? (ISO/IEC 30107-3)

Enters: fakes with their kind (which generator made them), group, and whether they were missed. Leaves:
`KindRate` records, the APCER of every kind in every group, and `WorstKind` records, the largest of them.

Why fakes alone: a kind says how a fake was made. A real image has none, and is no "(missing)" kind either; so
a column that names kinds is broken down here and is refused as an attribute.

Why the worst case and not the mean: whoever attacks chooses the kind. ISO/IEC 30107-3 therefore reports APCER
by kind and the largest of all. Kinds with fewer than min_n fakes in a group are shown and do not set its
worst case, since the largest of many shares of a handful of images is noise.

What holds at 1 - confidence: all kinds of one group together (Bonferroni, since fakes of one photo depend on
each other). So the worst case lies between the largest lower and the largest upper limit.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.config import AuditConfig
from audit.data.counts import Floats, Ints, of_units
from audit.data.groups import Cells, Grouping, whole
from audit.data.unit_totals import unit_totals
from audit.inference.effective_sample_size import fnr_worth
from audit.inference.proportion_intervals import exact
from audit.schema.nullable import Interval
from audit.schema.result import KindRate, WorstKind

LEAST_KINDS = 2
"""With fewer there is nothing to compare, and the FNR of the audit is the APCER of its kind."""


def kind_rates(
    kind: pd.Series,
    missed: NDArray[np.bool_],
    cells: Cells,
    cell: NDArray[np.int16],
    config: AuditConfig,
    unit: Ints | None = None,
    weight: Floats | None = None,
) -> tuple[list[KindRate], list[WorstKind]]:
    """All fakes, then every group with a label of every single attribute.

    Args:
        kind: [n], of each fake; fakes without one take no part.
        missed: bool [n].
        cells: The audited combinations of attributes.
        cell: int16 [n], that of each fake.
        config: For the confidence and min_n.
        unit: int64 [n], what is independent; None where each fake of a kind is.
        weight: float64 [n]; None where each counts once.

    Returns:
        Both lists; empty for fewer than two kinds.
    """
    codes, values = pd.factorize(kind.astype("object"), sort=True)
    if len(values) < LEAST_KINDS:
        return [], []
    known = codes >= 0
    parts = (codes[known].astype(np.int64), missed[known], cell[known])
    unit = None if unit is None else unit[known]
    weight = None if weight is None else weight[known]
    rates: list[KindRate] = []
    worst: list[WorstKind] = []
    names = [str(value) for value in values]
    for grouping in (whole(len(cells)), *cells.groupings()):
        if ":" not in grouping.attribute:
            found = _of_grouping(grouping, names, parts, unit, weight, config)
            rates += found
            worst += [
                _worst([one for one in found if one.group == name], config)
                for name in dict.fromkeys(one.group for one in found)
            ]
    return rates, worst


def _of_grouping(
    grouping: Grouping,
    names: list[str],
    parts: tuple[Ints, NDArray[np.bool_], NDArray[np.int16]],
    unit: Ints | None,
    weight: Floats | None,
    config: AuditConfig,
) -> list[KindRate]:
    codes, missed, cell = parts
    k = len(names)
    key, n_keys = grouping.of_cell[cell].astype(np.int64) * k + codes, len(grouping) * k
    images = np.bincount(key, minlength=n_keys)
    if unit is None and weight is None:
        passed, n = np.bincount(key, weights=missed, minlength=n_keys), images.astype(float)
        worth = n
    else:
        unit = np.arange(len(codes)) if unit is None else unit
        totals = unit_totals(unit, key, n_keys, np.ones(len(codes), dtype=bool), missed, weight)
        counts = of_units(totals)
        passed, n = counts.fn.astype(float), counts.n_fake.astype(float)
        worth = fnr_worth(counts)
    rate = np.divide(passed, n, out=np.full(n_keys, np.nan), where=n > 0)
    low, high = exact(rate, worth, config.alpha / k)
    return [
        KindRate(
            attribute=grouping.attribute,
            group=grouping.names[g],
            kind=names[j],
            n_fake=int(images[g * k + j]),
            apcer=float(rate[g * k + j]),
            interval=(float(low[g * k + j]), float(high[g * k + j])) if n[g * k + j] > 0 else None,
        )
        for g in np.flatnonzero(grouping.known).tolist()
        for j in range(k)
    ]


def _worst(rates: list[KindRate], config: AuditConfig) -> WorstKind:
    """The largest APCER of one group, of the kinds that have enough fakes."""
    enough = [one for one in rates if one.n_fake >= config.min_n and one.interval]
    left_out = [one.kind for one in rates if one not in enough]
    first = rates[0]
    if not enough:
        return WorstKind(
            attribute=first.attribute, group=first.group, kind=None, apcer=math.nan, interval=None,
            left_out=left_out, reason=f"no kind has {config.min_n} fakes in this group",
        )  # fmt: skip
    worst = max(enough, key=lambda one: one.apcer)
    limits = [one.interval for one in enough if one.interval]
    interval: Interval = (max(low for low, _ in limits), max(high for _, high in limits))
    return WorstKind(
        attribute=first.attribute, group=first.group, kind=worst.kind, apcer=worst.apcer,
        interval=interval, left_out=left_out,
    )  # fmt: skip
