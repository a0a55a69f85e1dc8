"""The embedded generator: small, attributed, and as good as its record says, on photos it never saw."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.faces.align import TIGHT, FaceFinder, align_face, nearest_centre
from pipelines.generators.psp import PSP, load_psp
from pipelines.generators.psp.checkpoint import read_checkpoint
from pipelines.generators.psp.config import SMALL_128
from pipelines.generators.psp.model import SMALL_WEIGHTS
from pipelines.sources.photos import read_photo
from pipelines.training.evaluate import measure, summary

RECORD = SMALL_WEIGHTS.with_name("small.quality.json")
PHOTO_LIST = SMALL_WEIGHTS.with_suffix(".photos.txt")


@pytest.fixture(scope="module")
def small() -> PSP:
    return load_psp("small")


def test_size_shape_and_attribution(small: PSP):
    assert SMALL_WEIGHTS.stat().st_size <= 16_000_000
    assert small.config == SMALL_128
    assert small.crop == TIGHT
    assert "FairFace" in small.provenance["attribution"]
    assert "CC BY 4.0" in small.provenance["attribution"]


def test_the_photo_list_is_the_one_in_the_header():
    listed = PHOTO_LIST.read_text().removesuffix("\n")
    told = read_checkpoint(SMALL_WEIGHTS).provenance["training_photos_sha256"]
    assert hashlib.sha256(listed.encode()).hexdigest() == told


def test_the_record_meets_what_was_promised():
    overall = json.loads(RECORD.read_text())["overall"]
    assert overall["n_faces"] > 900
    assert overall["psnr_db"] >= 22
    assert overall["gradient_ratio"] >= 0.8
    assert overall["fake_face_found"] >= 0.95


def test_held_out_faces_measure_as_recorded(fairface_dir: Path):
    photos = [read_photo(p).pixels for p in sorted((fairface_dir / "val").glob("*.jpg"))[:80]]
    crops = []
    for photo, faces in zip(photos, FaceFinder().find(photos), strict=True):
        if faces:
            crop, share = align_face(photo, nearest_centre(faces, *photo.shape[:2]).landmarks, TIGHT)
            if share <= TIGHT.max_border_share:
                crops.append(crop)
    assert len(crops) > 60
    found = summary(measure("small", np.stack(crops))[0])
    recorded = json.loads(RECORD.read_text())["overall"]
    assert found["psnr_db"] == pytest.approx(recorded["psnr_db"], abs=0.6)
    assert found["gradient_ratio"] == pytest.approx(recorded["gradient_ratio"], abs=0.08)
    assert found["fake_face_found"] >= 0.9


def test_no_held_out_photo_was_trained_on(fairface_dir: Path):
    listed = set(PHOTO_LIST.read_text().split())
    held_out = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (fairface_dir / "val").glob("*.jpg")]
    assert not listed & set(held_out)


def test_the_same_crop_gives_the_same_bytes_whatever_its_batch(small: PSP):
    crops = np.random.default_rng(0).integers(0, 256, (5, 128, 128, 3), dtype=np.uint8)
    fakes, latents = small.fake_twins(crops)
    again, _ = small.fake_twins(crops)
    assert fakes.dtype == np.uint8
    assert fakes.shape == crops.shape
    assert latents.shape == (5, SMALL_128.n_styles, SMALL_128.style_dim)
    assert np.array_equal(fakes, again)
    alone, _ = small.fake_twins(crops[:1])
    assert np.abs(alone.astype(int) - fakes[:1]).max() <= 1
    torch.testing.assert_close(
        small.fakes_from(torch.from_numpy(latents), 128).to(torch.int16),
        torch.from_numpy(fakes.astype(np.int16)),
    )
