"""Five points: pose, outline and the map between two faces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.faces.align import TIGHT, align_face
from pipelines.faces.face_geometry import landmarks_in_crop, outline, pose_of, similarity

FRONTAL = np.array([[80, 100], [140, 100], [110, 130], [88, 160], [132, 160]], np.float32)


@given(st.floats(-180, 180), st.floats(0.3, 3), st.floats(-50, 50), st.floats(-50, 50))
def test_a_similarity_is_recovered(degrees, scale, x, y):
    turn = scale * np.exp(1j * np.radians(degrees))
    matrix = np.array([[turn.real, -turn.imag, x], [turn.imag, turn.real, y]])
    moved = FRONTAL @ matrix[:, :2].T + matrix[:, 2]
    found, left = similarity(FRONTAL, moved)
    assert np.allclose(found, matrix, atol=1e-6)
    assert left < 1e-6


def test_a_mirrored_face_is_not_fitted_by_mirroring():
    turned = FRONTAL.copy()
    turned[2] += [12, 0]
    mirrored = turned * [-1, 1]
    _, left = similarity(turned, mirrored[[1, 0, 2, 4, 3]])
    assert left > 5


@pytest.mark.parametrize(("shift", "yaw"), [(0, 0.0), (15, 0.5), (-15, -0.5), (30, 1.0), (60, 1.0)])
def test_yaw_is_where_the_nose_lies_between_the_eyes(shift, yaw):
    points = FRONTAL.copy()
    points[2, 0] += shift
    assert pose_of(points).yaw == pytest.approx(yaw)


def test_pose_survives_a_tilted_head():
    points = FRONTAL.copy()
    points[2] += [10, 5]
    angle = np.radians(35)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    level, tilted = pose_of(points), pose_of(points @ turn.T)
    assert (tilted.yaw, tilted.pitch, tilted.eye_distance_px) == pytest.approx(
        (level.yaw, level.pitch, level.eye_distance_px), abs=1e-5
    )


def test_the_outline_follows_a_turned_head():
    """The side that is turned away is narrower."""
    turned = FRONTAL.copy()
    turned[2, 0] += 15
    left, right = ([FRONTAL[:2, 0].mean() - o[:, 0].min(), o[:, 0].max() - FRONTAL[:2, 0].mean()]
                   for o in (outline(FRONTAL), outline(turned)))  # fmt: skip
    assert left[0] == pytest.approx(left[1])
    assert right[1] < 0.6 * right[0]


def test_landmarks_move_with_the_crop():
    """A dot painted at each landmark of a photo is found at the landmark in its crop."""
    photo = np.zeros((224, 224, 3), np.uint8)
    for x, y in FRONTAL.astype(int):
        photo[y - 1 : y + 2, x - 1 : x + 2] = 255
    crop, _ = align_face(photo, FRONTAL, TIGHT)
    for x, y in np.rint(landmarks_in_crop(FRONTAL, TIGHT)).astype(int):
        assert crop[y - 1 : y + 2, x - 1 : x + 2].max() > 200
