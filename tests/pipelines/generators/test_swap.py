"""A swap: its gates, its donors, its mirror images."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipelines.errors import FaceCovered, FaceTooSmall, FaceTurned, FakeImplausible, NoDonor, NoLandmarks
from pipelines.faces.align import TIGHT, FaceFinder
from pipelines.faces.face_geometry import landmarks_in_crop, pose_of
from pipelines.generators.donors import Donor, DonorPool
from pipelines.generators.protocol import FaceCrop
from pipelines.generators.swap import Swap
from pipelines.sources.photos import encode_png

SIDE = 128
TIGHT_128 = replace(TIGHT, size_px=SIDE)
POINTS = np.array([[45, 50], [83, 50], [64, 70], [50, 92], [78, 92]], np.float32)
CELL = ("20-29", "Male", "White")


def noise(seed, low=60, high=200, sigma=3):
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.integers(low, high, (SIDE, SIDE, 3)).astype(np.uint8), (0, 0), sigma)


@pytest.fixture(scope="module")
def swap():
    return Swap(DonorPool({CELL: []}, 0, TIGHT_128, FaceFinder(), lambda _: None))


def one(swap, **changes):
    known = {"landmarks": POINTS, "photo_eye_distance_px": 40.0, "pixels": noise(3)} | changes
    ((answer,),) = swap.fakes(0, [FaceCrop("a", cell=CELL, sha256="0" * 64, **known)])
    return answer


def turned():
    points = POINTS.copy()
    points[2, 0] += 15
    return points


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"landmarks": None}, NoLandmarks, "a swap needs the face's landmarks"),
        ({"landmarks": turned()}, FaceTurned, r"the nose lies 0\.79 off the middle; the limit is 0\.7"),
        (
            {"photo_eye_distance_px": 9.0},
            FaceTooSmall,
            "the eyes are 9 px apart in the photo; a swap needs 16",
        ),
        ({}, NoDonor, "alone in its cell: no other photo of 20-29, Male, White is labelled"),
    ],
)
def test_a_face_that_cannot_be_swapped_is_a_reject_with_a_reason(swap, changes, error, message):
    with pytest.raises(error, match=message):
        raise one(swap, **changes)


def with_donors(tmp_path, **photos):
    """A swap whose donors are these pictures, cut as they are, with the landmarks of the face."""
    pool = DonorPool({CELL: []}, 0, TIGHT_128, FaceFinder(), lambda _: None)
    members, known = [("a", tmp_path / "a.png")], [[]]
    for name, pixels in photos.items():
        path = tmp_path / f"{name}.png"
        path.write_bytes(encode_png(pixels))
        members.append((name, path))
        known.append([Donor(name, path, name * 32, POINTS, pose_of(POINTS), POINTS)])
        pool._crops[name] = pixels
    pool._members[CELL], pool._known[CELL] = members, known
    return Swap(pool)


def test_the_donor_whose_edge_has_least_to_hide_is_taken(tmp_path):
    near, far = noise(3), noise(3)
    far[60:70, 20:110] = 230
    fake = one(with_donors(tmp_path, bb=near, cc=far))
    assert fake.donor == "bb"
    assert (fake.pixels[fake.mask == 0] == noise(3)[fake.mask == 0]).all()
    assert 0.05 < (fake.mask > 0).mean() < 0.6


def test_a_blurred_donor_is_none(tmp_path):
    grain = np.random.default_rng(0).normal(0, 12, (SIDE, SIDE, 1))
    sharp = (noise(3) + grain).clip(0, 255).astype(np.uint8)
    with pytest.raises(NoDonor, match="of 1 donors of 20-29, Male, White none, nor its mirror image, stands"):
        raise one(with_donors(tmp_path, bb=noise(3)), pixels=sharp)
    assert one(with_donors(tmp_path, bb=sharp), pixels=sharp).donor == "bb"


def test_a_seam_that_cannot_be_hidden_is_a_reject(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.generators.swap.MAX_SEAM", 0.5)
    message = (
        r"1 donors were tried; with the best, both faces differ by \d+ levels along the edge; the limit is"
    )
    with pytest.raises(FakeImplausible, match=message):
        raise one(with_donors(tmp_path, bb=noise(8)))


def test_a_covered_face_is_a_reject(swap):
    pixels = noise(3, 150, 180)
    pixels[:62], pixels[80:] = (20, 40, 160), (20, 40, 160)
    with pytest.raises(
        FaceCovered, match=r"\d\d% of the inner face has not its skin's colour; the limit is 50%"
    ):
        raise one(swap, pixels=pixels)


def test_a_mirrored_donor_is_its_mirror_image(tmp_path):
    """The five points of the mirrored crop lie where those of the photo turned about lie."""
    points = POINTS + np.float32([6, -3])
    points[2, 0] += 9  # turned to one side
    frame, pixels = landmarks_in_crop(points, TIGHT), noise(5)
    path = tmp_path / "donor.png"
    path.write_bytes(encode_png(pixels))
    donor = Donor("b", path, "1" * 64, points, pose_of(points), frame)
    mirror = donor.mirror(TIGHT.size_px)
    assert mirror.pose.yaw == -donor.pose.yaw != 0 and mirror.mirrored
    assert pose_of(mirror.in_crop).yaw == pytest.approx(-pose_of(frame).yaw, abs=1e-5)
    assert mirror.mirror(TIGHT.size_px).in_crop == pytest.approx(frame, abs=1e-4)
    pool = DonorPool({}, 0, TIGHT, FaceFinder(), lambda _: None)
    assert (pool.pixels(mirror) == pool.pixels(donor)[:, ::-1]).all()
    first = pool.look(mirror)
    pool._looks.clear()
    assert pool.look(donor) == first  # whoever asks first


def test_a_face_turned_the_other_way_takes_the_mirror_image(swap, tmp_path):
    """With one donor, turned to the other side, only its mirror image fits."""
    turned_left, turned_right = POINTS.copy(), POINTS.copy()
    turned_left[2, 0] -= 6
    turned_right[2, 0] += 6
    donor = Donor("b", tmp_path / "b.png", "1" * 64, turned_right, pose_of(turned_right), turned_right)
    swap.pool._members[CELL] = [("a", donor.path), ("b", donor.path)]
    swap.pool._known[CELL] = [[], [donor, donor.mirror(SIDE)]]
    swap.pool._crops["b"] = noise(3)[:, ::-1]
    fake = one(swap, landmarks=turned_left)
    assert fake.donor == "b" and fake.note == "the donor is mirrored"
