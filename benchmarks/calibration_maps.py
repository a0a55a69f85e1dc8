"""Rows of the calibration table on the maps of groups: is a group said to rest on another part of the face?

Enters: nothing. Leaves: `STUDIES`, which `benchmarks/calibration.py` runs with its own.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from study import REPORT, Study

from audit.inference.map_differences import map_differences

N_REGIONS = 9
AROUND_5 = (0.0, 0.07)
"""Of a test that holds 5 % and no less: what some hundred simulations of it may show."""


def map_named(
    sizes: tuple[int, ...], spread: tuple[float, ...], skewed: bool, shift: float, n_sim: int,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """How often any group and region is named. All groups have the same mean shares, those of `spread` times
    the standard deviation of 0.01 (`skewed`: log-normal, of equal spread); `shift`: more in one region of the
    last group.
    """
    named, group = 0, np.repeat(np.arange(len(sizes)), sizes)
    for _ in range(n_sim):
        noise = rng.normal(size=(len(group), N_REGIONS))
        wide = np.array(spread)[group][:, None]
        shares = np.exp(0.5 * noise) / 10 if skewed else 0.1 + 0.01 * wide * noise
        shares[group == len(sizes) - 1, 0] += shift
        found = map_differences(
            shares, group.astype(str).tolist(), n_permutations=199, seed=int(rng.integers(2**31))
        )
        named += any(one.p_value <= 0.05 for one in found)
    return named / n_sim


ONE = (200,) + (12,) * 6

STUDIES = [
    *[
        Study("Maps, any group said to rest on another part although none does", case, AROUND_5,
              partial(map_named, sizes, spread, skewed, 0.0), 1_000)
        for case, sizes, spread, skewed in (
            ("200 and 6 x 12", ONE, (1,) * 7, False),
            ("200 and 6 x 12, the small ones three times as spread", ONE, (1,) + (3,) * 6, False),
            ("200 and 6 x 12, the large one three times as spread", ONE, (3,) + (1,) * 6, False),
            ("200 and 6 x 12, skewed shares", ONE, (1,) * 7, True),
            ("150 and 50, the small one three times as spread", (150, 50), (1, 3), False),
        )
    ],
    *[
        Study("Maps, a group that does is named", case, REPORT,
              partial(map_named, sizes, (1,) * len(sizes), False, shift), 200)
        for case, sizes, shift in (
            ("7 x 30, one SD", (30,) * 7, 0.01),
            ("200 and 6 x 12, 1.5 SD in a small one", ONE, 0.015),
            ("100 and 100, half an SD", (100, 100), 0.005),
        )
    ],
]  # fmt: skip
