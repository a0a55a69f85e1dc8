"""The few arithmetic pieces that StyleGAN2 and the pSp encoder share.

Enters and leaves: float tensors. Nothing here needs a custom CUDA kernel: upfirdn2d and the fused leaky
ReLU of the reference are written with PyTorch's own convolutions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipelines.generators.compute import normal

SLOPE, SQRT2 = 0.2, math.sqrt(2.0)
"""Of StyleGAN2's activation: slope below zero, and gain."""


def scaled_leaky_relu(x: Tensor, bias: Tensor) -> Tensor:
    """StyleGAN2's activation: leaky ReLU of slope 0.2 on x + bias, times sqrt 2.

    Args:
        x: [B,C] or [B,C,H,W].
        bias: [C].

    Source: Karras et al. 2020 (arXiv 1912.04958), "fused leaky ReLU".
    """
    shaped = bias.view(1, -1, *[1] * (x.dim() - 2))
    return F.leaky_relu(x + shaped, SLOPE) * SQRT2


def binomial_kernel(gain: float) -> Tensor:
    """The 4x4 low-pass filter [1,3,3,1] x [1,3,3,1], its sum equal to `gain`. float32 [4,4]."""
    taps = (1.0, 3.0, 3.0, 1.0)
    return torch.tensor([[a * b * gain / 64 for b in taps] for a in taps])


def blur(x: Tensor, kernel: Tensor, pad: tuple[int, int], bias: Tensor | None = None) -> Tensor:
    """Filter every channel of [B,C,H,W] with a symmetric [4,4] kernel, zero-padded by (before, after).

    `bias` [C] is added to the result.
    """
    before, after = pad
    weight = kernel.to(x.dtype).expand(x.shape[1], 1, *kernel.shape)
    if before == after:
        return F.conv2d(x, weight, bias, padding=before, groups=x.shape[1])
    x = F.pad(x, (before, after, before, after))
    return F.conv2d(x, weight, bias, groups=x.shape[1])


def upsample_rgb(x: Tensor, kernel: Tensor) -> Tensor:
    """Double the side of [B,C,H,W]: zeros in between, zero border, low-pass filter of gain 4.

    Not a bilinear resize: at the borders the zero padding shows, and the trained skip connections expect it.
    """
    weight = kernel.to(x.dtype).expand(x.shape[1], 1, *kernel.shape)
    return F.conv_transpose2d(x, weight, stride=2, padding=1, groups=x.shape[1])


class EqualLinear(nn.Module):
    """Linear layer with the equalised learning rate of StyleGAN: weights are scaled at run time.

    Args:
        n_in: length of the input vectors.
        n_out: length of the output vectors.
        bias_init: initial bias.
        lr_mul: learning-rate multiplier; stored weights are divided by it.
        activate: apply `scaled_leaky_relu`.
    """

    def __init__(
        self, n_in: int, n_out: int, bias_init: float = 0.0, lr_mul: float = 1.0, activate: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(n_out, n_in, over=lr_mul))
        self.bias = nn.Parameter(torch.full((n_out,), bias_init / lr_mul))
        self.scale, self.lr_mul, self.activate = lr_mul / math.sqrt(n_in), lr_mul, activate

    def forward(self, x: Tensor) -> Tensor:
        """Map [B,n_in] to [B,n_out]."""
        if self.activate:
            return scaled_leaky_relu(F.linear(x, self.weight * self.scale), self.bias * self.lr_mul)
        return F.linear(x, self.weight * self.scale, self.bias * self.lr_mul)
