"""What happens to an image on its way to a detector: re-saving, resizing, blur, noise, light, damage.

Enters: uint8 [H, W, 3] pixels, a severity, a random generator. Leaves: uint8 [H, W, 3] pixels of the same
size.

Why lengths are shares of the picture's shorter side: a blur of two pixels ruins a 64 px face and is invisible
on one of 1,000 px, and a block of 16 px vanishes where images are reduced to 8. Pairs and crops are cut
around the face, so that side stands for the face.
Why contrast is changed around the mean: around mid-grey it would darken dark pictures as well, and a group
whose photos are darker would be stressed more.
Why JPEG and WebP are the real codecs (through Pillow) and not an imitation: detectors react to their blocks.
Why severities differ in steps that a person sees: 1 is hard to notice, 3 is what a platform does, 5 is poor
but still a face.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Pixels = npt.NDArray[np.uint8]
Transformation = Callable[[Pixels, float, np.random.Generator], Pixels]

SEVERITIES = (1, 2, 3, 4, 5)
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""ITU-R BT.601."""
SMALLEST_PX = 16
"""Shorter side under which an image is too small to be transformed."""


@dataclass(frozen=True)
class Kind:
    """One kind of transformation at five severities.

    Attributes:
        name: As on the command line.
        label: For readers.
        unit: What a level is, for readers.
        levels: One value a severity, mildest first.
        apply: The transformation.
    """

    name: str
    label: str
    unit: str
    levels: tuple[float, float, float, float, float]
    apply: Transformation


def transform(pixels: Pixels, name: str, severity: int, seed: int, image_id: str) -> Pixels:
    """Transform an image; equal seed, image_id, name and severity give equal bytes.

    Args:
        pixels: uint8 [H, W, 3].
        name: A key of `TRANSFORMATIONS`.
        severity: 1 (mild) to 5 (strong).
        seed: Of all random choices.
        image_id: What both halves of a pair share, so that both are treated alike.

    Returns:
        uint8 [H, W, 3], of the same size.

    Raises:
        ValueError: If the shorter side is under `SMALLEST_PX`.
    """
    if min(pixels.shape[:2]) < SMALLEST_PX:
        raise ValueError(f"{pixels.shape[1]} x {pixels.shape[0]} px is too small to be transformed")
    kind = TRANSFORMATIONS[name]
    digest = hashlib.sha256(f"{seed}\n{name}\n{image_id}".encode("utf-8", "surrogatepass")).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    return kind.apply(pixels, kind.levels[severity - 1], rng)


def _encoded(pixels: Pixels, quality: float, codec: str) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, codec, quality=round(quality))
    with Image.open(file, formats=[codec]) as image:
        return np.asarray(image.convert("RGB"))


def _jpeg(pixels: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    return _encoded(pixels, quality, "JPEG")


def _webp(pixels: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    return _encoded(pixels, quality, "WEBP")


def _resized(pixels: Pixels, factor: float, back: Image.Resampling = Image.Resampling.BICUBIC) -> Pixels:
    image = Image.fromarray(pixels)
    smaller = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return np.asarray(image.resize(smaller, Image.Resampling.LANCZOS).resize(image.size, back))


def _downscale(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    return _resized(pixels, factor)


def _gaussian_blur(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    sigma_px = share * min(pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma_px)))


def _motion_blur(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """The mean along a straight line of this length, in a random direction; edges are repeated."""
    length_px, angle = share * min(pixels.shape[:2]), rng.uniform(0, np.pi)
    steps = max(3, 2 * round(length_px) + 1)
    offsets = np.linspace(-length_px / 2, length_px / 2, steps)
    total = np.zeros(pixels.shape, dtype=np.float32)
    image = Image.fromarray(pixels)
    reach = int(np.ceil(length_px)) + 2
    padded = Image.fromarray(np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)), mode="edge"))
    for offset in offsets:
        shift = (1, 0, reach + offset * np.cos(angle), 0, 1, reach + offset * np.sin(angle))
        moved = padded.transform(image.size, Image.Transform.AFFINE, shift, Image.Resampling.BILINEAR)
        total += np.asarray(moved, dtype=np.float32)
    return _rounded(total / steps)


