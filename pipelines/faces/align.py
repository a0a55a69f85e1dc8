"""Photos to levelled, centred face crops.

Enters: RGB photos (uint8 [H,W,3]). Leaves: the faces MTCNN sees in them, and crops (uint8 [S,S,3]) cut by the
geometry that belongs to a generator, with the share of each crop that had to be invented.

Why the crop is the generator's: a StyleGAN trained on FFHQ reproduces faces that stand where FFHQ puts them.
FairFace chips of padding 0.25 (224 px) hold about half of that frame, so the small embedded generator uses a
tighter frame of its own (`TIGHT`) that such chips do contain.

Why an invented border is a mirror image: black wedges in the real half alone would be a shortcut that any
detector learns. The crop, border included, is what the generator encodes, so both halves carry the same one;
its share is recorded for every pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipelines.faces.mtcnn import Found, Mtcnn

_MIN_FACE_SHARE = 0.14
"""Smallest face looked for, as a share of the photo's shorter side: chips show one large face."""
_MIN_FACE_PX = 20
_MAX_DETECTION_SIDE_PX = 640
"""Larger photos are shrunk for detection alone; landmarks are reported in the photo's own pixels."""
_COARSE_PX = 64


@dataclass(frozen=True)
class Crop:
    """A crop geometry: FFHQ's rule (Karras et al. 2019) with its two constants free.

    The frame is a square, level with the line through the eyes and mouth. Its half side is `reach` times
    max(2 x eye distance, 1.8 x eye-to-mouth distance); its centre lies `drop` of the way from the middle of
    the eyes to the middle of the mouth.
    """

    name: str
    size_px: int
    reach: float
    drop: float
    max_border_share: float
    """Crops of which more than this share would be invented are rejected."""


@dataclass(frozen=True)
class Face:
    """One face in one photo, in the photo's pixels (x right, y down, pixel centres at integers)."""

    box: tuple[float, float, float, float]
    """Left, top, right, bottom."""
    confidence: float
    """MTCNN's probability, 0 to 1."""
    landmarks: np.ndarray
    """float32 [5,2]: left eye, right eye, nose, left and right mouth corner, as seen in the image."""


FFHQ = Crop("ffhq", 256, reach=1.0, drop=0.1, max_border_share=0.6)
"""The frame of FFHQ and of the official pSp checkpoint."""
TIGHT = Crop("tight", 256, reach=0.52, drop=0.45, max_border_share=0.3)
"""Brows to chin and a little around: contained in FairFace chips of padding 0.25."""
CROPS = {crop.name: crop for crop in (FFHQ, TIGHT)}
"""Every geometry by name."""


