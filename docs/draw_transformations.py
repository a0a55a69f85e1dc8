"""Draws the docs' picture of all transformations: `python docs/draw_transformations.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from detectors.data.transformations import SEVERITIES, TRANSFORMATIONS, transform
from pipelines.labels import AGES, GENDERS, RACES
from pipelines.rendered import render_face

OUT = Path(__file__).parent / "pictures" / "transformations.jpg"
SIDE_PX, LABEL_PX = 128, 150


def main() -> None:
    """One row a transformation: untouched, then severities 1 to 5."""
    face = render_face(AGES[3], GENDERS[1], RACES[0], np.random.default_rng(11), SIDE_PX)
    size = (LABEL_PX + 6 * SIDE_PX, len(TRANSFORMATIONS) * SIDE_PX)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for row, (name, kind) in enumerate(TRANSFORMATIONS.items()):
        pen.multiline_text(
            (6, row * SIDE_PX + 50), kind.label.replace(": ", ":\n").replace(", ", ",\n"), "black"
        )
        sheet.paste(Image.fromarray(face), (LABEL_PX, row * SIDE_PX))
        for severity in SEVERITIES:
            changed = Image.fromarray(transform(face, name, severity, 0, "docs"))
            sheet.paste(changed, (LABEL_PX + severity * SIDE_PX, row * SIDE_PX))
    OUT.parent.mkdir(exist_ok=True)
    sheet.save(OUT, quality=88)


if __name__ == "__main__":
    main()
