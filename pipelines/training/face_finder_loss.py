"""What a face finder reads in a fake and in its photo, compared.

Enters: fakes and photos, float [B,3,S,S] in [-1,1]. Leaves: a scalar, 0 where the three networks of MTCNN
(`pipelines.faces.mtcnn`) answer the same about both.

Each network is asked about the places where it, or the one before it, took the photo for a face: the first
about all levels of the pyramid, the second and third about the photo's candidates, cut out of both images
alike. Compared are the evidence for a face (difference of the two logits) and the features it is read from,
which the box and the landmarks are read from, too. Evidence missing in the fake counts four times as much
as evidence added: a face must not be lost. Faces that nobody doubts count less: errors are taken relative to
the photo's evidence.

Why not the mere sum over candidates: a clear face has dozens, a turned one has one. Every photo counts alike.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from facenet_pytorch import MTCNN
from PIL import Image
from torch import Tensor, nn

from pipelines.faces.align import smallest_face_px
from pipelines.faces.area_resampling import Bins, Sums
from pipelines.faces.mtcnn import CELL_PX, FINAL_PX, REFINED_PX, Candidates, Mtcnn, asked, pyramid_of

_HEADS: Final = ("conv4_1", "dense5_1", "dense6_1")
"""Of the three networks: the layer that tells faces from all else."""
_LEAST_PROBABILITY: Final = 0.3
"""Of a face in the photo, for a place or candidate to be compared."""
_LEAST_SHARE: Final = 0.35
"""Side of a face, as a share of the crop's, for it to be compared: a tight crop shows one large face."""
_MOST: Final = 6
"""Candidates of a photo that the second and the third network compare, the surest first."""
_AT_ONCE: Final = 64
_TINY: Final = 1e-6


class FaceFinderLoss(nn.Module):
    """The comparison; its networks are frozen.

    Args:
        device: torch device.
    """

    def __init__(self, device: str | torch.device = "cpu") -> None:
        super().__init__()
        self._device = torch.device(device)
        nets = MTCNN().eval().requires_grad_(False).to(self._device)
        self.first, self.second, self.third = nets.pnet, nets.rnet, nets.onet
        self._cascade = Mtcnn(self._device)

    def forward(self, fakes: Tensor, photos: Tensor) -> Tensor:
        """Compare fakes with their photos, both [B,3,S,S]; the gradient reaches the fakes alone."""
        height, width = photos.shape[-2:]
        smallest, pixels = smallest_face_px(height, width), bytes_of(photos)
        wanted, given = Sums(torch.from_numpy(pixels).to(self._device)), Means(fakes)
        large = _LEAST_SHARE * min(height, width)
        levels = [
            level
            for level in pyramid_of(height, width, smallest, self._device).levels
            if CELL_PX * height / level[0].start.shape[1] >= large
        ]
        total = self._on_levels(given, wanted, levels)
        candidates = self._cascade.candidates(pixels, smallest)
        for net, squares, side_px in zip(
            (self.second, self.third), candidates, (REFINED_PX, FINAL_PX), strict=True
        ):
            big = squares[(squares.boxes[:, 2] - squares.boxes[:, 0] >= large).nonzero()[:, 0]]
            if len(big.boxes):
                total = total + _on_squares(net, given, wanted, big, side_px)
        return total

    def _on_levels(self, given: Means, wanted: Sums, levels: list[tuple[Bins, Bins]]) -> Tensor:
        """The first network's answers."""
        photos = torch.arange(wanted.n_photos, device=self._device)
        parts = []
        for rows, columns in levels:
            with torch.no_grad():
                right = read(self.first, wanted.means(photos, rows, columns))
            parts.append(compared(read(self.first, given.means(photos, rows, columns)), right))
        errors, weights = (torch.cat([part[i].flatten(1) for part in parts], 1) for i in (0, 1))
        return ((errors * weights).sum(1) / weights.sum(1).clamp_min(_TINY)).mean()


