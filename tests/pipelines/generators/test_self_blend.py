"""Self-blends: inside the mask alone, by the photo's name and the seed."""

import numpy as np
import pytest

from pipelines.errors import NoLandmarks
from pipelines.faces.face_geometry import outline
from pipelines.generators.protocol import FaceCrop, Fake
from pipelines.generators.self_blend import RATIOS, SelfBlend, self_blended

POINTS = np.array([[45, 50], [83, 50], [64, 70], [50, 92], [78, 92]], np.float32)


def face(number=0, side=128):
    rng = np.random.default_rng(number)
    coarse = rng.integers(40, 220, (8, 8, 3)).astype(np.uint8)
    pixels = np.kron(coarse, np.ones((side // 8, side // 8, 1), np.uint8))
    return FaceCrop(f"train-{number:06d}", pixels, ("20-29", "Male", "White"), "0" * 64, POINTS, 40.0)


def made(faces, seed=0):
    return [fake for batch in SelfBlend(seed).fakes(0, faces) for fake in batch]


def test_outside_the_mask_the_photo_stays_as_it_is():
    for number in range(8):
        fake = made([face(number)])[0]
        assert isinstance(fake, Fake)
        assert (fake.pixels[fake.mask == 0] == face(number).pixels[fake.mask == 0]).all()
        assert (fake.pixels != face(number).pixels).any()
        assert fake.donor is None


def test_the_real_half_is_not_altered():
    shown = face(3)
    before = shown.pixels.copy()
    made([shown])
    assert (shown.pixels == before).all()


def test_a_fake_depends_on_its_photo_and_the_seed_alone():
    alone, among = made([face(5)]), made([face(i) for i in range(20)])
    assert (alone[0].pixels == among[5].pixels).all()
    assert (made([face(5)], seed=1)[0].pixels != alone[0].pixels).any()


def test_the_weights_are_those_of_the_paper():
    peaks = {round(int(made([face(i)])[0].mask.max()) / 255, 2) for i in range(60)}
    assert peaks == set(RATIOS)


def test_the_mask_covers_the_face_and_not_the_corners():
    _, mask = self_blended(face().pixels, outline(POINTS), np.random.default_rng(2))
    assert mask[70, 64] == mask.max()
    assert not mask[:6, :6].any()
    assert not mask[-6:, -6:].any()


def test_a_face_without_landmarks_is_a_reject():
    bare = FaceCrop("a", face().pixels)
    (answer,) = made([bare])
    with pytest.raises(NoLandmarks, match="needs the face's landmarks, and none are known"):
        raise answer
