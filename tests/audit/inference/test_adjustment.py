"""Standardised differences against known truths, statsmodels, and data that cannot tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from audit.inference.adjustment import Standardised, in_common, least_worth, standardised_difference

Z = 1.959964


def compared(wrong, side, *columns, min_n=30, unit=None, weight=None):
    """The columns as `audit.data.strata.plain` returns them; images without a counterpart left out."""
    series = [
        pd.Series(c, name=f"c{i}") if not isinstance(c, pd.Series) else c for i, c in enumerate(columns)
    ]
    kept = in_common(side, series)
    parts = [None if part is None else part[kept] for part in (unit, weight)]
    least = least_worth(side, unit, min_n)
    return standardised_difference(wrong[kept], side[kept], [c[kept] for c in series], least, *parts)


def confounded(rng, n=(2000, 700), shift=0.8, effect=0.0, error=lambda q: expit(-2.5 - 1.2 * q)):
    side = np.repeat([0, 1], n)
    quality = rng.normal(np.where(side == 0, -shift, 0.0))
    return rng.random(len(side)) < error(quality) + effect * (side == 0), side, quality


def coverage(truth, n_sim, seed, **how):
    """Of the intervals there are; data without one say nothing."""
    rng, hits = np.random.default_rng(seed), []
    for _ in range(n_sim):
        found = compared(*confounded(rng, **how))
        if isinstance(found, Standardised):
            low, high = found.interval(Z)
            hits.append(low <= truth <= high)
    assert len(hits) > n_sim / 2
    return np.mean(hits)


def test_pure_confounding_leaves_no_gap_and_a_true_one_stays():
    rng = np.random.default_rng(0)
    wrong, side, quality = confounded(rng, (20_000, 5_000))
    found = compared(wrong, side, quality)
    raw = wrong[side == 0].mean() - wrong[side == 1].mean()
    low, high = found.interval(Z)
    assert raw > 0.08 and low < 0 < high and abs(found.difference) < 0.01
    low, high = compared(*confounded(rng, (20_000, 5_000), effect=0.03)).interval(Z)
    assert 0 < low < 0.03 < high < 0.05


@pytest.mark.parametrize(
    "error",
    [lambda q: np.where(q < -0.5, 0.25, 0.02), lambda q: 0.02 + 0.2 * np.exp(-8 * (q + 0.5) ** 2)],
    ids=["step", "bump"],
)
def test_coverage_whatever_the_shape(error):
    assert coverage(0.0, 40, 1, n=(1200, 500), error=error) >= 0.9


def test_coverage_of_rare_errors():
    assert coverage(0.0, 40, 2, n=(2500, 900), error=lambda q: 0.008 * expit(-1.5 * q)) >= 0.9


def test_words_alone_are_the_difference_weighted_by_overlap():
    """With one word column both regressions are saturated up to the group's effect: weights n1 n0 / n."""
    rng = np.random.default_rng(3)
    n = 6000
    word = rng.integers(0, 3, n)
    side = (rng.random(n) < np.array([0.2, 0.5, 0.7])[word]).astype(int)
    wrong = rng.random(n) < np.array([0.05, 0.1, 0.3])[word] + 0.05 * (side == 0)
    found = compared(wrong, side, pd.Series(pd.Categorical(word), name="w"))
    cell = pd.DataFrame({"w": word, "s": side, "y": wrong}).groupby(["w", "s"])["y"].agg(["mean", "size"])
    cell = cell.unstack()
    weight = cell["size"].prod(axis=1) / cell["size"].sum(axis=1)
    expected = ((cell["mean"][0] - cell["mean"][1]) * weight).sum() / weight.sum()
    assert found.difference == pytest.approx(expected, abs=1e-6)


