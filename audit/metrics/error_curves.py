"""Error rates against the threshold, and everything read off them: ROC, DET, EER, AP, DCF, APCER@BPCER.

Enters: the scores of one group in ascending order. Leaves: an `ErrorCurve` with one exact point per distinct
score, and the numbers ISO/IEC 30107-3 and NIST define on it. AUC and its interval are in `audit.metrics.auc`.

Why one sort: rows sorted by score once and then dealt out to groups stay sorted, so a curve per group of
every grouping costs O(N), not a sort each. Equal scores become one point: a detector that gives many images
the same score must not gain from the order they happen to be in.

Why points are looked for and not computed: a curve has as many points as there are scores, all rates along it
rise or fall, and a few dozen points are asked for. Halving finds each in 27 steps among 100 million; what is
held for it is the number of fakes below each score, and the scores themselves, which the table has anyway.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from audit.data.counts import Floats, Ints, Numbers
from audit.data.spans import Taken, row_dtype, rows_where, spans
from audit.inference.proportion_intervals import exact
from audit.metrics.rates import divide

FAKE_PRIOR = 0.05
"""Share of fakes assumed by `min_dcf`: P_target of the NIST SRE evaluations since 2019; both costs are 1."""

DCF_PRIORS = {"0.01": 0.01, "0.05": 0.05}
"""P_target of the NIST SRE evaluations: 0.01 and 0.05, with C_miss = C_fa = 1."""

ROUNDING = 1e-12
"""By how much a sum of weights may exceed a level that it has in truth."""

WORKING_POINTS = {"0.01": 0.01, "0.05": 0.05, "0.10": 0.10}
"""The error levels at which ISO/IEC 30107-3 asks for the other error rate."""

Points = int | slice | NDArray[np.integer]
"""Numbers of one or of some points of a curve, from 0."""

Scores = Floats | Taken[np.float64]
"""float64 [n], ascending: an array, or the scores of some rows of one."""

Labels = NDArray[np.bool_] | Taken[np.bool_]
"""bool [n], True for fake, likewise."""


class ErrorCurve(ABC):
    """Counts of errors at every distinct score t: fake if score >= t.

    m distinct scores are m + 1 points, in ascending order: the last is a threshold just above the highest
    score, where nothing is flagged.

    Attributes:
        n_real: Real images, or the sum of their weights.
        n_fake: Fakes, likewise.
    """

    n_real: float
    n_fake: float

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def threshold(self, points: Points) -> Floats:
        """Their thresholds, float64."""

    @abstractmethod
    def errors(self, points: Points) -> tuple[Numbers, Numbers]:
        """(real images flagged, fakes missed) there: int; float64 sums of weights where images carry them."""

    @abstractmethod
    def at(self, thresholds: ArrayLike) -> tuple[Numbers, Numbers]:
        """The same at any thresholds."""

    @property
    def two_sided(self) -> bool:
        """Whether there are images of both classes."""
        return self.n_real > 0 and self.n_fake > 0

    def rates(self, point: int) -> tuple[float, float]:
        """(FPR, FNR) at one point; both classes must be there."""
        flagged, missed = self.errors(point)
        return float(flagged / self.n_real), float(missed / self.n_fake)

    def first(self, holds: Callable[[float, float], bool]) -> int:
        """The first point at which something holds of FPR and FNR that holds of all points after it.

        The number of points where it holds of none.
        """
        return bisect_left(range(len(self)), True, key=lambda point: holds(*self.rates(point)))

    def listed(self, points: NDArray[np.integer] | None = None) -> ListedCurve:
        """Some of its points, or all of them, as arrays."""
        chosen = np.arange(len(self)) if points is None else points
        return ListedCurve(self.threshold(chosen), *self.errors(chosen), self.n_real, self.n_fake)

    def thin(self, n_points: int) -> ListedCurve:
        """At most about n_points of the points, each exact, dense where either error is small.

        Points are kept where FPR or FNR passes a grid that is even on probit axes, the axes of a DET plot.
        """
        if len(self) <= n_points:
            return self.listed()
        grid = ndtr(np.linspace(-4, 4, max(n_points // 2 - 2, 2)))
        last = len(self) - 1
        chosen = [np.array([0, last])]
        if self.n_fake:
            levels = grid * self.n_fake
            chosen.append(_first_that(lambda points, n: self.errors(points)[1] >= n, len(self), levels))
        if self.n_real:
            levels = grid * self.n_real
            chosen.append(_first_that(lambda points, n: self.errors(points)[0] <= n, len(self), levels))
        return self.listed(np.unique(np.minimum(np.concatenate(chosen), last)))


@dataclass(frozen=True)
class ListedCurve(ErrorCurve):
    """A curve of which every point is held: a thin one, or one of images that carry weights.

    Attributes:
        thresholds: float64 [m + 1], ascending.
        fp: [m + 1], real images flagged.
        fn: [m + 1], fakes missed.
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

    def __len__(self) -> int:
        return len(self.thresholds)

    def threshold(self, points: Points) -> Floats:
        """Of some points."""
        return self.thresholds[points]

    def errors(self, points: Points) -> tuple[Numbers, Numbers]:
        """(flagged, missed) at some points."""
        return self.fp[points], self.fn[points]

    def at(self, thresholds: ArrayLike) -> tuple[Numbers, Numbers]:
        """(flagged, missed) at any thresholds."""
        point = np.searchsorted(self.thresholds, np.asarray(thresholds, dtype=float))
        point = np.minimum(point, len(self) - 1)
        return self.fp[point], self.fn[point]


