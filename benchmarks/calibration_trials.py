"""Rows of the calibration table for trials of speaker verification: speakers repeat, impostors have two.

Enters: nothing. Leaves: `STUDIES`, which `benchmarks/calibration.py` runs with its own.

How trials come about: every speaker has an effect on the scores of all impostor trials with it (some voices
are like many others: wolves and lambs), every two speakers have one in common, every clip has one, and the
rest is chance. Trials are drawn from all within a group. An error is a score above the threshold at which the
rate is exactly the one asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import norm
from study import AT_LEAST, AT_MOST, REPORT, Study, unit_verdict

from audit.data.counts import Counts, count, of_units
from audit.data.groups import Cells
from audit.data.score_table import ScoreTable
from audit.data.unit_totals import unit_totals
from audit.inference.effective_sample_size import fnr_worth, fpr_worth
from audit.inference.paired_units import paired_outcomes
from audit.inference.proportion_intervals import wilson
from audit.metrics.curves_by_group import SortedScores, score_measures


@dataclass(frozen=True)
class Effects:
    """Shares of the variance of an impostor's score; the rest is chance."""

    speaker: float = 0.15
    """Of each of the two speakers."""
    two: float = 0.1
    """Of the two together."""
    clip: float = 0.05
    """Of each of the two clips."""


LITTLE, USUAL, MUCH = Effects(0.02, 0.02, 0.02), Effects(), Effects(0.3, 0.2, 0.05)


def impostors(
    sizes: tuple[int, ...],
    rates: np.ndarray,
    effects: Effects,
    n_clips: int,
    trials_a_speaker: int,
    rng: np.random.Generator,
) -> Counts:
    """Impostor trials within groups of sizes[g] speakers with n_clips each."""
    firsts, seconds, groups, wrong = [], [], [], []
    start = 0
    for g, size in enumerate(sizes):
        n = size * trials_a_speaker
        first = rng.integers(size, size=n)
        second = (first + rng.integers(1, size, size=n)) % size
        clips = rng.normal(size=(size, n_clips))
        speaker, two = rng.normal(size=size), rng.normal(size=(size, size))
        low, high = np.minimum(first, second), np.maximum(first, second)
        score = np.sqrt(effects.speaker) * (speaker[first] + speaker[second])
        score += np.sqrt(effects.two) * two[low, high]
        for side in (first, second):
            score += np.sqrt(effects.clip) * clips[side, rng.integers(n_clips, size=n)]
        rest = 1 - 2 * effects.speaker - effects.two - 2 * effects.clip
        score += np.sqrt(rest) * rng.normal(size=n)
        firsts.append(first + start)
        seconds.append(second + start)
        groups.append(np.full(n, g))
        wrong.append(score > norm.isf(rates[g]))
        start += size
    group = np.concatenate(groups)
    none = np.zeros(len(group), dtype=bool)
    parts = (np.concatenate(part) for part in (firsts, seconds, wrong))
    first, second, errors = parts
    return of_units(unit_totals(first, group, len(sizes), none, errors, None, second))


def fmr_coverage(
    size: int, rate: float, effects: Effects, n_clips: int, trials: int, n_sim: int, rng: np.random.Generator
) -> float:
    """How often the interval of a group's FMR holds the truth."""
    hits = 0.0
    for _ in range(n_sim):
        counts = impostors((size, size), np.full(2, rate), effects, n_clips, trials, rng)
        low, high = wilson(counts.fp / counts.n_real, fpr_worth(counts), 1.96)
        hits += ((low <= rate) & (rate <= high)).mean()
    return hits / n_sim


def named(
    sizes: tuple[int, ...],
    rates: tuple[float, ...] | float,
    effects: Effects,
    n_clips: int,
    trials: int,
    n_sim: int,
    rng: np.random.Generator,
) -> float:
    """How often groups are called unequal in their FMR."""
    asked = np.broadcast_to(rates, len(sizes))
    found = [
        unit_verdict(impostors(sizes, asked, effects, n_clips, trials, rng), rng).verdict == "disparity"
        for _ in range(n_sim)
    ]
    return float(np.mean(found))


