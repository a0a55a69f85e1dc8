"""Who can lend a face: the other photos of the same age, gender and race.

All labelled photos enter; for a cell its possible donors leave, with their poses, and a donor's crop.

Why all of them and not the shard: a shard holds one or two photos of a cell, and which ones depends on how
the run is cut. The pool of a cell is drawn from the label tables by the run's seed alone, so a fake is the
same in whichever shard it stands, whoever makes it, and however often the run is killed.

Why mirror images too: a face turned to the left then has every donor that is turned to the right.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from pipelines.errors import PhotoError
from pipelines.faces.align import Crop, FaceFinder, align_face, nearest_centre
from pipelines.faces.face_geometry import Pose, landmarks_in_crop, pose_of
from pipelines.sources.photos import Photo, read_photo

Cell = tuple[str, ...]
POOL_SIZE: Final = 12
"""Donors looked at in each cell, 24 poses with their mirror images: enough for a near one, and a bound on
what is searched; in a small run this search is most of the work."""
_MIN_CONFIDENCE: Final = 0.95
_MAX_BORDER_SHARE: Final = 0.10


@dataclass(frozen=True)
class Donor:
    """A photo that may lend its face."""

    pair_id: str
    path: Path
    sha256: str
    landmarks: np.ndarray
    """float32 [5,2], in the photo's pixels."""
    pose: Pose
    """As in the photo, so that its eye distance says how large the face is there."""
    in_crop: np.ndarray
    """float32 [5,2], the landmarks in the crop's pixels."""
    mirrored: bool = False
    """Lends the mirror image of its face; pose and `in_crop` are those of the mirror image."""

    def mirror(self, side_px: int) -> "Donor":
        """The same donor mirrored, of a crop of this side."""
        points = self.in_crop[[1, 0, 2, 4, 3]]
        points[:, 0] = side_px - 1 - points[:, 0]
        return replace(self, in_crop=points, pose=replace(self.pose, yaw=-self.pose.yaw), mirrored=True)


class DonorPool:
    """The donors of every cell of a run.

    Args:
        members: cell to the pair_id and path of each labelled photo.
        seed: which photos of a large cell are looked at.
        crop: how donors are cut.
        finder: the face detector.
        check: told what was read, so that a folder that went away stops the run instead of emptying a pool.
    """

    def __init__(
        self,
        members: Mapping[Cell, Sequence[tuple[str, Path]]],
        seed: int,
        crop: Crop,
        finder: FaceFinder,
        check: Callable[[list[Photo | PhotoError]], None],
    ) -> None:
        self._members, self._seed, self._crop = members, seed, crop
        self._finder, self._check = finder, check
        self._known: dict[Cell, list[Donor]] = {}

    def n_others(self, cell: Cell) -> int:
        """How many labelled photos a cell has, less one."""
        return len(self._members.get(cell, ())) - 1

    def donors(self, cell: Cell) -> list[Donor]:
        """The donors of a cell, sorted by pair_id, each followed by its mirror image.

        Photos without one clear face are none.

        Raises:
            SourceLost: the photos' folder went away.
        """
        if cell not in self._known:
            chosen = sorted(self._members.get(cell, ()), key=lambda m: self._rank(m[0]))[:POOL_SIZE]
            self._known[cell] = self._searched(sorted(chosen))
        return self._known[cell]

    def pixels(self, donor: Donor) -> np.ndarray:
        """A donor's crop, mirrored where the donor is; uint8 [S,S,3].

        Raises:
            PhotoError: it cannot be read any more.
        """
        pixels = align_face(read_photo(donor.path).pixels, donor.landmarks, self._crop)[0]
        return np.ascontiguousarray(pixels[:, ::-1]) if donor.mirrored else pixels

    def _rank(self, pair_id: str) -> bytes:
        """A shuffled place that depends on the seed and the photo alone."""
        return hashlib.sha256(f"{self._seed}\n{pair_id}".encode()).digest()

    def _searched(self, members: Sequence[tuple[str, Path]]) -> list[Donor]:
        read = [_read(path) for _, path in members]
        self._check(read)
        there = [(m, photo) for m, photo in zip(members, read, strict=True) if isinstance(photo, Photo)]
        found = self._finder.find([photo.pixels for _, photo in there])
        donors = []
        for (member, photo), faces in zip(there, found, strict=True):
            if not faces:
                continue
            face = nearest_centre(faces, *photo.pixels.shape[:2])
            _, share = align_face(photo.pixels, face.landmarks, self._crop)
            if face.confidence >= _MIN_CONFIDENCE and share <= _MAX_BORDER_SHARE:
                inside = landmarks_in_crop(face.landmarks, self._crop)
                pose = pose_of(face.landmarks)
                donor = Donor(*member, photo.sha256, face.landmarks, pose, inside)
                donors += [donor, donor.mirror(self._crop.size_px)]
        return donors


def _read(path: Path) -> Photo | PhotoError:
    try:
        return read_photo(path)
    except PhotoError as fault:
        return fault
