"""What maps of many images add up to: which method can be trusted, and where groups differ.

Enters: a detector, a pairs dataset. Leaves: plain values for `summary.json`.

Why a method is trusted only by all three: it must find what was changed more often than chance does, lay
more of the map there than chance does, and depend on the detector's weights. Why groups get intervals and no
verdict here: the question is about the method, and a group's fakes may be changed in larger or smaller
parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from audit.inference.map_differences import map_differences
from audit.inference.proportion_intervals import wilson, z_value
from audit.schema.explanations import LEAST_FAKES, ExplanationSummary
from detectors.models.detector import Detector
from detectors.scoring.options import RayCluster

CONFIDENCE = 0.95
SANE = 0.5
"""Mean rank correlation with maps of random weights from which on a map shows the image, not the detector."""
Advance = Callable[[int], None]


def method_trust(measured: pd.DataFrame, confidence: float = CONFIDENCE) -> list[dict[str, Any]]:
    """One row a method: what was measured, and whether it can be trusted for this detector.

    Args:
        measured: As `detectors.explanation.measures.measure` gives it.
        confidence: Of the intervals, each for itself.
    """
    return [
        {"method": method} | _row(part, confidence) | {"trusted": is_trusted(part, confidence)}
        for method, part in measured.groupby("method", sort=False)
    ]


def group_measures(
    measured: pd.DataFrame, attributes: Sequence[str], confidence: float = CONFIDENCE
) -> list[dict[str, Any]]:
    """The same for each group of each attribute; groups of fewer than `LEAST_FAKES` are marked small."""
    return [
        {"method": method, "attribute": attribute, "group": str(group), "small": len(part) < LEAST_FAKES}
        | _row(part, confidence)
        for attribute in attributes
        for (method, group), part in measured.dropna(subset=[attribute]).groupby(
            ["method", attribute], sort=False
        )
    ]


def is_trusted(part: pd.DataFrame, confidence: float = CONFIDENCE) -> bool:
    """Whether pointing, energy and sanity all speak for a method; never on fewer than `LEAST_FAKES` fakes."""
    row = _row(part, confidence)
    return bool(
        row["n"] >= LEAST_FAKES
        and row["hit_interval"][0] > row["area"]
        and row["energy_gain_interval"][0] > 0
        and (row["agreement"] is None or abs(row["agreement"]) < SANE)
    )


def _row(part: pd.DataFrame, confidence: float) -> dict[str, Any]:
    hits, n = float(part["hit"].mean()), len(part)
    low, high = wilson(hits, n, z_value(confidence))
    agreement = part["agreement"].mean() if part["agreement"].notna().any() else math.nan
    return {
        "n": n,
        "n_flat": int(part["flat"].sum()),
        "area": float(part["area"].mean()),
        "hit": hits,
        "hit_interval": [float(low), float(high)],
        "energy": float(part["energy"].mean()),
        "energy_gain_interval": _interval(part["energy"] - part["area"], confidence),
        "deletion_gain": float((part["deletion_random"] - part["deletion"]).mean()),
        "deletion_gain_interval": _interval(part["deletion_random"] - part["deletion"], confidence),
        "insertion_gain": float((part["insertion"] - part["insertion_random"]).mean()),
        "insertion_gain_interval": _interval(part["insertion"] - part["insertion_random"], confidence),
        "agreement": None if math.isnan(agreement) else float(agreement),
    }


def _interval(values: pd.Series, confidence: float) -> list[float | None]:
    """Student's interval of a mean; nulls for a single value."""
    n = len(values)
    if n < 2:
        return [None, None]
    half = float(student.ppf(0.5 + confidence / 2, n - 1) * values.std(ddof=1) / math.sqrt(n))
    return [float(values.mean()) - half, float(values.mean()) + half]


