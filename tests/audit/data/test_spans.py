"""Sums and look-ups in parts are those of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from audit.data import spans as module
from audit.data.spans import gathered, row_dtype, spans, tallied


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


def test_rows_are_numbered_in_four_bytes_as_long_as_twice_their_number_fits():
    assert row_dtype(100_000_000) is np.int32 and row_dtype(2**30) is np.int64
