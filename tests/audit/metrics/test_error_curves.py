"""Error curves and what is read off them, against scikit-learn and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from scipy.stats import beta, norm
from sklearn import metrics as sk

from audit.config import parse_rule
from audit.data import spans
from audit.metrics import error_curves as curves
from audit.metrics.operating_point import pick_threshold

SCORES = st.lists(st.tuples(st.integers(-3, 8), st.booleans()), min_size=2, max_size=60)


def curve_of(score, fake):
    order = np.argsort(score, kind="stable")
    return curves.error_curve(np.asarray(score, float)[order], np.asarray(fake, bool)[order])


def two_classes(rows):
    return len({fake for _, fake in rows}) == 2


@given(SCORES)
def test_counts_at_any_threshold(rows):
    score, fake = map(np.array, zip(*rows, strict=True))
    curve = curve_of(score, fake)
    for threshold in (-4, -3, 0, 0.5, 8, 9):
        fp, fn = curve.at(threshold)
        assert fp == ((score >= threshold) & ~fake).sum()
        assert fn == ((score < threshold) & fake).sum()


@given(SCORES, st.integers(1, 9))
def test_every_point_is_counted_however_the_scores_are_looked_up(rows, span):
    """All images, and every second one of a longer table, in parts of any length."""
    rows = sorted(rows)
    score, fake = np.array([s for s, _ in rows], float), np.array([f for _, f in rows])
    twice, places = np.repeat(score, 2), np.arange(0, 2 * len(score), 2)
    thresholds = [*sorted(set(score)), np.nextafter(score[-1], np.inf)]
    wanted = {
        "thresholds": thresholds,
        "fp": [int(((score >= t) & ~fake).sum()) for t in thresholds],
        "fn": [int(((score < t) & fake).sum()) for t in thresholds],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "SPAN", span)
        for found in (
            curves.error_curve(score, fake),
            curves.error_curve(spans.Taken(twice, places), spans.Taken(np.repeat(fake, 2), places)),
            curves.error_curve(score, fake, np.ones(len(score))),
        ):
            listed = found.listed()
            assert {name: getattr(listed, name).tolist() for name in wanted} == wanted
            assert (found.n_real, found.n_fake) == ((~fake).sum(), fake.sum())
            for some in (slice(1, 3), np.array([0, len(thresholds) - 1]), 0):
                assert np.array_equal(found.threshold(some), listed.thresholds[some])
                assert np.array_equal(found.errors(some), [listed.fp[some], listed.fn[some]])
            beside = np.array([-9.0, *score, *(score + 0.5), np.inf])
            assert np.array_equal(found.at(beside), listed.at(beside))


@given(SCORES.filter(two_classes))
def test_roc_is_scikit_learns(rows):
    score, fake = zip(*rows, strict=True)
    curve = curve_of(score, fake).listed()
    fpr, tpr, thresholds = sk.roc_curve(fake, score, drop_intermediate=False)
    np.testing.assert_allclose(curve.fpr[::-1], fpr)
    np.testing.assert_allclose(1 - curve.fnr[::-1], tpr)
    np.testing.assert_allclose(curve.thresholds[-2::-1], thresholds[1:])


def test_weights_of_a_tenth_reach_a_level_that_they_reach_in_truth():
    score, fake = np.r_[np.arange(12) / 12, 2.0], np.arange(13) == 12
    curve = curves.error_curve(score, fake, np.r_[np.full(12, 0.1), 1.0])
    assert curve.errors(11)[0] / curve.n_real > 1 / 12  # one of twelve, and a rounding
    assert pick_threshold(curve, parse_rule(f"fpr={1 / 12!r}")) == 11 / 12


def test_average_precision_where_the_highest_score_weighs_nothing():
    fake, weight = np.array([False, True, False, True]), np.array([1.0, 2.0, 1.0, 0.0])
    score = np.array([0.1, 0.5, 0.7, 0.9])
    ours = curves.average_precision(curves.error_curve(score, fake, weight))
    assert ours == pytest.approx(sk.average_precision_score(fake, score, sample_weight=weight))
    assert ours == pytest.approx(2 / 3)


@given(SCORES.filter(two_classes))
def test_average_precision_is_scikit_learns(rows):
    score, fake = zip(*rows, strict=True)
    ours = curves.average_precision(curve_of(score, fake))
    assert ours == pytest.approx(sk.average_precision_score(fake, score))


@given(SCORES.filter(two_classes))
def test_eer_is_where_the_interpolated_roc_crosses(rows):
    score, fake = zip(*rows, strict=True)
    curve = curve_of(score, fake)
    ours = curves.eer(curve)
    assert 0 <= ours <= 1
    along, points = np.linspace(0, 1, len(curve)), curve.listed()
    fpr, fnr = interp1d(along, points.fpr), interp1d(along, points.fnr)
    crossing = brentq(lambda t: fpr(t) - fnr(t), 0, 1)
    assert ours == pytest.approx(float(fpr(crossing)), abs=1e-9)


def test_eer_does_not_depend_on_the_order_of_ties():
    assert curves.eer(curve_of([0.5] * 10, [True, False] * 5)) == 0.5
    assert curves.eer(curve_of([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])) == 0
    assert curves.eer(curve_of([0.8, 0.9, 0.1, 0.2], [0, 0, 1, 1])) == 1


@given(SCORES.filter(two_classes))
def test_swapping_classes_and_signs_swaps_the_errors(rows):
    score, fake = map(np.array, zip(*rows, strict=True))
    one, other = curve_of(score, fake), curve_of(-score, ~fake)
    assert curves.eer(one) == pytest.approx(curves.eer(other))
    assert sorted(one.listed().fpr) == pytest.approx(sorted(other.listed().fnr))


def test_working_points_by_hand():
    real, fake = np.arange(100), np.arange(100) + 90.5
    curve = curve_of(np.r_[real, fake], np.r_[np.zeros(100), np.ones(100)])
    assert curves.fnr_at_fpr(curve, 0.01) == pytest.approx(0.08)  # threshold 98.5 flags the real 99 only
    assert curves.fnr_at_fpr(curve, 0.10) == 0.0
    assert curves.fpr_at_fnr(curve, 0.05) == pytest.approx(0.04)  # threshold 95.5 misses five fakes
    assert curves.fpr_at_fnr(curve, 0.10) == 0.0


def test_min_dcf():
    perfect = curve_of([0.1, 0.9], [0, 1])
    useless = curve_of([0.5, 0.5], [0, 1])
    assert curves.min_dcf(perfect) == 0 and curves.min_dcf(useless) == pytest.approx(1)
    curve = curve_of([0, 1, 2, 3], [0, 1, 0, 1])
    assert curves.min_dcf(curve, 0.5) == pytest.approx(0.5)


def test_one_class_is_undefined():
    curve = curve_of([0.1, 0.2], [0, 0])
    for function in (curves.eer, curves.eer_threshold, curves.min_dcf, curves.average_precision):
        assert math.isnan(function(curve))
    assert math.isnan(curves.fnr_at_fpr(curve, 0.1)) and math.isnan(curves.fpr_at_fnr(curve, 0.1))
    assert np.isnan(curve.listed().fnr).all() and curve.listed().fpr[0] == 1


@pytest.mark.parametrize("n_points", [60, 200])
def test_thinning_keeps_exact_points_and_both_ends(n_points):
    rng = np.random.default_rng(0)
    score = rng.normal(size=20_000)
    fake = rng.random(20_000) < 0.5
    curve = curve_of(score + fake, fake)
    thin = curve.thin(n_points)
    assert n_points / 2 < len(thin.thresholds) <= n_points
    fp, fn = curve.at(thin.thresholds)
    assert (thin.fp == fp).all() and (thin.fn == fn).all()
    assert thin.fpr[0] == 1 and thin.fnr[0] == 0 and thin.fpr[-1] == 0 and thin.fnr[-1] == 1
    assert abs(curves.eer(thin) - curves.eer(curve)) < 0.01
    assert curve_of([1, 2], [0, 1]).thin(60).thresholds[0] == 1


def test_histogram_counts_everything_once():
    curve = curve_of([0.0, 0.25, 0.5, 0.5, 1.0], [0, 0, 0, 1, 1])
    real, fake = curves.histogram(curve, np.linspace(0, 1, 5))
    assert real.tolist() == [1, 1, 1, 0] and fake.tolist() == [0, 0, 1, 1]


def test_share_of_fakes_around_the_eer_threshold_by_counting():
    """Reals lie twice as densely as fakes where the rates meet, so a third of that density is fakes."""
    real = np.linspace(0.3, 0.7, 200)
    fake = np.linspace(0.1, 0.9, 200) + 1e-4
    curve = curve_of([*real, *fake], [False] * 200 + [True] * 200)
    assert curves.eer_density_share(curve) == pytest.approx(1 / 3, abs=0.02)


def test_a_band_holds_its_curve_and_grows_with_both_errors():
    fpr, fnr = [1.0, 0.2, 0.01, 0.0], [0.0, 0.05, 0.4, 1.0]
    low, high = curves.curve_band(fpr, fnr, (100, 40), 0.95, fpr)
    assert (low <= fnr).all() and (fnr <= high).all()
    fewer_low, fewer_high = curves.curve_band(fpr, fnr, (10, 40), 0.95, fpr)
    assert (fewer_low <= low).all() and (high <= fewer_high).all() and (fewer_high > high).any()


def test_a_band_is_the_exact_interval_where_the_fpr_is_as_good_as_known():
    low, high = curves.curve_band([1.0, 0.5, 0.0], [0.0, 0.25, 1.0], (1e12, 40), 0.95, [0.5])
    assert low[0] == pytest.approx(beta.ppf(0.025, 10, 31))
    assert high[0] == pytest.approx(beta.ppf(0.975, 11, 30))


def test_a_band_joins_two_errors_as_the_variance_of_a_roc_curve_does():
    """Slope 1, both rates 0.5: Hsieh and Turnbull's variance is p (1 - p) (1 / n_real + 1 / n_fake)."""
    fpr = np.linspace(1, 0, 2001)
    low, high = curves.curve_band(fpr, 1 - fpr, (4000, 1000), 0.95, [0.5])
    half = 1.96 * (0.25 / 4000 + 0.25 / 1000) ** 0.5
    assert [0.5 - low[0], high[0] - 0.5] == pytest.approx([half, half], rel=0.03)


