"""Does `audit mitigate` accept what helps, and nothing else? Simulated detectors whose true gaps are known.

Enters: nothing. Leaves: a table: how often a search of each kind ends as it should. Run
`python benchmarks/mitigation.py`; it takes a quarter of an hour on one core and is seeded. The tests run a
part.

Sizes: pairs of seven races in FairFace's shares. Half of them choose a cure and half judge it.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from audit.config import AuditConfig
from audit.mitigation.parts import Parts, Plan, split
from audit.mitigation.search import choose_and_judge
from audit.mitigation.targets import targets_of
from audit.mitigation.trial import Cure, try_cure
from audit.schema.mitigation import Outcome, Target

RACES = ["White", "Latino_Hispanic", "Indian", "East Asian", "Black", "Southeast Asian", "Middle Eastern"]
SHARES = np.array([2085, 1623, 1556, 1550, 1516, 1415, 1209]) / 10_954
N_RUNS = 200
CONFIG = AuditConfig(("race",), n_boot=1000)

Draw = Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Case:
    """One kind of detector.

    Attributes:
        what: In words.
        draw: Races [n] and a generator to the scores of the real and the fake halves.
        threshold: The one in use.
        n_pairs: Audited.
        right: The outcome whose share is counted.
        aim: Between which shares it must lie.
        forced: Threshold that is judged whatever the fitting part says; None to let it choose.
    """

    what: str
    draw: Draw
    threshold: float
    n_pairs: int
    right: Outcome
    aim: tuple[float, float]
    forced: float | None = None

    @property
    def key(self) -> str:
        """Names the simulation: cases that count different outcomes of it share one."""
        return f"{self.draw.__name__} {self.forced}"


def low_threshold(race: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Real faces labelled Black score higher; at 0.35 many are flagged, at 0.6 few of anybody."""
    real = rng.normal(-1.7, 0.8, len(race)) + 0.8 * (race == 4)
    return logistic(real), logistic(rng.normal(2.4, 0.9, len(race)))


def no_gap(race: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Nobody is treated otherwise; the threshold is as badly placed as above."""
    real, fake = rng.normal(-1.3, 0.8, len(race)), rng.normal(2.4, 0.9, len(race))
    return logistic(real), logistic(fake)


def fixed_gap(race: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One real face in eight labelled Black looks exactly like a fake, of others one in forty: no threshold
    helps.
    """
    fake = rng.normal(2.4, 0.9, len(race))
    alike = rng.random(len(race)) < np.where(race == 4, 1 / 8, 1 / 40)
    return logistic(np.where(alike, rng.permutation(fake), rng.normal(-2.5, 0.7, len(race)))), logistic(fake)


def only_down(race: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Real faces labelled Black are flagged at any useful threshold, those of others only just below the one
    in use.

    A lower threshold flags as many of all others, and misses fewer fakes: the gap closes, and nobody has
    gained.
    """
    n, black = len(race), race == 4
    high = rng.uniform(0.90, 0.999, n)
    real = np.where(
        rng.random(n) < 0.16, np.where(black, high, rng.uniform(0.38, 0.48, n)), rng.uniform(0, 0.3, n)
    )
    fake = np.where(rng.random(n) < 0.14, rng.uniform(0.38, 0.48, n), high)
    return real, fake


def logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


CASES = [
    Case("a gap of the threshold is cured", low_threshold, 0.35, 4000, "accepted", (0.90, 1.0)),
    Case("no gap is left alone", no_gap, 0.35, 4000, "accepted", (0.0, 0.05)),
    Case("no gap, another threshold judged", no_gap, 0.35, 4000, "accepted", (0.0, 0.05), forced=0.6),
    Case("a gap that no threshold changes", fixed_gap, 0.5, 4000, "accepted", (0.0, 0.05)),
    Case("the same, another threshold judged", fixed_gap, 0.3, 4000, "accepted", (0.0, 0.05), forced=0.5),
    Case("levelling down is named", only_down, 0.5, 6000, "levelling down", (0.90, 1.0)),
    Case("levelling down is never accepted", only_down, 0.5, 6000, "accepted", (0.0, 0.05)),
]


def table_of(case: Case, rng: np.random.Generator) -> pd.DataFrame:
    """A score table of one simulated audit."""
    race = rng.choice(len(RACES), case.n_pairs, p=SHARES)
    names = [f"p{i}" for i in range(case.n_pairs)]
    halves = [
        pd.DataFrame(
            {
                "image_id": [f"{label}-{name}" for name in names], "pair_id": names, "label": label,
                "score": score, "race": np.array(RACES)[race],
            }
        )
        for label, score in enumerate(case.draw(race, rng))
    ]  # fmt: skip
    return pd.concat(halves, ignore_index=True)


def outcome(case: Case, rng: np.random.Generator) -> Outcome:
    """One search, as `find_cure` makes it, without the bound and the verdicts."""
    parts = split(table_of(case, rng), CONFIG, Plan().fit_share)
    if case.forced is not None:
        return _forced(case.forced, parts, case.threshold)
    targets = targets_of(parts.fit, case.threshold, CONFIG)
    if not targets:
        return "nothing to cure"
    _, cure = choose_and_judge(parts, targets, case.threshold, Plan(), CONFIG, verdicts=False)
    return cure.outcome if cure else "no candidate"


def _forced(threshold: float, parts: Parts, before: float) -> Outcome:
    """Judge a threshold as a cure of the gap in FPR, though nothing on the fitting part asked for it."""
    target = Target(
        attribute="race", rate="fpr", gap=0.0, p_value=1.0, worst_group="Black", best_group="White"
    )
    table, margin = parts.judge, Plan().margin
    cure = Cure("threshold", threshold, table.score >= threshold)
    return try_cure(table, table.score >= before, cure, [target], margin, CONFIG).outcome


def outcomes(case: Case, n_runs: int, seed: int = 0) -> Counter[str]:
    """Outcome to how often."""
    rng = np.random.default_rng([seed, *case.key.encode()])
    return Counter(outcome(case, rng) for _ in range(n_runs))


def main() -> int:
    kept = True
    seen: dict[str, Counter[str]] = {}
    print(f"{'case':36} {'outcome':16} {'share':>7}  aim        all outcomes, {N_RUNS} runs")
    for case in CASES:
        start, key = time.time(), case.key
        found = seen[key] if key in seen else outcomes(case, N_RUNS)
        seen[key] = found
        share = found[case.right] / N_RUNS
        ok = case.aim[0] <= share <= case.aim[1]
        kept &= ok
        aim = f"{100 * case.aim[0]:.0f}-{100 * case.aim[1]:.0f} %"
        told = ", ".join(f"{name} {n}" for name, n in found.most_common())
        mark = "" if ok else "  <-- not kept"
        seconds = f"({time.time() - start:.0f} s)"
        line = f"{case.what:36} {case.right:16} {100 * share:5.1f} %  {aim:9}  {told}{mark}  {seconds}"
        print(line, flush=True)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
