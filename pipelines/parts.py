"""Deals what belongs together out to training, validation and test: the one place that does.

Names (of photos, of speakers) and their cells enter; a part for each leaves. Whatever has one name is in one
part, so nobody is both learned from and judged on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

PART_NAMES = ("train", "valid", "test")


def split_origins(
    origins: pd.Series, cells: pd.Series, fractions: Sequence[float], seed: int
) -> npt.NDArray[np.object_]:
    """Deal origins out to the parts, cell after cell, each to the part that is furthest behind its share.

    Args:
        origins: [n] str.
        cells: [n] str; an origin counts in the cell of its first image.
        fractions: For train, valid, test.
        seed: Shuffles origins within their cell.

    Returns:
        [n] of "train", "valid" or "test". Totals are within one origin of their share; so is each cell,
        nearly.
    """
    first = pd.DataFrame({"origin": list(origins), "cell": list(cells)}).drop_duplicates("origin")
    first = first.sort_values("origin", ignore_index=True)
    first["order"] = np.random.default_rng(seed).permutation(len(first))
    first = first.sort_values(["cell", "order"], ignore_index=True)
    share = np.asarray(fractions, dtype=float)
    dealt = np.zeros(3)
    parts: dict[str, str] = {}
    for n, origin in enumerate(first["origin"], start=1):
        part = int(np.argmax(share * n - dealt))
        dealt[part] += 1
        parts[origin] = PART_NAMES[part]
    return np.array([parts[origin] for origin in origins], dtype=object)
