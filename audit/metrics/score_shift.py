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
of the AUC. A limit excludes 0.5 only where Wilcoxon's test of equality, with its variance for ties, does too:
a small group whose scores are all the same shows no variance of its own. Of equal groups, one of 20,000 and
six of 40 with 95 % of the scores at 0, some were called shifted in 78 of 100 audits; now in none of 300.

Why images that stand for themselves are counted and not placed one by one: between two images of the group
all others have the same share of the group below them. So the group's own images, and how many of the class
lie between them, are all that is needed: one pass for all groups of an attribute instead of one for each.

What holds at 1 - confidence: all intervals of an audit together, over groups, both classes and all single
attributes (Sidak), so that any group may be picked for lying far from 0.5.

Sources: Brunner & Munzel 2000, Biometrical Journal 42:17-25; Lehmann 1975, Nonparametrics, 1.4 (ties);
ISO/IEC 19795-10 (score distributions by group); Sidak 1967, JASA 62:626-633.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from audit.config import AuditConfig
from audit.data.counts import Floats, Ints
from audit.data.groups import Grouping
from audit.data.score_table import ScoreTable
from audit.data.spans import SPAN, Taken, rows_where, spans, tallied
from audit.data.unit_totals import LEAST_UNITS, alike_units, alike_weights, enough_units, unit_squares
from audit.metrics.auc import auc_interval
from audit.metrics.curves_by_group import SortedScores
from audit.metrics.error_curves import Scores, starts
from audit.schema.result import ScoreShift
from audit.task import task_named


@dataclass(frozen=True)
class Sample:
    """One group's images of one class against the others'.

    Attributes:
        mean: A, in 0-1.
        variance: Of A.
        sizes: Independent images, or units, of the group and of the others.
        rests_on: Independent images the variance rests on.
        freedom: Degrees of freedom of the variance.
        equal_variance: Of A if both have the same distribution, from all images together.
    """

    mean: float
    variance: float
    sizes: tuple[float, float]
    rests_on: float
    freedom: float
    equal_variance: float

    def interval(self, alpha: float) -> tuple[float, float]:
        """Limits in 0-1, at 1 - alpha for this group alone."""
        z = float(student.isf(alpha / 2, max(self.freedom, 1.0)))
        few, many = math.floor(self.sizes[0]), math.floor(self.sizes[1])
        low, high = auc_interval(self.mean, self.variance, few, many, self.rests_on, z)
        if abs(self.mean - 0.5) <= float(norm.isf(alpha / 2)) * math.sqrt(self.equal_variance):
            return min(low, 0.5), max(high, 0.5)
        return low, high


def score_shifts(
    scores: SortedScores, groupings: Sequence[Grouping], config: AuditConfig
) -> list[ScoreShift]:
    """Every group of every single attribute against all others with a label, real faces first.

    Args:
        scores: N images.
        groupings: Those that are intersections are passed over.
        config: For the confidence and min_n.
    """
    table = scores.table
    found: list[tuple[ScoreShift, Sample | None]] = []
    for grouping in groupings:
        if ":" in grouping.attribute:
            continue
        for fake in (False, True):
            rows = _rows(table, grouping, fake)
            compared = _counted if table.unit is None else _placed
            found += [
                _record(grouping, g, fake, one, config) for g, one in compared(table, rows, grouping, config)
            ]
    n = sum(sample is not None for _, sample in found)
    alpha = -math.expm1(math.log1p(-config.alpha) / max(n, 1))
    return [
        shift if sample is None else shift.model_copy(update={"interval": sample.interval(alpha)})
        for shift, sample in found
    ]


def _rows(table: ScoreTable, grouping: Grouping, fake: bool) -> NDArray[np.integer]:
    """Rows of one class that have a label, in ascending order of score."""
    known = grouping.known[grouping.of_cell]
    return rows_where(len(table), lambda part: (table.fake[part] == fake) & known[table.cell[part]])


@dataclass(frozen=True)
class _Compared:
    """One group of one class, and the others.

    Attributes:
        n: Its images.
        median: Of its scores.
        median_of_others: Of theirs.
        sample: None where the group or the others are too few.
    """

    n: int
    median: float
    median_of_others: float
    sample: Sample | None


