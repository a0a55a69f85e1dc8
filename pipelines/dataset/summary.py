"""What became of the photos, group by group: the generator's own bias, in numbers.

A manifest enters; a plain record leaves, for `summary.json` and for the eyes of whoever reads the
audit: if photos of one group drop out more often, or are reconstructed worse, a gap between groups
may be the generator's and not the detector's.
"""

import math
from typing import Any

import pandas as pd

from pipelines.dataset.manifest import OK
from pipelines.labels import ATTRIBUTES

_MEANS = {
    "confidence": "mean_confidence",
    "border_share": "mean_border_share",
    "reconstruction_l1": "mean_reconstruction_l1",
    "reconstruction_ms_ssim": "mean_reconstruction_ms_ssim",
}


def summarise(manifest: pd.DataFrame) -> dict[str, Any]:
    """Count outcomes and average the quality of pairs, overall and by group.

    Args:
        manifest: columns as `manifest.SCHEMA`.

    Returns:
        {"overall": record, "groups": [{"attribute", "group", ...record}]}. A record holds
        n_attempted, n_pairs, drop_out (share 0-1), reasons (count of each), means over the pairs
        (None where there are none) and fake_face_found: of the pairs in whose real half the
        detector finds a face, the share in whose fake it finds one.
    """
    groups = [
        {"attribute": attribute, "group": str(group), **_record(rows)}
        for attribute in ATTRIBUTES
        for group, rows in manifest.groupby(attribute, sort=True)
    ]
    return {"overall": _record(manifest), "groups": groups}


def _record(rows: pd.DataFrame) -> dict[str, Any]:
    """The numbers of one group."""
    pairs = rows[rows["status"] == OK]
    reasons = rows.loc[rows["status"] != OK, "status"].value_counts().sort_index()
    seen = pairs[pairs["real_confidence"].notna()]
    return {
        "n_attempted": len(rows),
        "n_pairs": len(pairs),
        "drop_out": (len(rows) - len(pairs)) / len(rows) if len(rows) else None,
        "reasons": {str(reason): int(n) for reason, n in reasons.items()},
        **{name: _finite(pairs[column].mean()) for column, name in _MEANS.items()},
        "fake_face_found": _finite(seen["fake_confidence"].notna().mean()),
    }


def _finite(value: Any) -> float | None:
    """A float, or None where there is nothing to average."""
    number = float(value)
    return number if math.isfinite(number) else None
