"""CPU time of a face swap, and of the search for donors beside it.

    python benchmarks/swap_speed.py FAIRFACE [--limit 100] [--size-px 256]

Swaps the faces of some photos of `val/`, drawn by a seed, with donors from both folders, on one thread; the
search of these photos themselves is not counted, for every kind of fake needs it.
"""

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from pipelines.errors import PhotoError
from pipelines.faces.align import TIGHT, Face, FaceFinder, align_face, nearest_centre
from pipelines.faces.face_geometry import landmarks_in_crop, pose_of
from pipelines.generators.donors import Cell, DonorPool
from pipelines.generators.protocol import FaceCrop
from pipelines.generators.swap import Swap
from pipelines.sources.fairface import read_fairface
from pipelines.sources.photos import read_photo


class TimedFinder(FaceFinder):
    """Counts the photos it searches and the CPU seconds that takes."""

    n, seconds = 0, 0.0

    def find(self, photos: Sequence[np.ndarray]) -> list[list[Face]]:
        """See `FaceFinder`."""
        began = time.process_time()
        faces = super().find(photos)
        self.n, self.seconds = self.n + len(photos), self.seconds + time.process_time() - began
        return faces


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("fairface", type=Path)
    asked.add_argument("--limit", type=int, default=100)
    asked.add_argument("--size-px", type=int, default=256)
    given = asked.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows = read_fairface(given.fairface).rows.to_dict("records")
    members: dict[Cell, list[tuple[str, Path]]] = {}
    for row in rows:
        cell = (row["age"], row["gender"], row["race"])
        members.setdefault(cell, []).append((row["source"], given.fairface / row["source"]))
    finder, crop = TimedFinder(), replace(TIGHT, size_px=given.size_px)
    swap = Swap(DonorPool(members, 0, crop, finder, lambda _: None))
    faces = []
    val = [row for row in rows if row["source"].startswith("val/")]
    for row in val[:: max(1, len(val) // given.limit)]:
        photo = read_photo(given.fairface / row["source"])
        found = finder.find([photo.pixels])[0]
        if found:
            face = nearest_centre(found, *photo.pixels.shape[:2])
            pixels, share = align_face(photo.pixels, face.landmarks, crop)
            if share <= crop.max_border_share:
                cell = (row["age"], row["gender"], row["race"])
                inside, size = (
                    landmarks_in_crop(face.landmarks, crop),
                    pose_of(face.landmarks).eye_distance_px,
                )
                faces.append(FaceCrop(row["source"], pixels, cell, photo.sha256, inside, size))
    for turn in ("donors not yet known", "donors known"):
        finder.n, finder.seconds, began = 0, 0.0, time.process_time()
        made = [answer for batch in swap.fakes(0, faces) for answer in batch]
        took = time.process_time() - began
        why = Counter(a.reason if isinstance(a, PhotoError) else "ok" for a in made)
        print(
            f"{turn}: {len(faces)} faces, {dict(why)}; {1000 * took / len(faces):.0f} ms of CPU a face, of "
            f"which {1000 * finder.seconds / len(faces):.0f} in {finder.n / len(faces):.1f} face searches"
        )


if __name__ == "__main__":
    main()
