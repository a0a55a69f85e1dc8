"""Rows that repeat another: the same score, label and groups, more often than chance makes them.

Enters: a `ScoreTable`. Leaves: their number, or 0 where chance may have made them.

Why it matters: every interval and test here takes images (or pairs) for independent. Frames of one video, or
one image eight times, are not, and eight copies of 600 rows turn "cannot tell" into "disparity".

Why ties across groups are the yardstick: scores rounded to two digits tie everywhere, copies tie only with
themselves, in their own group. Two different images of one group tie about as often as two of different
groups do. A score that a large share of all images has (0, 1, a decision in place of a score) says nothing,
and where few values are shared by many groups, nothing can be said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.counts import Floats, Ints
from audit.scores import ScoreTable

LEAST = 0.01
"""Share of the rows that must repeat another."""

CLEAR = 10.0
"""Tied pairs of rows within groups, over those that chance would make, from which on they are copies."""

COMMON = 0.02
"""Scores that a larger share of the rows have are left aside."""

FEW = 20
"""Scores that at most this many rows have are never left aside."""

NONE_SEEN = 3.0
"""Ties that chance may well have made where none is seen (95 %, Poisson)."""


def repeated_rows(table: ScoreTable) -> int:
    """How many rows repeat another one, if more do than chance explains; else 0. O(N log N)."""
    n = len(table)
    if n - np.count_nonzero(np.diff(np.sort(table.score))) - 1 <= LEAST * n:
        return 0
    _, position, times = np.unique(table.score, return_inverse=True, return_counts=True)
    rare = times[position] <= max(FEW, COMMON * n)
    if not rare.any():
        return 0
    score, side = position[rare], table.fake[rare].astype(np.int64)
    group = table.cell[rare].astype(np.int64) * 2 + side
    among_all, among_groups = _ties(score, side), _ties(score, group)
    repeats, n_scores = among_groups.rows, len(np.unique(score))
    if repeats <= LEAST * n or 2 * n_scores < rare.sum() - repeats:
        return 0
    across = among_all.pairs - among_groups.pairs
    if not across:
        return 0
    chance = (among_all.tied - among_groups.tied + NONE_SEEN) / across * among_groups.pairs
    return repeats if among_groups.tied > CLEAR * chance else 0


def repeats_sentences(table: ScoreTable) -> list[str]:
    """What the reader must know about copies: none or one sentence."""
    n = repeated_rows(table)
    if not n:
        return []
    return [
        f"{n:,} of {len(table):,} rows repeat another in score, label and groups, far more than chance "
        "makes. Copies of one image and frames of one video count as independent here, which makes intervals "
        "too narrow and verdicts too sure: give each image once, or name what they share with --unit-column."
    ]


@dataclass(frozen=True)
class _Ties:
    """Ties among rows of the same class.

    Attributes:
        rows: Rows that repeat another.
        tied: Pairs of rows with the same score.
        pairs: Pairs of rows.
    """

    rows: int
    tied: float
    pairs: float


def _ties(score: Ints, of_class: Ints) -> _Ties:
    of_both = np.unique(score * (of_class.max() + 1) + of_class, return_counts=True)[1]
    of_one = np.bincount(of_class)
    return _Ties(len(score) - len(of_both), _pairs(of_both), _pairs(of_one))


def _pairs(times: Ints) -> float:
    counts: Floats = times.astype(float)
    return float((counts * (counts - 1) / 2).sum())
