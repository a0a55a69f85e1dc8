"""Figures: what they draw is what the record says, and names are text."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm

from audit.schema.result import Curve, Histogram
from reports.figures import curves as curve_figures
from reports.figures import dot_plots as figures
from reports.figures import palette
from reports.figures.gap_curves import gap_at_thresholds, gap_figure


def of(result, attribute):
    return [g for g in result.groups if g.attribute == attribute]


def dots(result, attribute="race", rate="fpr"):
    return figures.dots(of(result, attribute), rate, getattr(result.overall, rate), result.config)


def test_dots_stand_worst_first(result):
    figure = dots(result)
    rates = list(figure.data[0].x)
    assert rates == sorted(rates, reverse=True)
    assert list(figure.data[0].y) == sorted(figure.data[0].y, reverse=True)
    assert figure.layout.yaxis.ticktext[0].strip() == "Black"


def test_dots_carry_the_intervals_of_the_record(result):
    bars = dots(result).data[0].error_x
    worst = max(of(result, "race"), key=lambda g: g.fpr)
    assert worst.fpr + bars.array[0] == pytest.approx(worst.fpr_interval[1])
    assert worst.fpr - bars.arrayminus[0] == pytest.approx(worst.fpr_interval[0])


def test_the_band_runs_from_the_lowest_rate_to_the_tolerance_above_it(result):
    band, line = dots(result).layout.shapes
    lowest = min(g.fpr for g in of(result, "race"))
    assert (band.x0, band.x1) == pytest.approx((lowest, lowest + 0.02))
    assert line.x0 == result.overall.fpr


def test_thin_and_unlabelled_groups_are_hollow_and_starred(build):
    thin = build({"race": ["a", "b", "(missing)"]}, n=200, min_n=80)
    figure = dots(thin)
    taking_part = [g for g in thin.groups if g.n_real >= 80 and g.group != "(missing)"]
    assert len(figure.data[0].x) == len(taking_part)
    assert figure.data[1].marker.symbol == "circle-open"
    starred = [a for a in figure.layout.annotations if a.text.endswith("*")]
    assert len(starred) == len(figure.data[1].x) == 3 - len(taking_part)


def test_a_group_without_data_is_written_and_not_drawn(result):
    nothing = of(result, "gender")[0].model_copy(
        update={"fpr": math.nan, "fpr_interval": (math.nan, math.nan), "n_real": 0}
    )
    figure = figures.dots([nothing], "fpr", math.nan, result.config)
    assert not any(len(t.x) for t in figure.data)
    assert "no data" in [a.text for a in figure.layout.annotations]


@pytest.mark.parametrize("name", ["<script>x</script>", "<a href='http://x'>x</a>", "a & b", "<b>x</b>"])
def test_names_reach_plotly_without_markup(name):
    assert "<" not in figures.label_text(name)
    assert figures.label_text("a & b") == "a &amp; b"


def test_many_groups_are_capped(build):
    many = build({"team": [f"t{i}" for i in range(60)]}, n=1200)
    assert len(dots(many, "team").layout.yaxis.ticktext) == figures.MAX_ROWS


def test_det_axes_are_probit():
    curve = Curve(
        attribute="overall", group="overall", thresholds=[3, 2, 1], fpr=[0.01, 0.1, 0.5], fnr=[0.4, 0.2, 0.01]
    )
    line = curve_figures.curves([curve], "det").data[0]
    assert list(line.x) == pytest.approx(norm.ppf([0.01, 0.1, 0.5]), abs=1e-4)
    assert list(line.y) == pytest.approx(norm.ppf([0.4, 0.2, 0.01]), abs=1e-4)


def test_det_leaves_out_rates_of_none_and_all():
    curve = Curve(attribute="a", group="g", thresholds=[3, 2, 1], fpr=[0.0, 0.1, 1.0], fnr=[1.0, 0.2, 0.0])
    assert len(curve_figures.curves([curve], "det").data[0].x) == 1


def test_thinning_changes_no_point_of_the_line():
    rng = np.random.default_rng(0)
    fpr = np.sort(rng.integers(0, 12, 200) / 12)[::-1]
    fnr = np.sort(rng.integers(0, 12, 200) / 12)
    curve = Curve(attribute="a", group="g", thresholds=list(range(200)), fpr=list(fpr), fnr=list(fnr))
    thin = curve_figures.thin(curve)
    assert set(zip(thin.fpr, thin.fnr, strict=True)) == set(zip(fpr, fnr, strict=True))
    assert len(thin.fpr) < 200


def test_lines_differ_in_more_than_colour():
    styles = [palette.line_style(i) for i in range(len(palette.LINES))]
    dashes = [dash for _, dash in styles]
    assert all(a != b for a, b in itertools.pairwise(dashes))
    assert len(set(styles)) == len(styles)


def contrast(a, b):
    """WCAG 2.2 contrast ratio of two hex colours."""

    def luminance(colour):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return np.dot(linear, [0.2126, 0.7152, 0.0722])

    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", [*palette.LINES, palette.BLUE, palette.TEXT, palette.MUTED])
def test_every_line_is_seen_in_light_and_dark(colour):
    assert contrast(colour, "#ffffff") >= 3
    assert contrast(palette.DARK[colour], "#12161b") >= 3


def test_histograms_are_shares_of_each_class():
    strip = Histogram(attribute="a", group="g", edges=[0.0, 0.5, 1.0], real=[30, 10], fake=[0, 20])
    real, fake = curve_figures.histograms([strip], 0.5).data
    assert real.y[0] / real.y[1] == pytest.approx(3)
    assert fake.y[1] / real.y[0] == pytest.approx(-1 / 0.75, abs=1e-4)


def test_the_gap_at_the_audited_threshold_is_that_of_the_verdict(result):
    at = result.sweep_thresholds.index(result.config.threshold)
    for v in result.verdicts:
        groups = [s for s in result.sweep if s.attribute == v.attribute]
        gap = gap_at_thresholds(groups, v.rate, result.config.min_n)[at]
        assert gap == pytest.approx(v.gap, nan_ok=True), (v.attribute, v.rate)


def test_the_gap_of_one_group_is_undefined(result):
    one = [s for s in result.sweep if s.attribute == "gender"][:1]
    assert all(math.isnan(v) for v in gap_at_thresholds(one, "fpr", 30))
    assert gap_figure(result.model_copy(update={"sweep": one}), "gender").data[0].y[0] is None
