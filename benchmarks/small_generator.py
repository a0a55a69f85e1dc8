"""How good the embedded generator is on held-out faces, by race; how far styles reach; how fakes are told.

    python benchmarks/small_generator.py --fairface DIR [--limit 1124] [--weights FILE]

Takes the photos of `val/`, cuts them as `audit generate-pairs` does, and prints PSNR, sharpness, MS-SSIM,
spectrum distance and faces found; then the time that encoding and decoding take on one thread.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pipelines.faces.align import FaceFinder, align_face, nearest_centre
from pipelines.generators.loading import load_generator, weights_of
from pipelines.sources.photos import read_photo
from pipelines.training.evaluate import by_group, decoded, encoded, measure, reach_of_styles, summary, traces

BATCH = 16
COLUMNS = ("n_faces", "psnr_db", "gradient_ratio", "ms_ssim", "spectrum_db", "fake_face_found")


def crops_of(paths: Sequence[Path]) -> tuple[list[dict[str, str]], np.ndarray]:
    """Rows and crops, uint8 [N,256,256,3], of photos in `val/`."""
    finder, rows, crops = FaceFinder(), [], []
    crop = load_generator().crop
    for start in range(0, len(paths), BATCH):
        part = paths[start : start + BATCH]
        photos = [read_photo(path).pixels for path in part]
        for path, photo, faces in zip(part, photos, finder.find(photos), strict=True):
            if faces:
                face = nearest_centre(faces, *photo.shape[:2])
                pixels, share = align_face(photo, face.landmarks, crop)
                if share <= crop.max_border_share:
                    rows.append({"photo": f"val/{path.name}"})
                    crops.append(pixels)
    return rows, np.stack(crops)


def milliseconds(weights: Path, crops: np.ndarray) -> tuple[float, float]:
    """CPU milliseconds a face, one thread, to encode and to decode; the best of three."""
    torch.set_num_threads(1)
    network, best = load_generator(weights), (np.inf, np.inf)
    for _ in range(3):
        began = time.process_time()
        codes = encoded(network, crops)
        middle = time.process_time()
        decoded(network, codes)
        took = ((middle - began) / len(crops) * 1e3, (time.process_time() - middle) / len(crops) * 1e3)
        best = (min(best[0], took[0]), min(best[1], took[1]))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fairface", type=Path, required=True, help="photos and labels, FairFace's layout")
    parser.add_argument("--weights", default="small")
    parser.add_argument("--limit", type=int, default=1124)
    given = parser.parse_args()
    weights = weights_of(given.weights)
    rows, reals = crops_of(sorted((given.fairface / "val").glob("*.jpg"))[: given.limit])
    network = load_generator(weights)
    codes = encoded(network, reals)
    fakes = decoded(network, codes)
    measured = measure(reals, fakes)
    groups = {"all": summary(measured), **by_group(rows, measured, given.fairface)["race"]}
    print("| race | faces | PSNR, dB | gradient ratio | MS-SSIM | spectrum distance, dB | face found |")
    print("|---|---|---|---|---|---|---|")
    for name, record in groups.items():
        print(f"| {name} | " + " | ".join(str(record[column]) for column in COLUMNS) + " |")
    print(f"styles: {reach_of_styles(network, codes[:64], weights)}")
    print(f"traces: {traces(reals, fakes)}")
    encode, decode = milliseconds(weights, reals[:32])
    print(f"encode {encode:.1f} ms, decode {decode:.1f} ms of CPU time a face")


if __name__ == "__main__":
    main()
