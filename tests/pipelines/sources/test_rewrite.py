"""A picture written as another was: against Pillow's own re-encoding."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pipelines.sources.photos import decode
from pipelines.sources.rewrite import Written, rewritten, written

RNG = np.random.default_rng(0)


def picture() -> np.ndarray:
    coarse = Image.fromarray(RNG.integers(0, 256, (12, 12, 3)).astype(np.uint8))
    return np.asarray(coarse.resize((96, 96), Image.Resampling.BICUBIC))


OWN, OTHER = picture(), picture()


def encoded(pixels: np.ndarray, codec: str, **options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, codec, **options)
    return out.getvalue()


def of(data: bytes) -> Written:
    return written(data, decode(data, "x")[0])


@pytest.mark.parametrize("options", [{"quality": 80}, {"quality": 35, "subsampling": 0}])
def test_like_a_jpeg_is_what_that_jpegs_settings_give(options):
    like = of(encoded(OTHER, "JPEG", **options))
    expected = decode(encoded(OWN, "JPEG", **options), "x")[0]
    np.testing.assert_array_equal(rewritten(OWN, like), expected)


@pytest.mark.parametrize("options", [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_like_a_lossless_file_nothing_changes(options):
    like = of(encoded(OTHER, options[0], **options[1]))
    assert like.codec == "lossless" and rewritten(OWN, like) is OWN


@pytest.mark.parametrize("quality", [20, 60, 90])
def test_the_quality_of_a_webp_is_found_by_its_length(quality):
    like = of(encoded(OTHER, "WEBP", quality=quality))
    assert like.codec == "webp" and abs(like.quality - quality) <= 6
    assert np.abs(rewritten(OWN, like).astype(int) - OWN).mean() > 0.2


@pytest.mark.parametrize("data", [encoded(OTHER, "GIF"), encoded(OTHER, "TIFF", compression="jpeg")])
def test_what_cannot_be_done_alike_is_not_imitated(data):
    like = of(data)
    assert like.codec == "unknown"
    with pytest.raises(ValueError, match=f"no picture can be written like this {like.format}"):
        rewritten(OWN, like)
