"""A row of the calibration table, and the aims rows share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audit.config import AuditConfig
from audit.data.counts import Counts, of_units
from audit.data.unit_totals import unit_totals
from audit.inference.effective_sample_size import fpr_worth
from audit.judge.verdicts import Question, judge
from audit.metrics.disparity_intervals import Evidence
from audit.schema.result import Verdict

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


Sizes = tuple[int, ...]


def clustered(
    sizes: Sizes, rates: np.ndarray, together: float | np.ndarray, n_each: int, rng: np.random.Generator
) -> Counts:
    """Reals of sizes[g] units in group g, n_each of a unit; errors within it correlate by `together`."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    spread = (1 / np.broadcast_to(together, len(sizes)) - 1)[group]
    chance = rng.beta(rates[group] * spread, (1 - rates[group]) * spread)
    unit = np.repeat(np.arange(len(group)), n_each)
    wrong = rng.random(len(unit)) < chance[unit]
    return of_units(unit_totals(unit, group[unit], len(sizes), np.zeros(len(unit), bool), wrong, None))


def unit_verdict(counts: Counts, rng: np.random.Generator) -> Verdict:
    """One attribute and one rate of images that share units."""
    n = fpr_worth(counts)
    names, rates = [str(g) for g in range(len(n))], counts.fp / counts.n_real
    evidence = Evidence(counts, 499, (int(rng.integers(2**31)),))
    question = Question("a", "fpr", names, rates * n, n, 0, evidence, counts.images[:, [1, 0]])
    return judge([question], AuditConfig(n_boot=499))[0]
