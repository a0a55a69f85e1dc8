"""Photos from disk to RGB pixels, and RGB pixels to PNG: the only reader and the only writer.

Bytes of a photo enter; uint8 [H,W,3] sRGB pixels leave, or a `PhotoError` that says why not. A fault of
the moment (too many open files, no memory, a stale mount) is no photo's fault: it is a `SourceLost`.
Pixels enter; PNG bytes leave, the same bytes for the same pixels.

Why one writer for both halves: a real half that keeps its JPEG past beside a fake fresh from the
network would let a detector tell them apart by the file alone. Both halves are written from pixels,
by the same call.
"""

import errno
import hashlib
import io
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from pipelines import places
from pipelines.errors import PhotoError, PhotoMissing, PhotoTooLarge, PhotoUnreadable, SourceLost
from pipelines.sources.jpeg_tables import Tables, tables_of
from pipelines.sources.parquet_photos import bytes_at, is_place

MAX_PIXELS: Final = 40_000_000
"""A photo with more pixels is refused before it is decoded."""
MAX_BYTES: Final = places.MAX_IMAGE_BYTES
FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "MPO")
"""Formats that are opened at all; the rest of Pillow's decoders stay out of reach."""
READERS: Final = tuple(name for name in FORMATS if name != "MPO")
"""Pillow's readers of them: MPO is opened by that of JPEG."""
PNG_LEVEL: Final = 3
"""zlib level: 6 takes twice as long for 3 % less."""
_ABSENT: Final = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
_BARRED: Final = (errno.EACCES, errno.EISDIR, errno.ELOOP, errno.EIO)
"""Faults that stay with a photo however often it is read; every other one passes, or is the machine's."""
DAMAGE: Final = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, OverflowError, KeyError, IndexError,
    TypeError,
)  # fmt: skip
"""What Pillow raises on damaged files."""


@dataclass(frozen=True)
class Photo:
    """A photo, decoded."""

    pixels: np.ndarray
    """uint8 [H,W,3], sRGB, upright."""
    sha256: str
    """Of the file's bytes."""
    note: str
    """What had to be assumed, as a sentence, or empty."""
    tables: Tables | None = None
    """Of a JPEG: how it was compressed."""


