"""A column of anything cut into strata: words as they are, numbers into fifths.

Enters: one column of a table. Leaves: the stratum of every row, and what the strata are called.

Why fifths: five classes take away about nine tenths of the bias that a smooth covariate brings (Cochran 1968,
Biometrics 24:295-313), and leave enough images in each. Why by mid-rank and not by the quintiles' values:
equal values must stay together, and where most values are equal (a share of invented border that is nearly
always 0) the cut values coincide, and which side they fall on would decide whether anything is cut at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from audit.counts import Floats, Ints
from audit.errors import GroupError
from audit.groups import MAX_LEVELS, natural_key

N_STRATA = 5
"""A number with more different values than this is cut into as many parts."""

MISSING = -1
"""Stratum of the rows without a value."""

StrataKind = Literal["fifths", "values"]


@dataclass(frozen=True)
class Strata:
    """The rows of one column, divided.

    Attributes:
        kind: "fifths" of a number, or "values".
        names: Names of the strata, lowest first.
        of_row: int64 [n], index into `names`, or MISSING.
    """

    kind: StrataKind
    names: list[str]
    of_row: Ints


def strata_of(column: pd.Series) -> Strata:
    """Cut a column into strata.

    Args:
        column: Numbers, words or truth values; text that holds nothing but numbers counts as numbers.

    Raises:
        GroupError: If there are more different words than can be strata.
    """
    numbers = _numbers(column)
    return _of_words(column) if numbers is None else _of_numbers(numbers)


def fifths(values: Floats) -> Ints:
    """The fifth (0-4) each value lies in by the middle of its rank; equal values lie in the same.

    >>> fifths(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3, 0.4, 0.5])).tolist()
    [1, 1, 1, 1, 1, 1, 1, 3, 4, 4]
    """
    _, of_row, n = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(n) - n / 2
    return np.floor(N_STRATA * middle / n.sum()).astype(np.int64)[of_row.reshape(-1)]


def _numbers(column: pd.Series) -> Floats | None:
    """float64 [n], NaN where missing; None unless every value is a number."""
    if pd.api.types.is_bool_dtype(column):
        return None
    texts = column if pd.api.types.is_numeric_dtype(column) else _words(column)
    numbers = pd.to_numeric(texts, errors="coerce")
    if (numbers.isna() & texts.notna()).any():
        return None
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def _words(column: pd.Series) -> pd.Series:
    """Text without blanks around it, None where there is none."""
    words = column.astype(object).where(column.notna(), None)
    words = words.map(lambda value: str(value).strip(), na_action="ignore")
    return words.where(words != "", None)


def _of_words(column: pd.Series) -> Strata:
    codes, values = pd.factorize(_words(column))
    if len(values) > MAX_LEVELS:
        raise GroupError(
            f"column '{column.name}' has {len(values)} different values that are not all numbers (such as "
            f"'{values[0]}'), more than {MAX_LEVELS}; leave unknown numbers empty, or name another column"
        )
    names = sorted(map(str, values), key=natural_key)
    place = {name: index for index, name in enumerate(names)}
    order = np.array([*[place[str(value)] for value in values], MISSING], dtype=np.int64)
    return Strata("values", names, order[codes])


def _of_numbers(values: Floats) -> Strata:
    known = ~np.isnan(values)
    of_row = np.full(len(values), MISSING, dtype=np.int64)
    levels, codes = np.unique(values[known], return_inverse=True)
    if len(levels) <= N_STRATA:
        of_row[known] = codes.reshape(-1)
        return Strata("values", [f"{level:.6g}" for level in levels], of_row)
    parts = fifths(values[known])
    occurring, of_row[known] = np.unique(parts, return_inverse=True)
    ends = [(values[known][parts == part].min(), values[known][parts == part].max()) for part in occurring]
    return Strata("fifths", _ranges(ends), of_row)


def _ranges(ends: Sequence[tuple[float, float]]) -> list[str]:
    """'0.71 to 0.8', with as many digits as tell neighbouring ends apart."""
    different = {end for pair in ends for end in pair}
    digits = next((d for d in range(3, 15) if len({f"{e:.{d}g}" for e in different}) == len(different)), 15)
    return [
        f"{low:.{digits}g}" if low == high else f"{low:.{digits}g} to {high:.{digits}g}" for low, high in ends
    ]
