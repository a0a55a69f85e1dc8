"""The network of the embedded generator: two encoders, and a StyleGAN2 decoder that reads both codes.

Enters: face crops, float [B,3,256,256] in [-1,1]. Leaves: two codes and, from them, an image of the same
size.

- W+ [B,n_styles,style_dim], one style for each modulated convolution, read from a 64 px copy of the crop.
- The spatial code [B,code_channels,32,32], read from the crop after each colour channel was brought to mean
  0 and standard deviation 1. The two statistics are given to W+ instead. So colour, brightness and contrast
  reach the image through W+ alone, and W+ cannot be ignored.

The literature calls the pair F/W+ (HFGI, Wang et al., CVPR 2022; Barbershop, Zhu et al., SIGGRAPH Asia 2021).

Why not W+ alone: a code without places cannot say where an eyelid is, and answers with a smear. Measured
here: 22.1 dB on held-out faces, for a network of twice the size.

Why most of the work is done at 32 and 64 px, with sub-pixel convolution (Shi et al., CVPR 2016) to 256 px: a
convolution at 256 px costs sixteen times one at 64 px, and on a CPU more than that, for its memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipelines.generators.compute import normal

_SLOPE = 0.2
_EPSILON = 1e-8
_LEAST_DEVIATION = 0.02
"""Of a colour channel in [-1,1]: a flat channel is not blown up to noise."""
_GROUP = 16
"""Channels that are normalised together."""


@dataclass(frozen=True)
class SmallConfig:
    """Sizes of the network.

    Attributes:
        size_px: side of its images.
        style_dim: length of one style.
        code_channels: channels of the spatial code, whose side is an eighth of the image's.
        detail_channels: of the spatial code's encoder at a quarter and at an eighth of the side.
        style_channels: of the style encoder at 16 and at 8 px.
        decoder_channels: at 16, 32 and 64 px (for an image of 256 px).
        detail_blocks: residual blocks of the spatial code's encoder at either resolution.
        decoder_blocks: residual blocks of the decoder at 32 and 64 px.
    """

    size_px: int = 256
    style_dim: int = 128
    code_channels: int = 6
    detail_channels: tuple[int, int] = (48, 128)
    style_channels: tuple[int, int] = (96, 128)
    decoder_channels: tuple[int, int, int] = (96, 160, 64)
    detail_blocks: tuple[int, int] = (1, 2)
    decoder_blocks: tuple[int, int] = (2, 1)

    def __post_init__(self) -> None:
        if self.size_px % 64 or self.code_channels * self.code_side_px**2 % self.style_dim:
            raise ValueError(
                f"a spatial code of {self.code_channels} x {self.code_side_px} x {self.code_side_px} does "
                f"not fill rows of {self.style_dim}, or {self.size_px} px is no multiple of 64"
            )

    @property
    def code_side_px(self) -> int:
        """Side of the spatial code."""
        return self.size_px // 8

    @property
    def n_code_rows(self) -> int:
        """Rows of `style_dim` numbers that the spatial code fills."""
        return self.code_channels * self.code_side_px**2 // self.style_dim

    @property
    def n_styles(self) -> int:
        """Rows of W+: one a modulated convolution."""
        return 5 + 2 * sum(self.decoder_blocks)


SMALL_256 = SmallConfig()
"""The embedded generator."""


def colour_statistics(images: Tensor) -> Tensor:
    """Mean and standard deviation of each colour channel: [B,3,H,W] to [B,2,3]; the latter at least 0.02."""
    deviation, mean = torch.std_mean(images.float(), (2, 3), correction=0)
    return torch.stack([mean, deviation.clamp_min(_LEAST_DEVIATION)], 1)


def without_colour_statistics(images: Tensor, statistics: Tensor) -> Tensor:
    """Every colour channel of [B,3,H,W] at mean 0 and standard deviation 1."""
    return (images - statistics[:, 0, :, None, None]) / statistics[:, 1, :, None, None]


class NormBlock(nn.Module):
    """Residual block; its last convolution starts at zero, so that it starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.GroupNorm(channels // _GROUP, channels) for _ in range(2))
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B,C,H,W] to the same shape."""
        y = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(y)))


class PlainBlock(nn.Module):
    """The same without normalisation, which would take brightness and contrast away."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B,C,H,W] to the same shape."""
        return x + self.conv2(F.leaky_relu(self.conv1(F.leaky_relu(x, _SLOPE)), _SLOPE))


class DetailEncoder(nn.Module):
    """Crops without their colour statistics to the spatial code."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        fine, coarse = config.detail_channels
        n_fine, n_coarse = config.detail_blocks
        self.stem = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, fine, 3, padding=1))
        self.fine = nn.Sequential(*(NormBlock(fine) for _ in range(n_fine)))
        self.down = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * fine, coarse, 1))
        self.coarse = nn.Sequential(*(NormBlock(coarse) for _ in range(n_coarse)))
        self.code = nn.Sequential(
            nn.GroupNorm(coarse // _GROUP, coarse), nn.SiLU(), nn.Conv2d(coarse, config.code_channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [B,3,S,S] to [B,code_channels,S/8,S/8]."""
        return self.code(self.coarse(self.down(self.fine(self.stem(x)))))


