"""The networks we define ourselves; all others come from torchvision or timm.

Enters: [B, 3, H, W] float32, normalised. Leaves: [B, n_classes] logits, class 0 being real.

Why simplenet looks as it does: what gives a generated face away is mostly fine texture, so its first layer
works at full resolution with few channels, and it pools over the whole image only at the end: no layer
depends on the input's size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NORM_MOMENTUM = 0.3
"""Share of the newest batch in batch norm's running statistics. With torch's 0.1 they lag behind for the
first fifty steps: in a short training on a small set, several epochs of chance accuracy."""


def conv_block(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU: the unit simplenet and vgg10 are built of."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(n_out, momentum=NORM_MOMENTUM),
        nn.ReLU(inplace=True),
    )


def simplenet(n_classes: int) -> nn.Module:
    """Six convolutions, 0.3 M parameters: learns in under a minute on a laptop's CPU."""
    return nn.Sequential(
        conv_block(3, 16),
        conv_block(16, 32, stride=2),
        conv_block(32, 64, stride=2),
        conv_block(64, 64),
        conv_block(64, 128, stride=2),
        conv_block(128, 128),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(128, n_classes),
    )


def baseline_cnn(n_classes: int) -> nn.Module:
    """Three convolutions with max pooling, dropout, one hidden layer: the baseline of many papers."""
    layers: list[nn.Module] = []
    for n_in, n_out in ((3, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    head = [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.5), nn.Linear(128 * 16, 128)]
    return nn.Sequential(*layers, *head, nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(128, n_classes))


def vgg10(n_classes: int) -> nn.Module:
    """Eight convolutions in four blocks with batch norm, then two fully connected layers."""
    layers: list[nn.Module] = []
    for n_in, n_out in ((3, 64), (64, 128), (128, 256), (256, 512)):
        layers += [conv_block(n_in, n_out), conv_block(n_out, n_out), nn.MaxPool2d(2)]
    head = [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512 * 16, 512), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, *head, nn.Dropout(0.5), nn.Linear(512, n_classes))


class PowerSpectrum(nn.Module):
    """Log power of an image by spatial frequency: [B, C, S, S] to [B, C * N_BINS], whatever S is.

    Each channel is freed of its mean, tapered by a Hann window and Fourier transformed; the log of its
    power is averaged over directions in `N_BINS` rings from 0 to half a cycle a pixel. Upsampling in a
    generator, and blending, leave too much or too little power at high frequencies. Source: Durall, Keuper
    and Keuper, "Watch your Up-Convolution", CVPR 2020, section 3.1.
    """

    N_BINS = 64
    FLOOR = 1e-6
    """Added to the power, so that a plain image has a logarithm."""

    def forward(self, batch: Tensor) -> Tensor:
        """The rings' mean log power."""
        height, width = batch.shape[-2:]
        window = torch.outer(*(torch.hann_window(n, device=batch.device) for n in (height, width)))
        flat = (batch - batch.mean((-2, -1), keepdim=True)) * window
        power = torch.fft.rfft2(flat.float(), norm="ortho").abs().square()
        rings = _rings(height, width, self.N_BINS, batch.device)
        return ((power + self.FLOOR).log().flatten(2) @ rings).flatten(1)


def _rings(height: int, width: int, n_bins: int, device: torch.device) -> Tensor:
    """Weights that average the half plane of `rfft2` over each ring: [H * (W // 2 + 1), n_bins]."""
    rows = torch.fft.fftfreq(height, device=device)
    columns = torch.fft.rfftfreq(width, device=device)
    radius = (rows[:, None].square() + columns[None, :].square()).sqrt().flatten()
    edges = torch.arange(n_bins, device=device) * (0.5 / n_bins)
    inside = (radius[:, None] >= edges) & (radius[:, None] < edges + 0.5 / n_bins)
    return inside.float() / inside.sum(0).clamp(min=1)


def spectrum(n_classes: int) -> nn.Module:
    """The power spectrum and one hidden layer, 7,000 parameters: learns in seconds what frequencies betray.

    It sees no face at all, so what it finds tells of the generator and not of the person. Shrinking an image
    removes what it looks at: train and use it at the size of the images.
    """
    n_in = 3 * PowerSpectrum.N_BINS
    return nn.Sequential(
        PowerSpectrum(),
        nn.BatchNorm1d(n_in, momentum=NORM_MOMENTUM),
        nn.Linear(n_in, 32),
        nn.ReLU(inplace=True),
        nn.Dropout(0.2),
        nn.Linear(32, n_classes),
    )


class HighPass(nn.Module):
    """Six fixed high-pass filters on each channel, clipped: [B, 3, H, W] in -1 to 1 to [B, 18, H, W].

    They leave what neighbours do not predict of a pixel, in grey levels, and hold it within `CLIP`: edges of
    the picture no longer drown the faint traces of resampling, blending and upsampling. Source: filters of
    Fridrich & Kodovsky, "Rich models for steganalysis of digital images", IEEE TIFS 2012, in front of a
    network as in Zhou et al., "Learning rich features for image manipulation detection", CVPR 2018; clipping
    as in Ye, Ni & Yi, IEEE TIFS 2017.
    """

    CLIP = 4.0
    """Grey levels."""
    LEVELS = 127.5
    """Grey levels in one unit of the input."""

    def __init__(self) -> None:
        super().__init__()
        kernels = torch.zeros(6, 5, 5)
        kernels[0] = (
            torch.tensor(
                [
                    [-1, 2, -2, 2, -1],
                    [2, -6, 8, -6, 2],
                    [-2, 8, -12, 8, -2],
                    [2, -6, 8, -6, 2],
                    [-1, 2, -2, 2, -1],
                ]
            )
            / 12
        )
        kernels[1, 1:4, 1:4] = torch.tensor([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]]) / 4
        kernels[2, 2, 1:4] = torch.tensor([1, -2, 1]) / 2
        kernels[4, 2, 0:4] = torch.tensor([1, -3, 3, -1]) / 3
        kernels[3], kernels[5] = kernels[2].T, kernels[4].T
        self.register_buffer("kernels", kernels.repeat(3, 1, 1)[:, None], persistent=False)
        self.kernels: Tensor

    def forward(self, batch: Tensor) -> Tensor:
        """Clipped residuals, about -1 to 1."""
        residual = nn.functional.conv2d(batch * self.LEVELS, self.kernels, groups=3)
        return residual.clamp(-self.CLIP, self.CLIP) / self.CLIP


def srm_cnn(n_classes: int) -> nn.Module:
    """Fixed high-pass filters, four convolutions, the mean over places: 21,000 parameters.

    A convolutional network for traces that a mere photo network does not find in minutes. As with `spectrum`,
    shrinking an image removes what it looks at.
    """
    return nn.Sequential(
        HighPass(),
        conv_block(18, 16, stride=2),
        conv_block(16, 32, stride=2),
        conv_block(32, 32, stride=2),
        conv_block(32, 32),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, n_classes),
    )


class XceptionWithHead(nn.Module):
    """Xception's 1000 ImageNet outputs followed by a head 1000-256-64-n_classes.

    Source: the head of the widely used fake-face classifier on Xception; 22,855,952 parameters of Xception
    plus 272,834 of the head with two classes.
    """

    def __init__(self, xception: nn.Module, n_classes: int) -> None:
        super().__init__()
        self.xception = xception
        self.head = nn.Sequential(
            nn.Linear(1000, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, n_classes)
        )

    def forward(self, batch: Tensor) -> Tensor:
        """[B, 3, H, W] to [B, n_classes] logits."""
        return self.head(self.xception(batch))