class FaceFinder:
    """MTCNN (Zhang et al. 2016) with the weights that come in facenet-pytorch's wheel.

    Why the search around these weights is our own (`pipelines.faces.mtcnn`) and not the library's call: its
    batch mode keeps the photos of a batch apart by shifting their boxes by the largest coordinate, which
    fails for boxes that reach over the left or upper edge. A face can then suppress one in the *next photo*,
    and landmarks move by up to 18 px with the batch a photo happens to be in. Called photo by photo it is
    right, but spends half of its time outside the networks and the rest in small, slow steps. Ours gives for
    every photo what the library gives for that photo alone.

    Args:
        device: torch device name.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._mtcnn = Mtcnn(device)

    def find(self, photos: Sequence[np.ndarray]) -> list[list[Face]]:
        """Find faces; a photo's faces do not depend on the photos beside it. Photos of one size go faster.

        On a CPU not a bit does. On a GPU landmarks may move by 1e-4 px with the batch, and a crop by a few
        levels: who promises the same bytes there gives the same batches again.

        Args:
            photos: RGB uint8 arrays [H,W,3].

        Returns:
            For each photo its faces, most confident first; an empty list where none was found.
        """
        shrunk = [_shrunk(photo) for photo in photos]
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for number, (photo, _) in enumerate(shrunk):
            by_shape.setdefault(photo.shape, []).append(number)
        faces: list[list[Face]] = [[] for _ in photos]
        for shape, numbers in by_shape.items():
            if min(shape[:2]) < _MIN_FACE_PX:
                continue
            found = self._mtcnn.search(
                np.stack([shrunk[n][0] for n in numbers]), smallest_face_px(*shape[:2])
            )
            for face, place in enumerate(found.photos):
                number = numbers[place]
                faces[number].append(_face(found, face, shrunk[number][1]))
        return faces


def smallest_face_px(height: int, width: int) -> int:
    """The smallest face that `FaceFinder` looks for in a photo of `height` x `width` pixels."""
    return max(_MIN_FACE_PX, round(_MIN_FACE_SHARE * min(height, width)))


def nearest_centre(faces: Sequence[Face], height: int, width: int) -> Face:
    """The face whose box centre is nearest the centre of a photo of `height` x `width` pixels.

    Raises:
        ValueError: `faces` is empty.
    """
    return min(
        faces,
        key=lambda f: (f.box[0] + f.box[2] - width) ** 2 + (f.box[1] + f.box[3] - height) ** 2,
    )


def align_face(photo: np.ndarray, landmarks: np.ndarray, crop: Crop) -> tuple[np.ndarray, float]:
    """Cut one face out of a photo, levelled and centred.

    Args:
        photo: RGB uint8 [H,W,3].
        landmarks: [5,2] as in `Face`.
        crop: the geometry.

    Returns:
        The crop, uint8 [size,size,3], and the share of it (0 to 1) that lay outside the photo and was
        filled with the photo's mirror image.
    """
    centre, x_axis = crop_frame(np.asarray(landmarks, dtype=np.float64), crop)
    y_axis = np.array([-x_axis[1], x_axis[0]])
    share = _outside_share(centre, x_axis, y_axis, photo.shape, crop.size_px)
    padded, pad = _mirrored(photo, centre, x_axis, y_axis)
    # At least one sample for each pixel of the photo: no aliasing in the real half.
    oversampling = max(1, int(np.ceil(2 * float(np.hypot(*x_axis)) / crop.size_px)))
    size = crop.size_px * oversampling
    origin = centre + pad - x_axis - y_axis + 0.5
    step_x, step_y = 2 * x_axis / size, 2 * y_axis / size
    coefficients = (step_x[0], step_y[0], origin[0], step_x[1], step_y[1], origin[1])
    image = Image.fromarray(padded).transform(
        (size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC
    )
    if oversampling > 1:
        image = image.reduce(oversampling)
    return np.asarray(image), share


def crop_frame(points: np.ndarray, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
    """The frame that `align_face` cuts, in the photo's pixels.

    Args:
        points: float64 [5,2] as in `Face`.
        crop: the geometry.

    Returns:
        Its centre, and its half side as a vector along its x axis (FFHQ's rule).
    """
    left_eye, right_eye, _, left_mouth, right_mouth = points
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    eye_to_eye, eye_to_mouth = right_eye - left_eye, mouth - eyes
    x_axis = eye_to_eye + np.array([eye_to_mouth[1], -eye_to_mouth[0]])
    x_axis /= max(float(np.hypot(*x_axis)), 1e-6)
    half = max(float(np.hypot(*eye_to_eye)) * 2.0, float(np.hypot(*eye_to_mouth)) * 1.8)
    return eyes + crop.drop * eye_to_mouth, x_axis * max(half, 1.0) * crop.reach


def outside_share(photo: np.ndarray, landmarks: np.ndarray, crop: Crop) -> float:
    """About the share that `align_face` gives, on a coarse grid and without cutting; arguments as there."""
    centre, x_axis = crop_frame(np.asarray(landmarks, dtype=np.float64), crop)
    return _outside_share(centre, x_axis, np.array([-x_axis[1], x_axis[0]]), photo.shape, _COARSE_PX)


def _outside_share(
    centre: np.ndarray, x_axis: np.ndarray, y_axis: np.ndarray, shape: tuple[int, ...], size_px: int
) -> float:
    steps = (np.arange(size_px) + 0.5) * 2 / size_px - 1
    x, y = (centre[i] + steps * x_axis[i] + steps[:, None] * y_axis[i] for i in (0, 1))
    inside = (x >= -0.5) & (y >= -0.5) & (x <= shape[1] - 0.5) & (y <= shape[0] - 0.5)
    return float(1.0 - inside.mean())


def _mirrored(
    photo: np.ndarray, centre: np.ndarray, x_axis: np.ndarray, y_axis: np.ndarray
) -> tuple[np.ndarray, int]:
    """The photo, mirrored outwards as far as the frame reaches, and by how many pixels."""
    corners = np.array([centre + a * x_axis + b * y_axis for a in (-1, 1) for b in (-1, 1)])
    limits = np.array([photo.shape[1], photo.shape[0]]) - 1
    overhang = max(float((-corners).max()), float((corners - limits).max()), 0.0)
    # A frame far larger than its photo comes from absurd landmarks; mirroring stays bounded all the same.
    pad = min(int(np.ceil(overhang)) + 3, 4 * max(photo.shape[:2])) if overhang > -3 else 0
    return (np.pad(photo, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric"), pad) if pad else (photo, 0)


def _shrunk(photo: np.ndarray) -> tuple[np.ndarray, float]:
    factor = -(-max(photo.shape[:2]) // _MAX_DETECTION_SIDE_PX)
    return (photo, 1.0) if factor <= 1 else (np.asarray(Image.fromarray(photo).reduce(factor)), float(factor))


def _face(found: Found, number: int, scale: float) -> Face:
    left, top, right, bottom = (float(v) * scale for v in found.boxes[number])
    return Face(
        box=(left, top, right, bottom),
        confidence=float(found.probabilities[number]),
        landmarks=found.landmarks[number] * np.float32(scale),
    )
