"""Write one image as another was written: what a detector sees of it once both have the same compression.

Bytes of a file and its pixels enter; `Written` says how the file was compressed; the pixels of another image
leave as they would be read back from a file of that kind.

What cannot be done is said, not imitated: a picture that was a JPEG keeps its JPEG's traces when it is
written without loss, and the colours of a GIF are chosen by its program.
"""

import io
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.sources.finish import Finish
from pipelines.sources.jpeg_tables import Tables, tables_of
from pipelines.sources.photos import READERS

Pixels = npt.NDArray[np.uint8]
Codec = Literal["lossless", "jpeg", "webp", "unknown"]
_SAME: Final = Finish("source")
_PLAIN_TIFF: Final = ("raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits")


@dataclass(frozen=True)
class Written:
    """How a file was compressed.

    Attributes:
        format: Its type, as Pillow names it.
        codec: What it takes to compress another picture alike; "unknown" where that cannot be told.
        tables: Of a JPEG.
        quality: Of a lossy WebP, 1 to 100, at which the picture takes as many bytes again.
    """

    format: str
    codec: Codec
    tables: Tables | None = None
    quality: int = 0

    @property
    def label(self) -> str:
        """For readers.

        >>> Written("PNG", "lossless").label
        'PNG'
        """
        if self.tables is not None:
            return f"{self.format}, mean step {np.mean(self.tables.tables[0]):.0f}"
        return f"{self.format}, quality {self.quality}" if self.quality else self.format


def written(data: bytes, pixels: Pixels) -> Written:
    """How a file was compressed.

    Args:
        data: Its bytes.
        pixels: What they decode to, uint8 [H, W, 3].
    """
    with Image.open(io.BytesIO(data), formats=READERS) as image:
        name, info = image.format or "", dict(image.info)
    if name in ("JPEG", "MPO"):
        tables = tables_of(data)
        return Written(name, "unknown" if tables is None else "jpeg", tables)
    if name in ("PNG", "BMP") or (name == "TIFF" and info.get("compression", "raw") in _PLAIN_TIFF):
        return Written(name, "lossless")
    if name == "WEBP":
        if b"VP8L" in data[:64]:
            return Written(name, "lossless")
        return Written(name, "webp", quality=_webp_quality(len(data), pixels))
    return Written(name, "unknown")


def rewritten(pixels: Pixels, like: Written) -> Pixels:
    """A picture as it is read back once it was compressed like another; unchanged by a lossless codec.

    Args:
        pixels: uint8 [H, W, 3].
        like: How; its codec is not "unknown".

    Raises:
        ValueError: The codec is unknown.
    """
    if like.codec == "lossless":
        return pixels
    if like.codec == "jpeg":
        return _SAME.as_written(pixels, like.tables)
    if like.codec == "webp":
        with Image.open(io.BytesIO(_webp(pixels, like.quality)), formats=("WEBP",)) as image:
            return np.asarray(image.convert("RGB"))
    raise ValueError(f"no picture can be written like this {like.format}")


def _webp(pixels: Pixels, quality: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "WEBP", quality=quality)
    return out.getvalue()


def _webp_quality(n_bytes: int, pixels: Pixels) -> int:
    """The quality whose file is about as long: WebP does not record it."""
    low, high = 1, 100
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if len(_webp(pixels, middle)) < n_bytes else (low, middle)
    return low
