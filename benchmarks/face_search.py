"""Face search beside facenet-pytorch's own: `python benchmarks/face_search.py --fairface FAIRFACE [--n 128]`.

Prints CPU milliseconds a photo of `facenet_pytorch.MTCNN.detect`, one photo at a time, and of
`pipelines.faces.align.FaceFinder` in batches, on whole photos (224 px) and on their middles cut out and
shrunk to 128 px, which is what the halves of pairs look like; measured in turns in the same run, and their
ratio.

Why CPU time: the machine may be shared. Why one thread: networks this small gain nothing from a second one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from facenet_pytorch import MTCNN
from PIL import Image

from pipelines.faces.align import FaceFinder

MIN_FACE_SHARE = 0.14
"""As `FaceFinder` looks for them."""


def whole(path: Path) -> np.ndarray:
    """A photo, uint8 [224,224,3]."""
    return np.asarray(Image.open(path).convert("RGB"))


def middle(path: Path) -> np.ndarray:
    """The middle of a photo, uint8 [128,128,3]."""
    return np.asarray(Image.open(path).convert("RGB").crop((32, 32, 192, 192)).resize((128, 128)))


def library(photos: Sequence[np.ndarray]) -> Callable[[Sequence[np.ndarray]], int]:
    """The library's call, photo by photo; gives the number of faces."""
    smallest = max(20, round(MIN_FACE_SHARE * photos[0].shape[0]))
    net = MTCNN(keep_all=True, min_face_size=smallest, select_largest=False).eval()

    def search(batch: Sequence[np.ndarray]) -> int:
        with torch.inference_mode():
            found = [net.detect(photo, landmarks=True)[0] for photo in batch]
        return sum(len(boxes) for boxes in found if boxes is not None)

    return search


def ours(batch: Sequence[np.ndarray], finder: FaceFinder) -> int:
    """Our search; gives the number of faces."""
    return sum(len(faces) for faces in finder.find(batch))


def cpu_seconds(work: Callable[[], int]) -> tuple[float, int]:
    started = time.process_time()
    n_faces = work()
    return time.process_time() - started, n_faces


def measure(name: str, photos: list[np.ndarray], batch_size: int, rounds: int) -> None:
    """Print one row: both searches over all photos, in turns batch by batch; the median round counts."""
    search, finder = library(photos), FaceFinder()
    batches = [photos[i : i + batch_size] for i in range(0, len(photos), batch_size)]
    search(batches[0]), ours(batches[0], finder)
    times = np.zeros((rounds, 2))
    faces = np.zeros(2, int)
    for number in range(rounds):
        for batch in batches:
            theirs_s, theirs = cpu_seconds(lambda batch=batch: search(batch))  # type: ignore[misc]
            ours_s, mine = cpu_seconds(lambda batch=batch: ours(batch, finder))  # type: ignore[misc]
            times[number] += np.array([theirs_s, ours_s]) / len(photos) * 1000
            faces += [theirs, mine]
    theirs_ms, ours_ms = np.median(times, axis=0)
    ratio = np.median(times[:, 0] / times[:, 1])
    print(
        f"{name}: facenet-pytorch {theirs_ms:.1f} CPU ms/photo, ours {ours_ms:.1f}, ratio {ratio:.1f}; "
        f"{faces[0] // rounds} and {faces[1] // rounds} faces in {len(photos)} photos"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fairface", type=Path, required=True)
    parser.add_argument("--n", type=int, default=128, help="photos")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    paths = sorted((options.fairface / "val").glob("*.jpg"))[: options.n]
    for name, read in (("photos of 224 px", whole), ("crops of 128 px", middle)):
        measure(name, [read(path) for path in paths], options.batch_size, options.rounds)


if __name__ == "__main__":
    main()
