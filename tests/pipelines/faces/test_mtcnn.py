"""The cascade over a batch gives what facenet-pytorch gives for each photo alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.faces.area_resampling import MAX_SIDE_PX, Sums
from pipelines.faces.mtcnn import Candidates, Found, Mtcnn, _alone, asked
from pipelines.labels import AGES, GENDERS, RACES
from pipelines.rendered import render_face

pytestmark = pytest.mark.usefixtures("one_thread")
MIN_FACE_PX = 24
Faces = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Boxes [F,4], probabilities [F] and landmarks [F,5,2] of one photo, in any order."""
NONE: Faces = (np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))


@pytest.fixture(scope="module")
def mtcnn() -> Mtcnn:
    return Mtcnn()


@pytest.fixture(scope="module")
def faces() -> list[np.ndarray]:
    rng = np.random.default_rng(11)
    return [render_face(AGES[i % 9], GENDERS[i % 2], RACES[i % 7], rng) for i in range(6)]


def by_the_library(photo: np.ndarray, min_face_px: int = MIN_FACE_PX) -> Faces:
    net = MTCNN(keep_all=True, min_face_size=min_face_px, select_largest=False)
    boxes, probabilities, landmarks = net.detect(photo, landmarks=True)
    if boxes is None:
        return NONE
    return boxes.astype(float), probabilities.astype(float), landmarks.astype(float)


def of_photo(found: Found, number: int) -> Faces:
    here = found.photos == number
    return found.boxes[here], found.probabilities[here], found.landmarks[here]


def assert_same(ours: Faces, theirs: Faces) -> None:
    assert len(ours[0]) == len(theirs[0])
    # Faces of equal probability may stand in either order.
    mine, others = np.argsort(ours[0][:, 0]), np.argsort(theirs[0][:, 0])
    for our, their, atol in zip(ours, theirs, (1e-2, 1e-4, 1e-2), strict=True):
        np.testing.assert_allclose(our[mine], their[others], rtol=0, atol=atol)


def placed(face: np.ndarray, size_px: int, left: int, top: int, side_px: int = 150) -> np.ndarray:
    """A grey photo with a face of a size at a place, which may reach over its edges."""
    photo = Image.new("RGB", (side_px, side_px), (120, 120, 120))
    photo.paste(Image.fromarray(face).resize((size_px, size_px)), (left, top))
    return np.asarray(photo)


def crowd(faces: list[np.ndarray], side_px: int, size_px: int) -> np.ndarray:
    """A photo full of faces, no two of them alike."""
    photo = Image.new("RGB", (side_px, side_px))
    n = side_px // size_px
    for number in range(n * n):
        face = Image.fromarray(faces[number % len(faces)] // 200 * number + faces[number % len(faces)] // 2)
        y, x = divmod(number, n)
        photo.paste(face.resize((size_px, size_px)), (x * size_px, y * size_px))
    return np.asarray(photo)


@pytest.mark.parametrize("width, height", [(224, 224), (131, 97), (97, 150)])
def test_a_batch_gives_what_the_library_gives_photo_by_photo(mtcnn, faces, width, height):
    photos = [np.asarray(Image.fromarray(f).resize((width, height))) for f in faces]
    photos[3] = np.full_like(photos[3], 90)
    found = mtcnn.search(np.stack(photos), MIN_FACE_PX)
    assert np.array_equal(np.lexsort((-found.probabilities, found.photos)), np.arange(len(found.photos)))
    assert len(found.photos) >= 4
    for number, photo in enumerate(photos):
        assert_same(of_photo(found, number), by_the_library(photo))


@pytest.fixture(scope="module")
def pool(faces) -> np.ndarray:
    """Photos of one size: faces whole, small, cut off at each corner; and two without any."""
    rng = np.random.default_rng(2)
    photos = [placed(faces[0], 150, 0, 0)]
    photos += [placed(faces[1], 60, x, y) for x, y in ((-8, -8), (98, 0), (0, 98), (98, 98))]
    photos += [placed(faces[3], 200, -66, -66), crowd(faces, 150, 50)]
    photos += [rng.integers(0, 256, (150, 150, 3), dtype=np.uint8), np.zeros((150, 150, 3), np.uint8)]
    return np.stack(photos)


@pytest.fixture(scope="module")
def alone(mtcnn, pool) -> list[Faces]:
    return [of_photo(mtcnn.search(photo[None], MIN_FACE_PX), 0) for photo in pool]


def test_the_pool_is_searched_as_by_the_library(pool, alone):
    assert {len(a[0]) for a in alone} >= {0, 1}
    assert max(len(a[0]) for a in alone) > 5
    for photo, ours in zip(pool, alone, strict=True):
        assert_same(ours, by_the_library(photo))


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 8), min_size=2, max_size=5))
def test_what_is_in_a_photo_has_no_influence_on_another(mtcnn, pool, alone, numbers):
    found = mtcnn.search(pool[numbers], MIN_FACE_PX)
    for place, number in enumerate(numbers):
        assert_same(of_photo(found, place), alone[number])


