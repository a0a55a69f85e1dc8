"""How many permutations or bootstrap replicates a family of tests needs before it can reject anything.

Enters: the size of a family and its level. Leaves: a number of replicates.

Why: a p-value counted among B replicates cannot be smaller than about 1 / B, and Holm multiplies the smallest
by the size of the family. Where that product exceeds alpha, no gap however large is ever found: 100
permutations and 14 comparisons call a gap of 17 points unsettled.
"""

from __future__ import annotations

import math

SMALLEST_PERMUTED = 0.5
"""Replicates + 1 times the smallest p-value of `audit.equality` (mid-p, one-sided in max |z|)."""

SMALLEST_BOOTSTRAPPED = 2.0
"""The same of `audit.paired.gap_difference` (two-sided)."""

ROOM = 5
"""Times the least number of replicates: with the least one, a single chance replicate would decide."""


def can_reject(replicates: int, n_tests: int, alpha: float, smallest: float) -> bool:
    """Whether the smallest p-value of so many replicates, times the size of the family, is at most alpha.

    >>> can_reject(100, 14, 0.05, SMALLEST_PERMUTED)
    False
    """
    return smallest * n_tests <= alpha * (replicates + 1)


def enough_replicates(n_tests: int, alpha: float, smallest: float) -> int:
    """Replicates with which a family can reject, and not by a single chance replicate.

    Args:
        n_tests: Size of the family that is adjusted together.
        alpha: 1 - confidence.
        smallest: Smallest p-value, in units of 1 / (replicates + 1).

    >>> enough_replicates(14, 0.05, SMALLEST_PERMUTED)
    700
    """
    return 100 * math.ceil(round(ROOM * smallest * n_tests / alpha / 100, 6))


def raised_note(asked: int, drawn: int, n_tests: int) -> str:
    """Say that more permutations were drawn than asked for, and why."""
    return (
        f"{asked:,} permutations are too few for {n_tests} comparisons: even the largest gap would have "
        f"stayed unsettled. {drawn:,} were drawn instead."
    )
