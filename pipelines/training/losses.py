"""What the small generator is told about its errors.

Enters: real and fake images, float [B,3,H,W] in [-1,1]. Leaves: scalars.

Why local gradient energy beside the adversarial loss: pixel losses alone answer uncertainty with blur, and
a blurred fake is an easy fake. Matching the *amount* of local contrast (not its exact place) costs little
squared error and is what a discriminator would have to teach first.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Forward differences along x and y, [B,C,H,W-1] and [B,C,H-1,W]."""
    return x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]


def gradient_magnitude(x: Tensor) -> Tensor:
    """Length of the forward-difference gradient at each pixel, [B,C,H-1,W-1]."""
    dx, dy = gradients(x)
    return (dx[..., :-1, :].square() + dy[..., :, :-1].square() + 1e-6).sqrt()


def reconstruction_loss(fake: Tensor, real: Tensor) -> Tensor:
    """L1 + MSE + half the L1 of the gradients."""
    (fx, fy), (rx, ry) = gradients(fake), gradients(real)
    edges = (fx - rx).abs().mean() + (fy - ry).abs().mean()
    return (fake - real).abs().mean() + F.mse_loss(fake, real) + 0.5 * edges


def energy_loss(fake: Tensor, real: Tensor, window_px: int = 8) -> Tensor:
    """L1 between local means of the gradient magnitude, over half-overlapping windows."""
    stride = window_px // 2
    f = F.avg_pool2d(gradient_magnitude(fake), window_px, stride)
    r = F.avg_pool2d(gradient_magnitude(real), window_px, stride)
    return (f - r).abs().mean()


def hinge_for_discriminator(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """Hinge loss (Lim & Ye 2017)."""
    return F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean()


def psnr_db(fake: Tensor, real: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB, [B]; peak to peak is 2 for images in [-1,1]."""
    return 10 * torch.log10(4 / (fake.clamp(-1, 1) - real).square().mean((1, 2, 3)).clamp_min(1e-10))


def sharpness_ratio(fake: Tensor, real: Tensor) -> Tensor:
    """Mean gradient magnitude of the fakes over that of the reals, one number for the batch."""
    return gradient_magnitude(fake.clamp(-1, 1)).mean() / gradient_magnitude(real).mean()
