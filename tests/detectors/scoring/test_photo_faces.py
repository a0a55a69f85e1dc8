"""Which part of a photo a detector is shown of each face."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.data.preprocessing import Preprocessing
from detectors.scoring.photo_faces import is_framed, light_changes, network_input, seen_faces
from pipelines.faces.align import CROPS, Face

POINTS = np.array([[-0.5, 0], [0.5, 0], [0, 0.6], [-0.4, 1.1], [0.4, 1.1]])
"""Eyes one apart, nose, corners of the mouth."""


def face_at(x: float, y: float, eyes_px: float) -> Face:
    """A face whose eyes' middle lies at x, y."""
    points = (POINTS * eyes_px + (x, y)).astype(np.float32)
    box = (x - 1.1 * eyes_px, y - 1.1 * eyes_px, x + 1.1 * eyes_px, y + 1.7 * eyes_px)
    return Face(box, 0.99, points)


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", CROPS)
def test_an_image_framed_as_pairs_are_is_shown_whole(photo, name):
    crop = CROPS[name]
    eyes_px = 200 / (2 * crop.reach * 2.0)  # FFHQ's rule, this face being wide enough
    face = face_at(100, 100 - crop.drop * 1.1 * eyes_px, eyes_px)
    assert is_framed(face, photo.shape)
    (seen,) = seen_faces(photo, [face], Preprocessing(64), from_pairs=True)
    assert seen.pixels is photo and "whole image" in seen.shown


def test_a_wider_photo_is_cut_for_a_detector_that_learned_the_frame_of_pairs(photo):
    chip = face_at(100, 80, 68)  # as FairFace shows faces: between the two frames
    assert not is_framed(chip, photo.shape)
    (seen,) = seen_faces(photo, [chip], Preprocessing(64), from_pairs=True)
    assert seen.pixels.shape == (64, 64, 3) and "cut out" in seen.shown
    (other,) = seen_faces(photo, [chip], Preprocessing(64))
    assert other.pixels is photo, "what another detector has learned is not known: shown as it is"


def test_small_faces_and_several_are_cut_out(photo):
    small = face_at(60, 60, 15)
    (seen,) = seen_faces(photo, [small], Preprocessing(64))
    assert seen.pixels.shape == (64, 64, 3)
    two = seen_faces(photo, [face_at(60, 80, 60), small], Preprocessing(64))
    assert [each.pixels.shape for each in two] == [(64, 64, 3)] * 2
    (boxed,) = seen_faces(photo, [small], Preprocessing(64, face="crop"))
    assert boxed.pixels.shape[0] == boxed.pixels.shape[1] == round(1.3 * 2.8 * 15)
    (level,) = seen_faces(photo, [face_at(60, 80, 60)], Preprocessing(64, face="level"))
    assert level.pixels.shape == (64, 64, 3)


def test_a_crop_is_shown_whole_though_its_landmarks_are_off_and_its_background_looks_like_a_face(photo):
    large, beside = face_at(120, 62, 122), face_at(180, 10, 12)
    for from_pairs in (True, False):
        (seen,) = seen_faces(photo, [beside, large], Preprocessing(64), from_pairs)
        assert seen.pixels is photo and seen.box == large.box and "as it is" in seen.shown
    cut = seen_faces(photo, [beside, large], Preprocessing(64, face="level"))
    assert len(cut) == 2 and all("cut out" in each.shown for each in cut)


def test_light_changes_are_light_and_the_same_every_time(photo):
    smooth = np.repeat(np.linspace(0, 255, 200)[:, None, None], 200, 1).repeat(3, 2).astype(np.uint8)
    first, again = light_changes(smooth), light_changes(smooth)
    assert [words for words, _ in first] == ["saved as JPEG 90", "reduced to 0.9 and back"]
    for (_, one), (_, other) in zip(first, again, strict=True):
        assert (one == other).all() and one.shape == smooth.shape
        assert 0 < np.abs(one.astype(int) - smooth).mean() < 3
    assert network_input(photo, Preprocessing(64)).shape == (3, 64, 64)
