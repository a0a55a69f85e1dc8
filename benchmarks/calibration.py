"""Does every interval and test of the audit keep its promise? Simulated detectors whose true rates are known.

Enters: nothing. Leaves: a table of coverage (aim: 93-97 % for 95 % intervals), size (aim: the equality test
rejects 3-7 % of equal groups), power for planted gaps, how often "within tolerance" is said of a gap that
is not, and how often as many images as an audit asks for settle it (aim: 75-90 %). Run
`python benchmarks/calibration.py`; it takes some minutes on one core and is seeded.

Every row is a `Study`: a name, what it should show, and a function from (number of simulations, generator) to
a share. The tests run some of them with fewer simulations.
"""

from __future__ import annotations

import sys
import time
from functools import partial

import calibration_audits
import calibration_criteria
import calibration_maps
import calibration_scores
import calibration_trials
import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri
from study import AT_LEAST, AT_MOST, EXACT, REPORT, Sizes, Study, clustered, run, unit_verdict

from audit.config import AuditConfig, parse_rule
from audit.data.counts import Counts, count, of_units
from audit.data.groups import Cells, whole
from audit.data.score_table import ScoreTable
from audit.data.unit_totals import unit_totals
from audit.inference.adjustment import (
    Standardised,
    in_common,
    least_worth,
    standardised_difference,
)
from audit.inference.effective_sample_size import (
    accuracy_worth,
    fnr_worth,
    fpr_worth,
    half_sum_worth,
    positive_rate_worth,
)
from audit.inference.equality_test import equality_test
from audit.inference.paired_tests import auc_difference, gap_difference, rate_difference
from audit.inference.pairwise import pair_critical
from audit.inference.proportion_intervals import newcombe, ratio_score, wilson, z_value
from audit.inference.sample_size import images_if_as_seen
from audit.inference.two_proportions import difference_limits, difference_z, ratio_z
from audit.judge.adjusted_gaps import shared_z
from audit.judge.rate_limits import rate_limits
from audit.judge.reference_group import reference_limits
from audit.judge.usefulness import usefulness
from audit.judge.verdicts import Question, judge
from audit.metrics.auc import auc_influence
from audit.metrics.curves_by_group import SortedScores, score_measures
from audit.metrics.disparity_intervals import Evidence
from audit.metrics.error_curves import error_curve
from audit.metrics.operating_point import pick_threshold
from audit.runs.align_runs import Run
from audit.runs.compare_runs import paired_tests
from audit.runs.score_audit import audit_scores
from audit.schema.result import AuditResult, Measures
from audit.task import FAKE_FACE

Z = z_value(0.95)
ALPHA = 0.05
RACES = np.array([2085, 1623, 1556, 1550, 1516, 1415, 1209])
"""Images per race in FairFace's validation part."""
AGES = np.array([3300, 2330, 1356, 1353, 1181, 796, 321, 199, 118])
# fmt: off
CELLS = np.array([
    31, 32, 37, 39, 43, 44, 46, 46, 47, 48, 49, 49, 55, 56, 59, 59, 65, 66, 67, 68, 70, 71, 76, 76, 77, 77,
    79, 80, 80, 82, 83, 85, 86, 87, 87, 90, 92, 94, 95, 96, 96, 98, 99, 100, 103, 110, 111, 111, 112, 113,
    115, 117, 120, 121, 137, 137, 139, 146, 148, 150, 152, 153, 159, 164, 164, 166, 169, 172, 173, 174, 181,
    185,
    189, 218, 218, 219, 220, 229, 249, 250, 262, 265, 281, 360, 384,
])
# fmt: on
"""Images per cell (age x gender x race) of at least 30 in FairFace's validation part."""


def covered(low: np.ndarray, high: np.ndarray, truth: float) -> float:
    return float(((low <= truth) & (truth <= high)).mean())