class StyleEncoder(nn.Module):
    """A 64 px copy of the crops, and their colour statistics, to W+."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        first, second = config.style_channels
        self.n_styles = config.n_styles
        self.features = nn.Sequential(
            nn.PixelUnshuffle(4), nn.Conv2d(48, first, 3, padding=1), PlainBlock(first), PlainBlock(first),
            nn.Conv2d(first, second, 2, stride=2), PlainBlock(second),
            nn.Conv2d(second, 32, 2, stride=2), nn.LeakyReLU(_SLOPE), nn.Flatten(),
        )  # fmt: skip
        self.hidden = nn.Linear(32 * 16 + 6, 384)
        self.styles = nn.Linear(384, config.n_styles * config.style_dim)

    def forward(self, images: Tensor, statistics: Tensor) -> Tensor:
        """Map [B,3,S,S] in [-1,1] and [B,2,3] to [B,n_styles,style_dim]."""
        features = self.features(F.adaptive_avg_pool2d(images, 64))
        known = torch.cat([features, statistics.flatten(1).to(features.dtype)], 1)
        return self.styles(F.leaky_relu(self.hidden(known), _SLOPE)).unflatten(1, (self.n_styles, -1))


class StyledConv(nn.Module):
    """Convolution whose input channels a style scales, demodulated (Karras et al., CVPR 2020, section 2.2).

    Why activations are scaled and not weights: the two are equal, for a convolution is linear in each input
    channel, and no image of the batch needs its own copy of the weights.
    """

    def __init__(self, n_in: int, n_out: int, style_dim: int, demodulate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(n_out, n_in, 3, 3, over=math.sqrt(9 * n_in)))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.modulation = nn.Linear(style_dim, n_in)
        nn.init.zeros_(self.modulation.bias)
        self.demodulate = demodulate

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Map [B,n_in,H,W] and [B,style_dim] to [B,n_out,H,W]."""
        scale = 1 + self.modulation(style)
        y = F.conv2d(x * scale[:, :, None, None].to(x.dtype), self.weight, padding=1)
        if self.demodulate:
            energy = F.linear(scale.float().square(), self.weight.float().square().sum((2, 3)))
            y = y * torch.rsqrt(energy + _EPSILON)[:, :, None, None].to(y.dtype)
        return y + self.bias[:, None, None].to(y.dtype)


class StyledBlock(nn.Module):
    """Residual block of two styled convolutions; a learned gain of each channel starts at zero."""

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (StyledConv(channels, channels, style_dim) for _ in range(2))
        self.gain = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """Map [B,C,H,W] and two styles [B,2,style_dim] to [B,C,H,W]."""
        y = self.conv1(F.leaky_relu(x, _SLOPE), styles[:, 0])
        y = self.conv2(F.leaky_relu(y, _SLOPE), styles[:, 1])
        return x + self.gain[:, None, None].to(y.dtype) * y


class Decoder(nn.Module):
    """Both codes to an image."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        low, middle, high = config.decoder_channels
        dim, n_codes, start = config.style_dim, config.code_channels, config.size_px // 16
        self.constant = nn.Parameter(normal(1, low, start, start))
        self.conv1 = StyledConv(low, low, dim)
        self.conv2 = StyledConv(low, 4 * low, dim)
        self.place = nn.Conv2d(n_codes, low, 1)
        self.merge = StyledConv(2 * low, middle, dim)
        self.middle = nn.ModuleList(StyledBlock(middle, dim) for _ in range(config.decoder_blocks[0]))
        self.enlarge = StyledConv(middle // 4, high, dim)
        self.high = nn.ModuleList(StyledBlock(high, dim) for _ in range(config.decoder_blocks[1]))
        self.to_rgb = StyledConv(high, 48, dim, demodulate=False)
        self.colour = nn.Linear(dim, 3)
        with torch.no_grad():
            self.to_rgb.weight.mul_(0.3)

    def forward(self, w_plus: Tensor, code: Tensor) -> Tensor:
        """Map W+ [B,n_styles,style_dim] and the spatial code [B,C,S/8,S/8] to [B,3,S,S]."""
        rows = iter(w_plus.unbind(1))
        x = self.constant.expand(len(w_plus), -1, -1, -1).to(memory_format=torch.channels_last)
        x = F.leaky_relu(self.conv1(x, next(rows)), _SLOPE)
        x = F.leaky_relu(F.pixel_shuffle(self.conv2(x, next(rows)), 2), _SLOPE)
        x = self.merge(torch.cat([x, self.place(code).to(x.dtype)], 1), next(rows))
        for block in self.middle:
            x = block(x, torch.stack([next(rows), next(rows)], 1))
        x = self.enlarge(F.leaky_relu(F.pixel_shuffle(x, 2), _SLOPE), next(rows))
        for block in self.high:
            x = block(x, torch.stack([next(rows), next(rows)], 1))
        last = next(rows)
        x = F.pixel_shuffle(self.to_rgb(F.leaky_relu(x, _SLOPE), last), 4)
        return x + self.colour(last)[:, :, None, None].to(x.dtype)


class SmallNetwork(nn.Module):
    """The two encoders and the decoder."""

    def __init__(self, config: SmallConfig = SMALL_256) -> None:
        super().__init__()
        self.config = config
        self.detail_encoder = DetailEncoder(config)
        self.style_encoder = StyleEncoder(config)
        self.decoder = Decoder(config)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images [B,3,S,S] in [-1,1] to W+ [B,n_styles,style_dim] and the spatial code [B,C,S/8,S/8]."""
        statistics = colour_statistics(images)
        code = self.detail_encoder(without_colour_statistics(images, statistics))
        return self.style_encoder(images, statistics), code

    def decode(self, w_plus: Tensor, code: Tensor) -> Tensor:
        """Both codes to images [B,3,S,S], nominally in [-1,1], not clamped."""
        return self.decoder(w_plus, code)
