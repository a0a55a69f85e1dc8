"""Crops are levelled, centred, unaliased, and say what they invented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.faces.align import FFHQ, TIGHT, Crop, Face, FaceFinder, align_face, nearest_centre
from pipelines.rendered import render_face

pytestmark = pytest.mark.usefixtures("one_thread")
UPRIGHT = np.array([[90, 100], [134, 100], [112, 125], [95, 150], [129, 150]], dtype=np.float32)
"""Landmarks of a level face in the middle of a 224 px photo."""


def turned(points: np.ndarray, degrees: float, scale: float = 1.0) -> np.ndarray:
    a = np.deg2rad(degrees)
    matrix = scale * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return (points - 112) @ matrix.T + 112


def dots(points: np.ndarray, size_px: int = 224) -> np.ndarray:
    """A photo with a soft white dot at each landmark."""
    y, x = np.mgrid[0:size_px, 0:size_px]
    bright = sum(np.exp(-((x - p[0]) ** 2 + (y - p[1]) ** 2) / 8) for p in points)
    return np.repeat((np.clip(bright, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)


def centroid(image: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    weight = image[..., 0].astype(float)
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@settings(max_examples=25, deadline=None)
@given(degrees=st.floats(-40, 40), scale=st.floats(0.6, 1.0))
def test_every_turn_and_scale_gives_the_same_crop(degrees: float, scale: float):
    upright, _ = align_face(dots(UPRIGHT), UPRIGHT, TIGHT)
    moved_points = turned(UPRIGHT, degrees, scale)
    moved, _ = align_face(dots(moved_points), moved_points, TIGHT)
    assert np.abs(centroid(upright) - centroid(moved)).max() < 1.5


def test_eyes_are_level_and_centred():
    points = turned(UPRIGHT, 25)
    eyes = points[:2]
    crop, _ = align_face(dots(eyes), points, TIGHT)
    y, x = np.nonzero(crop[..., 0] > 100)
    middle = (TIGHT.size_px - 1) / 2
    left, right = y[x < middle].mean(), y[x >= middle].mean()
    assert abs(left - right) < 1.0
    assert abs(x.mean() - middle) < 1.0


def test_inside_the_photo_nothing_is_invented():
    crop, share = align_face(dots(UPRIGHT), UPRIGHT, TIGHT)
    assert crop.shape == (TIGHT.size_px, TIGHT.size_px, 3)
    assert crop.dtype == np.uint8
    assert share == 0.0


def test_the_ffhq_frame_of_a_narrow_chip_is_partly_invented():
    wide = turned(UPRIGHT, 0, 1.35)
    _, share = align_face(dots(wide), wide, FFHQ)
    assert 0.1 < share < 0.6


def test_invented_border_mirrors_the_photo():
    photo = np.zeros((224, 224, 3), np.uint8)
    photo[:, :20] = 200
    crop, share = align_face(photo, UPRIGHT - [95, 0], TIGHT)
    bright = np.nonzero(crop[TIGHT.size_px // 2, :, 0] > 100)[0]
    assert share > 0.25
    assert bright.min() > 5, "beyond 20 mirrored columns the photo's dark part comes back"
    scale = TIGHT.size_px / (2 * 0.52 * max(2 * 44, 1.8 * 50))
    assert np.ptp(bright) + 1 == pytest.approx(40 * scale, abs=3)


def test_shrinking_does_not_alias():
    y, x = np.mgrid[0:1792, 0:1792]
    checks = np.repeat((((x + y) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)
    crop, _ = align_face(checks, UPRIGHT * 8, TIGHT)
    assert crop.std() < 12


def test_same_size_square_crop_is_the_photo_itself():
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 255, (100, 100, 3), dtype=np.uint8)
    points = np.array([[35, 35.0], [65, 35], [50, 50], [40, 65], [60, 65]]) - 0.5
    frame = Crop("whole", 100, reach=50 / 60, drop=0.5, max_border_share=1)
    crop, share = align_face(photo, points, frame)
    assert share == 0.0
    assert np.abs(crop.astype(int) - photo).mean() < 1.0


def test_nearest_the_centre_not_the_most_confident():
    edge = Face((0, 0, 50, 50), 0.99, UPRIGHT)
    middle = Face((90, 90, 130, 130), 0.8, UPRIGHT)
    assert nearest_centre([edge, middle], 224, 224) is middle
    with pytest.raises(ValueError, match="empty"):
        nearest_centre([], 224, 224)


def test_mtcnn_finds_real_faces_whatever_the_batch(fairface_dir: Path):
    paths = sorted((fairface_dir / "val").glob("*.jpg"))[:24]
    photos = [np.asarray(Image.open(p).convert("RGB")) for p in paths]
    finder = FaceFinder()
    together = finder.find(photos)
    assert sum(bool(f) for f in together) >= 22
    for n in (1, 5, 7):
        found = [faces for i in range(0, len(photos), n) for faces in finder.find(photos[i : i + n])]
        for a, b in zip(together, found, strict=True):
            assert len(a) == len(b)
            for x, y in zip(a, b, strict=True):
                assert x.landmarks.tobytes() == y.landmarks.tobytes()
                assert x.box == y.box


def test_photos_of_many_sizes_keep_their_order_and_their_own_pixels():
    rng = np.random.default_rng(4)
    face = Image.fromarray(render_face("20-29", "Female", "White", rng))
    sizes = [(224, 224), (1400, 1400), (160, 200), (10, 10), (224, 224), (700, 700), (160, 200)]
    photos = [np.asarray(face.resize(size)) for size in sizes]
    photos[4] = photos[4][:, ::-1]
    finder = FaceFinder()
    together = finder.find(photos)
    assert [bool(faces) for faces in together] == [True, True, True, False, True, True, True]
    for photo, faces in zip(photos, together, strict=True):
        for one, other in zip(faces, finder.find([photo])[0], strict=True):
            assert one.landmarks.tobytes() == other.landmarks.tobytes()
            assert one.box == other.box
    for number, (width, height) in enumerate(sizes):
        if together[number]:
            left, top, right, bottom = together[number][0].box
            assert 0.3 < (right - left) / width < 1
            assert 0.3 < (bottom - top) / height < 1.1


def test_no_face_in_noise_and_sizes_may_differ():
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 255, (s, s + 10, 3), dtype=np.uint8) for s in (10, 60, 900)]
    assert FaceFinder().find(photos) == [[], [], []]
    assert FaceFinder().find([]) == []
