"""Photos to face crops: read, find the face, align; whatever fails becomes a row with its reason.

A shard's items enter; one `Attempt` an item leaves, in the same order.

Why a lost folder is told from a lost photo: if the photos' mount goes away, marking ten thousand
photos as missing would be a quiet disaster. When a photo cannot be read, the label tables and the
photo folder are looked at again; if they are gone too, the run stops instead.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.dataset.manifest import OK
from pipelines.errors import FaceCutOff, NoFaceFound, PhotoError, PhotoMissing, PhotoUnreadable, SourceLost
from pipelines.faces.align import Crop, Face, FaceFinder, align_face, nearest_centre
from pipelines.faces.face_geometry import landmarks_in_crop, pose_of
from pipelines.generators.protocol import FaceCrop
from pipelines.labels import ATTRIBUTES
from pipelines.sources.jpeg_tables import Tables
from pipelines.sources.photos import Photo, read_photo


@dataclass
class Attempt:
    """One item on its way to being a pair."""

    row: dict[str, Any]
    """The manifest's row, filled as it goes."""
    crop: np.ndarray | None = None
    """uint8 [S,S,3], the real half; None for a reject."""
    latent: np.ndarray | None = field(default=None, repr=False)
    """float32 [n_rows,style_dim], where an earlier run saved it."""
    fake: np.ndarray | None = field(default=None, repr=False)
    """uint8 [S,S,3], the fake half, where it was given and not made."""
    tables: Tables | None = None
    """How the photo's file was compressed, where it is a JPEG."""
    written: Path | None = None
    """The real half's file of a finished dataset, kept byte by byte: to compress it again would change it."""
    landmarks: np.ndarray | None = field(default=None, repr=False)
    """float32 [5,2], in the crop's pixels, where a photo was searched."""
    photo_eye_distance_px: float = float("nan")
    """Distance of the eyes in the photo."""

    def reject(self, fault: PhotoError) -> None:
        """Mark as failed, with the reason."""
        self.row |= {"status": fault.reason, "detail": str(fault)}
        self.crop = None

    def _label(self, name: str) -> str:
        """A label; an unknown one is like nobody else's, so that no two labels meet in one face."""
        value = self.row.get(name)
        return f"unlabelled {self.row['pair_id']}" if value is None else str(value)

    def face(self) -> FaceCrop:
        """What a generator is shown of an attempt that has a crop."""
        assert self.crop is not None
        return FaceCrop(
            pair_id=str(self.row["pair_id"]),
            pixels=self.crop,
            cell=tuple(self._label(name) for name in ATTRIBUTES),
            sha256=self.row.get("source_sha256"),
            landmarks=self.landmarks,
            photo_eye_distance_px=self.photo_eye_distance_px,
            latent=self.latent,
            given=self.fake,
        )


def prepare(
    rows: list[dict[str, Any]],
    photos: list[Path],
    probes: list[Path],
    finder: FaceFinder,
    crop: Crop,
    batch_size: int,
    pool: Executor,
    advance: Callable[[int], None],
) -> list[Attempt]:
    """Make the real halves of a shard.

    Args:
        rows: the manifest's rows as far as they are known.
        photos: where each photo lies.
        probes: files and folders that must be there while the photos' folder is.
        finder: the face detector.
        crop: the generator's crop, at the size wanted.
        batch_size: photos searched at once.
        pool: threads that read and align.
        advance: told how many more photos were rejected, after each batch.

    Returns:
        One attempt a photo; those that failed have no crop.

    Raises:
        SourceLost: the photos' folder went away, or the machine cannot read for now.
    """
    attempts: list[Attempt] = []
    for part, read in _read_ahead(rows, photos, batch_size, pool):
        check_source(read, probes)
        good = [(a, p) for a, p in zip(part, read, strict=True) if isinstance(p, Photo)]
        faces = finder.find([photo.pixels for _, photo in good])
        tasks = [
            pool.submit(_align, attempt, photo, seen, crop)
            for (attempt, photo), seen in zip(good, faces, strict=True)
        ]
        for task in tasks:
            task.result()
        attempts += part
        advance(sum(a.crop is None for a in part))
    return attempts


def _read_ahead(
    rows: list[dict[str, Any]], photos: list[Path], batch_size: int, pool: Executor
) -> Iterator[tuple[list[Attempt], list[Photo | PhotoError]]]:
    """Batches of photos, the next one being read while this one is used."""
    starts = range(0, len(rows), batch_size)
    waiting = [pool.submit(read_or_reason, path) for path in photos[:batch_size]]
    for start in starts:
        ahead = [pool.submit(read_or_reason, p) for p in photos[start + batch_size : start + 2 * batch_size]]
        part = [Attempt(dict(row)) for row in rows[start : start + batch_size]]
        read = [task.result() for task in waiting]
        for attempt, photo in zip(part, read, strict=True):
            if isinstance(photo, PhotoError):
                attempt.reject(photo)
            else:
                attempt.row |= {"source_sha256": photo.sha256, "detail": photo.note}
                attempt.tables = photo.tables
        yield part, read
        waiting = ahead


def read_or_reason(path: Path) -> Photo | PhotoError:
    """A photo, or why there is none.

    Raises:
        SourceLost: as `images.read_bytes`.
    """
    try:
        return read_photo(path)
    except PhotoError as fault:
        return fault


def check_source(read: list[Photo | PhotoError], probes: list[Path]) -> None:
    """Stop if a photo cannot be had because its folder is gone."""
    if not any(isinstance(each, PhotoMissing | PhotoUnreadable) for each in read):
        return
    for probe in probes:
        try:
            gone = not any(probe.iterdir()) if probe.is_dir() else not probe.is_file()
        except OSError:
            gone = True
        if gone:
            raise SourceLost(
                f"{probe} went away in the middle of the run; bring it back and run the same command "
                "again to continue"
            )


def _align(attempt: Attempt, photo: Photo, faces: list[Face], crop: Crop) -> None:
    """Cut out the face nearest the centre, or reject the photo."""
    height, width = photo.pixels.shape[:2]
    attempt.row |= {"n_faces": len(faces)}
    if not faces:
        attempt.reject(NoFaceFound(f"the face detector finds no face in {width} x {height} px"))
        return
    face = nearest_centre(faces, height, width)
    pixels, share = align_face(photo.pixels, face.landmarks, crop)
    attempt.row |= {"confidence": face.confidence, "border_share": share}
    if share > crop.max_border_share:
        attempt.reject(
            FaceCutOff(
                f"{share:.0%} of the {crop.name} crop lies outside the photo; "
                f"the limit is {crop.max_border_share:.0%}"
            )
        )
        return
    attempt.row |= {"status": OK}
    attempt.crop, attempt.landmarks = pixels, landmarks_in_crop(face.landmarks, crop)
    attempt.photo_eye_distance_px = pose_of(face.landmarks).eye_distance_px


def at_size(crop: Crop, size_px: int) -> Crop:
    """The same crop geometry, cut at another size."""
    return replace(crop, size_px=size_px)
