"""One face laid into another photo: colour, light, detail and edge.

Two pictures of the same place enter, the face to be laid in and the photo that receives it, with the outline
of what is replaced; the blended picture leaves, with the weight of the new face in it and how well both met.

How: in CIE Lab, colours are given the photo's mean and spread (Reinhard et al., "Color transfer between
images", IEEE CG&A 2001); then what is coarser than half an eye distance is taken from the photo and only
what is finer from the face, as in the lowest level of a pyramid (Burt & Adelson, "A multiresolution spline",
ACM TOG 1983), so that light falls from the photo's side; fine detail is brought to the photo's strength; and
the edge fades inwards, as blending masks do in Face X-ray (Li et al., CVPR 2020).

Why not Poisson cloning: it ties every pixel inside to the colours on the seam, so hair, a hand or a shadow
that the seam crosses bleeds through the whole face.
"""

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

LIGHT: Final = 0.5
"""Of the eye distance: what varies over more than this is light, and the photo's."""
FEATHER: Final = 0.14
"""Of the eye distance: half the width over which the edge fades."""
DETAIL: Final = 0.02
"""Of the eye distance: what varies over less than this is fine detail."""
MAX_DETAIL_GAIN: Final = 1.4
_MAX_COLOUR_GAIN: Final = 1.4
_MIN_COLOUR_GAIN: Final = 0.1
_SHRINK: Final = 4
"""Light is computed at a quarter of the size."""


@dataclass(frozen=True)
class Blend:
    """A face laid into a photo."""

    pixels: np.ndarray = field(repr=False)
    """uint8 [S,S,3]; the photo's very pixels where `weight` is 0."""
    weight: np.ndarray = field(repr=False)
    """uint8 [S,S], 255 where the face is all new."""
    seam: float
    """Root mean square difference of both along the fading edge, in units of Lab (lightness 0 to 100,
    colours at half weight): what the edge has to hide."""
    detail_gain: float
    """By how much the face's fine detail would have to be raised to equal the photo's; 2 and more is a
    blurred face in a sharp photo."""


def to_lab(image: np.ndarray) -> np.ndarray:
    """CIE Lab, float32 [H,W,3], lightness 0 to 100, of uint8 RGB."""
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))


def to_rgb(lab: np.ndarray) -> np.ndarray:
    """uint8 RGB of CIE Lab, clipped."""
    rgb = cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB)
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def blend(face: np.ndarray, photo: np.ndarray, hull: np.ndarray, eye_distance_px: float) -> Blend:
    """Lay a face into a photo.

    Args:
        face: uint8 [S,S,3], already where it shall be.
        photo: uint8 [S,S,3].
        hull: float [N,2], pixels; the inside of its convex hull is replaced.
        eye_distance_px: the unit of every width.

    Returns:
        The blend; `weight` is 0 everywhere where the hull lies outside the picture.
    """
    inside = filled(hull, photo.shape[:2])
    pixels, levels = photo.copy(), np.zeros(photo.shape[:2], np.uint8)
    x, y, width, height = cv2.boundingRect(inside.astype(np.uint8))
    if not width:
        return Blend(pixels, levels, 0.0, 1.0)
    part = (slice(max(y - 2, 0), y + height + 2), slice(max(x - 2, 0), x + width + 2))
    pixels[part], levels[part], seam, gain = _blended(face[part], photo[part], inside[part], eye_distance_px)
    return Blend(pixels, levels, seam, gain)


