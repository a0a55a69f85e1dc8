"""Shrink any rectangles of many photos by area, all at once.

Photos and rectangles enter; crops of one size leave, equal to the last bit to torch's `mode="area"`.

Why a table of sums: a crop shrunk by area is, for each of its pixels, a mean over a rectangle of whole
pixels, and four corners of a table of prefix sums give any such sum (Crow 1984). All crops of all photos are
then one gather, whatever their sizes. The sums are integers, hence exact.

Why three colours fit in one integer: sums are linear, so red + 2^21 green + 2^42 blue can be summed as one
number, even where the table itself wraps around, and be taken apart afterwards as long as no rectangle's sum
reaches 2^21. `MAX_SIDE_PX` sees to that; it makes a third of the gathers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import Tensor, arange
from torch.nn import functional as F

MAX_SIDE_PX: Final = 1024
"""A photo of this side, shrunk to 12 px or more, has no pixel that is the sum of 2^21 / 255 pixels."""
_COLOUR_BITS: Final = 21


@dataclass(frozen=True)
class Bins:
    """Which pixels are averaged into each of S pixels, for M crops: from `start` up to `end`."""

    start: Tensor
    """int64 [M,S]."""
    end: Tensor
    """int64 [M,S], not included."""


class Sums:
    """Prefix sums over each of N photos, from which any rectangle's mean is four look-ups.

    Args:
        photos: uint8 [N,H,W,3], H and W at most `MAX_SIDE_PX`.
    """

    def __init__(self, photos: Tensor) -> None:
        self.n_photos, self.height, self.width = photos.shape[:3]
        red, green, blue = photos.unbind(-1)
        packed = blue.long()
        for colour in (green, red):
            packed <<= _COLOUR_BITS
            packed += colour
        self._table = F.pad(packed, (1, 0, 1, 0)).cumsum_(2).cumsum_(1).flatten()
        self._shifts = arange(3, device=photos.device) * _COLOUR_BITS

    def means(self, photos: Tensor, rows: Bins, columns: Bins) -> Tensor:
        """Photos or parts of them, shrunk by area and scaled as the networks want it.

        Args:
            photos: int64 [M], which photo each crop is cut from.
            rows: of each crop, [M,S] or, for all the same, [1,S].
            columns: likewise, [M,T].

        Returns:
            float32 [M,3,S,T] in [-1,1], channels last.
        """
        line = self.width + 1
        start = (photos[:, None] * (self.height + 1) + rows.start)[:, :, None] * line
        end = (photos[:, None] * (self.height + 1) + rows.end)[:, :, None] * line
        left, right = columns.start[:, None], columns.end[:, None]
        table = self._table
        packed = table.take(end + right) - table.take(end + left)
        packed -= table.take(start + right)
        packed += table.take(start + left)
        means = ((packed[..., None] >> self._shifts) & (2**_COLOUR_BITS - 1)).float()
        # Divided twice, as torch averages: the same rounding.
        means /= (rows.end - rows.start)[:, :, None, None]
        means /= (columns.end - columns.start)[:, None, :, None]
        return means.sub_(127.5).mul_(0.0078125).permute(0, 3, 1, 2)


def bins(length: Tensor, n: int) -> Bins:
    """Cut lengths into nearly equal, possibly overlapping bins, as adaptive average pooling does.

    Args:
        length: int64 [M].
        n: bins for each.
    """
    step = arange(n + 1, device=length.device) * length[:, None]
    return Bins(step[:, :-1] // n, (step[:, 1:] + n - 1) // n)
