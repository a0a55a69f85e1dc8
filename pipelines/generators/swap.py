"""Face swaps: the face of another person of the same age, gender and race, cloned into the photo.

`FaceCrop`s with landmarks and a `DonorPool` enter; fakes with their masks and donors leave, or the reason why
there is none.

How: the donor is the one of the cell, or its mirror image, whose pose is nearest; a similarity lays its five
landmarks over those of the photo; its colours are matched in Lab (Reinhard et al. 2001); the inside of the
face's outline is cloned in (Poisson image editing, Perez et al., SIGGRAPH 2003).

Why a similarity and gates: a full affine map fitted to another pose breaks faces. A face turned too far, a
donor whose pose differs, points that do not fit, a face that is not found again in its place, colours that
bled: each is a reject with its reason, counted by group, and none is a broken fake that any detector spots.

Why the donor comes from the cell: a face must not carry two labels.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import cv2
import numpy as np

from pipelines.errors import FaceTooSmall, FaceTurned, FakeImplausible, NoDonor, NoLandmarks, PhotoError
from pipelines.faces.align import Face, FaceFinder
from pipelines.faces.face_geometry import Pose, outline, pose_of, similarity
from pipelines.generators.donors import Donor, DonorPool
from pipelines.generators.protocol import FaceCrop, Fake

MAX_YAW: Final = 0.6
MAX_YAW_GAP: Final = 0.20
MAX_PITCH_GAP: Final = 0.15
MAX_MISFIT: Final = 0.09
"""Root mean square distance of the landmarks after the similarity, in eye distances."""
MIN_EYE_DISTANCE_PX: Final = 16.0
MIN_DONOR_DETAIL: Final = 0.6
"""Smallest eye distance of a donor in its photo, as a share of the other's: less is blur."""
MIN_CONFIDENCE: Final = 0.95
MAX_DRIFT: Final = 0.30
"""Root mean square, of the landmarks found in the fake from those in the real half, in eye distances."""
MAX_BLEED: Final = 16.0
"""Mean distance in the Lab plane of colours (a, b) between the face cloned in and the donor's matched one."""
TRIES: Final = 3
RECIPE: Final = (
    "swap 2: donor or its mirror image, similarity on five points, Lab match, Poisson cloning, gates as in "
    "its module"
)
_EDGE: Final = 0.04
"""Of the crop's side that is never replaced, so that every seam lies inside the image."""
_BATCH: Final = 16