def _record(
    grouping: Grouping, g: int, fake: bool, found: _Compared, config: AuditConfig
) -> tuple[ScoreShift, Sample | None]:
    sample = found.sample
    return (
        ScoreShift(
            attribute=grouping.attribute,
            group=grouping.names[g],
            label="fake" if fake else "real",
            n=found.n,
            median=found.median,
            median_of_others=found.median_of_others,
            higher=sample.mean if sample else math.nan,
            reason=None
            if sample
            else (
                f"fewer than {config.min_n} {task_named(config.task).items}, {LEAST_UNITS} units or "
                "no weight on one side"
            ),
        ),
        sample,
    )


def _counted(
    table: ScoreTable, rows: NDArray[np.integer], grouping: Grouping, config: AuditConfig
) -> Iterator[tuple[int, _Compared]]:
    """Each group with a label, where each image stands for itself."""
    if len(rows) == 0:
        return
    score, n = Taken(table.score, rows), len(rows)
    ties = Ties.of(score)
    for g, own in _by_group(table, rows, grouping):
        others = n - len(own)
        few = min(len(own), others) < config.min_n
        yield (
            g,
            _Compared(
                n=len(own),
                median=float(score[own[(len(own) - 1) // 2]]),
                median_of_others=float(score[_nth_other(own, (others - 1) // 2)]) if others else math.nan,
                sample=None if few else ties.compare(own),
            ),
        )


def _by_group(
    table: ScoreTable, rows: NDArray[np.integer], grouping: Grouping
) -> Iterator[tuple[int, NDArray[np.integer]]]:
    """Number of each group with images, and where they are among the rows, ascending."""
    group: NDArray[np.integer] = np.empty(len(rows), dtype=np.int16 if len(grouping) < 2**15 else np.int32)
    for part in spans(len(rows)):
        group[part] = grouping.of_cell[table.cell[rows[part]]]
    sizes = tallied(len(rows), len(grouping), lambda part: group[part])

    def rows_of(g: int) -> NDArray[np.integer]:
        return rows_where(len(rows), lambda part: group[part] == g)

    return ((g, rows_of(g)) for g in np.flatnonzero(sizes).tolist())


def _nth_other(own: NDArray[np.integer], nth: int) -> int:
    """Where the nth (from 0) of all images is that are not among `own` (ascending)."""
    before = bisect_right(range(len(own)), nth, key=lambda j: int(own[j]) - j)
    return nth + before


@dataclass(frozen=True)
class Ties:
    """The images of one class in ascending order of score, each standing for itself.

    Attributes:
        n: Images.
        first: int [n], for each image the first of those of equal score; None where no two are equal.
        last: int [n], likewise the last.
        n_tied: Sum of t^3 - t over the different scores, t images having each.
    """

    n: int
    first: NDArray[np.integer] | None = None
    last: NDArray[np.integer] | None = None
    n_tied: float = 0.0

    @classmethod
    def of(cls, score: Scores) -> Ties:
        """Look for equal scores.

        Args:
            score: float64 [n], ascending, n >= 1.
        """
        start = starts(score)
        if start is None:
            return cls(len(score))
        times = np.diff(start)
        n_tied = float(((t := times.astype(np.float64)) ** 3 - t).sum())
        return cls(len(score), np.repeat(start[:-1], times), np.repeat(start[1:] - 1, times), n_tied)

    def compare(self, own: NDArray[np.integer]) -> Sample:
        """A group against all others.

        Args:
            own: int [m], where its images are, ascending; 0 < m < n.
        """
        m, others = len(own), self.n - len(own)
        total = sum(int(((2 * part.below + part.tied) * part.times).sum()) for part in self._parts(own))
        mean = total / (2 * m * others)
        group, rest = np.zeros(2), np.zeros(2)
        for part in self._parts(own):
            after = part.mine_below + part.times
            group += _moments((part.below + part.tied / 2) / others - mean, part.times)
            rest += _moments(part.mine_below / m - (1 - mean), part.between)
            rest += _moments((part.mine_below + after) / (2 * m) - (1 - mean), part.tied)
        rest += mean ** np.array([2, 4]) * (others - int(part.below[-1] + part.tied[-1]))
        one, other = group[0] / (m * max(m - 1, 1)), rest[0] / (others * max(others - 1, 1))
        one_fourth, other_fourth = group[1] / m**4, rest[1] / others**4
        variance, fourth = one + other, one_fourth + other_fourth
        scale = sum(v**2 / (size - 1) for v, size in ((one, m), (other, others)) if size > 1)
        shared = self.n_tied / (self.n * (self.n - 1))
        return Sample(
            mean=mean,
            variance=float(variance),
            sizes=(float(m), float(others)),
            rests_on=variance**2 / fourth if fourth > 0 else 0.0,
            freedom=variance**2 / scale if scale > 0 else min(m, others) - 1,
            equal_variance=(self.n + 1 - shared) / (12 * m * others),
        )

    def _parts(self, own: NDArray[np.integer]) -> Iterator[_Part]:
        """The different scores of a group, part by part."""
        low, passed = 0, 0
        while low < len(own):
            high = min(low + SPAN, len(own))
            if self.last is not None:  # a score is never torn apart
                high = int(np.searchsorted(own, self.last[own[high - 1]], side="right"))
            rows = own[low:high]
            first = (rows if self.first is None else self.first[rows]).astype(np.int64)
            last = (rows if self.last is None else self.last[rows]).astype(np.int64)
            new = np.flatnonzero(np.r_[True, first[1:] != first[:-1]])
            times, first, last = np.diff(np.r_[new, len(rows)]), first[new], last[new]
            below = first - (low + new)
            tied = last + 1 - first - times
            between = below - np.r_[passed, (below + tied)[:-1]]
            yield _Part(times, below, tied, low + new, between)
            low, passed = high, int(below[-1] + tied[-1])


@dataclass(frozen=True)
class _Part:
    """Some of the different scores of a group; all int64 [k].

    Attributes:
        times: Images of the group with the score.
        below: Others with a lower one.
        tied: Others with the same.
        mine_below: Images of the group with a lower one.
        between: Others between the score and the group's next lower one.
    """

    times: Ints
    below: Ints
    tied: Ints
    mine_below: Ints
    between: Ints


def _moments(apart: Floats, times: Ints) -> Floats:
    """Sums of second and fourth powers."""
    square = apart**2
    return np.array([(square * times).sum(), (square**2 * times).sum()])


def _placed(
    table: ScoreTable, rows: NDArray[np.integer], grouping: Grouping, config: AuditConfig
) -> Iterator[tuple[int, _Compared]]:
    """Each group with a label, where images share units or carry weights."""
    if len(rows) == 0:
        return
    assert table.unit is not None
    unit = table.unit[rows]
    partner = None if table.partner is None else table.partner[rows]
    weight = None if table.weight is None else table.weight[rows]
    score = table.score[rows]
    placements = Placements.of(score, weight, unit, partner)
    for g, at in _by_group(table, rows, grouping):
        own = np.zeros(len(rows), dtype=bool)
        own[at] = True
        enough = min(len(at), len(rows) - len(at)) >= config.min_n
        enough = enough and bool(enough_units(_n_units(unit, partner, own, weight), config.min_n))
        yield (
            g,
            _Compared(
                n=len(at),
                median=weighted_median(score[own], None if weight is None else weight[own]),
                median_of_others=weighted_median(score[~own], None if weight is None else weight[~own]),
                sample=placements.compare(own) if enough else None,
            ),
        )


def _n_units(unit: Ints, partner: Ints | None, own: NDArray[np.bool_], weight: Floats | None) -> float:
    """Units of the side that has fewer, of equal weight; of trials of two, units of either."""
    if partner is not None:
        return min(len(np.union1d(unit[side], partner[side])) for side in (own, ~own))
    return float(alike_units(unit, own.astype(np.int64), 2, weight).min())


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
        unit: int64 [n], what is independent; None where each image is.
        partner: int64 [n], the second unit of each trial; None where no image has two.
        correlation: Of the shares within a unit, 0-1.
    """

    block: Ints
    weight: Floats
    share: Floats
    unit: Ints | None
    partner: Ints | None
    correlation: float

    @classmethod
    def of(
        cls, score: Floats, weight: Floats | None, unit: Ints | None, partner: Ints | None = None
    ) -> Placements:
        """Rank.

        Args:
            score: float64 [n], ascending, n >= 1.
            weight: float64 [n], >= 0; None where all are equal.
            unit: int64 [n]; None where each image is one.
            partner: int64 [n]; None where no image has two units.
        """
        block = np.cumsum(np.r_[False, score[1:] != score[:-1]])
        weight = np.ones(len(score)) if weight is None else weight
        share = _below(block, weight)[block]
        images = weight * (share - 0.5)
        more, size = _times_alone(images, unit, partner, enough=True), _times_alone(weight, unit, partner)
        correlation = (more - 1) / (size - 1) if size > 1 else 0.0
        return cls(block, weight, share, unit, partner, min(max(correlation, 0.0), 1.0))

    def compare(self, own: NDArray[np.bool_]) -> Sample | None:
        """The images marked by `own` (bool [n], both values present) against all others; None where one side
        weighs nothing.
        """
        unit, partner = self.unit, self.partner
        if not (self.weight[own].any() and self.weight[~own].any()):
            return None
        total, mine = float(self.weight.sum()), float(self.weight[own].sum())
        inside = _below(self.block[own], self.weight[own], int(self.block[-1]) + 1)[self.block]
        others = total - mine
        outside = (total * self.share[own] - mine * inside[own]) / others
        mean = float((self.weight[own] * outside).sum() / mine)
        sides = [
            _spread(
                self.weight[own] / mine * (outside - mean),
                self.weight[own],
                _part(unit, own),
                _part(partner, own),
            ),
            _spread(
                self.weight[~own] / others * (inside[~own] - (1 - mean)),
                self.weight[~own],
                _part(unit, ~own),
                _part(partner, ~own),
            ),
        ]
        (first, m_first, fourth_first), (second, m_second, fourth_second) = sides
        variance, fourth = first + second, fourth_first + fourth_second
        scale = sum(v**2 / (m - 1) for v, m in ((first, m_first), (second, m_second)) if m > 1)
        return Sample(
            mean=min(max(mean, 0.0), 1.0),
            variance=variance,
            sizes=(_kish(self.weight[own], m_first), _kish(self.weight[~own], m_second)),
            rests_on=variance**2 / fourth if fourth > 0 else 0.0,
            freedom=variance**2 / scale if scale > 0 else min(m_first, m_second) - 1,
            equal_variance=self._equal_variance(own) + self._equal_variance(~own),
        )

    def _equal_variance(self, side: NDArray[np.bool_]) -> float:
        """Variance of the mean share of one side, its images being like all others: that of all shares, with
        the design effect of this side's units (Kish) at the correlation within all units.
        """
        weight, total, squares = self.weight[side], self.weight.sum(), (self.weight**2).sum()
        of_all = float(
            (self.weight * (self.share - 0.5) ** 2).sum() * total / max(total**2 - squares, 1e-300)
        )
        size = _times_alone(weight, _part(self.unit, side), _part(self.partner, side))
        more = 1 + (size - 1) * self.correlation
        return of_all * more * float((weight**2).sum() / weight.sum() ** 2)


def _below(block: Ints, weight: Floats, n_blocks: int | None = None) -> Floats:
    """For every score, the share of the weight below it and half of that at it."""
    at = np.bincount(block, weights=weight, minlength=n_blocks or 0)
    total = at.sum()
    return np.asarray((np.cumsum(at) - at / 2) / (total if total > 0 else 1.0))


def _times_alone(influence: Floats, unit: Ints | None, partner: Ints | None, enough: bool = False) -> float:
    """Sum over units of their squared sums, over that of the squares of single images; 1 where all are 0.

    Args:
        influence: float64 [n].
        unit: int64 [n]; None where each image is one.
        partner: int64 [n]; None where no image has two units.
        enough: Multiply by n / (n - 1) for n units, as for a variance around an estimated mean.
    """
    alone = float((influence**2).sum())
    if unit is None or alone == 0:
        return 1.0
    found = unit_squares(influence, unit, partner, np.zeros(len(unit), dtype=np.int64), 1)
    n = int(found.n_units[0])
    return float(found.square[0]) / alone * (n / max(n - 1, 1) if enough else 1.0)


def _part(unit: Ints | None, chosen: NDArray[np.bool_]) -> Ints | None:
    return None if unit is None else unit[chosen]


def _spread(
    influence: Floats, weight: Floats, unit: Ints | None, partner: Ints | None
) -> tuple[float, float, float]:
    """(sum over units of influence^2 with n / (n - 1), n units of equal weight that they are worth, sum of
    influence^4); units of trials that have two are worth half as many.
    """
    unit = np.arange(len(influence)) if unit is None else unit
    nobody = np.zeros(len(unit), dtype=np.int64)
    found = unit_squares(influence, unit, partner, nobody, 1)
    if partner is None or (unit == partner).all():
        n = float(alike_units(unit, nobody, 1, weight)[0])
    else:
        n = float(found.n_units[0] // 2)
    return float(found.square[0]) * n / max(n - 1, 1.0), n, float(found.fourth[0])


def _kish(weight: Floats, n_units: float) -> float:
    """Equally weighted images as many as these are worth, and no more than there are units."""
    return min(float(alike_weights(weight, np.zeros(len(weight), dtype=np.int64), 1)[0]), n_units)
