"""The parts of a swap: colours, cloning, the mask, the gates."""

import cv2
import numpy as np
import pytest

from pipelines.errors import FaceTooSmall, FaceTurned, FakeImplausible, NoDonor, NoLandmarks
from pipelines.faces.align import TIGHT, FaceFinder
from pipelines.faces.face_geometry import landmarks_in_crop, outline, pose_of
from pipelines.generators.donors import Donor, DonorPool
from pipelines.generators.protocol import FaceCrop
from pipelines.generators.swap import Swap, bleed, cloned, colour_matched, inner_mask
from pipelines.sources.photos import encode_png

SIDE = 128
POINTS = np.array([[45, 50], [83, 50], [64, 70], [50, 92], [78, 92]], np.float32)
CELL = ("20-29", "Male", "White")


def noise(seed, low=60, high=200, sigma=3):
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.integers(low, high, (SIDE, SIDE, 3)).astype(np.uint8), (0, 0), sigma)


def test_the_mask_stays_off_the_edges_and_is_not_written_to():
    mask = inner_mask(outline(POINTS * 1.3 - 20), SIDE)
    assert not mask[:3].any() and not mask[-3:].any() and not mask[:, :3].any() and not mask[:, -3:].any()
    before = mask.copy()
    cloned(noise(1), noise(2), mask)
    assert (mask == before).all()


def test_cloning_keeps_gradients_inside_and_pixels_outside():
    """Perez et al.: inside, differences of neighbours are the source's; outside nothing moves."""
    source, target, mask = (
        noise(1),
        np.full((SIDE, SIDE, 3), 120, np.uint8),
        inner_mask(outline(POINTS), SIDE),
    )
    made = cloned(source, target, mask)
    assert (made[mask == 0] == 120).all()
    core = cv2.erode(mask, np.ones((9, 9), np.uint8)) > 0
    ours, theirs = (np.diff(i.astype(float), axis=1)[core[:, 1:]].ravel() for i in (made, source))
    assert float(ours @ theirs / (theirs @ theirs)) == pytest.approx(1, abs=0.1)


def test_colours_are_matched_inside_the_mask():
    inside = inner_mask(outline(POINTS), SIDE) > 0
    matched = colour_matched(noise(1, 20, 90), noise(2, 140, 250), inside)
    lab = [cv2.cvtColor(i, cv2.COLOR_RGB2LAB)[inside].astype(float) for i in (matched, noise(2, 140, 250))]
    assert np.abs(lab[0].mean(0) - lab[1].mean(0)).max() < 3
    assert bleed(matched, noise(2, 140, 250), inside) < 3


def test_bleeding_is_a_distance_of_colours():
    inside = np.ones((SIDE, SIDE), bool)
    red, grey = np.full((SIDE, SIDE, 3), (200, 60, 60), np.uint8), np.full((SIDE, SIDE, 3), 110, np.uint8)
    assert bleed(grey, grey, inside) == 0
    assert bleed(red, grey, inside) > 40


@pytest.fixture(scope="module")
def swap():
    finder = FaceFinder()
    return Swap(DonorPool({CELL: []}, 0, TIGHT, finder, lambda _: None), finder)


def one(swap, **changes):
    known = {"landmarks": POINTS, "photo_eye_distance_px": 40.0} | changes
    ((answer,),) = swap.fakes(0, [FaceCrop("a", noise(3), CELL, "0" * 64, **known)])
    return answer


def turned():
    points = POINTS.copy()
    points[2, 0] += 15
    return points


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"landmarks": None}, NoLandmarks, "a swap needs the face's landmarks"),
        ({"landmarks": turned()}, FaceTurned, r"the nose lies 0\.79 off the middle; the limit is 0\.6"),
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


def test_a_swap_without_a_face_is_thrown_away(tmp_path):
    """Donors whose pose fits but whose pixels show no face, as where a hand lies over it."""
    path = tmp_path / "hand.png"
    path.write_bytes(encode_png(noise(9)))
    finder = FaceFinder()
    pool = DonorPool({CELL: [("a", path), ("b", path)]}, 0, TIGHT, finder, lambda _: None)
    pool._known[CELL] = [Donor("b", path, "1" * 64, POINTS, pose_of(POINTS), POINTS)]
    with pytest.raises(FakeImplausible, match="finds no clear face in the swap"):
        raise one(Swap(pool, finder))


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


def test_a_face_turned_the_other_way_takes_the_mirror_image(swap, tmp_path):
    """With one donor, turned to the other side, only its mirror image fits."""
    turned_left, turned_right = POINTS.copy(), POINTS.copy()
    turned_left[2, 0] -= 6
    turned_right[2, 0] += 6
    donor = Donor("b", tmp_path / "b.png", "1" * 64, turned_right, pose_of(turned_right), turned_right)
    swap.pool._members[CELL] = [("a", donor.path), ("b", donor.path)]
    swap.pool._known[CELL] = [donor, donor.mirror(SIDE)]
    face = FaceCrop("a", noise(3), CELL, "0" * 64, landmarks=turned_left, photo_eye_distance_px=40.0)
    (chosen,) = swap._candidates(face)
    assert chosen.mirrored and chosen.pair_id == "b"
