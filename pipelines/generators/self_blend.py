"""Self-blended faces: a photo blended with a shifted copy of itself.

`FaceCrop`s with landmarks enter; fakes with their masks leave.

The recipe is Shiohara & Yamasaki, "Detecting Deepfakes with Self-Blended Images", CVPR 2022, with the numbers
of its published code: the source is shifted in colour (red, green, blue by up to 20 levels in 3 of 10 cases;
brightness and contrast by up to a tenth) and in frequency (shrunk by 2 or 4 and enlarged, or sharpened),
moved by up to 3 % across and 1.5 % down and scaled by up to 5 %; the outline of the face is bent (elastic
deformation, alpha 50, sigma 7), blurred twice, and weighted by one of .25 .5 .75 1 1 1.

Why the shift is always the source's: the published code shifts the source or the target, and where it shifts
the target it hands out the shifted photo as the real image too. Here the real half also stands beside other
kinds of fake, so it stays as it is; a shifted target beside an untouched real half would give the fake away
far from the blend.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

import cv2
import numpy as np

from pipelines.errors import NoLandmarks, PhotoError
from pipelines.faces.face_geometry import outline
from pipelines.generators.protocol import FaceCrop, Fake

ALPHA_PX: Final = 50.0
SIGMA_PX: Final = 7.0
RATIOS: Final = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
_SHIFT: Final = (0.03, 0.015)
_SCALE: Final = 0.05
RECIPE: Final = "self-blend 1: Shiohara & Yamasaki 2022, source shifted, outline of five points"
_BATCH: Final = 16


class SelfBlend:
    """Makes self-blended faces.

    Args:
        seed: of everything that is drawn; each photo draws by its own name, so order does not matter.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fakes(self, shard: int, faces: Sequence[FaceCrop]) -> Iterator[list[Fake | PhotoError]]:
        """See `protocol.Generator`."""
        for start in range(0, len(faces), _BATCH):
            yield [self._fake(face) for face in faces[start : start + _BATCH]]

    def _fake(self, face: FaceCrop) -> Fake | PhotoError:
        if face.landmarks is None:
            return NoLandmarks("self-blending needs the face's landmarks, and none are known")
        rng = photo_rng(self.seed, face.pair_id, "self-blend")
        pixels, mask = self_blended(face.pixels, outline(face.landmarks), rng)
        return Fake(pixels, mask)


def photo_rng(seed: int, pair_id: str, use: str) -> np.random.Generator:
    """The source of chance of one photo for one use: the same in whichever shard it stands."""
    digest = hashlib.sha256(f"{use}\n{pair_id}".encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])


def self_blended(
    photo: np.ndarray, hull: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Blend a face with a shifted copy of itself.

    Args:
        photo: uint8 [S,S,3].
        hull: float [N,2], the face's outline in pixels.
        rng: what is drawn.

    Returns:
        The fake, uint8 [S,S,3], and the weight of the shifted copy in it, uint8 [S,S].
    """
    mask = np.zeros(photo.shape[:2], np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(hull.astype(np.float32)).astype(np.int32), 1.0)
    source = _other_frequency(_other_colour(photo, rng), rng)
    source, mask = _moved(source, mask, rng)
    weight = _soft(_bent(mask, rng), rng) * RATIOS[rng.integers(len(RATIOS))]
    blended = weight[..., None] * source + (1 - weight[..., None]) * photo
    return np.rint(blended).clip(0, 255).astype(np.uint8), np.rint(weight * 255).astype(np.uint8)


def _other_colour(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Channels shifted in 3 of 10 cases; brightness and contrast always."""
    image = photo.astype(np.float32)
    shift = rng.uniform(-20, 20, 3)
    if rng.random() < 0.3:
        image = image + shift.astype(np.float32)
    contrast, brightness = 1 + rng.uniform(-0.1, 0.1), 255 * rng.uniform(-0.1, 0.1)
    return np.rint(image * np.float32(contrast) + np.float32(brightness)).clip(0, 255).astype(np.uint8)


def _other_frequency(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shrunk and enlarged again, or sharpened, each in half of the cases."""
    height, width = image.shape[:2]
    if rng.random() < 0.5:
        factor = int(rng.choice([2, 4]))
        small = cv2.resize(image, (width // factor, height // factor), interpolation=cv2.INTER_NEAREST)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))
    alpha, light = rng.uniform(0.2, 0.5), rng.uniform(0.5, 1.0)
    kernel = np.array([[-1, -1, -1], [-1, 8 + light, -1], [-1, -1, -1]], np.float32)
    identity = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)
    return np.asarray(cv2.filter2D(image, -1, (1 - alpha) * identity + alpha * kernel))


def _moved(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Source and mask shifted and scaled together, about the middle."""
    side = image.shape[0]
    across, down = (float(rng.uniform(-share, share)) * side for share in _SHIFT)
    scale = float(rng.uniform(1 - _SCALE, 1 / (1 - _SCALE)))
    middle = (side - 1) / 2
    matrix = np.array(
        [[scale, 0, across + (1 - scale) * middle], [0, scale, down + (1 - scale) * middle]], np.float64
    )
    return (
        np.asarray(cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REFLECT_101)),
        np.asarray(cv2.warpAffine(mask, matrix, (side, side))),
    )


def _bent(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Elastic deformation (Simard et al., ICDAR 2003): smoothed noise moves every pixel of the mask."""
    side = mask.shape[0]
    field = rng.uniform(-1, 1, (2, side, side)).astype(np.float32)
    moved = [cv2.GaussianBlur(f, (0, 0), SIGMA_PX) * ALPHA_PX for f in field]
    rows, columns = np.indices((side, side), np.float32)
    return np.asarray(cv2.remap(mask, columns + moved[0], rows + moved[1], cv2.INTER_LINEAR))


def _soft(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blurred, cut back to its inside, and blurred again: soft inwards, with a random width."""
    height, width = mask.shape
    first, second = (int(k) * 2 + 5 for k in rng.integers(0, 11, 2))
    size = tuple(int(v) for v in rng.integers(192, 257, 2))
    sigma = float(rng.integers(5, 46))
    inside = cv2.GaussianBlur(cv2.resize(mask, size), (first, first), 0)
    core = np.where(inside / max(float(inside.max()), 1e-6) < 1 - 1e-6, 0, 1).astype(np.float32)
    soft: np.ndarray = cv2.GaussianBlur(core, (second, second), sigma)
    soft = soft / max(float(soft.max()), 1e-6)
    return np.asarray(cv2.resize(soft, (width, height))).clip(0, 1)
