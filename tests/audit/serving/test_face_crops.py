"""A crop of a face is scored as `audit score` scores it; the same crop in a larger photo is cut out."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import detectors
from audit.serving.limits import Limits
from audit.serving.looking import Looker
from audit.serving.uploads import Upload
from detectors.data.preprocessing import Preprocessing
from detectors.models.architectures import build
from detectors.models.checkpoint import save_checkpoint
from detectors.models.loading import load_detector
from pipelines.faces.align import TIGHT, FaceFinder, align_face


@pytest.fixture(scope="module")
def from_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights that says it has learned from pairs."""
    torch.manual_seed(0)
    path, half = tmp_path_factory.mktemp("pairs") / "tiny.pt", (0.5, 0.5, 0.5)
    known = {"data": {"layout": "pairs"}}
    save_checkpoint(path, "simplenet", build("simplenet", 2), Preprocessing(32, mean=half, std=half), known)
    return path


@pytest.fixture(scope="module")
def looker(from_pairs: Path) -> Iterator[Looker]:
    found = Looker(load_detector(from_pairs), 0.5, Limits())
    yield found
    found.close()


@pytest.fixture(scope="module")
def crops(fairface_dir: Path) -> list[np.ndarray]:
    """Faces as the pairs hold them; those that MTCNN sees in the crop itself."""
    photos = [
        np.asarray(Image.open(p).convert("RGB")) for p in sorted((fairface_dir / "val").glob("*.jpg"))[:16]
    ]
    finder = FaceFinder()
    cut = [
        align_face(photo, faces[0].landmarks, TIGHT)
        for photo, faces in zip(photos, finder.find(photos), strict=True)
        if faces
    ]
    kept = [crop for crop, border in cut if border <= TIGHT.max_border_share]
    return [crop for crop, faces in zip(kept, finder.find(kept), strict=True) if faces]


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def looked(looker: Looker, pixels: np.ndarray):
    return asyncio.run(looker.look(Upload("a.png", png(pixels))))


@pytest.mark.slow
def test_a_face_crop_has_the_score_of_the_command_line(looker, from_pairs, crops, tmp_path):
    same = 0
    for i, crop in enumerate(crops):
        path = tmp_path / f"{i}.png"
        path.write_bytes(png(crop))
        given = detectors.load(from_pairs).score(path).iloc[0].score
        look = looked(looker, crop)
        if "as it is" in look.faces[0].shown:
            assert len(look.faces) == look.n_found == 1
            assert look.faces[0].score == pytest.approx(given, abs=1e-6)
            same += 1
    assert len(crops) >= 8 and same >= 0.8 * len(crops)


def test_the_same_crop_in_a_larger_photo_is_cut_out(looker, crops):
    for crop in crops[:4]:
        side = len(crop)
        photo = np.full((3 * side, 3 * side, 3), 128, np.uint8)
        photo[side : 2 * side, side : 2 * side] = crop
        look = looked(looker, photo)
        assert look.faces and all("cut out of the photo" in face.shown for face in look.faces)


def test_a_face_at_the_corner_of_a_photo_hides_nobody(looker, crops):
    """A face cut off by two edges, and one in full beside it: both are cut out, and nobody is left out."""
    for first, second in zip(crops[::2], crops[1::2], strict=False):
        photo = np.full((2 * second.shape[0], 4 * second.shape[1], 3), 127, np.uint8)
        corner = first[first.shape[0] // 8 :, first.shape[1] // 8 :]
        photo[: corner.shape[0], : corner.shape[1]] = corner
        below, beside = second.shape[0] // 2, 2 * second.shape[1]
        photo[below : below + second.shape[0], beside : beside + second.shape[1]] = second
        look = looked(looker, photo)
        assert len(look.faces) == look.n_found >= 1
        assert all("cut out" in face.shown for face in look.faces)
