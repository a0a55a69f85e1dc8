"""Figures: what they draw is what the record says, and names are text."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm

from audit.schema.result import Curve, Histogram
from audit.task import FAKE_FACE
from reports.figures import curves as curve_figures
from reports.figures import palette
from reports.figures.gap_curves import gap_at_thresholds, gap_figure
from reports.figures.plotly_layout import label_text


@pytest.mark.parametrize("name", ["<script>x</script>", "<a href='http://x'>x</a>", "a & b", "<b>x</b>"])
def test_names_reach_plotly_without_markup(name):
    assert "<" not in label_text(name)
    assert label_text("a & b") == "a &amp; b"


def test_det_axes_are_probit():
    curve = Curve(
        attribute="overall", group="overall", thresholds=[3, 2, 1], fpr=[0.01, 0.1, 0.5], fnr=[0.4, 0.2, 0.01]
    )
    line = curve_figures.curves([curve], "det", FAKE_FACE).data[0]
    assert list(line.x) == pytest.approx(norm.ppf([0.01, 0.1, 0.5]), abs=1e-4)
    assert list(line.y) == pytest.approx(norm.ppf([0.4, 0.2, 0.01]), abs=1e-4)


def test_det_leaves_out_rates_of_none_and_all():
    curve = Curve(attribute="a", group="g", thresholds=[3, 2, 1], fpr=[0.0, 0.1, 1.0], fnr=[1.0, 0.2, 0.0])
    assert len(curve_figures.curves([curve], "det", FAKE_FACE).data[0].x) == 1


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
    real, fake = curve_figures.histograms([strip], 0.5, FAKE_FACE).data
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


def test_a_band_holds_its_curve_and_stands_behind_it():
    fpr, fnr = [1.0, 0.2, 0.01, 0.0], [0.0, 0.05, 0.4, 1.0]
    curve = Curve(
        attribute="a", group="g", thresholds=[0, 1, 2, 3], fpr=fpr, fnr=fnr, worth_real=100, worth_fake=40
    )
    for kind in ("roc", "det"):
        band, line = curve_figures.curves([curve], kind, FAKE_FACE, confidence=0.95).data
        assert band.fill == "toself" and band.fillcolor == line.line.color and not band.showlegend
        assert None not in band.x and None not in band.y
    assert len(curve_figures.curves([curve], "roc", FAKE_FACE).data) == 1, "no confidence, no band"
    old = curve.model_copy(update={"worth_real": math.nan})
    assert len(curve_figures.curves([old], "roc", FAKE_FACE, confidence=0.95).data) == 1
