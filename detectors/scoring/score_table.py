"""The score table: one row an image, and the one writer of `scores.parquet`.

    image_id  str, unique
    pair_id   str or null: both halves of a pair share it
    label     int, 1 = fake
    score     float, higher = more fake; NaN where there is none
    status    str, "ok" or why there is no score: "no score" where the detector gives NaN or infinity
    detail    str, a sentence about that, or ""
    source    str, the source photo
    kind      str, "real" or the kind of fake
    sha256    str or null, of the image file's bytes as they were scored
    ...       the attributes

Enters and leaves: pandas tables of this form. This module does not need torch.
"""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from pipelines.storage import write_bytes

SCORE_COLUMNS = ("image_id", "pair_id", "label", "score", "status", "detail", "source", "kind", "sha256")
OK = "ok"
NO_SCORE = "no score"
"""Status of an image that could be read and for which the detector gives no number."""


def no_number(answer: float) -> str:
    """What is said of an answer that is NaN or infinite.

    >>> no_number(math.nan)
    'the answer is nan, which is no score'
    """
    return f"the answer is {answer:g}, which is no score"


def with_reasons(table: pd.DataFrame) -> pd.DataFrame:
    """The table, its rows without a finite number marked as such.

    Args:
        table: With score, status and detail.
    """
    absent = table["status"].eq(OK) & ~table["score"].abs().lt(math.inf)
    if not absent.any():
        return table
    return table.assign(
        score=table["score"].where(~absent),
        status=table["status"].where(~absent, NO_SCORE),
        detail=table["detail"].where(~absent, table["score"].map(no_number)),
    )


def write_score_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a score table as Parquet, to a temporary name first; equal tables give equal bytes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, table.to_parquet(index=False))
    return path
