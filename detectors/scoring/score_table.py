"""The score table: one row an image, and the one writer of `scores.parquet`.

    image_id  str, unique
    pair_id   str or null: both halves of a pair share it
    label     int, 1 = fake
    score     float, higher = more fake; NaN where there is none
    status    str, "ok" or why there is no score
    detail    str, a sentence about that, or ""
    source    str, the source photo
    kind      str, "real" or the kind of fake
    sha256    str or null, of the image file's bytes as they were scored
    ...       the attributes

Enters and leaves: pandas tables of this form. This module does not need torch.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pipelines.storage import write_bytes

SCORE_COLUMNS = ("image_id", "pair_id", "label", "score", "status", "detail", "source", "kind", "sha256")
OK = "ok"


def write_score_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a score table as Parquet, to a temporary name first; equal tables give equal bytes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, table.to_parquet(index=False))
    return path
