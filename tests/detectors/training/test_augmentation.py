"""Augmentations keep size and type, follow their generator, and change what they say."""

import numpy as np
import pytest
import torch

from detectors.errors import TrainingError
from detectors.training.augmentation import AUGMENTATIONS, augment, check_augmentations


@pytest.fixture
def image(draw_image):
    return torch.from_numpy(draw_image(1, True, 64)).permute(2, 0, 1)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_same_generator_same_image_and_something_happens(name, image):
    made = [augment(image, [name], np.random.default_rng((0, 0, row))) for row in range(12)]
    again = [augment(image, [name], np.random.default_rng((0, 0, row))) for row in range(12)]
    assert all(torch.equal(a, b) for a, b in zip(made, again, strict=True))
    assert all(a.shape == image.shape and a.dtype == torch.uint8 for a in made)
    assert any(not torch.equal(a, image) for a in made)


def test_flip_mirrors(image):
    made = {augment(image, ["flip"], np.random.default_rng(row)).numpy().tobytes() for row in range(20)}
    assert made == {image.numpy().tobytes(), image.flip(-1).contiguous().numpy().tobytes()}


def test_rotation_leaves_no_black_corners():
    white = torch.full((3, 64, 64), 200, dtype=torch.uint8)
    for row in range(10):
        assert augment(white, ["rotate"], np.random.default_rng(row)).min() >= 199


def test_blur_takes_away_contrast(image):
    made = [augment(image, ["blur"], np.random.default_rng(row)).float().std() for row in range(20)]
    assert min(made) < image.float().std() * 0.98 and max(made) == image.float().std()


def test_unknown_names():
    with pytest.raises(TrainingError, match="no augmentation 'cutmix'; known are flip, rotate, jpeg, blur"):
        check_augmentations(["flip", "cutmix"])
