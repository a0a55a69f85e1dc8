"""Transformations: deterministic, the same for both halves, harmless to size, without the known traps."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detectors.data.transformations import LUMA, SEVERITIES, TRANSFORMATIONS, transform


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    from pipelines.labels import AGES, GENDERS, RACES
    from pipelines.rendered import render_face

    return render_face(AGES[3], GENDERS[0], RACES[2], np.random.default_rng(4), 128)


def distance(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(float) - second.astype(float)).mean())


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_a_higher_severity_changes_more(face, name):
    changed = [distance(face, transform(face, name, severity, 0, "a")) for severity in SEVERITIES]
    assert changed[0] > 0
    assert changed[4] > 1.5 * changed[0]
    assert sorted(changed) == changed or name == "screenshot"


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_the_same_choices_for_one_id_and_the_size_stays(face, name):
    one, two = (transform(face, name, 4, 7, "p1") for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.shape == face.shape and one.dtype == np.uint8


@pytest.mark.parametrize("name", ["motion-blur", "noise", "occlusion"])
def test_random_choices_follow_id_and_seed(face, name):
    first = transform(face, name, 4, 7, "p1")
    assert distance(first, transform(face, name, 4, 7, "p2")) > 0
    assert distance(first, transform(face, name, 4, 8, "p1")) > 0


def test_jpeg_is_the_codec_and_not_an_imitation(face):
    file = io.BytesIO()
    Image.fromarray(face).save(file, "JPEG", quality=50)
    np.testing.assert_array_equal(transform(face, "jpeg", 4, 0, "a"), np.asarray(Image.open(file)))


def test_less_contrast_does_not_darken(face):
    for pixels in (face, (face * 0.3).astype(np.uint8)):
        before = (pixels @ LUMA).mean()
        after = (transform(pixels, "contrast", 5, 0, "a") @ LUMA).mean()
        assert after == pytest.approx(before, abs=0.5)


@pytest.mark.parametrize("side", [64, 224, 512])
def test_a_covered_patch_keeps_its_share_at_every_size(side):
    white = np.full((side, side, 3), 255, dtype=np.uint8)
    covered = transform(white, "occlusion", 4, 0, "a") != white
    assert covered.any(axis=2).mean() == pytest.approx(0.14, abs=0.015)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(TRANSFORMATIONS)),
    st.integers(16, 70),
    st.integers(16, 70),
    st.sampled_from([0, 128, 255]),
)
def test_any_size_and_flat_pictures_are_survived(name, width, height, value):
    flat = np.full((height, width, 3), value, dtype=np.uint8)
    assert transform(flat, name, 5, 0, "a").shape == flat.shape


def test_a_picture_too_small_is_refused():
    with pytest.raises(ValueError, match="12 x 40 px is too small to be transformed"):
        transform(np.zeros((40, 12, 3), dtype=np.uint8), "jpeg", 1, 0, "a")
