"""The faces of a photo as a detector would be shown each of them, and how steady its answer is.

Enters: the pixels of any photo. Leaves: for each face MTCNN sees, its box and the part that the network
looks at; versions of that part that a messenger or a photo editor might have left.

Why a face crop is shown whole: detectors trained on crops ("as is") have learned a frame, and `audit score`
shows them the image as it is. Where a photo holds more than one face, or one that is small in it, each is cut
out in the frame that the embedded generator's pairs have. A detector trained on pairs has learned just such a
frame, so that only an image framed as pairs are is shown to it whole. An image that this frame nearly covers,
or reaches beyond, is such a crop: cut again, most of what the detector saw would be a mirror image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from detectors.data.face_crops import MARGIN, box_crop
from detectors.data.preprocessing import Preprocessing, fit
from detectors.data.transformations import TRANSFORMATIONS
from pipelines.faces.align import CROPS, TIGHT, Crop, Face, align_face, crop_frame, outside_share

Pixels = npt.NDArray[np.uint8]
WHOLE_SHARE = 0.45
"""A single face whose box has at least this share of the photo's shorter side fills it: a face crop. The
pairs' crops have 0.6 to 1; a portrait of head and shoulders has 0.2 to 0.4."""
FRAME_SIZE, FRAME_AWAY = 1.2, 0.1
"""How far a photo's frame may be from a crop's to count as it: ratio of sides, and share of the side."""
COVERED, COVERED_BEYOND = 0.75, 0.6
"""Share of an image from which on the pairs' frame of its face covers nearly all of it; and where that frame
reaches beyond the image on two sides. A face in the corner of a photo reaches beyond two and covers less."""
BEYOND, SIDES = 0.02, 2
"""By which share of the image's side the frame must reach beyond it, and on how many sides, for the latter.
Of 188 crops of pairs in which MTCNN found a face 95 % were taken for what they are by one of both, or by the
frame; by the frame alone 33 %. Landmarks on crops this tight are off by a tenth of the side."""
LIGHT = (("jpeg", 90.0, "saved as JPEG 90"), ("downscale", 0.9, "reduced to 0.9 and back"))
"""Kind of `TRANSFORMATIONS`, level, and what was done in words: what no viewer notices."""


@dataclass(frozen=True)
class SeenFace:
    """One face of a photo."""

    box: tuple[float, float, float, float]
    """Left, top, right, bottom in the photo's pixels."""
    confidence: float
    """MTCNN's probability, 0 to 1."""
    pixels: Pixels
    """The part the network is shown, before it is resized: uint8 [h, w, 3]."""
    shown: str
    """Which part that is, in words."""


def seen_faces(
    pixels: Pixels, faces: Sequence[Face], preprocessing: Preprocessing, from_pairs: bool = False
) -> list[SeenFace]:
    """What a network is shown of each face; of an image that is a crop of one face, of that face alone.

    Args:
        pixels: uint8 [H, W, 3].
        faces: As `pipelines.faces.align.FaceFinder` finds them.
        preprocessing: The network's.
        from_pairs: Whether the network has learned from pairs, whose frame is known.
    """
    largest = max(faces, key=lambda face: face.box[2] - face.box[0], default=None)
    if preprocessing.face == "as is" and largest is not None and is_crop(largest, pixels.shape):
        return [_seen(pixels, largest, preprocessing, whole=True)]  # others lie in its mirrored edges
    whole = preprocessing.face == "as is" and len(faces) == 1
    whole = whole and (is_framed(faces[0], pixels.shape) if from_pairs else fills(faces[0], pixels.shape))
    return [_seen(pixels, face, preprocessing, whole) for face in faces]


def is_framed(face: Face, shape: Sequence[int]) -> bool:
    """Whether a photo, [H, W, ...], frames its face as one of the generators' crops does."""
    height, width = shape[:2]
    for crop in CROPS.values():
        centre, half = crop_frame(face.landmarks.astype(np.float64), crop)
        size = 2 * float(np.hypot(*half)) / min(height, width)
        away = float(np.abs(centre - np.array([width, height]) / 2).max()) / min(height, width)
        if 1 / FRAME_SIZE <= size <= FRAME_SIZE and away <= FRAME_AWAY:
            return True
    return False


def is_crop(face: Face, shape: Sequence[int]) -> bool:
    """Whether a photo, [H, W, ...], holds nearly nothing but what the pairs' frame of its face does."""
    height, width = shape[:2]
    centre, half = crop_frame(face.landmarks.astype(np.float64), TIGHT)
    reach = float(np.hypot(*half))
    away = np.array([*(reach - centre) / (width, height), *(centre + reach) / (width, height) - 1])
    inside = 1 - outside_share(np.empty((height, width)), face.landmarks, TIGHT)
    covered = inside * (2 * reach) ** 2 / (width * height)
    return covered >= (COVERED_BEYOND if int((away > BEYOND).sum()) >= SIDES else COVERED)


def fills(face: Face, shape: Sequence[int]) -> bool:
    """Whether a face fills its photo, [H, W, ...], as in a face crop."""
    left, top, right, bottom = face.box
    return max(right - left, bottom - top) >= WHOLE_SHARE * min(shape[:2])


def _seen(pixels: Pixels, face: Face, preprocessing: Preprocessing, whole: bool) -> SeenFace:
    if whole:
        part, shown = pixels, "the whole image as it is, since it is a face crop already, as by audit score"
    elif preprocessing.face == "crop":
        part, shown = (
            box_crop(pixels, face.box),
            f"the face, cut out of the photo as a square of {MARGIN} times the box",
        )
    else:
        frame = Crop("detector", preprocessing.size_px, TIGHT.reach, TIGHT.drop, max_border_share=1.0)
        if preprocessing.face == "level":
            from detectors.data.face_crops import DROP, REACH

            frame = Crop("detector", preprocessing.size_px, REACH, DROP, max_border_share=1.0)
        part, shown = (
            align_face(pixels, face.landmarks, frame)[0],
            "the face, cut out of the photo with its eyes level",
        )
    return SeenFace(face.box, face.confidence, part, shown)


def network_input(seen: Pixels, preprocessing: Preprocessing) -> Tensor:
    """[3, S, S] uint8, as the network takes it, of a part of a photo."""
    return fit(torch.from_numpy(np.array(seen)).permute(2, 0, 1), preprocessing)


def light_changes(seen: Pixels) -> list[tuple[str, Pixels]]:
    """The part a network is shown, changed as little as saving it again changes it; what was done to each."""
    rng = np.random.default_rng(0)  # these two draw nothing
    return [(words, TRANSFORMATIONS[kind].apply(seen, level, rng)) for kind, level, words in LIGHT]
