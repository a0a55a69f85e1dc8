"""AUC against scikit-learn; DeLong against its definition; pairs against a bootstrap of pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from audit.inference.proportion_intervals import wilson
from audit.metrics.auc import auc_influence, auc_interval

Z = 1.959964


def delong_by_definition(score, fake):
    """Structural components, one comparison at a time (DeLong et al. 1988, equations 4 and 5)."""
    wins = (score[fake][:, None] > score[~fake]) + 0.5 * (score[fake][:, None] == score[~fake])
    variances = [np.var(wins.mean(axis), ddof=1) / wins.shape[1 - axis] for axis in (0, 1)]
    return wins.mean(), sum(variances)


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=4, max_size=50), st.randoms())
def test_auc_and_variance(rows, shuffle):
    fake = np.array([row[1] for row in rows])
    if min(fake.sum(), (~fake).sum()) < 2:
        return
    score = np.array([float(row[0]) for row in rows])
    order = np.lexsort((np.array([shuffle.random() for _ in rows]), score))
    area, influence = auc_influence(score[order], fake[order])
    expected, variance = delong_by_definition(score, fake)
    assert area == pytest.approx(roc_auc_score(fake, score)) == pytest.approx(expected)
    assert (influence**2).sum() == pytest.approx(variance, abs=1e-12)


def test_pairs_make_the_variance_that_of_resampled_pairs():
    rng = np.random.default_rng(1)
    n = 300
    person = rng.normal(size=n)
    real, fake = person + rng.normal(size=n), person + rng.normal(size=n) + 1.5

    def area(rows):
        return roc_auc_score(np.r_[np.zeros(n), np.ones(n)], np.r_[real[rows], fake[rows]])

    draws = [area(rng.integers(0, n, n)) for _ in range(400)]
    score, is_fake = np.r_[real, fake], np.r_[np.zeros(n, bool), np.ones(n, bool)]
    order = np.argsort(score)
    influence = np.empty(2 * n)
    _, influence[order] = auc_influence(score[order], is_fake[order])
    paired = ((influence[:n] + influence[n:]) ** 2).sum()
    assert math.sqrt(paired) == pytest.approx(np.std(draws), rel=0.12)
    assert (influence**2).sum() > 1.4 * paired  # what independence would claim


def test_interval_of_a_perfect_detector_is_not_a_point():
    low, high = auc_interval(1.0, 0.0, 40, 60, Z)
    assert high == 1 and low == pytest.approx(float(wilson(1.0, 40, Z)[0]))


def test_interval_without_a_variance_takes_the_rarer_class():
    low, high = auc_interval(0.7, math.nan, 1, 60, Z)
    assert (low, high) == pytest.approx(tuple(map(float, wilson(0.7, 1, Z))))
    assert all(math.isnan(limit) for limit in auc_interval(math.nan, 0.1, 0, 5, Z))


def test_single_image_of_a_class_has_an_area_and_no_variance():
    area, influence = auc_influence(np.array([0.1, 0.2, 0.3]), np.array([False, True, True]))
    assert area == 1 and np.isnan(influence).all()
