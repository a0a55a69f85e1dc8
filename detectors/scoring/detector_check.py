"""Try a detector on a handful of images before believing a number.

Enters: a detector and labelled images. Leaves: `Check`: scores to look at, what was looked for one by one,
and warnings where they look inverted, constant or saturated, or where something was assumed about a foreign
detector.

Why warnings and not errors: a detector may really be that bad. Whoever reads the scores can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

from detectors.data.labelled_images import LabelledImages
from detectors.models.detector import Detector
from detectors.scoring.engine import score_images
from detectors.scoring.options import Options
from detectors.scoring.score_table import NO_SCORE, OK

N_PER_CLASS = 16
N_SHOWN = 4
INVERTED_AUC = 0.35
"""Below it, with 16 images of each class, chance is an unlikely explanation (p < 0.08 for each side)."""
CONSTANT_RANGE = 1e-4
NARROW_RANGE = 0.02
"""Scores of real and fake images that all lie so close together: nearly constant."""
SATURATED = 1e-6


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        name: "input size", "readable images", "AUC", "orientation", "constancy", "saturation".
        ok: Whether it is as it should be; None where these images cannot tell.
        text: What was seen, with what to do where it is not as it should be.
    """

    name: str
    ok: bool | None
    text: str

    def __str__(self) -> str:
        mark = {True: "\N{CHECK MARK}", False: "\N{BALLOT X}", None: "?"}[self.ok]
        return f"{mark} {self.name:<15}  {self.text}"


