"""The pSp decoder: StyleGAN2's synthesis network, style vectors to an image.

Enters: W+ float [B,n_styles,style_dim]. Leaves: float [B,3,S,S], nominally in [-1,1] and not clamped.

Why modulation scales activations instead of weights: conv(x * s, W) * d equals the reference's per-sample
weights exactly (a convolution is linear in each input channel), needs no copy of the weights for every
image of the batch, and trains in less memory. The noise is the checkpoint's fixed buffers, never random:
an audit must give the same fake twice. Attribute names follow the official checkpoint's keys.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipelines.generators.compute import normal
from pipelines.generators.psp.config import PSPConfig
from pipelines.generators.psp.ops import (
    SLOPE,
    SQRT2,
    EqualLinear,
    binomial_kernel,
    blur,
    scaled_leaky_relu,
    upsample_rgb,
)

_EPSILON = 1e-8


class Blur(nn.Module):
    """Low-pass filter after a transposed convolution."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", binomial_kernel(4.0))

    def forward(self, x: Tensor) -> Tensor:
        """Filter [B,C,2H+1,2W+1] to [B,C,2H,2W]."""
        return blur(x, self.kernel, (1, 1))


class ModulatedConv(nn.Module):
    """Convolution whose input channels are scaled by a style (Karras et al. 2020, section 2.2)."""

    def __init__(
        self, n_in: int, n_out: int, kernel_px: int, style_dim: int, demodulate: bool, upsample: bool
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(1, n_out, n_in, kernel_px, kernel_px))
        self.modulation = EqualLinear(style_dim, n_in, bias_init=1.0)
        self.scale = 1.0 / math.sqrt(n_in * kernel_px**2)
        self.demodulate, self.padding = demodulate, kernel_px // 2
        if upsample:
            self.blur = Blur()
        self.upsample = upsample

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Map [B,n_in,H,W] and [B,style_dim] to [B,n_out,H,W], or twice the side when upsampling."""
        x, norm = self.unscaled(x, style)
        return x * norm if self.demodulate else x

    def unscaled(self, x: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """The convolution before demodulation, [B,n_out,...], and the factor that is due, [B,n_out,1,1]."""
        s = self.modulation(style)
        weight = self.weight[0] * self.scale
        x = x * s[:, :, None, None].to(x.dtype)
        if self.upsample:
            x = self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        else:
            x = F.conv2d(x, weight, padding=self.padding)
        energy = F.linear(s.square(), weight.square().sum((2, 3)))
        return x, torch.rsqrt(energy + _EPSILON)[:, :, None, None]

    def for_one(self, x: Tensor, style: Tensor, gain: float | Tensor, bias: Tensor) -> Tensor:
        """The same for a single image [1,n_in,H,W], times `gain`, plus `bias` [n_out]; no gradients.

        With one image the modulation, the demodulation and the gain all go into the weights: three passes
        over the activations fewer.
        """
        weight = self.weight[0] * (self.modulation(style)[0] * self.scale)[None, :, None, None]
        if self.demodulate:
            gain = gain * torch.rsqrt(weight.square().sum((1, 2, 3), keepdim=True) + _EPSILON)
        weight = weight * gain
        if not self.upsample:
            return F.conv2d(x, weight, bias, padding=self.padding)
        x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        return blur(x, self.blur.kernel, (1, 1), bias)


class Noise(nn.Module):
    """Learned strength of the fixed noise."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class Activate(nn.Module):
    """Learned bias before the scaled leaky ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))


class StyledConv(nn.Module):
    """Modulated convolution, noise, activation."""

    def __init__(self, n_in: int, n_out: int, style_dim: int, upsample: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(n_in, n_out, 3, style_dim, demodulate=True, upsample=upsample)
        self.noise = Noise()
        self.activate = Activate(n_out)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        """Map [B,n_in,H,W] to [B,n_out,...]; `noise` is [1,1,...] of the output's size."""
        if x.shape[0] == 1 and not torch.is_grad_enabled():
            x = self.conv.for_one(x, style, SQRT2, self.activate.bias * SQRT2)
            added = (noise * (self.noise.weight * SQRT2)).to(x.dtype)
            return F.leaky_relu_(x.add_(added), SLOPE)
        if not torch.is_grad_enabled():  # one pass for demodulation, noise, bias and gain
            x, norm = self.conv.unscaled(x, style)
            shift = (noise * self.noise.weight + self.activate.bias[:, None, None]) * SQRT2
            shift = shift.to(x.dtype, memory_format=torch.channels_last)
            return F.leaky_relu_(torch.addcmul(shift, x, (norm * SQRT2).to(x.dtype)), SLOPE)
        return scaled_leaky_relu(self.conv(x, style) + self.noise.weight * noise, self.activate.bias)


