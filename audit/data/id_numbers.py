"""Names of images and pairs as numbers: equal numbers where names are equal, and nowhere else.

Enters: a column of names, batch by batch. Leaves: a number below the count of different names for every row.

Why: 100 million names are some gigabytes of text, and a table of those that were seen is as much again.
Twelve bytes a name say nearly the same.

How sure: a name is hashed to 96 bits by three multilinear functions with random coefficients, each of which
takes two different names for equal with probability 2^-32 exactly, whatever the names are (Lemire & Kaser,
theorem 3.1). Among 100 million names any two are taken for equal with a probability of at most 10^16 / 2 x
2^-96 = 6e-14, and nobody can choose names for which it is more: the coefficients are drawn anew in each
process. What leaves this module does not depend on them, but for the order of the numbers; nothing that is
written depends on that.

Source: Lemire & Kaser 2014, "Strongly universal string hashing is fast", The Computer Journal 57:1624-1638.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from audit.data.spans import row_dtype, rows_where

LONGEST = 1024
"""Bytes of a name beyond which its digest stands for it."""
BUCKETS = 32
"""Parts into which names are dealt by their hashes, so that one at a time is sorted."""

Words = NDArray[np.uint64]


class NameHash:
    """Three random functions of a name.

    Attributes:
        coefficients: uint64 [3, 1 + LONGEST / 4 + 1].
    """

    def __init__(self) -> None:
        n = 2 + LONGEST // 4
        self.coefficients = np.frombuffer(secrets.token_bytes(3 * 8 * n), dtype=np.uint64).reshape(3, n)

    def of(self, names: pa.Array) -> tuple[Words, NDArray[np.uint32]]:
        """64 and 32 bits for every name; what they are for a missing one means nothing.

        Args:
            names: [n], text or whole numbers.
        """
        if pa.types.is_integer(names.type):
            whole = pc.fill_null(names, 0).to_numpy(zero_copy_only=False)
            values = whole.astype(np.int64).view(np.uint64)
            words = [values & np.uint64(0xFFFFFFFF), values >> np.uint64(32)]
            return self._combined(words, np.full(len(values), 8, dtype=np.uint64))
        texts = names.cast(pa.large_string())
        length = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
        return self._combined(_words(_short(texts, length)), length.astype(np.uint64))

    def _combined(self, words: Iterable[Words], length: Words) -> tuple[Words, NDArray[np.uint32]]:
        """m0 + m1 length + sum of m word, the upper half of each of the three."""
        sums = [row[0] + row[1] * length for row in self.coefficients]
        for number, word in enumerate(words, start=2):
            for one, row in zip(sums, self.coefficients, strict=True):
                one += row[number] * word
        first, second, third = (one >> np.uint64(32) for one in sums)
        return (first << np.uint64(32)) | second, third.astype(np.uint32)


def _short(names: pa.Array, length: NDArray[np.integer]) -> pa.Array:
    """Names, with its digest in the place of each that is longer than LONGEST."""
    long = np.flatnonzero(length > LONGEST)
    if not len(long):
        return names
    texts = names.to_pylist()
    for row in long.tolist():
        texts[row] = hashlib.sha512(texts[row].encode()).hexdigest()
    return pa.array(texts, type=pa.large_string())


def _words(names: pa.Array) -> list[Words]:
    """The bytes of each name as numbers of four bytes, zeros behind the last."""
    n = len(names)
    _, offset_buffer, data = names.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)[names.offset : names.offset + n + 1]
    length = np.diff(offsets)
    text = np.zeros(int(offsets[-1] - offsets[0]) + 8, dtype=np.uint8)
    if data is not None:
        text[:-8] = np.frombuffer(data, dtype=np.uint8)[offsets[0] : offsets[-1]]
    fours: NDArray[np.uint32] = np.ndarray((len(text) - 3,), dtype="<u4", buffer=text, strides=(1,))
    words = []
    for at in range(0, int(length.max(initial=0)), 4):
        left = np.clip(length - at, 0, 4).astype(np.uint64)
        place = np.minimum(offsets[:-1] - offsets[0] + at, len(fours) - 1)
        mask = (np.uint64(1) << (np.uint64(8) * left)) - np.uint64(1)
        words.append(fours[place].astype(np.uint64) & mask)
    return words


def numbered(batches: Iterable[pa.Array], n_rows: int) -> tuple[NDArray[np.signedinteger], int]:
    """A number for every row: -1 without a name, else one below the count of names, equal for equal names.

    Args:
        batches: The names, [n_rows] together.
        n_rows: N.

    Returns:
        int [N], and the count of different names.
    """
    function, low = NameHash(), 0
    first, second = np.empty(n_rows, dtype=np.uint64), np.empty(n_rows, dtype=np.uint32)
    known = np.ones(n_rows, dtype=bool)
    for batch in batches:
        part = slice(low, low + len(batch))
        first[part], second[part] = function.of(batch)
        if batch.null_count:
            known[part] = pc.is_valid(batch).to_numpy(zero_copy_only=False)
        low += len(batch)
    numbers = np.full(n_rows, -1, dtype=row_dtype(n_rows))
    n_names = 0
    for bucket in range(BUCKETS if n_rows > BUCKETS * 1000 else 1):
        rows = _in_bucket(first, known, bucket, n_rows > BUCKETS * 1000)
        ranked, new = _ranked(first[rows], second[rows])
        numbers[rows[ranked]] = n_names + np.cumsum(new) - 1
        n_names += int(np.count_nonzero(new))
    return numbers, n_names


def _in_bucket(first: Words, known: NDArray[np.bool_], bucket: int, many: bool) -> NDArray[np.integer]:
    """Rows with a name whose hash lies in one part of all hashes."""
    if not many:
        return np.flatnonzero(known)
    shift = np.uint64(64 - (BUCKETS - 1).bit_length())
    return rows_where(len(first), lambda part: (first[part] >> shift == bucket) & known[part])


def _ranked(first: Words, second: NDArray[np.uint32]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """An order in which equal hashes stand together, and whether each differs from the one before."""
    order = np.argsort(first)
    new = _differs(first[order])
    other = _differs(second[order])
    if (other & ~new).any():  # names that agree in 64 bits and not in all
        order = np.lexsort((second, first))
        new, other = _differs(first[order]), _differs(second[order])
    return order, new | other


def _differs(values: NDArray[np.unsignedinteger]) -> NDArray[np.bool_]:
    found = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=found[1:])
    return found