def wilson_coverage(n: int, p: float, n_sim: int, rng: np.random.Generator) -> float:
    """Averaged over images n to 1.5 n and rates around p, so that no lattice of counts decides."""
    m = rng.integers(n, n + n // 2 + 1, n_sim)
    rate = p * rng.uniform(0.8, 1.2, n_sim)
    low, high = wilson(rng.binomial(m, rate) / m, m, Z)
    return float(((low <= rate) & (rate <= high)).mean())


def newcombe_coverage(n1: int, n2: int, p1: float, p2: float, n_sim: int, rng: np.random.Generator) -> float:
    q1, q2 = p1 * rng.uniform(0.8, 1.2, n_sim), p2 * rng.uniform(0.8, 1.2, n_sim)
    low, high = newcombe(rng.binomial(n1, q1) / n1, n1, rng.binomial(n2, q2) / n2, n2, Z)
    return float(((low <= q1 - q2) & (q1 - q2 <= high)).mean())


def ratio_coverage(n1: int, n2: int, p1: float, p2: float, n_sim: int, rng: np.random.Generator) -> float:
    q1, q2 = p1 * rng.uniform(0.8, 1.2, n_sim), p2 * rng.uniform(0.8, 1.2, n_sim)
    low, high = ratio_score(rng.binomial(n1, q1) / n1, n1, rng.binomial(n2, q2) / n2, n2, Z)
    return float(((low <= q1 / q2) & (q1 / q2 <= high)).mean())


def joint_shares(fpr: float, fnr: float, together: float) -> np.ndarray:
    """Shares of the four outcomes of a pair; `together`: correlation of "flagged", if possible."""
    tpr = 1 - fnr
    both_flagged = min(fpr * tpr + together * np.sqrt(fpr * (1 - fpr) * tpr * (1 - tpr)), fpr, tpr)
    return np.array([tpr - both_flagged, 1 - fpr - tpr + both_flagged, both_flagged, fpr - both_flagged])


def pair_counts(n: np.ndarray, shares: np.ndarray, n_sim: int, rng: np.random.Generator) -> Counts:
    """n_sim simulated tables of len(n) groups of complete pairs; shares [k, 4]."""
    pairs = rng.multinomial(n, shares, size=(n_sim, len(n))).reshape(n_sim, len(n), 2, 2)
    none = np.zeros((n_sim, len(n), 2), dtype=np.int64)
    return Counts(pairs, none, none)


def pair_rate_coverage(
    rate: str, n: int, fpr: float, fnr: float, together: float, n_sim: int, rng: np.random.Generator
) -> float:
    counts = pair_counts(np.array([n]), joint_shares(fpr, fnr, together)[None], n_sim, rng)
    n_all = counts.n_real + counts.n_fake
    value, worth, truth = {
        "positive rate": (
            (counts.fp + counts.n_fake - counts.fn) / n_all,
            positive_rate_worth(counts),
            (fpr + 1 - fnr) / 2,
        ),
        "accuracy": (1 - (counts.fp + counts.fn) / n_all, accuracy_worth(counts), 1 - (fpr + fnr) / 2),
        "(FPR + TPR) / 2": (
            (counts.fp / counts.n_real + 1 - counts.fn / counts.n_fake) / 2,
            half_sum_worth(counts),
            (fpr + 1 - fnr) / 2,
        ),
    }[rate]
    return covered(*wilson(value, worth, Z), truth)


def one_table(real: np.ndarray, fake: np.ndarray, paired: bool) -> ScoreTable:
    """A table of one cell from two arrays of scores."""
    n = len(real)
    rows = np.arange(n if paired else 0)
    return ScoreTable(
        fake=np.r_[np.zeros(n, bool), np.ones(len(fake), bool)],
        score=np.r_[real, fake],
        cells=Cells(["all"], [["all"]], np.zeros((1, 1), np.int32)),
        cell=np.zeros(n + len(fake), np.int32),
        real_row=rows,
        fake_row=rows + n if paired else rows,
        key=np.zeros(n + len(fake), np.uint64),
    )


def curve_coverage(
    what: str, n: int, shift: float, shared: float, n_sim: int, rng: np.random.Generator
) -> float:
    """AUC or EER of normal scores `shift` apart; the halves of a pair correlate by `shared`."""
    hits = 0
    for _ in range(n_sim):
        common = rng.normal(size=n) * np.sqrt(shared)
        noise = rng.normal(size=(2, n)) * np.sqrt(1 - shared)
        table = one_table(common + noise[0], common + noise[1] + shift, shared > 0)
        [found] = score_measures(SortedScores.of(table), whole(1), Z)
        low, high = found.auc_interval if what == "AUC" else found.eer_interval
        truth = ndtr(shift / np.sqrt(2)) if what == "AUC" else ndtr(-shift / 2)
        hits += low <= truth <= high
    return hits / n_sim


def unequal_auc_coverage(
    n_real: int, n_fake: int, shift: float, hidden: float, n_sim: int, rng: np.random.Generator
) -> float:
    """AUC of classes of unequal size; a share of the fakes scores like reals."""
    hits, truth = 0, hidden / 2 + (1 - hidden) * ndtr(shift / np.sqrt(2))
    for _ in range(n_sim):
        fakes = rng.normal(size=n_fake) + np.where(rng.random(n_fake) < hidden, 0, shift)
        table = one_table(rng.normal(size=n_real), fakes, False)
        [found] = score_measures(SortedScores.of(table), whole(1), Z)
        low, high = found.auc_interval
        hits += low <= truth <= high
    return hits / n_sim


def rule_exceeded(rule: str, n: int, n_sim: int, rng: np.random.Generator) -> float:
    """How often a threshold fixed on n normal reals and fakes lets the true rate exceed the rule's level."""
    wanted, hits = parse_rule(rule), 0
    fake = np.repeat([False, True], n)
    for _ in range(n_sim):
        score = rng.normal(size=2 * n) + 2 * fake
        order = np.argsort(score)
        threshold = pick_threshold(error_curve(score[order], fake[order]), wanted)
        true = ndtr(-threshold) if wanted.kind == "fpr" else ndtr(threshold - 2)
        hits += true > wanted.value
    return hits / n_sim


def auc_difference_coverage(
    n: int, shift1: float, shift2: float, shared: float, n_sim: int, rng: np.random.Generator
) -> float:
    """Two detectors whose scores of an image correlate by `shared`, on pairs that do too."""
    hits, truth = 0, ndtr(shift1 / np.sqrt(2)) - ndtr(shift2 / np.sqrt(2))
    fake = np.r_[np.zeros(n, bool), np.ones(n, bool)]
    for _ in range(n_sim):
        person = np.tile(rng.normal(size=n), 2) * np.sqrt(shared)
        scores = [person + rng.normal(size=2 * n) * np.sqrt(1 - shared) + s * fake for s in (shift1, shift2)]
        areas, apart = [], np.zeros(2 * n)
        for sign, score in zip((1, -1), scores, strict=True):
            order = np.argsort(score)
            area, influence = auc_influence(score[order], fake[order])
            apart[order] += sign * influence
            areas.append(area)
        variance = ((apart[:n] + apart[n:]) ** 2).sum()
        low, high, _ = auc_difference(areas[0] - areas[1], float(variance), Z)
        hits += low <= truth <= high
    return hits / n_sim


def equality_rejections(n: np.ndarray, p: np.ndarray, n_sim: int, rng: np.random.Generator) -> float:
    """How often the max-|z| test rejects at 5 %; its size if all p are equal, else its power."""
    rejected = 0
    for _ in range(n_sim):
        rejected += equality_test(rng.binomial(n, p), n, 999, rng).p_value <= ALPHA
    return rejected / n_sim


def simultaneous_coverage(
    n: np.ndarray, p: np.ndarray, what: str, n_sim: int, rng: np.random.Generator
) -> float:
    """Whether the intervals of all pairwise differences hold at once, or only that of the max-min gap."""
    hits = 0
    first, second = np.triu_indices(len(n), 1)
    for _ in range(n_sim):
        k = rng.binomial(n, p)
        if what == "max-min gap":
            low, high = _evidence(k, n, rng).difference("fpr", ALPHA)
            hits += low <= p.max() - p.min() <= high
        else:
            z = pair_critical(len(n), ALPHA)
            low, high = difference_limits((k / n)[first], n[first], (k / n)[second], n[second], z)
            truth = p[first] - p[second]
            hits += bool(((low <= truth) & (truth <= high)).all())
    return hits / n_sim


def both_measures_coverage(n: np.ndarray, p: np.ndarray, n_sim: int, rng: np.random.Generator) -> float:
    """Whether the intervals of all pairwise differences and of all pairwise ratios hold at once."""
    hits, z = 0, pair_critical(len(n), ALPHA)
    first, second = np.triu_indices(len(n), 1)
    for _ in range(n_sim):
        rate = rng.binomial(n, p) / n
        one = (rate[first], n[first], rate[second], n[second])
        apart = np.abs(difference_z(p[first] - p[second], *one))
        times = np.abs(ratio_z(p[first] / p[second], *one))
        hits += bool(max(apart.max(), times.max()) <= z)
    return hits / n_sim


def named_share(
    n: np.ndarray, p: np.ndarray, equal: bool, n_questions: int, n_sim: int, rng: np.random.Generator
) -> float:
    """How often an audit names two groups that are equal in truth (or, else, two that are not)."""
    config, hits = AuditConfig(n_boot=999), 0
    names = [str(g) for g in range(len(n))]
    for _ in range(n_sim):
        questions = []
        for number in range(n_questions):
            k = rng.binomial(n, p)
            questions.append(Question(str(number), "fpr", names, k, n, 0, _evidence(k, n, rng)))
        named = [worse for verdict in judge(questions, config) for worse in verdict.worse_groups]
        hits += any((p[int(w.group)] == p[int(w.than)]) == equal for w in named)
    return hits / n_sim


def reference_coverage(
    n: np.ndarray, p: np.ndarray, reference: int, n_sim: int, rng: np.random.Generator
) -> float:
    """Whether the intervals of all groups minus the reference hold at once."""
    hits, truth = 0, np.delete(p, reference) - p[reference]
    for _ in range(n_sim):
        _, (low, high) = reference_limits(rng.binomial(n, p), n, reference, ALPHA)
        hits += bool(((low <= truth) & (truth <= high)).all())
    return hits / n_sim


def bootstrap_gap_coverage(
    rate: str, n: np.ndarray, shares: np.ndarray, n_sim: int, rng: np.random.Generator
) -> float:
    """The max-min gap of the positive rate or accuracy over groups of pairs (max-t bootstrap)."""
    fpr, fnr = shares[:, 2] + shares[:, 3], shares[:, 1] + shares[:, 3]
    p = (fpr + 1 - fnr) / 2 if rate == "positive_rate" else 1 - (fpr + fnr) / 2
    hits = 0
    for _ in range(n_sim):
        drawn = pair_counts(n, shares, 1, rng)
        counts = Counts(drawn.pairs[0], drawn.reals[0], drawn.fakes[0])
        low, high = Evidence(counts, 999, (int(rng.integers(2**31)),)).difference(rate, ALPHA)
        hits += low <= p.max() - p.min() <= high
    return hits / n_sim


def _evidence(k: np.ndarray, n: np.ndarray, rng: np.random.Generator, n_boot: int = 999) -> Evidence:
    reals = np.stack([n - k, k], axis=1)
    counts = Counts(np.zeros((len(n), 2, 2), np.int64), reals, np.zeros((len(n), 2), np.int64))
    return Evidence(counts, n_boot, (int(rng.integers(2**31)),))


def verdict_share(word: str, n: np.ndarray, p: np.ndarray, n_sim: int, rng: np.random.Generator) -> float:
    """How often one attribute and rate gets a verdict, at a tolerance of 2 percentage points."""
    config, hits = AuditConfig(n_boot=999), 0
    names = [str(g) for g in range(len(n))]
    for _ in range(n_sim):
        k = rng.binomial(n, p)
        [verdict] = judge([Question("a", "fpr", names, k, n, 0, _evidence(k, n, rng))], config)
        hits += verdict.verdict == word
    return hits / n_sim


def proven_beyond_share(n: np.ndarray, p: np.ndarray, n_sim: int, rng: np.random.Generator) -> float:
    """How often a gap is called proven to exceed a tolerance of 2 percentage points."""
    config, hits = AuditConfig(n_boot=999), 0
    names = [str(g) for g in range(len(n))]
    for _ in range(n_sim):
        k = rng.binomial(n, p)
        [verdict] = judge([Question("a", "fpr", names, k, n, 0, _evidence(k, n, rng))], config)
        hits += verdict.beyond_tolerance_proven
    return hits / n_sim


def any_said(
    what: str, n: np.ndarray, p: np.ndarray, n_questions: int, n_sim: int, rng: np.random.Generator
) -> float:
    """How often an audit says so of any of its questions: "within tolerance", or "proven" beyond it."""
    config, hits = AuditConfig(n_boot=299), 0
    names = [str(g) for g in range(len(n))]
    for _ in range(n_sim):
        drawn = [rng.binomial(n, p) for _ in range(n_questions)]
        asked = [
            Question(str(i), "fpr", names, k, n, 0, _evidence(k, n, rng, 299)) for i, k in enumerate(drawn)
        ]
        found = judge(asked, config)
        hits += any(v.beyond_tolerance_proven if what == "proven" else v.verdict == what for v in found)
    return hits / n_sim


def bias_left(what: str, n: np.ndarray, p: np.ndarray, n_sim: int, rng: np.random.Generator) -> float:
    """Of how much the gap is overstated on average, the share that is left after the correction.

    Of the largest gap over all audits; of the pair that a disparity names over the audits that find one.
    """
    config, names = AuditConfig(n_boot=999), [str(g) for g in range(len(n))]
    over, left = 0.0, 0.0
    for _ in range(n_sim):
        k = rng.binomial(n, p)
        [verdict] = judge([Question("a", "fpr", names, k, n, 0, _evidence(k, n, rng))], config)
        if what == "largest gap":
            over, left = over + verdict.gap - np.ptp(p), left + verdict.gap_corrected - np.ptp(p)
        elif verdict.verdict == "disparity":
            pair = next(w for w in verdict.worse_groups if w.group == verdict.worst_group)
            true = p[int(pair.group)] - p[int(pair.than)]
            over, left = over + pair.difference - true, left + pair.corrected_difference - true
    return abs(left) / over


def settled_share(p: np.ndarray, first: int, n_sim: int, rng: np.random.Generator) -> float:
    """Of the audits on `first` images a group that ask for more, those settled by as many as they ask for."""
    config, asked, settled = AuditConfig(n_boot=999), 0, 0
    names = [str(g) for g in range(len(p))]
    while asked < n_sim:
        n = np.full(len(p), first)
        for again in (False, True):
            k = rng.binomial(n, p)
            [verdict] = judge([Question("a", "fpr", names, k, n, 0, _evidence(k, n, rng))], config)
            if again:
                settled += verdict.verdict != "insufficient evidence"
            elif verdict.images_needed is None or verdict.worse_groups:
                break
            else:
                asked, n = asked + 1, np.full(len(p), verdict.images_needed)
    return settled / asked


def shown_share(n: np.ndarray, p: float, n_sim: int, rng: np.random.Generator) -> float:
    """How often inequality is proven where the smallest group errs more by the gap that an audit names."""
    config, hits, names = AuditConfig(n_boot=999), 0, [str(g) for g in range(len(n))]
    for _ in range(n_sim):
        k = rng.binomial(n, np.full(len(n), p))
        [equal] = judge([Question("a", "fpr", names, k, n, 0, _evidence(k, n, rng))], config)
        rates = np.full(len(n), p)
        rates[np.argmin(n)] = min(p + equal.min_detectable_gap, 1.0)
        k = rng.binomial(n, rates)
        [raised] = judge([Question("a", "fpr", names, k, n, 0, _evidence(k, n, rng))], config)
        hits += raised.adjusted_p_value <= ALPHA
    return hits / n_sim


def settled_as_seen_share(p: np.ndarray, n_sim: int, rng: np.random.Generator) -> float:
    """The share settled, and rightly, by the images planned for a gap that is as large as was seen."""
    config, hits, names = AuditConfig(n_boot=999), 0, [str(g) for g in range(len(p))]
    planned = images_if_as_seen((p.min(), p.max()), len(p), config.tolerance, ALPHA, 1)
    n = np.full(len(p), planned)
    right = "disparity" if np.ptp(p) > config.tolerance else "within tolerance"
    for _ in range(n_sim):
        k = rng.binomial(n, p)
        [verdict] = judge([Question("a", "fpr", names, k, n, 0, _evidence(k, n, rng))], config)
        hits += verdict.verdict == right
    return hits / n_sim


def family_share(n: np.ndarray, p: float, n_sim: int, rng: np.random.Generator) -> float:
    """How often an audit of 14 questions without any disparity accuses anywhere."""
    config, hits = AuditConfig(n_boot=1999), 0
    names = [str(g) for g in range(len(n))]
    for _ in range(n_sim):
        questions = []
        for number in range(14):
            k = rng.binomial(n, p)
            questions.append(Question(str(number), "fpr", names, k, n, 0, _evidence(k, n, rng)))
        hits += any(verdict.verdict == "disparity" for verdict in judge(questions, config))
    return hits / n_sim


def two_detectors(
    n: np.ndarray, p1: np.ndarray, p2: np.ndarray, together: float, n_sim: int, rng: np.random.Generator
) -> np.ndarray:
    """[n_sim, k, 2, 2] joint errors of two detectors whose errors correlate by `together`."""
    both = p1 * p2 + together * np.sqrt(p1 * (1 - p1) * p2 * (1 - p2))
    both = np.minimum(both, np.minimum(p1, p2))
    shares = np.stack([1 - p1 - p2 + both, p2 - both, p1 - both, both], axis=1)
    return rng.multinomial(n, shares, size=(n_sim, len(n))).reshape(n_sim, len(n), 2, 2)


def gap_difference_coverage(
    n: np.ndarray, p1: np.ndarray, p2: np.ndarray, together: float, n_sim: int, rng: np.random.Generator
) -> float:
    truth = (p1.max() - p1.min()) - (p2.max() - p2.min())
    hits = 0
    for outcomes in two_detectors(n, p1, p2, together, n_sim, rng):
        low, high = gap_difference(outcomes, ALPHA, 999, rng).interval
        hits += low <= truth <= high
    return hits / n_sim


def rate_difference_coverage(
    n: int, p1: float, p2: float, together: float, n_sim: int, rng: np.random.Generator
) -> float:
    outcomes = two_detectors(np.array([n]), np.array([p1]), np.array([p2]), together, n_sim, rng)[:, 0]
    limits = [rate_difference(int(one[1, 0]), int(one[0, 1]), n, Z) for one in outcomes]
    return float(np.mean([low <= p1 - p2 <= high for low, high in limits]))


def family_errors(
    n_pairs: int, rates: np.ndarray, n_detectors: int, n_sim: int, rng: np.random.Generator
) -> float:
    """How often a comparison of equally good and equally unfair detectors names any winner in its headline.

    Scores of one image correlate by 1/2 between detectors; `rates` are the FPR (and FNR) of seven races.
    """
    result, false = _unit_result(), 0
    fake = np.repeat([False, True], n_pairs)
    row = np.arange(n_pairs)
    for _ in range(n_sim):
        codes = np.stack([rng.integers(2, size=n_pairs), rng.integers(len(rates), size=n_pairs)], axis=1)
        unique, cell = np.unique(codes, axis=0, return_inverse=True)
        levels = [[str(level) for level in range(size)] for size in (2, len(rates))]
        cells = Cells(["gender", "race"], levels, unique.astype(np.int32))
        centre = np.tile(ndtri(rates)[codes[:, 1]], 2) * np.where(fake, -1, 1)
        image = rng.normal(size=2 * n_pairs)
        runs = []
        for name in range(n_detectors):
            score = centre + (image + rng.normal(size=2 * n_pairs)) / np.sqrt(2)
            table = ScoreTable(fake, score, cells, np.tile(cell.reshape(-1), 2).astype(np.int32), row,
                               row + n_pairs, np.zeros(2 * n_pairs, np.uint64))  # fmt: skip
            runs.append(Run(str(name), "", result, table))
        found = paired_tests(runs, AuditConfig(n_boot=999, seed=int(rng.integers(2**31))))
        headline = [d for d in (*found.auc, *found.errors, *found.gaps) if d.family == "headline"]
        false += any(d.adjusted_p_value <= ALPHA for d in headline)
    return false / n_sim


def _unit_result() -> AuditResult:
    """Any result whose threshold is 0: all that a comparison reads of it."""
    frame = pd.DataFrame({"label": [0, 1], "score": [-1.0, 1.0], "race": ["a", "b"]})
    return audit_scores(frame, AuditConfig(threshold=0.0, n_boot=100))


def error_of_quality(shape: str, quality: np.ndarray) -> np.ndarray:
    """Chance of an error that depends on quality (about standard normal) and on nothing else."""
    return {
        "smooth": lambda: 1 / (1 + np.exp(3 + 1.5 * quality)),
        "step": lambda: np.where(quality < -0.5, 0.25, 0.02),
        "bump": lambda: 0.02 + 0.2 * np.exp(-8 * (quality + 0.5) ** 2),
        "rare": lambda: 0.004 / (1 + np.exp(2 * quality)),
        "none": lambda: np.full(len(quality), 0.05),
    }[shape]()


def standardised(
    n: tuple[int, int], shift: float, shape: str, effect: float, rng: np.random.Generator
) -> Standardised | str:
    """One adjusted gap: the first group's quality is lower by `shift`, its rate higher by `effect`."""
    side = np.repeat([0, 1], n)
    quality = rng.normal(np.where(side == 0, -shift, 0.0))
    wrong = rng.random(len(side)) < error_of_quality(shape, quality) + effect * (side == 0)
    column = pd.Series(quality, name="quality")
    kept = in_common(side, [column])
    return standardised_difference(wrong[kept], side[kept], [column[kept]], least_worth(side, None, 30))


def control_coverage(
    n: tuple[int, int], shift: float, shape: str, effect: float, n_sim: int, rng: np.random.Generator
) -> float:
    """Of the audits whose adjusted gap has an interval, the share where it holds the truth."""
    found = [standardised(n, shift, shape, effect, rng) for _ in range(n_sim)]
    limits = [one.interval(Z) for one in found if isinstance(one, Standardised)]
    return float(np.mean([low <= effect <= high for low, high in limits]))


def control_stays(
    n: tuple[int, int], shift: float, shape: str, effect: float, n_sim: int, rng: np.random.Generator
) -> float:
    """How often a gap is said to stay at equal quality."""
    found = [standardised(n, shift, shape, effect, rng) for _ in range(n_sim)]
    return float(np.mean([isinstance(one, Standardised) and one.interval(Z)[0] > 0 for one in found]))


def control_inseparable(
    n: tuple[int, int], shift: float, shape: str, n_sim: int, rng: np.random.Generator
) -> float:
    """How often the answer is "cannot be separated"."""
    return float(np.mean([isinstance(standardised(n, shift, shape, 0.0, rng), str) for _ in range(n_sim)]))


def control_told(
    what: str, n: tuple[int, int], setting: tuple[float, str, float], gaps: int, n_sim: int,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """How often anything is said of any adjusted gap of an audit that has `gaps` of them: that one is left at
    equal quality ("gap", of either sign), or that quality has a part in it ("part", of either sign).
    """
    z, said = shared_z(2, gaps, ALPHA), 0
    for _ in range(n_sim):
        found = [standardised(n, *setting, rng) for _ in range(gaps)]
        limits = [
            one.interval(z) if what == "gap" else one.part_interval(z)
            for one in found
            if isinstance(one, Standardised)
        ]
        said += any(low > 0 or high < 0 for low, high in limits)
    return said / n_sim


def unit_share(
    what: str, sizes: Sizes, rates: np.ndarray, together: float | np.ndarray, n_each: int,
    n_sim: int, rng: np.random.Generator,
) -> float:  # fmt: skip
    """How often an audit by units says "disparity", or names two groups as unequal that are equal."""
    hits = 0
    for _ in range(n_sim):
        verdict = unit_verdict(clustered(sizes, rates, together, n_each, rng), rng)
        equal = any(rates[int(one.group)] == rates[int(one.than)] for one in verdict.worse_groups)
        hits += verdict.verdict == "disparity" if what == "disparity" else equal
    return hits / n_sim


def unit_power_ratio(
    sizes: Sizes, rates: np.ndarray, together: float, n_each: int, n_sim: int, rng: np.random.Generator
) -> float:
    """Disparities found, over those that a permutation of the units' means finds (two groups)."""
    ours, exact = 0, 0
    for _ in range(n_sim):
        counts = clustered(sizes, rates, together, n_each, rng)
        ours += unit_verdict(counts, rng).verdict == "disparity"
        means = counts.units.values[:, 1] / counts.units.values[:, 0]
        first = counts.units.group == 0
        shuffled = rng.permuted(np.tile(means, (499, 1)), axis=1)
        null = np.abs(shuffled[:, first].mean(axis=1) - shuffled[:, ~first].mean(axis=1))
        exact += (null >= abs(means[first].mean() - means[~first].mean())).mean() <= ALPHA
    return ours / max(exact, 1)


def unit_rate_coverage(
    size: int, rate: float, together: float, n_each: int, n_sim: int, rng: np.random.Generator
) -> float:
    hits = 0
    for _ in range(n_sim):
        counts = clustered((size,), np.array([rate]), together, n_each, rng)
        low, high = wilson(counts.fp / counts.n_real, fpr_worth(counts), Z)
        hits += low[0] <= rate <= high[0]
    return hits / n_sim


def weighted_coverage(n: int, rates: tuple[float, float], n_sim: int, rng: np.random.Generator) -> float:
    """Half of the images come from a stratum that is a tenth of the population."""
    hits, truth = 0, 0.1 * rates[0] + 0.9 * rates[1]
    for _ in range(n_sim):
        rare = rng.random(n) < 0.5
        wrong = rng.random(n) < np.where(rare, *rates)
        weight = np.where(rare, 0.2, 1.8)
        none = np.zeros(n, dtype=int)
        counts = of_units(unit_totals(np.arange(n), none, 1, none.astype(bool), wrong, weight))
        low, high = wilson(counts.fp / counts.n_real, fpr_worth(counts), Z)
        hits += low[0] <= truth <= high[0]
    return hits / n_sim


def scored_table(fake: np.ndarray, score: np.ndarray, unit: np.ndarray | None) -> ScoreTable:
    """Single images of one cell, perhaps of units."""
    none = np.zeros(0, dtype=np.int64)
    cells = Cells(["all"], [["all"]], np.zeros((1, 1), np.int32))
    return ScoreTable(fake, score, cells, np.zeros(len(fake), np.int32), none, none,
                      np.zeros(len(fake), np.uint64), unit=unit)  # fmt: skip


WORTH = {"fpr": fpr_worth, "fnr": fnr_worth}


def answerable(table: ScoreTable, threshold: float) -> bool:
    """Whether the detector behind these scores is found to be better than guessing."""
    [measured], counts = score_measures(SortedScores.of(table), whole(1), Z), count(table, threshold).total()
    rates = {"fpr": counts.fp / counts.n_real, "fnr": counts.fn / counts.n_fake}
    limits = {name: wilson(rates[name], worth(counts), Z) for name, worth in WORTH.items()}
    measures = Measures.model_construct(
        n_real=int(counts.n_real[0]), n_fake=int(counts.n_fake[0]),
        fpr=float(rates["fpr"][0]), fnr=float(rates["fnr"][0]), positive_rate=0.5,
        fpr_interval=(limits["fpr"][0][0], limits["fpr"][1][0]),
        fnr_interval=(limits["fnr"][0][0], limits["fnr"][1][0]),
        balanced_accuracy=1 - float(rates["fpr"][0] + rates["fnr"][0]) / 2,
        auc=measured.auc, auc_interval=measured.auc_interval, eer=measured.eer,
    )  # fmt: skip
    return usefulness(measures, threshold, "fixed", FAKE_FACE).answerable


def answerable_share(
    n: tuple[int, int], shift: float, threshold: float, n_each: int, n_sim: int, rng: np.random.Generator
) -> float:
    """How often a detector is found to be better than guessing.

    Normal scores, fakes `shift` higher; n reals and fakes in units of n_each, whose scores correlate by 1/2.
    """
    hits, fake = 0, np.repeat([False, True], n)
    unit = np.arange(len(fake)) // n_each
    for _ in range(n_sim):
        common = rng.normal(size=len(unit))[unit] * (n_each > 1)
        score = (rng.normal(size=len(fake)) + common) / np.sqrt(1 + (n_each > 1)) + shift * fake
        hits += answerable(scored_table(fake, score, unit if n_each > 1 else None), threshold)
    return hits / n_sim


def groups_of(k: int) -> Cells:
    """k groups of one attribute."""
    return Cells(["a"], [[str(g) for g in range(k)]], np.arange(k, dtype=np.int32)[:, None])


def limit_passed_share(
    n: np.ndarray, p: np.ndarray, limit: float, n_sim: int, rng: np.random.Generator
) -> float:
    """How often all upper limits of FPRs, the overall one included, keep to --max-fpr."""
    cells = groups_of(len(n))
    hits, groupings, config = 0, cells.groupings(), AuditConfig(max_fpr=limit)
    for _ in range(n_sim):
        k = rng.binomial(n, p)
        reals, none = np.stack([n - k, k], axis=1), np.zeros((len(n), 2), np.int64)
        found = rate_limits(Counts(np.zeros((len(n), 2, 2), np.int64), reals, none), groupings, config)
        hits += all(one.holds for one in found)
    return hits / n_sim


def limit_passed_by_units(
    sizes: Sizes, rates: np.ndarray, together: float, n_each: int, limit: float,
    n_sim: int, rng: np.random.Generator,
) -> float:  # fmt: skip
    """The same for images that share units."""
    cells = Cells(
        ["a"], [[str(g) for g in range(len(sizes))]], np.arange(len(sizes), dtype=np.int32)[:, None]
    )
    hits, groupings, config = 0, cells.groupings(), AuditConfig(max_fpr=limit)
    for _ in range(n_sim):
        found = rate_limits(clustered(sizes, rates, together, n_each, rng), groupings, config)
        hits += all(one.holds for one in found)
    return hits / n_sim


def planted(k: int, base: float, gap: float, where: int = 0) -> np.ndarray:
    """k equal rates, one of them raised."""
    rates = np.full(k, base)
    rates[where] += gap
    return rates


SIZE = (0.03, 0.07)
FOUR_IN_FIVE = (0.75, 0.90)
pairs_of_races = np.tile(joint_shares(0.06, 0.10, 0.4), (7, 1))
TWO = np.array([1500, 900])
slope = np.linspace(0.03, 0.12, 7)
BIG = (20_000, 5_000)
SOME_SMALL, TWO_HUGE = [7_000, 600, 500, 200, 150, 120, 100], [50_000, 40_000, 200, 30, 30]

# New rows go to the end: a row's seed is its place.
STUDIES = [
    *[
        Study("Wilson", f"n = {n}, rate {p}", EXACT, partial(wilson_coverage, n, p), 20_000)
        for n, p in ((30, 0.05), (30, 0.3), (120, 0.02), (1500, 0.05))
    ],
    *[
        Study("Newcombe difference", f"n = {n1}, {n2}; rates {p1}, {p2}", EXACT,
              partial(newcombe_coverage, n1, n2, p1, p2), 20_000)
        for n1, n2, p1, p2 in ((40, 40, 0.1, 0.1), (120, 1500, 0.05, 0.05), (1200, 1500, 0.15, 0.05))
    ],
    *[
        Study("Score ratio", f"n = {n1}, {n2}; rates {p1}, {p2}", EXACT,
              partial(ratio_coverage, n1, n2, p1, p2), 4_000)
        for n1, n2, p1, p2 in ((60, 60, 0.1, 0.1), (120, 1500, 0.05, 0.05), (1200, 1500, 0.15, 0.05))
    ],
    *[
        Study(f"Wilson on pairs: {rate}", f"n = {n} pairs, FPR {p}, FNR {q}, correlation {c}", EXACT,
              partial(pair_rate_coverage, rate, n, p, q, c), 20_000)
        for rate in ("positive rate", "accuracy", "(FPR + TPR) / 2")
        for n, p, q, c in ((40, 0.1, 0.15, 0.3), (200, 0.05, 0.1, 0.0), (1500, 0.05, 0.1, 0.5))
    ],
    *[
        Study(what, f"n = {n} + {n}, AUC {ndtr(s / 2**0.5):.3f}, correlation {c}", EXACT,
              partial(curve_coverage, what, n, s, c), 2_000)
        for what in ("AUC", "EER")
        for n, s, c in ((40, 1.5, 0.0), (150, 2.5, 0.5), (1500, 1.5, 0.5))
    ],
    Study("AUC difference, paired", "n = 150 pairs, AUC 0.96, 0.86, correlation 0.5", EXACT,
          partial(auc_difference_coverage, 150, 2.5, 1.5, 0.5), 2_000),
    Study("AUC difference, paired", "n = 1000 pairs, both AUC 0.86, correlation 0.5", EXACT,
          partial(auc_difference_coverage, 1000, 1.5, 1.5, 0.5), 1_000),
    *[
        Study("Rate difference, paired", f"n = {n}, rates {p}, {q}, correlation 0.4", EXACT,
              partial(rate_difference_coverage, n, p, q, 0.4), 5_000)
        for n, p, q in ((40, 0.1, 0.15), (1500, 0.05, 0.05))
    ],
    *[
        Study("All pairwise differences at once", case, AT_LEAST,
              partial(simultaneous_coverage, n, p, "all"), 2_000)
        for case, n, p in (
            ("7 races, equal rates 0.05", RACES, np.full(7, 0.05)),
            ("7 races, rates 0.03-0.12", RACES, slope),
            ("9 ages, equal rates 0.05", AGES, np.full(9, 0.05)),
        )
    ],
    *[
        Study("Max-min gap", case, AT_LEAST, partial(simultaneous_coverage, n, p, "max-min gap"), 1_000)
        for case, n, p in (
            ("2 groups of 1000, equal rates 0.05", np.array([1000, 1000]), np.full(2, 0.05)),
            ("7 races, equal rates 0.05", RACES, np.full(7, 0.05)),
            ("7 races, one at +0.05", RACES, planted(7, 0.05, 0.05, 2)),
        )
    ],
    *[
        Study(f"Max-min gap of {rate}", "7 races of pairs, equal", AT_LEAST,
              partial(bootstrap_gap_coverage, rate, RACES, pairs_of_races), 500)
        for rate in ("positive_rate", "accuracy")
    ],
    *[
        Study("Difference of gaps", case, AT_LEAST, partial(gap_difference_coverage, n, p, q, 0.4), 1_000)
        for case, n, p, q in (
            ("7 races, both equal", RACES, np.full(7, 0.05), np.full(7, 0.08)),
            ("7 races, gaps 0.09 and 0", RACES, slope, np.full(7, 0.05)),
            ("2 groups, gaps 0.05 and 0.02", TWO, np.array([0.1, 0.05]), np.array([0.07, 0.05])),
        )
    ],
    *[
        Study("Equality test, size", case, SIZE, partial(equality_rejections, n, p), sims)
        for case, n, p, sims in (
            ("2 groups of 40, rate 0.1", np.array([40, 40]), np.full(2, 0.1), 4_000),
            ("2 groups of 1000 and 300, rate 0.05", np.array([1000, 300]), np.full(2, 0.05), 4_000),
            ("7 races, rate 0.05", RACES, np.full(7, 0.05), 4_000),
            ("7 races, rate 0.002", RACES, np.full(7, 0.002), 4_000),
            ("9 ages, rate 0.05", AGES, np.full(9, 0.05), 4_000),
            ("85 cells, rate 0.05", CELLS, np.full(len(CELLS), 0.05), 1_500),
            ("85 cells, rate 0.01", CELLS, np.full(len(CELLS), 0.01), 1_500),
        )
    ],
    *[
        Study("Equality test, power", case, REPORT, partial(equality_rejections, n, p), 1_000)
        for case, n, p in (
            ("7 races, one at 0.05 + 0.02", RACES, planted(7, 0.05, 0.02, 2)),
            ("7 races, one at 0.05 + 0.03", RACES, planted(7, 0.05, 0.03, 2)),
            ("7 races, one at 0.05 + 0.05", RACES, planted(7, 0.05, 0.05, 2)),
            ("85 cells, one of 166 at 0.05 + 0.10", CELLS, planted(len(CELLS), 0.05, 0.10, 65)),
            ("85 cells, one of 166 at 0.05 + 0.20", CELLS, planted(len(CELLS), 0.05, 0.20, 65)),
        )
    ],
    *[
        Study('"within tolerance" although wrong', case, AT_MOST,
              partial(verdict_share, "within tolerance", n, p), 2_000)
        for case, n, p in (
            ("2 groups of 3000, gap 0.021", np.array([3000, 3000]), np.array([0.051, 0.03])),
            ("2 groups of 20000, gap 0.0201", np.array([20000, 20000]), np.array([0.0501, 0.03])),
            ("7 groups of 10000, one 0.0201 above", np.full(7, 10_000), planted(7, 0.03, 0.0201)),
        )
    ],
    Study('"within tolerance" where true', "7 groups of 10000, equal rates 0.03", REPORT,
          partial(verdict_share, "within tolerance", np.full(7, 10_000), np.full(7, 0.03)), 500),
    Study('"disparity" although equal', "14 questions on 7 races, rate 0.05", AT_MOST,
          partial(family_share, RACES, 0.05), 300),
    Study('"disparity" where true', "7 races, one at 0.05 + 0.05", REPORT,
          partial(verdict_share, "disparity", RACES, planted(7, 0.05, 0.05, 2)), 500),
    *[
        Study(what, f"n = {n} + {n}, AUC {ndtr(s / 2**0.5):.4f}, correlation {c}", AT_LEAST,
              partial(curve_coverage, what, n, s, c), 1_000)
        for what in ("AUC", "EER")
        for n, s, c in ((40, 3.6, 0.0), (150, 3.6, 0.0), (150, 4.5, 0.5))
    ],
    *[
        Study("All pairwise differences at once", case, AT_LEAST,
              partial(simultaneous_coverage, n, p, "all"), sims)
        for case, n, p, sims in (
            ("9 ages, equal rates 0.01", AGES, np.full(9, 0.01), 2_000),
            ("9 ages, rates 0.01-0.30", AGES, np.linspace(0.30, 0.01, 9), 2_000),
            ("85 cells, equal rates 0.05", CELLS, np.full(len(CELLS), 0.05), 500),
        )
    ],
    *[
        Study(what, case, aim, partial(simulate, np.full(7, 10_000), p), 2_000)
        for what, aim, simulate in (
            ('"disparity" of a gap inside the tolerance', REPORT, partial(verdict_share, "disparity")),
            ('"proven beyond" of a gap inside the tolerance', AT_MOST, proven_beyond_share),
        )
        for case, p in (
            ("7 groups of 10000, one 0.019 above", planted(7, 0.05, 0.019)),
            ("7 groups of 10000, four 0.019 above", np.repeat([0.05, 0.069], [3, 4])),
        )
    ],
    *[
        Study("Settled by the images asked for", case, FOUR_IN_FIVE, partial(settled_share, p, n), sims)
        for case, n, p, sims in (
            ("2 groups, equal rates 0.05", 500, np.full(2, 0.05), 1_000),
            ("9 groups, equal rates 0.05", 500, np.full(9, 0.05), 1_000),
            ("85 groups, equal rates 0.05", 500, np.full(85, 0.05), 500),
        )
    ],
    *[
        Study("Settled if the gap is as seen", case, (0.75, 1.0), partial(settled_as_seen_share, p), 500)
        for case, p in (
            ("2 groups, gap 0.008", np.array([0.05, 0.058])),
            ("7 groups, one 0.008 above", planted(7, 0.05, 0.008)),
            ("7 groups, one 0.03 above", planted(7, 0.05, 0.03)),
        )
    ],
    *[
        Study("Comparison, any false winner", f"3 detectors alike, 1500 pairs, {case}", AT_MOST,
              partial(family_errors, 1500, rates, 3), 200)
        for case, rates in (("7 races at 0.05", np.full(7, 0.05)), ("7 races, rates 0.03-0.12", slope))
    ],
    *[
        Study("Each group minus the reference, at once", case, AT_LEAST,
              partial(reference_coverage, n, p, reference), 2_000)
        for case, n, p, reference in (
            ("7 races, equal rates 0.05", RACES, np.full(7, 0.05), 0),
            ("7 races, rates 0.03-0.12", RACES, slope, 0),
            ("7 groups of 40, equal rates 0.1", np.full(7, 40), np.full(7, 0.1), 0),
            ("9 ages, equal rates 0.01, smallest as reference", AGES, np.full(9, 0.01), 8),
            ("9 ages, rates 0.01-0.30", AGES, np.linspace(0.30, 0.01, 9), 4),
            ("2 groups of 1000 and 300, rate 0.05", np.array([1000, 300]), np.full(2, 0.05), 0),
        )
    ],
    *[
        Study(what, f"{n[0]:,} and {n[1]:,}, {case}", aim, partial(simulate, n, *setting), sims)
        for what, aim, simulate, cases in (
            ("Gap at equal quality, interval", EXACT, control_coverage, (
                ("pure confounding, smooth", BIG, (0.7, "smooth", 0.0), 400),
                ("pure confounding, a step", BIG, (1.0, "step", 0.0), 400),
                ("pure confounding, a bump", BIG, (1.5, "bump", 0.0), 400),
                ("quality 2.5 SD apart", BIG, (2.5, "smooth", 0.0), 400),
                ("a true gap of 3 points as well", (2000, 700), (0.8, "smooth", 0.03), 800),
            )),
            ("Gap at equal quality, interval", AT_LEAST, control_coverage, (
                ("rates of 0.2 to 0.4 %", BIG, (1.0, "rare", 0.0), 400),
                ("few images", (150, 100), (0.7, "smooth", 0.0), 800),
            )),
            ('"the rest stays" of pure confounding', AT_MOST, control_stays, (
                ("smooth", BIG, (0.7, "smooth", 0.0), 400),
                ("a step", BIG, (1.0, "step", 0.0), 400),
            )),
            ('"the rest stays" where true', REPORT, control_stays, (
                ("gap of 3 points, no confounding", (2000, 700), (0.0, "none", 0.03), 400),
                ("gap of 3 points, confounded", (2000, 700), (0.8, "smooth", 0.03), 400),
                ("gap of 3 points, confounded", BIG, (0.8, "smooth", 0.03), 200),
            )),
        )
        for case, n, setting, sims in cases
    ],
    Study('"cannot be separated"', "quality 6 SD apart, 2,000 and 700", (0.99, 1.0),
          partial(control_inseparable, (2000, 700), 6.0, "smooth"), 200),
    *[
        Study(what, case, aim, partial(named_share, np.array(n), np.array(p), equal, questions), sims)
        for what, equal, aim in (
            ("Any truly equal pair named", True, AT_MOST),
            ("Any truly unequal pair named", False, REPORT),
        )
        for case, n, p, questions, sims in (
            ("20,000 at 0.2 %, 8 x 60 at 2 %", [20_000] + [60] * 8, [0.002] + [0.02] * 8, 1, 1_000),
            ("5,000 at 1 %, 6 x 150 at 3 %", [5_000] + [150] * 6, [0.01] + [0.03] * 6, 1, 1_000),
            ("7,000 at 0.5 %, 600 to 100 at 2 %", SOME_SMALL, [0.005] + [0.02] * 6, 1, 1_000),
            ("50,000 at 0.1 %, 12 x 40 at 1 %", [50_000] + [40] * 12, [0.001] + [0.01] * 12, 1, 500),
            ("90,000 at 0.05 %, 260 at 5 %", TWO_HUGE, [0.0005] * 2 + [0.05] * 3, 1, 1_000),
            ("500 at 1 %, 2 x 60 at 10 %", [500, 60, 60], [0.01, 0.1, 0.1], 1, 1_000),
            ("7 races, one at 5 + 3 %", RACES, planted(7, 0.05, 0.03, 2), 1, 1_000),
            ("10 questions on 7 races, one at 5 + 5 %", RACES, planted(7, 0.05, 0.05, 2), 10, 200),
        )
    ],
    *[
        Study("Differences and ratios of all pairs at once", case, AT_LEAST,
              partial(both_measures_coverage, np.array(n), np.array(p)), 2_000)
        for case, n, p in (
            ("20,000 at 5 and 0.5 %, 10 x 40 at 0.5 %", [20_000] * 2 + [40] * 10, [0.05] + [0.005] * 11),
            ("20,000 and 10 x 40 at 0.1 %", [20_000] + [40] * 10, [0.001] * 11),
            ("50,000 at 0.1 %, 12 x 40 at 1 %", [50_000] + [40] * 12, [0.001] + [0.01] * 12),
            ("4,000 at 10 and 20 %, 10 x 30 at 3 %", [4_000] * 2 + [30] * 10, [0.1, 0.2] + [0.03] * 10),
            ("100,000 at 0.01 %, 5 x 1,000 at 0.1 %", [100_000] + [1_000] * 5, [0.0001] + [0.001] * 5),
            ("7 races, 5 %", RACES, [0.05] * 7),
            ("7 races, 3-12 %", RACES, slope),
            ("7 x 40 at 95 %", [40] * 7, [0.95] * 7),
        )
    ],
    *[
        Study("AUC, unequal classes", f"{n_real:,} reals, {n_fake} fakes, {case}", AT_LEAST,
              partial(unequal_auc_coverage, n_real, n_fake, shift, hidden), 1_000)
        for n_real, n_fake, shift, hidden, case in (
            (10_000, 50, 4.07, 0.0, "AUC 0.998"),
            (2_000, 40, 3.0, 0.0, "AUC 0.983"),
            (50, 10_000, 4.07, 0.0, "AUC 0.998"),
            (10_000, 50, 4.07, 0.02, "2 % of them like reals"),
            (10_000, 300, 4.07, 0.01, "1 % of them like reals"),
            (1_000, 100, 3.0, 0.05, "5 % of them like reals"),
        )
    ],
    *[
        Study("Each group minus the reference, at once", case, AT_LEAST,
              partial(reference_coverage, np.array(n), np.array(p), reference), 2_000)
        for case, n, p, reference in (
            ("5,000 at 0.5 %, 6 x 60 at 1 %", [5_000] + [60] * 6, [0.005] + [0.01] * 6, 0),
            ("5,000 at 1 %, 6 x 60 at 0.5 %", [5_000] + [60] * 6, [0.01] + [0.005] * 6, 0),
            ("the same, a small one as reference", [5_000] + [60] * 6, [0.01] + [0.005] * 6, 6),
            ("50,000 at 0.1 %, 12 x 40 at 1 %", [50_000] + [40] * 12, [0.001] + [0.01] * 12, 0),
        )
    ],
    *[
        Study("True rate exceeds the rule's level", f"{rule}, fixed on {n:,}", aim,
              partial(rule_exceeded, rule, n), 2_000)
        for rule, n, aim in (
            ("fpr=0.01", 1_000, REPORT), ("fpr<=0.01@95%", 1_000, AT_MOST), ("fpr<=0.01@95%", 350, AT_MOST),
            ("fnr<=0.05@90%", 400, (0.0, 0.1)),
        )
    ],
    *[
        Study(f'"{word}" wrongly of any of 10', case, AT_MOST,
              partial(any_said, word, np.array(n), np.array(p), 10), 300)
        for word, case, n, p in (
            ("within tolerance", "2 groups of 20,000, gap 2.01", [20_000] * 2, [0.0501, 0.03]),
            ("within tolerance", "2 groups of 3,000, gap 2.1", [3_000] * 2, [0.031, 0.01]),
            ("within tolerance", "7 of 10,000, one 2.01 above", [10_000] * 7, planted(7, 0.03, 0.0201)),
            ("proven", "2 groups of 20,000, gap 1.99", [20_000] * 2, [0.0499, 0.03]),
            ("proven", "7 of 10,000, four 1.99 above", [10_000] * 7, [0.05] * 3 + [0.0699] * 4),
        )
    ],
    *[
        Study(f"Bias left of the {what}", case, (0.0, 0.6), partial(bias_left, what, RACES, p), 600)
        for what in ("largest gap", "gap of a disparity")
        for case, p in (
            ("7 races, one at 5 + 1.5 %", planted(7, 0.05, 0.015, 3)),
            ("7 races, 5 to 6.5 %", np.linspace(0.05, 0.065, 7)),
            ("7 races, one at 5 + 5 %", planted(7, 0.05, 0.05, 3)),
        )
    ],
    *[
        Study("Units, disparity although equal", f"{case}, 10 images each", AT_MOST,
              partial(unit_share, "disparity", sizes, np.full(len(sizes), rate), together, 10), 400)
        for case, sizes, rate, together in (
            ("60 + 60 persons, 10 %, correlation 0.4", (60, 60), 0.1, 0.4),
            ("7 x 20 persons, 5 %, correlation 0.4", (20,) * 7, 0.05, 0.4),
            ("400 and 5 x 12 persons, 5 %, correlation 0.3", (400, 12, 12, 12, 12, 12), 0.05, 0.3),
            ("200 and 40 persons, 10 %, correlations 0.05, 0.6", (200, 40), 0.1, np.array([0.05, 0.6])),
        )
    ],
    Study("Units, disparity although equal", "300 source photos, five fakes each, 10 %, correlation 0.4",
          AT_MOST, partial(unit_share, "disparity", (150, 150), np.full(2, 0.1), 0.4, 5), 400),
    Study("Units, disparity although equal", "300 and 3 x 20 persons, 10 %, correlations 0.05, 0.6",
          AT_MOST,
          partial(unit_share, "disparity", (300, 20, 20, 20), np.full(4, 0.1),
                  np.repeat([0.05, 0.6], [1, 3]), 10), 400),
    Study("Units, any truly equal pair named", "300 and 4 x 15 persons, 1 and 5 %, correlation 0.4",
          AT_MOST,
          partial(unit_share, "named", (300, 15, 15, 15, 15), np.repeat([0.01, 0.05], [1, 4]), 0.4, 10), 400),
    *[
        Study("Units, power over that of permuted person means", f"{case}, gap 4.2 points", (0.9, 1.1),
              partial(unit_power_ratio, sizes, np.array([0.05, 0.092]), 0.3, 10), 200)
        for case, sizes in (("200 + 200 persons", (200, 200)), ("400 + 400 persons", (400, 400)))
    ],
    *[
        Study("Units, rate", f"{size} persons, 10 images each, {rate}, correlation {together}", AT_LEAST,
              partial(unit_rate_coverage, size, rate, together, 10), 2_000)
        for size, rate, together in ((40, 0.1, 0.4), (200, 0.05, 0.3), (200, 0.02, 0.6))
    ],
    *[
        Study("Weights, rate", f"{n} images, rates {p} and {q}", AT_LEAST,
              partial(weighted_coverage, n, (p, q)), 2_000)
        for n, p, q in ((400, 0.2, 0.05), (2000, 0.1, 0.02))
    ],
    *[
        Study("A coin taken for a detector", case, AT_MOST,
              partial(answerable_share, n, 0.0, at, each), 1_000)
        for case, n, at, each in (
            ("30 + 30 images", (30, 30), 0.0, 1),
            ("1,000 + 1,000", (1_000, 1_000), 0.0, 1),
            ("5,000 + 50", (5_000, 50), 0.0, 1),
            ("1,000 + 1,000, flags 1 %", (1_000, 1_000), 2.33, 1),
            ("1,000 + 1,000, flags nothing", (1_000, 1_000), 9.0, 1),
            ("40 + 40 persons, 10 images each", (400, 400), 0.0, 10),
            ("12 + 12 persons, 10 images each", (120, 120), 0.0, 10),
        )
    ],
    *[
        Study("A threshold that fits nothing passes", case, AT_MOST,
              partial(answerable_share, n, 2.0, at, 1), 500)
        for case, n, at in (
            ("1,000 + 1,000, FPR and FNR 0 and 99.9 %", (1_000, 1_000), 5.1),
            ("10,000 + 10,000, 0 and 99 %", (10_000, 10_000), 4.33),
            ("1,000 + 1,000, 90 and 0 %", (1_000, 1_000), -1.28),
        )
    ],
    *[
        Study("A useful detector found to be one", case, (0.95, 1.0),
              partial(answerable_share, n, shift, at, each), 1_000)
        for case, n, shift, at, each in (
            ("AUC 0.80, balanced accuracy 0.73, 40 + 40 images", (40, 40), 1.2, 0.6, 1),
            ("AUC 0.66, balanced accuracy 0.61, 200 + 200", (200, 200), 0.57, 0.285, 1),
            ("AUC 0.98, FPR 0.1 %, FNR 54 %, 300 + 300", (300, 300), 3.0, 3.1, 1),
            ("AUC 0.92, FPR 0.1 %, FNR 86 %, 2,000 + 2,000", (2_000, 2_000), 2.0, 3.09, 1),
            ("AUC 0.92, FPR 0.1 %, FNR 86 %, 20,000 + 20,000", (20_000, 20_000), 2.0, 3.09, 1),
            ("AUC 0.86, 5,000 + 50 images", (5_000, 50), 1.5, 0.75, 1),
            ("AUC 0.86, 30 + 30 persons, 10 images each", (300, 300), 1.5, 0.75, 10),
        )
    ],
    *[
        Study("--max-fpr passed although a group exceeds it", case, AT_MOST,
              partial(limit_passed_share, np.array(n), np.array(p), limit), 4_000)
        for case, n, p, limit in (
            ("7 races at 3 %, one at 5.05 %", RACES, planted(7, 0.03, 0.0205, 2), 0.05),
            ("20,000 at 0.2 %, one of 60 at 5.05 %", [20_000, 60, 60], [0.002, 0.002, 0.0505], 0.05),
            ("3 of 400 at 1.01 %", [400] * 3, [0.0101] * 3, 0.01),
        )
    ],
    Study("--max-fpr passed although a group exceeds it", "300 and 30 persons, 10 images each, 2 and 10.1 %",
          AT_MOST, partial(limit_passed_by_units, (300, 30), np.array([0.02, 0.101]), 0.4, 10, 0.1), 1_000),
    *[
        Study("--max-fpr passed where kept", case, REPORT,
              partial(limit_passed_share, np.array(n), np.array(p), limit), 1_000)
        for case, n, p, limit in (
            ("7 races at 3 %, limit 5 %", RACES, [0.03] * 7, 0.05),
            ("7 races at 4 %, limit 5 %", RACES, [0.04] * 7, 0.05),
        )
    ],
    *[
        Study("The smallest gap that would show does show", case, (0.75, 1.0),
              partial(shown_share, np.array(n), p), 1_000)
        for case, n, p in (
            ("2 groups of 700, rate 0.04", [700, 700], 0.04),
            ("7 groups of 105 to 213, rate 0.05", [213, 148, 143, 140, 140, 111, 105], 0.05),
        )
    ],
    *[
        Study(what, f"{gaps} {'gap' if gaps == 1 else 'gaps'}, {case}", aim,
              partial(control_told, of, n, setting, gaps), sims)
        for what, aim, of, cases in (
            ("Any adjusted gap said to remain or to turn although 0", AT_MOST, "gap", (
                ("700 and 700, confounded", 6, (700, 700), (0.3, "smooth", 0.0), 200),
            )),
            ("Any column said to have a part in a gap although it has none", AT_MOST, "part", (
                ("150 and 150, 1.5 SD apart, 8 points", 6, (150, 150), (1.5, "none", 0.08), 200),
                ("400 and 400, 1.5 SD apart, 7 points", 6, (400, 400), (1.5, "none", 0.07), 200),
                ("2,000 and 700, 0.5 SD apart, 3 points", 6, (2000, 700), (0.5, "none", 0.03), 200),
            )),
            ("A column said to have a part in a gap where true", REPORT, "part", (
                ("400 and 400, two thirds of 18 points", 1, (400, 400), (0.8, "smooth", 0.06), 200),
                ("400 and 400, all of 12 points", 1, (400, 400), (0.8, "smooth", 0.0), 200),
                ("1,000 and 1,000, all of 12 points", 1, (1000, 1000), (0.8, "smooth", 0.0), 200),
            )),
        )
        for case, gaps, n, setting, sims in cases
    ],
]  # fmt: skip


SEEDED = [
    *enumerate(STUDIES),
    *enumerate(calibration_scores.STUDIES, 10_000),
    *enumerate(calibration_criteria.STUDIES, 20_000),
    *enumerate(calibration_audits.STUDIES, 30_000),
    *enumerate(calibration_trials.STUDIES, 40_000),
    *enumerate(calibration_maps.STUDIES, 50_000),
]
"""Every row with its seed."""


def main(scale: float = 1.0, only: str = "") -> int:
    """Print the table, or its rows named `only`; exit status 1 if a row misses its aim."""
    print("| what | case | simulations | aim | found |\n|---|---|---|---|---|")
    started, missed = time.perf_counter(), 0
    for seed, study in SEEDED:
        if only not in study.what:
            continue
        share = run(study, seed, scale)
        low, high = study.aim
        outside = not low <= share <= high
        missed += outside
        aim = "" if study.aim == REPORT else f"{100 * low:.0f}-{100 * high:.0f} %"
        mark = " (missed)" if outside else ""
        n = max(int(study.n * scale), 1)
        print(f"| {study.what} | {study.case} | {n:,} | {aim} | {100 * share:.1f} %{mark} |", flush=True)
    print(f"\n{len(SEEDED)} rows, {missed} outside their aim, {time.perf_counter() - started:.0f} s")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0, " ".join(sys.argv[2:])))
