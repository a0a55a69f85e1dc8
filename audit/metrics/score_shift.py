"""Does a group's scores lie higher than those of all others, whatever the threshold?

Enters: a score table. Leaves: a `ScoreShift` for every group of every single attribute, real faces and fakes
apart: how often an image of the group scores higher than one of the others, with an interval.

Why a probability and not a difference of means: scores have no unit that two detectors share, and a monotone
change of them (a logit, a calibration) must not change the answer. 0.5 is no shift; 0.6 among real faces
means that of two drawn at random, one from the group and one from the others, the group's looks more fake in
60 of 100 draws.

How: A = P(group > others) + P(equal) / 2, with the variance of its two samples' placements (Brunner & Munzel,
which is DeLong's for the AUC), summed within units before squaring and weighted where images are. The
critical value is Student's with the degrees of freedom of those variances; near 0 and 1 the interval is that
of the AUC.

What holds at 1 - confidence: all intervals of an audit together, over groups, both classes and all single
attributes (Sidak), so that any group may be picked for lying far from 0.5.

Sources: Brunner & Munzel 2000, Biometrical Journal 42:17-25; ISO/IEC 19795-10 (score distributions by
group); Sidak 1967, JASA 62:626-633.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from audit.config import AuditConfig
from audit.data.counts import Floats, Ints
from audit.data.groups import Grouping
from audit.data.score_table import ScoreTable
from audit.data.unit_totals import LEAST_UNITS
from audit.metrics.auc import auc_interval
from audit.schema.result import ScoreShift


@dataclass(frozen=True)
class Sample:
    """One group's images of one class against the others'.

    Attributes:
        mean: A, in 0-1.
        variance: Of A.
        sizes: Independent images, or units, of the group and of the others.
        rests_on: Independent images the variance rests on.
        freedom: Degrees of freedom of the variance.
    """

    mean: float
    variance: float
    sizes: tuple[float, float]
    rests_on: float
    freedom: float

    def interval(self, alpha: float) -> tuple[float, float]:
        """Limits in 0-1, at 1 - alpha for this group alone."""
        z = float(student.isf(alpha / 2, max(self.freedom, 1.0)))
        few, many = math.floor(self.sizes[0]), math.floor(self.sizes[1])
        return auc_interval(self.mean, self.variance, few, many, self.rests_on, z)


def score_shifts(
    table: ScoreTable, order: Ints, groupings: Sequence[Grouping], config: AuditConfig
) -> list[ScoreShift]:
    """Every group of every single attribute against all others with a label, real faces first.

    Args:
        table: N images.
        order: int64 [N], their rows in ascending order of score.
        groupings: Those that are intersections are passed over.
        config: For the confidence and min_n.
    """
    found: list[tuple[ScoreShift, Sample | None]] = []
    for grouping in groupings:
        if ":" in grouping.attribute:
            continue
        for fake in (False, True):
            rows = order[table.fake[order] == fake]
            found += _of_class(table, rows[grouping.known[_groups(table, rows, grouping)]], grouping, config)
    n = sum(sample is not None for _, sample in found)
    alpha = -math.expm1(math.log1p(-config.alpha) / max(n, 1))
    return [
        shift if sample is None else shift.model_copy(update={"interval": sample.interval(alpha)})
        for shift, sample in found
    ]


def _groups(table: ScoreTable, rows: Ints, grouping: Grouping) -> NDArray[np.int32]:
    return grouping.of_cell[table.cell[rows]]


def _of_class(
    table: ScoreTable, rows: Ints, grouping: Grouping, config: AuditConfig
) -> list[tuple[ScoreShift, Sample | None]]:
    """Each group with a label; the second is None where the group or the others are too few."""
    if len(rows) == 0:
        return []
    group = _groups(table, rows, grouping)
    n_images = np.bincount(group, minlength=len(grouping))
    unit = None if table.unit is None else np.unique(table.unit[rows], return_inverse=True)[1].reshape(-1)
    weight = None if table.weight is None else table.weight[rows]
    score = table.score[rows]
    word: Literal["real", "fake"] = "fake" if table.fake[rows[0]] else "real"
    placements = Placements.of(score, weight)
    found = []
    for g in np.flatnonzero(grouping.known & (n_images > 0)):
        own = group == g
        sample = None
        n_least = min(n_images[g], len(rows) - n_images[g])
        if n_least >= config.min_n and _n_units(unit, own) >= min(config.min_n, LEAST_UNITS):
            sample = placements.compare(own, unit)
        found.append(
            (
                ScoreShift(
                    attribute=grouping.attribute,
                    group=grouping.names[g],
                    label=word,
                    n=int(n_images[g]),
                    median=weighted_median(score[own], None if weight is None else weight[own]),
                    median_of_others=weighted_median(score[~own], None if weight is None else weight[~own]),
                    higher=sample.mean if sample else math.nan,
                    reason=None
                    if sample
                    else f"fewer than {config.min_n} images, {LEAST_UNITS} units or no weight on one side",
                ),
                sample,
            )
        )
    return found


def _n_units(unit: Ints | None, own: NDArray[np.bool_]) -> int:
    """Units of the side that has fewer."""
    if unit is None:
        return int(min(own.sum(), (~own).sum()))
    return int(min(len(np.unique(unit[own])), len(np.unique(unit[~own]))))


def weighted_median(score: Floats, weight: Floats | None) -> float:
    """The lowest of the ascending scores that at least half of the weight does not exceed; NaN of none."""
    if len(score) == 0:
        return math.nan
    if weight is None:
        return float(score[(len(score) - 1) // 2])
    below = np.cumsum(weight)
    return float(score[int(np.searchsorted(below, below[-1] / 2))]) if below[-1] > 0 else math.nan


@dataclass(frozen=True)
class Placements:
    """The images of one class in ascending order of score, ranked once for all groups.

    Attributes:
        block: int64 [n], images of equal score have the same number.
        weight: float64 [n].
        share: float64 [n], share of the weight below an image's score, and half of that at it.
    """

    block: Ints
    weight: Floats
    share: Floats

    @classmethod
    def of(cls, score: Floats, weight: Floats | None) -> Placements:
        """Rank.

        Args:
            score: float64 [n], ascending, n >= 1.
            weight: float64 [n], >= 0; None where all are equal.
        """
        block = np.cumsum(np.r_[False, score[1:] != score[:-1]])
        weight = np.ones(len(score)) if weight is None else weight
        return cls(block, weight, _below(block, weight)[block])

    def compare(self, own: NDArray[np.bool_], unit: Ints | None) -> Sample | None:
        """The images marked by `own` (bool [n]) against all others; None where one side weighs nothing.

        Args:
            own: Both values present.
            unit: int64 [n], what is independent; None where each image is.
        """
        if not (self.weight[own].any() and self.weight[~own].any()):
            return None
        total, mine = float(self.weight.sum()), float(self.weight[own].sum())
        inside = _below(self.block[own], self.weight[own], int(self.block[-1]) + 1)[self.block]
        others = total - mine
        outside = (total * self.share[own] - mine * inside[own]) / others
        mean = float((self.weight[own] * outside).sum() / mine)
        sides = [
            _spread(self.weight[own] / mine * (outside - mean), _part(unit, own)),
            _spread(self.weight[~own] / others * (inside[~own] - (1 - mean)), _part(unit, ~own)),
        ]
        (first, m_first, fourth_first), (second, m_second, fourth_second) = sides
        variance, fourth = first + second, fourth_first + fourth_second
        scale = sum(v**2 / (m - 1) for v, m in ((first, m_first), (second, m_second)) if m > 1)
        return Sample(
            mean=min(max(mean, 0.0), 1.0),
            variance=variance,
            sizes=(
                _kish(self.weight[own], m_first),
                _kish(self.weight[~own], m_second),
            ),
            rests_on=variance**2 / fourth if fourth > 0 else 0.0,
            freedom=variance**2 / scale if scale > 0 else min(m_first, m_second) - 1,
        )


def _below(block: Ints, weight: Floats, n_blocks: int | None = None) -> Floats:
    """For every score, the share of the weight below it and half of that at it."""
    at = np.bincount(block, weights=weight, minlength=n_blocks or 0)
    total = at.sum()
    return np.asarray((np.cumsum(at) - at / 2) / (total if total > 0 else 1.0))


def _part(unit: Ints | None, chosen: NDArray[np.bool_]) -> Ints | None:
    return None if unit is None else unit[chosen]


def _spread(influence: Floats, unit: Ints | None) -> tuple[float, int, float]:
    """(sum over units of influence^2 with n / (n - 1), units, sum of influence^4)."""
    if unit is not None:
        sums: Floats = np.bincount(unit, weights=influence).astype(np.float64)
        influence = sums[np.bincount(unit) > 0]
    n, square = len(influence), influence**2
    scale = n / (n - 1) if n > 1 else 1.0
    return float(square.sum() * scale), n, float((square**2).sum())


def _kish(weight: Floats, n_units: int) -> float:
    """Equally weighted images as many as these are worth, and no more than there are units."""
    return min(float(weight.sum() ** 2 / (weight**2).sum()), float(n_units))
