"""Who is compared with whom: cells, attributes and their intersections.

Enters: attribute columns of a score table. Leaves: one integer cell per row, and for every audited grouping
(each attribute, each pair of them, all of them) the group every cell belongs to.

Terms:
    cell: one observed combination of all audited attributes (FairFace: 9 ages x 2 genders x 7 races).
    grouping: one attribute, or an intersection such as "gender:race". Its groups are unions of cells.

Why a missing label is a group of its own, "(missing)": dropping those rows would be silent, and treating
"not recorded" as a demographic group would compare people with a gap in the file. So it is shown with its
counts and never enters a gap, a test or a verdict.

Why ':' in a value is refused: "a:b" is how groups of an intersection are named, here and in every report.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.data.columns import FEW_VALUES, TableColumns, bins_hint
from audit.data.spans import gathered, spans, tallied
from audit.data.table_words import as_text
from audit.data.table_words import few as quoted
from audit.errors import GroupError
from audit.schema.result import CROSSED, MISSING, OVERALL, UNCOMPARED

MAX_LEVELS = 500
"""More values than this in one attribute are an identifier or a measurement, not groups."""

LONG = 1e15
"""Whole numbers from here on are written shorter."""

MAX_GROUPS = 1_000
"""An intersection of more groups than this cannot be read: it is left out, and that is said."""

MAX_CELLS = 2**15 - 1
"""More combinations of all attributes than this are not told apart."""

Codes = NDArray[np.int32]
CellCodes = NDArray[np.int16]
"""Of cells, of which there are at most MAX_CELLS."""


@dataclass(frozen=True)
class Grouping:
    """One way of dividing all cells into groups.

    Attributes:
        attribute: "race", "gender:race", ...
        names: Names of the groups that occur, in natural order.
        of_cell: int32 [n_cells], index into `names`.
        known: bool [n_groups], False where a part of the name is "(missing)" or "(two groups)".
    """

    attribute: str
    names: list[str]
    of_cell: Codes
    known: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Cells:
    """The observed combinations of the audited attributes.

    Attributes:
        attributes: Names, in the order asked for.
        levels: For each attribute, the names of its groups in natural order.
        codes: int32 [n_cells, n_attributes], index into `levels`; rows sorted.
    """

    attributes: list[str]
    levels: list[list[str]]
    codes: Codes

    def __len__(self) -> int:
        return len(self.codes)

    def groupings(self) -> list[Grouping]:
        """Each attribute, then each pair of attributes, then all of them, without repetition.

        An intersection of more than MAX_GROUPS groups is not among them.
        """
        return [self.grouping(chosen) for chosen in self._chosen() if not self._is_unreadable(chosen)]

    def unreadable(self) -> dict[str, int]:
        """The intersections that are left out, and how many groups each would have."""
        left_out = [self.grouping(chosen) for chosen in self._chosen() if self._is_unreadable(chosen)]
        return {grouping.attribute: len(grouping) for grouping in left_out}

    def _chosen(self) -> list[tuple[int, ...]]:
        n = len(self.attributes)
        return [chosen for size in sorted({1, min(2, n), n}) for chosen in combinations(range(n), size)]

    def _is_unreadable(self, chosen: Sequence[int]) -> bool:
        return len(chosen) > 1 and len(np.unique(self.codes[:, list(chosen)], axis=0)) > MAX_GROUPS

    def grouping(self, chosen: Sequence[int]) -> Grouping:
        """The intersection of the attributes at the given positions."""
        unique, of_cell = np.unique(self.codes[:, list(chosen)], axis=0, return_inverse=True)
        parts = [[self.levels[a][code] for a, code in zip(chosen, row, strict=True)] for row in unique]
        return Grouping(
            attribute=":".join(self.attributes[a] for a in chosen),
            names=[":".join(part) for part in parts],
            of_cell=of_cell.reshape(-1).astype(np.int32),
            known=np.array([not UNCOMPARED & set(part) for part in parts], dtype=bool),
        )


def whole(n_cells: int) -> Grouping:
    """All cells as one group, filed under the attribute "overall"."""
    return Grouping(OVERALL, [OVERALL], np.zeros(n_cells, dtype=np.int32), np.ones(1, dtype=bool))


def cells_of(
    frame: TableColumns, attributes: Sequence[str], bins: Mapping[str, Sequence[float]]
) -> tuple[Cells, CellCodes]:
    """Reduce attribute columns to one cell code per row.

    Args:
        frame: Table with the attribute columns; N rows.
        attributes: Their names, in order.
        bins: Inner edges for numeric attributes.

    Returns:
        The observed cells, and int16 [N], the cell of each row.

    Raises:
        GroupError: If an attribute has too many values, or a value contains ':'.
    """
    levels: list[list[str]] = []
    flat = np.zeros(len(frame), dtype=np.int32)
    for name in attributes:
        names, codes = _levels(frame[name], name, bins.get(name))
        levels.append(names)
        flat = _combined(flat, codes, len(names), int(np.prod([len(one) for one in levels])))
    sizes = [len(names) for names in levels]
    n_possible = int(np.prod(sizes))
    few = n_possible <= 10**7
    occurring = (
        np.flatnonzero(tallied(len(flat), n_possible, lambda part: flat[part])) if few else np.unique(flat)
    )
    if len(occurring) > MAX_CELLS:
        raise GroupError(
            f"{len(occurring):,} combinations of {', '.join(attributes)} occur, more than {MAX_CELLS:,}; "
            "name fewer attributes or give bin edges"
        )
    of_row = np.empty(len(flat), dtype=np.int16)
    for part in spans(len(flat)):
        of_row[part] = np.searchsorted(occurring, flat[part])
    cell_codes: Codes = np.stack(np.unravel_index(occurring, sizes), axis=1).astype(np.int32)
    return Cells(list(attributes), levels, cell_codes), of_row


def _combined(flat: NDArray[Any], codes: NDArray[np.integer], size: int, n_possible: int) -> NDArray[Any]:
    """Numbers of combinations, with one attribute more."""
    flat = flat.astype(np.int64) if n_possible > 2**31 and flat.dtype != np.int64 else flat
    for part in spans(len(flat)):
        flat[part] = flat[part] * size + codes[part]
    return flat


def natural_key(name: str) -> tuple[bool, list[tuple[int, float, str]]]:
    """Sort key that puts "3-9" before "10-19", words after numbers, and what is never compared last."""
    parts = re.findall(r"\d+(?:\.\d+)?|\D+", name)
    return name in UNCOMPARED, [
        (0, float(part), "") if part[0].isdecimal() else (1, 0.0, part) for part in parts
    ]


def _levels(
    column: pd.Series, name: str, edges: Sequence[float] | None
) -> tuple[list[str], NDArray[np.integer]]:
    """Names of the groups of one attribute in order, and the code of each row."""
    if edges is not None:
        return _binned(column, name, edges)
    codes, values = coded(column)
    if len(values) > MAX_LEVELS:
        raise GroupError(
            f"attribute '{name}' has {len(values)} different values, more than {MAX_LEVELS}; "
            "give bin edges for a number, or do not audit it"
        )
    texts = [_text(value) for value in values] + [MISSING]
    bad = next((text for text in texts if ":" in text), None)
    if bad is not None:
        raise GroupError(
            f"value '{bad}' of attribute '{name}' contains ':', which joins the parts of an intersection; "
            "rename it, or name the attributes that are to be audited"
        )
    broken = next((text for text in texts if not _is_unicode(text)), None)
    if broken is not None:
        raise GroupError(
            f"value {broken!a} of attribute '{name}' is no valid text; it was read in the wrong encoding"
        )
    names = sorted({text for text in texts[:-1]}, key=natural_key)
    if (codes < 0).any() and MISSING not in names:
        names.append(MISSING)
    position = {text: index for index, text in enumerate(names)}
    lookup = np.array([position.get(text, -1) for text in texts], dtype=np.int16)
    return names, gathered(lookup, codes)


def coded(column: pd.Series) -> tuple[NDArray[np.integer], pd.Index]:
    """The different values of a column, and the number of each row's value among them; -1 where it has none.

    Categories are taken as they are numbered, in small integers; those that do not occur are left out.
    """
    if not isinstance(column.dtype, pd.CategoricalDtype):
        codes, values = pd.factorize(column)
        return codes, pd.Index(values)
    numbers: NDArray[np.integer] = column.cat.codes.to_numpy()
    n = len(column.cat.categories)
    there = tallied(len(numbers), n + 1, lambda part: numbers[part].astype(np.int64) + 1)[1:] > 0
    if there.all():
        return numbers, column.cat.categories
    place = np.append(np.where(there, np.cumsum(there) - 1, -1), -1).astype(numbers.dtype)
    return gathered(place, numbers), column.cat.categories[there]


def _text(value: object) -> str:
    """How a group is called: 1.0 is "1", and blanks around a word do not make another group."""
    return as_text(value) or MISSING


def _is_unicode(text: str) -> bool:
    """Whether it can be written at all: half a surrogate pair cannot."""
    return not any("\ud800" <= mark <= "\udfff" for mark in text)


def digits_apart(numbers: Collection[float], fewest: int) -> int:
    """With how many digits all different numbers are written differently, `fewest` at least."""
    different = set(numbers)
    counts = range(fewest, 17)
    return next((d for d in counts if len({f"{n:.{d}g}" for n in different}) == len(different)), 17)


def edge_texts(edges: Sequence[float]) -> list[str]:
    """Bin edges as the names of groups have them: whole numbers in full, others told apart.

    >>> edge_texts([18, 40.5]), edge_texts([20000105, 20000110.0])
    (['18', '40.5'], ['20000105', '20000110'])
    """
    digits = digits_apart(edges, 6)
    return [
        str(int(edge)) if abs(edge) < LONG and float(edge).is_integer() else f"{edge:.{digits}g}"
        for edge in edges
    ]


def _no_numbers(column: pd.Series) -> str:
    """What a column holds beside numbers, and what to do about it."""
    texts = dict.fromkeys(as_text(value) for value in column.dropna().unique())
    bad = [text for text in texts if pd.isna(pd.to_numeric(text, errors="coerce"))]
    if not bad:
        return f"holds {column.dtype}, no numbers; give plain ones"
    told = shlex.quote("missing=" + ",".join(bad[:3]))
    return f"holds {quoted(bad)}, no numbers; correct them, or say --read {told} where they mean no value"


def many_numbers(cells: Cells, bins: Collection[str]) -> list[str]:
    """A sentence for each attribute of many different numbers that has no bins, such as an age in years."""
    found = []
    for name, levels in zip(cells.attributes, cells.levels, strict=True):
        known = [level for level in levels if level not in UNCOMPARED]
        numbers = pd.to_numeric(pd.Series(known, dtype=object), errors="coerce")
        if name not in bins and len(known) > FEW_VALUES and numbers.notna().all():
            found.append(
                f"{name} holds {len(known)} different numbers, each a group: give ranges with "
                f"{bins_hint(name)}."
            )
    return found


def _binned(column: pd.Series, name: str, edges: Sequence[float]) -> tuple[list[str], NDArray[np.integer]]:
    """Groups "<18", "18 to <40", ">=40" of a numeric column, in the order of the edges."""
    numeric = pd.api.types.is_numeric_dtype(column)
    crossed = np.zeros(len(column), bool) if numeric else (column.astype(object) == CROSSED).to_numpy()
    try:
        known = column.mask(crossed) if crossed.any() else column
        values = pd.to_numeric(known).to_numpy(dtype=float, na_value=np.nan)
    except (ValueError, TypeError):
        raise GroupError(f"attribute '{name}' has bin edges but {_no_numbers(known)}") from None
    texts = edge_texts(edges)
    inner = [f"{low} to <{high}" for low, high in pairwise(texts)]
    names = [f"<{texts[0]}", *inner, f">={texts[-1]}"]
    missing = np.isnan(values) & ~crossed
    codes = np.searchsorted(edges, values, side="right").astype(np.int32)
    for name, rows in ((CROSSED, crossed), (MISSING, missing)):
        if rows.any():
            codes[rows] = len(names)
            names = [*names, name]
    return names, codes
