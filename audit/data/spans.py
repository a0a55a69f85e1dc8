"""Long columns in parts: sums and look-ups that never need a second column of the same length.

Enters: the number of rows, or arrays of them. Leaves: slices of at most `SPAN` rows, what is chosen or summed
over them, and `Taken`, some rows of a column that are looked up where they are asked for.

Why: numpy widens what it counts by and looks up with to 8 bytes an entry, so that one expression over 100
million rows takes a gigabyte. In parts it takes some megabytes and stays in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

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


@dataclass(frozen=True)
class Taken(Generic[T]):
    """`values[index]` that is looked up where it is asked for, and never held.

    Attributes:
        values: [m].
        index: int [n], 0 to m - 1.
    """

    values: NDArray[T]
    index: NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, at: int | slice | NDArray[np.integer]) -> Any:
        """One entry, or an array of some."""
        return self.values[self.index[at]]

    def searchsorted(self, wanted: Any) -> NDArray[np.integer]:
        """The first entry not below each of those wanted, as of an array; values and index must ascend."""
        row = np.asarray(self.values.searchsorted(wanted))
        return self.index.searchsorted(row.astype(self.index.dtype))


def rows_where(n: int, holds: Callable[[slice], NDArray[np.bool_]]) -> NDArray[np.signedinteger[Any]]:
    """int [k], those of n rows for which something holds, ascending.

    Args:
        n: Rows.
        holds: bool, of a part of the rows.
    """
    chosen = np.empty(n, dtype=bool)
    for part in spans(n):
        chosen[part] = holds(part)
    rows, low = np.empty(np.count_nonzero(chosen), dtype=row_dtype(n)), 0
    for part in spans(n):
        own = np.flatnonzero(chosen[part])
        rows[low : low + len(own)] = own + part.start
        low += len(own)
    return rows


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


def distinct(key: NDArray[np.integer]) -> tuple[NDArray[Any], NDArray[np.signedinteger[Any]]]:
    """`np.unique(key, return_inverse=True)`, which takes 40 bytes a row beside the result; this takes 12.

    Args:
        key: int [n].

    Returns:
        The m different keys, ascending, and int [n], the number of each row's key among them.
    """
    order = np.argsort(key).astype(row_dtype(len(key)))
    row, keys, n, last = np.empty_like(order), [key[:0]], 0, None
    for part in spans(len(key)):
        own = key[order[part]]
        new = np.concatenate([[last is None or own[0] != last], own[1:] != own[:-1]])
        row[order[part]] = np.cumsum(new) + (n - 1)
        keys.append(own[new])
        n, last = n + len(keys[-1]), own[-1]
    return np.concatenate(keys), row


def summed_by(
    row: NDArray[np.integer], n_rows: int, weight: Callable[[slice], NDArray[Any]]
) -> NDArray[np.float64]:
    """`np.bincount(row, weights, n_rows)` to the last bit, as each sum is added up in the order of the rows.

    Args:
        row: int [n], 0 to n_rows - 1.
        n_rows: m.
        weight: Weights of a part of the rows.

    Returns:
        float64 [m].
    """
    total = np.zeros(n_rows, dtype=np.float64)
    for part in spans(len(row)):
        np.add.at(total, row[part], weight(part))
    return total


def row_dtype(n: int) -> type[np.signedinteger[Any]]:
    """The smallest type that numbers n rows, twice over."""
    return np.int32 if n < 2**30 else np.int64
