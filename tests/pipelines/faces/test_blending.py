"""A face laid into a photo: its edge, colours, light and detail, each by itself."""

import cv2
import numpy as np
import pytest

from pipelines.faces.blending import Receiver, colours_of, fine_detail, to_lab, to_rgb
from pipelines.faces.face_geometry import inner_outline, outline

SIDE, UNIT = 128, 38.0
POINTS = np.array([[45, 50], [83, 50], [64, 70], [50, 92], [78, 92]], np.float32)
HULL = inner_outline(POINTS)


def noise(seed, low=60, high=200, sigma=3.0):
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.integers(low, high, (SIDE, SIDE, 3)).astype(np.uint8), (0, 0), sigma)


def judged(face, photo):
    """A face laid in, not yet blended."""
    return Receiver(photo, HULL, UNIT).laid(face)


def blend(face, photo, hull=HULL):
    """A face laid in and blended."""
    receiver = Receiver(photo, hull, UNIT)
    return receiver.blended(receiver.laid(face))


def test_outside_the_weight_nothing_moves_and_inside_the_face_is_new():
    photo = noise(2)
    made = blend(noise(1), photo)
    assert (made.pixels[made.weight == 0] == photo[made.weight == 0]).all()
    assert made.weight.max() == 255 and 0.1 < (made.weight > 0).mean() < 0.5
    assert np.abs(made.pixels[made.weight == 255].astype(int) - photo[made.weight == 255]).mean() > 3


def test_the_edge_fades_inwards_and_stays_off_the_border():
    made = blend(noise(1), noise(2), inner_outline(POINTS * 1.6 - 40))
    rim = round(0.04 * SIDE)
    assert not made.weight[:rim].any() and not made.weight[:, -rim:].any()
    steps = np.abs(np.diff(made.weight.astype(int), axis=1)).max()
    assert steps < 80  # no step from nothing to all


def test_the_inner_face_lies_inside_the_whole_one():
    whole = cv2.convexHull(outline(POINTS).astype(np.float32))
    assert all(cv2.pointPolygonTest(whole, tuple(map(float, p)), False) >= 0 for p in HULL)


def test_a_face_equal_to_the_photo_changes_nothing():
    photo = noise(4)
    assert np.abs(blend(photo, photo).pixels.astype(int) - photo).max() <= 1
    laid = judged(photo, photo)
    assert laid.seam == pytest.approx(0, abs=0.05) and laid.detail_gain == pytest.approx(1, abs=1e-3)


def test_colours_and_light_are_the_photos():
    """A face of another colour, lit from the other side: the coarse picture stays the photo's."""
    ramp = np.linspace(-40, 40, SIDE)[None, :, None]
    photo = (noise(2) + ramp).clip(0, 255).astype(np.uint8)
    face = (noise(1, 20, 90) * np.float32([1.4, 1, 0.7]) - ramp / 2).clip(0, 255).astype(np.uint8)
    made = blend(face, photo)
    full = made.weight == 255
    left = cv2.GaussianBlur(to_lab(made.pixels) - to_lab(photo), (0, 0), 12)[full]
    before = cv2.GaussianBlur(to_lab(face) - to_lab(photo), (0, 0), 12)[full]
    assert np.abs(left).mean() < 0.15 * np.abs(before).mean()


def test_a_grey_photo_takes_the_colour_out_of_a_face():
    grey = np.repeat(noise(3)[..., :1], 3, 2)
    everywhere = np.ones((SIDE, SIDE), bool)
    made = to_rgb(colours_of(to_lab(noise(1)), to_lab(grey), everywhere))
    spread = [float(np.ptp(i.astype(int), axis=2).mean()) for i in (made, noise(1))]
    assert spread[0] < 0.25 * spread[1]


def test_detail_is_brought_to_the_photos_and_a_blurred_face_is_known():
    sharp, blurred = noise(5, sigma=0.8), noise(5, sigma=4.0)
    assert judged(blurred, sharp).detail_gain > 2 and judged(sharp, blurred).detail_gain < 0.5
    into_blurred = blend(sharp, blurred)
    core = into_blurred.weight == 255
    fine = [fine_detail(to_lab(i)[..., 0], UNIT)[core].mean() for i in (into_blurred.pixels, blurred, sharp)]
    assert fine[0] < 0.5 * fine[2] and fine[0] < 4 * fine[1]


def test_the_seam_grows_with_what_the_edge_has_to_hide():
    photo, face = noise(2), noise(2)
    face[70:80, 20:60] = 0  # a dark bar across the left edge
    assert judged(face, photo).seam > 1.5 + judged(noise(2), photo).seam


def test_an_outline_outside_the_picture_changes_nothing():
    photo = noise(6)
    made = blend(noise(1), photo, HULL + 10 * SIDE)
    assert (made.pixels == photo).all() and not made.weight.any()


def test_a_face_that_was_tried_leaves_nothing_behind():
    """The donors of a photo are judged one after the other, and the best is blended afterwards."""
    receiver = Receiver(noise(2), HULL, UNIT)
    first, _ = receiver.laid(noise(1)), receiver.laid(noise(7))
    assert (receiver.blended(first).pixels == blend(noise(1), noise(2)).pixels).all()
    again = receiver.laid(noise(1))
    assert (again.seam, again.detail_gain) == (first.seam, first.detail_gain)