@dataclass(frozen=True)
class CountedCurve(ErrorCurve):
    """A curve of n images that count once each, looked up in their scores: four bytes an image, or eight.

    Attributes:
        score: float64 [n], ascending.
        fakes_below: int [n + 1], fakes among the first images.
        start: int [m + 1], images below each point; None where no two scores are equal, so that it is the
            number of the point.
    """

    score: Scores
    fakes_below: NDArray[np.integer]
    start: NDArray[np.integer] | None
    n_real: float
    n_fake: float

    @classmethod
    def of(cls, score: Scores, fake: Labels) -> CountedCurve:
        """Count; the arguments are those of `error_curve`."""
        n, start = len(score), starts(score)
        fakes_below = np.zeros(n + 1, dtype=row_dtype(n))
        for part in spans(n):
            below = fakes_below[part.start + 1 : part.stop + 1]
            np.cumsum(fake[part], dtype=below.dtype, out=below)
            below += fakes_below[part.start]
        n_fake = int(fakes_below[-1])
        return cls(score, fakes_below, start, n - n_fake, n_fake)

    def __len__(self) -> int:
        return len(self.fakes_below if self.start is None else self.start)

    def _below(self, points: Points) -> Any:
        """Images below some points."""
        if self.start is not None:
            return self.start[points]
        return np.arange(points.start, points.stop) if isinstance(points, slice) else points

    def threshold(self, points: Points) -> Floats:
        """Of some points."""
        place, last = np.asarray(self._below(points)), len(self.score) - 1
        found = self.score[np.minimum(place, last)]
        return np.where(place > last, np.nextafter(self.score[last], np.inf), found)

    def errors(self, points: Points) -> tuple[Numbers, Numbers]:
        """(flagged, missed) at some points."""
        below = self._below(points)
        missed = self.fakes_below[points if self.start is None else below]
        return self.n_real - below + missed, missed

    def at(self, thresholds: ArrayLike) -> tuple[Numbers, Numbers]:
        """(flagged, missed) at any thresholds."""
        below = self.score.searchsorted(np.asarray(thresholds, dtype=float))
        missed = self.fakes_below[below]
        return self.n_real - below + missed, missed


def error_curve(score: Scores, fake: Labels, weight: Floats | None = None) -> ErrorCurve:
    """Count errors at every distinct score.

    Args:
        score: float64 [n], ascending, finite, n >= 1; looked up in as long as the curve is used.
        fake: bool [n].
        weight: float64 [n], >= 0; None where each image counts once.
    """
    return CountedCurve.of(score, fake) if weight is None else _weighted_curve(score[:], fake[:], weight)


def starts(score: Scores) -> NDArray[np.signedinteger[Any]] | None:
    """int [m + 1], where each distinct score begins, and the end; None where all are distinct."""
    n = len(score)

    def begins(part: slice) -> NDArray[np.bool_]:
        """Whether each score differs from the one before, as the first and the end do."""
        low, high = max(part.start, 1), min(part.stop, n)
        around, differs = score[low - 1 : high], np.ones(part.stop - part.start, dtype=bool)
        differs[low - part.start : high - part.start] = around[1:] != around[:-1]
        return differs

    found = rows_where(n + 1, begins)
    return None if len(found) == n + 1 else found


def _first_that(
    holds: Callable[[Ints, Floats], NDArray[np.bool_]], n: int, levels: Floats
) -> NDArray[np.int64]:
    """For each level the first of n points for which something holds that holds for all after it; else n."""
    low, high = np.zeros(len(levels), dtype=np.int64), np.full(len(levels), n, dtype=np.int64)
    while (open_ := low < high).any():
        middle = (low + high) // 2
        found = holds(np.minimum(middle, n - 1), levels)
        high = np.where(open_ & found, middle, high)
        low = np.where(open_ & ~found, middle + 1, low)
    return low


