"""Rectangles are shrunk as torch shrinks them."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pipelines.faces.area_resampling import MAX_SIDE_PX, Sums, bins


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([5, 24, 48]))
def test_any_rectangle_is_shrunk_bit_by_bit_as_torch_shrinks_by_area(seed, size_px):
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(1, 90, 2))
    photos = torch.from_numpy(rng.integers(0, 256, (3, height, width, 3), dtype=np.uint8))
    top, left = int(rng.integers(height)), int(rng.integers(width))
    bottom, right = int(rng.integers(top, height)) + 1, int(rng.integers(left, width)) + 1
    rows, columns = (bins(torch.tensor([n]), size_px) for n in (bottom - top, right - left))
    for each, start in ((rows, top), (columns, left)):
        each.start.add_(start)
        each.end.add_(start)
    ours = Sums(photos).means(torch.tensor([2]), rows, columns)
    part = photos[2:, top:bottom, left:right].permute(0, 3, 1, 2).float()
    theirs = (F.interpolate(part, size=(size_px, size_px), mode="area") - 127.5) * 0.0078125
    assert torch.equal(ours, theirs)


def test_the_largest_sum_of_the_largest_photo_fits():
    """White throughout; a pyramid's last level is 12 px high, and colours must not spill over."""
    side = MAX_SIDE_PX
    photos = torch.full((1, side, side, 3), 255, dtype=torch.uint8)
    whole = bins(torch.tensor([side]), 12)
    assert torch.equal(
        Sums(photos).means(torch.tensor([0]), whole, whole), torch.full((1, 3, 12, 12), 0.99609375)
    )
