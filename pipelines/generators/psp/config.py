"""The shape of one pSp network: every size that differs between models.

Enters: nothing. Leaves: `PSPConfig`, frozen, and `official` to make the published ones.

Why a class and not the published sizes alone: a network with few channels is the same code, so what is proven
of one (parity with the reference) is proven of the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class PSPConfig:
    """Sizes of a pixel2style2pixel network (Richardson et al. 2021, arXiv 2008.00951).

    Attributes:
        output_size_px: side S of the decoded image, a power of two.
        input_size_px: side of the encoder's input; the style heads fit this size and no other.
        style_dim: length of one style vector.
        encoder_channels: channels of the stem and of the four stages of the backbone.
        encoder_units: residual units in each stage.
        decoder_channels: channels at 4, 8, 16 ... S pixels.
        n_mapping_layers: depth of StyleGAN2's mapping network z -> w (0: none; encoding never runs it).
    """

    output_size_px: int
    input_size_px: int = 256
    style_dim: int = 512
    encoder_channels: tuple[int, int, int, int, int] = (64, 64, 128, 256, 512)
    encoder_units: tuple[int, int, int, int] = (3, 4, 14, 3)
    decoder_channels: tuple[int, ...] = (512, 512, 512, 512, 512, 256, 128, 64, 32)
    n_mapping_layers: int = 8

    @property
    def n_styles(self) -> int:
        """Rows of W+: two for each resolution from 4 px to S, less the two of the constant input."""
        return 2 * int(math.log2(self.output_size_px)) - 2

    @property
    def feature_sizes_px(self) -> tuple[int, int, int]:
        """Sides of the coarse, middle and fine feature maps that the style heads read."""
        return self.input_size_px // 16, self.input_size_px // 8, self.input_size_px // 4


def official(output_size_px: int) -> PSPConfig:
    """The published configuration at 32 to 1024 px (StyleGAN2 with channel multiplier 2).

    Raises:
        ValueError: `output_size_px` is not a power of two from 32 to 1024.
    """
    if output_size_px not in {2**k for k in range(5, 11)}:
        raise ValueError(f"output size {output_size_px} px is not a power of two from 32 to 1024")
    widths = (512, 512, 512, 512, 512, 256, 128, 64, 32)
    return PSPConfig(output_size_px, decoder_channels=widths[: int(math.log2(output_size_px)) - 1])
