"""Training crops for the small generator: every photo cut several times, each a little differently.

Enters: folders in FairFace's layout. Leaves: `crops.npy` (uint8 [N,V,S,S,3], V versions of N photos, version
0 the exact crop) and `crops.json` (the photos, their sha256 and their set: train, tune or held out).

Why the jitter happens here and not in the training loop: a second resampling blurs, and a generator taught
on blurred faces is told apart by its blur. Each version is resampled once, from the photo.
Why a `tune` set: progress is watched on 200 photos that no gradient sees; FairFace's own `val` folder stays
untouched until the final evaluation.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipelines.faces.align import TIGHT, Crop, FaceFinder, align_face, nearest_centre
from pipelines.sources.photos import read_photo

_BATCH = 8


def jittered(landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Landmarks [5,2] after a small random similarity about their centre, so that the crop moves.

    Scale within 8 %, rotation within 5 degrees, shift within 5 % of the landmarks' extent.
    """
    centre = landmarks.mean(0)
    angle = np.deg2rad(rng.uniform(-5, 5))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    extent = np.ptp(landmarks, axis=0).max()
    shift = rng.uniform(-0.05, 0.05, 2) * extent
    return (landmarks - centre) @ turn.T * rng.uniform(0.92, 1.08) + centre + shift


def cut(
    photo: np.ndarray, landmarks: np.ndarray, crop: Crop, n_versions: int, seed: int
) -> np.ndarray | None:
    """All versions of one photo, uint8 [V,S,S,3]; None where too much of the exact crop is invented."""
    rng = np.random.default_rng(seed)
    exact, share = align_face(photo, landmarks, crop)
    if share > crop.max_border_share:
        return None
    moved = [align_face(photo, jittered(landmarks, rng), crop)[0] for _ in range(n_versions - 1)]
    return np.stack([exact, *moved])


def prepare(folders: list[Path], out: Path, n_versions: int, n_tune: int, seed: int) -> None:
    """Cut every photo of `train/` and `val/` below each folder; write `crops.npy` and `crops.json` to out."""
    rows, arrays = [], []
    for row, versions in _crops(folders, n_versions, seed):
        rows.append(row)
        arrays.append(versions)
        if len(rows) % 500 == 0:
            print(f"{len(rows)} photos cut", flush=True)
    train = [i for i, row in enumerate(rows) if row["set"] == "train" and not row["rendered"]]
    for i in np.random.default_rng(seed).choice(train, min(n_tune, len(train) // 4), replace=False):
        rows[int(i)]["set"] = "tune"
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / "crops.npy", np.stack(arrays))
    (out / "crops.json").write_text(json.dumps(rows, indent=0) + "\n")


def _crops(folders: list[Path], n_versions: int, seed: int) -> Iterator[tuple[dict[str, object], np.ndarray]]:
    finder = FaceFinder()
    for folder in folders:
        paths = sorted(folder.glob("train/*.jpg")) + sorted(folder.glob("val/*.jpg"))
        rendered = (folder / "RENDERED.txt").exists()
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            photos = [read_photo(p).pixels for p in batch]
            for path, photo, faces in zip(batch, photos, finder.find(photos), strict=True):
                if not faces:
                    continue
                landmarks = nearest_centre(faces, *photo.shape[:2]).landmarks
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                versions = cut(photo, landmarks, TIGHT, n_versions, seed ^ int(digest[:8], 16))
                if versions is not None:
                    part = "train" if path.parent.name == "train" else "held out"
                    yield {
                        "photo": f"{path.parent.name}/{path.name}", "sha256": digest,
                        "set": part, "rendered": rendered,
                    }, versions  # fmt: skip


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folders", nargs="+", type=Path, help="folders in FairFace's layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--versions", type=int, default=5)
    parser.add_argument("--tune", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    prepare(given.folders, given.out, given.versions, given.tune, given.seed)


if __name__ == "__main__":
    main()
