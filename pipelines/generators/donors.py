"""Who can lend a face: the other photos of the same age, gender and race.

All labelled photos enter; for a cell its possible donors leave, with their poses, and a donor's crop.

Why so few are looked at: a search for faces takes longer than a swap, and in a run of a few hundred photos
most donors are not among them. The first photos of a cell, in the seed's order, are looked at for everybody;
more only for a face that finds none that fits. They are searched in the same steps whoever asks first, and
again where the photo is a source of the run too: on a GPU a face detector's last bits follow its batch, and
who was searched before must not change a byte.

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
from pipelines.faces.align import Crop, Face, FaceFinder, align_face, nearest_centre, outside_share
from pipelines.faces.face_geometry import Pose, landmarks_in_crop, pose_of
from pipelines.faces.face_look import FaceLook, look_of
from pipelines.sources.photos import Photo, read_photo

Cell = tuple[str, ...]
_MIN_CONFIDENCE: Final = 0.95
_MAX_BORDER_SHARE: Final = 0.10
_CROPS_KEPT_BYTES: Final = 192 * 1024**2
"""In a process: 1,024 crops of 256 px. The few that a cell's faces share are asked for again and again."""


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
        self._known: dict[Cell, list[list[Donor]]] = {}
        self._looks: dict[str, FaceLook] = {}
        self._crops: dict[str, np.ndarray] = {}

    def n_others(self, cell: Cell) -> int:
        """How many labelled photos a cell has, less one."""
        return len(self._members.get(cell, ())) - 1

    def donors(self, cell: Cell, n_photos: int) -> list[Donor]:
        """What the first so many photos of a cell lend, in the seed's order, each before its mirror image.

        A photo without one clear face lends nothing. Always to be asked for in the same steps.

        Raises:
            SourceLost: the photos' folder went away.
        """
        known = self._known.setdefault(cell, [])
        if len(known) < n_photos:
            ordered = sorted(self._members.get(cell, ()), key=lambda m: self._rank(m[0]))
            known += self._searched(ordered[len(known) : n_photos])
        return [donor for of_photo in known[:n_photos] for donor in of_photo]

    def pixels(self, donor: Donor) -> np.ndarray:
        """A donor's crop, mirrored where the donor is; uint8 [S,S,3].

        Raises:
            PhotoError: it cannot be read any more.
        """
        if donor.pair_id not in self._crops:
            pixels = align_face(read_photo(donor.path).pixels, donor.landmarks, self._crop)[0]
            self._crops[donor.pair_id] = pixels
            if len(self._crops) * pixels.nbytes > _CROPS_KEPT_BYTES:
                del self._crops[next(iter(self._crops))]
        pixels = self._crops[donor.pair_id]
        return np.ascontiguousarray(pixels[:, ::-1]) if donor.mirrored else pixels

    def look(self, donor: Donor) -> FaceLook:
        """What a donor's face looks like; the mirror image looks alike.

        Raises:
            PhotoError: it cannot be read any more.
        """
        if donor.pair_id not in self._looks:
            points = landmarks_in_crop(donor.landmarks, self._crop)
            pixels = self.pixels(replace(donor, mirrored=False))
            self._looks[donor.pair_id] = look_of(pixels, points)
        return self._looks[donor.pair_id]

    def _rank(self, pair_id: str) -> bytes:
        """A shuffled place that depends on the seed and the photo alone."""
        return hashlib.sha256(f"{self._seed}\n{pair_id}".encode()).digest()

    def _searched(self, members: Sequence[tuple[str, Path]]) -> list[list[Donor]]:
        """What each photo lends."""
        read = [_read(path) for _, path in members]
        self._check(read)
        there = [photo for photo in read if isinstance(photo, Photo)]
        found = iter(self._finder.find([photo.pixels for photo in there]))
        return [
            self._lent(member, photo, next(found)) if isinstance(photo, Photo) else []
            for member, photo in zip(members, read, strict=True)
        ]

    def _lent(self, member: tuple[str, Path], photo: Photo, faces: Sequence[Face]) -> list[Donor]:
        """A photo's face and its mirror image; none where there is no clear face."""
        if not faces:
            return []
        face = nearest_centre(faces, *photo.pixels.shape[:2])
        share = outside_share(photo.pixels, face.landmarks, self._crop)
        if face.confidence < _MIN_CONFIDENCE or share > _MAX_BORDER_SHARE:
            return []
        inside = landmarks_in_crop(face.landmarks, self._crop)
        donor = Donor(*member, photo.sha256, face.landmarks, pose_of(face.landmarks), inside)
        return [donor, donor.mirror(self._crop.size_px)]


def _read(path: Path) -> Photo | PhotoError:
    try:
        return read_photo(path)
    except PhotoError as fault:
        return fault