def test_photos_beyond_the_budget_are_searched_in_parts(pool, alone):
    small = Mtcnn()
    small._budget = (2 * 150 * 150, 7, 3)
    found = small.search(pool, MIN_FACE_PX)
    for number, ours in enumerate(alone):
        assert_same(of_photo(found, number), ours)


def test_a_face_over_the_edge_does_not_suppress_one_in_the_photo_before(mtcnn, faces):
    """The library's batch mode loses one of the two; see `pipelines.faces.align.FaceFinder`."""
    photos = np.stack([placed(faces[0], 60, 164, 164, 224), placed(faces[3], 300, -100, -100, 224)])
    together, _ = MTCNN(keep_all=True, min_face_size=20).detect(photos)
    assert sum(boxes is not None for boxes in together) == 1, "photos that no longer show the fault"
    assert mtcnn.search(photos, 20).photos.tolist() == [0, 1]
    assert mtcnn.search(photos[::-1], 20).photos.tolist() == [0, 1]


def test_hundreds_of_candidates_in_one_photo(mtcnn, faces):
    photo = crowd(faces, 280, 40)
    found = mtcnn.search(np.stack([photo, np.zeros_like(photo), photo]), 20)
    theirs = by_the_library(photo, 20)
    assert len(theirs[0]) > 20
    assert_same(of_photo(found, 0), theirs)
    assert_same(of_photo(found, 1), NONE)
    assert_same(of_photo(found, 2), theirs)


@pytest.mark.parametrize("stage", ["first", "second", "third"])
def test_nothing_passes_a_network(pool, stage):
    doubtful = Mtcnn()
    network = getattr(doubtful, f"_{stage}")

    def never(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        *others, probability = network(images)
        return *others, torch.zeros_like(probability)

    setattr(doubtful, f"_{stage}", never)
    found = doubtful.search(pool[:2], MIN_FACE_PX)
    assert [v.shape for v in (found.photos, found.boxes, found.probabilities, found.landmarks)] == [
        (0,),
        (0, 4),
        (0,),
        (0, 5, 2),
    ]


def test_no_photos_and_photos_smaller_than_a_face(mtcnn):
    assert len(mtcnn.search(np.zeros((0, 50, 50, 3), np.uint8), 20).photos) == 0
    assert len(mtcnn.search(np.zeros((2, 19, 50, 3), np.uint8), 20).photos) == 0
    assert len(mtcnn.search(np.zeros((2, 0, 0, 3), np.uint8), 20).photos) == 0
    assert len(mtcnn.search(np.zeros((1, 20, 20, 3), np.uint8), 20).photos) == 0


@pytest.mark.parametrize(
    "photos, min_face_px, message",
    [
        (np.zeros((5, 50, 3), np.uint8), 20, r"uint8 \[5, 50, 3\]; they must be uint8 \[N,H,W,3\]"),
        (np.zeros((1, 50, 50, 3), np.float32), 20, "photos are float32"),
        (np.zeros((1, 30, MAX_SIDE_PX + 1, 3), np.uint8), 20, "photos are 1025x30 px, over 1024"),
        (np.zeros((1, 50, 50, 3), np.uint8), 11, "min_face_px is 11; it must be 12 or more"),
    ],
)
def test_what_cannot_be_searched_is_refused(mtcnn, photos, min_face_px, message):
    with pytest.raises(ValueError, match=message):
        mtcnn.search(photos, min_face_px)


def test_a_candidate_outside_the_photo_is_known_as_such():
    boxes = torch.tensor(
        [[-40.0, -40, -10, -10], [60, 5, 90, 30], [10, 70, 30, 90], [5, 5, 30, 30], [45, 45, 80, 80]]
    )
    seen = Candidates(boxes, torch.ones(5), torch.zeros(5, dtype=torch.long))
    sums = Sums(torch.zeros(1, 50, 50, 3, dtype=torch.uint8))
    (means,), inside = asked(lambda x: (x.mean((1, 2, 3)),), sums, seen, 24, 2)
    assert inside.tolist() == [False, False, False, True, True]
    assert torch.allclose(means, torch.tensor(-127.5 / 128))


def test_of_two_equally_probable_faces_the_later_stays():
    """As the library has it wherever numpy's sort is stable."""
    boxes = np.array([[0, 0, 40, 40], [2, 2, 38, 38], [0, 0, 40, 40], [60, 60, 90, 90]], np.float32)
    scores = np.array([0.9, 0.9, 0.9, 0.95], np.float32)
    assert _alone(boxes, scores, np.array([0, 0, 1, 0]), 0.7).tolist() == [3, 1, 2]
