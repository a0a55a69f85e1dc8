"""An explanation as a picture that can stand alone: image, map, overlay, decision, legend and colour bar.

Enters: an image as the network sees it, an `Explanation`. Leaves: uint8 RGB pixels, or PNG bytes.

Why the colours are those of inferno: it grows steadily lighter, in grey print and for colour-blind eyes as
well.
Source: matplotlib's inferno (Smith and van der Walt 2015), sampled at nine points.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from detectors.explanation.methods import Explanation
from pipelines.sources.photos import encode_png
from pipelines.visible import visible

Pixels = npt.NDArray[np.uint8]
_INFERNO = np.array(
    [
        (0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51), (249, 140, 10),
        (249, 201, 50), (252, 255, 164),
    ],
    dtype=np.float64,
)  # fmt: skip
PANEL_PX = 224
"""Side of each of the three panels."""
_GAP_PX, _BAR_PX, _TOP_PX, _BOTTOM_PX = 12, 16, 44, 54
_MEAN_PX = 112
_SHARE = 0.55
"""Of the map in the overlay, where the map is brightest."""


def coloured(values: Tensor | npt.NDArray[np.floating]) -> Pixels:
    """A map in colours.

    Args:
        values: [H, W] in 0-1.

    Returns:
        uint8 [H, W, 3].
    """
    at = np.clip(np.asarray(values, dtype=np.float64), 0, 1)
    steps = np.linspace(0, 1, len(_INFERNO))
    channels = [np.interp(at, steps, _INFERNO[:, c]) for c in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)


def overlaid(image: Pixels, values: Tensor | npt.NDArray[np.floating]) -> Pixels:
    """An image under its map; where the map is 0 the image shows through untouched.

    Args:
        image: uint8 [H, W, 3].
        values: [H, W] in 0-1.
    """
    share = _SHARE * np.sqrt(np.clip(np.asarray(values, dtype=np.float64), 0, 1))[..., None]
    return (image * (1 - share) + coloured(values) * share).round().astype(np.uint8)


def picture(image: Tensor, found: Explanation, name: str, detector: str, threshold: float) -> bytes:
    """The whole picture.

    Args:
        image: [3, S, S] uint8, as the network sees it.
        found: Its explanation.
        name: Of the image, for the heading.
        detector: Its name.
        threshold: Fake if score >= threshold.

    Returns:
        PNG: the same bytes for the same arguments.
    """
    seen = np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())
    panels = [
        ("As the detector sees it", seen),
        ("Map", coloured(found.map)),
        ("Overlay", overlaid(seen, found.map)),
    ]
    width = 3 * PANEL_PX + 4 * _GAP_PX + _BAR_PX + 44
    sheet = Image.new("RGB", (width, _TOP_PX + PANEL_PX + _BOTTOM_PX), "white")
    pen = ImageDraw.Draw(sheet)
    head = f"{found.answer} face: score {found.score:.4f}, fake from {threshold:g} on"
    pen.text((_GAP_PX, 6), _fitted(f"{visible(name)} · {visible(detector)}", 100), "black", font=_font(13))
    pen.text((_GAP_PX, 23), head, "black", font=_font(13))
    for number, (title, pixels) in enumerate(panels):
        left = _GAP_PX + number * (PANEL_PX + _GAP_PX)
        shown = Image.fromarray(pixels).resize((PANEL_PX, PANEL_PX), Image.Resampling.BICUBIC)
        sheet.paste(shown, (left, _TOP_PX))
        pen.text((left, _TOP_PX + PANEL_PX + 4), title, "black", font=_font(12))
    _bar(sheet, pen, 3 * PANEL_PX + 4 * _GAP_PX)
    pen.text((_GAP_PX, _TOP_PX + PANEL_PX + 26), _plain(found.legend), "black", font=_font(12))
    return encode_png(np.asarray(sheet))


def mean_maps(means: Mapping[tuple[str, str, str], npt.NDArray[np.floating]]) -> bytes:
    """Mean maps of classes and groups on one sheet: a row for each class and attribute.

    Args:
        means: (class, attribute, group) to [S, S] in 0-1; all are coloured from 0 to the largest of all.

    Returns:
        PNG.
    """
    rows: dict[tuple[str, str], list[tuple[str, npt.NDArray[np.floating]]]] = {}
    for (word, attribute, group), values in means.items():
        rows.setdefault((word, attribute), []).append((group, values))
    top = max((float(values.max()) for values in means.values()), default=0.0) or 1.0
    side, high = _MEAN_PX, _MEAN_PX + 36
    columns = max(map(len, rows.values()), default=1)
    sheet = Image.new("RGB", (_GAP_PX + columns * (side + _GAP_PX), len(rows) * (high + 18) + 8), "white")
    pen = ImageDraw.Draw(sheet)
    for number, ((word, attribute), groups) in enumerate(rows.items()):
        y = 6 + number * (high + 18)
        pen.text((_GAP_PX, y), _fitted(f"{word} faces by {visible(attribute)}", 60), "black", font=_font(13))
        for column, (group, values) in enumerate(groups):
            x = _GAP_PX + column * (side + _GAP_PX)
            shown = Image.fromarray(coloured(values / top)).resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(shown, (x, y + 18))
            pen.text((x, y + 20 + side), _fitted(visible(group), 18), "black", font=_font(12))
    return encode_png(np.asarray(sheet))


def _bar(sheet: Image.Image, pen: ImageDraw.ImageDraw, left: int) -> None:
    """The colour bar, from 0 below to the largest value of this image above."""
    ramp = np.repeat(np.linspace(1, 0, PANEL_PX)[:, None], _BAR_PX, 1)
    sheet.paste(Image.fromarray(coloured(ramp)), (left, _TOP_PX))
    for text, y in (("most", 0), ("0", PANEL_PX - 14)):
        pen.text((left + _BAR_PX + 4, _TOP_PX + y), text, "black", font=_font(12))


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _plain(text: str) -> str:
    """Pillow's own font has no curved quotes."""
    return text.replace("“", '"').replace("”", '"')


def _fitted(text: str, length: int) -> str:
    text = text.encode("latin-1", "backslashreplace").decode("latin-1")
    return text if len(text) <= length else f"{text[: length - 3]}..."
