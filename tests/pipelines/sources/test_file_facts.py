"""Facts of a file: headers against Pillow's own, traces against pictures that were made to have them."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFilter, PngImagePlugin

from pipelines.sources.file_facts import FAMILIES, LABELS, NAMES, file_facts, format_name
from pipelines.sources.photos import decode


def picture(seed: int, size: int = 64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (size // 4, size // 4, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC), dtype=float)
    return (smooth + rng.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8)


def facts(image: Image.Image, codec: str, **options) -> dict[str, float]:
    out = io.BytesIO()
    image.save(out, codec, **options)
    return file_facts(out.getvalue(), decode(out.getvalue(), "x")[0])


def test_every_fact_has_a_family_and_a_label():
    assert set(LABELS) == set(NAMES) and len(set(NAMES)) == len(NAMES)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_a_jpeg_tells_its_tables_and_colour_resolution():
    found = facts(Image.fromarray(picture(0)), "JPEG", quality=80, subsampling=2, progressive=True)
    assert format_name(found["format"]) == "JPEG" and found["progressive"] == 1
    assert (found["sampling"], found["n_tables"], found["jfif"]) == (2, 2, 1)
    out = io.BytesIO()
    Image.fromarray(picture(0)).save(out, "JPEG", quality=80)
    with Image.open(out, formats=["JPEG"]) as image:
        assert found["luma_mean"] == np.mean(image.quantization[0])


def test_a_png_has_no_tables_and_tells_its_pixel_form_and_metadata():
    told = PngImagePlugin.PngInfo()
    told.add_text("Software", "x" * 50)
    rgba = Image.fromarray(np.dstack([picture(1), np.full((64, 64), 200, dtype=np.uint8)]))
    found = facts(rgba, "PNG", pnginfo=told, dpi=(300, 300))
    assert np.isnan(found["luma_mean"]) and np.isnan(found["sampling"])
    assert (found["bands"], found["alpha"], found["bits"], found["text_bytes"]) == (4, 1, 8, 50)
    assert found["dpi"] == pytest.approx(300, abs=0.1)
    assert facts(Image.fromarray(picture(1)).quantize(16), "PNG")["palette"] == 1


def png_16(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which Pillow reads and does not write."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in pixels)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    body = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def test_sixteen_bits_are_seen_though_pillow_reduces_them():
    data = png_16(picture(2))
    pixels, _ = decode(data, "x")
    assert file_facts(data, pixels)["bits"] == 16
    assert facts(Image.fromarray(np.full((20, 20), 40_000, dtype=np.uint16)), "PNG")["bits"] == 16


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (15, 200), (16, 16), (17, 31)])
def test_small_and_flat_pictures_give_numbers_or_nothing(size):
    with np.errstate(all="raise"):
        found = facts(Image.new("RGB", size), "PNG")
    spectral = [name for family in FAMILIES if family.name in ("spectrum", "border") for name in family.facts]
    assert all(np.isnan(found[name]) == (min(size) < 16) for name in spectral)
    assert not np.isinf(list(found.values())).any()


def test_an_enlarged_picture_shows_its_period():
    def period(seed: int, factor: float) -> float:
        noise = np.random.default_rng(seed).integers(0, 256, (128, 128, 3)).astype(np.uint8)
        image = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(0.8))
        side = round(128 * factor)
        return facts(image.resize((side, side), Image.Resampling.BILINEAR), "PNG")["period_across"]

    plain, enlarged = ([period(seed, factor) for seed in range(12)] for factor in (1.0, 1.6))
    assert np.mean(np.greater.outer(enlarged, plain)) > 0.95


def test_a_jpegs_past_shows_on_its_grid_and_a_checkerboard_in_the_spectrum():
    image = Image.fromarray(picture(3, 128))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=20)
    with Image.open(out, formats=["JPEG"]) as saved:
        assert facts(saved.convert("RGB"), "PNG")["grid_steps"] > facts(image, "PNG")["grid_steps"] + 0.1
    board = (np.indices((128, 128)).sum(0) % 2 * 12)[..., None]
    marked = Image.fromarray((picture(3, 128) // 2 + board).astype(np.uint8))
    assert facts(marked, "PNG")["highest_peak"] > facts(image, "PNG")["highest_peak"] + 2
