"""Face swaps: the face of another person of the same age, gender and race, laid into the photo.

`FaceCrop`s with landmarks and a `DonorPool` enter; fakes with their masks and donors leave, or the reason why
there is none.

How: donors of the cell, or their mirror images, that stand as the face does are tried, the nearest first; a
similarity lays a donor's five landmarks over those of the photo; `pipelines.faces.blending` gives it the
photo's colour, light and detail. What is replaced is the inner face, brows to lower lip: five points cannot
follow the jaw and the hair, and a swap that takes them takes caps, hands and half a hairline too. Of the
donors tried the one is taken whose edge has the least to hide.

Why a similarity and gates: a full affine map fitted to another pose breaks faces. A face turned too far or
covered, a donor whose pose differs, points that do not fit, a blurred face in a sharp photo, an edge that
cannot be hidden: each is a reject with its reason, counted by group, and none is a broken fake that any
detector spots.

Why the fake is not searched for its face here: its landmarks are known, they are the photo's. Whether the
face detector finds it is measured afterwards, for this kind as for the others, and is no selection.

Why the donor comes from the cell: a face must not carry two labels.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import cv2
import numpy as np

from pipelines.errors import (
    FaceCovered,
    FaceTooSmall,
    FaceTurned,
    FakeImplausible,
    NoDonor,
    NoLandmarks,
    PhotoError,
)
from pipelines.faces.blending import Laid, Receiver
from pipelines.faces.face_geometry import Pose, inner_outline, pose_of, similarity
from pipelines.faces.face_look import FaceLook, look_of
from pipelines.generators.donors import Donor, DonorPool
from pipelines.generators.protocol import FaceCrop, Fake

MAX_YAW: Final = 0.7
MAX_YAW_GAP: Final = 0.20
MAX_PITCH_GAP: Final = 0.15
MAX_MISFIT: Final = 0.09
"""Root mean square distance of the landmarks after the similarity, in eye distances."""
MIN_EYE_DISTANCE_PX: Final = 16.0
MIN_DONOR_DETAIL: Final = 0.6
"""Smallest eye distance of a donor in its photo, as a share of the other's: less is blur."""
MAX_COVERED: Final = 0.50
MAX_DONOR_COVERED: Final = 0.25
"""Share of a face that does not have the colour of its skin: sunglasses, a hand, a cap's shadow."""
MAX_SEAM: Final = 18.0
"""Of `Laid.seam`, in levels of Lab."""
MAX_DETAIL_GAIN: Final = 1.5
"""Of `Laid.detail_gain`: a donor whose face is more blurred than this is not taken."""
DEPTHS: Final = (12, 36, 72)
"""Photos of a cell that are looked at: more only where those before gave nothing."""
TRIES: Final = 4
"""Donors laid in, at each depth."""
RECIPE: Final = (
    "swap 3: donor or its mirror image, similarity on five points, inner face, Lab match, light and detail "
    "of the photo, faded edge, best of some by the seam, gates as in its module"
)


