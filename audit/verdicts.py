"""Judgement: disparity, within tolerance, or insufficient evidence. Three outcomes, never two.

Enters: for each attribute and each of FPR and FNR, the evidence on the groups large enough to count. Leaves:
`Verdict`s with p-values adjusted over all of them, and a sentence in plain words.

The rules, delta being the tolerance:
    disparity: the max-|z| test rejects equality after Holm's adjustment, and a pair of groups whose own
        difference is rejected at that level differs by more than delta in the sample.
    within tolerance: every simultaneous interval of a difference lies inside +-delta.
    insufficient evidence: neither.

Why the rejected pair itself must differ by more than delta: with many groups the largest difference nearly
always belongs to two small ones. A rejection earned by a tiny difference between two huge groups must not
turn that noise into an accusation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.bounds import Evidence
from audit.config import AuditConfig
from audit.counts import Ints
from audit.equality import EqualityTest, detectable_gap, holm, images_for_gap, range_critical, smoothed
from audit.explain import CLASS, Findings, Seen, explain
from audit.result import RateName, Verdict, VerdictWord


@dataclass(frozen=True)
class Question:
    """One attribute and one rate, before judgement.

    Attributes:
        attribute: "race", "gender:race", ...
        rate: "fpr" or "fnr".
        names: Names of the k groups large enough.
        errors: int64 [k].
        images: int64 [k].
        n_small: Groups left out because they have fewer than `min_n` images.
        evidence: Of the k groups; None for fewer than two.
    """

    attribute: str
    rate: RateName
    names: list[str]
    errors: Ints
    images: Ints
    n_small: int
    evidence: Evidence | None

    @property
    def test(self) -> EqualityTest | None:
        """The equality test of this rate."""
        if self.evidence is None:
            return None
        return self.evidence.fpr if self.rate == "fpr" else self.evidence.fnr


def judge(questions: Sequence[Question], config: AuditConfig) -> list[Verdict]:
    """Answer all questions together, as one family."""
    p_values = [question.test.p_value if question.test else math.nan for question in questions]
    adjusted = holm(p_values)
    n_tests = sum(not math.isnan(p) for p in p_values)
    return [
        _answer(question, p, holm_p, max(n_tests, 1), config)
        for question, p, holm_p in zip(questions, p_values, adjusted, strict=True)
    ]


def _answer(question: Question, p: float, adjusted: float, n_tests: int, config: AuditConfig) -> Verdict:
    if question.evidence is None:
        return _unanswerable(question, n_tests, config)
    test, rates = question.test, question.errors / question.images
    assert test is not None
    gap = float(rates.max() - rates.min())
    low, high = question.evidence.difference(question.rate, config.alpha)
    proven = _proven_pair(test, rates, adjusted / p, config)
    word = _word(proven is not None, adjusted, high, config)
    best, worst = (proven or (int(rates.argmin()), int(rates.argmax()))) if gap > 0 else (None, None)
    critical = test.critical(config.alpha / n_tests)
    near = smoothed(test.pooled, float(question.images.sum()))
    needed = images_for_gap(near, config.tolerance, critical) if word == "insufficient evidence" else None
    detectable = detectable_gap(near, question.images, critical)
    findings = Findings(
        rate=question.rate,
        word=word,
        best=_seen(question, best),
        worst=_seen(question, worst),
        limits=(low, high),
        highest_ratio=question.evidence.ratio(question.rate, config.alpha)[1] if gap > 0 else 1.0,
        differs=adjusted <= config.alpha,
        detectable=detectable,
        needed=needed,
        n_small=question.n_small,
    )
    return Verdict(
        attribute=question.attribute,
        rate=question.rate,
        verdict=word,
        p_value=p,
        adjusted_p_value=adjusted,
        gap=gap,
        gap_interval=(low, high),
        worst_group=None if worst is None else question.names[worst],
        best_group=None if best is None else question.names[best],
        min_detectable_gap=detectable,
        images_needed=needed,
        n_groups=len(question.names),
        n_small_groups=question.n_small,
        explanation=explain(findings, config),
    )


def _seen(question: Question, group: int | None) -> Seen | None:
    if group is None:
        return None
    return Seen(question.names[group], int(question.errors[group]), int(question.images[group]))


def _word(proven: bool, adjusted: float, high: float, config: AuditConfig) -> VerdictWord:
    if proven and adjusted <= config.alpha:
        return "disparity"
    return "within tolerance" if high <= config.tolerance else "insufficient evidence"


def _proven_pair(
    test: EqualityTest, rates: np.ndarray, factor: float, config: AuditConfig
) -> tuple[int, int] | None:
    """(best, worst) of the pair furthest apart among those rejected, if it is beyond delta."""
    apart = rates[:, None] - rates[None, :]
    apart[test.p_of(np.abs(test.z)) * factor > config.alpha] = 0.0
    worst, best = np.unravel_index(int(apart.argmax()), apart.shape)
    return (int(best), int(worst)) if apart[worst, best] > config.tolerance else None


def _unanswerable(question: Question, n_tests: int, config: AuditConfig) -> Verdict:
    """Fewer than two groups are large enough: nothing can be compared."""
    known = int(question.images.sum())
    rate = smoothed(float(question.errors.sum()) / known if known else 0.5, known)
    total = len(question.names) + question.n_small
    critical = range_critical(max(total, 2), config.alpha / n_tests)
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
        images_needed=images_for_gap(rate, config.tolerance, critical) if total > 1 else None,
        n_groups=len(question.names),
        n_small_groups=question.n_small,
        explanation=(
            f"Nothing can be said about {question.attribute}: {len(question.names)} of {total} groups have "
            f"at least {config.min_n} {CLASS[question.rate]} images, and a comparison needs two."
        ),
    )
