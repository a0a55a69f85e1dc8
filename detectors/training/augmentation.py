"""Small random changes to training images, so that a network learns forgeries and not files.

Enters: a uint8 image and a random generator that belongs to this image in this epoch. Leaves: a uint8 image
of the same size.

Why the generator comes from (seed, epoch, row): the change of an image then does not depend on the order or
the number of loading workers, and an interrupted training continues with the images it would have seen.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from detectors.errors import TrainingError

MAX_DEGREES = 10.0
JPEG_QUALITY = (60, 96)
BLUR_SIGMA_PX = (0.2, 1.5)
_BORDER = 0.2
"""Share of the size mirrored outside before turning: corners stay face-like instead of black."""


def flip(image: Tensor, random: np.random.Generator) -> Tensor:
    """Mirror left and right, half of the time."""
    return image.flip(-1) if random.random() < 0.5 else image


def rotate(image: Tensor, random: np.random.Generator) -> Tensor:
    """Turn by up to 10 degrees either way, corners filled by mirroring."""
    from torchvision.transforms.v2 import functional as tv

    size = list(image.shape[-2:])
    degrees = random.uniform(-MAX_DEGREES, MAX_DEGREES)
    padded = tv.pad(image, [int(_BORDER * max(size))], padding_mode="reflect")
    turned = tv.rotate(padded, degrees, interpolation=tv.InterpolationMode.BILINEAR)
    return tv.center_crop(turned, size)


def jpeg(image: Tensor, random: np.random.Generator) -> Tensor:
    """Compress as JPEG of quality 60 to 95, half of the time."""
    if random.random() < 0.5:
        return image
    buffer = io.BytesIO()
    pixels = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    pixels.save(buffer, "JPEG", quality=int(random.integers(*JPEG_QUALITY)))
    return torch.from_numpy(np.array(Image.open(buffer, formats=["JPEG"]))).permute(2, 0, 1)


def blur(image: Tensor, random: np.random.Generator) -> Tensor:
    """Gaussian blur of 0.2 to 1.5 px, half of the time."""
    if random.random() < 0.5:
        return image
    from torchvision.transforms.v2 import functional as tv

    sigma = random.uniform(*BLUR_SIGMA_PX)
    return tv.gaussian_blur(image, [7, 7], [sigma, sigma])


AUGMENTATIONS: dict[str, Callable[[Tensor, np.random.Generator], Tensor]] = {
    "flip": flip,
    "rotate": rotate,
    "jpeg": jpeg,
    "blur": blur,
}


def check_augmentations(names: Sequence[str]) -> None:
    """Raise TrainingError for a name that is not in `AUGMENTATIONS`."""
    for name in names:
        if name not in AUGMENTATIONS:
            raise TrainingError(f"no augmentation {name!r}; known are {', '.join(AUGMENTATIONS)}")


def augment(image: Tensor, names: Sequence[str], random: np.random.Generator) -> Tensor:
    """Apply the named changes in their given order to a uint8 image [3, H, W]."""
    for name in names:
        image = AUGMENTATIONS[name](image, random)
    return image
