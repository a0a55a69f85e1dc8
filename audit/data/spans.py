"""Long columns in parts: sums and look-ups that never need a second column of the same length.

Enters: the number of rows, or arrays of them. Leaves: slices of at most `SPAN` rows, and sums over them.

Why: numpy widens what it counts by and looks up with to 8 bytes an entry, so that one expression over 100
million rows takes a gigabyte. In parts it takes some megabytes and stays in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)

SPAN = 1 << 19
"""Rows of one part."""


def spans(n: int) -> Iterator[slice]:
    """Slices that cover 0 to n - 1, in order.

    >>> [(part.start, part.stop) for part in spans(3)]
    [(0, 3)]
    """
    return (slice(low, min(low + SPAN, n)) for low in range(0, n, SPAN))


def gathered(values: NDArray[T], index: NDArray[np.integer]) -> NDArray[T]:
    """`values[index]`.

    Args:
        values: [m].
        index: int [n], 0 to m - 1.
    """
    out = np.empty(len(index), dtype=values.dtype)
    for part in spans(len(index)):
        out[part] = values[index[part]]
    return out


def tallied(
    n: int,
    n_codes: int,
    code: Callable[[slice], NDArray[np.integer]],
    weight: Callable[[slice], NDArray[Any]] | None = None,
) -> NDArray[Any]:
    """How often each code occurs, or the sum of its weights.

    Args:
        n: Rows.
        n_codes: k; codes are 0 to k - 1.
        code: The codes of a part of the rows.
        weight: Their weights.

    Returns:
        int64 [k], or float64 [k] with weights.
    """
    total = np.zeros(n_codes, dtype=np.int64 if weight is None else np.float64)
    for part in spans(n):
        weights = None if weight is None else weight(part)
        total += np.bincount(code(part), weights=weights, minlength=n_codes)
    return total


def row_dtype(n: int) -> type[np.signedinteger[Any]]:
    """The smallest type that numbers n rows, twice over."""
    return np.int32 if n < 2**30 else np.int64
