"""Pairs of groups: p-values of the studentised range, and gaps corrected for being the largest of many."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, tukey_hsd
from statsmodels.stats.meta_analysis import combine_effects

from audit.inference.criteria import Criterion
from audit.inference.pairwise import (
    adjusted_p,
    pair_critical,
    pair_deviates,
    shrunken_rates,
)


def test_with_many_images_the_p_values_are_tukeys():
    n, k = np.array([4000, 3000, 2000]), np.array([1200, 960, 640])
    samples = [np.r_[np.ones(errors), np.zeros(size - errors)] for errors, size in zip(k, n, strict=True)]
    expected = tukey_hsd(*samples).pvalue
    deviates = pair_deviates(k, n)
    for g, h in ((0, 1), (0, 2), (1, 2)):
        assert adjusted_p(deviates[g, h], 3) == pytest.approx(expected[g, h], abs=0.01)


def test_two_groups_need_no_adjustment_and_the_far_tail_is_bonferronis():
    assert adjusted_p(2.5, 2) == pytest.approx(2 * norm.sf(2.5), rel=1e-6)
    assert adjusted_p(9.0, 9) == pytest.approx(36 * 2 * norm.sf(9.0), rel=1e-6)
    for k in (2, 7, 126):
        assert adjusted_p(pair_critical(k, 0.01), k) == pytest.approx(0.01, rel=1e-3)


def test_other_groups_do_not_change_what_a_pair_shows():
    """The deviate of a pair is its own: with the pooled variance it grew as a large group was added."""
    alone = pair_deviates(np.array([0, 4]), np.array([60, 60]))[1, 0]
    beside = pair_deviates(np.array([0, 4, 40]), np.array([60, 60, 20_000]))[1, 0]
    assert beside == alone < pair_critical(2, 0.01)


def test_beyond_a_tolerance_of_nothing_is_unequal():
    k, n = np.array([10, 30, 90]), np.array([400, 500, 600])
    beyond = Criterion("difference", 0.0).deviates_beyond(k, n)
    np.testing.assert_allclose(beyond, pair_deviates(k, n), atol=1e-9)
    assert (Criterion("difference", 0.05).deviates_beyond(k, n)[2, 0] < beyond[2, 0]) and Criterion(
        "difference", 0.2
    ).deviates_beyond(k, n)[2, 0] < 0


@pytest.mark.parametrize("gap", [0.0, 0.015, 0.05])
def test_the_corrected_gap_is_nearer_the_truth_than_the_observed_one(gap):
    rng = np.random.default_rng(4)
    n, p = np.array([2085, 1623, 1556, 1550, 1516, 1415, 1209]), np.full(7, 0.05)
    p[2] += gap
    drawn = rng.binomial(n, p, size=(200, 7))
    observed = np.ptp(drawn / n, axis=1)
    corrected = np.array([np.ptp(shrunken_rates(k, n)[1]) for k in drawn])
    assert abs(corrected.mean() - gap) < abs(observed.mean() - gap) / 2
    assert ((corrected - gap) ** 2).mean() < ((observed - gap) ** 2).mean()


def test_nobody_errs_and_everybody_errs():
    for k in (np.zeros(3, int), np.array([40, 50, 60])):
        means, spread = shrunken_rates(k, np.array([40, 50, 60]))
        assert np.ptp(means) == np.ptp(spread) == 0


def test_rates_are_shrunken_as_statsmodels_random_effects_say():
    """Between-group variance by Paule and Mandel; each rate's best guess lies between it and the centre."""
    errors, images = np.array([12, 60, 9, 33, 20]), np.array([400, 900, 150, 500, 800])
    common = errors.sum() / images.sum()
    near = (errors + 4 * common) / (images + 4)
    variance = near * (1 - near) / images
    rates = errors / images
    fit = combine_effects(rates, variance, method_re="iterated")
    assert fit.tau2 > 0
    centre = fit.mean_effect_re
    guesses = centre + fit.tau2 / (variance + fit.tau2) * (rates - centre)
    means, spread = shrunken_rates(errors, images)
    assert means == pytest.approx(guesses, rel=1e-5)
    missing = np.average(fit.tau2 * variance / (variance + fit.tau2))
    assert spread.mean() == pytest.approx(means.mean())
    assert spread.var() == pytest.approx(means.var() + missing, rel=1e-5)
    assert np.corrcoef(spread, means)[0, 1] == pytest.approx(1)


def test_where_chance_explains_the_spread_all_are_alike():
    errors, images = np.array([10, 12, 11]), np.array([200, 210, 220])
    means, spread = shrunken_rates(errors, images)
    near = (errors + 4 * 33 / 630) / (images + 4)
    weight = images / (near * (1 - near))
    assert means == pytest.approx(np.full(3, np.average(errors / images, weights=weight)))
    assert (means == spread).all()
