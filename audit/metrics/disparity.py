"""Measures of disparity: each a function of the rates of k groups, with its definition, source and zero rule.

Enters: `GroupRates`. Leaves: one number per measure (or one per replicate). Their intervals are in
`audit.metrics.disparity_intervals`; a group against all others is in `audit.metrics.one_vs_rest`.

Only groups with at least `min_n` images of each class enter: the largest of many rates from a handful of
images is noise. Every function takes the rates along the last axis, so that replicates cost one call.

Why so many: each has its users, and none is right for everybody. Never compare summed or max measures
(`f_eo`, `f_meo`, any difference of extremes) between attributes with different numbers of groups: they grow
with that number even where there is no disparity. `Gap.expected_if_equal` says by how much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audit.data.counts import Counts, Floats
from audit.metrics.rates import divide

WEIGHT = 0.5
"""alpha of FDR, IR and GARBE: what a wrong accusation weighs against a missed fake."""

Kind = Literal["difference", "ratio", "index"]
Needs = Literal["real", "fake", "both"]


@dataclass(frozen=True)
class GroupRates:
    """Rates of k groups.

    Attributes:
        fpr: float64 [..., k].
        fnr: float64 [..., k].
        positive_rate: float64 [..., k].
        accuracy: float64 [..., k].
        overall_fpr: float64 [...], of the k groups together.
        overall_fnr: float64 [...], of the k groups together.
    """

    fpr: Floats
    fnr: Floats
    positive_rate: Floats
    accuracy: Floats
    overall_fpr: Floats
    overall_fnr: Floats


def group_rates_of(counts: Counts) -> GroupRates:
    """The rates behind the measures, from counts [..., k] (the same numbers as
    `audit.metrics.rates.group_rates`).
    """
    fp, fn, n_real, n_fake = counts.fp, counts.fn, counts.n_real, counts.n_fake
    n = n_real + n_fake
    return GroupRates(
        fpr=divide(fp, n_real),
        fnr=divide(fn, n_fake),
        positive_rate=divide(fp + n_fake - fn, n),
        accuracy=divide(n - fp - fn, n),
        overall_fpr=divide(fp.sum(axis=-1), n_real.sum(axis=-1)),
        overall_fnr=divide(fn.sum(axis=-1), n_fake.sum(axis=-1)),
    )


def spread(rate: Floats) -> Floats:
    """max - min over groups, in 0-1; 0 when all are equal, zeros included.

    >>> float(spread(np.array([0.0, 0.25])))
    0.25
    """
    return rate.max(axis=-1) - rate.min(axis=-1)


def min_over_max(rate: Floats) -> Floats:
    """min / max over groups, in 0-1; 0 if only some are zero, undefined (NaN) if all are.

    >>> float(min_over_max(np.array([0.0, 0.0])))
    nan
    """
    return divide(rate.min(axis=-1), rate.max(axis=-1))


def fpr_difference(rates: GroupRates) -> Floats:
    """max FPR - min FPR; F_FPR of the Purdue M2 fairness benchmark. Zero rule: 0 when all are equal."""
    return spread(rates.fpr)


def fnr_difference(rates: GroupRates) -> Floats:
    """max FNR - min FNR, the equal-opportunity difference. Zero rule: 0 when all are equal."""
    return spread(rates.fnr)


def fpr_ratio(rates: GroupRates) -> Floats:
    """min FPR / max FPR. Zero rule: undefined if no group has a false positive."""
    return min_over_max(rates.fpr)


def fnr_ratio(rates: GroupRates) -> Floats:
    """min FNR / max FNR. Zero rule: undefined if no group has a missed fake."""
    return min_over_max(rates.fnr)


def demographic_parity_difference(rates: GroupRates) -> Floats:
    """max PR - min PR, PR being the share flagged as fake. Source: Dwork et al. 2012; as in fairlearn."""
    return spread(rates.positive_rate)


def demographic_parity_ratio(rates: GroupRates) -> Floats:
    """min PR / max PR. Zero rule: undefined if nothing is flagged. Source: as in fairlearn."""
    return min_over_max(rates.positive_rate)


def equalized_odds_difference(rates: GroupRates) -> Floats:
    """max(range of TPR, range of FPR). Source: Hardt, Price & Srebro 2016; as in fairlearn."""
    return np.maximum(spread(rates.fnr), spread(rates.fpr))


def equalized_odds_ratio(rates: GroupRates) -> Floats:
    """min(min TPR / max TPR, min FPR / max FPR). Zero rule: undefined if either ratio is; as in fairlearn."""
    return np.minimum(min_over_max(1 - rates.fnr), min_over_max(rates.fpr))


def f_oae(rates: GroupRates) -> Floats:
    """Overall accuracy equality: max - min accuracy. Source: Purdue M2 fairness benchmark."""
    return spread(rates.accuracy)


def f_eo(rates: GroupRates) -> Floats:
    """Sum over groups of |FPR_g - FPR| + |TPR_g - TPR|. Source: Purdue M2 fairness benchmark.

    Grows with the number of groups: about 7 for 126 cells of FairFace's validation size and no disparity.
    """
    fpr = np.abs(rates.fpr - rates.overall_fpr[..., None])
    tpr = np.abs(rates.fnr - rates.overall_fnr[..., None])
    return (fpr + tpr).sum(axis=-1)


def fairness_discrepancy_rate(rates: GroupRates) -> Floats:
    """FDR = 1 - [a max|dFPR| + (1 - a) max|dFNR|], 1 when all are equal; a = 1/2.

    Source: de Freitas Pereira & Marcel 2021, IEEE TBIOM 4:19-29.
    """
    return 1 - (WEIGHT * spread(rates.fpr) + (1 - WEIGHT) * spread(rates.fnr))


def inequity_rate(rates: GroupRates) -> Floats:
    """IR = (max FPR / min FPR)^a (max FNR / min FNR)^(1 - a), 1 when all are equal; a = 1/2.

    Zero rule: undefined if any group has a rate of zero. Source: Grother, NISTIR 8429 (2022).
    """
    fpr = divide(rates.fpr.max(axis=-1), rates.fpr.min(axis=-1))
    fnr = divide(rates.fnr.max(axis=-1), rates.fnr.min(axis=-1))
    return fpr**WEIGHT * fnr ** (1 - WEIGHT)


def gini(rate: Floats) -> Floats:
    """n / (n - 1) * sum_i sum_j |x_i - x_j| / (2 n^2 mean x), in 0-1.

    Zero rule: 0 when all are equal, all zero included. Source: Howard et al. 2022, arXiv 2203.05051.

    >>> float(gini(np.array([0.0, 0.5])))
    1.0
    """
    n = rate.shape[-1]
    if n < 2:
        return np.full(rate.shape[:-1], np.nan)
    weight = 2 * np.arange(1, n + 1) - n - 1  # sum of |x_i - x_j| over pairs, from the sorted values
    apart = (np.sort(rate, axis=-1) * weight).sum(axis=-1)
    total = rate.sum(axis=-1)
    return np.where(total == 0, 0.0, divide(apart, (n - 1) * total))


def garbe(rates: GroupRates) -> Floats:
    """a G(FPR) + (1 - a) G(FNR), G the Gini coefficient; 0 when all are equal; a = 1/2.

    Source: Howard et al. 2022, arXiv 2203.05051.
    """
    return WEIGHT * gini(rates.fpr) + (1 - WEIGHT) * gini(rates.fnr)


def max_over_geometric_mean(rate: Floats) -> Floats:
    """max x / (product of x)^(1/n), 1 when all are equal. Zero rule: undefined if any is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(rate)
        return np.where((rate == 0).any(axis=-1), np.nan, np.exp(logs.max(axis=-1) - logs.mean(axis=-1)))


