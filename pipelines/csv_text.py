"""CSV as this program writes it: the one writer of all four packages.

Enters: a header and rows. Leaves: RFC 4180 text that a spreadsheet shows and does not compute.

Why cells are marked: a spreadsheet takes a text that begins with `=`, `+`, `-` or `@` for a formula, also in
their full-width forms and behind a tab or a line break, and a formula can start a program. An apostrophe in
front makes it a text. Numbers are left as they are.
"""

import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.visible import END_ISOLATE, ISOLATE, visible

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = frozenset("=+-@")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def cell(value: Any) -> Any:
    r"""One value as it goes into a file; nothing for what is undefined.

    >>> cell("=1+1"), cell("\uff1d1+1"), cell("\t=1"), cell("-0.5"), cell(float("nan")), cell("White")
    ("'=1+1", "'＝1+1", "'\\t=1", '-0.5', '', 'White')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if not isinstance(value, str):
        return value
    shown = visible(value.replace(ISOLATE, "").replace(END_ISOLATE, ""))  # cells stand alone anyway
    narrow = unicodedata.normalize("NFKC", value).lstrip()
    if _NUMBER.fullmatch(shown) or not (narrow[:1] in _FORMULA or value[:1] in ("\t", "\r", "\n")):
        return shown
    return "'" + shown


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]], line_end: str = "\r\n") -> str:
    """A table as CSV text.

    Args:
        header: Column names.
        rows: Values: texts, numbers, None.
        line_end: After every row.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=line_end)
    writer.writerow([cell(name) for name in header])
    writer.writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


def frame_text(frame: "pd.DataFrame", index: bool = False) -> str:
    """A pandas table as CSV text, its index as the first column if asked for."""
    if index:
        frame = frame.reset_index()
    plain = frame.astype(object).where(frame.notna(), None)
    return csv_text([str(name) for name in frame.columns], plain.itertuples(index=False, name=None))
