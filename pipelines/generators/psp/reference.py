"""Our network beside upstream's own code, on the user's own checkpoint.

Enters: a checkpoint, and a checkout of pixel2style2pixel (the submodule `third_party/pixel2style2pixel`).
Leaves: the largest differences of codes and images.

Why upstream's compiled operators are replaced: they need nvcc and ninja, and its package compiles them on
import. The two functions they offer are written here with PyTorch's own operators; everything else that runs
is upstream's. Weights come from our own safe reader, never from upstream's `torch.load`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipelines.errors import ReferenceNotFound
from pipelines.generators.psp.checkpoint import read_checkpoint
from pipelines.generators.psp.model import PSP
from pipelines.generators.psp.ops import SQRT2

SUBMODULE = Path("third_party/pixel2style2pixel")
CHECKOUT = f"git submodule update --init {SUBMODULE}"


@dataclass(frozen=True)
class Agreement:
    """Largest absolute differences between upstream's network and ours."""

    checkpoint_sha256: str
    codes: float
    """Of W+, whose values are of order 1."""
    image: float
    """Of the image at full size, nominally in [-1,1]."""
    levels: int
    """Of the finished fake, in 0-255."""


def compare_with_reference(
    weights: str | Path,
    upstream: str | Path = SUBMODULE,
    device: str = "cpu",
    n_images: int = 2,
    seed: int = 0,
) -> Agreement:
    """Run both networks on the same weights and images.

    Args:
        weights: an official pSp checkpoint.
        upstream: the checkout of pixel2style2pixel.
        device: torch device name.
        n_images: random images to try.
        seed: of the images.

    Raises:
        ReferenceNotFound: upstream is not checked out.
        CheckpointFormatError: the weights cannot be used.
    """
    upstream = Path(upstream)
    if not (upstream / "models" / "psp.py").is_file():
        raise ReferenceNotFound(f"no upstream code in {upstream}: check it out with `{CHECKOUT}`")
    checkpoint = read_checkpoint(weights)
    ours = PSP(checkpoint, device)
    side = checkpoint.config.input_size_px
    images = torch.rand(n_images, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    with torch.inference_mode(), _upstream_modules(upstream) as (encoders, stylegan2):
        options = argparse.Namespace(input_nc=3, n_styles=checkpoint.config.n_styles)
        encoder = encoders.GradualStyleEncoder(50, "ir_se", options)
        decoder = stylegan2.Generator(checkpoint.config.output_size_px, checkpoint.config.style_dim, 8)
        for part, net in (("encoder.", encoder), ("decoder.", decoder)):
            own = {k[len(part) :]: v for k, v in checkpoint.state.items() if k.startswith(part)}
            net.load_state_dict(own, strict=True)
            net.eval().to(device)
        codes = encoder(images.to(device))
        if ours.latent_avg is not None:
            codes = codes + ours.latent_avg
        image, _ = decoder([codes], input_is_latent=True, randomize_noise=False)
    w_plus = ours.encode(images)
    decoded = ours.decode(codes)
    return Agreement(
        checkpoint_sha256=checkpoint.sha256,
        codes=_largest(w_plus - codes),
        image=_largest(decoded - image),
        levels=int((_levels(decoded) - _levels(image)).abs().max()),
    )


def _largest(difference: Tensor) -> float:
    return float(difference.abs().max())


def _levels(image: Tensor) -> Tensor:
    pooled = F.adaptive_avg_pool2d(image, 256)
    return ((pooled + 1) * 127.5).round().clamp(0, 255).to(torch.int16)


@contextmanager
def _upstream_modules(upstream: Path) -> Iterator[tuple[ModuleType, ModuleType]]:
    """Upstream's encoder and StyleGAN2 modules, importable for the time of the comparison."""
    operators = ModuleType("models.stylegan2.op")
    operators.FusedLeakyReLU = FusedLeakyReLU  # type: ignore[attr-defined]
    operators.fused_leaky_relu = fused_leaky_relu  # type: ignore[attr-defined]
    operators.upfirdn2d = upfirdn2d  # type: ignore[attr-defined]
    before = set(sys.modules)
    sys.path.insert(0, str(upstream.resolve()))
    sys.modules["models.stylegan2.op"] = operators
    try:
        yield (
            importlib.import_module("models.encoders.psp_encoders"),
            importlib.import_module("models.stylegan2.model"),
        )
    finally:
        sys.path.remove(str(upstream.resolve()))
        for name in set(sys.modules) - before:
            if name.split(".")[0] in {"models", "configs"}:
                del sys.modules[name]


def fused_leaky_relu(x: Tensor, bias: Tensor, negative_slope: float = 0.2, scale: float = SQRT2) -> Tensor:
    """What upstream's kernel of this name computes: leaky ReLU of x [B,C,...] + bias [C], times scale."""
    return F.leaky_relu(x + bias.view(1, -1, *[1] * (x.dim() - 2)), negative_slope) * scale


class FusedLeakyReLU(nn.Module):
    """The module form, with a learned bias."""

    def __init__(self, channel: int, negative_slope: float = 0.2, scale: float = SQRT2) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channel))
        self.negative_slope, self.scale = negative_slope, scale

    def forward(self, x: Tensor) -> Tensor:
        """Apply to [B,C,...]."""
        return fused_leaky_relu(x, self.bias, self.negative_slope, self.scale)


def upfirdn2d(x: Tensor, kernel: Tensor, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)) -> Tensor:
    """Insert zeros, pad, convolve with the kernel, keep every `down`-th sample of [B,C,H,W].

    Source: Karras et al. 2020, "upfirdn2d"; the kernel is flipped, as convolution demands.
    """
    b, c, height, width = x.shape
    spread = x.new_zeros(b, c, height, up, width, up)
    spread[:, :, :, 0, :, 0] = x
    padded = F.pad(spread.reshape(b, c, height * up, width * up), (*pad, *pad))
    taps = kernel.flip(0, 1).to(x.dtype).expand(c, 1, *kernel.shape)
    return F.conv2d(padded, taps, groups=c)[:, :, ::down, ::down]