def _on_squares(net: nn.Module, given: Means, wanted: Sums, squares: Candidates, side_px: int) -> Tensor:
    """A later network's answers about candidates."""
    with torch.no_grad():
        right, inside = asked(lambda x: read(net, x), wanted, squares, side_px, _AT_ONCE)
        kept = (inside & (right[1].sigmoid() >= _LEAST_PROBABILITY)).nonzero()[:, 0]
        kept = kept[_first_of_each(squares.photos[kept], _MOST)]
    if not len(kept):
        return given.nothing
    left, _ = asked(lambda x: read(net, x), given, squares[kept], side_px, _AT_ONCE)
    errors, weights = compared(left, [r[kept] for r in right])
    photos, none = squares.photos[kept], errors.new_zeros(wanted.n_photos)
    total = none.index_add(0, photos, errors * weights)
    return (total / none.index_add(0, photos, weights).clamp_min(_TINY)).mean()


class Means:
    """Images whose parts can be shrunk by area, with a gradient (see `area_resampling.Sums`).

    Args:
        images: float [N,3,H,W] in [-1,1].
    """

    def __init__(self, images: Tensor) -> None:
        self._images = images.float() * (127.5 / 128)
        self.n_photos, (self.height, self.width) = len(images), images.shape[-2:]
        self.nothing = images.sum() * 0

    def means(self, photos: Tensor, rows: Bins, columns: Bins) -> Tensor:
        """As `Sums.means`: float32 [M,3,S,T]."""
        down, across = _averaging(rows, self.height), _averaging(columns, self.width)
        if len(down) == 1:
            return down @ self._images[photos] @ across.mT
        made = self._images.new_zeros(len(photos), 3, down.shape[1], across.shape[1])
        for photo in photos.unique().tolist():  # no copy of a photo for each of its parts
            (which,) = (photos == photo).nonzero(as_tuple=True)
            made = made.index_copy(0, which, down[which, None] @ self._images[photo] @ across[which, None].mT)
        return made


def read(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """What a network of MTCNN makes of images: features [M,C,...], and the evidence for a face [M,...]."""
    for name, part in net.named_children():
        if name in _HEADS:
            logits = part(x)
            return x, logits[:, 1] - logits[:, 0]
        if isinstance(part, nn.Linear) and x.dim() > 2:
            x = x.permute(0, 3, 2, 1).flatten(1)
        x = part(x)
    raise ValueError("this is none of MTCNN's networks")


def compared(fake: Sequence[Tensor], photo: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Error of each place, and its weight, from what `read` gives for the fake and for the photo."""
    (features, evidence), (right, wanted) = fake, photo
    missing = (wanted - evidence) / (1 + wanted.abs())
    in_evidence = nn.functional.huber_loss(missing, torch.zeros_like(missing), reduction="none", delta=0.1)
    in_features = (features - right).square().mean(1) / right.square().mean(1).clamp_min(_TINY)
    probability = wanted.sigmoid()
    weight = torch.where(probability >= _LEAST_PROBABILITY, probability, 0.0)
    return 10 * in_evidence * torch.where(missing > 0, 4.0, 1.0) + in_features, weight


def as_jpeg(images: Tensor, qualities: Sequence[int | None]) -> Tensor:
    """Images [B,3,S,S] in [-1,1] as they come out of a JPEG file; None: out of a PNG.

    The gradient passes as if nothing had been done.
    """
    made = [_decoded(image, quality) for image, quality in zip(bytes_of(images), qualities, strict=True)]
    stored = torch.from_numpy(np.stack(made)).to(images.device).permute(0, 3, 1, 2).float() / 127.5 - 1
    return images + (stored - images).detach()


def bytes_of(images: Tensor) -> np.ndarray:
    """Images [B,3,S,S] in [-1,1] as uint8 [B,S,S,3]."""
    levels = ((images.detach().float() + 1) * 127.5).round().clamp(0, 255)
    return np.ascontiguousarray(levels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())


def _decoded(image: np.ndarray, quality: int | None) -> np.ndarray:
    if quality is None:
        return image
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file, formats=["JPEG"]))


def _averaging(parts: Bins, length: int) -> Tensor:
    """Matrices [M,S,length] that average an axis over bins."""
    place = torch.arange(length, device=parts.start.device)
    inside = (place >= parts.start[..., None]) & (place < parts.end[..., None])
    return inside / (parts.end - parts.start)[..., None]


def _first_of_each(photos: Tensor, n: int) -> Tensor:
    """Places of the first `n` of each photo."""
    earlier = (photos[:, None] == photos).tril(-1).sum(1)
    return (earlier < n).nonzero()[:, 0]
