"""What became of the source photos of each group before the detector saw them.

Enters: a pairs dataset's manifest. Leaves: one `Dropout` for each group of each attribute, and for the
whole.

Why beside the error rates: a face finder or a generator that fails more often, or worse, on one group changes
which faces the detector is judged on. That gap is not the detector's, and the reader must see it first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from audit.schema.result import OVERALL, Dropout

QUALITY = (
    "confidence",
    "border_share",
    "reconstruction_l1",
    "reconstruction_ms_ssim",
)
"""Manifest columns averaged over the pairs of a group."""
FACE_FOUND = "fake_face_found"
"""Share of the pairs whose fake still shows a face, of those whose real half does."""


def dropout_by_group(manifest: pd.DataFrame, attributes: Sequence[str]) -> list[Dropout]:
    """Count outcomes and average pair quality, overall and by group of each attribute.

    Args:
        manifest: one row a photo attempted; columns as `pipelines.dataset.manifest.SCHEMA`.
        attributes: columns to group by; those the manifest lacks are passed over.
    """
    found = [_record(manifest, OVERALL, "all")]
    for attribute in attributes:
        if attribute in manifest:
            groups = manifest.groupby(attribute, sort=True)
            found += [_record(rows, attribute, str(name)) for name, rows in groups]
    return found


def _record(rows: pd.DataFrame, attribute: str, group: str) -> Dropout:
    pairs = rows[rows["status"] == "ok"]
    counts = rows["status"].value_counts().sort_index()
    quality = {name: _mean(pairs[name]) for name in QUALITY if name in pairs}
    seen = pairs[pairs["real_confidence"].notna()]
    quality[FACE_FOUND] = _mean(seen["fake_confidence"].notna().astype(float))
    return Dropout(
        attribute=attribute,
        group=group,
        n_attempted=len(rows),
        n_ok=len(pairs),
        n_by_status={str(word): int(n) for word, n in counts.items()},
        quality=quality,
    )


def _mean(values: pd.Series) -> float:
    return float(values.mean()) if values.notna().any() else math.nan