def _blended(
    face: np.ndarray, photo: np.ndarray, inside: np.ndarray, eye_distance_px: float
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """What `Blend` holds, of the part of the picture that changes."""
    weight = faded(inside, FEATHER * eye_distance_px)
    laid, given, core = to_lab(face), to_lab(photo), inside > 0
    laid = colours_of(laid, given, core)
    laid += _light(given - laid, inside, LIGHT * eye_distance_px)
    laid, gain = with_detail_of(laid, given, core, eye_distance_px)
    mixed = weight[..., None] * to_rgb(laid) + (1 - weight[..., None]) * photo
    levels = np.rint(weight * 255).astype(np.uint8)
    pixels = np.where(levels[..., None] > 0, np.rint(mixed).clip(0, 255).astype(np.uint8), photo)
    return pixels, levels, _seam(laid - given, weight, eye_distance_px), gain


def filled(hull: np.ndarray, shape: tuple[int, ...], rim_share: float = 0.04) -> np.ndarray:
    """float32 [H,W], 1 inside a convex hull, 0 outside and along the picture's edges, where no seam fits."""
    mask = np.zeros(shape, np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(hull.astype(np.float32)).astype(np.int32), 1.0)
    rim = max(2, round(rim_share * min(shape)))
    mask[:rim], mask[-rim:], mask[:, :rim], mask[:, -rim:] = 0, 0, 0, 0
    return mask


def faded(inside: np.ndarray, width_px: float) -> np.ndarray:
    """Weights that fall from 1 to 0 inwards of a mask's edge; float32 [H,W], 0 outside the mask."""
    reach = max(1, round(width_px))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    core = cv2.erode(inside, disc, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(cv2.GaussianBlur(core, (0, 0), reach / 2)) * (inside > 0)


def colours_of(image: np.ndarray, target: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A Lab image with the mean and spread of another's colours inside a mask, spreads within bounds.

    A grey photo takes the colour out of the face; noise is not blown up.

    Args:
        image: float32 [H,W,3].
        target: float32 [H,W,3].
        inside: bool [H,W], some of it true.
    """
    place = inside.astype(np.uint8)
    (m, s), (wanted_m, wanted_s) = ((v[:, 0] for v in cv2.meanStdDev(i, mask=place)) for i in (image, target))
    gain = np.clip(wanted_s / np.maximum(s, 0.5), _MIN_COLOUR_GAIN, _MAX_COLOUR_GAIN)
    return np.asarray((image - m) * gain + wanted_m, dtype=np.float32)


def with_detail_of(
    image: np.ndarray, target: np.ndarray, inside: np.ndarray, eye_distance_px: float
) -> tuple[np.ndarray, float]:
    """A Lab image whose fine detail has another's strength inside a mask, and the gain that this asked for.

    Detail is raised by at most `MAX_DETAIL_GAIN`: more would be noise.
    """
    fine = _fine(image[..., 0], eye_distance_px)
    wanted = fine_detail(target[..., 0], eye_distance_px)
    gain = (float(wanted[inside].mean()) + 0.1) / (float(np.abs(fine[inside]).mean()) + 0.1)
    made = image.copy()
    made[..., 0] += (min(gain, MAX_DETAIL_GAIN) - 1) * fine
    return made, gain


def fine_detail(lightness: np.ndarray, eye_distance_px: float) -> np.ndarray:
    """Size of what is finer than `DETAIL` in a picture of lightness; float32 [H,W]."""
    return np.abs(_fine(lightness, eye_distance_px))


def _fine(lightness: np.ndarray, eye_distance_px: float) -> np.ndarray:
    return np.asarray(lightness - cv2.GaussianBlur(lightness, (0, 0), max(DETAIL * eye_distance_px, 0.6)))


def _light(difference: np.ndarray, inside: np.ndarray, width_px: float) -> np.ndarray:
    """The coarse part of a difference of two pictures, from inside a mask alone; float32 [H,W,3]."""
    height, width = inside.shape
    small = (max(1, width // _SHRINK), max(1, height // _SHRINK))
    weight = inside + np.float32(1e-4)

    def blurred(image: np.ndarray) -> np.ndarray:
        shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.GaussianBlur(shrunk, (0, 0), width_px / _SHRINK))

    coarse = blurred(difference * weight[..., None]) / blurred(weight)[..., None]
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))


def _seam(difference: np.ndarray, weight: np.ndarray, eye_distance_px: float) -> float:
    """See `Blend.seam`; differences finer than a thirtieth of the eye distance are not seen."""
    gap = np.abs(difference) @ np.array([1, 0.5, 0.5], np.float32)
    gap = cv2.GaussianBlur(gap, (0, 0), max(eye_distance_px * 0.03, 0.5))
    band = weight * (1 - weight)
    return float(np.sqrt((gap**2 * band).sum() / max(float(band.sum()), 1e-6)))
