"""A drawn population in FairFace's own layout.

A folder, two counts and a seed enter; `fairface_label_train.csv`, `fairface_label_val.csv`,
`train/N.jpg` and `val/N.jpg` (224 px JPEG) leave, and a README that says the faces are drawn.
"""

import io
import os
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from pipelines.csv_text import csv_text
from pipelines.labels import AGES, GENDERS, RACES
from pipelines.rendered.scene import render_face

COLUMNS: Final = ("file", "age", "gender", "race", "service_test")
README: Final = """These faces are drawn, not photographed: no person in this folder exists.
Labels are what each face was drawn from. Layout and label words are FairFace's.
"""
MARKER: Final = "RENDERED.txt"
"""The file whose presence says that a folder in FairFace's layout holds drawn faces."""


def _write(path: Path, data: bytes) -> None:
    """Write under a temporary name, then rename."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)


def drawn_cells(n: int, split: str, seed: int) -> list[tuple[str, str, str]]:
    """Age, gender and race of the n faces of a split: of any first few, cells differ by one face at most.

    Args:
        n: 0 or more.
        split: "train" or "val".
        seed: of the population.
    """
    cells = list(product(AGES, GENDERS, RACES))
    order = np.random.default_rng([seed, len(split)])
    rounds = [order.permutation(len(cells)) for _ in range(-(-n // len(cells)))]
    return [cells[place] for places in rounds for place in places][:n]


def _draw_split(folder: Path, split: str, n: int, seed: int) -> None:
    """Draw one split and write its table."""
    rows: list[tuple[str, ...]] = []
    (folder / split).mkdir(parents=True, exist_ok=True)
    for number, cell in enumerate(drawn_cells(n, split, seed), start=1):
        rng = np.random.default_rng([seed, len(split), number])
        photo = io.BytesIO()
        quality = int(rng.integers(78, 96))
        Image.fromarray(render_face(*cell, rng)).save(photo, "JPEG", quality=quality)
        _write(folder / split / f"{number}.jpg", photo.getvalue())
        rows.append((f"{split}/{number}.jpg", *cell, str(bool(rng.random() < 0.5))))
    _write(folder / f"fairface_label_{split}.csv", csv_text(COLUMNS, rows, line_end="\n").encode())


def render_population(out_dir: str | Path, n_train: int, n_val: int, seed: int) -> Path:
    """Draw a labelled population, balanced over age, gender and race.

    Args:
        out_dir: the folder to fill; made if absent, photos of the same names replaced.
        n_train: number of faces in `train/`.
        n_val: number of faces in `val/`.
        seed: the same seed gives the same bytes.

    Returns:
        The folder, readable with `pipelines.sources.fairface.read_fairface`.

    Raises:
        ValueError: a negative count.
    """
    if n_train < 0 or n_val < 0:
        raise ValueError(f"counts must not be negative: n_train={n_train}, n_val={n_val}")
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / MARKER, README.encode())
    _draw_split(folder, "train", n_train, seed)
    _draw_split(folder, "val", n_val, seed)
    return folder
