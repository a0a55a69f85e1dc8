"""What five landmarks tell of a face: its pose, its outline, and how to lay it over another.

Landmarks enter (float [5,2]: left eye, right eye, nose, left and right mouth corner, as seen in the image);
numbers, outlines and maps leave, all in the pixels of the image that the landmarks belong to.

Why five points and not 68: MTCNN gives five, with weights that come in a wheel. The outline is that of a mean
face, drawn to the eyes, the mouth and the nose of the one at hand; each half is as wide as its eye is far
from the nose, so that it follows a head that is turned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipelines.faces.align import Crop, crop_frame

_OUTLINE: Final = (
    (0.0, -0.50), (0.45, -0.48), (0.78, -0.34), (0.94, 0.0), (0.92, 0.45), (0.82, 0.95), (0.60, 1.36),
    (0.32, 1.58), (0.0, 1.62),
)  # fmt: skip
"""Right half of the mean face's outline, brows to chin: to the side in eye distances, down in distances from
the eyes to the mouth."""
_INNER_OUTLINE: Final = (
    (0.0, -0.30), (0.40, -0.34), (0.70, -0.26), (0.84, 0.0), (0.80, 0.40), (0.72, 0.85), (0.52, 1.22),
    (0.28, 1.42), (0.0, 1.46),
)  # fmt: skip
"""The same of what tells one face from another: brows, eyes, nose, mouth; inside the jaw, below the hair."""


@dataclass(frozen=True)
class Pose:
    """How a face is turned, as five points show it; plain ratios, no angles."""

    yaw: float
    """-1 to 1: where the nose lies between the eyes, 0 in the middle; about the sine of the turn."""
    pitch: float
    """Where the nose lies between the eyes (0) and the mouth (1)."""
    eye_distance_px: float


def landmarks_in_crop(landmarks: np.ndarray, crop: Crop) -> np.ndarray:
    """Landmarks of a photo, float [5,2], in the pixels of the crop that `align.align_face` cuts by them."""
    points = np.asarray(landmarks, dtype=np.float64)
    centre, x_axis = crop_frame(points, crop)
    axes = np.stack([x_axis, [-x_axis[1], x_axis[0]]]) / float(x_axis @ x_axis)
    return np.asarray(((points - centre) @ axes.T + 1) * crop.size_px / 2 - 0.5, dtype=np.float32)


def pose_of(landmarks: np.ndarray) -> Pose:
    """Pose of a face.

    >>> pose_of(np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]]))
    Pose(yaw=0.0, pitch=0.5, eye_distance_px=40.0)
    """
    points = np.asarray(landmarks, dtype=np.float64)
    middle, right, down = _axes(points)
    nose = points[2] - middle
    half = max(float(np.hypot(*right)) / 2, 1e-6)
    side = float(nose @ right) / (2 * half) / half
    low = float(nose @ down) / max(float(down @ down), 1e-6)
    return Pose(float(np.clip(side, -1, 1)), float(np.clip(low, -1, 2)), 2 * half)


def outline(landmarks: np.ndarray) -> np.ndarray:
    """Closed outline of a face from above the brows to the chin, float64 [16,2] pixels."""
    return _drawn(_OUTLINE, landmarks)


def inner_outline(landmarks: np.ndarray) -> np.ndarray:
    """Closed outline around brows, eyes, nose and mouth, inside the jaw and below the hair; [16,2] pixels."""
    return _drawn(_INNER_OUTLINE, landmarks)


def _drawn(half: Sequence[tuple[float, float]], landmarks: np.ndarray) -> np.ndarray:
    """A mean face's outline, drawn to five landmarks; float64 [16,2] pixels."""
    points = np.asarray(landmarks, dtype=np.float64)
    middle, right, down = _axes(points)
    nose = float((points[2] - middle) @ right) / max(float(right @ right), 1e-6)
    halves = []
    for sign, wide in ((1.0, 1 - 2 * nose), (-1.0, 1 + 2 * nose)):
        wide = float(np.clip(wide, 0.45, 1.35))
        side = [middle + sign * x * wide * right + y * down for x, y in half]
        halves.append(side if sign > 0 else side[-2:0:-1])
    return np.array([*halves[0], *halves[1]])


def similarity(moving: np.ndarray, fixed: np.ndarray) -> tuple[np.ndarray, float]:
    """The rotation, scale and shift that lay points best over others, without mirroring or shear.

    Args:
        moving: [N,2] pixels.
        fixed: [N,2] pixels.

    Returns:
        float64 [2,3], the map from `moving` to `fixed`, and the root mean square distance that is left,
        in pixels of `fixed`.

    Source: Umeyama, "Least-squares estimation of transformation parameters", PAMI 1991; in the plane it is
    one complex regression.
    """
    a, b = (np.asarray(p, dtype=np.float64) @ np.array([1, 1j]) for p in (moving, fixed))
    a0, b0 = a.mean(), b.mean()
    turn = np.vdot(a - a0, b - b0) / max(float(np.vdot(a - a0, a - a0).real), 1e-12)
    shift = b0 - turn * a0
    left = float(np.sqrt(np.mean(np.abs(turn * a + shift - b) ** 2)))
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]), left


def _axes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middle of the eyes, the vector from left to right eye, and that from the eyes to the mouth."""
    middle, mouth = points[:2].mean(0), points[3:].mean(0)
    return middle, points[1] - points[0], mouth - middle
