"""Cutting faces out of photos."""

import numpy as np
import pytest
import torch

from detectors.data.face_crops import box_crop, framed
from detectors.data.image_batches import Unreadable, read_fitted
from detectors.data.preprocessing import Preprocessing
from pipelines.sources.photos import read_photo


def test_box_crop_is_square_centred_and_mirrored_at_the_edge():
    pixels = np.arange(100 * 80 * 3, dtype=np.uint8).reshape(100, 80, 3)
    inside = box_crop(pixels, (30, 40, 50, 60))
    assert inside.shape == (26, 26, 3)
    np.testing.assert_array_equal(inside, pixels[37:63, 27:53])
    over = box_crop(pixels, (-5, 0, 15, 20))
    assert over.shape == (26, 26, 3)
    np.testing.assert_array_equal(over[3:, 8:], pixels[:23, :18])
    np.testing.assert_array_equal(over[:, 7], over[:, 8])


@pytest.mark.parametrize("face", ["crop", "level"])
def test_real_photos(fairface_dir, face):
    path = sorted((fairface_dir / "val").glob("*.jpg"))[0]
    found = read_fitted(path, [Preprocessing(64), Preprocessing(64, face=face)])
    assert not isinstance(found, Unreadable)
    whole, cut = found
    assert whole.shape == cut.shape == (3, 64, 64) and cut.dtype == torch.uint8
    assert not torch.equal(whole, cut)


def test_as_is_is_untouched(fairface_dir):
    pixels = read_photo(sorted((fairface_dir / "val").glob("*.jpg"))[1]).pixels
    assert framed(pixels, Preprocessing(64), None) is pixels
