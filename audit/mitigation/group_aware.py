"""A bound on what is possible: thresholds that differ by group, as fairlearn's ThresholdOptimizer finds them.

Enters: the fitting part and the gap to close. Leaves: a rule for every group, and decisions on other images.

Why only a bound: whoever decides by it must know the group of every person at the time of the decision.
Measuring by a group is one thing; the EU AI Act (article 10(5)) allows it under conditions so that bias can
be found and corrected. Treating people differently by their group is another: it is what anti-discrimination
law calls disparate treatment.

Why decisions are drawn: between two thresholds the optimiser takes each with a probability. They are drawn
from the seed and the image's key, so that the order of rows changes nothing.

Source: Hardt, Price & Srebro 2016, NeurIPS 29:3315-3323; fairlearn.postprocessing.ThresholdOptimizer.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.data.counts import Floats
from audit.data.groups import Grouping
from audit.data.score_table import ScoreTable
from audit.mitigation.parts import compared, members, singles
from audit.mitigation.targets import Aim
from audit.schema.mitigation import GroupRule

GRID = 1000
"""Points of the error curves between which fairlearn looks."""

BEYOND = 1e300
"""A threshold that no score reaches, or none misses: JSON has no infinity."""

_CONSTRAINT = {
    frozenset({"fpr"}): "false_positive_rate_parity",
    frozenset({"fnr"}): "false_negative_rate_parity",
    frozenset({"fpr", "fnr"}): "equalized_odds",
}


@dataclass(frozen=True)
class GroupThresholds:
    """Thresholds for every group, each taken with a probability.

    Attributes:
        attribute: What is looked at.
        rules: By group; a group not named is decided by `threshold`.
        threshold: The one in use.
    """

    attribute: str
    rules: dict[str, GroupRule]
    threshold: float

    def flagged(self, table: ScoreTable, seed: int) -> NDArray[np.bool_]:
        """bool [N], decided to be fake."""
        grouping = _grouping(table, self.attribute)
        group, drawn = members(table, grouping), _uniform(table, seed)
        flagged = table.score >= self.threshold
        for g, name in enumerate(grouping.names):
            if name in self.rules:
                rows, rule = group == g, self.rules[name]
                which = np.searchsorted(np.cumsum(rule.shares)[:-1], drawn[rows], side="right")
                flagged[rows] = table.score[rows] >= np.array(rule.thresholds)[which]
        return flagged


def group_thresholds(table: ScoreTable, aim: Aim) -> GroupThresholds | None:
    """Close the gap of the first target, with FPR and FNR balanced; None where fewer than two groups can be
    fitted.

    Args:
        table: The fitting part.
        aim: Its first target names the attribute.
    """
    attribute = aim.targets[0].attribute
    grouping = _grouping(table, attribute)
    enough = [compared(table, grouping, rate, aim.config.min_n) for rate in ("fpr", "fnr")]
    known = np.logical_and.reduce(enough)
    if known.sum() < 2:
        return None
    group = members(table, grouping)
    rows = known[group]
    rates = frozenset(target.rate for target in aim.targets if target.attribute == attribute)
    names = np.array(grouping.names, dtype=object)[group[rows]]
    found = _optimised(table.score[rows], table.fake[rows], names, _CONSTRAINT[rates])
    return GroupThresholds(attribute, {rule.group: rule for rule in found}, aim.threshold)


def _optimised(
    score: Floats, fake: NDArray[np.bool_], names: NDArray[Any], constraint: str
) -> list[GroupRule]:
    from fairlearn.postprocessing import ThresholdOptimizer

    optimiser = ThresholdOptimizer(
        estimator=_scores_themselves(), constraints=constraint, objective="balanced_accuracy_score",
        grid_size=GRID,
        prefit=True, predict_method="predict",
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        optimiser.fit(score.reshape(-1, 1), fake.astype(int), sensitive_features=names)
    fitted = optimiser.interpolated_thresholder_.interpolation_dict
    return [_rule(str(name), fitted[name]) for name in sorted(fitted)]


def _rule(name: str, fitted: Any) -> GroupRule:
    """A rule from fairlearn's, whose operations are "score > t", and with `p_ignore` a constant answer mixed
    in.
    """
    thresholds = [float(np.nextafter(fitted[f"operation{i}"].threshold, np.inf)) for i in (0, 1)]
    shares = [float(fitted["p0"]), float(fitted["p1"])]
    ignored = float(fitted.get("p_ignore", 0.0))
    if ignored > 0:
        constant = float(fitted["prediction_constant"])
        thresholds += [-np.inf, np.inf]
        shares = [share * (1 - ignored) for share in shares] + [ignored * constant, ignored * (1 - constant)]
    return GroupRule(group=name, thresholds=np.clip(thresholds, -BEYOND, BEYOND).tolist(), shares=shares)


def _scores_themselves() -> Any:
    """A fitted estimator that predicts its only feature."""
    from sklearn.base import BaseEstimator

    class Scores(BaseEstimator):
        def __sklearn_is_fitted__(self) -> bool:
            return True

        def fit(self, features: Floats, labels: Any) -> Any:
            return self

        def predict(self, features: Floats) -> Floats:
            return np.asarray(features)[:, 0]

    return Scores()


def _grouping(table: ScoreTable, attribute: str) -> Grouping:
    return singles(table)[table.cells.attributes.index(attribute)]


def _uniform(table: ScoreTable, seed: int) -> Floats:
    """float64 [N] in 0-1: of the image's key and class, so that halves of a pair are drawn apart."""
    salt = np.uint64((seed * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
    mixed = table.key ^ salt ^ (table.fake.astype(np.uint64) << np.uint64(13))
    for _ in range(2):
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) / 2.0**53)
