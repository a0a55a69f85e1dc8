"""The adversary of the small generator: is this patch of a face photographed or generated?

Enters: float [B,3,256,256] in [-1,1]. Leaves: a map of scores (higher: photographed) and its feature maps.
Only training uses it; it is not the detector that an audit judges, and it is not kept.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Strided convolutions under spectral normalisation (Isola et al. 2017, Miyato et al. 2018)."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 160)) -> None:
        super().__init__()
        channels = (3, *widths)
        self.stages = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, 2, 1)) for a, b in itertools.pairwise(channels)
        )
        self.score = spectral_norm(nn.Conv2d(widths[-1], 1, 3, 1, 1))
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores [B,1,16,16] and the features of every stage."""
        features = []
        for stage in self.stages:
            x = self.activation(stage(x))
            features.append(x)
        return self.score(x), features
