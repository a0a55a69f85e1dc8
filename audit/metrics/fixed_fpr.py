"""How many fakes of each group pass where all groups together are held to one FPR?

Enters: the curves of all images and of each group. Leaves: `FnrAtFpr` records: the FNR of every group at the
one threshold that holds the FPR of all reals to 1, 5 or 10 %, with an interval.

Why one threshold for all: that is how a detector is deployed. A group's own curve at its own FPR
(`apcer_at_bpcer` of its measures) asks what a threshold of its own would give, and hides the shift of scores
that accuses or spares the group.

Why the interval is wider than that of a rate: the threshold was found on the same reals, and another sample
would have put it elsewhere. So the interval joins two parts (MOVER, Zou & Donner 2008): Wilson's for the
group's fakes at this threshold, and the FNR at the lowest and the highest threshold whose observed FPR is
compatible with the level (score test). No density of scores has to be estimated, and ties do no harm.

Units and weights enter as the number of independent images each rate is worth. The two parts are taken as
independent: where the halves of a pair score alike, as they nearly always do, that is on the safe side.

What holds at 1 - confidence: the interval of one group at one level.

Sources: ISO/IEC 19795-10 and ISO/IEC 30107-3 (APCER at a fixed BPCER); Zou & Donner 2008, Statistics in
Medicine 27:1693-1702.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.config import AuditConfig
from audit.data.counts import Counts, Floats, count
from audit.data.groups import Grouping
from audit.data.score_table import ScoreTable
from audit.inference.effective_sample_size import fnr_worth, fpr_worth
from audit.inference.proportion_intervals import wilson, z_value
from audit.metrics.curves_by_group import CurveSummary, ScoreMeasures
from audit.metrics.error_curves import ROUNDING, WORKING_POINTS, ErrorCurve
from audit.schema.result import FnrAtFpr

Thresholds = tuple[float, float, float]


@dataclass(frozen=True)
class FixedFpr:
    """The threshold that holds the FPR of all reals to one level.

    Attributes:
        level: In 0-1.
        thresholds: The lowest compatible with the level, the one observed, the highest.
        cells: Outcomes at the one observed.
    """

    level: float
    thresholds: Thresholds
    cells: Counts


def fixed_fprs(table: ScoreTable, overall: ErrorCurve, config: AuditConfig) -> list[FixedFpr]:
    """The thresholds of all levels; none where a class is missing.

    Args:
        table: N images.
        overall: The curve of all of them.
        config: For the confidence.
    """
    if not overall.two_sided:
        return []
    z, found = z_value(config.confidence), []
    for level in WORKING_POINTS.values():
        at = _at(overall, level)
        cells = count(table, at)
        low, high = thresholds_at(overall, level, float(fpr_worth(cells.total())[0]), z)
        found.append(FixedFpr(level, (low, at, high), cells))
    return found


def fnr_at_fixed_fpr(
    levels: Sequence[FixedFpr],
    measured: Sequence[tuple[Grouping, Sequence[ScoreMeasures]]],
    config: AuditConfig,
) -> list[FnrAtFpr]:
    """Every group with a label and fakes, level by level.

    Args:
        levels: From `fixed_fprs`.
        measured: Groupings with what their groups show; the thresholds of `levels`, one after the other, were
            the limits of its axes. Intersections are passed over.
        config: For the confidence.
    """
    z, found = z_value(config.confidence), []
    for number, level in enumerate(levels):
        for grouping, groups in measured:
            if ":" in grouping.attribute:
                continue
            worth = fnr_worth(level.cells.merge(grouping.of_cell, len(grouping)))
            found += [
                _record(grouping, g, _rates(groups[g].curve, number), float(worth[g]), level, z)
                for g in np.flatnonzero(grouping.known).tolist()
                if groups[g].curve.n_fake > 0
            ]
    return found


def _rates(curve: CurveSummary, number: int) -> tuple[Floats, float]:
    """FNR of one group at the three thresholds of a level, and its fakes."""
    assert curve.fn_at_limits is not None
    missed = curve.fn_at_limits[3 * number : 3 * number + 3]
    return np.asarray(missed / curve.n_fake), curve.n_fake


def _at(curve: ErrorCurve, level: float) -> float:
    """The lowest threshold whose FPR is at most `level`."""
    return float(curve.threshold(curve.first(lambda fpr, fnr: fpr <= level + ROUNDING)))


def thresholds_at(curve: ErrorCurve, level: float, worth: float, z: float) -> tuple[float, float]:
    """The lowest and the highest threshold whose true FPR may be `level`.

    Those at which the score test does not reject a true FPR of `level` at z.

    Args:
        curve: Of all images.
        level: FPR in 0-1.
        worth: Independent reals the FPR is worth.
        z: Normal quantile.
    """
    reach = z * math.sqrt(level * (1 - level) / worth)
    lowest = _at(curve, level + reach)
    below = curve.first(lambda fpr, fnr: fpr < level - reach - 1e-12)
    return lowest, float(curve.threshold(min(below, len(curve) - 1)))


def _record(
    grouping: Grouping, g: int, rates: tuple[Floats, float], worth: float, level: FixedFpr, z: float
) -> FnrAtFpr:
    (low_part, rate, high_part), n_fake = rates[0].tolist(), rates[1]
    low, high = (float(limit) for limit in wilson(rate, worth, z))
    return FnrAtFpr(
        attribute=grouping.attribute,
        group=grouping.names[g],
        level=level.level,
        threshold=level.thresholds[1],
        n_fake=round(n_fake),
        fnr=rate,
        interval=(
            max(0.0, rate - math.hypot(rate - low, rate - low_part)),
            min(1.0, rate + math.hypot(high - rate, high_part - rate)),
        ),
    )
