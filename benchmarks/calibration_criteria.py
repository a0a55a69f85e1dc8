"""Rows of the calibration table on the criteria "ratio" and "four-fifths".

Enters: nothing. Leaves: `STUDIES`, which `benchmarks/calibration.py` runs with its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from study import AT_MOST, REPORT, Sizes, Study, clustered

from audit.config import AuditConfig, CriterionName
from audit.data.counts import Counts
from audit.inference.effective_sample_size import fpr_worth
from audit.judge.verdicts import Decision, Question, decisions
from audit.metrics.disparity_intervals import Evidence

RACES = [2085, 1623, 1556, 1550, 1516, 1415, 1209]
N_BOOT = 499
BIG_AND_SMALL = [20_000] + [60] * 6
RARE = [20_000, 8_000, 3_000, 3_000, 1_500]


def question(number: int, counts: Counts, rng: np.random.Generator) -> Question:
    """The FPR of k groups."""
    worth, names = fpr_worth(counts), [str(g) for g in range(len(counts))]
    errors = counts.fp / counts.n_real * worth
    evidence = Evidence(counts, N_BOOT, (int(rng.integers(2**31)),))
    return Question(str(number), "fpr", names, errors, worth, 0, evidence, counts.images[:, [1, 0]])


def drawn(n: Sequence[int], p: Sequence[float], rng: np.random.Generator) -> Counts:
    """Reals of k groups, each an image of its own."""
    sizes = np.asarray(n)
    k = rng.binomial(sizes, p)
    none = np.zeros((len(sizes), 2), np.int64)
    return Counts(np.zeros((len(sizes), 2, 2), np.int64), np.stack([sizes - k, k], axis=1), none)


def beyond(found: Decision) -> bool:
    return found.word == "disparity" and found.beyond


def equal_named(p: Sequence[float], found: Decision) -> bool:
    """Whether two groups are proven unequal, or the named pair is, that are equal in truth."""
    rates = np.asarray(p)
    return bool((found.pairs.higher & (rates[:, None] == rates[None, :])).any())


def said(word: str, found: Decision) -> bool:
    return found.word == word


def any_of(event: Callable[[Decision], bool], asked: Sequence[Question], config: AuditConfig) -> bool:
    return any(event(found) for found in decisions(asked, config) if found is not None)


def share(
    criterion: CriterionName, event: Callable[[Decision], bool], n: Sequence[int], p: Sequence[float],
    n_questions: int, n_sim: int, rng: np.random.Generator,
) -> float:  # fmt: skip
    """How often an audit says so of any of its questions."""
    config, hits = AuditConfig(n_boot=N_BOOT, criterion=criterion), 0
    for _ in range(n_sim):
        asked = [question(i, drawn(n, p, rng), rng) for i in range(n_questions)]
        hits += any_of(event, asked, config)
    return hits / n_sim


def share_by_units(
    criterion: CriterionName, event: Callable[[Decision], bool], sizes: Sizes, p: Sequence[float],
    together: float, n_sim: int, rng: np.random.Generator,
) -> float:  # fmt: skip
    """The same of one question on persons with ten images each."""
    config, hits = AuditConfig(n_boot=N_BOOT, criterion=criterion), 0
    for _ in range(n_sim):
        counts = clustered(sizes, np.asarray(p), together, 10, rng)
        hits += any_of(event, [question(0, counts, rng)], config)
    return hits / n_sim


WITHIN, DISPARITY = partial(said, "within tolerance"), partial(said, "disparity")

STUDIES = [
    *[
        Study("Ratio, proven beyond 1.25 though at 1.25", case, AT_MOST,
              partial(share, "ratio", beyond, n, p, questions), sims)
        for case, n, p, questions, sims in (
            ("7 races at 5 %, three at 6.25 %", RACES, [0.05] * 4 + [0.0625] * 3, 1, 1_000),
            ("10 questions on 7 races at 5 and 6.25 %", RACES, [0.05] * 4 + [0.0625] * 3, 10, 200),
            ("20,000 at 0.4 %, 6 x 60 at 0.5 %", BIG_AND_SMALL, [0.004] + [0.005] * 6, 1, 1_000),
            ("20,000 to 1,500, 0.2 and 0.25 %", RARE, [0.002, 0.002] + [0.0025] * 3, 1, 1_000),
            ("20,000 at 2 %, 6 x 60 at 1.6 %", BIG_AND_SMALL, [0.02] + [0.016] * 6, 1, 1_000),
            ("2 of 20,000, 10 and 12.5 %", [20_000] * 2, [0.1, 0.125], 1, 2_000),
        )
    ],
    *[
        Study("Ratio, any disparity although equal", case, AT_MOST,
              partial(share, "ratio", DISPARITY, n, p, questions), sims)
        for case, n, p, questions, sims in (
            ("7 races at 0.2 %", RACES, [0.002] * 7, 1, 1_000),
            ("20,000 and 6 x 60 at 0.5 %", BIG_AND_SMALL, [0.005] * 7, 1, 1_000),
            ("10 questions on 7 races at 1 %", RACES, [0.01] * 7, 10, 200),
        )
    ],
    *[
        Study("Ratio, any truly equal pair named", case, AT_MOST,
              partial(share, "ratio", partial(equal_named, p), n, p, 1), 1_000)
        for case, n, p in (
            ("20,000 at 0.2 %, 6 x 60 at 2 %", BIG_AND_SMALL, [0.002] + [0.02] * 6),
            ("7 races, one at 1 + 2 %", RACES, [0.01] * 6 + [0.03]),
        )
    ],
    *[
        Study('Ratio, "within tolerance" although wrong', case, AT_MOST,
              partial(share, "ratio", WITHIN, n, p, questions), sims)
        for case, n, p, questions, sims in (
            ("2 of 20,000, 10 and 12.6 %", [20_000] * 2, [0.1, 0.126], 1, 2_000),
            ("10 questions on 2 of 20,000, 10 and 12.6 %", [20_000] * 2, [0.1, 0.126], 10, 300),
            ("7 of 10,000, 20 %, one 25.2 %", [10_000] * 7, [0.2] * 6 + [0.252], 1, 1_000),
            ("200,000, 2 of 50,000, 2 and 2.52 %", [200_000, 50_000, 50_000], [0.02, 0.02, 0.0252], 1, 1_000),
        )
    ],
    *[
        Study("Ratio, power", f"{case}: {what}", REPORT, partial(share, "ratio", event, n, p, 1), 300)
        for case, what, event, n, p in (
            ("7 races at 5 %, one at 10 %", "disparity", DISPARITY, RACES, [0.05] * 6 + [0.1]),
            ("7 races at 5 %, one at 10 %", "proven beyond 1.25", beyond, RACES, [0.05] * 6 + [0.1]),
            ("2 of 20,000 at 10 %", "within tolerance", WITHIN, [20_000] * 2, [0.1] * 2),
            ("7 of 10,000 at 20 %", "within tolerance", WITHIN, [10_000] * 7, [0.2] * 7),
        )
    ],
    *[
        Study("Ratio, persons of 10 images", case, AT_MOST,
              partial(share_by_units, "ratio", event, sizes, p, together), 300)
        for case, event, sizes, p, together in (
            ("60 + 60, equal 10 %: disparity", DISPARITY, (60, 60), [0.1, 0.1], 0.4),
            ("300 and 3 x 20, equal 10 %: disparity", DISPARITY, (300, 20, 20, 20), [0.1] * 4, 0.3),
            ("200 + 200, 10 and 12.5 %: proven beyond 1.25", beyond, (200, 200), [0.1, 0.125], 0.3),
            ("200 + 200, 30 and 37.8 %: within tolerance", WITHIN, (200, 200), [0.3, 0.378], 0.1),
        )
    ],
    *[
        Study("Four fifths, proven below though at 0.8", case, AT_MOST,
              partial(share, "four-fifths", DISPARITY, n, p, questions), sims)
        for case, n, p, questions, sims in (
            ("7 races passing at 95 %, three at 76 %", RACES, [0.05] * 4 + [0.24] * 3, 1, 1_000),
            ("10 questions on 7 races, 95 and 76 %", RACES, [0.05] * 4 + [0.24] * 3, 10, 200),
            ("20,000 at 99.8 %, 6 x 60 at 79.84 %", BIG_AND_SMALL, [0.002] + [0.2016] * 6, 1, 1_000),
            ("2 of 2,000, 50 and 40 %", [2_000] * 2, [0.5, 0.6], 1, 2_000),
            ("20,000 and 6 x 60, all at 97 %", BIG_AND_SMALL, [0.03] * 7, 1, 1_000),
        )
    ],
    *[
        Study("Four fifths, called kept though below 0.8", case, AT_MOST,
              partial(share, "four-fifths", WITHIN, n, p, questions), sims)
        for case, n, p, questions, sims in (
            ("2 of 2,000 passing at 95 and 75.9 %", [2_000] * 2, [0.05, 0.241], 1, 2_000),
            ("10 questions on 2 of 2,000, 95 and 75.9 %", [2_000] * 2, [0.05, 0.241], 10, 300),
            ("7 races, one at 75.9 %", RACES, [0.05] * 6 + [0.241], 1, 1_000),
            ("20,000 at 99.8 %, one of 60 at 79.8 %", [20_000, 60, 60], [0.002, 0.002, 0.202], 1, 1_000),
        )
    ],
    *[
        Study("Four fifths, persons of 10 images", case, AT_MOST,
              partial(share_by_units, "four-fifths", event, sizes, p, together), 300)
        for case, event, sizes, p, together in (
            ("100 and 20, 95 and 76 %: proven below", DISPARITY, (100, 20), [0.05, 0.24], 0.4),
            ("100 and 20, 95 and 75.9 %: called kept", WITHIN, (100, 20), [0.05, 0.241], 0.4),
        )
    ],
    *[
        Study("Four fifths, power", f"{case}: {what}", REPORT,
              partial(share, "four-fifths", event, n, p, 1), 300)
        for case, what, event, n, p in (
            ("7 races at 95 %, one at 70 %", "proven below", DISPARITY, RACES, [0.05] * 6 + [0.3]),
            ("7 races at 95 %, one at 85 %", "proven kept", WITHIN, RACES, [0.05] * 6 + [0.15]),
            ("60 each at 99 %", "proven kept", WITHIN, [60] * 7, [0.01] * 7),
        )
    ],
]  # fmt: skip
