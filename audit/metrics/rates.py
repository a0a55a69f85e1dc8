"""Rates, through fairlearn's MetricFrame on the table of counts.

Enters: `Counts`. Leaves: one row of rates per group, NaN wherever a denominator is empty.

The words, stated once and used everywhere:
    Fake is the positive class. A score says how fake an image is: higher is more fake.
    Decision: fake if score >= threshold.
    FPR: real images flagged as fake / real images. A person wrongly accused. BPCER in ISO/IEC 30107-3.
    FNR: fakes that pass / fakes. A fake let through. APCER of that kind of attack.
    TPR = recall = 1 - FNR; TNR = 1 - FPR.
    Positive rate: images flagged as fake / images.

Why on the table of counts: with `sample_weight` = count the numbers are the same as on the raw rows, and the
cost does not depend on how many images there are.

Why our own rate functions: fairlearn and scikit-learn answer 0.0 for a rate over nothing, which forges a gap
between a group that is perfect and one that is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from audit.data.counts import Counts, Floats

RateFunction = Callable[[ArrayLike, ArrayLike, ArrayLike], float]


def divide(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Elementwise quotient, NaN where the denominator is 0.

    >>> divide([1, 0], [4, 0]).tolist()
    [0.25, nan]
    """
    top, bottom = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    return np.divide(top, bottom, out=np.full(np.broadcast(top, bottom).shape, np.nan), where=bottom != 0)


@dataclass(frozen=True)
class _Weights:
    """Sums of sample weights by truth and decision."""

    tp: float
    fp: float
    tn: float
    fn: float


def _weights(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike) -> _Weights:
    truth, flagged = np.asarray(y_true) == 1, np.asarray(y_pred) == 1
    weight = np.asarray(sample_weight)
    return _Weights(
        tp=weight[truth & flagged].sum(),
        fp=weight[~truth & flagged].sum(),
        tn=weight[~truth & ~flagged].sum(),
        fn=weight[truth & ~flagged].sum(),
    )


def fpr(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike) -> float:
    """Real images flagged as fake / real images (BPCER); NaN without real images.

    Args:
        y_true: int [n], 1 = fake.
        y_pred: int [n], 1 = flagged as fake.
        sample_weight: int [n], how many images the row stands for.

    >>> fpr([0, 0, 1], [1, 0, 1], [1, 3, 5])
    0.25
    >>> fpr([1], [1], [5])
    nan
    """
    w = _weights(y_true, y_pred, sample_weight)
    return float(divide(w.fp, w.fp + w.tn))


def fnr(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike) -> float:
    """Fakes that pass / fakes (APCER); NaN without fakes.

    >>> fnr([1, 1, 0], [0, 1, 1], [1, 3, 5])
    0.25
    """
    w = _weights(y_true, y_pred, sample_weight)
    return float(divide(w.fn, w.fn + w.tp))


BASIC: dict[str, RateFunction] = {
    "fpr": fpr,
    "fnr": fnr,
}
"""Those that go through MetricFrame; the others are arithmetic of the same counts."""


def group_rates(counts: Counts) -> pd.DataFrame:
    """Rates of k groups, NaN where undefined.

    Args:
        counts: Of k groups, without replicates.

    Returns:
        float [k, 8]: those of BASIC; positive_rate, images flagged as fake / images (selection rate);
        accuracy, right decisions / images; balanced_accuracy, the mean of TPR and TNR (1 - ACER); precision,
        fakes among the flagged images; recall (TPR); f1, 2 TP / (2 TP + FP + FN). Columns are called as the
        fields of `audit.schema.result.Measures`.
    """
    from fairlearn.metrics import MetricFrame

    table = _long_table(counts)
    frame = MetricFrame(
        metrics=BASIC,
        y_true=table["y_true"],
        y_pred=table["y_pred"],
        sensitive_features=table["group"],
        sample_params={name: {"sample_weight": table["weight"]} for name in BASIC},
    )
    rates = frame.by_group.astype(float).reindex(range(len(counts)))
    fp, fn = counts.fp, counts.fn
    tp, tn = counts.n_fake - fn, counts.n_real - fp
    n = tp + fp + tn + fn
    rates["positive_rate"], rates["accuracy"] = divide(tp + fp, n), divide(tp + tn, n)
    rates["balanced_accuracy"] = 1 - (rates["fpr"] + rates["fnr"]) / 2
    rates["precision"], rates["recall"] = divide(tp, tp + fp), divide(tp, tp + fn)
    rates["f1"] = divide(2 * tp, 2 * tp + fp + fn)
    return rates


def _long_table(counts: Counts) -> pd.DataFrame:
    """Four rows a group, (truth, decision) with its count; the group is its position, never its name."""
    k = len(counts)
    weight: NDArray[np.int64] = np.stack(
        [counts.n_real - counts.fp, counts.fp, counts.fn, counts.n_fake - counts.fn], axis=1
    )
    return pd.DataFrame(
        {
            "group": np.repeat(np.arange(k), 4),
            "y_true": np.tile([0, 0, 1, 1], k),
            "y_pred": np.tile([0, 1, 0, 1], k),
            "weight": weight.reshape(-1),
        }
    )
