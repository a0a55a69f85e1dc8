"""One face laid into another photo: colour, light, detail and edge.

The photo that receives a face enters, with the outline of what is replaced, and the faces that may be laid
in; of each leaves how well both meet, and of the chosen one the blended picture with its weight.

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


@dataclass(frozen=True)
class Laid:
    """A face given a photo's colours, light and detail: judged before it is blended, which takes as long."""

    lab: np.ndarray = field(repr=False)
    """float32 [h,w,3], of the part of the picture that changes."""
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


class Receiver:
    """A photo that receives faces in one place; what is the photo's own is computed once for all of them.

    Args:
        photo: uint8 [S,S,3].
        hull: float [N,2], pixels; the inside of its convex hull is replaced.
        eye_distance_px: the unit of every width.
    """

    def __init__(self, photo: np.ndarray, hull: np.ndarray, eye_distance_px: float) -> None:
        inside = filled(hull, photo.shape[:2])
        x, y, width, height = cv2.boundingRect(inside.astype(np.uint8))
        # An outline outside the picture leaves a part of nothing; a corner stands in, where nothing changes.
        self._part = (slice(max(y - 2, 0), y + height + 2), slice(max(x - 2, 0), x + width + 2))
        self._photo, self._unit, self._empty = photo, eye_distance_px, not width
        self._inside = inside[self._part]
        self._weight = faded(self._inside, FEATHER * eye_distance_px)
        self._lab = to_lab(photo[self._part])

    def laid(self, face: np.ndarray) -> Laid:
        """A face, uint8 [S,S,3], already where it shall be, made to look like the photo's."""
        if self._empty:
            return Laid(self._lab, 0.0, 1.0)
        lab, core = to_lab(face[self._part]), self._inside > 0
        lab = colours_of(lab, self._lab, core)
        lab += _light(self._lab - lab, self._inside, LIGHT * self._unit)
        lab, gain = with_detail_of(lab, self._lab, core, self._unit)
        return Laid(lab, _seam(lab - self._lab, self._weight, self._unit), gain)

    def blended(self, laid: Laid) -> Blend:
        """One of the faces laid, in the photo; `weight` is 0 everywhere where the hull lies outside."""
        photo, weight = self._photo[self._part], self._weight
        mixed = weight[..., None] * to_rgb(laid.lab) + (1 - weight[..., None]) * photo
        pixels, levels = self._photo.copy(), np.zeros(self._photo.shape[:2], np.uint8)
        levels[self._part] = part = np.rint(weight * 255).astype(np.uint8)
        pixels[self._part] = np.where(
            part[..., None] > 0, np.rint(mixed).clip(0, 255).astype(np.uint8), photo
        )
        return Blend(pixels, levels)


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
    core = cv2.erode((inside > 0).astype(np.uint8), disc, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(cv2.GaussianBlur(core.astype(np.float32), (0, 0), reach / 2)) * (inside > 0)


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
    made: np.ndarray = image - m  # float64, worked on in place
    made *= gain
    made += wanted_m
    return np.asarray(made, dtype=np.float32)


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