def _sensor_noise(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Photon and read noise: variance grows with light, as on a sensor at high ISO."""
    light = (pixels.astype(np.float32) / 255) ** 2.2
    deviation = np.sqrt(strength**2 * (0.03 + light))
    noisy = light + deviation * rng.standard_normal(pixels.shape, dtype=np.float32)
    return _rounded(255 * np.clip(noisy, 0, 1) ** (1 / 2.2))


def _exposure(pixels: Pixels, stops: float, rng: np.random.Generator) -> Pixels:
    """More or less light by so many stops, in linear light."""
    light = (pixels.astype(np.float32) / 255) ** 2.2 * 2**stops
    return _rounded(255 * np.clip(light, 0, 1) ** (1 / 2.2))


def _contrast(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    mean = float((pixels.astype(np.float32) @ LUMA).mean())
    return _rounded(mean + factor * (pixels.astype(np.float32) - mean))


def _gamma(pixels: Pixels, exponent: float, rng: np.random.Generator) -> Pixels:
    return _rounded(255 * (pixels.astype(np.float32) / 255) ** exponent)


def _desaturate(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    grey = (pixels.astype(np.float32) @ LUMA)[..., None]
    return _rounded((1 - share) * pixels + share * grey)


def _occlusion(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """One grey square over this share of the picture, at a random place inside it."""
    height, width = pixels.shape[:2]
    side = max(2, round(float(np.sqrt(share * height * width))))
    tall, wide = min(side, height), min(side, width)
    top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
    covered = pixels.copy()
    covered[top : top + tall, left : left + wide] = 128
    return covered


def _crop(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """This share of each edge cut away, the rest enlarged to the old size."""
    height, width = pixels.shape[:2]
    box = (width * share, height * share, width * (1 - share), height * (1 - share))
    image = Image.fromarray(pixels)
    return np.asarray(image.resize(image.size, Image.Resampling.BICUBIC, box=box))


def _border(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """The picture reduced, with a black border of this share on each side."""
    height, width = pixels.shape[:2]
    edge = max(1, round(share * min(height, width)))
    inner = Image.fromarray(pixels).resize((width - 2 * edge, height - 2 * edge), Image.Resampling.LANCZOS)
    framed = np.zeros_like(pixels)
    framed[edge : height - edge, edge : width - edge] = np.asarray(inner)
    return framed


def _resize_then_jpeg(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    """What a picture host does: reduced, saved as JPEG of quality 75, shown at the old size."""
    image = Image.fromarray(pixels)
    smaller = (max(8, round(image.width * factor)), max(8, round(image.height * factor)))
    saved = _encoded(np.asarray(image.resize(smaller, Image.Resampling.LANCZOS)), 75, "JPEG")
    return np.asarray(Image.fromarray(saved).resize(image.size, Image.Resampling.BICUBIC))


def _screenshot(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    """Shown at another size on a screen, captured, and brought back: two resamplings, no codec."""
    image = Image.fromarray(pixels)
    shown = (max(8, round(image.width * factor)), max(8, round(image.height * factor)))
    captured = image.resize(shown, Image.Resampling.BILINEAR)
    return np.asarray(captured.resize(image.size, Image.Resampling.BICUBIC))


def _messenger(pixels: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    """Sent twice: reduced to 0.8, saved as JPEG, shown at the old size, and the same again."""
    for _ in range(2):
        image = Image.fromarray(pixels)
        smaller = (max(8, round(image.width * 0.8)), max(8, round(image.height * 0.8)))
        saved = _encoded(np.asarray(image.resize(smaller, Image.Resampling.LANCZOS)), quality, "JPEG")
        pixels = np.asarray(Image.fromarray(saved).resize(image.size, Image.Resampling.BICUBIC))
    return pixels


def _darker(pixels: Pixels, stops: float, rng: np.random.Generator) -> Pixels:
    return _exposure(pixels, -stops, rng)


def _rounded(values: npt.NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


_KINDS = (
    Kind("jpeg", "JPEG", "quality", (95, 85, 70, 50, 30), _jpeg),
    Kind("webp", "WebP", "quality", (95, 85, 70, 50, 30), _webp),
    Kind("downscale", "Reduced and enlarged", "factor", (0.75, 0.6, 0.5, 0.35, 0.25), _downscale),
    Kind(
        "gaussian-blur", "Out of focus", "sigma / side", (0.003, 0.006, 0.009, 0.013, 0.018), _gaussian_blur
    ),
    Kind("motion-blur", "Motion blur", "length / side", (0.02, 0.04, 0.06, 0.09, 0.12), _motion_blur),
    Kind("noise", "Sensor noise", "deviation", (0.008, 0.015, 0.025, 0.038, 0.055), _sensor_noise),
    Kind("darker", "Darker", "stops", (0.3, 0.6, 1.0, 1.4, 1.8), _darker),
    Kind("brighter", "Brighter", "stops", (0.3, 0.6, 0.9, 1.2, 1.5), _exposure),
    Kind("contrast", "Less contrast", "factor", (0.85, 0.7, 0.55, 0.4, 0.3), _contrast),
    Kind("gamma", "Gamma", "exponent", (1.1, 1.2, 1.35, 1.5, 1.7), _gamma),
    Kind("desaturate", "Less colour", "share", (0.2, 0.4, 0.6, 0.8, 1.0), _desaturate),
    Kind("occlusion", "A covered patch", "share of area", (0.02, 0.05, 0.09, 0.14, 0.2), _occlusion),
    Kind("crop", "Cut closer", "share of side", (0.02, 0.04, 0.06, 0.09, 0.12), _crop),
    Kind("border", "Black border", "share of side", (0.02, 0.04, 0.06, 0.09, 0.12), _border),
    Kind(
        "resize-jpeg",
        "Picture host: reduced, JPEG 75",
        "factor",
        (0.9, 0.75, 0.6, 0.5, 0.4),
        _resize_then_jpeg,
    ),
    Kind("screenshot", "Screenshot", "factor", (1.3, 0.9, 0.75, 0.6, 0.5), _screenshot),
    Kind("messenger", "Messenger, sent twice", "quality", (85, 75, 60, 45, 30), _messenger),
)
TRANSFORMATIONS: Mapping[str, Kind] = {kind.name: kind for kind in _KINDS}
"""Every kind by its name, in the order of the report."""


def variants(names: list[str]) -> list[tuple[str, int]]:
    """(name, severity) of everything that is tried, the names in the order given."""
    return [(name, severity) for name in names for severity in SEVERITIES]