def maps_by_group(
    detector: Detector,
    rows: pd.DataFrame,
    method: str,
    *,
    attributes: Sequence[str],
    threshold: float = 0.5,
    n_permutations: int = 999,
    seed: int = 0,
    advance: Advance = lambda n: None,
    cluster: RayCluster | None = None,
) -> tuple[dict[tuple[str, str, str], np.ndarray], list[dict[str, Any]], int]:
    """Mean map of each class and group, and where groups differ more than chance lets them.

    Args:
        detector: The detector.
        rows: As `images_to_explain` gives them: path, label, pair_id, attributes; of aligned faces.
        method: A key of `METHODS`.
        attributes: Columns of groups.
        threshold: Fake if score >= threshold.
        n_permutations: Of every test.
        seed: Of draws.
        advance: Is told of every image done.
        cluster: Where to explain; None for this process.

    Returns:
        (class, attribute, group) to the mean map [S, S]; every group, class and region compared, with a
        p-value corrected for everything compared here; how many flat or unreadable images were left out.
    """
    from detectors.explanation.explain_images import explained
    from detectors.explanation.measures import REGIONS, region_shares

    kept, maps, shares = [], [], []
    for number, one in enumerate(explained(detector, rows, method, threshold, seed, cluster)):
        if one.found is not None and not one.found.is_flat:
            kept.append(number)
            maps.append(one.found.map.numpy())
            shares.append(region_shares(one.found.map))
        advance(1)
    table = rows.iloc[kept].reset_index(drop=True)
    stack, parts = np.array(maps), np.array(shares)
    means: dict[tuple[str, str, str], np.ndarray] = {}
    found: list[dict[str, Any]] = []
    families = [(label, a) for label in sorted(table["label"].dropna().unique()) for a in attributes]
    for label, attribute in families:
        chosen = table.index[(table["label"] == label) & table[attribute].notna()]
        word = "fake" if label == 1 else "real"
        for group in sorted(set(table.loc[chosen, attribute].astype(str))):
            of_group = chosen[table.loc[chosen, attribute].astype(str) == group]
            means[word, attribute, group] = stack[of_group].mean(0)
        units = _by_unit(table.loc[chosen], parts[chosen], attribute)
        for each in map_differences(*units, min_n=LEAST_FAKES, n_permutations=n_permutations, seed=seed):
            found.append(
                {
                    "half": word, "attribute": attribute, "group": each.group,
                    "region": list(REGIONS)[each.region], "n": each.n, "share": each.share,
                    "share_others": each.share_others, "p_value": min(1.0, each.p_value * len(families)),
                }
            )  # fmt: skip
    return means, found, len(rows) - len(kept)


def _by_unit(table: pd.DataFrame, shares: np.ndarray, attribute: str) -> tuple[np.ndarray, list[str]]:
    """Shares averaged over the images of one source photo, and the photo's group."""
    units = table["pair_id"].fillna(table["path"]).astype(str).to_numpy()
    names, first, place = np.unique(units, return_index=True, return_inverse=True)
    sums = np.zeros((len(names), shares.shape[1]))
    np.add.at(sums, place, shares)
    return sums / np.bincount(place)[:, None], table[attribute].astype(str).to_numpy()[first].tolist()


def summarise(
    detector: Detector,
    pairs: Path,
    *,
    n: int = 200,
    method: str,
    threshold: float = 0.5,
    seed: int = 0,
    advance: Advance = lambda n: None,
    cluster: RayCluster | None = None,
) -> tuple[dict[str, Any], dict[tuple[str, str, str], np.ndarray]]:
    """Everything that maps of a pairs dataset add up to.

    Args:
        detector: The detector.
        pairs: Its folder.
        n: Images for the mean maps, and fakes for the measures, each drawn by the seed.
        method: For the mean maps.
        threshold: Fake if score >= threshold.
        seed: Of every draw.
        advance: Is told of every image done.
        cluster: Where to explain; None for this process.

    Returns:
        The content of `summary.json`, and the mean maps.

    Raises:
        ExplanationError: no fake carries a mask.
    """
    from detectors.data.datasets import PAIR_ATTRIBUTES
    from detectors.explanation.explain_images import images_to_explain
    from detectors.explanation.measures import masked_fakes, measure, usable_methods

    fakes = masked_fakes(pairs)
    # one fake a photo, so that each stands for itself
    fakes = fakes.sample(frac=1, random_state=seed).drop_duplicates("pair_id").head(n).sort_index()
    measured = measure(detector, fakes, usable_methods(detector), threshold, seed, cluster)
    rows = images_to_explain([pairs], n, seed)
    attributes = [name for name in PAIR_ATTRIBUTES if name in rows and rows[name].nunique() > 1]
    means, differences, left_out = maps_by_group(
        detector,
        rows,
        method,
        attributes=attributes,
        threshold=threshold,
        seed=seed,
        advance=advance,
        cluster=cluster,
    )
    summary = {
        "detector": detector.name,
        "sha256": detector.sha256 or None,
        "threshold": threshold,
        "seed": seed,
        "confidence": CONFIDENCE,
        "fakes_with_mask": len(fakes),
        "fakes_called_fake": 0 if measured.empty else int(measured["pair_id"].nunique()),
        "trust": [] if measured.empty else method_trust(measured),
        "trust_by_group": [] if measured.empty else group_measures(measured, attributes),
        "method": method,
        "images": len(rows),
        "left_out": left_out,
        "differences": differences,
    }
    return ExplanationSummary.model_validate(summary).model_dump(mode="json"), means
