"""What is to be cured: the gaps that the fitting part shows, and how much better a threshold makes them
there.

Enters: the fitting part and the threshold in use. Leaves: `Target`s, and an `Aim` that measures thresholds by
    them.

Why a gap that equal groups would show in one part of twenty is enough to try something: nothing is claimed
here. What is claimed rests on the judging part alone, and there the promise is kept whatever was tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.config import AuditConfig
from audit.data.counts import Floats, count
from audit.data.score_table import ScoreTable
from audit.inference.proportion_intervals import z_value
from audit.judge.gap_records import questions_of
from audit.metrics.rates import divide
from audit.mitigation.group_errors import ErrorGrid, decision_grid, error_grid
from audit.mitigation.parts import RATES, compared, singles
from audit.schema.mitigation import Target
from audit.schema.result import RateName

NOTHING = 1e-12
"""A change of a gap this small is none, reached by rounding."""


def targets_of(table: ScoreTable, threshold: float, config: AuditConfig) -> list[Target]:
    """Gaps beyond the tolerance of groups that a single test calls unequal; the largest first."""
    found = []
    for question in questions_of(count(table, threshold), singles(table), config):
        if question.test is None:
            continue
        rates = question.errors / question.images
        p_value, gap = question.test.p_value, float(np.ptp(rates))
        if not (p_value <= config.alpha and gap > config.tolerance):
            continue
        found.append(
            Target(
                attribute=question.attribute,
                rate=question.rate,
                gap=gap,
                p_value=p_value,
                worst_group=question.names[int(rates.argmax())],
                best_group=question.names[int(rates.argmin())],
            )
        )
    return sorted(found, key=lambda target: -target.gap)


@dataclass(frozen=True)
class Measured:
    """What t thresholds do to the fitting part.

    Attributes:
        unfairness: float64 [t], sum of the targets' gaps and of what other gaps grow by.
        error: float64 [t], mean of FPR and FNR over all images.
        error_limit: float64 [t], by how much that mean would be said to rise at most on the judging part.
        gains: bool [t], whether the worst-off group of some target gets better.
    """

    unfairness: Floats
    error: Floats
    error_limit: Floats
    gains: NDArray[np.bool_]

    @property
    def harm(self) -> Floats:
        """float64 [t], a point of gap weighing as much as a point of error."""
        return self.unfairness + self.error


@dataclass(frozen=True)
class Aim:
    """By what a cure is chosen.

    Attributes:
        targets: Gaps to shrink, one at least.
        threshold: The one in use.
        margin: By how much the mean of FPR and FNR may rise at most.
        config: Options of the audit.
        n_judge: (reals, fakes) of the judging part.
    """

    targets: Sequence[Target]
    threshold: float
    margin: float
    config: AuditConfig
    n_judge: tuple[int, int]

    def measure(self, table: ScoreTable, thresholds: Floats) -> Measured:
        """Measure single thresholds on a part.

        Args:
            table: The fitting part, or most of it.
            thresholds: float64 [t], finite.
        """
        tried = np.append(thresholds, self.threshold)
        return self._measure(table, [error_grid(table, grouping, tried) for grouping in singles(table)])

    def measure_decisions(self, table: ScoreTable, flagged: NDArray[np.bool_]) -> Measured:
        """Measure one decision an image, bool [N], instead of a threshold."""
        both = np.stack([flagged, table.score >= self.threshold], axis=1)
        return self._measure(table, [decision_grid(table, grouping, both) for grouping in singles(table)])

    def _measure(self, table: ScoreTable, grids: Sequence[ErrorGrid]) -> Measured:
        """Grids of every single attribute, the threshold in use in the last column."""
        n = grids[0].fp.shape[1] - 1
        unfair, gains = np.zeros(n), np.zeros(n, dtype=bool)
        for grouping, grid in zip(singles(table), grids, strict=True):
            for rate in RATES:
                chosen = compared(table, grouping, rate, self.config.min_n)
                target = self._target(grouping.attribute, rate)
                if chosen.sum() < 2:
                    continue
                rates = grid.rates(rate)
                gap = np.ptp(rates[chosen], axis=0)
                unfair += gap[:-1] if target else np.maximum(gap[:-1] - gap[-1], 0)
                if target and target.worst_group in grouping.names:
                    worst = rates[grouping.names.index(target.worst_group)]
                    gains |= worst[:-1] < worst[-1]
        return Measured(unfair, *self._errors(grids[0].total), gains)

    def before(self, table: ScoreTable) -> float:
        """The unfairness of the threshold in use."""
        return float(self.measure(table, np.array([self.threshold])).unfairness[0])

    def _target(self, attribute: str, rate: RateName) -> Target | None:
        return next((t for t in self.targets if (t.attribute, t.rate) == (attribute, rate)), None)

    def _errors(self, total: ErrorGrid) -> tuple[Floats, Floats]:
        """(error, its limit) of every threshold but the last, which is the one in use.

        Between two thresholds all decisions change in one direction, so the share p of images of a class that
        are decided otherwise has the variance p (1 - p) / n; p is shrunken, so that no change is not certain.
        """
        error = total.error[0]
        variance = np.zeros(len(error) - 1)
        for errors, n, n_judge in zip(
            (total.fp, total.fn), (total.n_real, total.n_fake), self.n_judge, strict=True
        ):
            moved = np.abs(errors[0, :-1] - errors[0, -1])
            share = divide(moved + 2, n[0] + 4)
            variance += share * (1 - share) / max(n_judge, 1) / 4
        return error[:-1], error[:-1] - error[-1] + z_value(self.config.confidence) * np.sqrt(variance)
