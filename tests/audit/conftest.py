"""Small score tables with known truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no reason to fail, and the same examples must be tried everywhere.
settings.register_profile(
    "audit", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("audit")

Simulate = Callable[..., pd.DataFrame]


def simulate_pairs(n_pairs: int, seed: int = 0, shift: float = 0.0) -> pd.DataFrame:
    """Pairs of six cells; the real faces of race "B" score higher by `shift` standard deviations."""
    rng = np.random.default_rng(seed)
    race = rng.choice(["A", "B", "C"], n_pairs, p=[0.5, 0.3, 0.2])
    gender = rng.choice(["Female", "Male"], n_pairs)
    person = rng.normal(size=n_pairs) * 0.6
    real = -1.2 + person + rng.normal(size=n_pairs) + shift * (race == "B")
    fake = 1.2 + person + rng.normal(size=n_pairs)
    names = pd.Series([f"p{i:06d}" for i in range(n_pairs)])
    halves = [
        pd.DataFrame({"pair_id": names, "image_id": word + names, "label": label, "score": score})
        for word, label, score in (("r", 0, real), ("f", 1, fake))
    ]
    return pd.concat([half.assign(gender=gender, race=race) for half in halves], ignore_index=True)


@pytest.fixture
def simulate() -> Simulate:
    return simulate_pairs


@pytest.fixture
def twelve_pairs() -> pd.DataFrame:
    """Countable by hand at threshold 0.5. Group x: FP 1/6, FN 2/6. Group y: FP 3/6, FN 0/6."""
    real_x, fake_x = [0.9, 0.1, 0.1, 0.1, 0.1, 0.1], [0.2, 0.3, 0.8, 0.8, 0.8, 0.8]
    real_y, fake_y = [0.7, 0.6, 0.5, 0.1, 0.1, 0.1], [0.9, 0.9, 0.9, 0.9, 0.5, 0.9]
    score = real_x + real_y + fake_x + fake_y
    return pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(24)],
            "pair_id": [f"p{i}" for i in range(12)] * 2,
            "label": [0] * 12 + [1] * 12,
            "score": score,
            "race": (["x"] * 6 + ["y"] * 6) * 2,
        }
    )