def scored(
    n_groups: int, size: int, apart: float, effects: Effects, trials: int, rng: np.random.Generator
) -> ScoreTable:
    """Genuine and impostor trials of like groups: scores of variance 1 in both classes, `apart` in mean."""
    parts = []
    for g in range(n_groups):
        voice, own, two = rng.normal(size=size), rng.normal(size=size), rng.normal(size=(size, size))
        first = rng.integers(size, size=size * trials)
        second = (first + rng.integers(1, size, size=size * trials)) % size
        chance = rng.normal(size=size * trials)
        rest = np.sqrt(1 - 2 * effects.speaker - effects.two)
        impostor = np.sqrt(effects.speaker) * (voice[first] + voice[second]) + rest * chance
        impostor += np.sqrt(effects.two) * two[np.minimum(first, second), np.maximum(first, second)]
        who = np.repeat(np.arange(size), trials // 4)
        together = 2 * effects.speaker
        genuine = apart + np.sqrt(together) * own[who] + np.sqrt(1 - together) * rng.normal(size=len(who))
        names = [np.concatenate([first, who]), np.concatenate([second, who])]
        parts.append((names[0] + g * size, names[1] + g * size, np.r_[impostor, genuine], g))
    n = [len(part[2]) for part in parts]
    cell = np.repeat(np.arange(n_groups), n).astype(np.int32)
    unit, partner, score = (np.concatenate([part[k] for part in parts]) for k in range(3))
    cells = Cells(
        ["accent"], [[str(g) for g in range(n_groups)]], np.arange(n_groups, dtype=np.int32)[:, None]
    )
    none = np.zeros(0, dtype=np.int64)
    key = np.zeros(len(score), dtype=np.uint64)
    fake = unit == partner
    return ScoreTable(
        fake,
        score,
        cells,
        cell.astype(np.int16),
        none,
        none,
        key,
        unit.astype(np.int64),
        partner=partner.astype(np.int64),
    )


def curve_coverage(
    what: str, size: int, apart: float, effects: Effects, n_sim: int, rng: np.random.Generator
) -> float:
    """How often the interval of a group's AUC, EER or FNMR holds the truth."""
    truth = {"auc": norm.cdf(apart / np.sqrt(2)), "eer": norm.cdf(-apart / 2), "fnr": norm.cdf(0.5 - apart)}[
        what
    ]
    hits = 0.0
    for _ in range(n_sim):
        table = scored(2, size, apart, effects, 60, rng)
        if what == "fnr":
            counts = count(table, 0.5)
            low, high = wilson(counts.fn / counts.n_fake, fnr_worth(counts), 1.96)
        else:
            grouping = table.cells.groupings()[0]
            found = score_measures(SortedScores.of(table), grouping, 1.96)
            low, high = np.array([getattr(one, f"{what}_interval") for one in found]).T
        hits += ((low <= truth) & (truth <= high)).mean()
    return hits / n_sim


def winner_named(size: int, effects: Effects, n_sim: int, rng: np.random.Generator) -> float:
    """How often one of two equal verifiers is proven to have another FMR, all trials together."""
    wins = 0
    for _ in range(n_sim):
        one, other = (
            scored(1, size, 2.0, effects, 60, np.random.default_rng(seed))
            for seed in rng.integers(2**31, size=2)
        )
        impostor = ~one.fake
        wrong = (one.score[impostor] >= 1.3, other.score[impostor] >= 1.3)
        group = np.zeros(int(impostor.sum()), dtype=np.int64)
        found = paired_outcomes(*wrong, group, 1, one.unit[impostor], None, one.partner[impostor])
        wins += found.p_value[0] <= 0.05
    return wins / n_sim


def _row(case: str, rate: float, effects: Effects, size: int = 20, trials: int = 60, n: int = 1000) -> Study:
    run = partial(fmr_coverage, size, rate, effects, 10, trials)
    return Study(
        "Trials: interval of a group's FMR", f"{case}, {size} speakers, {rate:.1%}", AT_LEAST, run, n
    )


STUDIES = [
    *[
        _row(case, rate, effects, size)
        for case, effects in (("little", LITTLE), ("usual", USUAL), ("much", MUCH))
        for rate, size in ((0.01, 20), (0.05, 20), (0.2, 20), (0.05, 60), (0.01, 60))
    ],
    *[
        Study(
            f"Trials: interval of a group's {name}",
            f"{case}, {size} speakers",
            AT_LEAST,
            partial(curve_coverage, what, size, 2.0, effects),
            400,
        )
        for name, what in (("FNMR", "fnr"), ("AUC", "auc"), ("EER", "eer"))
        for case, effects in (("usual", USUAL), ("much", MUCH))
        for size in (20, 60)
    ],
    *[
        Study(
            "Trials: a false winner of two verifiers",
            f"{case}, {size} speakers",
            AT_MOST,
            partial(winner_named, size, effects),
            400,
        )
        for case, effects in (("little", LITTLE), ("usual", USUAL), ("much", MUCH))
        for size in (20, 60)
    ],
    *[
        Study(
            "Trials: equal verifier convicted",
            f"{case}: {name}, FMR {rate:.1%}",
            AT_MOST,
            partial(named, sizes, rate, effects, 10, 60),
            400,
        )
        for case, effects in (("little", LITTLE), ("usual", USUAL), ("much", MUCH))
        for name, sizes in (("4 groups of 20", (20,) * 4), ("200 beside 5 of 20", (200, *(20,) * 5)))
        for rate in (0.01, 0.05, 0.2)
    ],
    *[
        Study(
            "Trials: planted accent gap found",
            f"{name} speakers, FMR {low:.0%} and {high:.0%}",
            REPORT,
            partial(named, sizes, (low, *(low,) * (len(sizes) - 2), high), USUAL, 10, 60),
            200,
        )
        for name, sizes in (("4 groups of 20", (20,) * 4), ("2 groups of 60", (60, 60)))
        for low, high in ((0.02, 0.1), (0.02, 0.2), (0.05, 0.3))
    ],
]
"""What the sentences about trials promise."""