def test_the_fit_is_that_of_statsmodels_formulas():
    rng = np.random.default_rng(4)
    wrong, side, quality = confounded(rng, (900, 600))
    found = compared(wrong, side, quality)
    kept = in_common(side, [pd.Series(quality)])
    frame = pd.DataFrame({"y": wrong[kept], "first": side[kept] == 0, "q": quality[kept]}).astype(float)
    frame["r"] = frame["q"].rank() - 0.5
    frame["r"] /= len(frame)
    import statsmodels.api as sm

    knots = np.quantile(frame["r"], np.linspace(0, 1, 7)[1:-1]).tolist()
    curve = f"cr(r, knots={knots}, lower_bound=r.min(), upper_bound=r.max())"
    family = sm.families.Binomial()
    e = smf.glm(f"first ~ {curve} - 1", frame, family=family).fit().fittedvalues
    weights = np.where(frame["first"] == 1, 1 - e, e)
    fit = smf.glm(f"y ~ first + {curve} - 1", frame, family=family, var_weights=weights).fit()
    rates = [np.average(fit.predict(frame.assign(first=float(m))), weights=e * (1 - e)) for m in (1, 0)]
    assert found.rates == pytest.approx(rates, abs=1e-6)


def test_the_variance_is_that_of_the_bootstrap():
    rng = np.random.default_rng(5)
    wrong, side, quality = confounded(rng, (1500, 600), effect=0.05)
    found = compared(wrong, side, quality)
    drawn = []
    for _ in range(80):
        at = rng.integers(0, len(side), len(side))
        drawn.append(compared(wrong[at], side[at], quality[at]).difference)
    se = (sum(found.variances) - 2 * found.covariance) ** 0.5
    assert se == pytest.approx(np.std(drawn), rel=0.2)


def test_copies_of_an_image_are_one_unit():
    rng = np.random.default_rng(6)
    wrong, side, quality = confounded(rng)
    once = compared(wrong, side, quality)
    ten = compared(*(np.tile(a, 10) for a in (wrong, side, quality)), unit=np.tile(np.arange(len(side)), 10))
    assert ten.interval(Z) == pytest.approx(once.interval(Z), abs=0.003)
    blind = compared(*(np.tile(a, 10) for a in (wrong, side, quality)))
    assert np.diff(blind.interval(Z)) < 0.5 * np.diff(once.interval(Z))


def test_either_group_may_come_first():
    """Images are few persons' in both, each with as many as ten."""
    rng = np.random.default_rng(8)
    wrong, side, quality = confounded(rng, (1500, 1000), effect=0.05)
    person = np.concatenate([rng.integers(0, 200, 1500), rng.integers(200, 300, 1000)])
    low, high = compared(wrong, side, quality, unit=person).interval(Z)
    mirrored = compared(wrong, 1 - side, quality, unit=person).interval(Z)
    assert mirrored == pytest.approx((-high, -low), rel=1e-6)


def test_a_weight_of_two_is_two_images_in_the_estimate():
    rng = np.random.default_rng(7)
    wrong, side, quality = confounded(rng)
    word = pd.Series(pd.Categorical(np.where(quality > 0, "high", "low")), name="w")
    twice = np.r_[np.arange(len(side)), np.flatnonzero(quality > 0.5)]
    weighted = compared(wrong, side, word, weight=1.0 + (quality > 0.5))
    doubled = compared(wrong[twice], side[twice], word.iloc[twice].reset_index(drop=True))
    assert weighted.rates == pytest.approx(doubled.rates, abs=1e-6)


@pytest.mark.parametrize("scale", [1.0, -3.0, 1e6])
def test_only_the_order_of_a_number_counts(scale):
    rng = np.random.default_rng(8)
    wrong, side, quality = confounded(rng)
    same = compared(wrong, side, quality).difference
    assert compared(wrong, side, quality * scale).difference == pytest.approx(same, abs=1e-6)


def _bad_inputs():
    rng = np.random.default_rng(9)
    n = 2000
    side, quality, wrong = rng.integers(0, 2, n), rng.normal(size=n), rng.random(n) < 0.1
    overlap, alone = "do not overlap", "cannot be separated"
    return {
        "a word for each group": (wrong, side, [pd.Series(pd.Categorical(side), name="c")], None, overlap),
        "a constant within groups": (wrong, side, [0.3 + 0.4 * side], None, overlap),
        "ranges apart": (wrong, side, [quality + 10 * side], None, overlap),
        "hardly a range in common": (wrong, side, [quality + 4.5 * side], None, overlap),
        "apart only together": (wrong, side, [quality, quality + 2 * side], None, overlap),
        "the column is the error": (quality > 0.5, side, [quality], None, "alone tells right from wrong"),
        "the group is the error": (side == 0, side, [quality], None, alone),
        "no errors": (np.zeros(n, bool), side, [quality], None, alone),
        "one unit": (wrong, side, [quality], np.zeros(n, dtype=int), overlap),
        "one group": (wrong, np.zeros(n, dtype=int), [quality], None, overlap),
    }


