"""Error rates against the threshold, and everything read off them: ROC, DET, EER, AP, DCF, APCER@BPCER.

Enters: the scores of one group in ascending order. Leaves: an `ErrorCurve` with one exact point per distinct
score, and the numbers ISO/IEC 30107-3 and NIST define on it. AUC and its interval are in `audit.metrics.auc`.

Why one sort: rows sorted by score once and then dealt out to groups stay sorted, so a curve per group of
every grouping costs O(N), not a sort each. Equal scores become one point: a detector that gives many images
the same score must not gain from the order they happen to be in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from audit.data.counts import Floats, Numbers
from audit.inference.proportion_intervals import exact
from audit.metrics.rates import divide

FAKE_PRIOR = 0.05
"""Share of fakes assumed by `min_dcf`: P_target of the NIST SRE evaluations since 2019; both costs are 1."""

WORKING_POINTS = {"0.01": 0.01, "0.05": 0.05, "0.10": 0.10}
"""The error levels at which ISO/IEC 30107-3 asks for the other error rate."""


@dataclass(frozen=True)
class ErrorCurve:
    """Counts of errors at every distinct score t: fake if score >= t.

    The last point is a threshold just above the highest score, where nothing is flagged.

    Attributes:
        thresholds: float64 [m + 1], ascending; m distinct scores.
        fp: [m + 1], real images flagged: int64, or float64 sums of weights where images carry them.
        fn: [m + 1], fakes missed, likewise.
        n_real: Real images, or the sum of their weights.
        n_fake: Fakes, likewise.
    """

    thresholds: Floats
    fp: Numbers
    fn: Numbers
    n_real: float
    n_fake: float

    @property
    def fpr(self) -> Floats:
        """float64 [m + 1], falling; NaN without real images."""
        return divide(self.fp, self.n_real)

    @property
    def fnr(self) -> Floats:
        """float64 [m + 1], rising; NaN without fakes."""
        return divide(self.fn, self.n_fake)

    @property
    def two_sided(self) -> bool:
        """Whether there are images of both classes."""
        return self.n_real > 0 and self.n_fake > 0

    def at(self, thresholds: ArrayLike) -> tuple[Numbers, Numbers]:
        """(fp, fn) at any thresholds."""
        position = np.searchsorted(self.thresholds, np.asarray(thresholds, dtype=float), side="left")
        position = np.minimum(position, len(self.thresholds) - 1)
        return self.fp[position], self.fn[position]

    def thin(self, n_points: int) -> ErrorCurve:
        """At most about n_points of the points, each exact, dense where either error is small.

        Points are kept where FPR or FNR passes a grid that is even on probit axes, the axes of a DET plot.
        """
        if len(self.thresholds) <= n_points:
            return self
        grid = ndtr(np.linspace(-4, 4, max(n_points // 2 - 2, 2)))
        last = len(self.thresholds) - 1
        chosen = [np.array([0, last])]
        if self.n_fake:
            chosen.append(np.searchsorted(self.fn, grid * self.n_fake))
        if self.n_real:
            chosen.append(np.searchsorted(-self.fp, -grid * self.n_real))
        keep = np.unique(np.minimum(np.concatenate(chosen), last))
        return ErrorCurve(self.thresholds[keep], self.fp[keep], self.fn[keep], self.n_real, self.n_fake)


def error_curve(score: Floats, fake: NDArray[np.bool_], weight: Floats | None = None) -> ErrorCurve:
    """Count errors at every distinct score.

    Args:
        score: float64 [n], ascending, finite, n >= 1.
        fake: bool [n].
        weight: float64 [n], >= 0; None where each image counts once.
    """
    if weight is not None:
        return _weighted_curve(score, fake, weight)
    first = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])
    fakes_below = np.r_[0, np.cumsum(fake, dtype=np.int64)]
    n_fake = int(fakes_below[-1])
    n_real = len(score) - n_fake
    start = np.r_[first, len(score)]
    missed = fakes_below[start]
    return ErrorCurve(
        thresholds=np.r_[score[first], np.nextafter(score[-1], np.inf)],
        fp=n_real - (start - missed),
        fn=missed,
        n_real=n_real,
        n_fake=n_fake,
    )


def _weighted_curve(score: Floats, fake: NDArray[np.bool_], weight: Floats) -> ErrorCurve:
    """The same with sums of weights; what is below every fake or above every real is exactly 0."""
    first = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])
    missed = np.r_[0.0, np.add.reduceat(weight * fake, first).cumsum()]
    passed = np.r_[0.0, np.add.reduceat(weight * ~fake, first).cumsum()]
    flagged = passed[-1] - passed
    flagged[flagged < 1e-9 * max(passed[-1], 1e-300)] = 0.0
    return ErrorCurve(
        thresholds=np.r_[score[first], np.nextafter(score[-1], np.inf)],
        fp=flagged,
        fn=missed,
        n_real=float(passed[-1]),
        n_fake=float(missed[-1]),
    )


def curve_band(
    fpr: ArrayLike, fnr: ArrayLike, worth: tuple[float, float], confidence: float, at: ArrayLike
) -> tuple[Floats, Floats]:
    """A pointwise band around a ROC or DET curve: the lowest and the highest FNR at given FPRs.

    Around each point of the curve lies the ellipse whose half axes are the exact intervals of FPR and FNR;
    the band is all that any of them touches. So at one FPR it joins the error of the FNR and that of the FPR
    times the slope of the curve, as the variance of an empirical ROC curve does, and needs no density of
    scores. It holds for one FPR at a time, not for the whole curve at once. The classes are taken as
    independent: where the halves of a pair score alike, that is on the safe side.

    Args:
        fpr: [m], in 0-1, falling from 1 to 0.
        fnr: [m], in 0-1, rising from 0 to 1.
        worth: Independent reals and fakes behind them.
        confidence: In 0-1.
        at: FPRs [k], in 0-1.

    Returns:
        float64 [k] twice, in 0-1; NaN where a class is lacking.

    Source: variance of Hsieh & Turnbull 1996, Annals of Statistics 24:25-40; limits joined as by Zou & Donner
    2008, Statistics in Medicine 27:1693-1702.
    """
    f, m = np.asarray(fpr, dtype=float), np.asarray(fnr, dtype=float)
    alpha = 1 - confidence
    f_low, f_high = exact(f, worth[0], alpha)
    m_low, m_high = exact(m, worth[1], alpha)
    apart = np.asarray(at, dtype=float)[:, None] - f
    best = m - (m - m_low) * _reach(-apart, f - f_low)
    worst = m + (m_high - m) * _reach(apart, f_high - f)
    return best.min(axis=1, where=~np.isnan(best), initial=1.0), worst.max(
        axis=1, where=~np.isnan(worst), initial=0.0
    )


def _reach(distance: Floats, half_axis: Floats) -> Floats:
    """Height of an ellipse, 1 at its middle and beyond it on the near side; NaN outside its half axis."""
    with np.errstate(divide="ignore", invalid="ignore"):
        height = np.sqrt(1 - (distance / half_axis) ** 2)
    return np.where(distance <= 0, 1.0, np.where(distance <= half_axis, height, np.nan))


def eer(curve: ErrorCurve) -> float:
    """Equal error rate: where FPR = FNR on the straight lines between the points; NaN for one class.

    Source: ISO/IEC 19795-1; linear interpolation as for the ROC, so that tied scores count half.
    """
    if not curve.two_sided:
        return float("nan")
    gap = curve.fpr - curve.fnr  # falls from 1 to -1
    after = int(np.argmax(gap <= 0))
    before = after - 1
    share = gap[before] / (gap[before] - gap[after])
    return float(curve.fpr[before] + share * (curve.fpr[after] - curve.fpr[before]))


def eer_threshold(curve: ErrorCurve) -> float:
    """Where FPR and FNR are closest, the lower sum deciding a tie; NaN for one class."""
    if not curve.two_sided:
        return float("nan")
    return float(curve.thresholds[_eer_position(curve)])


def _eer_position(curve: ErrorCurve) -> int:
    """FPR - FNR falls strictly from 1 to -1, so it is closest to 0 beside its change of sign."""
    gap, total = curve.fpr - curve.fnr, curve.fpr + curve.fnr
    after = int(np.argmax(gap <= 0))
    sides = (after - 1, after)
    return min(sides, key=lambda side: (round(abs(float(gap[side])), 12), float(total[side])))


def eer_density_share(curve: ErrorCurve) -> float:
    """Share w in 0-1 of fakes in the density of scores around the EER threshold, classes weighted equally.

    The EER moves by w times an error in FPR plus (1 - w) times one in FNR, which gives its standard error.
    The window around the threshold holds a count of images of the order n^(3/4).
    """
    centre = _eer_position(curve)
    n = min(curve.n_real, curve.n_fake)
    reach = max(n**0.75 / n / 2, 1 / n)
    around = np.abs(curve.fpr + 1 - curve.fnr - (curve.fpr[centre] + 1 - curve.fnr[centre])) <= 2 * reach
    low, high = np.flatnonzero(around)[[0, -1]]
    fakes, reals = curve.fnr[high] - curve.fnr[low], curve.fpr[low] - curve.fpr[high]
    return float(fakes / (fakes + reals)) if fakes + reals > 0 else 0.5


def fnr_at_fpr(curve: ErrorCurve, limit: float) -> float:
    """APCER@BPCER: the lowest FNR of a threshold whose FPR is at most `limit`; NaN for one class.

    Source: ISO/IEC 30107-3.
    """
    if not curve.two_sided:
        return float("nan")
    return float(curve.fnr[np.argmax(curve.fpr <= limit)])


def fpr_at_fnr(curve: ErrorCurve, limit: float) -> float:
    """BPCER@APCER: the lowest FPR of a threshold whose FNR is at most `limit`; NaN for one class.

    Source: ISO/IEC 30107-3.
    """
    if not curve.two_sided:
        return float("nan")
    return float(curve.fpr[np.flatnonzero(curve.fnr <= limit)[-1]])


def average_precision(curve: ErrorCurve) -> float:
    """Sum of precision times the gain in recall, thresholds from high to low; NaN without fakes.

    Source: the step-wise definition of scikit-learn's `average_precision_score`.
    """
    if curve.n_fake == 0:
        return float("nan")
    caught = (curve.n_fake - curve.fn)[:-1]
    precision = divide(caught, caught + curve.fp[:-1])
    gained = np.diff(curve.fn)
    return float(np.sum(precision * gained) / curve.n_fake)


def min_dcf(curve: ErrorCurve, fake_prior: float = FAKE_PRIOR) -> float:
    """Smallest detection cost over all thresholds, 1 being what a constant answer costs; NaN for one class.

    Cost at a threshold: prior * FNR + (1 - prior) * FPR, over min(prior, 1 - prior).
    Source: NIST Speaker Recognition Evaluation plans; prior: see FAKE_PRIOR.
    """
    if not curve.two_sided:
        return float("nan")
    cost = fake_prior * curve.fnr + (1 - fake_prior) * curve.fpr
    return float(cost.min() / min(fake_prior, 1 - fake_prior))


def histogram(curve: ErrorCurve, edges: Floats) -> tuple[Numbers, Numbers]:
    """(reals, fakes) per bin [edge, next edge), the last one closed.

    Args:
        curve: Of one group.
        edges: float64 [b + 1], ascending, enclosing every score.
    """
    upper = np.r_[edges[:-1], np.nextafter(edges[-1], np.inf)]
    fp, fn = curve.at(upper)
    return -np.diff(fp), np.diff(fn)
