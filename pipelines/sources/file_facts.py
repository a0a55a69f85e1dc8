"""What a file shows without a look at the face: its type, size and compression, and statistics of the whole
picture.

Bytes of an image file enter; numbers leave, one a fact, NaN where a fact does not apply.

Two parts are kept apart. What stands in the file (type, pixel form, dimensions, quantisation tables, colour
resolution, metadata) is lost when a detector decodes it, except for what it did to the pixels. What the whole
picture shows (traces of compression and of resampling, spectrum, border, colours) reaches every detector. A
spectrum can be the generator's own mark and no fault of the data set; a file type never is. Bytes belong to
the second part: at equal types and tables they tell how much detail the picture has.

Sources: periodic second differences of an enlarged picture, Gallagher 2005, Canadian Conference on Computer
and Robot Vision, 65-72; differences along the 8 x 8 grid, Fan & de Queiroz 2003, IEEE Transactions on Image
Processing 12:230-235.
"""

import io
import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.sources.jpeg_tables import tables_of
from pipelines.sources.photos import DAMAGE, FORMATS, READERS

Part = Literal["file", "picture"]
Floats = npt.NDArray[np.floating]

GRID_PX: Final = 8
CROP_PX: Final = 256
"""Spectrum and traces are read from the middle of a large picture: this many pixels a side."""
LEAST_PX: Final = 16
"""Shorter side under which a picture has no spectrum and no grid."""


@dataclass(frozen=True)
class Family:
    """Facts that are told as one thing."""

    name: str
    label: str
    part: Part
    facts: tuple[str, ...]


FAMILIES: Final = (
    Family("format", "file type", "file", ("format", "progressive")),
    Family("tables", "quantisation tables", "file",
           ("luma_mean", "luma_first", "luma_last", "colour_mean", "colour_last", "n_tables")),
    Family("sampling", "colour resolution of a JPEG", "file", ("sampling",)),
    Family("pixel_form", "pixel form", "file", ("bands", "bits", "alpha", "palette")),
    Family("dimensions", "dimensions", "file", ("width", "height", "aspect")),
    Family("metadata", "metadata", "file", ("exif_tags", "icc_bytes", "text_bytes", "jfif", "dpi")),
    Family("compression", "traces of compression", "picture", ("grid_steps",)),
    Family("bytes", "size in bytes", "picture", ("log_bytes", "log_bytes_per_pixel")),
    Family("resampling", "traces of resampling", "picture",
           ("period_across", "period_down", "frequency_across", "frequency_down")),
    Family("border", "border", "picture", ("border_step", "border_spread", "border_light")),
    Family("colour", "colour statistics", "picture",
           ("red", "green", "blue", "red_spread", "green_spread", "blue_spread", "saturation", "black",
            "white", "empty_levels")),
    Family("spectrum", "spectrum", "picture",
           ("band_low", "band_middle", "band_high", "band_highest", "highest_peak")),
)  # fmt: skip
"""Every family. What explains the others stands first: of two that tell equally well the earlier is named."""

NAMES: Final = tuple(name for family in FAMILIES for name in family.facts)
"""Every fact, in order."""

LABELS: Final = {
    "format": "file type", "progressive": "progressive or interlaced", "luma_mean": "mean step of brightness",
    "luma_first": "first step of brightness", "luma_last": "last step of brightness",
    "colour_mean": "mean step of colour", "colour_last": "last step of colour",
    "n_tables": "number of tables",
    "sampling": "colour resolution (0 full, 2 half)", "bands": "channels", "bits": "bits a channel",
    "alpha": "transparency", "palette": "palette", "width": "width in px", "height": "height in px",
    "aspect": "width over height", "exif_tags": "EXIF entries", "icc_bytes": "bytes of colour profile",
    "text_bytes": "bytes of other metadata", "jfif": "JFIF header", "dpi": "dots an inch",
    "log_bytes": "bytes", "log_bytes_per_pixel": "bytes a pixel",
    "grid_steps": "steps along the 8 x 8 grid", "period_across": "period across",
    "period_down": "period down",
    "frequency_across": "its frequency across", "frequency_down": "its frequency down",
    "border_step": "step at the border", "border_spread": "spread along the border",
    "border_light": "light of the border", "red": "red", "green": "green", "blue": "blue",
    "red_spread": "spread of red", "green_spread": "spread of green", "blue_spread": "spread of blue",
    "saturation": "saturation", "black": "share of black", "white": "share of white",
    "empty_levels": "levels that never occur", "band_low": "power at 0.10-0.25",
    "band_middle": "power at 0.25-0.50", "band_high": "power at 0.50-0.75", "band_highest": "power at 0.75-1",
    "highest_peak": "peak at the highest frequencies",
}  # fmt: skip
"""Every fact as a reader sees it."""


