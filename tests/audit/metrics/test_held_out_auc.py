"""AUC under cross-validation by group: chance is called chance, what can be learned is found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from audit.metrics.auc import auc_interval
from audit.metrics.held_out_auc import FOLDS, HeldOut, folds, held_out


def pairs(n: int, rng: np.random.Generator, shift: float = 0.0):
    """n pairs that share most of two features; fakes lie `shift` higher in the first."""
    shared = rng.normal(size=(n, 2))
    real, fake = (0.8 * shared + 0.6 * rng.normal(size=(n, 2)) for _ in range(2))
    fake[:, 0] += shift
    return np.r_[real, fake], np.repeat([False, True], n), np.tile(np.arange(n), 2)


def test_units_stay_whole_and_classes_are_spread():
    rng = np.random.default_rng(0)
    unit = np.r_[np.repeat(np.arange(40), 3), np.arange(40, 90)]
    fake = np.r_[np.repeat(rng.random(40) < 0.5, 3), np.ones(50, dtype=bool)]
    fold = folds(fake, unit, 0)
    assert all(len(set(fold[unit == one])) == 1 for one in range(90))
    counts = np.array([[np.sum(fold == k), np.sum(fake[fold == k])] for k in range(FOLDS)])
    assert np.ptp(counts, axis=0).max() <= 6
    assert (fold != folds(fake, unit, 1)).any() and (fold == folds(fake, unit, 0)).all()


def test_the_auc_is_the_mean_of_the_folds_own():
    features, fake, unit = pairs(60, np.random.default_rng(1), 1.0)
    found = held_out(features, fake, unit, 0)
    of_folds = [roc_auc_score(fake[found.fold == k], found.score[found.fold == k]) for k in range(FOLDS)]
    auc, (low, high) = found.auc(1.96)
    assert auc == pytest.approx(np.mean(of_folds)) and low < auc < high
    assert roc_auc_score(fake, found.ranks()) == pytest.approx(auc, abs=0.02)


@pytest.mark.slow
def test_where_nothing_tells_the_interval_holds_one_half():
    """16 data sets; more than 3 outside has a chance of 0.7 % if the true share is 5 %."""
    rng, outside = np.random.default_rng(2), 0
    for seed in range(16):
        _, (low, high) = held_out(*pairs(40, rng), seed).auc(1.96)
        outside += not low <= 0.5 <= high
    assert outside <= 3


def test_what_can_be_learned_is_found_also_where_values_are_missing():
    features, fake, unit = pairs(100, np.random.default_rng(3))
    features[fake, 1] = np.nan
    auc, (low, _) = held_out(features, fake, unit, 0).auc(1.96)
    assert auc == 1.0 and low > 0.9


def test_frames_of_a_video_are_worth_one_image():
    """Twelve copies of each image: the interval rests on units, and holds 0.5 where nothing tells."""
    rng, outside, widths = np.random.default_rng(5), 0, []
    for seed in range(12):
        features, fake, unit = rng.normal(size=(60, 2)), np.arange(60) % 3 == 0, np.arange(60)
        given = (np.repeat(part, 12, axis=0) for part in (features, fake, unit))
        _, (low, high) = held_out(*given, seed).auc(1.96)
        outside += not low <= 0.5 <= high
        widths.append(high - low)
    assert outside <= 3 and min(widths) > 0.25


def test_equal_features_tell_nothing():
    _, fake, unit = pairs(30, np.random.default_rng(4))
    auc, (low, high) = held_out(np.full((60, 3), np.nan), fake, unit, 0).auc(1.96)
    assert auc == 0.5 and low < 0.4 < 0.6 < high


def test_the_interval_rests_on_units_and_allows_for_what_folds_share():
    """Influences by comparing every pair of a fold, summed over units of three; two and a half times the
    variance; Student's quantile for the rarer class's units.
    """
    rng = np.random.default_rng(6)
    unit, fold = np.repeat(np.arange(60), 3), np.repeat(np.arange(60) % FOLDS, 3)
    fake = unit % 3 == 0
    score = np.round(rng.normal(size=180) + rng.normal(size=60)[unit] + fake, 1)
    auc, found = HeldOut(score, fold, fake, unit).auc(1.959964)
    influence, areas = np.zeros(180), []
    for k in range(FOLDS):
        rows = fold == k
        real, own = score[rows & ~fake], score[rows & fake]
        wins = (own[:, None] > real) + 0.5 * (own[:, None] == real)
        areas.append(wins.mean())
        for side, placed in ((fake, wins.mean(axis=1)), (~fake, wins.mean(axis=0))):
            n = len(placed)
            influence[rows & side] = (placed - wins.mean()) / np.sqrt(n * (n - 1)) / FOLDS
    of_unit = np.bincount(unit, influence)
    variance = (of_unit**2).sum()
    t = float(student.isf(0.025, 20 - 1))
    expected = auc_interval(auc, 2.5 * variance, 40, 20, variance**2 / (of_unit**4).sum(), t)
    assert auc == pytest.approx(np.mean(areas)) and found == pytest.approx(expected, abs=1e-6)
    ranks = HeldOut(score, fold, fake, unit).ranks()
    one = fold == 2
    below = (score[one][:, None] > score[one]).sum(axis=1) + (score[one][:, None] == score[one]).sum(
        axis=1
    ) / 2
    assert ranks[one] == pytest.approx(below / one.sum())
