"""Networks that compare two clips: [B, 2, n_samples] float32, full scale -1 to 1, to logits or distances.

Why the spectrogram is the first layer: a checkpoint is then whole, and whoever loads it cannot prepare the
sound in another way. It is `torch.stft` alone; torchaudio is not needed.
Why each clip's spectrogram is freed of its own mean and spread: how loud somebody was recorded says nothing
of who it is. The mean over time of each frequency stays; it holds the length of the vocal tract.
Why torchvision is imported inside functions: see `detectors.models.architectures`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detectors.models.networks import NORM_MOMENTUM

FFT = 512
WINDOW, HOP = 400, 160
"""Samples: 25 and 10 ms at 16 kHz."""
FLOOR = 1e-6
"""Added to the power, so that digital silence has a logarithm: -60 dB."""
MARGIN = 1.0
"""Distance beyond which different speakers cost nothing; half of it parts same from different."""


class Spectrogram(nn.Module):
    """Log power by frequency and time: [B, C, n] to [B, C, 257, 1 + n // 160], mean 0 and spread 1 a clip."""

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    def forward(self, batch: Tensor) -> Tensor:
        """The spectrograms of every clip; in float32, whatever the precision around it."""
        with torch.autocast(batch.device.type, enabled=False):
            flat = batch.float().flatten(0, 1)
            found = torch.stft(flat, FFT, HOP, WINDOW, self.window.float(), return_complex=True)
            power = (found.abs().square() + FLOOR).log()
            centred = power - power.mean((1, 2), keepdim=True)
            scaled = centred / (centred.std((1, 2), keepdim=True) + 1e-3)
            return scaled.unflatten(0, batch.shape[:2])


def alexnet_pair() -> nn.Module:
    """AlexNet on the two spectrograms stacked as channels: [B, 2, n] to [B, 2] logits, class 1 = same.

    The first convolution takes two channels instead of three, and there are two classes.
    """
    from torchvision.models import alexnet

    network = alexnet(weights=None, num_classes=2)
    network.features[0] = nn.Conv2d(2, 64, kernel_size=11, stride=4, padding=2)
    return nn.Sequential(Spectrogram(), network)


def resnet_pair() -> nn.Module:
    """A ResNet of four blocks on the two spectrograms stacked as channels: [B, 2, n] to [B, 2] logits."""
    from torchvision.models.resnet import BasicBlock, ResNet

    network = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=2)
    network.conv1 = nn.Conv2d(2, 64, kernel_size=7, stride=2, padding=3, bias=False)
    return nn.Sequential(Spectrogram(), network)


class Embedding(nn.Module):
    """One clip's spectrogram to a vector of length 1: [B, 257, T] to [B, n_out].

    Convolutions over time with the frequencies as channels, then mean and spread over time, as in x-vectors.
    Source: Snyder et al., "X-vectors", ICASSP 2018.
    """

    def __init__(self, width: int = 192, n_out: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, kernel, dilation in ((FFT // 2 + 1, 5, 1), (width, 3, 2), (width, 3, 3), (width, 1, 1)):
            layers += [
                nn.Conv1d(n_in, width, kernel, dilation=dilation, bias=False),
                nn.BatchNorm1d(width, momentum=NORM_MOMENTUM),
                nn.ReLU(inplace=True),
            ]
        self.frames = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.BatchNorm1d(2 * width, momentum=NORM_MOMENTUM), nn.Linear(2 * width, n_out)
        )

    def forward(self, spectrogram: Tensor) -> Tensor:
        """The vector of each clip."""
        frames = self.frames(spectrogram)
        pooled = torch.cat([frames.mean(2), frames.std(2)], 1)
        return nn.functional.normalize(self.head(pooled).float(), dim=1)


class Siamese(nn.Module):
    """One embedding for both clips, and how far apart they are: [B, 2, n] to [B, 1] in 0-2."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrogram, self.embedding = Spectrogram(), Embedding()

    def forward(self, batch: Tensor) -> Tensor:
        """The distance of the two vectors."""
        spectrograms = self.spectrogram(batch)
        vectors = self.embedding(spectrograms.flatten(0, 1)).unflatten(0, batch.shape[:2])
        return (vectors[:, 0] - vectors[:, 1]).square().sum(1, keepdim=True).add(1e-9).sqrt()
