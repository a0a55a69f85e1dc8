"""Cut the face out of a photo, for networks that were trained on face crops.

Enters: RGB pixels. Leaves: the pixels themselves ("as is"), a square around the face ("crop"), or the same
with the eyes made level ("level").

Why MTCNN is not loaded before it is needed: pairs datasets and most benchmarks hold face crops already.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from detectors.data.preprocessing import Preprocessing
from pipelines.errors import NoFaceFound

if TYPE_CHECKING:
    from pipelines.faces.align import Face, FaceFinder

Pixels = npt.NDArray[np.uint8]
MARGIN = 1.3
"""Side of a "crop", in sides of MTCNN's box: chin and forehead, as face forgery benchmarks cut them."""
REACH, DROP = 0.75, 0.3
"""Frame of "level", see `pipelines.faces.align.Crop`: nearly the same part of the face as a "crop"."""


class SharedFinder:
    """One MTCNN for several decoding threads, loaded when the first face is looked for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._finder: FaceFinder | None = None

    def face(self, pixels: Pixels) -> Face:
        """The face nearest the centre of a photo.

        Raises:
            NoFaceFound: there is none.
        """
        from pipelines.faces.align import FaceFinder, nearest_centre

        with self._lock:
            self._finder = self._finder or FaceFinder()
            faces = self._finder.find([pixels])[0]
        if not faces:
            raise NoFaceFound("no face found by MTCNN, and this detector looks at faces alone")
        return nearest_centre(faces, pixels.shape[0], pixels.shape[1])


def framed(pixels: Pixels, preprocessing: Preprocessing, finder: SharedFinder | None) -> Pixels:
    """The part of a photo that a network wants to see.

    Args:
        pixels: uint8 [H, W, 3].
        preprocessing: Its `face` says which part.
        finder: Made anew where None.

    Returns:
        uint8, [H, W, 3] "as is", square otherwise.

    Raises:
        NoFaceFound: a face was wanted and there is none.
    """
    if preprocessing.face == "as is":
        return pixels
    face = (finder or SharedFinder()).face(pixels)
    if preprocessing.face == "crop":
        return box_crop(pixels, face.box)
    from pipelines.faces.align import Crop, align_face

    frame = Crop("detector", preprocessing.size_px, REACH, DROP, max_border_share=1.0)
    return align_face(pixels, face.landmarks, frame)[0]


def box_crop(pixels: Pixels, box: tuple[float, float, float, float]) -> Pixels:
    """A square around a box, `MARGIN` times its longer side, mirrored where it reaches over the edge.

    Args:
        pixels: uint8 [H, W, 3].
        box: Left, top, right, bottom in pixels.

    Returns:
        uint8 [S, S, 3], S at least 2.
    """
    left, top, right, bottom = box
    side = max(2, round(MARGIN * max(right - left, bottom - top)))
    x, y = round((left + right - side) / 2), round((top + bottom - side) / 2)
    height, width = pixels.shape[:2]
    pad = max(0, -x, -y, x + side - width, y + side - height)
    padded = np.pad(pixels, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric") if pad else pixels
    return padded[y + pad : y + pad + side, x + pad : x + pad + side]
