"""Reading every kind of photo, refusing the rest; one writer."""

import errno
import io
import os
from pathlib import Path

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms

from pipelines.errors import PhotoError, PhotoMissing, PhotoTooLarge, PhotoUnreadable, SourceLost
from pipelines.sources.photos import MAX_BYTES, decode, encode_png, read_photo


def saved(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.fixture
def colour():
    ramp = np.linspace(0, 255, 40).astype(np.uint8)
    return Image.fromarray(
        np.stack([np.tile(ramp, (30, 1)), np.full((30, 40), 90, np.uint8), np.tile(ramp[::-1], (30, 1))], -1)
    )


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA", "RGBA", "PA", "RGB", "YCbCr"])
def test_every_mode_becomes_rgb(colour, mode):
    if mode == "YCbCr" and int(PIL.__version__.partition(".")[0]) < 13:
        pytest.skip("Pillow before 13 cannot read the YCbCr TIFF that it writes; JPEG is read by all")
    kind = {"CMYK": "TIFF", "PA": "TIFF", "YCbCr": "TIFF"}.get(mode, "PNG")
    image = colour.convert("P").convert("PA") if mode == "PA" else colour.convert(mode)
    pixels, note = decode(saved(image, kind), "x")
    assert (pixels.shape, pixels.dtype, note) == ((30, 40, 3), np.uint8, "")
    if mode in ("L", "LA"):
        assert np.array_equal(pixels[..., 0], np.asarray(colour.convert("L")))
    if mode in ("RGB", "RGBA"):
        assert np.array_equal(pixels, np.asarray(colour))


def test_sixteen_bits_are_scaled_not_clipped():
    deep = np.arange(0, 65536, 512, dtype=np.uint16).reshape(8, 16)
    pixels, _ = decode(saved(Image.fromarray(deep)), "x")
    assert np.array_equal(pixels[..., 1], deep // 257)


def test_transparency_lies_over_white():
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert (decode(saved(clear), "x")[0] == 255).all()


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_rotation_is_applied(colour, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    pixels, _ = decode(saved(colour, "PNG", exif=exif), "x")
    upright = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1), 8: lambda a: np.rot90(a),
    }[turn](np.asarray(colour))  # fmt: skip
    assert np.array_equal(pixels, upright)


def srgb():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_srgb_profile_changes_nothing(colour):
    pixels, note = decode(saved(colour, icc_profile=srgb()), "x")
    assert np.abs(pixels.astype(int) - np.asarray(colour)).max() <= 1
    assert note == ""


def test_colour_profile_is_converted(colour):
    """A profile whose red and blue primaries are swapped: conversion to sRGB swaps the channels."""
    swapped = srgb().replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    pixels, _ = decode(saved(colour, icc_profile=swapped), "x")
    assert np.abs(pixels[..., ::-1].astype(int) - np.asarray(colour)).max() <= 2


def test_unusable_colour_profile_is_noted(colour):
    pixels, note = decode(saved(colour, icc_profile=b"not a profile"), "x")
    assert np.array_equal(pixels, np.asarray(colour))
    assert "colour profile cannot be used" in note


def test_first_frame_of_an_animation(colour):
    frames = saved(colour.convert("P"), "GIF", save_all=True, append_images=[Image.new("P", (40, 30))])
    assert decode(frames, "x")[0].shape == (30, 40, 3)


def test_too_many_pixels_are_refused_before_decoding():
    bomb = saved(Image.new("1", (20000, 20000)))
    assert len(bomb) < 200_000
    with pytest.raises(PhotoTooLarge, match=r"400000000|decompression bomb"):
        decode(bomb, "bomb.png")
    with pytest.raises(PhotoTooLarge, match=r"small\.png has 30 x 40 = 1200 pixels; the limit is 1000"):
        decode(saved(Image.new("L", (30, 40))), "small.png", max_pixels=1000)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_truncated_files_are_refused(colour, kind):
    noisy = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    whole = saved(noisy, kind)
    with pytest.raises(PhotoUnreadable, match="half is not a readable image"):
        decode(whole[: len(whole) // 2], "half")


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"]
)
def test_what_is_no_image_is_refused(data):
    with pytest.raises(PhotoUnreadable, match=r"^x is not a readable image: unknown format$"):
        decode(data, "x")


def test_floating_point_is_refused():
    with pytest.raises(PhotoUnreadable, match="no agreed range"):
        decode(saved(Image.new("F", (4, 4)), "TIFF"), "x")


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP"]), st.data())
def test_damage_of_any_kind_is_a_photo_error(kind, data):
    """Only the package's own errors leave the decoder, whatever the bytes."""
    image = Image.fromarray(np.random.default_rng(1).integers(0, 255, (24, 24, 3), np.uint8))
    raw = bytearray(saved(image, kind))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels, _ = decode(bytes(raw), "x", max_pixels=1_000_000)
    except PhotoError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3


def test_read_photo_from_disk(tmp_path, colour):
    path = tmp_path / "a.png"
    path.write_bytes(saved(colour))
    photo = read_photo(path)
    assert np.array_equal(photo.pixels, np.asarray(colour))
    assert len(photo.sha256) == 64
    with pytest.raises(PhotoMissing, match=r"b\.png is named in the label table but is not there"):
        read_photo(tmp_path / "b.png")
    with pytest.raises(PhotoUnreadable, match="not a regular file"):
        read_photo(tmp_path)


def faulty(monkeypatch, number, times):
    """Reading a file fails this often with this fault, then works."""
    read, left = Path.read_bytes, [times]

    def read_bytes(path):
        if left[0]:
            left[0] -= 1
            raise OSError(number, os.strerror(number))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (errno.EACCES, PhotoUnreadable, r"a\.png cannot be read: Permission denied"),
        (errno.EIO, PhotoUnreadable, r"a\.png cannot be read: Input/output error"),
        (errno.ELOOP, PhotoUnreadable, r"a\.png cannot be read: Too many levels"),
        (errno.ENOTDIR, PhotoMissing, r"a\.png is named in the label table"),
        (errno.ENAMETOOLONG, PhotoMissing, r"a\.png is named in the label table"),
        (errno.EMFILE, SourceLost, r"a\.png .*Too many open files.*run the same command again"),
        (errno.ENOMEM, SourceLost, "Cannot allocate memory"),
        (errno.ESTALE, SourceLost, "Stale file handle"),
    ],
)
def test_a_fault_of_the_moment_stops_and_one_of_the_photo_is_its_own(
    tmp_path, colour, monkeypatch, number, kind, message
):
    (tmp_path / "a.png").write_bytes(saved(colour))
    faulty(monkeypatch, number, 9)
    with pytest.raises(kind, match=message):
        read_photo(tmp_path / "a.png")


def test_a_bad_sector_is_tried_once_more(tmp_path, colour, monkeypatch):
    (tmp_path / "a.png").write_bytes(saved(colour))
    faulty(monkeypatch, errno.EIO, 1)
    assert np.array_equal(read_photo(tmp_path / "a.png").pixels, np.asarray(colour))


def test_pipes_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(PhotoUnreadable, match="not a regular file"):
        read_photo(tmp_path / "pipe.jpg")


def test_huge_files_are_refused_unread(tmp_path):
    path = tmp_path / "huge.jpg"
    with path.open("wb") as out:
        out.truncate(MAX_BYTES + 1)
    with pytest.raises(PhotoTooLarge, match="the limit is"):
        read_photo(path)


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))))
def test_png_is_lossless_and_reproducible(pixels):
    data = encode_png(pixels)
    assert data == encode_png(pixels.copy())
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
    assert not Image.open(io.BytesIO(data)).info


@pytest.mark.parametrize(
    "bad", [np.zeros(4, np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8)]
)
def test_png_refuses_other_arrays(bad):
    with pytest.raises(ValueError, match=r"expected uint8 \[H,W,3\] or \[H,W\]"):
        encode_png(bad)
