"""Rows of the calibration table on scores, on images with weights, and on detectors compared by units.

Enters: nothing. Leaves: `STUDIES`, which `benchmarks/calibration.py` runs with its own.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, ndtr, ndtri
from scipy.stats import beta
from study import AT_LEAST, AT_MOST, REPORT, Study

from audit.config import AuditConfig
from audit.data.counts import Counts
from audit.data.groups import cells_of, whole
from audit.data.score_table import ScoreTable
from audit.inference.proportion_intervals import z_value
from audit.metrics.curves_by_group import SortedScores, score_measures
from audit.metrics.disparity import MEASURES, group_rates_of
from audit.metrics.disparity_intervals import LIMITS, Evidence
from audit.metrics.error_curves import curve_band
from audit.metrics.fixed_fpr import fixed_fprs, fnr_at_fixed_fpr
from audit.metrics.plotted_series import axes_for
from audit.metrics.score_calibration import calibrations
from audit.metrics.score_shift import score_shifts
from audit.runs.align_runs import Run
from audit.runs.compare_runs import paired_tests
from audit.schema.result import AuditResult
from audit.schema.result import Config as ConfigRecord

RACES = np.array([2085, 1623, 1556, 1550, 1516, 1415, 1209])
AGES = np.array([3300, 2330, 1356, 1353, 1181, 796, 321, 199, 118])
CONFIG = AuditConfig()
AROUND_5 = (0.0, 0.07)
"""Of a test that holds 5 % and no less: what 1,000 simulations of it may show."""


def table_of(
    score: np.ndarray, fake: np.ndarray, group: np.ndarray, unit: np.ndarray | None = None,
    weight: np.ndarray | None = None, n_pairs: int = 0,
) -> ScoreTable:  # fmt: skip
    """Images in a table; the first n_pairs reals and the first n_pairs fakes are halves of pairs."""
    cells, cell = cells_of(pd.DataFrame({"a": group}), ["a"], {})
    if weight is not None:
        weight, unit = weight / weight.mean(), np.arange(len(score)) if unit is None else unit
    rows = np.flatnonzero(~fake)[:n_pairs], np.flatnonzero(fake)[:n_pairs]
    return ScoreTable(fake, score, cells, cell, *rows, np.zeros(len(score), np.uint64), unit, weight)


def shapes(shape: str, group: np.ndarray, persons: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Scores whose distribution is that of every group ("equal", "ties"), or is not."""
    score = persons + rng.normal(size=len(group))
    if shape == "ties":
        return np.round(score)
    if shape == "spread":  # twice the spread in the first group, the same median: A stays 0.5
        return np.where(group == 0, 2 * score, score)
    if shape == "heavy":
        return score**5
    if shape == "mostly 0":
        return np.where(rng.random(len(score)) < 0.95, 0.0, np.abs(score))
    return score


def shift_wrong(
    sizes: tuple[int, ...], shape: str, each: int, share: float, n_sim: int, rng: np.random.Generator
) -> float:
    """How often any group is said to score higher or lower although A is 0.5 for all; `each` images a unit,
    whose scores correlate by `share`.
    """
    hits = 0
    for _ in range(n_sim):
        of_unit = np.repeat(np.arange(len(sizes)), sizes)
        unit = np.repeat(np.arange(len(of_unit)), each)
        group = of_unit[unit]
        person = rng.normal(size=len(of_unit))[unit] * np.sqrt(share / (1 - share))
        score = shapes(shape, group, person, rng)
        table = table_of(score, np.zeros(len(score), bool), group, unit if each > 1 else None)
        found = score_shifts(SortedScores.of(table), table.cells.groupings(), CONFIG)
        hits += any(not one.interval[0] <= 0.5 <= one.interval[1] for one in found if one.interval)
    return hits / n_sim


