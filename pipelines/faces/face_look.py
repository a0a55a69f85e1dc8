"""What a face looks like, as far as a blend must know: its skin, and how much of it is something else.

A crop with five landmarks enters; a `FaceLook` leaves.

Why colours and not a network: a wheel that finds hats, hands and hair is none of this project's parts, and
skin is the one thing that a face shows everywhere. So skin is measured at the cheeks and the nose, and what
differs from it by more than light and make-up do is taken for something that covers the face. Spectacles
with thin frames are not seen by this.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from pipelines.faces.blending import filled, fine_detail, to_lab
from pipelines.faces.face_geometry import inner_outline

MAX_COLOUR: Final = 14.0
"""In the plane of a and b."""
MAX_LIGHTNESS: Final = 28.0
_PATCH: Final = 0.14
_EYE: Final = (0.32, 0.24)
_MOUTH: Final = (0.45, 0.25)
"""Radii in eye distances: of the patches of skin, and of what is no skin in any face."""


@dataclass(frozen=True)
class FaceLook:
    """What a face looks like."""

    skin: tuple[float, float, float]
    """Median Lab colour of cheeks and nose."""
    covered: float
    """Share, 0 to 1, of the inner face without eyes and mouth whose colour is far from the skin's."""
    detail: float
    """Mean size of lightness's fine detail, over the spread of lightness; higher is sharper."""


def look_of(crop: np.ndarray, landmarks: np.ndarray) -> FaceLook:
    """Measure a face.

    Args:
        crop: uint8 [S,S,3].
        landmarks: float [5,2], in its pixels.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    unit, lab = float(np.hypot(*(points[1] - points[0]))), to_lab(crop)
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    skin = np.zeros(crop.shape[:2], np.uint8)
    for cheek in ((points[0] + points[3]) / 2, (points[1] + points[4]) / 2, 0.6 * points[2] + 0.4 * eyes):
        cv2.circle(skin, _pixel(cheek), max(2, round(_PATCH * unit)), 1, -1)
    face = filled(inner_outline(points), crop.shape[:2])
    inner = face.astype(np.uint8)
    for place, radii in ((points[0], _EYE), (points[1], _EYE), (mouth, _MOUTH)):
        axes = (round(radii[0] * unit), round(radii[1] * unit))
        cv2.ellipse(inner, _pixel(place), axes, 0, 0, 360, 0, -1)
    if not skin.any() or not inner.any():
        return FaceLook((0.0, 0.0, 0.0), 1.0, 0.0)
    colour = np.median(lab[skin > 0], 0)
    far = np.hypot(lab[..., 1] - colour[1], lab[..., 2] - colour[2]) > MAX_COLOUR
    far |= np.abs(lab[..., 0] - colour[0]) > MAX_LIGHTNESS
    lightness, a, b = (float(v) for v in colour)
    detail = fine_detail(lab[..., 0], unit)[face > 0].mean() / max(float(lab[..., 0][face > 0].std()), 1.0)
    return FaceLook((lightness, a, b), float(far[inner > 0].mean()), float(detail))


def _pixel(point: np.ndarray) -> tuple[int, int]:
    x, y = np.rint(point).astype(int)
    return int(x), int(y)