class SkipUpsample(nn.Module):
    """Doubles the running RGB image."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", binomial_kernel(4.0))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B,3,H,W] to [B,3,2H,2W]."""
        return upsample_rgb(x, self.kernel)


class ToRGB(nn.Module):
    """Adds one resolution's contribution to the running RGB image; not demodulated."""

    def __init__(self, n_in: int, style_dim: int, upsample: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(n_in, 3, 1, style_dim, demodulate=False, upsample=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        if upsample:
            self.upsample = SkipUpsample()

    def forward(self, x: Tensor, style: Tensor, skip: Tensor | None) -> Tensor:
        """Map features [B,n_in,H,W] and the image so far [B,3,H/2,W/2] to [B,3,H,W]."""
        if x.shape[0] == 1 and not torch.is_grad_enabled():
            rgb = self.conv.for_one(x, style, 1.0, self.bias.flatten())
        else:
            rgb = self.conv(x, style) + self.bias
        return rgb if skip is None else rgb + self.upsample(skip)


class PixelNorm(nn.Module):
    """Scales a vector to unit mean square."""

    def forward(self, x: Tensor) -> Tensor:
        """Map [B,n] to [B,n]."""
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + _EPSILON)


class ConstantInput(nn.Module):
    """The learned 4x4 start of every image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(normal(1, channels, 4, 4))


class Decoder(nn.Module):
    """StyleGAN2 synthesis, with its mapping network alongside."""

    def __init__(self, config: PSPConfig) -> None:
        super().__init__()
        widths, dim = config.decoder_channels, config.style_dim
        self.config = config
        self.style = nn.Sequential(PixelNorm(), *_mapping_layers(config))
        self.input = ConstantInput(widths[0])
        self.conv1 = StyledConv(widths[0], widths[0], dim)
        self.to_rgb1 = ToRGB(widths[0], dim, upsample=False)
        self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for n_in, n_out in itertools.pairwise(widths):
            self.convs.append(StyledConv(n_in, n_out, dim, upsample=True))
            self.convs.append(StyledConv(n_out, n_out, dim))
            self.to_rgbs.append(ToRGB(n_out, dim, upsample=True))
        self.noises = _noise_buffers(config)

    def mapping(self, z: Tensor) -> Tensor:
        """Map z [B,style_dim] to w [B,style_dim]; encoding never needs it."""
        return self.style(z)

    def forward(self, w_plus: Tensor, n_levels: int | None = None) -> Tensor:
        """Decode W+ [B,n_styles,style_dim] to [B,3,S,S].

        Args:
            w_plus: the styles.
            n_levels: stop after this many doublings of 4 px (training at a lower resolution first); an
                intermediate image is *not* the finished one made smaller, so an audit never sets it.
        """
        levels = len(self.to_rgbs) if n_levels is None else n_levels
        x = self.input.input.expand(w_plus.shape[0], -1, -1, -1)
        x = self.conv1(x, w_plus[:, 0], self.noises.noise_0)
        rgb = self.to_rgb1(x, w_plus[:, 1], None)
        for k in range(levels):
            first, second = self.convs[2 * k], self.convs[2 * k + 1]
            x = first(x, w_plus[:, 2 * k + 1], getattr(self.noises, f"noise_{2 * k + 1}"))
            x = second(x, w_plus[:, 2 * k + 2], getattr(self.noises, f"noise_{2 * k + 2}"))
            rgb = self.to_rgbs[k](x, w_plus[:, 2 * k + 3], rgb)
        return rgb


def _mapping_layers(config: PSPConfig) -> list[EqualLinear]:
    dim = config.style_dim
    return [EqualLinear(dim, dim, lr_mul=0.01, activate=True) for _ in range(config.n_mapping_layers)]


def _noise_buffers(config: PSPConfig) -> nn.Module:
    holder = nn.Module()
    for index in range(config.n_styles - 1):
        side = 2 ** ((index + 5) // 2)
        holder.register_buffer(f"noise_{index}", normal(1, 1, side, side))
    return holder