@pytest.mark.parametrize("case", _bad_inputs())
def test_what_cannot_be_separated_is_never_a_number(case):
    wrong, side, columns, unit, reason = _bad_inputs()[case]
    found = compared(wrong, side, *columns, unit=unit)
    assert isinstance(found, str) and reason in found and "cannot be separated" in found


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([60, 200, 500]), st.floats(0.0, 3.0), st.floats(0.005, 0.6))
def test_any_data_give_a_reason_or_an_interval_around_the_estimate(seed, n, shift, rate):
    rng = np.random.default_rng(seed)
    side = rng.integers(0, 2, n)
    quality = np.round(rng.normal(shift * side), rng.integers(0, 3))
    found = compared(rng.random(n) < rate, side, quality)
    if isinstance(found, Standardised):
        low, high = found.interval(Z)
        assert -1 <= low <= found.difference <= high <= 1 and low < high
    else:
        assert "cannot be separated" in found


def test_groups_without_an_error_have_an_interval_as_wide_as_their_images_allow():
    """0 of 40 beside 0 of 90: no variance can be estimated, and the difference is not known to be 0."""
    none = Standardised((0.0, 0.0), (0.0, 0.0), 0.0, (40.0, 90.0))
    low, high = none.interval(Z)
    assert -0.06 < low < -0.03 and 0.07 < high < 0.12
    one_sided = Standardised((0.0, 0.1), (0.0, 0.001), 0.0, (40.0, 90.0)).interval(Z)
    assert one_sided[0] < -0.1 < one_sided[1]


@pytest.mark.parametrize("alone", [0, 1])
def test_one_group_alone_is_not_separated_from_anything(alone):
    n = 60
    told = standardised_difference(
        np.arange(n) % 2 == 0,
        np.full(n, alone),
        [pd.Series(np.arange(n) / n, name="q")],
        (1.0, 1.0),
        np.arange(n),
    )
    assert told == "the groups do not overlap in q: the two cannot be separated"


@pytest.mark.parametrize("shift", [0.3, 1.0])
def test_what_goes_with_a_column_varies_as_its_influences_say(shift):
    rng = np.random.default_rng(9)
    found = [compared(*confounded(rng, (500, 400), shift, 0.05)) for _ in range(150)]
    told = [one for one in found if isinstance(one, Standardised)]
    seen = np.std([one.part for one in told])
    assert np.sqrt(np.mean([one.part_variance for one in told])) == pytest.approx(seen, rel=0.2)


def test_what_goes_with_a_column_is_of_units_and_weights():
    wrong, side, quality = confounded(np.random.default_rng(10), (400, 300), effect=0.05)
    one = compared(wrong, side, quality)
    again = [np.repeat(part, 5) for part in (wrong, side, quality)]
    unit = np.repeat(np.arange(700), 5)
    copies = compared(*again, unit=unit)
    assert copies.part == pytest.approx(one.part, rel=1e-3)  # the ranks of ties differ
    assert copies.part_variance == pytest.approx(one.part_variance, rel=0.02)  # and not a fifth of it
    weight = np.where(quality < -0.5, 3.0, 1.0)
    weighted = compared(wrong, side, quality, weight=weight)
    kept = in_common(side, [pd.Series(quality)])
    rates = [np.average(wrong[kept & (side == one)], weights=weight[kept & (side == one)]) for one in (0, 1)]
    assert weighted.part == pytest.approx(rates[0] - rates[1] - weighted.difference)
    thrice = weight.astype(int)  # a weight of three is three copies of one unit
    again = [np.repeat(part, thrice) for part in (wrong, side, quality)]
    copies = compared(*again, unit=np.repeat(np.arange(700), thrice))
    assert weighted.part == pytest.approx(copies.part, abs=0.01)
    assert weighted.part_variance == pytest.approx(copies.part_variance, rel=0.1)