@dataclass(frozen=True)
class Check:
    """What a first look at a detector shows."""

    lines: list[str]
    """Scores of a few images, for people."""
    warnings: list[str]
    """What looks wrong, each with what to do."""
    scores: pd.DataFrame
    """The score table of the images tried."""
    findings: list[Finding]
    """What was looked for, one by one."""

    @property
    def failed(self) -> bool:
        """Whether anything has a cross."""
        return any(one.ok is False for one in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN as None."""
        rows = self.scores[["image_id", "label", "score", "status"]].to_dict("records")
        return {
            "findings": [{"name": one.name, "ok": one.ok, "text": one.text} for one in self.findings],
            "warnings": self.warnings,
            "scores": [row | {"score": None if np.isnan(row["score"]) else row["score"]} for row in rows],
        }


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
    absent = int((table["status"] == NO_SCORE).sum())
    found = _assumptions(detector)
    if absent:
        found.append(f"{absent} of {len(table)} scores are not numbers: the network gives NaN or infinity")
    if len(scored) or not absent:
        found += judge(scored["score"], scored["label"])
    return Check(_lines(table), found, table, findings_of(detector, table))


def findings_of(detector: Detector, table: pd.DataFrame) -> list[Finding]:
    """Everything looked for, in the order in which it should be put right.

    Args:
        detector: The detector.
        table: Its score table of the images tried.
    """
    number = np.isfinite(table["score"].to_numpy(dtype=float))
    scored = table[(table["status"] == OK) & number]
    values, labels = scored["score"].to_numpy(dtype=float), scored["label"].to_numpy()
    reasons = table.loc[table["status"] != OK, "status"].value_counts()
    why = "".join(f"; {n} {reason}" for reason, n in reasons.items())
    silent = int(((table["status"] == OK) & ~number).sum())
    why += f"; {silent} have a score that is no number" if silent else ""
    readable = Finding("readable images", not why, f"{len(scored)} of {len(table)} were scored{why}")
    return [_size(detector), readable, *_on_scores(values, labels)]


def _size(detector: Detector) -> Finding:
    p = detector.preprocessing
    text = f"{p.size_px} px, {p.colour}"
    if "size_px" not in detector.provenance.get("assumed", []):
        return Finding("input size", True, text)
    return Finding("input size", False, f"{text}, which is assumed; say --set size_px=PIXELS")


def _on_scores(values: np.ndarray, labels: np.ndarray) -> list[Finding]:
    if not len(values):
        names = ("AUC", "orientation", "constancy", "saturation")
        return [Finding(name, None, "no scores") for name in names]
    spread = f"scores reach from {values.min():.4f} to {values.max():.4f}"
    narrow, saturated = _nearly_constant(values), _saturated(values)
    return [
        *_ranking(values, labels),
        Finding("constancy", not narrow, spread + (": nearly constant" if narrow else "")),
        Finding("saturation", not saturated, saturated[0] if saturated else "few scores are 0 or 1"),
    ]


def _ranking(values: np.ndarray, labels: np.ndarray) -> list[Finding]:
    """Whether fakes score higher, and whether more of them than chance would explain."""
    n_fake, n_real = int((labels == 1).sum()), int((labels == 0).sum())
    if not n_fake or not n_real:
        told = f"{n_real} real and {n_fake} fake images: both kinds are needed"
        return [Finding("AUC", None, told), Finding("orientation", None, told)]
    auc = small_auc(values, labels)
    text = f"{auc:.2f} on {n_real} real and {n_fake} fake images"
    better = bool(mannwhitneyu(values[labels == 1], values[labels == 0], alternative="greater").pvalue < 0.05)
    inverted = auc < INVERTED_AUC
    if inverted:
        way = "real images score higher than fake ones; try --set inverted=true or another fake_index"
    else:
        way = "fakes score higher than real images" if better else "these images cannot tell"
    return [
        Finding("AUC", better, text if better else f"{text}: no better than chance"),
        Finding("orientation", False if inverted else better or None, way),
    ]


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
    said = {
        "size_px": f"{p.size_px} px", "mean": f"mean {_numbers(p.mean)}", "std": f"std {_numbers(p.std)}",
        "output": f"output {detector.output.kind}",
    }  # fmt: skip
    taken = [said[key] for key in assumed if key in said]
    return [
        f"{detector.name} does not say its {', '.join(assumed)}: taken to be {', '.join(taken)}; say "
        f"otherwise with {' '.join(f'--set {key}=...' for key in assumed)}, or in its .toml"
    ]


def _numbers(values: Sequence[float]) -> str:
    """As `--set` takes them.

    >>> _numbers((0.5, 0, 1))
    '0.5,0,1'
    """
    return ",".join(f"{value:g}" for value in values)


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
    if values.min() < 0 or values.max() > 1:
        return [f"scores reach from {values.min():.3g} to {values.max():.3g}: its output is no probability"]
    if np.ptp(values) < CONSTANT_RANGE:
        return [f"all scores are {values[0]:.4f}: constant; mean, std or size_px may be wrong"]
    if _nearly_constant(values):
        return [
            f"all scores lie between {values.min():.4f} and {values.max():.4f}: nearly constant; mean, std, "
            "size_px or output may be wrong, or a threshold of 0.5 may not fit"
        ]
    return [*_inverted(values, labels.to_numpy()), *_saturated(values)]


def _nearly_constant(values: np.ndarray) -> bool:
    return bool(np.ptp(values) < NARROW_RANGE)


def _inverted(values: np.ndarray, labels: np.ndarray) -> list[str]:
    auc = small_auc(values, labels)
    if auc >= INVERTED_AUC or np.isnan(auc):
        return []
    return [
        f"real images score higher than fake ones (AUC {auc:.2f} on {len(values)} images): "
        "inverted? try --set inverted=true or another fake_index"
    ]


def _saturated(values: np.ndarray) -> list[str]:
    ends = {"0": values < SATURATED, "1": values > 1 - SATURATED}
    share = float(np.mean(ends["0"] | ends["1"]))
    if share <= 0.5:
        return []
    which = " or ".join(end for end, there in ends.items() if there.any())
    return [
        f"{share:.0%} of the scores are {which}: saturated; an output of probabilities read as logits, or "
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