def test_density_share_counts_a_window_of_the_order_of_n_to_three_quarters():
    """Of 16 of each class: 8 / 32 of each to either side of the point where the rates are closest."""
    rng = np.random.default_rng(3)
    score, fake = rng.permutation(32).astype(float), np.arange(32) % 2 == 1
    score[fake] += 6
    curve = curve_of(score, fake)
    points = curve.listed()
    centre = int(np.lexsort((points.fpr + points.fnr, np.round(np.abs(points.fpr - points.fnr), 12)))[0])
    height = points.fpr + 1 - points.fnr
    inside = np.flatnonzero(np.abs(height - height[centre]) <= 2 * (16**0.75 / 16 / 2) + 1e-12)
    fakes = points.fnr[inside[-1]] - points.fnr[inside[0]]
    reals = points.fpr[inside[0]] - points.fpr[inside[-1]]
    assert curves.eer_density_share(curve) == pytest.approx(fakes / (fakes + reals))
    assert curves.eer_threshold(curve) == points.thresholds[centre]


def test_costs_at_several_priors_in_parts(monkeypatch):
    rng = np.random.default_rng(4)
    fake = rng.random(300) < 0.5
    score = np.round(rng.normal(size=300) + fake, 1)
    curve = curve_of(score, fake)
    fpr, tpr, _ = sk.roc_curve(fake, score, drop_intermediate=False)
    wanted = [(p * (1 - tpr) + (1 - p) * fpr).min() / min(p, 1 - p) for p in (0.01, 0.3, 0.8)]
    monkeypatch.setattr(spans, "SPAN", 7)
    assert curves.min_dcfs(curve, (0.01, 0.3, 0.8)) == pytest.approx(wanted)
    assert curves.average_precision(curve) == pytest.approx(sk.average_precision_score(fake, score))
    assert all(math.isnan(one) for one in curves.min_dcfs(curve_of([1.0, 2.0], [1, 1]), (0.1, 0.2)))


