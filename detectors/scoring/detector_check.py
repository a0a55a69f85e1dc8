"""Try a detector on a handful of images before believing a number.

Enters: a detector and labelled images. Leaves: `Check`: scores to look at, and warnings where they look
inverted, constant or saturated, or where something was assumed about a foreign detector.

Why warnings and not errors: a detector may really be that bad. Whoever reads the scores can tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from detectors.data.labelled_images import LabelledImages
from detectors.models.detector import Detector
from detectors.scoring.engine import Options, score_images
from detectors.scoring.score_table import OK

N_PER_CLASS = 16
N_SHOWN = 4
INVERTED_AUC = 0.35
"""Below it, with 16 images of each class, chance is an unlikely explanation (p < 0.08 for each side)."""
CONSTANT_RANGE = 1e-4
SATURATED = 1e-6


@dataclass(frozen=True)
class Check:
    """What a first look at a detector shows."""

    lines: list[str]
    """Scores of a few images, for people."""
    warnings: list[str]
    """What looks wrong, each with what to do."""
    scores: pd.DataFrame
    """The score table of the images tried."""


def check_detector(detector: Detector, images: LabelledImages) -> Check:
    """Score up to 16 real and 16 fake images and judge what comes out.

    Args:
        detector: The detector.
        images: Any labelled images; the first ones of each class are taken, both halves of pairs where there
            are pairs.

    Returns:
        Lines to print and warnings.
    """
    few = images.only(_first_of_each(images.table))
    table = score_images([detector], few, Options(progress=False))[0]
    scored = table[table["status"] == OK]
    found = [*_assumptions(detector), *judge(scored["score"], scored["label"])]
    return Check(_lines(table), found, table)


def _first_of_each(table: pd.DataFrame) -> pd.Series:
    """The first 16 images of each class; in pairs datasets these are halves of the same pairs."""
    return table.groupby("label").cumcount() < N_PER_CLASS


def _lines(table: pd.DataFrame) -> list[str]:
    lines = []
    for label, word in ((0, "real"), (1, "fake")):
        shown = table[table["label"] == label].head(N_SHOWN)
        scores = "  ".join("failed" if np.isnan(s) else f"{s:.3f}" for s in shown["score"])
        lines.append(f"first {word} images score {scores}")
    return lines


def _assumptions(detector: Detector) -> list[str]:
    assumed = detector.provenance.get("assumed", [])
    if not assumed:
        return []
    p = detector.preprocessing
    return [
        f"{detector.name} does not say its {', '.join(assumed)}: taken to be {p.size_px} px, mean "
        f"{tuple(p.mean)}, std {tuple(p.std)}, output {detector.output.kind!r}; say otherwise in its .toml"
    ]


def judge(scores: pd.Series, labels: pd.Series) -> list[str]:
    """What looks wrong about some scores.

    Args:
        scores: [n] in 0-1, higher = more fake.
        labels: [n], 1 = fake.

    Returns:
        Sentences, each with what to do; none if nothing looks wrong.
    """
    if scores.empty:
        return ["no image could be scored: look at the reasons in the score table"]
    values = scores.to_numpy(dtype=float)
    if not np.isfinite(values).all():
        return ["some scores are not numbers: the network gives NaN or infinity"]
    if values.min() < 0 or values.max() > 1:
        return [f"scores reach from {values.min():.3g} to {values.max():.3g}: its output is no probability"]
    if np.ptp(values) < CONSTANT_RANGE:
        return [f"all scores are {values[0]:.4f}: constant; mean, std or size_px may be wrong"]
    return [*_inverted(values, labels.to_numpy()), *_saturated(values)]


def _inverted(values: np.ndarray, labels: np.ndarray) -> list[str]:
    auc = small_auc(values, labels)
    if auc >= INVERTED_AUC or np.isnan(auc):
        return []
    return [
        f"real images score higher than fake ones (AUC {auc:.2f} on {len(values)} images): "
        "inverted? try inverted = true or another fake_index"
    ]


def _saturated(values: np.ndarray) -> list[str]:
    share = float(np.mean((values < SATURATED) | (values > 1 - SATURATED)))
    if share <= 0.5:
        return []
    return [
        f"{share:.0%} of the scores are 0 or 1: saturated; an output of probabilities read as logits, or "
        "pixels in a wrong range (mean, std)?"
    ]


def small_auc(values: np.ndarray, labels: np.ndarray) -> float:
    """Share of (fake, real) couples in which the fake scores higher, ties half; NaN without couples.

    Source: Mann and Whitney 1947. For a handful of images; the audit has its own.

    >>> small_auc(np.array([0.9, 0.4, 0.4]), np.array([1, 0, 1]))
    0.75
    """
    fake, real = values[labels == 1], values[labels == 0]
    if not len(fake) or not len(real):
        return float("nan")
    difference = fake[:, None] - real[None, :]
    return float(np.mean(difference > 0) + np.mean(difference == 0) / 2)
