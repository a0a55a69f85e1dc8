"""Cures that never look at the group: another single threshold, found in three ways.

Enters: the fitting part and an `Aim`. Leaves: `Candidate`s, one of them chosen, or none.

    threshold     the one with the least harm, gaps plus mean of FPR and FNR, of those that narrow the gaps
                  and at which accuracy would be shown to hold
    calibration   where a calibrated score says that real and fake are equally likely (logistic regression on
                  the score, classes weighted equally: Platt 1999). Calibration never reorders scores, so at
                  one decision it is a threshold
    worst group   the one at which the worst group's mean of FPR and FNR is smallest: the fairest end of the
                  Pareto curve of worst-group error against overall error

Why gaps plus errors and not gaps alone: a gap is smallest where everybody, or nobody, is flagged. A point of
gap counts as much as a point of error.

Why five folds decide between them: the least harm on the very images that were searched is flattered most for
the method that searches most. Why one at which the worst-off group gains goes before all others: a gap can
also be closed by treating everybody worse.

Sources: Platt 1999, Advances in Large Margin Classifiers 61-74; Martinez, Bertran & Sapiro 2020, ICML
(minimax Pareto fairness).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from audit.data.score_table import ScoreTable
from audit.mitigation.group_errors import error_grid, thresholds_of
from audit.mitigation.parts import compared, singles
from audit.mitigation.targets import NOTHING, Aim, Measured
from audit.schema.mitigation import Candidate, Method

FOLDS = 5
LEAST_SHRUNKEN = 0.1
"""A candidate must take at least this share off the gaps of the fitting part; less is not worth a change."""

Finder = Callable[[ScoreTable, Aim], float]


def least_harm(table: ScoreTable, aim: Aim) -> float:
    """The threshold with the least gaps plus errors that narrows the gaps and keeps accuracy; NaN where none
    does.
    """
    tried = thresholds_of(table)
    measured = aim.measure(table, tried)
    kept = (measured.error_limit <= aim.margin) & (measured.unfairness < _enough(aim, table))
    for allowed in (kept & measured.gains, kept):
        if allowed.any():
            return float(tried[np.where(allowed, measured.harm, np.inf).argmin()])
    return math.nan


def calibrated(table: ScoreTable, aim: Aim) -> float:
    """Where the calibrated probability of a fake is one half; NaN where a higher score does not mean more
    fake.
    """
    from sklearn.linear_model import LogisticRegression

    centre, spread = float(np.median(table.score)), float(table.score.std())
    if spread == 0:
        return math.nan
    scaled = ((table.score - centre) / spread).reshape(-1, 1)
    fitted = LogisticRegression(class_weight="balanced", C=1e4, max_iter=1000).fit(scaled, table.fake)
    slope, shift = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return centre - spread * shift / slope if slope > NOTHING else math.nan


def least_worst_group(table: ScoreTable, aim: Aim) -> float:
    """The threshold that is best for the group it is worst for; NaN where fewer than two groups can be
    compared.
    """
    attribute = aim.targets[0].attribute
    grouping = singles(table)[table.cells.attributes.index(attribute)]
    chosen = np.logical_and.reduce(
        [compared(table, grouping, rate, aim.config.min_n) for rate in ("fpr", "fnr")]
    )
    if chosen.sum() < 2:
        return math.nan
    tried = thresholds_of(table)
    worst = error_grid(table, grouping, tried).error[chosen].max(axis=0)
    return float(tried[worst.argmin()])


FINDERS: Mapping[Method, Finder] = {
    "threshold": least_harm,
    "calibration": calibrated,
    "worst group": least_worst_group,
}


def candidates(table: ScoreTable, aim: Aim) -> list[Candidate]:
    """Try every method on the fitting part, and choose one at most."""
    tried = [_tried(method, table, aim) for method in FINDERS]
    usable = [one for one in tried if one.reason is None]
    if not usable:
        return tried
    best = min(
        usable, key=lambda one: (round(one.unfairness + one.error, 12), list(FINDERS).index(one.method))
    )
    return [one.model_copy(update={"chosen": one is best}) for one in tried]


def _tried(method: Method, table: ScoreTable, aim: Aim) -> Candidate:
    threshold = FINDERS[method](table, aim)
    held_out = _held_out(method, table, aim) if math.isfinite(threshold) else None
    return Candidate(
        method=method,
        threshold=threshold,
        unfairness=float(held_out.unfairness[0]) if held_out else math.nan,
        error=float(held_out.error[0]) if held_out else math.nan,
        reason=_reason(threshold, table, aim),
    )


def _reason(threshold: float, table: ScoreTable, aim: Aim) -> str | None:
    if not math.isfinite(threshold):
        return "no single threshold narrows the gaps while accuracy holds"
    measured = aim.measure(table, np.array([threshold]))
    if _same_decisions(table, threshold, aim.threshold):
        return "it decides every image as the threshold in use does"
    if measured.error_limit[0] > aim.margin:
        return "the mean of FPR and FNR would rise beyond the margin"
    if measured.unfairness[0] >= _enough(aim, table):
        return "the gaps stay about as large"
    return None


def _held_out(method: Method, table: ScoreTable, aim: Aim) -> Measured:
    """Gaps and errors of a method on fifths of the part that it was not fitted on; the fifths count
    together.
    """
    fold = (table.key >> np.uint64(7)) % np.uint64(FOLDS)
    flagged = table.score >= aim.threshold
    for k in range(FOLDS):
        held = fold == k
        rest = table.take(~held)
        if not held.any() or rest.fake.all() or not rest.fake.any():
            continue
        threshold = FINDERS[method](rest, aim)
        if math.isfinite(threshold):
            flagged[held] = table.score[held] >= threshold
    return aim.measure_decisions(table, flagged)


def _same_decisions(table: ScoreTable, one: float, other: float) -> bool:
    return bool(((table.score >= one) == (table.score >= other)).all())


def _enough(aim: Aim, table: ScoreTable) -> float:
    return (1 - LEAST_SHRUNKEN) * aim.before(table)
