"""What happens to an image before a network sees it, as a record that travels with the weights.

Enters: an RGB image of any size (uint8), a `Preprocessing`. Leaves: the network's input tensor.

Why two steps: `fit` (size; uint8 to uint8) runs once an image in the decoding threads, `normalise` (colour,
mean, std; float) runs once a batch on the device. Training, scoring and `Detector.score` all go through these
two, so a network never meets an image prepared in another way than the ones it learned from.

Why squash instead of crop: an image that is not square is resized to a square. Cropping would remove the chin
or the hair of some people and not of others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from detectors.errors import SidecarError

Colour = Literal["rgb", "bgr", "gray"]
Resize = Literal["bilinear", "bicubic", "nearest"]
Face = Literal["as is", "crop", "level"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance. Source: ITU-R BT.601, section 2.5.1."""
SIZES_PX = range(8, 2049)
"""Input sizes we accept; larger ones are surely a mistake or an attack on memory."""


@dataclass(frozen=True)
class Preprocessing:
    """How images are prepared for one network.

    Attributes:
        size_px: Height and width of the network's input.
        colour: Order of the three channels; "gray" is luminance, repeated where three channels are needed.
        channels: Channels the network takes: 3, or 1 with "gray".
        mean: Subtracted from each channel (values 0-1, in the order of `colour`).
        std: Divided by afterwards.
        resize: Interpolation, with antialiasing when shrinking.
        face: "as is" for images that are face crops already; "crop" cuts MTCNN's box; "level" also turns the
            eyes level (needs a face in every image: those without one are rows with that reason).
    """

    size_px: int = 224
    colour: Colour = "rgb"
    channels: int = 3
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    resize: Resize = "bilinear"
    face: Face = "as is"

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise SidecarError(f"preprocessing: {problem}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and for checkpoints."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Preprocessing:
        """Read what `as_dict` wrote, or the same keys from a sidecar.

        Raises:
            SidecarError: for an unknown key or an impossible value.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(record) - known)
        if unknown:
            raise SidecarError(
                f"preprocessing: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}"
            )
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}
        return cls(**values)


def _problem(p: Preprocessing) -> str | None:
    """The first impossible thing about a record, in words."""
    for name, allowed in (("colour", Colour), ("resize", Resize), ("face", Face)):
        if getattr(p, name) not in get_args(allowed):
            return f"{name} is {getattr(p, name)!r}; it must be one of {', '.join(get_args(allowed))}"
    if not isinstance(p.size_px, int) or p.size_px not in SIZES_PX:
        return f"size_px is {p.size_px!r}; it must be a whole number from {SIZES_PX[0]} to {SIZES_PX[-1]}"
    if p.channels not in (1, 3) or (p.channels == 1 and p.colour != "gray"):
        return f"channels is {p.channels!r} with colour {p.colour!r}; 3 is usual, 1 goes with 'gray' alone"
    for name in ("mean", "std"):
        value = getattr(p, name)
        if not isinstance(value, tuple) or len(value) != p.channels or not all(map(_is_number, value)):
            return f"{name} is {value!r}; it must be {p.channels} numbers"
    return None if min(p.std) > 0 else f"std is {p.std!r}; it must be above 0"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e4


def fit(image: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Resize one image, or a batch, to the network's input size.

    Args:
        image: [..., 3, H, W], uint8 in 0-255 or float in 0-1.
        preprocessing: The record of the network.

    Returns:
        [..., 3, size_px, size_px] of the same dtype; the input itself where it fits already.
    """
    size = (preprocessing.size_px, preprocessing.size_px)
    if image.shape[-2:] == size:
        return image
    batch = image if image.ndim == 4 else image[None]
    if preprocessing.resize == "nearest":
        resized = functional.interpolate(batch, size, mode="nearest")
    else:
        resized = functional.interpolate(
            batch, size, mode=preprocessing.resize, antialias=True, align_corners=False
        )
        resized = resized.clamp(0, 1) if resized.is_floating_point() else resized
    return resized if image.ndim == 4 else resized[0]


def normalise(batch: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Bring a batch to the colour order, mean and standard deviation of the network.

    Args:
        batch: [B, 3, H, W] float, RGB in 0-1.
        preprocessing: The record of the network.

    Returns:
        [B, channels, H, W] of the same dtype and device.
    """
    if preprocessing.colour == "gray":
        luma = batch.new_tensor(LUMA).view(1, 3, 1, 1)
        batch = (batch * luma).sum(1, keepdim=True).expand(-1, preprocessing.channels, -1, -1)
    elif preprocessing.colour == "bgr":
        batch = batch.flip(1)
    mean = batch.new_tensor(preprocessing.mean).view(1, -1, 1, 1)
    std = batch.new_tensor(preprocessing.std).view(1, -1, 1, 1)
    return (batch - mean) / std


def to_unit(image: Tensor) -> Tensor:
    """A uint8 image in 0-255 as float32 in 0-1; floats are returned unchanged."""
    return image if image.is_floating_point() else image.to(torch.float32).div_(255)
