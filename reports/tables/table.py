"""A table: one definition serves the page, its CSV downloads and the files on disk.

Enters: columns and rows. Leaves: cells as text, CSV.

How names from strangers and undefined numbers are written to CSV: `pipelines.csv_text`.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from audit.wording.numbers import (
    count,
    number,
    number_interval,
    of_thousand,
    of_thousand_interval,
    p_value,
    percent,
    percent_interval,
    point_interval,
    points,
)
from pipelines.csv_text import csv_text

Row = dict[str, Any]

DISPLAY: dict[str, Callable[[Any], str]] = {
    "text": str,
    "count": count,
    "percent": percent,
    "percent interval": percent_interval,
    "points": points,
    "points interval": point_interval,
    "of 1,000": of_thousand,
    "of 1,000 interval": of_thousand_interval,
    "number": number,
    "dB": lambda value: number(value, 1),
    "number interval": number_interval,
    "p": p_value,
}
"""Kind of a column to how a cell of it is shown."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    key: str
    label: str
    kind: str = "text"
    """A key of `DISPLAY`."""
    term: str | None = None
    """Entry of the glossary that explains it."""

    def show(self, row: Row) -> str:
        """The cell as a reader sees it; an absent value is a dash."""
        value = row.get(self.key)
        return "–" if value is None or value == "" else DISPLAY[self.kind](value)

    def sort_value(self, row: Row) -> str:
        """The cell as the page sorts it: a number, or nothing for text and undefined numbers."""
        value = row.get(self.key)
        if isinstance(value, tuple):
            value = value[0]
        return repr(float(value)) if isinstance(value, int | float) and math.isfinite(value) else ""

    @property
    def is_text(self) -> bool:
        """Whether cells are aligned and sorted as words."""
        return self.kind == "text"


@dataclass(frozen=True)
class Table:
    """A caption, columns and rows; `name` is the stem of its CSV file."""

    name: str
    caption: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)

    def to_csv(self) -> str:
        """RFC 4180 text; an interval becomes two columns, an undefined number an empty field."""
        header = [name for column in self.columns for name in _csv_names(column)]
        rows = ([v for c in self.columns for v in _csv_values(c, row.get(c.key))] for row in self.rows)
        return csv_text(header, rows)

    def data_uri(self) -> str:
        """The CSV as a link's target, so that the page can offer it without a server or a script."""
        return "data:text/csv;charset=utf-8;base64," + base64.b64encode(self.to_csv().encode()).decode()


def _csv_names(column: Column) -> list[str]:
    if column.kind.endswith("interval"):
        return [f"{column.key}_low", f"{column.key}_high"]
    return [column.key]


def _csv_values(column: Column, value: Any) -> list[Any]:
    if column.kind.endswith("interval"):
        return list(value if value is not None else (None, None))
    return [value]