def file_facts(data: bytes, pixels: npt.NDArray[np.uint8]) -> dict[str, float]:
    """The facts of one file.

    Args:
        data: Its bytes, as they were decoded.
        pixels: What they decode to, uint8 [H, W, 3].

    Returns:
        Every name of `NAMES` to a number; NaN where it does not apply, such as the tables of a PNG.
    """
    found = dict.fromkeys(NAMES, math.nan)
    found |= _header(data) | _tables(data) | _colours(pixels)
    height, width = pixels.shape[:2]
    found["log_bytes"], found["log_bytes_per_pixel"] = (
        math.log(len(data)),
        math.log(len(data) / (height * width)),
    )
    luma = pixels.astype(np.float32).mean(2)
    if min(height, width) >= LEAST_PX:
        found["grid_steps"] = grid_steps(luma) + grid_steps(luma.T)
        middle = _middle(luma)
        found |= _resampling(middle) | _spectrum(middle) | _border(luma)
    return found


def grid_steps(luma: Floats) -> float:
    """Log ratio of mean steps across the lines of the 8 x 8 grid to those elsewhere, [H, W] brightness."""
    steps = np.abs(np.diff(luma, axis=1)).mean(0)
    on = np.arange(len(steps)) % GRID_PX == GRID_PX - 1
    return float(np.log((steps[on].mean() + 0.1) / (steps[~on].mean() + 0.1)))


def format_name(code: float) -> str:
    """The name of a file type by its number among the facts.

    >>> format_name(0.0), format_name(1.0)
    ('JPEG', 'PNG')
    """
    return FORMATS[int(code)]


def _header(data: bytes) -> dict[str, float]:
    """What Pillow says of a file before it decodes it."""
    with Image.open(io.BytesIO(data), formats=READERS) as image:
        info = image.info
        text = sum(len(v) for k, v in info.items() if isinstance(v, str | bytes) and k not in _OWN)
        return {
            "format": float(FORMATS.index(image.format or "")),
            "progressive": float(bool(info.get("progressive") or info.get("interlace"))),
            "bands": float(len(image.getbands())),
            "bits": _bits(data, image.mode),
            "alpha": float(image.has_transparency_data),
            "palette": float(image.mode == "P"),
            "width": float(image.width),
            "height": float(image.height),
            "aspect": image.width / image.height,
            "exif_tags": _exif_tags(image),
            "icc_bytes": float(len(info.get("icc_profile") or b"")),
            "text_bytes": float(text),
            "jfif": float("jfif" in info),
            "dpi": _dpi(info.get("dpi")),
        }


_OWN: Final = ("icc_profile", "exif", "transparency")
"""Entries that are counted elsewhere, or are part of the picture."""


def _exif_tags(image: Image.Image) -> float:
    try:
        return float(len(image.getexif()))
    except DAMAGE:  # a damaged EXIF block says nothing of the picture, which could be decoded
        return math.nan


def _dpi(given: object) -> float:
    try:
        value = float(given[0])  # type: ignore[index]
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return math.nan
    return value if math.isfinite(value) else math.nan


def _bits(data: bytes, mode: str) -> float:
    """Bits a channel; Pillow reduces 16-bit colour of a PNG without saying so, its header tells."""
    if data.startswith(b"\x89PNG") and len(data) > 24:
        return float(data[24])
    return {"1": 1.0, "I": 32.0, "F": 32.0}.get(mode, 16.0 if mode.startswith("I;16") else 8.0)


