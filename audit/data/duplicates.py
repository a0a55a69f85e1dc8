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

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.data.counts import Floats, Ints
from audit.data.score_table import ScoreTable
from audit.data.spans import SPAN, row_dtype

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
    table = table.by_score()
    n = len(table)
    new = np.ones(n + 1, dtype=bool)
    np.not_equal(table.score[1:], table.score[:-1], out=new[1:-1])
    if n - (np.count_nonzero(new) - 1) <= LEAST * n:
        return 0
    start = np.flatnonzero(new).astype(row_dtype(n))
    times = np.diff(start)
    looked_at = times <= max(FEW, COMMON * n)
    n_classes = 2 * len(table.cells)
    among_all, among_groups, n_rows = _Ties(), _Ties(), 0
    class_sizes = np.zeros(n_classes, dtype=np.int64)
    for first, last in _parts(start):
        rare = np.repeat(looked_at[first:last], times[first:last])
        shared = np.repeat(times[first:last] > 1, times[first:last])[rare]
        rows = np.arange(start[first], start[last])[rare]
        of_class = table.cell[rows].astype(np.int64) * 2 + table.fake[rows]
        class_sizes += np.bincount(of_class, minlength=n_classes)
        score = np.repeat(np.arange(first, last), times[first:last])[rare][shared]
        among_all += _ties(score, of_class[shared] % 2, 2)
        among_groups += _ties(score, of_class[shared], n_classes)
        n_rows += len(rows)
    by_side = class_sizes.reshape(-1, 2).sum(axis=0)
    repeats, within = among_groups.rows, _pairs(class_sizes)
    across = _pairs(by_side) - within
    if repeats <= LEAST * n or 2 * np.count_nonzero(looked_at) < n_rows - repeats or not across:
        return 0
    chance = (among_all.tied - among_groups.tied + NONE_SEEN) / across * within
    return repeats if among_groups.tied > CLEAR * chance else 0


def _parts(start: NDArray[np.integer]) -> Iterator[tuple[int, int]]:
    """Scores from first to last - 1, of about SPAN rows; a score is never torn apart."""
    first, n = 0, len(start) - 1
    while first < n:
        last = max(int(np.searchsorted(start, start[first] + SPAN, side="right")) - 1, first + 1)
        yield first, min(last, n)
        first = last


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
    """

    rows: int = 0
    tied: float = 0.0

    def __add__(self, other: _Ties) -> _Ties:
        return _Ties(self.rows + other.rows, self.tied + other.tied)


def _ties(score: Ints, of_class: Ints, n_classes: int) -> _Ties:
    """Ties within classes, of rows whose score another row has.

    Args:
        score: int64 [n], a number for each score.
        of_class: int64 [n].
        n_classes: k.
    """
    times = np.unique(score * n_classes + of_class, return_counts=True)[1]
    return _Ties(len(score) - len(times), _pairs(times))


def _pairs(times: Ints) -> float:
    counts: Floats = times.astype(float)
    return float((counts * (counts - 1) / 2).sum())
