"""A row of the calibration table, and the aims rows share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Simulate = Callable[[int, np.random.Generator], float]

EXACT, AT_LEAST, AT_MOST, REPORT = (0.93, 0.97), (0.93, 1.0), (0.0, 0.05), (0.0, 1.0)


@dataclass(frozen=True)
class Study:
    """One row of the table."""

    what: str
    case: str
    aim: tuple[float, float]
    simulate: Simulate
    n: int


def run(study: Study, seed: int, scale: float = 1.0) -> float:
    """The share a study finds with its number of simulations times `scale`."""
    return study.simulate(max(int(study.n * scale), 1), np.random.default_rng(seed))
