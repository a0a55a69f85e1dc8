"""Series of groups lie on common axes and are counted on their rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.data.score_table import score_table
from audit.metrics.curves_by_group import SortedScores, score_measures
from audit.metrics.error_curves import error_curve
from audit.metrics.plotted_series import axes_for, series_of


def axes_of(score, threshold=0.5, limits=()):
    score = np.sort(np.asarray(score, float))
    return axes_for(error_curve(score, np.arange(len(score)) % 2 == 0), threshold, limits)


@pytest.mark.parametrize("score", [[0.0, 0.4, 1.0], [0.2, 0.3]])
def test_probabilities_are_shown_from_0_to_1(score):
    axes = axes_of(score, 0.123, (0.7, 0.9))
    assert axes.edges == pytest.approx(np.arange(41) / 40)
    assert axes.thresholds == pytest.approx(np.sort(np.r_[np.arange(101) / 100, 0.123]))
    assert axes.limits.tolist() == [0.7, 0.9]
    assert len(axes_of(score, 0.5).thresholds) == 101  # the audit's own is one of them


def test_other_scores_are_shown_between_their_ends_and_swept_at_even_quantiles():
    score = np.linspace(-3, 7, 1001)
    axes = axes_of(score, 0.5)
    assert axes.edges == pytest.approx(np.linspace(-3, 7, 41))
    wanted = np.r_[np.linspace(-3, 7, 1001)[np.arange(100) * 10], np.nextafter(7.0, np.inf), 0.5]
    assert axes.thresholds == pytest.approx(np.unique(wanted))
    assert axes_of([-0.1, 0.9]).edges[[0, -1]].tolist() == [-0.1, 0.9]
    assert axes_of([0.1, 1.1]).edges[[0, -1]].tolist() == [0.1, 1.1]


def test_one_score_has_a_range_and_numbers_without_end_too():
    assert axes_of([5.0, 5.0]).edges[[0, -1]].tolist() == [5.0, 6.0]
    edges = axes_of([-1.7e308, 1.7e308]).edges
    assert np.isfinite(edges).all() and (np.diff(edges) > 0).all() and edges[0] == -1.7e308


@pytest.mark.parametrize("weighted", [False, True])
def test_the_series_of_every_group_are_those_of_its_rows(simulate, weighted):
    frame = simulate(150, shift=0.5).iloc[:-20].assign(weight=1.0)  # more reals than fakes
    frame.loc[::3, "weight"] = 1.75
    config = AuditConfig(attributes=("race",), weight_column="weight" if weighted else None)
    table = score_table(frame, config)
    scores, grouping = SortedScores.of(table), table.cells.grouping([0])
    axes = axes_for(scores.curve(), 0.25)
    measured = score_measures(scores, grouping, 1.96, axes)
    series = series_of(grouping, measured, axes)
    weight = frame["weight"] / frame["weight"].mean() if weighted else pd.Series(1.0, frame.index)
    assert len(series.curves) == len(series.histograms) == len(series.sweep) == 3
    for name, curve, bars, sweep in zip("ABC", series.curves, series.histograms, series.sweep, strict=True):
        assert {(one.attribute, one.group) for one in (curve, bars, sweep)} == {("race", name)}
        of_class = [(frame["race"] == name) & (frame["label"] == label) for label in (0, 1)]
        (real, fake), (w_real, w_fake) = (
            [frame.loc[mask, "score"].to_numpy() for mask in of_class],
            [weight[mask].to_numpy() for mask in of_class],
        )
        assert bars.edges == axes.edges.tolist()
        for found, score, w in ((bars.real, real, w_real), (bars.fake, fake, w_fake)):
            assert found == pytest.approx(np.histogram(score, axes.edges, weights=w)[0], abs=1e-6)
        assert (sweep.n_real, sweep.n_fake) == pytest.approx((w_real.sum(), w_fake.sum()), abs=1e-6)
        at = axes.thresholds[:, None]
        assert sweep.fp == pytest.approx((real >= at) @ w_real, abs=1e-6)
        assert sweep.fn == pytest.approx((fake < at) @ w_fake, abs=1e-6)
        thresholds = np.array(curve.thresholds)[:, None]
        assert curve.fpr == pytest.approx((real >= thresholds) @ w_real / w_real.sum())
        assert curve.fnr == pytest.approx((fake < thresholds) @ w_fake / w_fake.sum())
        kish = [w.sum() ** 2 / (w**2).sum() for w in (w_real, w_fake)]
        assert (curve.worth_real, curve.worth_fake) == pytest.approx(tuple(kish))
        assert all(isinstance(n, float if weighted else int) for n in (sweep.n_real, *sweep.fp, *bars.real))
