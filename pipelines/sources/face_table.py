"""Labelled photos, wherever they come from: what every source of photos leaves.

Nothing enters; `FaceTable` leaves, and the age groups that years belong to.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipelines.labels import AGE_YEARS, AGES

OLDEST = 130
"""Years; more is a mistake."""


@dataclass(frozen=True)
class FaceTable:
    """Labelled photos."""

    root: Path
    """The folder or table that was asked for."""
    rows: pd.DataFrame
    """Columns pair_id, source (how the source calls the photo), path (where its bytes are: a file, or a place
    as `parquet_photos` writes it), age, gender, race (str, missing where unknown) and service_test (nullable
    boolean), sorted by pair_id."""
    kind: str
    """"fairface", "utkface", "photos", or "rendered" for a drawn population."""
    sha256: str
    """Of the labels: of the label tables' bytes, or of the rows."""
    probes: tuple[Path, ...]
    """Files and folders that must be there while photos are read."""
    repaired_ages: int = 0
    """How many ages were repaired from spreadsheet damage."""
    notes: tuple[str, ...] = ()
    """Sentences that a reader of the audit must see."""


def age_group(years: float) -> str:
    """FairFace's age group of an age in years.

    Raises:
        ValueError: no age of a person.

    >>> age_group(0), age_group(2.9), age_group(3), age_group(69), age_group(88)
    ('0-2', '0-2', '3-9', '60-69', 'more than 70')
    """
    if not 0 <= years <= OLDEST:
        raise ValueError(f"{years} is no age in years")
    return next((name for name, (_, end) in AGE_YEARS.items() if years < end), AGES[-1])
