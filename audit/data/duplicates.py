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
from numpy.typing import NDArray

from audit.data.counts import Floats, Ints
from audit.data.score_table import ScoreTable

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
    n, order = len(table), np.argsort(table.score)
    ordered = table.score[order]
    times = np.diff(np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1], True]))
    if n - len(times) <= LEAST * n:
        return 0
    rare = times <= max(FEW, COMMON * n)
    row, time_of = order[np.repeat(rare, times)], np.repeat(times[rare], times[rare])
    score = np.repeat(np.arange(int(rare.sum())), times[rare])
    side = table.fake[row].astype(np.int64)
    group = table.cell[row].astype(np.int64) * 2 + side
    among_all, among_groups = (_ties(score, one, time_of > 1) for one in (side, group))
    repeats, across = among_groups.rows, among_all.pairs - among_groups.pairs
    if repeats <= LEAST * n or 2 * rare.sum() < len(row) - repeats or not across:
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


def _ties(score: Ints, of_class: Ints, shared: NDArray[np.bool_]) -> _Ties:
    """Ties within classes.

    Args:
        score: int64 [n], a number for each score.
        of_class: int64 [n].
        shared: bool [n], whether another row has the score; only these are looked at.
    """
    both = score[shared] * (int(of_class.max(initial=0)) + 1) + of_class[shared]
    times = np.unique(both, return_counts=True)[1]
    return _Ties(len(both) - len(times), _pairs(times), _pairs(np.bincount(of_class)))


def _pairs(times: Ints) -> float:
    counts: Floats = times.astype(float)
    return float((counts * (counts - 1) / 2).sum())