def read_photo(path: Path, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read one photo.

    Grayscale, CMYK, palette, 16-bit and transparent images become RGB (transparency over white);
    EXIF rotation is applied; an embedded colour profile is converted to sRGB; of an animation the
    first frame is taken.

    Args:
        path: the file.
        max_pixels: refuse an image with more pixels than this, before decoding it.

    Returns:
        The photo.

    Raises:
        PhotoMissing: no file there.
        PhotoTooLarge: more pixels than `max_pixels`, or a file over `MAX_BYTES`.
        PhotoUnreadable: not an image, truncated, damaged, or this file cannot be read.
        SourceLost: as `read_bytes`.
    """
    data = read_bytes(path)
    pixels, note = decode(data, path.name, max_pixels)
    return Photo(pixels, hashlib.sha256(data).hexdigest(), note, tables_of(data))


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file of bounded size, or of a row of a Parquet file.

    Args:
        path: the file, or a place as `parquet_photos.place_of` writes it.

    Returns:
        All of them.

    Raises:
        PhotoMissing: no file there.
        PhotoTooLarge: a file over `MAX_BYTES`.
        PhotoUnreadable: no regular file, not allowed, or a bad place on the disk, twice.
        SourceLost: a fault that is not this photo's, such as too many open files.
    """
    if is_place(path):
        return _bounded(path, bytes_at(path))
    try:
        return _once(path)
    except OSError as first:
        if first.errno == errno.ENOENT and _fetched(path):
            return read_bytes(path)
        if first.errno != errno.EIO:
            raise _fault_of(path, first) from first
    try:
        return _once(path)
    except OSError as second:
        raise _fault_of(path, second) from second


def _bounded(path: Path, data: bytes) -> bytes:
    """The same bytes, unless they are too many."""
    if len(data) > MAX_BYTES:
        raise PhotoTooLarge(f"{path.name} has {len(data)} bytes; the limit is {MAX_BYTES}")
    return data


def _fetched(path: Path) -> bool:
    """Whether a file that was missing was brought from the store it stands for.

    Raises:
        PhotoTooLarge: it is over `MAX_BYTES` there.
        PlaceError: the store does not answer.
    """
    try:
        return places.fetch(path)
    except OSError as fault:
        if fault.errno == errno.EFBIG:
            raise PhotoTooLarge(f"{path.name} has more than {MAX_BYTES} bytes, which is the limit") from fault
        raise _fault_of(path, fault) from fault


def _once(path: Path) -> bytes:
    """One try at the bytes of a file; an OSError as the system says."""
    try:
        about = path.stat()
    except ValueError as fault:  # a NUL in the name
        raise PhotoMissing(f"{path.name!r} is no name that a file can have: {fault}") from fault
    if not stat.S_ISREG(about.st_mode):
        raise PhotoUnreadable(f"{path.name} is not a regular file")
    if about.st_size > MAX_BYTES:
        raise PhotoTooLarge(f"{path.name} has {about.st_size} bytes; the limit is {MAX_BYTES}")
    return path.read_bytes()


def _fault_of(path: Path, fault: OSError) -> PhotoError | SourceLost:
    """Whether a fault is the photo's or the machine's."""
    if fault.errno in _ABSENT:
        return PhotoMissing(f"{path.name} is named in the label table but is not there")
    if fault.errno in _BARRED:
        return PhotoUnreadable(f"{path.name} cannot be read: {fault.strerror}")
    return SourceLost(
        f"{path} cannot be read for now: {fault.strerror or fault}; put that right and run the same command "
        "again to continue"
    )


def decode(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, str]:
    """Decode an image's bytes.

    Args:
        data: the file's bytes.
        name: what to call it in messages.
        max_pixels: as in `read_photo`.

    Returns:
        uint8 [H,W,3] sRGB pixels, and a note on what had to be assumed, or "".

    Raises:
        PhotoTooLarge: more pixels than `max_pixels`.
        PhotoUnreadable: not an image, truncated or damaged.
    """
    with _faults(name), Image.open(io.BytesIO(data), formats=READERS) as image:
        return _upright_pixels(image, name, max_pixels)


def pixels_of(image: Image.Image, name: str, max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, str]:
    """The pixels of an image that Pillow opened already; what `decode` makes of its file.

    Args:
        image: of any mode.
        name: what to call it in messages.
        max_pixels: as in `read_photo`.

    Returns:
        As `decode`.

    Raises:
        PhotoTooLarge: more pixels than `max_pixels`.
        PhotoUnreadable: truncated, damaged, or closed.
    """
    with _faults(name):
        return _upright_pixels(image, name, max_pixels)


def _upright_pixels(image: Image.Image, name: str, max_pixels: int) -> tuple[np.ndarray, str]:
    width, height = image.size
    if width * height > max_pixels:
        raise PhotoTooLarge(
            f"{name} has {width} x {height} = {width * height} pixels; the limit is {max_pixels}"
        )
    image.load()
    profile = image.info.get("icc_profile")
    rgb, note = _to_rgb(ImageOps.exif_transpose(image), profile)
    return np.asarray(rgb), note


@contextmanager
def _faults(name: str) -> Iterator[None]:
    """Within this context, what Pillow says of a damaged image ends as a fault of this photo."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as fault:
        raise PhotoTooLarge(f"{name}: {fault}") from fault
    except UnidentifiedImageError as fault:  # its text names an address in memory
        raise PhotoUnreadable(f"{name} is not a readable image: unknown format") from fault
    except DAMAGE as fault:
        raise PhotoUnreadable(f"{name} is not a readable image: {fault}") from fault


def _to_rgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str]:
    """Any mode to sRGB; the note says when a colour profile could not be used."""
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)
        return Image.fromarray(np.clip(deep // 257, 0, 255).astype(np.uint8)).convert("RGB"), ""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed range")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB"), ""
    if image.mode in ("P", "1", "LA", "La"):
        image = image.convert("RGB")
    if profile and image.mode in ("RGB", "L", "CMYK"):
        return _from_profile(image, profile)
    return image.convert("RGB"), ""


def _from_profile(image: Image.Image, profile: bytes) -> tuple[Image.Image, str]:
    """Convert by an embedded colour profile; one that does not fit the image is left out, as browsers do."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as fault:
        return image.convert("RGB"), f"its colour profile cannot be used ({fault}); taken as sRGB"
    return (converted or image).convert("RGB"), ""


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode RGB pixels, or a mask, as PNG.

    Args:
        pixels: uint8 [H,W,3], or [H,W].

    Returns:
        The file's bytes: pixels alone, no metadata; the same bytes for the same pixels.

    Raises:
        ValueError: another shape or type.
    """
    if pixels.dtype != np.uint8 or pixels.shape[2:] not in ((), (3,)) or pixels.ndim < 2:
        raise ValueError(f"expected uint8 [H,W,3] or [H,W], got {pixels.dtype} {list(pixels.shape)}")
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=PNG_LEVEL)
    return out.getvalue()