def test_weights_are_summed_and_what_no_weight_is_left_of_is_exactly_0():
    score = np.array([0.1, 0.2, 0.2, 0.5, 0.9])
    fake, weight = np.array([False, True, False, False, True]), np.array([0.3, 0.5, 0.1, 0.2, 1.5])
    curve = curves.error_curve(score, fake, weight)
    assert curve.thresholds.tolist() == [0.1, 0.2, 0.5, 0.9, np.nextafter(0.9, 1)]
    assert curve.fp == pytest.approx([0.6, 0.3, 0.2, 0, 0]) and curve.fp[3:].tolist() == [0, 0]
    assert curve.fn == pytest.approx([0, 0, 0.5, 0.5, 2.0])
    assert (curve.n_real, curve.n_fake) == pytest.approx((0.6, 2.0))
    assert [tuple(one) for one in np.transpose(curve.at([0.15, 0.2, 5.0]))] == [
        pytest.approx(one) for one in ((0.3, 0), (0.3, 0), (0, 2.0))
    ]


def test_a_thin_curve_of_one_class_keeps_its_ends():
    curve = curve_of(np.arange(5000.0), np.zeros(5000, bool))
    thin = curve.thin(60)
    assert len(thin) <= 60 and thin.fp[0] == 5000 and thin.fp[-1] == 0 and thin.n_fake == 0
    assert (thin.fp == [(np.arange(5000) >= t).sum() for t in thin.thresholds]).all()
    grid = norm.cdf(np.linspace(-4, 4, 28))  # even on probit axes
    for level in grid[(grid > 0.001) & (grid < 0.999)]:
        assert np.abs(thin.fpr - level).min() < 1 / 5000
