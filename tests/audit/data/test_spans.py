"""Sums and look-ups in parts are those of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from audit.data import spans as module
from audit.data.spans import Taken, distinct, gathered, row_dtype, rows_where, spans, summed_by, tallied


@pytest.mark.parametrize("n", [0, 1, 7, 8, 20])
def test_in_parts_as_in_one(n, monkeypatch):
    monkeypatch.setattr(module, "SPAN", 8)
    rng = np.random.default_rng(n)
    code, weight, values = rng.integers(0, 5, n), rng.normal(size=n), rng.normal(size=5)
    assert [row for part in spans(n) for row in range(part.start, part.stop)] == list(range(n))
    assert (tallied(n, 5, lambda part: code[part]) == np.bincount(code, minlength=5)).all()
    found = tallied(n, 5, lambda part: code[part], lambda part: weight[part])
    np.testing.assert_allclose(found, np.bincount(code, weight, 5))
    assert (gathered(values, code.astype(np.int16)) == values[code]).all()
    rows = rows_where(n, lambda part: code[part] < 2)
    assert rows.tolist() == np.flatnonzero(code < 2).tolist() and rows.dtype == np.int32


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 100])
@pytest.mark.parametrize("different", [1, 3, 2**40])
def test_distinct_keys_and_their_sums_are_those_of_numpy_to_the_last_bit(n, different, monkeypatch):
    monkeypatch.setattr(module, "SPAN", 8)
    rng = np.random.default_rng([n, different])
    key, weight = rng.integers(-different, different, n), rng.normal(size=n) * 10.0 ** rng.integers(-9, 9, n)
    keys, row = distinct(key)
    wanted, wanted_row = np.unique(key, return_inverse=True)
    assert keys.dtype == key.dtype and np.array_equal(keys, wanted) and np.array_equal(row, wanted_row)
    assert row.dtype == np.int32
    found = summed_by(row, len(keys), lambda part: weight[part])
    assert found.tobytes() == np.bincount(wanted_row, weight, len(wanted)).astype(np.float64).tobytes()


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_what_is_looked_up_is_what_would_be_held(kind):
    rng = np.random.default_rng(0)
    values = np.sort(rng.integers(0, 30, 60)).astype(float)
    index = np.sort(rng.choice(60, 25, replace=False)).astype(kind)
    held, looked_up = values[index], Taken(values, index)
    assert len(looked_up) == 25 and looked_up[3] == held[3]
    for some in (slice(4, 9), slice(None), np.array([7, 0, 7])):
        assert (looked_up[some] == held[some]).all()
    for wanted in (-1.0, 12.0, 12.5, 31.0, np.array([3.0, 29.0, 29.5])):
        assert np.array_equal(looked_up.searchsorted(wanted), held.searchsorted(wanted))


def test_rows_are_numbered_in_four_bytes_as_long_as_twice_their_number_fits():
    assert row_dtype(100_000_000) is np.int32 and row_dtype(2**30) is np.int64
