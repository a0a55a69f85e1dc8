"""Names as numbers: hashes by the formula they are said to have, and the numbers of equal names."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from audit.data import id_numbers
from audit.data.id_numbers import LONGEST, NameHash, numbered

NAMES = [
    "",
    "a",
    "abc",
    "abcd",
    "abcde",
    "p000001",
    "größer",
    "x" * 37,
    "y" * LONGEST,
    "z" * (LONGEST + 1),
    "\0",
]


def by_definition(function, words, length):
    """Lemire & Kaser's multilinear hash in whole numbers: m0 + m1 length + sum of m word, upper half."""
    halves = []
    for row in function.coefficients.tolist():
        total = row[0] + row[1] * length + sum(m * word for m, word in zip(row[2:], words, strict=False))
        halves.append((total % 2**64) >> 32)
    return (halves[0] << 32) | halves[1], halves[2]


def fours(data):
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@pytest.mark.parametrize("cut", [0, 2])
def test_the_hash_of_a_name_is_the_sum_of_its_words(cut, kind):
    """Also of a slice of a longer array."""
    function = NameHash()
    names = pa.array(["cut", "off", *NAMES, "more", "of it"], type=kind)
    first, second = function.of(names[2 - cut : 2 + len(NAMES)])
    for name, *found in zip(
        (["cut", "off"] if cut else []) + NAMES, first.tolist(), second.tolist(), strict=True
    ):
        data = name.encode()
        text = hashlib.sha512(data).hexdigest().encode() if len(data) > LONGEST else data
        assert tuple(found) == by_definition(function, fours(text), len(data)), name


def test_whole_numbers_are_hashed_as_eight_bytes():
    function, values = NameHash(), [0, 1, 2**40 + 3, -1, -(2**63)]
    first, second = function.of(pa.array([*values, None], type=pa.int64()))
    for value, *found in zip(values, first.tolist()[:-1], second.tolist()[:-1], strict=True):
        low, high = value % 2**32, (value % 2**64) >> 32
        assert tuple(found) == by_definition(function, [low, high], 8), value


@pytest.mark.parametrize("n", [500, 70_000])
def test_equal_names_have_equal_numbers_and_different_ones_others(n):
    rng = np.random.default_rng(0)
    names = np.array([f"p{i}" for i in rng.integers(0, n // 2, n)], dtype=object)
    names[rng.random(n) < 0.05] = None
    batches = [pa.array(part.tolist(), type=pa.string()) for part in np.array_split(names, 7)]
    numbers, count = numbered(batches, n)
    known = np.array([name is not None for name in names])
    assert ((numbers >= 0) == known).all()
    pairs = set(zip(names[known].tolist(), numbers[known].tolist(), strict=True))
    assert len(pairs) == count == len(set(names[known])) and {number for _, number in pairs} == set(
        range(count)
    )


def test_names_that_agree_in_64_bits_are_told_by_the_other_32(monkeypatch):
    first = np.array([5, 5, 5, 5, 9], dtype=np.uint64)
    second = np.array([2, 1, 2, 1, 2], dtype=np.uint32)
    monkeypatch.setattr(id_numbers.NameHash, "of", lambda self, names: (first, second))
    numbers, count = numbered([pa.array(list("abcde"))], 5)
    assert count == 3 and numbers[0] == numbers[2] != numbers[1] == numbers[3]
    assert len(set(numbers.tolist())) == 3


def test_nobody_can_foresee_the_coefficients():
    one, other = NameHash(), NameHash()
    assert one.coefficients.shape == (3, 2 + LONGEST // 4) and (one.coefficients != other.coefficients).any()


def test_names_in_the_middle_of_a_column_are_hashed_as_they_are_alone():
    function = NameHash()
    names = pa.array(["p1", "größer", "", "p22", "p333"], type=pa.large_string())
    for low, high in ((0, 2), (1, 3), (2, 5), (2, 2)):
        part = function.of(names[low:high])
        alone = function.of(pa.array(names.to_pylist()[low:high], type=pa.large_string()))
        assert [one.tolist() for one in part] == [one.tolist() for one in alone]
