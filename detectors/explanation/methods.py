"""Maps of what speaks for a detector's decision, by five methods of captum.

Enters: a detector and one image. Leaves: an `Explanation`, a map of the network's input size in 0-1 for the
decision shown: for "fake" where fake is called, for "real" where real is called.

    saliency              how much each pixel would move the decision, either way        needs gradients
    integrated-gradients  what each pixel adds against a grey image                      needs gradients
    grad-cam              what the last convolution finds that speaks for the decision   needs gradients
    occlusion             how much the decision loses when a patch is greyed             any detector
    lime                  a linear model of which patches matter, fitted on samples      any detector

Why a map never stays blank: where nothing speaks for the decision, as Grad-CAM often finds, the map shows
where least speaks against it, and says so. Only a map that is the same everywhere is flat; that is said as
well.
Why grey and not black is what pixels are compared with: a black patch is itself a sign of a fake to many
detectors.
Why LIME fits a ridge and not captum's lasso: the lasso's penalty is absolute and leaves small evidence
blank.

Source: Simonyan et al. 2014 (saliency); Sundararajan et al. 2017 (integrated gradients); Selvaraju et al.
2017 (Grad-CAM); Zeiler and Fergus 2014 (occlusion); Ribeiro et al. 2016 (LIME).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.data.preprocessing import fit, to_unit
from detectors.errors import ExplanationError, ForeignDetectorError, NoScoreError
from detectors.models.detector import Detector
from detectors.scoring.score_table import no_number
from pipelines.extras import require

Answer = Literal["fake", "real"]
GREY = 0.5
"""What pixels are compared with, in 0-1."""
IG_STEPS = 24
OCCLUSION_CELLS = 8
"""Patches across the image; they overlap by half."""
LIME_CELLS = 7
LIME_SAMPLES = 196
"""Random choices of patches that are greyed: four for each patch."""
AT_ONCE = 32
"""Changed images a network sees at once."""
_FLAT = 1e-12
"""A map whose values differ by less, relative to the largest, is the same everywhere."""
_ROUNDING = 1e-6
"""Weights of a linear model below this share of the evidence are rounding: every sample had the same."""

Evidence = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Method:
    """One way to explain.

    Attributes:
        name: As on the command line.
        label: For people.
        legend: What a bright spot means, completing "Bright: ...".
        needs_gradients: Whether the network must be one of torch.
        is_signed: Whether values below zero speak against the decision.
    """

    name: str
    label: str
    legend: str
    needs_gradients: bool
    is_signed: bool


METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        Method("saliency", "Saliency", "changing these pixels would move the decision most", True, False),
        Method("integrated-gradients", "Integrated gradients",
               "against a grey image, these pixels add most to the decision", True, True),
        Method("grad-cam", "Grad-CAM",
               "here the last convolution finds what speaks for the decision", True, True),
        Method("occlusion", "Occlusion", "greying these patches weakens the decision most", False, True),
        Method("lime", "LIME", "in a linear model, these patches speak for the decision", False, True),
    )
}  # fmt: skip
"""Every method by its name."""


@dataclass(frozen=True)
class Explanation:
    """One map.

    Attributes:
        method: A key of `METHODS`.
        answer: The decision it explains.
        score: 0-1, higher = more fake.
        map: [S, S] float32 in 0-1, largest 1 unless flat; all 0 where flat.
        is_flat: Whether the map is the same everywhere: this method finds nothing.
        is_relative: Whether nothing speaks for the decision: the map shows where least speaks against it.
    """

    method: str
    answer: Answer
    score: float
    map: Tensor
    is_flat: bool
    is_relative: bool

    @property
    def legend(self) -> str:
        """What the map shows, in one sentence."""
        about = METHODS[self.method]
        if self.is_flat:
            return f"{about.label}: the map is flat, this method finds nothing in this image."
        if self.is_relative:
            return f"{about.label}: nothing speaks for “{self.answer}”; bright: least speaks against it."
        return f"{about.label}, for “{self.answer}”. Bright: {about.legend}."


def default_method(detector: Detector) -> str:
    """Grad-CAM where the network gives gradients and has a convolution, occlusion otherwise."""
    return "grad-cam" if _convolutions(detector) else "occlusion"


def check_method(detector: Detector, method: str) -> None:
    """Refuse a method that is unknown or that this detector cannot be explained by.

    Raises:
        ExplanationError: an unknown name.
        ForeignDetectorError: it needs gradients, or a convolution, that the network lacks.
        MissingExtra: captum is not installed.
    """
    require("explaining a detector", "explain")
    if method not in METHODS:
        raise ExplanationError(f"no method {method!r}; known are {', '.join(METHODS)}")
    if METHODS[method].needs_gradients and not isinstance(detector.network, nn.Module):
        raise ForeignDetectorError(
            f"{detector.name} is {detector.arch}, which gives no gradients: take --method occlusion or lime, "
            "or a checkpoint of ours, or a file of torch that you trust (--trust SHA256)"
        )
    if method == "grad-cam" and not _convolutions(detector):
        raise ForeignDetectorError(f"{detector.name} has no convolution to look into: take another --method")


def explain(
    detector: Detector, image: Tensor, method: str, threshold: float = 0.5, seed: int = 0
) -> Explanation:
    """Explain a detector's decision on one image.

    Args:
        detector: The detector.
        image: [3, H, W] float32 in 0-1, or uint8.
        method: A key of `METHODS`.
        threshold: Fake if score >= threshold; it decides which decision is explained.
        seed: Of LIME's samples.

    Returns:
        The map; equal arguments give an equal one.

    Raises:
        ExplanationError, ForeignDetectorError, MissingExtra: as `check_method`.
        NoScoreError: the detector gives no number for the image, so there is no decision; or the method gives
            none.
    """
    check_method(detector, method)
    batch = fit(to_unit(image)[None].to(detector.device), detector.preprocessing).detach().clone()
    score = float(detector.score(batch)[0])
    if not math.isfinite(score):
        raise NoScoreError(no_number(score))
    answer: Answer = "fake" if score >= threshold else "real"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        values = _COMPUTE[method](detector, batch, evidence_for(detector, answer))
    n_bad = int((~values.isfinite()).sum())
    if n_bad:
        raise NoScoreError(
            f"{METHODS[method].label} gives {n_bad} values of {values.numel()} that are no numbers, so there "
            "is no map; try another method"
        )
    found, is_flat, is_relative = _scaled(values.detach().double().cpu(), METHODS[method].is_signed)
    return Explanation(method, answer, score, found, is_flat, is_relative)


def evidence_for(detector: Detector, answer: Answer) -> Evidence:
    """What speaks for a decision: [B, 3, S, S] in 0-1 to [B]; differentiable where the network is torch."""
    sign = 1.0 if answer == "fake" else -1.0
    return lambda batch: sign * detector.output.evidence(detector.raw(batch))


def _scaled(values: Tensor, is_signed: bool) -> tuple[Tensor, bool, bool]:
    """[S, S] in 0-1; whether it is flat; whether it is relative."""
    low, high = float(values.min()), float(values.max())
    if not high - low > _FLAT * max(abs(low), abs(high), 1e-300):
        return torch.zeros_like(values).float(), True, False
    is_relative = is_signed and high <= 0
    shown = values - low if is_relative else values.clamp(min=0)
    return (shown / shown.max()).float(), False, is_relative


def _saliency(detector: Detector, batch: Tensor, evidence: Evidence) -> Tensor:
    from captum.attr import Saliency

    return Saliency(evidence).attribute(batch.requires_grad_())[0].amax(0)


def _integrated_gradients(detector: Detector, batch: Tensor, evidence: Evidence) -> Tensor:
    from captum.attr import IntegratedGradients

    found = IntegratedGradients(evidence).attribute(
        batch, baselines=GREY, n_steps=IG_STEPS, internal_batch_size=AT_ONCE
    )
    return found[0].sum(0)


def _grad_cam(detector: Detector, batch: Tensor, evidence: Evidence) -> Tensor:
    from captum.attr import LayerGradCam

    layer = _convolutions(detector)[-1]
    found: Any = LayerGradCam(evidence, layer).attribute(batch.requires_grad_())
    size = batch.shape[-2:]
    return functional.interpolate(found.double(), size, mode="bilinear", align_corners=False)[0, 0]


def _occlusion(detector: Detector, batch: Tensor, evidence: Evidence) -> Tensor:
    from captum.attr import Occlusion

    size = batch.shape[-1]
    patch = max(2, -(-size // OCCLUSION_CELLS))
    with torch.inference_mode():
        found = Occlusion(evidence).attribute(
            batch,
            sliding_window_shapes=(3, patch, patch),
            strides=(3, max(1, patch // 2), max(1, patch // 2)),
            baselines=GREY,
            perturbations_per_eval=AT_ONCE,
        )
    return found[0].double().mean(0)


def _lime(detector: Detector, batch: Tensor, evidence: Evidence) -> Tensor:
    from captum._utils.models.linear_model import SkLearnRidge
    from captum.attr import Lime

    size = batch.shape[-1]
    cell = torch.arange(size) * LIME_CELLS // size
    patches = (cell[:, None] * LIME_CELLS + cell[None, :]).expand(1, 3, size, size)
    with torch.inference_mode():
        found = Lime(evidence, interpretable_model=SkLearnRidge(alpha=1.0)).attribute(
            batch,
            baselines=GREY,
            feature_mask=patches.to(batch.device),
            n_samples=LIME_SAMPLES,
            perturbations_per_eval=AT_ONCE,
        )
        strength = float(evidence(batch).abs().max())
    weights = found[0].double().mean(0)
    return weights if float(weights.abs().max()) > _ROUNDING * max(1.0, strength) else weights * 0


_COMPUTE: dict[str, Callable[[Detector, Tensor, Evidence], Tensor]] = {
    "saliency": _saliency,
    "integrated-gradients": _integrated_gradients,
    "grad-cam": _grad_cam,
    "occlusion": _occlusion,
    "lime": _lime,
}


def _convolutions(detector: Detector) -> list[nn.Module]:
    """The convolutional layers of a detector's network; none where it is not of torch."""
    if not isinstance(detector.network, nn.Module):
        return []
    return [layer for layer in detector.network.modules() if isinstance(layer, nn.Conv2d)]