def _tables(data: bytes) -> dict[str, float]:
    tables = tables_of(data)
    if tables is None:
        return {"n_tables": 0.0}
    luma, colour = tables.tables[0], tables.tables[-1]
    return {
        "luma_mean": float(np.mean(luma)),
        "luma_first": float(luma[0]),
        "luma_last": float(luma[-1]),
        "colour_mean": float(np.mean(colour)),
        "colour_last": float(colour[-1]),
        "n_tables": float(len(tables.tables)),
        "sampling": float(tables.sampling),
    }


def _colours(pixels: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Means and spreads of the channels, saturation, shares of black and white, levels that never occur."""
    step = max(1, min(pixels.shape[:2]) // CROP_PX)
    some = pixels[::step, ::step].reshape(-1, 3)
    means, spreads = some.mean(0) / 255, some.std(0) / 255
    highest, lowest = some.max(1).astype(np.int16), some.min(1).astype(np.int16)
    levels = np.bincount(some[:, 1], minlength=256)
    used = np.flatnonzero(levels)
    inside = levels[used[0] : used[-1] + 1]
    return {
        **dict(zip(("red", "green", "blue"), map(float, means), strict=True)),
        **dict(zip(("red_spread", "green_spread", "blue_spread"), map(float, spreads), strict=True)),
        "saturation": float((highest - lowest).mean()) / 255,
        "black": float((highest == 0).mean()),
        "white": float((lowest == 255).mean()),
        "empty_levels": float((inside == 0).mean()),
    }


def _middle(luma: Floats) -> Floats:
    height, width = luma.shape
    side = min(height, width, CROP_PX)
    top, left = (height - side) // 2, (width - side) // 2
    return luma[top : top + side, left : left + side]


def _resampling(luma: Floats) -> dict[str, float]:
    """How periodic second differences are: the peak of their spectrum over its median, and where it lies."""
    found = {}
    for axis, name in ((1, "across"), (0, "down")):
        second = np.abs(np.diff(luma, n=2, axis=axis)).mean(1 - axis)
        spectrum = np.abs(np.fft.rfft(second - second.mean()))
        first = max(2, len(spectrum) // 8)  # below: what the picture itself shows
        part = spectrum[first:]
        found[f"period_{name}"] = float(np.log((part.max() + 1e-3) / (np.median(part) + 1e-3)))
        found[f"frequency_{name}"] = (first + int(part.argmax())) / (2 * len(spectrum))
    return found


_BANDS: Final = {
    "band_low": (0.1, 0.25), "band_middle": (0.25, 0.5), "band_high": (0.5, 0.75),
    "band_highest": (0.75, 1.0),
}  # fmt: skip
"""In shares of the highest frequency that pixels can show."""


def _spectrum(luma: Floats) -> dict[str, float]:
    """Log power of four bands over that of the lowest, and how far a peak stands out of the highest."""
    side = len(luma)
    window = np.hanning(side)
    power = np.abs(np.fft.rfft2((luma - luma.mean()) * np.outer(window, window))) ** 2 + 1.0
    along, across = np.fft.fftfreq(side) * 2, np.fft.rfftfreq(side) * 2
    radius = np.hypot(along[:, None], across[None, :])
    lowest = power[(radius > 0) & (radius < 0.1)].mean() if side >= 2 * LEAST_PX else power[radius > 0].mean()
    found = {}
    for name, (low, high) in _BANDS.items():
        found[name] = float(np.log(power[(radius >= low) & (radius < high)].mean() / lowest))
    highest = power[radius >= _BANDS["band_highest"][0]]
    return found | {"highest_peak": float(np.log(highest.max() / np.median(highest)))}


def _border(luma: Floats) -> dict[str, float]:
    """The outermost line of pixels against the next one, how it varies, and how bright it is."""
    outer = np.concatenate([luma[0], luma[-1], luma[:, 0], luma[:, -1]])
    inner = np.concatenate([luma[1], luma[-2], luma[:, 1], luma[:, -2]])
    return {
        "border_step": float(np.abs(outer - inner).mean()) / 255,
        "border_spread": float(outer.std()) / 255,
        "border_light": float(outer.mean() - luma.mean()) / 255,
    }