def shift_coverage(
    sizes: tuple[int, ...], shift: float, weighted: bool, n_sim: int, rng: np.random.Generator
) -> float:
    """How often all intervals hold the truth where the first group scores higher by `shift` SD; weighted,
    half of the images come from a stratum that is a tenth of the population and scores 1 SD higher.
    """
    hits, k = 0, len(sizes)
    n = np.array(sizes, float)
    above = _above(shift, weighted)
    truth = np.full(k, 0.5)
    truth[0] = above
    for g in range(1, k):
        others = n.sum() - n[g]
        truth[g] = (n[0] * (1 - above) + (others - n[0]) * 0.5) / others
    for _ in range(n_sim):
        group = np.repeat(np.arange(k), sizes)
        rare = rng.random(len(group)) < 0.5 if weighted else np.zeros(len(group), bool)
        weight = np.where(rare, 0.2, 1.8) if weighted else None
        score = rng.normal(size=len(group)) + rare + shift * (group == 0)
        table = table_of(score, np.zeros(len(score), bool), group, None, weight)
        found = score_shifts(SortedScores.of(table), table.cells.groupings(), CONFIG)
        hits += all(one.interval[0] <= truth[g] <= one.interval[1] for g, one in enumerate(found))
    return hits / n_sim


def _above(shift: float, weighted: bool) -> float:
    """P(first > other) of two mixtures of normal scores."""
    parts = ((0.1, 1.0), (0.9, 0.0)) if weighted else ((1.0, 0.0),)
    return float(sum(p * q * ndtr((shift + a - b) / 2**0.5) for p, a in parts for q, b in parts))


def calibration_coverage(
    what: str, n_units: int, each: int, off: float, n_sim: int, rng: np.random.Generator
) -> float:
    """One group of `n_units`; `each` images of a unit share much of their score and, by an offset of their
    own on the logit scale, their chance of being fake. `off` moves all scores on the logit scale.
    """
    hits, truth = 0, _truth(what, each, off)
    for _ in range(n_sim):
        score, fake = _probabilities(n_units, each, off, rng)
        group, unit = np.zeros(len(score), int), np.repeat(np.arange(n_units), each)
        table = table_of(score, fake, group, unit if each > 1 else None)
        [record, *_], _ = calibrations(table, [], CONFIG)
        low, high = record.ece_interval if what == "ECE" else record.difference_interval
        hits += low - 1e-12 <= truth <= high + 1e-12
    return hits / n_sim


