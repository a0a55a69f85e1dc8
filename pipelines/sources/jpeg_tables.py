"""A JPEG's own quantisation tables and colour resolution: what it takes to compress another image alike.

Bytes of a file enter; `Tables` leave, or None where there are none.
"""

import io
from dataclasses import dataclass
from typing import Final

from PIL import Image, JpegImagePlugin

_START: Final = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Tables:
    """A JPEG's quantisation tables and colour resolution."""

    tables: tuple[tuple[int, ...], ...]
    """One or two of 64 numbers, 1 to 255: for brightness, then for colour."""
    sampling: int
    """Of the colours. 0: full, 1: half across, 2: half both ways."""


def tables_of(data: bytes) -> Tables | None:
    """The tables of a JPEG.

    Args:
        data: bytes of an image file that Pillow can open.

    Returns:
        Its tables; None of any other file type, and of tables that baseline JPEG cannot hold.
    """
    if not data.startswith(_START):
        return None
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        found = getattr(image, "quantization", None) or {}
        sampling = JpegImagePlugin.get_sampling(image) if len(getattr(image, "layer", ())) == 3 else 0
    ordered = tuple(tuple(int(v) for v in found[key]) for key in sorted(found))
    if not 1 <= len(ordered) <= 2 or any(len(t) != 64 or not all(1 <= v <= 255 for v in t) for t in ordered):
        return None
    return Tables(ordered, max(int(sampling), 0))