class Swap:
    """Makes face swaps.

    Args:
        pool: who can lend a face.
        finder: the face detector, for the last gate.
    """

    def __init__(self, pool: DonorPool, finder: FaceFinder) -> None:
        self.pool, self.finder = pool, finder

    def fakes(self, shard: int, faces: Sequence[FaceCrop]) -> Iterator[list[Fake | PhotoError]]:
        """See `protocol.Generator`."""
        for start in range(0, len(faces), _BATCH):
            yield self._batch(faces[start : start + _BATCH])

    def _batch(self, faces: Sequence[FaceCrop]) -> list[Fake | PhotoError]:
        """The best donor first; a fake that fails the last gate gives way to the next donor's."""
        waiting = [self._candidates(face) for face in faces]
        answers: list[Fake | PhotoError | None] = [w if isinstance(w, PhotoError) else None for w in waiting]
        able = [i for i, candidates in enumerate(waiting) if _listed(candidates)]
        before = dict(zip(able, self.finder.find([faces[i].pixels for i in able]), strict=True))
        for turn in range(TRIES):
            trying = [
                (i, _listed(waiting[i])[turn])
                for i, answer in enumerate(answers)
                if not isinstance(answer, Fake) and len(_listed(waiting[i])) > turn
            ]
            made = [(i, self._with(faces[i], donor)) for i, donor in trying]
            good = [(i, fake) for i, fake in made if isinstance(fake, Fake)]
            seen = self.finder.find([fake.pixels for _, fake in good])
            for i, answer in made:
                answers[i] = answer
            for (i, fake), found in zip(good, seen, strict=True):
                answers[i] = _if_in_place(fake, found, before[i], faces[i])
        return [a for a in answers if a is not None]

    def _candidates(self, face: FaceCrop) -> list[Donor] | PhotoError:
        """Donors that fit, the nearest pose first; or why there is none."""
        landmarks = face.landmarks
        if landmarks is None:
            return NoLandmarks("a swap needs the face's landmarks, and none are known")
        pose = pose_of(landmarks)
        if abs(pose.yaw) > MAX_YAW:
            return FaceTurned(f"the nose lies {abs(pose.yaw):.2f} off the middle; the limit is {MAX_YAW}")
        if face.photo_eye_distance_px < MIN_EYE_DISTANCE_PX:
            return FaceTooSmall(
                f"the eyes are {face.photo_eye_distance_px:.0f} px apart in the photo; "
                f"a swap needs {MIN_EYE_DISTANCE_PX:.0f}"
            )
        cell = ", ".join(face.cell)
        if self.pool.n_others(face.cell) < 1:
            return NoDonor(f"alone in its cell: no other photo of {cell} is labelled")
        others = [
            d for d in self.pool.donors(face.cell) if d.pair_id != face.pair_id and d.sha256 != face.sha256
        ]
        fitting = sorted(
            (d for d in others if _fits(face, pose, d)),
            key=lambda d: (_misfit(landmarks, pose, d), d.pair_id, d.mirrored),
        )
        if not fitting:
            n = len({d.pair_id for d in others})
            return NoDonor(f"of {n} donors of {cell} none stands as this face does, nor its mirror image")
        return fitting

    def _with(self, face: FaceCrop, donor: Donor) -> Fake | PhotoError:
        """The fake that one donor gives."""
        assert face.landmarks is not None
        try:
            lent = self.pool.pixels(donor)
        except PhotoError as fault:
            return FakeImplausible(f"the donor {donor.pair_id} cannot be read any more: {fault}")
        matrix, _ = similarity(donor.in_crop, face.landmarks)
        side = face.pixels.shape[0]
        mask = inner_mask(outline(face.landmarks), side)
        laid = cv2.warpAffine(lent, matrix, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
        matched = colour_matched(np.asarray(laid), face.pixels, mask > 0)
        pixels = cloned(matched, face.pixels, mask)
        bled = bleed(pixels, matched, mask > 0)
        if bled > MAX_BLEED:
            return FakeImplausible(
                f"colours bled into the face by {bled:.0f} levels; the limit is {MAX_BLEED}"
            )
        return Fake(pixels, mask, donor.pair_id, note="the donor is mirrored" if donor.mirrored else "")


def _listed(waiting: list[Donor] | PhotoError) -> list[Donor]:
    return [] if isinstance(waiting, PhotoError) else waiting


def _fits(face: FaceCrop, pose: Pose, donor: Donor) -> bool:
    """Whether a donor's pose, detail and points fit a face."""
    assert face.landmarks is not None
    return (
        abs(donor.pose.yaw - pose.yaw) <= MAX_YAW_GAP
        and abs(donor.pose.pitch - pose.pitch) <= MAX_PITCH_GAP
        and donor.pose.eye_distance_px
        >= max(MIN_EYE_DISTANCE_PX, MIN_DONOR_DETAIL * face.photo_eye_distance_px)
        and similarity(donor.in_crop, face.landmarks)[1] <= MAX_MISFIT * pose.eye_distance_px
    )


def _misfit(landmarks: np.ndarray, pose: Pose, donor: Donor) -> float:
    """How far a donor is from the pose wanted: yaw first, then pitch and the points."""
    left = similarity(donor.in_crop, landmarks)[1] / pose.eye_distance_px
    return abs(donor.pose.yaw - pose.yaw) + 0.5 * abs(donor.pose.pitch - pose.pitch) + left


def _if_in_place(
    fake: Fake, found: Sequence[Face], before: Sequence[Face], face: FaceCrop
) -> Fake | PhotoError:
    """The fake, if a clear face is found in it where one was found in the real half.

    Compared with what the detector says of the real half and not with the landmarks from the photo: in a crop
    as tight as this it sees less around the face, and places points otherwise, in both halves alike.
    """
    assert face.landmarks is not None
    sure = [f for f in found if f.confidence >= MIN_CONFIDENCE]
    if not sure:
        return FakeImplausible("the face detector finds no clear face in the swap")
    places = [f.landmarks for f in before] or [face.landmarks]
    unit = pose_of(face.landmarks).eye_distance_px
    drift = min(_distance(f.landmarks, place) for f in sure for place in places) / unit
    if drift > MAX_DRIFT:
        return FakeImplausible(
            f"the swapped face's landmarks lie {drift:.2f} eye distances off; the limit is {MAX_DRIFT}"
        )
    return fake


def _distance(points: np.ndarray, others: np.ndarray) -> float:
    """Root mean square distance of points, in pixels."""
    return float(np.sqrt(((points - others) ** 2).sum(1).mean()))


def inner_mask(hull: np.ndarray, side_px: int) -> np.ndarray:
    """What a swap replaces: the outline, less a rim at the crop's edges; uint8 [S,S], 0 or 255."""
    mask = np.zeros((side_px, side_px), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(hull.astype(np.float32)).astype(np.int32), 255)
    rim = max(2, round(_EDGE * side_px))
    mask[:rim], mask[-rim:], mask[:, :rim], mask[:, -rim:] = 0, 0, 0, 0
    return mask


def colour_matched(image: np.ndarray, target: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """An image with the mean and spread of another's Lab colours inside a mask.

    Args:
        image: uint8 [S,S,3].
        target: uint8 [S,S,3].
        inside: bool [S,S].

    Returns:
        uint8 [S,S,3]. Spreads change by at most a factor of 1.6, so that noise is not blown up.

    Source: Reinhard et al., "Color transfer between images", IEEE CG&A 2001, in CIE Lab.
    """
    ours, theirs = (cv2.cvtColor(i, cv2.COLOR_RGB2LAB).astype(np.float32) for i in (image, target))
    m, s = ours[inside].mean(0), ours[inside].std(0)
    wanted_m, wanted_s = theirs[inside].mean(0), theirs[inside].std(0)
    gain = np.clip(wanted_s / np.maximum(s, 1.0), 1 / 1.6, 1.6)
    lab = np.rint((ours - m) * gain + wanted_m).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB))


def cloned(image: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Clone the inside of a mask into a target: its gradients stay, its seam takes the target's colours.

    Args:
        image: uint8 [S,S,3].
        target: uint8 [S,S,3].
        mask: uint8 [S,S], 0 or 255, 0 along the edges.

    Returns:
        uint8 [S,S,3]; outside the mask the target's very pixels.
    """
    x, y, width, height = cv2.boundingRect(mask)
    centre = (x + width // 2, y + height // 2)
    made = cv2.seamlessClone(image, target, mask.copy(), centre, cv2.NORMAL_CLONE)  # it writes into the mask
    return np.where(mask[..., None] > 0, np.asarray(made), target)


def bleed(made: np.ndarray, wanted: np.ndarray, inside: np.ndarray) -> float:
    """Mean distance of two images' colours (Lab a and b, levels) inside a mask."""
    a, b = (cv2.cvtColor(i, cv2.COLOR_RGB2LAB)[inside].astype(np.float32).mean(0) for i in (made, wanted))
    return float(np.hypot(*(a - b)[1:]))