def _probabilities(
    n_units: int, each: int, off: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    place = np.repeat(rng.normal(0, 1.5, n_units), each) + rng.normal(0, 1, n_units * each)
    fake = rng.random(len(place)) < expit(place)
    return expit(place + off), fake


def sure_coverage(
    what: str, sizes: tuple[int, ...], apart: float, fpr: float, fnr: float, each: int, n_sim: int,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """How often the intervals of all groups hold at once. All scores lie `apart` from 0 or 1, so that a group
    in which nobody erred by luck shows nothing of what its errors would cost; half of each group is fake.
    Images of one person, `each` of them, are of one class and right or wrong together.
    """
    hits, low, high = 0, apart, 1 - apart
    unit = np.arange(sum(sizes)) // each
    group = np.repeat(np.arange(len(sizes)), sizes)
    fake = unit % 2 == 1
    mean = (low * (1 - fpr) + high * fpr) / 2, (low * fnr + high * (1 - fnr)) / 2  # by class
    if what == "ECE":
        passed = (low * (1 - fpr) + (low - 1) * fnr) / 2
        truth = abs(passed) + abs(sum(mean) - 0.5 - passed)
    else:
        truth = sum(mean) - 0.5
    for _ in range(n_sim):
        wrong = (rng.random(len(unit)) < np.where(fake, fnr, fpr))[unit * each]
        table = table_of(np.where(wrong != fake, high, low), fake, group, unit if each > 1 else None)
        [_, *records], _ = calibrations(table, table.cells.groupings(), CONFIG)
        limits = [one.ece_interval if what == "ECE" else one.difference_interval for one in records]
        hits += all(below - 1e-9 <= truth <= above + 1e-9 for below, above in limits)
    return hits / n_sim


_TRUTHS: dict[tuple[str, int, float], float] = {}


def _truth(what: str, each: int, off: float) -> float:
    """Of two million images."""
    key = (what, each, off)
    if key not in _TRUTHS:
        if off == 0:
            return 0.0
        score, fake = _probabilities(2_000_000, 1, off, np.random.default_rng(7))
        if what == "ECE":
            column = np.minimum((score * 10).astype(int), 9)
            _TRUTHS[key] = float(np.abs(np.bincount(column, weights=score - fake)).sum() / len(score))
        else:
            _TRUTHS[key] = float((score - fake).mean())
    return _TRUTHS[key]


def fixed_fpr_coverage(
    n_pairs: int, share: float, level: float, together: float, each: int, n_sim: int,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """Pairs of two groups, the second `share` of them; scores of a pair correlate by `together`, or each
    person has `each` pairs whose scores do. The truth is the FNR at the true threshold.
    """
    hits, at = 0, float(ndtri(1 - level))
    truth = float(ndtr(at - 2.5))
    for _ in range(n_sim):
        n_persons = n_pairs // each
        group = np.repeat((np.arange(n_persons) < share * n_persons).astype(int), each)
        person = np.repeat(rng.normal(size=n_persons), each)
        sign = np.sign(together)
        own = np.sqrt(1 - abs(together))
        real = np.sqrt(abs(together)) * person + own * rng.normal(size=n_pairs)
        fake = sign * np.sqrt(abs(together)) * person + own * rng.normal(size=n_pairs) + 2.5
        unit = np.tile(np.repeat(np.arange(n_persons), each), 2) if each > 1 else None
        table = table_of(
            np.r_[real, fake], np.repeat([False, True], n_pairs), np.tile(group, 2), unit, None,
            0 if each > 1 else n_pairs,
        )  # fmt: skip
        scores, grouping = SortedScores.of(table), table.cells.groupings()[0]
        levels = fixed_fprs(table, scores.curve(), CONFIG)
        axes = axes_for(scores.curve(), 0.0, [at for one in levels for at in one.thresholds])
        measured = [(grouping, score_measures(scores, grouping, z_value(0.95), axes))]
        found = fnr_at_fixed_fpr(levels, measured, CONFIG)
        [record] = [one for one in found if one.level == level and one.group == "1"]
        hits += record.interval[0] <= truth <= record.interval[1]
    return hits / n_sim


def spread_coverage(
    what: str, n: np.ndarray, fpr: np.ndarray, fnr: np.ndarray, n_sim: int, rng: np.random.Generator
) -> float:
    """Of the audits in which the measure is defined, the share whose interval holds the truth."""
    none = np.zeros((len(n), 2, 2), dtype=np.int64)
    many = 10**9
    exact = [np.stack([many - np.rint(many * p), np.rint(many * p)], -1).astype(np.int64) for p in (fpr, fnr)]
    truth = float(MEASURES[what].compute(group_rates_of(Counts(none, exact[0], exact[1]))))
    held = []
    for _ in range(n_sim):
        fp, fn = rng.binomial(n, fpr), rng.binomial(n, fnr)
        counts = Counts(none, np.stack([n - fp, fp], -1), np.stack([n - fn, fn], -1))
        if np.isnan(MEASURES[what].compute(group_rates_of(counts))):
            continue
        low, high = LIMITS[what](Evidence(counts, 99, (int(rng.integers(2**31)),)), 0.05)
        held.append(low - 1e-9 <= truth <= high + 1e-9)
    return float(np.mean(held))


def spread_of_units(
    what: str, persons: tuple[int, ...], fpr: np.ndarray, together: float, n_sim: int,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """The same for reals and fakes of persons with ten of each, whose errors correlate by `together`."""
    from calibration import of_units, unit_totals

    hits, k = 0, len(persons)
    group = np.repeat(np.arange(k), persons)
    none = np.zeros((k, 2, 2), dtype=np.int64)
    many = 10**9
    exact = np.stack([many - np.rint(many * fpr), np.rint(many * fpr)], -1).astype(np.int64)
    truth = float(MEASURES[what].compute(group_rates_of(Counts(none, exact, exact))))
    unit = np.repeat(np.arange(len(group)), 20)
    fake = np.tile(np.repeat([False, True], 10), len(group))
    for _ in range(n_sim):
        spread = 1 / together - 1
        chance = beta.rvs(fpr[group] * spread, (1 - fpr[group]) * spread, random_state=rng)
        wrong = rng.random(len(unit)) < chance[unit]
        counts = of_units(unit_totals(unit, group[unit], k, fake, wrong, None))
        low, high = LIMITS[what](Evidence(counts, 99, (int(rng.integers(2**31)),)), 0.05)
        hits += low - 1e-9 <= truth <= high + 1e-9
    return hits / n_sim


def weighted_curve_coverage(what: str, n: int, each: int, n_sim: int, rng: np.random.Generator) -> float:
    """Half of the images come from a stratum that is a tenth of the population, whose reals score 1 SD
    higher; `each` images a unit, whose scores correlate by a half.
    """
    hits = 0
    truth = _weighted_truth(what)
    for _ in range(n_sim):
        unit = np.arange(n) // each
        fake = rng.random(n) < 0.5
        rare = (rng.random(n // each + 1) < 0.5)[unit]
        own = rng.normal(size=n // each + 1)[unit] if each > 1 else 0.0
        noise = rng.normal(size=n)
        score = (noise + own) / (2**0.5 if each > 1 else 1.0) + 1.5 * fake + rare * ~fake
        weight = np.where(rare, 0.2, 1.8)
        table = table_of(score, fake, np.zeros(n, int), unit if each > 1 else None, weight)
        [found] = score_measures(SortedScores.of(table), whole(1), z_value(0.95))
        low, high = found.auc_interval if what == "AUC" else found.eer_interval
        hits += low <= truth <= high
    return hits / n_sim


def _weighted_truth(what: str) -> float:
    if what == "AUC":
        return float(0.9 * ndtr(1.5 / 2**0.5) + 0.1 * ndtr(0.5 / 2**0.5))
    at = brentq(lambda t: 0.9 * ndtr(-t) + 0.1 * ndtr(1 - t) - ndtr(t - 1.5), -3, 4)
    return float(ndtr(at - 1.5))


def false_winner(
    persons: int, each: int, weighted: bool, n_sim: int, rng: np.random.Generator, better: float = 0.0
) -> float:
    """How often a comparison of two detectors alike (or one better by `better` SD) has any significant
    headline difference; `each` reals and fakes a person, whose scores correlate by two thirds, two groups.
    """
    hits = 0
    unit = np.repeat(np.arange(persons), 2 * each)
    fake = np.tile(np.repeat([False, True], each), persons)
    weight = np.where(unit % 3, 1.0, 0.4) if weighted else None
    for _ in range(n_sim):
        runs = []
        for skill in (0.0, better):
            liking = rng.normal(size=(persons, 2))[unit, fake.astype(int)] * 2**0.5
            score = np.where(fake, 1, -1) * (1.8 + skill) + liking + rng.normal(size=len(unit))
            table = table_of(score, fake, unit % 2, unit, weight)
            runs.append(Run(str(skill), "", _AT_ZERO, table))
        found = paired_tests([runs[0], replace(runs[1], name="other")], AuditConfig(n_boot=200))
        headline = [one for one in (*found.auc, *found.errors, *found.gaps) if one.family == "headline"]
        hits += any(one.adjusted_p_value <= 0.05 for one in headline)
    return hits / n_sim


_AT_ZERO = AuditResult.model_construct(
    config=ConfigRecord.model_construct(threshold=0.0, threshold_rule="fixed")
)


def _planted(k: int, base: float, gap: float) -> np.ndarray:
    rates = np.full(k, base)
    rates[2] += gap
    return rates


_SEVEN = tuple(int(n) for n in RACES // 4)
_SLOPE = np.linspace(0.03, 0.12, 7)


def band_coverage(
    n: int, skill: float, together: float, each: int, at_fpr: float, n_sim: int, rng: np.random.Generator
) -> float:
    """How often the band as it is drawn, of thinned points, holds the true ROC curve at one FPR.

    Args:
        n: Pairs of a real and a fake image, each of persons' `each` pairs.
        skill: Standard deviations between the classes.
        together: Correlation of scores within a pair, and of the pairs of a person.
        each: Pairs of one person.
        at_fpr: The true FPR at which the curve is asked.
        n_sim: Simulations.
        rng: Of the scores.
    """
    truth, hits = float(ndtr(skill + ndtri(at_fpr))), 0
    fake = np.repeat([False, True], n)
    person = np.tile(np.arange(n) // each, 2)
    for _ in range(n_sim):
        shared = np.tile(np.repeat(rng.normal(size=n // each), each), 2)
        score = together**0.5 * shared + (1 - together) ** 0.5 * rng.normal(size=2 * n) + skill * fake
        table = table_of(score, fake, np.zeros(2 * n, int), person if each > 1 else None, None, n)
        [found] = score_measures(SortedScores.of(table), whole(1), z_value(0.95))
        curve = found.curve.thin.thin(200)
        [low], [high] = curve_band(curve.fpr, curve.fnr, found.worth, 0.95, [at_fpr])
        hits += low <= 1 - truth <= high
    return hits / n_sim


STUDIES = [
    *[
        Study("Any group's scores said to be shifted, though equal", case, AROUND_5,
              partial(shift_wrong, sizes, shape, each, share), n_sim)
        for case, sizes, shape, each, share, n_sim in (
            ("7 races", _SEVEN, "equal", 1, 0.0, 1_000),
            ("7 races, scores of five values", _SEVEN, "ties", 1, 0.0, 1_000),
            ("5,000 and 6 x 40, long tails", (5_000,) + (40,) * 6, "heavy", 1, 0.0, 1_000),
            ("60 and 3 x 600, twice the spread", (60, 600, 600, 600), "spread", 1, 0.0, 1_000),
            ("20,000 and 6 x 40, 95 % of scores 0", (20_000,) + (40,) * 6, "mostly 0", 1, 0.0, 1_000),
            ("25 x 40, 95 % of scores 0", (40,) * 25, "mostly 0", 1, 0.0, 1_000),
            ("2,000 and 6 x 40 persons, two images each, 95 % of scores 0", (2_000,) + (40,) * 6, "mostly 0",
             2, 0.0, 1_000),
            ("7 x 30", (30,) * 7, "equal", 1, 0.0, 2_000),
            ("300 and 3 x 20 persons, ten images each", (300, 20, 20, 20), "equal", 10, 0.6, 1_000),
            ("7 x 12 persons, ten images each", (12,) * 7, "equal", 10, 0.8, 1_000),
        )
    ],
    *[
        Study("Score shift, all groups at once", case, AT_LEAST,
              partial(shift_coverage, sizes, shift, weighted), n_sim)
        for case, sizes, shift, weighted, n_sim in (
            ("7 races, one 0.3 SD higher", _SEVEN, 0.3, False, 500),
            ("40 and 2 x 400, one 2.5 SD higher", (40, 400, 400), 2.5, False, 1_000),
            ("400 and 2 x 400, one 4 SD higher", (400, 400, 400), 4.0, False, 500),
            ("3 x 300, weights, one 0.5 SD higher", (300, 300, 300), 0.5, True, 1_000),
        )
    ],
    *[
        Study(f"Calibration: {what}", case, AT_LEAST,
              partial(calibration_coverage, what, n, each, off), n_sim)
        for what in ("in the large", "ECE")
        for case, n, each, off, n_sim in (
            ("60 images, calibrated", 60, 1, 0.0, 2_000),
            ("2,000 images, calibrated", 2_000, 1, 0.0, 1_000),
            ("300 images, logits 0.5 too high", 300, 1, 0.5, 1_000),
            ("2,000 images, logits 0.5 too high", 2_000, 1, 0.5, 1_000),
            ("40 persons of ten images, calibrated", 40, 10, 0.0, 1_000),
            ("40 persons of ten images, logits 0.5 too high", 40, 10, 0.5, 1_000),
        )
    ],
    *[
        Study("FNR of a group at a fixed FPR", case, AT_LEAST,
              partial(fixed_fpr_coverage, n, share, level, together, each), 1_000)
        for case, n, share, level, together, each in (
            ("2,000 pairs, 10 % in the group, FPR 5 %", 2_000, 0.1, 0.05, 0.3, 1),
            ("2,000 pairs, 90 % in the group, FPR 5 %", 2_000, 0.9, 0.05, 0.0, 1),
            ("500 pairs, 80 % in the group, FPR 1 %", 500, 0.8, 0.01, 0.3, 1),
            ("2,000 pairs, 90 %, FPR 10 %, halves of opposite scores", 2_000, 0.9, 0.10, -0.3, 1),
            ("200 persons of ten pairs, 70 %, FPR 5 %", 2_000, 0.7, 0.05, 0.5, 10),
        )
    ],
    *[
        Study(f"Spread of rates: {what}", case, AT_LEAST,
              partial(spread_coverage, key, n, fpr, fnr), 300)
        for what, key in (
            ("GARBE", "garbe"), ("inequity rate", "inequity_rate"),
            ("maximum / geometric mean", "fpr_max_over_geometric_mean"),
        )
        for case, n, fpr, fnr in (
            ("7 races, equal rates 0.05", RACES, np.full(7, 0.05), np.full(7, 0.1)),
            ("7 races, rates 0.03-0.12", RACES, _SLOPE, _SLOPE[::-1]),
            ("7 races, one at 0.05 + 0.05", RACES, _planted(7, 0.05, 0.05), np.full(7, 0.1)),
            ("9 ages, rates 0.01-0.30", AGES, np.linspace(0.30, 0.01, 9), np.full(9, 0.2)),
            ("7 x 40, equal rates 0.1", np.full(7, 40), np.full(7, 0.1), np.full(7, 0.1)),
            ("7 x 40, rates 0.1-0.4", np.full(7, 40), np.linspace(0.1, 0.4, 7), np.full(7, 0.2)),
        )
    ],
    *[
        Study(f"{what} with weights", f"{n} images{'' if each == 1 else ', ten of a unit'}", AT_LEAST,
              partial(weighted_curve_coverage, what, n, each), 1_000)
        for what in ("AUC", "EER")
        for n, each in ((300, 1), (2_000, 1), (2_000, 10))
    ],
    *[
        Study("Comparison by units, any false winner", case, AT_MOST,
              partial(false_winner, persons, each, weighted), 200)
        for case, persons, each, weighted in (
            ("60 persons, ten reals and fakes each", 60, 10, False),
            ("300 persons, ten reals and fakes each", 300, 10, False),
            ("120 persons, five each, weights", 120, 5, True),
        )
    ],
    Study("Comparison by units, true winner", "150 persons of ten, 0.5 SD better", REPORT,
          partial(false_winner, 150, 10, False, better=0.5), 100),
    *[
        Study("Spread of rates: GARBE, units", case, AT_LEAST,
              partial(spread_of_units, "garbe", persons, rates, 0.3), 300)
        for case, persons, rates in (
            ("3 x 60 persons of ten, equal rates 0.1", (60, 60, 60), np.full(3, 0.1)),
            ("60, 30 and 30 persons of ten, 0.05-0.2", (60, 30, 30), np.array([0.05, 0.1, 0.2])),
        )
    ],
    *[
        Study("Band of a ROC curve, at one FPR", f"{case}, FPR {100 * at:g} %", AT_LEAST,
              partial(band_coverage, n, skill, together, each, at), 2_000)
        for case, n, skill, together, each in (
            ("30 pairs, AUC 0.86", 30, 1.5, 0.5, 1),
            ("150 pairs, AUC 0.96", 150, 2.5, 0.0, 1),
            ("1,000 pairs, AUC 0.86", 1_000, 1.5, 0.5, 1),
            ("40 persons of ten pairs, AUC 0.86", 400, 1.5, 0.5, 10),
        )
        for at in (0.01, 0.1, 0.5)
    ],
    *[
        Study(f"Calibration of a sure detector, all groups at once: {what}", case, AT_LEAST,
              partial(sure_coverage, what, sizes, apart, fpr, fnr, each), 1_000)
        for what in ("in the large", "ECE")
        for case, sizes, apart, fpr, fnr, each in (
            ("2,000 and 6 x 200, scores 1e-5, FNR 1 %", (2_000,) + (200,) * 6, 1e-5, 0.002, 0.01, 1),
            ("2,000 and 6 x 200, scores 1e-5, FNR 4 %", (2_000,) + (200,) * 6, 1e-5, 0.002, 0.04, 1),
            ("7 x 200, scores 1e-5, FNR 1 %", (200,) * 7, 1e-5, 0.002, 0.01, 1),
            ("7 x 200, scores 1e-5, FPR and FNR 3 %", (200,) * 7, 1e-5, 0.03, 0.03, 1),
            ("7 x 200, scores 0.001, FNR 1 %", (200,) * 7, 0.001, 0.002, 0.01, 1),
            ("7 x 30, scores 1e-5, FNR 5 %", (30,) * 7, 1e-5, 0.002, 0.05, 1),
            ("7 x 60 persons of ten, scores 1e-5, FNR 5 %", (600,) * 7, 1e-5, 0.002, 0.05, 10),
        )
    ],
]  # fmt: skip
