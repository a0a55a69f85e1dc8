"""How many independent images a rate is worth, when its images come in pairs.

Enters: `Counts`. Leaves: for each group the number n of independent images with which a plain proportion of
the same size would be as certain, for use in the score intervals of `audit.inference.proportion_intervals`.

Why: FPR and FNR are rates over one class, and images of one class are independent, so they are worth what
they count. The positive rate and the accuracy mix both halves of a pair: their variance is that of the pair's
sum, which can be far from that of twice as many strangers. One formula serves both, so no interval here needs
a bootstrap.

Why half a pair is added to each joint outcome before taking the variance: without it a detector that has made
no error yet has a variance of zero (the Jeffreys prior of a multinomial).
"""

from __future__ import annotations

import numpy as np

from audit.data.counts import Counts, Floats
from audit.inference.clusters import half_sum_worth_by_units, worth

PSEUDO = 0.5
"""Units added to every outcome of a stratum."""


def fpr_worth(counts: Counts) -> Floats:
    """Independent real images the FPR of each group is worth: all there are, or fewer where they share
    units.
    """
    return counts.n_real.astype(float) if counts.moments is None else worth(counts.moments, "fpr").n


def fnr_worth(counts: Counts) -> Floats:
    """Independent fakes the FNR of each group is worth."""
    return counts.n_fake.astype(float) if counts.moments is None else worth(counts.moments, "fnr").n


def as_independent(counts: Counts) -> Counts:
    """Counts of as many independent images as these are worth, with the same rates, to the next whole
    image.
    """
    if counts.moments is None:
        return counts
    parts = []
    for errors, images, n in (
        (counts.fp, counts.n_real, fpr_worth(counts)),
        (counts.fn, counts.n_fake, fnr_worth(counts)),
    ):
        whole = np.rint(n).astype(np.int64)
        rate = np.divide(errors, images, out=np.zeros(len(n)), where=images > 0)
        wrong = np.rint(rate * whole).astype(np.int64)
        parts.append(np.stack([whole - wrong, wrong], axis=-1))
    return Counts(np.zeros((len(counts), 2, 2), dtype=np.int64), parts[0], parts[1])


def positive_rate_worth(counts: Counts) -> Floats:
    """Independent images the positive rate of each group is worth: float64 [k], 0 for an empty group."""
    if counts.moments is not None:
        return worth(counts.moments, "positive_rate").n
    n = (counts.n_real + counts.n_fake).astype(float)
    share = np.divide(1.0, n, out=np.zeros_like(n), where=n > 0)
    return flagged_worth(counts, share, share)


def half_sum_worth(counts: Counts) -> Floats:
    """The same for (FPR + TPR) / 2, behind the average odds difference; 0 without both classes."""
    if counts.moments is not None:
        return half_sum_worth_by_units(counts.moments)
    n_real, n_fake = counts.n_real.astype(float), counts.n_fake.astype(float)
    both = (n_real > 0) & (n_fake > 0)
    real = np.divide(0.5, n_real, out=np.zeros_like(n_real), where=both)
    fake = np.divide(0.5, n_fake, out=np.zeros_like(n_fake), where=both)
    return np.where(both, flagged_worth(counts, real, fake), 0.0)


def accuracy_worth(counts: Counts) -> Floats:
    """Independent images the accuracy is worth: all images, over the design effect of the pairs.

    The design effect is the variance of a pair's number of errors over the sum of its halves' variances: 1
    without pairs, towards 2 where both halves fail together.
    """
    if counts.moments is not None:
        return worth(counts.moments, "error").n
    pairs = counts.pairs + PSEUDO
    total = pairs.sum(axis=(-2, -1))
    real, fake = pairs[..., 1, :].sum(axis=-1) / total, pairs[..., :, 1].sum(axis=-1) / total
    apart = real * (1 - real) + fake * (1 - fake)
    together = apart + 2 * (pairs[..., 1, 1] / total - real * fake)
    n_pairs = counts.pairs.sum(axis=(-2, -1))
    n = counts.n_real + counts.n_fake
    paired_share = np.divide(2 * n_pairs, n, out=np.zeros(n.shape), where=n > 0)
    return n / (1 + paired_share * (together / apart - 1))


def flagged_worth(counts: Counts, real_weight: Floats, fake_weight: Floats) -> Floats:
    """Worth of sum(real_weight * flagged reals) + sum(fake_weight * flagged fakes), a rate in 0-1.

    Args:
        counts: Of k groups.
        real_weight: float64 [k].
        fake_weight: float64 [k].
    """
    none = np.zeros_like(real_weight)
    joint = np.stack(
        [np.stack([fake_weight, none], -1), np.stack([real_weight + fake_weight, real_weight], -1)], -2
    )
    strata = [
        (counts.pairs.reshape(*counts.pairs.shape[:-2], 4), joint.reshape(*joint.shape[:-2], 4)),
        (counts.reals, np.stack([none, real_weight], -1)),
        (counts.fakes, np.stack([fake_weight, none], -1)),
    ]
    parts = [_mean_and_variance(outcomes, value) for outcomes, value in strata]
    rate, variance = (sum(column, start=np.zeros(())) for column in zip(*parts, strict=True))
    return np.divide(rate * (1 - rate), variance, out=np.zeros_like(rate), where=variance > 0)


def _mean_and_variance(outcomes: np.ndarray, value: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of the sum over a stratum, its outcome shares smoothed; 0 for an empty stratum."""
    n = outcomes.sum(axis=-1)
    share = (outcomes + PSEUDO) / (n + PSEUDO * outcomes.shape[-1])[..., None]
    mean = (share * value).sum(axis=-1)
    variance = (share * value**2).sum(axis=-1) - mean**2
    return n * mean, n * variance
