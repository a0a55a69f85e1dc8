"""What a generator that encodes and decodes faces offers to a run of pairs, and how images are finished.

Latents of such a generator are one tensor float32 [B,n_rows,style_dim]: first W+, a row for each style; then,
where it has a spatial code too, that code's numbers in rows of the same length. Truncation and style mixing
touch W+ alone.

Why values are rounded and never truncated: truncation darkens every fake by half a level, which a detector
can learn.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from pipelines.errors import EngineError
from pipelines.faces.align import Crop


class EncoderDecoder(Protocol):
    """A generator that rebuilds a face from its latents.

    Attributes:
        name: of the weights.
        sha256: of the weights' file.
        crop: the geometry of the crops it was trained on.
        provenance: what the weights say of themselves.
        dtype: torch.float32, or torch.bfloat16 for autocast; may be changed.
        latent_avg: float32 [n_styles,style_dim], the average of W+, where the weights hold one.
    """

    name: str
    sha256: str
    crop: Crop
    provenance: Mapping[str, Any]
    dtype: torch.dtype
    latent_avg: Tensor | None

    @property
    def is_light(self) -> bool:
        """Whether it was made for CPUs: float32 takes milliseconds an image there."""

    @property
    def input_size_px(self) -> int:
        """Side of the encoder's input."""

    @property
    def output_size_px(self) -> int:
        """Side of the decoder's output."""

    @property
    def style_shape(self) -> tuple[int, int]:
        """Rows of W+, and their length."""

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Rows of a latent, W+ and spatial code, and their length."""

    def encode(self, images: Tensor) -> Tensor:
        """Images float32 [B,3,N,N] in [-1,1], N the input size, to latents float32 [B,n_rows,style_dim]."""

    def decode(self, latents: Tensor) -> Tensor:
        """Latents to float32 [B,3,S,S], S the output size, nominally in [-1,1], not clamped."""

    def fakes_from(self, latents: Tensor, side_px: int) -> Tensor:
        """Decode latents to finished fakes, uint8 [B,side_px,side_px,3] on the CPU."""


def resized(images: Tensor, side_px: int) -> Tensor:
    """Bring [B,C,S,S] to [B,C,side_px,side_px]: by area to fewer pixels, bicubic to more."""
    side = images.shape[-1]
    if side == side_px:
        return images
    if side > side_px:
        return F.adaptive_avg_pool2d(images, side_px)
    return F.interpolate(images, (side_px, side_px), mode="bicubic", align_corners=False)


def finished(images: Tensor, side_px: int) -> Tensor:
    """Images float [B,3,S,S] in [-1,1] as fakes, uint8 [B,side_px,side_px,3] on the CPU.

    Raises:
        EngineError: a value is not a number: such an image would turn black without a word.
    """
    images = resized(images, side_px)
    if not images.isfinite().all():
        raise EngineError(
            "the generator gave values that are not numbers; try --precision float32, and audit doctor "
            "--psp to check the weights and the device"
        )
    levels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu()