class Swap:
    """Makes face swaps.

    Args:
        pool: who can lend a face.
    """

    def __init__(self, pool: DonorPool) -> None:
        self.pool = pool

    def fakes(self, shard: int, faces: Sequence[FaceCrop]) -> Iterator[list[Fake | PhotoError]]:
        """See `protocol.Generator`."""
        for face in faces:
            try:
                yield [self._fake(face)]
            except PhotoError as fault:
                yield [fault]

    def _fake(self, face: FaceCrop) -> Fake:
        """The best blend of the first depth that has a good one.

        Raises:
            PhotoError: why there is none.
        """
        look = _checked(face)
        if self.pool.n_others(face.cell) < 1:
            raise NoDonor(f"alone in its cell: no other photo of {', '.join(face.cell)} is labelled")
        assert face.landmarks is not None
        unit = pose_of(face.landmarks).eye_distance_px
        receiver = Receiver(face.pixels, inner_outline(face.landmarks), unit)
        tried: list[tuple[Donor, Laid]] = []
        for depth in DEPTHS:
            known = {(donor.pair_id, donor.mirrored) for donor, _ in tried}
            fitting = [d for d in self._fitting(face, look, depth) if (d.pair_id, d.mirrored) not in known]
            made = [(donor, receiver.laid(self._moved(face, donor))) for donor in fitting[:TRIES]]
            good = [(donor, laid) for donor, laid in made if _fault_of(laid) is None]
            if good:
                donor, laid = min(good, key=lambda one: one[1].seam)
                best = receiver.blended(laid)
                note = "the donor is mirrored" if donor.mirrored else ""
                return Fake(best.pixels, best.weight, donor.pair_id, note=note)
            tried += made
        if not tried:
            raise self._no_donor(face)
        nearest = _fault_of(min(tried, key=lambda one: one[1].seam)[1])
        raise FakeImplausible(f"{len(tried)} donors were tried; with the best, {nearest}")

    def _no_donor(self, face: FaceCrop) -> NoDonor:
        others = {d.pair_id for d in self._others(face, DEPTHS[-1])}
        cell = ", ".join(face.cell)
        return NoDonor(
            f"of {len(others)} donors of {cell} none, nor its mirror image, stands as this face does and is "
            "as sharp"
        )

    def _others(self, face: FaceCrop, depth: int) -> list[Donor]:
        found = self.pool.donors(face.cell, depth)
        return [d for d in found if d.pair_id != face.pair_id and d.sha256 != face.sha256]

    def _fitting(self, face: FaceCrop, look: FaceLook, depth: int) -> list[Donor]:
        """Donors that fit, the nearest first."""
        assert face.landmarks is not None
        landmarks, pose = face.landmarks, pose_of(face.landmarks)
        standing = [d for d in self._others(face, depth) if _stands(face, pose, d)]
        fitting = [(d, self.pool.look(d)) for d in standing]
        ranked = sorted(
            (_distance(landmarks, pose, d) + seen.covered, d.pair_id, d.mirrored, d)
            for d, seen in fitting
            if seen.covered <= MAX_DONOR_COVERED and look.detail <= MAX_DETAIL_GAIN * seen.detail
        )
        return [one[-1] for one in ranked]

    def _moved(self, face: FaceCrop, donor: Donor) -> np.ndarray:
        """A donor's face where the photo has its own; uint8 [S,S,3]."""
        assert face.landmarks is not None
        matrix, _ = similarity(donor.in_crop, face.landmarks)
        size = face.pixels.shape[1::-1]
        lent = self.pool.pixels(donor)
        moved = cv2.warpAffine(lent, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(moved)


def _checked(face: FaceCrop) -> FaceLook:
    """What a face that can be swapped looks like.

    Raises:
        PhotoError: why not.
    """
    if face.landmarks is None:
        raise NoLandmarks("a swap needs the face's landmarks, and none are known")
    yaw = abs(pose_of(face.landmarks).yaw)
    if yaw > MAX_YAW:
        raise FaceTurned(f"the nose lies {yaw:.2f} off the middle; the limit is {MAX_YAW}")
    if face.photo_eye_distance_px < MIN_EYE_DISTANCE_PX:
        raise FaceTooSmall(
            f"the eyes are {face.photo_eye_distance_px:.0f} px apart in the photo; "
            f"a swap needs {MIN_EYE_DISTANCE_PX:.0f}"
        )
    look = look_of(face.pixels, face.landmarks)
    if look.covered > MAX_COVERED:
        raise FaceCovered(
            f"{look.covered:.0%} of the inner face has not its skin's colour; the limit is {MAX_COVERED:.0%}"
        )
    return look


def _stands(face: FaceCrop, pose: Pose, donor: Donor) -> bool:
    """Whether a donor's pose, size and points fit a face."""
    assert face.landmarks is not None
    return (
        abs(donor.pose.yaw - pose.yaw) <= MAX_YAW_GAP
        and abs(donor.pose.pitch - pose.pitch) <= MAX_PITCH_GAP
        and donor.pose.eye_distance_px
        >= max(MIN_EYE_DISTANCE_PX, MIN_DONOR_DETAIL * face.photo_eye_distance_px)
        and similarity(donor.in_crop, face.landmarks)[1] <= MAX_MISFIT * pose.eye_distance_px
    )


def _distance(landmarks: np.ndarray, pose: Pose, donor: Donor) -> float:
    """How far a donor is from the pose wanted: yaw first, then pitch and the points."""
    left = similarity(donor.in_crop, landmarks)[1] / pose.eye_distance_px
    turned = abs(donor.pose.yaw - pose.yaw) + 0.5 * abs(donor.pose.pitch - pose.pitch)
    return turned + left


def _fault_of(laid: Laid) -> str | None:
    """Why a face laid in is not good enough; None where it is."""
    if laid.detail_gain > MAX_DETAIL_GAIN:
        return f"the photo is {laid.detail_gain:.1f} times as sharp; the limit is {MAX_DETAIL_GAIN}"
    if laid.seam > MAX_SEAM:
        return f"both faces differ by {laid.seam:.0f} levels along the edge; the limit is {MAX_SEAM:.0f}"
    return None
