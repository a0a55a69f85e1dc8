"""What became of the photos, group by group: the generator's own bias, in numbers.

A manifest enters; a plain record leaves, for `summary.json` and for the eyes of whoever reads the
audit: if photos of one group drop out more often, or are reconstructed worse, a gap between groups
may be the generator's and not the detector's.
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipelines.dataset.manifest import OK
from pipelines.labels import ATTRIBUTES

_MEANS = {
    "confidence": "mean_confidence",
    "border_share": "mean_border_share",
    "reconstruction_l1": "mean_reconstruction_l1",
    "reconstruction_ms_ssim": "mean_reconstruction_ms_ssim",
    "spectrum_db": "mean_spectrum_db",
    "changed_share": "mean_changed_share",
}


def summarise_kinds(manifest: pd.DataFrame, difficulty: Mapping[str, Any]) -> dict[str, Any]:
    """Of each kind of fake what became of the photos, how real the fakes are, and how hard to tell.

    Args:
        manifest: columns as `manifest.SCHEMA`.
        difficulty: kind to the record of `difficulty.difficulty_of`.

    Returns:
        {"kinds": {kind: {**summarise, "difficulty"}}}.
    """
    return {
        "kinds": {
            str(kind): {**summarise(rows), "difficulty": difficulty.get(str(kind))}
            for kind, rows in manifest.groupby("kind", sort=True)
        }
    }


def summarise(manifest: pd.DataFrame) -> dict[str, Any]:
    """Count outcomes and average the quality of pairs of one kind, overall and by group.

    Args:
        manifest: columns as `manifest.SCHEMA`.

    Returns:
        {"overall": record, "groups": [{"attribute", "group", ...record}]}. A record holds
        n_attempted, n_pairs, drop_out (share 0-1), reasons (count of each), means over the pairs
        (None where there are none), psnr_db of the mean squared error, and fake_face_found: of the
        pairs in whose real half the detector finds a face, the share in whose fake it finds one;
        n_face_lost and n_face_gained: pairs with a face found in the real half alone, and in the fake
        alone. In a tight crop the detector misses some faces by a hair, so some are lost and some gained
        where nothing was done to a face; far more lost than gained means that fakes lose faces.
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
    in_real, in_fake = pairs["real_confidence"].notna(), pairs["fake_confidence"].notna()
    return {
        "n_attempted": len(rows),
        "n_pairs": len(pairs),
        "drop_out": (len(rows) - len(pairs)) / len(rows) if len(rows) else None,
        "reasons": {str(reason): int(n) for reason, n in reasons.items()},
        **{name: _finite(pairs[column].mean()) for column, name in _MEANS.items() if column in pairs},
        "psnr_db": _psnr_db(pairs["psnr_db"]) if "psnr_db" in pairs else None,
        "fake_face_found": _finite(in_fake[in_real].mean()),
        "n_face_lost": int((in_real & ~in_fake).sum()),
        "n_face_gained": int((in_fake & ~in_real).sum()),
    }


def _psnr_db(each: pd.Series) -> float | None:
    """PSNR of the mean squared error of pairs, from the PSNR of each; None of none, or of equal halves."""
    error = float((10 ** (-each.dropna() / 10)).mean()) if each.notna().any() else 0.0
    return round(-10 * math.log10(error), 4) if error > 0 else None


def _finite(value: Any) -> float | None:
    """A float, or None where there is nothing to average."""
    number = float(value)
    return number if math.isfinite(number) else None
