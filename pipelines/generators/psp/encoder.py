"""The pSp encoder: a face crop to one style vector for each layer of the generator.

Enters: float [B,3,N,N] in [-1,1], N the configured input size. Leaves: codes [B,n_styles,style_dim], to
which the checkpoint's average latent is still to be added.

An IR-SE backbone (ArcFace's) gives features at three depths; a feature pyramid joins them; a small
convolutional head for each style reads the pyramid (Richardson et al. 2021, figure 2). Attribute names
follow the official checkpoint's keys.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipelines.generators.psp.config import PSPConfig
from pipelines.generators.psp.ops import EqualLinear

N_COARSE, N_MIDDLE = 3, 4
"""Styles 0-2 are read from the deepest features, 3-6 from the middle ones, the rest from the finest."""
_HEAD_SLOPE = 0.01
"""Leaky ReLU of the heads (PyTorch's default); the decoder's is 0.2."""


class SqueezeExcite(nn.Module):
    """Channel gate (Hu et al. 2018)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, max(channels // reduction, 1), 1, bias=False)
        self.fc2 = nn.Conv2d(max(channels // reduction, 1), channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel of [B,C,H,W] by a number in 0-1 read from all of them."""
        gate = self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class ResidualUnit(nn.Module):
    """One IR-SE unit: BN, conv, PReLU, strided conv, BN, gate; plus a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        if n_in == n_out:
            self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(n_in),
            nn.Conv2d(n_in, n_out, 3, 1, 1, bias=False),
            nn.PReLU(n_out),
            nn.Conv2d(n_out, n_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_out),
            SqueezeExcite(n_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [B,n_in,H,W] to [B,n_out,H/stride,W/stride]."""
        return self.res_layer(x) + self.shortcut_layer(x)


class StyleHead(nn.Module):
    """Strided convolutions from a feature map down to one style vector."""

    def __init__(self, n_in: int, style_dim: int, side_px: int) -> None:
        super().__init__()
        widths = [n_in] + [style_dim] * int(math.log2(side_px))
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [nn.Conv2d(a, b, 3, 2, 1), nn.LeakyReLU(_HEAD_SLOPE)]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(style_dim, style_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B,C,side,side] to [B,style_dim]."""
        return self.linear(self.convs(x).flatten(1))


class Encoder(nn.Module):
    """GradualStyleEncoder: backbone, feature pyramid, style heads."""

    def __init__(self, config: PSPConfig) -> None:
        super().__init__()
        stem, _c1, c2, c3, c4 = config.encoder_channels
        self.config = config
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem), nn.PReLU(stem)
        )
        self.body = nn.Sequential(*_units(config))
        ends = [sum(config.encoder_units[: k + 1]) - 1 for k in (1, 2, 3)]
        self.fine_end, self.middle_end, self.coarse_end = ends
        self.styles = nn.ModuleList(StyleHead(c4, config.style_dim, side) for side in _head_sides(config))
        self.groups = nn.ModuleList()  # filled by `fuse.group_heads`, for speed
        self.latlayer1 = nn.Conv2d(c3, c4, 1)
        self.latlayer2 = nn.Conv2d(c2, c4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Encode [B,3,N,N] in [-1,1] to [B,n_styles,style_dim].

        Raises:
            ValueError: the images are not N x N. (The heads flatten what is left of the map: another size
                would silently become extra batch rows in the reference, and wrong codes.)
        """
        side = self.config.input_size_px
        if tuple(x.shape[1:]) != (3, side, side):
            raise ValueError(f"the encoder takes [B,3,{side},{side}], got {list(x.shape)}; resize first")
        fine, middle, coarse = self._features(self.input_layer(x))
        p2 = _upsampled(coarse, middle) + self.latlayer1(middle)
        p1 = _upsampled(p2, fine) + self.latlayer2(fine)
        maps = (coarse, p2, p1)
        if self.groups:
            return torch.cat([group(x) for group, x in zip(self.groups, maps, strict=True)], dim=1)
        return torch.stack([head(maps[self.map_of(i)]) for i, head in enumerate(self.styles)], dim=1)

    def _features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        kept = {}
        for index, unit in enumerate(self.body):
            x = unit(x)
            if index in (self.fine_end, self.middle_end):
                kept[index] = x
        return kept[self.fine_end], kept[self.middle_end], x

    @staticmethod
    def map_of(index: int) -> int:
        """Which feature map a style is read from: 0 coarse, 1 middle, 2 fine."""
        return (index >= N_COARSE) + (index >= N_COARSE + N_MIDDLE)


def _units(config: PSPConfig) -> Iterator[ResidualUnit]:
    n_in = config.encoder_channels[0]
    for n_out, n_units in zip(config.encoder_channels[1:], config.encoder_units, strict=True):
        for index in range(n_units):
            yield ResidualUnit(n_in, n_out, stride=2 if index == 0 else 1)
            n_in = n_out


def _head_sides(config: PSPConfig) -> list[int]:
    coarse, middle, fine = config.feature_sizes_px
    n_fine = config.n_styles - N_COARSE - N_MIDDLE
    return [coarse] * N_COARSE + [middle] * N_MIDDLE + [fine] * n_fine


def _upsampled(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)
