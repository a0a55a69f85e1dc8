"""Judgement: disparity, within tolerance, or insufficient evidence. Three outcomes, never two.

Enters: for each attribute and each of FPR and FNR, the evidence on the groups large enough to count. Leaves:
`Verdict`s with p-values adjusted over all of them; `audit.wording` puts them into words.

The rules, delta being the tolerance:
    disparity: the max-|z| test rejects equality after Holm's adjustment, and a pair of groups that is
        proven unequal by its own images, over all pairs and questions (`audit.judge.worse_groups`), differs
        by more than delta in the sample.
    within tolerance: every simultaneous interval of a difference lies inside +-delta, and so do the one-sided
        limits that hold for all questions of the audit.
    insufficient evidence: neither.
With the criterion "ratio" all this is said of ratios of rates and the tolerated ratio. With "four-fifths",
which asks only about the FPR, a disparity is a ratio of the shares of reals that pass *proven* below 0.8.
So a disparity proves that groups are unequal and shows a difference beyond delta; that the true difference is
beyond delta too is proven only where its own interval is (`Verdict.beyond_tolerance_proven`).

What is kept at 1 - confidence over the whole audit: that any two groups are named that are equal in truth;
that any gap is called proven beyond delta that is not; that any attribute is called within tolerance that is
not.

Why "within tolerance" needs no more than alpha / (number of questions) one-sided for each pair: it is said
only if all pairs are inside, so it is wrong only if the pair that is truly outside was found inside (Berger
1982, Technometrics 24:295-300). With four groups or more the simultaneous intervals ask for more than that
anyway.

Why the rejected pair itself must differ by more than delta: with many groups the largest difference nearly
always belongs to two small ones. A rejection earned by a tiny difference between two huge groups must not
turn that noise into an accusation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audit.config import AuditConfig
from audit.data.counts import Ints, Numbers
from audit.inference.criteria import Criterion, criterion_of
from audit.inference.equality_test import EqualityTest, detectable_gap, holm, smoothed
from audit.inference.pairwise import shrunken_rates
from audit.inference.sample_size import images_if_as_seen, images_if_equal, within_critical
from audit.judge.worse_groups import GroupPairs, compare_all_pairs
from audit.metrics.disparity_intervals import Evidence
from audit.schema.nullable import Interval
from audit.schema.result import RateName, Verdict, VerdictWord


@dataclass(frozen=True)
class Question:
    """One attribute and one rate, before judgement.

    Attributes:
        attribute: "race", "gender:race", ...
        rate: "fpr" or "fnr".
        names: Names of the k groups large enough.
        errors: [k], rate times images.
        images: [k], independent images the rate is worth: int64 where each image is one.
        seen: int64 [k, 2], errors and images as counted, for the reader.
        n_small: Groups left out because they have fewer than `min_n` images.
        evidence: Of the k groups; None for fewer than two.
    """

    attribute: str
    rate: RateName
    names: list[str]
    errors: Numbers
    images: Numbers
    n_small: int
    evidence: Evidence | None
    seen: Ints | None = None

    def as_images(self, independent: int) -> int:
        """Images that are worth so many independent ones, if further images are like those there are."""
        if self.seen is None or not self.images.sum():
            return independent
        return math.ceil(independent * float(self.seen[:, 1].sum() / self.images.sum()))

    @property
    def test(self) -> EqualityTest | None:
        """The equality test of this rate."""
        if self.evidence is None:
            return None
        return self.evidence.fpr if self.rate == "fpr" else self.evidence.fnr


@dataclass(frozen=True)
class Decision:
    """A verdict's word and what it rests on, before anything is told about it.

    Attributes:
        word: The verdict.
        proven: (best, worst), the pair proven unequal that stands for all; None where none is.
        beyond: Whether that pair is proven to lie beyond what is tolerated.
        pairs: All pairs of groups.
        furthest: Limits of how far the two groups lie apart that lie furthest apart.
        adjusted: p-value of the equality of all groups, corrected for all questions.
        n_tests: Questions of the audit that could be asked.
    """

    word: VerdictWord
    proven: tuple[int, int] | None
    beyond: bool
    pairs: GroupPairs
    furthest: Interval
    adjusted: float
    n_tests: int


def judge(questions: Sequence[Question], config: AuditConfig) -> list[Verdict]:
    """Answer all questions together, as one family."""
    decided = decisions(questions, config)
    n_tests = sum(one is not None for one in decided)
    return [
        _unanswerable(question, n_tests + 1, config) if one is None else _answer(question, one, config)
        for question, one in zip(questions, decided, strict=True)
    ]


def decisions(questions: Sequence[Question], config: AuditConfig) -> list[Decision | None]:
    """What is decided of each question, all being one family; None where fewer than two groups take part."""
    p_values = [question.test.p_value if question.test else math.nan for question in questions]
    adjusted = holm(p_values)
    tested = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    counts = [(questions[i].errors, questions[i].images) for i in tested]
    pairs = compare_all_pairs(counts, [adjusted[i] for i in tested], config.alpha)
    found: list[Decision | None] = [None] * len(questions)
    for i, one in zip(tested, pairs, strict=True):
        found[i] = _decide(questions[i], one, adjusted[i], len(tested), config)
    return found


def _decide(
    question: Question, pairs: GroupPairs, adjusted: float, n_tests: int, config: AuditConfig
) -> Decision:
    assert question.evidence is not None
    criterion = criterion_of(config)
    z_within = within_critical(len(question.names), config.alpha, n_tests)
    furthest = _furthest(criterion, question.evidence, question.rate, z_within)
    proven = pairs.named(criterion)
    word = _word(pairs, proven, furthest, criterion)
    beyond = bool(proven and pairs.beyond(criterion)[proven[1], proven[0]])
    return Decision(word, proven, beyond, pairs, furthest, adjusted, n_tests)


def _answer(question: Question, decided: Decision, config: AuditConfig) -> Verdict:
    test, evidence = question.test, question.evidence
    assert test is not None and evidence is not None
    word, proven, pairs, n_tests = decided.word, decided.proven, decided.pairs, decided.n_tests
    criterion = criterion_of(config)
    gap = float(pairs.rates.max() - pairs.rates.min())
    z_within = within_critical(len(question.names), config.alpha, n_tests)
    limits = evidence.difference_at(question.rate, z_within)
    best, worst = _ends(pairs, proven if word == "disparity" else None)
    near = smoothed(test.pooled, float(question.images.sum()))
    worse = pairs.worse(proven[0], question.names) if proven else []
    reference = proven[0] if proven else int(pairs.rates.argmin())
    z = z_within if word == "within tolerance" else pairs.z
    corrected = min(gap, float(np.ptp(shrunken_rates(question.errors, question.images)[1])))
    return Verdict(
        attribute=question.attribute,
        rate=question.rate,
        verdict=word,
        p_value=test.p_value,
        adjusted_p_value=decided.adjusted,
        pair_p_value=pairs.p_value(proven[1], proven[0]) if proven else math.nan,
        gap=gap,
        gap_interval=limits,
        gap_corrected=corrected,
        beyond_tolerance_proven=word == "disparity" and decided.beyond,
        worst_group=None if worst is None else question.names[worst],
        best_group=None if best is None else question.names[best],
        min_detectable_gap=detectable_gap(near, question.images, test.critical(config.alpha / n_tests)),
        images_needed=(
            _needed(question, pairs, proven, n_tests, config) if word == "insufficient evidence" else None
        ),
        worse_groups=worse,
        compared_with=question.names[reference],
        differences=pairs.differences(reference, question.names, z),
        n_groups=len(question.names),
        n_small_groups=question.n_small,
        **_ratio(criterion, pairs, proven if word != "within tolerance" else None, decided.furthest, pairs.z),
    )


def _furthest(criterion: Criterion, evidence: Evidence, rate: RateName, z: float) -> Interval:
    """Limits of how far the two groups lie apart that lie furthest apart, whichever they are."""
    if criterion.name == "difference":
        return evidence.difference_at(rate, z)
    low, high = evidence.ratio_at("tnr" if criterion.name == "four-fifths" else rate, z)
    return 1 / high if high > 0 else math.inf, 1 / low if low > 0 else math.inf


def _word(
    pairs: GroupPairs, proven: tuple[int, int] | None, furthest: Interval, criterion: Criterion
) -> VerdictWord:
    if proven:
        best, worst = proven
        seen = criterion.apart(pairs.rates)[worst, best] > criterion.limit
        if criterion.name == "four-fifths":  # a rule with a number of its own: beyond it, or not proven to be
            seen = bool(pairs.beyond(criterion)[worst, best])
        if seen:
            return "disparity"
    return "within tolerance" if furthest[1] <= criterion.limit else "insufficient evidence"


def _ratio(
    criterion: Criterion, pairs: GroupPairs, ends: tuple[int, int] | None, furthest: Interval, z: float
) -> dict[str, Any]:
    """What a criterion of ratios rests on: of the pair that is named, else of the two furthest apart.

    For four-fifths the ratio is that of the lower to the higher share that passes, as the rule has it.
    """
    if criterion.name == "difference":
        return {}
    best, worst = ends or (int(pairs.rates.argmin()), int(pairs.rates.argmax()))
    value, limits = float(criterion.apart(pairs.rates)[worst, best]), furthest
    if ends:
        sides = [(float(pairs.rates[g]), float(pairs.images[g])) for g in (worst, best)]
        limits = criterion.limits(sides[0], sides[1], z)
    if criterion.name == "four-fifths":
        value, limits = 1 / value, (1 / limits[1], 1 / limits[0] if limits[0] > 0 else math.inf)
    return {"ratio": value, "ratio_interval": limits}


def _ends(pairs: GroupPairs, proven: tuple[int, int] | None) -> tuple[int, int] | tuple[None, None]:
    """(best, worst) to name: the pair proven, else the lowest and the highest rate, if they differ."""
    if proven:
        return proven
    best, worst = int(pairs.rates.argmin()), int(pairs.rates.argmax())
    return (best, worst) if pairs.rates[best] < pairs.rates[worst] else (None, None)


def _needed(
    question: Question, pairs: GroupPairs, proven: tuple[int, int] | None, n_tests: int, config: AuditConfig
) -> int | None:
    """Images in each group that would most likely settle it; None where that cannot be said."""
    total, criterion = len(question.names) + question.n_small, criterion_of(config)
    if proven:
        ends = (int(pairs.rates.argmin()), int(pairs.rates.argmax()))
        low, high = (smoothed(float(pairs.rates[g]), float(pairs.images[g])) for g in ends)
        tolerated = criterion.planned_as((low + high) / 2)
        needed = images_if_as_seen((low, high), total, tolerated, config.alpha, n_tests)
    else:
        rate = smoothed(float(question.errors.sum() / pairs.images.sum()), float(pairs.images.sum()))
        needed = images_if_equal(rate, total, criterion.planned_as(rate), config.alpha, n_tests)
    enough = question.n_small == 0 and needed is not None and pairs.images.min() >= needed
    return None if enough or needed is None else question.as_images(needed)


def _unanswerable(question: Question, n_tests: int, config: AuditConfig) -> Verdict:
    """Fewer than two groups are large enough: nothing can be compared."""
    known = int(question.images.sum())
    rate = smoothed(float(question.errors.sum()) / known if known else 0.5, known)
    total, tolerated = len(question.names) + question.n_small, criterion_of(config).planned_as(rate)
    needed = images_if_equal(rate, total, tolerated, config.alpha, n_tests) if total > 1 else None
    return Verdict(
        attribute=question.attribute,
        rate=question.rate,
        verdict="insufficient evidence",
        p_value=math.nan,
        adjusted_p_value=math.nan,
        gap=math.nan,
        gap_interval=None,
        worst_group=None,
        best_group=None,
        min_detectable_gap=math.nan,
        images_needed=None if needed is None else question.as_images(needed),
        n_groups=len(question.names),
        n_small_groups=question.n_small,
    )
