"""How both halves of a pair are written: the same file type, the same compression, no metadata.

Pixels and, where wanted, a photo's own JPEG tables enter; the bytes of a file leave.

Why: a photo is a JPEG and a generator's output is not. Written as they come, any detector learns the file and
not the face. Whatever is chosen here is done to both halves alike.

    png         pixels as they are, no loss
    jpeg=Q      JPEG of quality Q, 1 to 100, colour at half resolution
    source      JPEG with the quantisation tables and the colour resolution of the photo that the pair is of;
                a photo without tables (a PNG) is written as PNG, both halves, and its row says so
"""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from pipelines.errors import SettingError
from pipelines.sources.jpeg_tables import Tables
from pipelines.sources.photos import encode_png

AS_IT_IS: Final = "png"
OF_PHOTOS: Final = "source"
"""How photos become pairs unless asked otherwise. Measured on 1,070 photos of FairFace, three kinds of fake
each (`benchmarks/finish.py`), files tell least by it: AUC 0.52 for swaps, 0.62 as PNG."""
NO_TABLES: Final = "the photo has no JPEG tables: both halves are PNG"
_HALF: Final = 2
"""Pillow's word for colour at half resolution, 4:2:0."""


@dataclass(frozen=True)
class Finish:
    """One way to write both halves."""

    how: str
    """"png", "jpeg" or "source"."""
    quality: int = 0

    def suffix(self, tables: Tables | None) -> str:
        """Of the file's name."""
        return ".png" if self._plain(tables) else ".jpg"

    def note(self, tables: Tables | None) -> str:
        """What a row must say of it."""
        return NO_TABLES if self.how == "source" and tables is None else ""

    def encode(self, pixels: np.ndarray, tables: Tables | None) -> bytes:
        """The file's bytes of RGB pixels uint8 [H,W,3]; the same for the same pixels and tables."""
        if self._plain(tables):
            return encode_png(pixels)
        out, image = io.BytesIO(), Image.fromarray(pixels)
        if self.how == "jpeg":
            image.save(out, "JPEG", quality=self.quality, subsampling=_HALF)
        else:
            assert tables is not None
            each = [list(table) for table in tables.tables]
            image.save(out, "JPEG", qtables=each, subsampling=tables.sampling)
        return out.getvalue()

    def as_written(self, pixels: np.ndarray, tables: Tables | None) -> np.ndarray:
        """The pixels that a reader of the file gets, uint8 [H,W,3]."""
        if self._plain(tables):
            return pixels
        with Image.open(io.BytesIO(self.encode(pixels, tables)), formats=("JPEG",)) as image:
            return np.asarray(image.convert("RGB"))

    def _plain(self, tables: Tables | None) -> bool:
        return self.how == "png" or (self.how == "source" and tables is None)


def parse_finish(text: str) -> Finish:
    """Read --finish.

    Raises:
        SettingError: not one of the three.

    >>> parse_finish("jpeg=92")
    Finish(how='jpeg', quality=92)
    """
    how, _, quality = text.partition("=")
    if how in ("png", "source") and not quality and "=" not in text:
        return Finish(how)
    if how == "jpeg" and quality.isdecimal() and 1 <= int(quality) <= 100:
        return Finish(how, int(quality))
    raise SettingError(f"--finish is {text!r}; it must be png, jpeg=Q with Q from 1 to 100, or source")
