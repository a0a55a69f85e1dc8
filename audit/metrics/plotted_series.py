"""The plotted series of every group: thinned curve, histogram of scores, counts on a grid of thresholds.

Enters: what was read off the curves of the groups. Leaves: `Curve`, `Histogram` and `Sweep` records on common
edges and thresholds, so that groups can be laid over each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from audit.data.counts import Floats
from audit.data.groups import Grouping
from audit.metrics.curves_by_group import Axes, CurveSummary, ScoreMeasures
from audit.metrics.error_curves import ErrorCurve, ListedCurve
from audit.schema.result import Curve, Histogram, Sweep

N_BINS = 40
N_SWEEP = 100


@dataclass(frozen=True)
class Series:
    """The series of the groups of one grouping, one of each per group."""

    curves: list[Curve]
    histograms: list[Histogram]
    sweep: list[Sweep]


def axes_for(curve: ErrorCurve, threshold: float, limits: Sequence[float] = ()) -> Axes:
    """Axes for scores as on the curve of all images.

    0 to 1 for scores that look like probabilities; else from the lowest to the highest score for histograms,
    and at even quantiles for sweeps.

    Args:
        curve: Of all images.
        threshold: The audit's own.
        limits: Further thresholds at which missed fakes are counted.
    """
    low, high = float(curve.threshold(0)), float(curve.threshold(len(curve) - 2))
    if low >= 0 and high <= 1:
        grid, low, high = np.linspace(0, 1, N_SWEEP + 1), 0.0, 1.0
    else:
        position = np.linspace(0, len(curve) - 1, N_SWEEP + 1).astype(int)
        grid = curve.threshold(position)
    high = high if high > low else low + 1.0
    shrunk = 2.0 if math.isinf(high - low) else 1.0  # of scores as far apart as numbers can be
    edges = shrunk * np.linspace(low / shrunk, high / shrunk, N_BINS + 1)
    return Axes(edges, np.unique(np.r_[grid, threshold]), np.array(limits, dtype=float))


def series_of(grouping: Grouping, measured: Sequence[ScoreMeasures], axes: Axes) -> Series:
    """Curve, histogram and sweep of every group."""
    of_groups = list(zip(grouping.names, (one.curve for one in measured), strict=True))
    return Series(
        curves=[
            _curve(grouping.attribute, name, one.curve.thin, one.worth)
            for name, one in zip(grouping.names, measured, strict=True)
        ],
        histograms=[_histogram(grouping.attribute, name, curve, axes.edges) for name, curve in of_groups],
        sweep=[_sweep(grouping.attribute, name, curve) for name, curve in of_groups],
    )


def _curve(attribute: str, group: str, curve: ListedCurve, worth: tuple[float, float]) -> Curve:
    return Curve(
        attribute=attribute,
        group=group,
        thresholds=curve.thresholds.tolist(),
        fpr=curve.fpr.tolist(),
        fnr=curve.fnr.tolist(),
        worth_real=worth[0],
        worth_fake=worth[1],
    )


def _histogram(attribute: str, group: str, curve: CurveSummary, edges: Floats) -> Histogram:
    assert curve.bins is not None
    reals, fakes = curve.bins
    return Histogram(
        attribute=attribute, group=group, edges=edges.tolist(), real=_numbers(reals), fake=_numbers(fakes)
    )


def _sweep(attribute: str, group: str, curve: CurveSummary) -> Sweep:
    assert curve.sweep is not None
    fp, fn = curve.sweep
    return Sweep(
        attribute=attribute,
        group=group,
        n_real=_numbers([curve.n_real])[0],
        n_fake=_numbers([curve.n_fake])[0],
        fp=_numbers(fp),
        fn=_numbers(fn),
    )


def _numbers(values: ArrayLike) -> list[int | float]:
    """Counts as they are, sums of weights to six decimals."""
    found: list[int | float] = np.round(np.asarray(values), 6).tolist()
    return found
