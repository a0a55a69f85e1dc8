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

from audit.data.counts import Floats, Ints
from audit.data.groups import MAX_LEVELS, digits_apart, natural_key
from audit.errors import GroupError

N_STRATA = 5
"""A number with more different values than this is cut into as many parts."""

NO_STRATUM = -1
"""Stratum of the rows without a value."""

StrataKind = Literal["fifths", "values"]


@dataclass(frozen=True)
class Strata:
    """The rows of one column, divided.

    Attributes:
        kind: "fifths" of a number, or "values".
        names: Names of the strata, lowest first.
        of_row: int64 [n], index into `names`, or NO_STRATUM.
    """

    kind: StrataKind
    names: list[str]
    of_row: Ints


def plain(column: pd.Series) -> pd.Series:
    """A column as float64, or as categories in natural order: what `cut` takes. Worth doing once.

    Args:
        column: Numbers, words or truth values; text that holds nothing but numbers counts as numbers.

    Raises:
        GroupError: If there are more different words than can be strata.
    """
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan), column.index, name=column.name)
    codes, values = pd.factorize(column)
    texts = (
        pd.Series([*values, ""], dtype=object).astype(str).str.strip()
    )  # the last for rows without a value
    numbers = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64)
    words = texts[np.isnan(numbers) & (texts != "").to_numpy()]
    if words.empty:
        return pd.Series(numbers[codes], column.index, name=column.name)
    names = sorted(set(texts) - {""}, key=natural_key)
    if len(names) > MAX_LEVELS:
        raise GroupError(
            f"column '{column.name}' has {len(names)} different values that are not all numbers "
            f"('{words.iloc[0]}' is not), more than {MAX_LEVELS}; leave unknown numbers empty, or name "
            "another column"
        )
    place = {name: index for index, name in enumerate(names)}
    of_value = np.array([place.get(text, NO_STRATUM) for text in texts], dtype=np.int64)
    kind = pd.CategoricalDtype(names)
    return pd.Series(pd.Categorical.from_codes(of_value[codes], dtype=kind), column.index, name=column.name)


def cut(column: pd.Series) -> Strata:
    """Cut rows of a column that `plain` returned into strata."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _of_words(column)
    return _of_numbers(column.to_numpy())


def fifths(values: Floats) -> Ints:
    """The fifth (0-4) each value lies in by the middle of its rank; equal values lie in the same.

    >>> fifths(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3, 0.4, 0.5])).tolist()
    [1, 1, 1, 1, 1, 1, 1, 3, 4, 4]
    """
    _, of_row, n = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(n) - n / 2
    return np.floor(N_STRATA * middle / n.sum()).astype(np.int64)[of_row.reshape(-1)]


def _of_words(column: pd.Series) -> Strata:
    codes = np.asarray(column.cat.codes, dtype=np.int64)
    occurring = np.unique(codes[codes != NO_STRATUM])
    place = np.full(len(column.cat.categories) + 1, NO_STRATUM)
    place[occurring] = np.arange(len(occurring))
    return Strata("values", [str(column.cat.categories[code]) for code in occurring], place[codes])


def _of_numbers(values: Floats) -> Strata:
    known = ~np.isnan(values)
    of_row = np.full(len(values), NO_STRATUM, dtype=np.int64)
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
    digits = digits_apart([end for pair in ends for end in pair], 3)
    return [
        f"{low:.{digits}g}" if low == high else f"{low:.{digits}g} to {high:.{digits}g}" for low, high in ends
    ]
