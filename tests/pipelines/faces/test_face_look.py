"""What covers a face is told from its skin, whatever the skin; sharp from blurred."""

import cv2
import numpy as np
import pytest

from pipelines.faces.face_look import look_of

SIDE = 128
POINTS = np.array([[45, 50], [83, 50], [64, 70], [50, 92], [78, 92]], np.float32)
SKINS = [(236, 200, 178), (150, 105, 80), (70, 48, 38)]


def face(skin, sigma=1.0):
    rng = np.random.default_rng(0)
    grain = cv2.GaussianBlur(rng.normal(0, 12, (SIDE, SIDE)).astype(np.float32), (0, 0), sigma)
    return (np.float32(skin) + grain[..., None]).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("skin", SKINS)
def test_bare_skin_of_any_shade_is_not_covered(skin):
    look = look_of(face(skin), POINTS)
    assert look.covered < 0.02
    assert look.skin[0] == pytest.approx(cv2.cvtColor(
        np.float32([[skin]]) / 255, cv2.COLOR_RGB2LAB)[0, 0, 0], abs=1.5)  # fmt: skip


@pytest.mark.parametrize("skin", SKINS)
@pytest.mark.parametrize("colour", [(20, 40, 160), (250, 250, 250)])
def test_a_scarf_over_the_mouth_covers(skin, colour):
    image = face(skin)
    image[78:] = colour
    if np.abs(np.float32(skin) - colour).max() > 60:
        assert look_of(image, POINTS).covered > 0.12


def test_a_blurred_face_has_less_detail():
    sharp, blurred = (look_of(face(SKINS[0], sigma), POINTS).detail for sigma in (0.7, 4.0))
    assert blurred < 0.5 * sharp


def test_landmarks_outside_the_picture_are_all_covered():
    assert look_of(face(SKINS[0]), POINTS + 10 * SIDE).covered == 1.0
