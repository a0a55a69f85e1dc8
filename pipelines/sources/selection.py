"""Chooses photos so that the cells of age, gender and race are as even as the supply allows.

A `FaceTable`'s rows enter; a part of them leaves, sorted by pair_id.

Why rounds: every cell is shuffled once, by the seed alone, and each round takes the next photo of
every cell. A larger limit therefore contains the smaller one of the same seed, and pairs made for
a trial are pairs of the full run. Within a round the cells take turns so that ages, genders and
races stay even among themselves too, wherever the limit cuts the round off.
"""

from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd

from pipelines.errors import SelectionError
from pipelines.labels import ATTRIBUTES


def select(
    rows: pd.DataFrame, limit: int | None = None, per_cell: int | None = None, seed: int = 0
) -> pd.DataFrame:
    """Choose photos, balanced over the cells of age, gender and race.

    Args:
        rows: `FaceTable.rows`.
        limit: at most this many photos in all; None for no limit.
        per_cell: at most this many photos of each cell; None for no limit.
        seed: which photos of a cell come first, and which cells get the last, uneven round.

    Returns:
        The chosen rows, sorted by pair_id. Fewer than asked for if the supply is short.

    Raises:
        SelectionError: a limit below 1.
    """
    for name, value in (("--limit", limit), ("--per-cell", per_cell)):
        if value is not None and value < 1:
            raise SelectionError(f"{name} is {value}; it must be at least 1")
    ordered = rows.sort_values("pair_id", ignore_index=True)
    rng = np.random.default_rng(seed)
    shuffled = ordered.iloc[rng.permutation(len(ordered))]
    labels = shuffled[list(ATTRIBUTES)].astype(object).fillna("")  # photos without a label are a cell, too
    turn = labels.groupby(list(ATTRIBUTES), sort=True).cumcount().to_numpy()
    cells = list(labels.itertuples(index=False, name=None))
    rank = {cell: place for place, cell in enumerate(_even_order(sorted(set(cells)), rng))}
    order = np.lexsort((np.array([rank[cell] for cell in cells]), turn))
    if per_cell is not None:
        order = order[turn[order] < per_cell]
    chosen = shuffled.iloc[order[:limit]]
    return chosen.sort_values("pair_id", ignore_index=True)


def _even_order(cells: list[tuple[str, ...]], rng: np.random.Generator) -> list[tuple[str, ...]]:
    """Order cells so that every prefix is as even as a greedy choice makes it.

    First among the words of each attribute, then among the words of each two attributes.
    """
    left = [cells[i] for i in rng.permutation(len(cells))]
    seen: Counter[tuple[tuple[int, str], ...]] = Counter()
    order = []

    def crowding(cell: tuple[str, ...]) -> list[int]:
        return [n for size in (1, 2) for n in sorted((seen[k] for k in _parts(cell, size)), reverse=True)]

    while left:
        best = min(left, key=crowding)
        left.remove(best)
        seen.update(_parts(best, 1) + _parts(best, 2))
        order.append(best)
    return order


def _parts(cell: tuple[str, ...], size: int) -> list[tuple[tuple[int, str], ...]]:
    """The words of a cell, `size` at a time, each with its attribute's place."""
    return list(combinations(enumerate(cell), size))
