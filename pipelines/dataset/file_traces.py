"""Whether a pair's halves can be told apart by their files alone, without a look at the face.

Paths of real and fake images enter; an AUC leaves.

Why: a detector that learns the file type, the size or the compression is 99 % right and knows nothing of
fakes. A simple classifier sees only what the file shows: its type, its bytes a pixel, the mean of its
quantisation tables, its colour resolution, and how much stronger steps are along the file's own 8 x 8 grid
than beside it. Where this classifier is near 0.5 a detector has to look at the picture. Bytes a pixel also
fall where a generator smooths: an AUC above 0.5 with equal types and tables speaks of the picture's detail.
A few facts of `pipelines.sources.file_facts` and a linear rule, so that making pairs stays quick; `audit
shortcuts` looks at all of them and gives intervals.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipelines.sources.file_facts import file_facts
from pipelines.sources.photos import decode, read_bytes

MAX_PAIRS: Final = 500
_FOLDS: Final = 5
_MIN_PAIRS: Final = 20


def file_auc(reals: Sequence[Path], fakes: Sequence[Path]) -> float | None:
    """AUC of a classifier of files, by cross-validation that keeps both halves of a pair together.

    Args:
        reals: files of the real halves.
        fakes: files of their fakes, in the same order.

    Returns:
        0 to 1; about 0.5 where files do not tell. None for fewer than 20 pairs. At most 500 pairs, evenly
        spaced, are looked at.

    Raises:
        OSError: a file cannot be read.
    """
    if len(reals) < _MIN_PAIRS:
        return None
    return round(auc(*file_scores(reals, fakes)), 4)


def file_scores(reals: Sequence[Path], fakes: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """The classifier's out-of-fold scores of both halves: float64 [n] of reals and of fakes, n at most 500.

    Args:
        reals: files of the real halves, 20 or more.
        fakes: files of their fakes, in the same order.

    Raises:
        OSError: a file cannot be read.
    """
    chosen = np.unique(np.linspace(0, len(reals) - 1, MAX_PAIRS).round().astype(int))
    paths = [half[i] for half in (reals, fakes) for i in chosen]
    features = np.array([file_features(read_bytes(path), path.name) for path in paths])
    label, pair = np.repeat([0, 1], len(chosen)), np.tile(np.arange(len(chosen)), 2)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    score = cross_val_predict(
        model, features, label, groups=pair, cv=GroupKFold(_FOLDS), method="decision_function"
    )
    return score[label == 0], score[label == 1]


def file_features(data: bytes, name: str) -> list[float]:
    """What a file shows: JPEG or not, log bytes a pixel, mean table, colour resolution, steps on its grid."""
    facts = file_facts(data, decode(data, name)[0])
    told = [
        float(facts["n_tables"] > 0),
        facts["log_bytes_per_pixel"],
        (facts["luma_mean"] + facts["colour_mean"]) / 2,
        facts["sampling"],
        facts["grid_steps"],
    ]
    return list(map(float, np.nan_to_num(told)))  # what a PNG, or a picture under 16 px, does not have


def auc(real: np.ndarray, fake: np.ndarray) -> float:
    """Share of (real, fake) couples in which the fake scores higher, ties counting half.

    >>> auc(np.array([0.1, 0.2]), np.array([0.2, 0.3]))
    0.875
    """
    order = np.sort(real)
    below = np.searchsorted(order, fake, "left") + np.searchsorted(order, fake, "right")
    return float(below.mean() / (2 * len(real)))