def fpr_max_over_geometric_mean(rates: GroupRates) -> Floats:
    """max FPR / geometric mean FPR; undefined if any FPR is zero. Source: NIST FRVT part 8 (NISTIR 8429)."""
    return max_over_geometric_mean(rates.fpr)


def fnr_max_over_geometric_mean(rates: GroupRates) -> Floats:
    """max FNR / geometric mean FNR; undefined if any FNR is zero. Source: NIST FRVT part 8 (NISTIR 8429)."""
    return max_over_geometric_mean(rates.fnr)


@dataclass(frozen=True)
class Measure:
    """A measure of disparity among k groups.

    Attributes:
        name: What a reader calls it.
        compute: The definition; its docstring states source and zero rule.
        kind: "difference" (0 is perfect, judged by the tolerance), "ratio" (1 is perfect, judged by the ratio
            tolerance) or "index" (judged by nothing but what equal groups would show).
        needs: The classes of which a group must have `min_n` images to take part.
        rates: The rates whose largest and smallest value set the measure; empty where all groups do.
    """

    name: str
    compute: Callable[[GroupRates], Floats]
    kind: Kind
    needs: Needs = "both"
    rates: tuple[str, ...] = ()


MEASURES: dict[str, Measure] = {
    "fpr_difference": Measure("FPR difference (F_FPR)", fpr_difference, "difference", "real", ("fpr",)),
    "fnr_difference": Measure("FNR difference", fnr_difference, "difference", "fake", ("fnr",)),
    "fpr_ratio": Measure("FPR ratio", fpr_ratio, "ratio", "real", ("fpr",)),
    "fnr_ratio": Measure("FNR ratio", fnr_ratio, "ratio", "fake", ("fnr",)),
    "demographic_parity_difference": Measure(
        "Demographic parity difference", demographic_parity_difference, "difference", rates=("positive_rate",)
    ),
    "demographic_parity_ratio": Measure(
        "Demographic parity ratio", demographic_parity_ratio, "ratio", rates=("positive_rate",)
    ),
    "equalized_odds_difference": Measure(
        "Equalised odds difference", equalized_odds_difference, "difference", rates=("fpr", "tpr")
    ),
    "equalized_odds_ratio": Measure(
        "Equalised odds ratio", equalized_odds_ratio, "ratio", rates=("fpr", "tpr")
    ),
    "f_oae": Measure("Overall accuracy equality (F_OAE)", f_oae, "difference", rates=("accuracy",)),
    # F_DP and F_MEO of the Purdue M2 benchmark (AI-Face): a share and one minus it have the same range, so
    # these are fairlearn's differences under the names its tables use.
    "f_dp": Measure(
        "Demographic parity (F_DP)", demographic_parity_difference, "difference", rates=("positive_rate",)
    ),
    "f_meo": Measure(
        "Maximum equalised odds (F_MEO)", equalized_odds_difference, "difference", rates=("fpr", "tpr")
    ),
    "f_eo": Measure("Equalised odds, summed (F_EO)", f_eo, "index"),
    "fairness_discrepancy_rate": Measure(
        "Fairness discrepancy rate (FDR)", fairness_discrepancy_rate, "index"
    ),
    "inequity_rate": Measure("Inequity rate (IR)", inequity_rate, "index"),
    "garbe": Measure("GARBE", garbe, "index"),
    "fpr_max_over_geometric_mean": Measure(
        "FPR, maximum / geometric mean", fpr_max_over_geometric_mean, "index", "real"
    ),
    "fnr_max_over_geometric_mean": Measure(
        "FNR, maximum / geometric mean", fnr_max_over_geometric_mean, "index", "fake"
    ),
}
"""Every measure over all groups of an attribute, by its key in `audit.json`."""
