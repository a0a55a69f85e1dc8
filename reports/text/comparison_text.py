"""A comparison of detectors in words, never stronger than its tests.

Enters: a `Comparison`. Leaves: a headline, and one sentence a pair of detectors and question.

Why "better" and "fairer" are two questions: a detector that errs less can still err more unequally, and the
reader must decide what weighs more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from audit.schema.comparison import AucDifference, Comparison, ErrorDifference, GapChange
from audit.schema.result import OVERALL
from audit.wording.numbers import (
    count,
    listing,
    number,
    number_interval,
    p_equals,
    percent,
    point_interval,
    points,
)
from audit.wording.verdict_text import by

BETTER, OPEN = "difference", "inconclusive"


@dataclass(frozen=True)
class Told:
    """One question put to the data, and its answer."""

    question: str
    word: str
    """BETTER or OPEN."""
    winner: str | None
    sentence: str


def proven(difference: AucDifference | ErrorDifference | GapChange, record: Comparison) -> bool:
    """Whether the difference survives the correction for all tests of its family."""
    return difference.adjusted_p_value <= 1 - record.confidence


def tell_auc(d: AucDifference, record: Comparison) -> Told:
    """Which of the two separates real from fake better, over all images."""
    values = [f"AUC {number(d.auc_first)}", f"AUC {number(d.auc_second)}"]
    apart = f"difference {number(d.difference)} ({number_interval(d.interval)})"
    question = f"Which separates {record.words.negative_word} from {record.words.positive_word} better?"
    if d.interval is None:
        few = f"{count(d.n_real)} {record.words.negatives} and {count(d.n_fake)} {record.words.positives}"
        return Told(question, OPEN, None, f"Too few to compare: {few} in common.")
    return _told(question, d, record, values, apart, first_wins=d.difference > 0)


def tell_error(d: ErrorDifference, record: Comparison) -> Told:
    """Which of the two errs less in one way, over all images."""
    what = record.words.rate_name(d.rate).lower()
    first, second = d.both_wrong + d.only_first_wrong, d.both_wrong + d.only_second_wrong
    question = f"Which has fewer {what}?"
    if not d.n:
        return Told(question, OPEN, None, f"Nothing can be compared: no {record.words.of_rate(d.rate)}.")
    if d.interval is None:
        few = f"Too few to compare: {count(d.n)} {record.words.of_rate(d.rate)} in common."
        return Told(question, OPEN, None, few)
    values = [percent(first / d.n), percent(second / d.n)]
    apart = f"difference {points(d.difference)} ({point_interval(d.interval)})"
    return _told(question, d, record, values, apart, first_wins=d.difference < 0)


def tell_gap(d: GapChange, record: Comparison) -> Told:
    """Which of the two treats the groups of an attribute more alike."""
    question = f"{record.words.rate_name(d.rate)}: which has the smaller gap {by(d.attribute)}?"
    if d.reason:
        return Told(question, OPEN, None, f"Nothing can be compared: {d.reason}.")
    values = [points(d.gap_first), points(d.gap_second)]
    apart = f"difference {points(d.difference)} ({point_interval(d.interval)})"
    return _told(question, d, record, values, apart, first_wins=d.difference < 0)


def _told(
    question: str,
    d: AucDifference | ErrorDifference | GapChange,
    record: Comparison,
    values: list[str],
    apart: str,
    first_wins: bool,
) -> Told:
    """The answer with both values, the winner's first; the difference stays the first detector's minus the
    second's.
    """
    chance = f"{apart}, {p_equals(d.adjusted_p_value)}"
    if not proven(d, record):
        both = f"{values[0]} for {d.first}, {values[1]} for {d.second}"
        return Told(question, OPEN, None, f"{both}; {chance}.")
    ends = [(d.first, values[0]), (d.second, values[1])]
    (winner, best), (other, worse) = ends if first_wins else ends[::-1]
    return Told(question, BETTER, winner, f"{winner} has {best}, {other} {worse}; {chance}.")


def told(record: Comparison) -> list[tuple[str, list[Told]]]:
    """For each pair of detectors: better at all, fewer errors, smaller gaps by each single attribute."""
    pairs = dict.fromkeys((d.first, d.second) for d in record.auc)
    answers = []
    for first, second in pairs:
        auc = [d for d in record.auc if (d.first, d.second) == (first, second) and d.attribute == OVERALL]
        errors = [
            d for d in record.errors if (d.first, d.second) == (first, second) and d.attribute == OVERALL
        ]
        gaps = [d for d in record.gaps if (d.first, d.second) == (first, second) and ":" not in d.attribute]
        rows = [*(tell_auc(d, record) for d in auc), *(tell_error(d, record) for d in errors)]
        answers.append((f"{first} and {second}", [*rows, *(tell_gap(d, record) for d in gaps)]))
    return answers


def nothing_tested(record: Comparison) -> bool:
    """Whether the runs share too few images for a single test."""
    return all(math.isnan(d.p_value) for d in [*record.auc, *record.errors, *record.gaps])


def headline(record: Comparison) -> str:
    """Which is better and which is fairer, for two detectors; a count of proven differences for more."""
    if nothing_tested(record):
        every = [count(record.n_images + record.n_left_out.get(run.name, 0)) for run in record.runs]
        shared = f"{count(record.n_images)} {record.words.items}"
        return f"Only {shared} in common (of {listing(every)}): too few to compare."
    gaps = [d for d in record.gaps if ":" not in d.attribute and proven(d, record)]
    overall = [d for d in record.auc if d.attribute == OVERALL and proven(d, record)]
    if len(record.runs) > 2:
        errors = [d for d in record.errors if d.attribute == OVERALL and proven(d, record)]
        n = len(gaps) + len(overall) + len(errors)
        return (
            f"{n} differences between {len(record.runs)} {record.words.system}s are proven."
            if n
            else "Inconclusive: no difference is proven."
        )
    words = record.words
    better = [winner for d in overall if (winner := tell_auc(d, record).winner)]
    fairer = list(dict.fromkeys(winner for d in gaps if (winner := tell_gap(d, record).winner)))
    first = (
        f"{better[0]} separates {words.negative_word} from {words.positive_word} better"
        if better
        else "Neither is proven to be better"
    )
    if not fairer:
        return (
            f"{first}; neither is proven to be fairer."
            if better
            else "Neither is proven to be better or fairer."
        )
    if fairer == better:
        return f"{first} and is fairer {listing(_where(record, better[0]))}."
    where = [f"{w} is fairer {listing(_where(record, w))}" for w in fairer]
    return f"{first}; {listing(where)}."


def corrected(record: Comparison) -> str:
    """What the answers on the first screen are corrected for; nothing where there was no test."""
    if nothing_tested(record):
        return ""
    sizes = {family.name: family.n_tests for family in record.families}
    if "headline" not in sizes:
        return (
            f"Answers are corrected for all {count(record.n_tests)} tests of this comparison (Holm’s method)"
        )
    return (
        "Answers on AUC, error rates and gaps by single attributes are corrected together "
        f"({count(sizes['headline'])} tests, Holm’s method)"
    )


def families(record: Comparison) -> list[str]:
    """Which tests were corrected together, a sentence a family."""
    if nothing_tested(record):
        return ["Nothing was tested: the runs share too few images."]
    task = record.words
    if not record.families:
        return [f"{count(record.n_tests)} tests were made and corrected together."]
    sizes = {family.name: count(family.n_tests) for family in record.families}
    told = {
        "headline": "{} tests answer the headline questions and were corrected together: AUC and both "
        f"error rates on all {task.items}, and the gaps by single attributes, for every pair of "
        f"{task.system}s. The "
        "chance that any of them names a winner where the two are equal is at most {}.",
        "intersections": "{} tests compare gaps by intersections. They are exploratory: corrected among "
        f"themselves. Confirm them on new {task.items} before relying on them.",
        "groups": "{} tests look at single groups; they are exploratory in the same way.",
    }
    level = percent(1 - record.confidence, 0)
    return [told[name].format(size, level) for name, size in sizes.items() if size != "0"]


def _where(record: Comparison, winner: str) -> list[str]:
    won = [d for d in record.gaps if ":" not in d.attribute and tell_gap(d, record).winner == winner]
    return list(dict.fromkeys(f"{by(d.attribute)}" for d in won))
