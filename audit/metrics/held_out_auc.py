"""How well a classifier tells two classes apart on units it has not seen: AUC with an interval that is honest
under cross-validation.

Enters: features, labels, and the unit (pair, source photo) of each image. Leaves: a score for each image from
a classifier that has not seen its unit, their AUC, and an interval.

How: the units are dealt into five folds; gradient-boosted trees learn on four and score the fifth. AUCs are
taken within each fold and averaged, since scores of two classifiers have no common scale.

Why the variance is taken 2.5 times: the folds are no independent samples. Where nothing can be learned, what
fold 1 teaches about fold 2 and fold 2 about fold 1 is one and the same chance resemblance, counted twice. For
a classifier that scores an image by its likeness to the labelled ones, AUC - 1/2 is a sum over pairs of units
in which each pair stands twice, so that its variance is exactly twice what units taken as independent give.
Boosted trees are no such classifier: with twice, 93 to 98 % of intervals held 0.5, with 2.5 times the share
in benchmarks/README.md. No unbiased estimate of the variance exists (Bengio & Grandvalet 2004). Where much
can be learned the interval is wider than it need be.

Why units are summed before squaring: both halves of a pair lie in one fold and go together, see
`audit.metrics.auc`.

Sources: LeDell, Petersen & van der Laan 2015, Electronic Journal of Statistics 9:1583-1607 (average of the
folds' AUCs, influence by fold); Bengio & Grandvalet 2004, Journal of Machine Learning Research 5:1089-1105.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from audit.data.counts import Floats, Ints
from audit.metrics.auc import auc_influence, auc_interval

FOLDS = 5
LEAST_OF_A_CLASS = 20
"""Independent units of each class under which nothing is said."""
TREES = 40
"""Small trees, few of them: file facts are few and plain."""
DEPENDENCE = 2.5
"""Variance of the average of the folds' AUCs over that of independent folds, where nothing can be learned: 2
for a classifier by likeness, and a quarter more."""


@dataclass(frozen=True)
class HeldOut:
    """Scores of images by classifiers that have not seen their units.

    Attributes:
        score: float64 [n], higher = more fake, comparable within a fold alone.
        fold: int64 [n].
        fake: bool [n].
        unit: int64 [n].
    """

    score: Floats
    fold: Ints
    fake: NDArray[np.bool_]
    unit: Ints

    def auc(self, z: float) -> tuple[float, tuple[float, float]]:
        """AUC, the average over folds, and its interval.

        Args:
            z: Normal quantile; with few units the t quantile of the same level is taken.
        """
        influence, aucs = np.zeros(len(self.score)), []
        for number in range(FOLDS):
            rows = np.flatnonzero(self.fold == number)
            rows = rows[np.argsort(self.score[rows], kind="stable")]
            value, of_fold = auc_influence(self.score[rows], self.fake[rows])
            influence[rows] = of_fold / FOLDS
            aucs.append(value)
        of_unit = np.bincount(self.unit, influence)
        variance = float((of_unit**2).sum())
        worth = variance**2 / float((of_unit**4).sum()) if variance > 0 else 0.0
        auc = float(np.mean(aucs))
        n_real, n_fake = (len(np.unique(self.unit[self.fake == one])) for one in (False, True))
        t = float(-stdtrit(min(n_real, n_fake) - 1, ndtr(-z)))
        return auc, auc_interval(auc, DEPENDENCE * variance, n_real, n_fake, worth, t)

    def ranks(self) -> Floats:
        """float64 [n] in 0-1: the share of its fold that scores lower, ties counting half."""
        from scipy.stats import rankdata

        found = np.empty(len(self.score))
        for number in range(FOLDS):
            rows = self.fold == number
            found[rows] = (rankdata(self.score[rows]) - 0.5) / rows.sum()
        return found


def folds(fake: NDArray[np.bool_], unit: Ints, seed: int) -> Ints:
    """int64 [n], the fold of each image: units stay whole, each fold gets its share of both classes.

    Args:
        fake: bool [n].
        unit: int64 [n], 0 to u - 1, each present.
        seed: Of the dealing.
    """
    share = np.bincount(unit, fake) / np.bincount(unit)
    shuffled = np.random.default_rng(seed).permutation(len(share))
    dealt = shuffled[np.argsort(share[shuffled], kind="stable")]
    of_unit = np.empty(len(share), dtype=np.int64)
    of_unit[dealt] = np.arange(len(share)) % FOLDS
    return of_unit[unit]


def held_out(features: Floats, fake: NDArray[np.bool_], unit: Ints, seed: int) -> HeldOut:
    """Score every image by a classifier that has not seen its unit.

    Args:
        features: float64 [n, p]; NaN where a feature does not apply.
        fake: bool [n].
        unit: int64 [n], 0 to u - 1; at least `LEAST_OF_A_CLASS` of each class.
        seed: Of the folds.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    fold, score = folds(fake, unit, seed), np.zeros(len(fake))
    features = features[:, _varies(features)]
    if features.shape[1] == 0:
        return HeldOut(score, fold, fake, unit)
    with threadpool_limits(1, "openmp"):  # sums of several threads differ in their last bits
        for number in range(FOLDS):
            rest, rows = fold != number, fold == number
            leaf = int(np.clip(rest.sum() // 20, 2, 20))
            model = HistGradientBoostingClassifier(
                learning_rate=0.15, max_iter=TREES, max_leaf_nodes=8, min_samples_leaf=leaf,
                early_stopping=False, random_state=0,
            )  # fmt: skip
            model.fit(features[rest], fake[rest])
            score[rows] = model.decision_function(features[rows])
    return HeldOut(score, fold, fake, unit)


def _varies(features: Floats) -> NDArray[np.bool_]:
    """bool [p]: whether a column has more than one value, NaN being one."""
    plain = np.where(np.isnan(features), np.inf, features)
    return np.asarray((plain != plain[:1]).any(axis=0))