def _weighted_curve(score: Floats, fake: NDArray[np.bool_], weight: Floats) -> ListedCurve:
    """The same with sums of weights; what is below every fake or above every real is exactly 0."""
    first = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])
    missed = np.r_[0.0, np.add.reduceat(weight * fake, first).cumsum()]
    passed = np.r_[0.0, np.add.reduceat(weight * ~fake, first).cumsum()]
    flagged = passed[-1] - passed
    flagged[flagged < 1e-9 * max(passed[-1], 1e-300)] = 0.0
    return ListedCurve(
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
        return math.nan
    after = curve.first(lambda fpr, fnr: fpr - fnr <= 0)  # falls from 1 to -1
    (fpr, fnr), (next_fpr, next_fnr) = curve.rates(after - 1), curve.rates(after)
    share = (fpr - fnr) / ((fpr - fnr) - (next_fpr - next_fnr))
    return fpr + share * (next_fpr - fpr)


def eer_threshold(curve: ErrorCurve) -> float:
    """Where FPR and FNR are closest, the lower sum deciding a tie; NaN for one class."""
    if not curve.two_sided:
        return math.nan
    return float(curve.threshold(_eer_position(curve)))


def _eer_position(curve: ErrorCurve) -> int:
    """FPR - FNR falls strictly from 1 to -1, so it is closest to 0 beside its change of sign."""
    after = curve.first(lambda fpr, fnr: fpr - fnr <= 0)

    def distance(point: int) -> tuple[float, float]:
        fpr, fnr = curve.rates(point)
        return round(abs(fpr - fnr), 12), fpr + fnr

    return min((after - 1, after), key=distance)


def eer_density_share(curve: ErrorCurve) -> float:
    """Share w in 0-1 of fakes in the density of scores around the EER threshold, classes weighted equally.

    The EER moves by w times an error in FPR plus (1 - w) times one in FNR, which gives its standard error.
    The window around the threshold holds a count of images of the order n^(3/4).
    """
    n = min(curve.n_real, curve.n_fake)
    reach = max(n**0.75 / n / 2, 1 / n)

    def height(fpr: float, fnr: float) -> float:
        """Falls from 2 to 0 along the curve."""
        return fpr + 1 - fnr

    centre = height(*curve.rates(_eer_position(curve)))
    low = curve.first(lambda fpr, fnr: height(fpr, fnr) - centre <= 2 * reach)
    high = curve.first(lambda fpr, fnr: height(fpr, fnr) - centre < -2 * reach) - 1
    (low_fpr, low_fnr), (high_fpr, high_fnr) = curve.rates(low), curve.rates(high)
    fakes, reals = high_fnr - low_fnr, low_fpr - high_fpr
    return fakes / (fakes + reals) if fakes + reals > 0 else 0.5


def fnr_at_fpr(curve: ErrorCurve, limit: float) -> float:
    """APCER@BPCER: the lowest FNR of a threshold whose FPR is at most `limit`; NaN for one class.

    Source: ISO/IEC 30107-3.
    """
    if not curve.two_sided:
        return math.nan
    return curve.rates(curve.first(lambda fpr, fnr: fpr <= limit + ROUNDING))[1]


def fpr_at_fnr(curve: ErrorCurve, limit: float) -> float:
    """BPCER@APCER: the lowest FPR of a threshold whose FNR is at most `limit`; NaN for one class.

    Source: ISO/IEC 30107-3.
    """
    if not curve.two_sided:
        return math.nan
    return curve.rates(curve.first(lambda fpr, fnr: fnr > limit + ROUNDING) - 1)[0]


def average_precision(curve: ErrorCurve) -> float:
    """Sum of precision times the gain in recall, thresholds from high to low; NaN without fakes.

    Source: the step-wise definition of scikit-learn's `average_precision_score`.
    """
    if curve.n_fake == 0:
        return math.nan
    total = 0.0
    for part in spans(len(curve) - 1):
        flagged, missed = curve.errors(slice(part.start, part.stop + 1))
        caught = curve.n_fake - missed[:-1]
        gained = np.diff(missed)
        some = gained > 0  # above the highest weight there is nothing to be precise about
        total += float(np.sum(divide(caught, caught + flagged[:-1])[some] * gained[some]))
    return total / curve.n_fake


def min_dcf(curve: ErrorCurve, fake_prior: float = FAKE_PRIOR) -> float:
    """Smallest detection cost over all thresholds, 1 being what a constant answer costs; NaN for one class.

    Cost at a threshold: prior * FNR + (1 - prior) * FPR, over min(prior, 1 - prior).
    Source: NIST Speaker Recognition Evaluation plans; prior: see FAKE_PRIOR.
    """
    return min_dcfs(curve, [fake_prior])[0]


def min_dcfs(curve: ErrorCurve, priors: Sequence[float]) -> list[float]:
    """`min_dcf` at each of some priors."""
    if not curve.two_sided:
        return [math.nan] * len(priors)
    least = [np.inf] * len(priors)
    for part in spans(len(curve)):
        flagged, missed = curve.errors(part)
        fpr, fnr = flagged / curve.n_real, missed / curve.n_fake
        costs = [float((prior * fnr + (1 - prior) * fpr).min()) for prior in priors]
        least = [min(pair) for pair in zip(least, costs, strict=True)]
    return [cost / min(prior, 1 - prior) for cost, prior in zip(least, priors, strict=True)]


def histogram(curve: ErrorCurve, edges: Floats) -> tuple[Numbers, Numbers]:
    """(reals, fakes) per bin [edge, next edge), the last one closed.

    Args:
        curve: Of one group.
        edges: float64 [b + 1], ascending, enclosing every score.
    """
    upper = np.r_[edges[:-1], np.nextafter(edges[-1], np.inf)]
    fp, fn = curve.at(upper)
    return -np.diff(fp), np.diff(fn)
