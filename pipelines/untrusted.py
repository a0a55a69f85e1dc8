"""Files that anyone may have made: the one place that opens them, and the limits they are held to.

Enters: a path. Leaves: text, a plain record or a table; or `UnreadableFile`, one sentence that names the file
and, in a table, the line. Images have their own reader and limits: `pipelines.sources.photos`.

Why a line break inside a quoted field is refused: two stray quotes far apart make one valid field of all the
rows between them, and no reader can tell that from an honest note of many lines. So a table has as many rows
as lines, and none can vanish.
Why columns and lines are bounded: one line of a million columns keeps a parser busy for minutes.
"""

import codecs
import csv
import io
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import UnreadableFile
from pipelines.parquet_limits import refuse_large
from pipelines.storage import open_regular

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MAX_SETTINGS_BYTES = 1 << 20
"""A sidecar or a layout is a page of text."""
MAX_RECORD_BYTES = 256 << 20
"""A record of many groups with all its curves has some megabytes."""
MAX_NESTING = 64
"""Levels of a record: ours have under ten."""
MAX_TITLE_LINES = 30
"""Lines among which a header is looked for below a title."""
MAX_COLUMNS = 4096
MAX_LINE_CHARS = 1 << 20
"""Of a CSV table."""
MAX_ROWS = 100_000_000
"""Of a Parquet table: a file of a few bytes can claim any number."""


def read_text(path: Path, max_bytes: int = MAX_RECORD_BYTES) -> str:
    """The text of a regular file: UTF-8, with or without a byte order mark.

    Raises:
        UnreadableFile: missing, no regular file, too large, not allowed, or not UTF-8.
    """
    try:
        with open_regular(path) as file:
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise UnreadableFile(f"{path} is larger than {max_bytes:,} bytes, which is more than it may have")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise UnreadableFile(f"{path} is not UTF-8 text ({fault.reason} at byte {fault.start})") from None
    except OSError as fault:
        raise UnreadableFile(f"{path} cannot be read: {fault.strerror or fault}") from None


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """A TOML record.

    Args:
        text: What it says.
        where: The file, for the message.

    Raises:
        UnreadableFile: not TOML, or nested too deeply.
    """
    return _parsed(tomllib.loads, text, where, "TOML")


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file of settings; raises UnreadableFile as `read_text` and `parse_toml` do."""
    return parse_toml(read_text(path, MAX_SETTINGS_BYTES), str(path))


def read_json(path: Path, max_bytes: int = MAX_RECORD_BYTES) -> Any:
    """A JSON file, in which every number is finite.

    Raises:
        UnreadableFile: as `read_text`; not JSON, NaN or infinity in it, or nested too deeply.
    """
    return parse_json(read_text(path, max_bytes), str(path))


def parse_json(text: str, where: str) -> Any:
    """A JSON text, in which every number is finite; raises UnreadableFile as `read_json` does."""
    return _parsed(lambda one: json.loads(one, parse_constant=_no_number), text, where, "JSON")


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _parsed(parse: Callable[[str], Any], text: str, where: str, form: str) -> Any:
    try:
        value = parse(text)
    except RecursionError:
        raise UnreadableFile(f"{where} is not {form}: nested too deeply") from None
    except ValueError as fault:  # of either library; an integer of too many digits is one
        raise UnreadableFile(f"{where} is not {form}: {fault}") from None
    if nesting(value, MAX_NESTING + 1) > MAX_NESTING:
        raise UnreadableFile(f"{where} is nested more than {MAX_NESTING} levels deep")
    return value


def nesting(value: Any, enough: int) -> int:
    """Levels of lists and mappings in a value, counted up to `enough`.

    >>> nesting({"a": [1, [2]]}, 9), nesting(5, 9)
    (3, 0)
    """
    level, depth = [value], 0
    while depth < enough and (level := [one for one in level if isinstance(one, (dict, list))]):
        depth += 1
        level = [each for one in level for each in (one.values() if isinstance(one, dict) else one)]
    return depth


SEPARATORS = (",", ";", "\t", "|")
UTF8 = "utf-8-sig"
"""UTF-8, with or without a byte order mark."""
MAX_LOOKED_AT = 100
"""Lines by which a separator is judged."""
_MARKS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_HINT = re.compile(r'"?sep=([;,\t|])"?[;,\t|]*', re.IGNORECASE)
"""A first line that tells Excel the separator, such as "sep=;": it is no row."""
_NOT_WINDOWS = b"\x81\x8d\x8f\x90\x9d"
_CHUNK = 1 << 20


def csv_encoding(path: Path) -> str:
    """How a text table is encoded, by all of its bytes.

    UTF-8 wherever the bytes allow it, UTF-16 by its mark or its NULs; else Windows-1252, or Latin-1 where it
    has bytes that Windows-1252 lacks. Which code page of eight bits it is, bytes cannot tell.

    Raises:
        UnreadableFile: missing, no regular file, not allowed, or a workbook or archive.
    """
    try:
        with open_regular(path) as file:
            first = file.read(4)
            if first.startswith(b"PK\x03\x04"):
                raise UnreadableFile(f"{path} is a workbook or an archive, not text: save its sheet as CSV")
            marked = next((name for mark, name in _MARKS if first.startswith(mark)), None)
            wide = {(True, False): "utf-16-be", (False, True): "utf-16-le"}
            known = marked or wide.get((first[:1] == b"\0", first[1:2] == b"\0"))
            file.seek(0)
            return known or _eight_bits(iter(lambda: file.read(_CHUNK), b""))
    except OSError as fault:
        raise UnreadableFile(f"{path} cannot be read: {fault.strerror or fault}") from None


def _eight_bits(chunks: Iterator[bytes]) -> str:
    """The encoding of bytes that are no UTF-16."""
    decoder, windows = codecs.getincrementaldecoder("utf-8")(), True
    utf8 = True
    for chunk in chain(chunks, [b""]):
        windows = windows and len(chunk.translate(None, _NOT_WINDOWS)) == len(chunk)
        try:
            if utf8:
                decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError:
            utf8 = False
    return UTF8 if utf8 else "cp1252" if windows else "latin-1"


def csv_separator(path: Path, encoding: str = UTF8) -> str:
    """What stands between the fields: the mark by which the first lines fall into as many as the header.

    A comma where no mark separates anything, so that what is wrong is said of a table of commas.

    Raises:
        UnreadableFile: as `csv_shape`, of the first lines.
    """
    if told := _told_separator(path, encoding):
        return told
    with _text(path, encoding) as file:
        lines = [line for _, line in islice(_lines(path, file), MAX_LOOKED_AT)]
    best, merit = ",", (0.0, 0)
    for separator in SEPARATORS:
        try:
            counts = [len(row) for row in csv.reader(lines, delimiter=separator)]
        except csv.Error:  # a field beyond csv's own limit
            continue
        if counts and counts[0] > 1:
            found = (sum(n == counts[0] for n in counts) / len(counts), counts[0])
            best, merit = (separator, found) if found > merit else (best, merit)
    return best


def _told_separator(path: Path, encoding: str) -> str:
    """What a first line "sep=;" says; nothing where there is none."""
    with _text(path, encoding) as file:
        found = _HINT.fullmatch(file.readline(len("'sep=;'") + MAX_COLUMNS).rstrip("\r\n"))
    return found[1] if found else ""


@contextmanager
def _text(path: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    """A text file, opened for reading; what is wrong with its bytes ends as one sentence."""
    try:
        with io.TextIOWrapper(open_regular(path), encoding=encoding) as file:
            yield file
    except UnicodeError as fault:
        wanted = "UTF-8" if encoding == UTF8 else encoding
        reason = fault.reason if isinstance(fault, UnicodeDecodeError) else str(fault)
        raise UnreadableFile(f"{path} is not {wanted} text ({reason}); save it as UTF-8") from None
    except OSError as fault:
        raise UnreadableFile(f"{path} cannot be read: {fault.strerror or fault}") from None


@dataclass(frozen=True)
class CsvShape:
    """What a CSV file holds, by its lines."""

    names: list[str]
    """Of the columns."""
    n_rows: int
    """Lines below the header that are not blank."""
    n_above: int = 0
    """Lines above the header that tell the separator: 0 or 1."""


def csv_shape(path: Path, separator: str = ",", encoding: str = UTF8, quoted: bool = True) -> CsvShape:
    """Look through a CSV file: every line must be one row with a field for every column.

    Args:
        path: The file.
        separator: Between fields.
        encoding: Of the text, as Python calls it.
        quoted: Whether a quote begins a field; in some published tables it is a letter as any other.

    Raises:
        UnreadableFile: as `read_text` (of any size); no header; too many columns; a line that is too long,
            holds a NUL, has more or fewer fields than the header, or a quote that does not close on it.
    """
    above = int(bool(_told_separator(path, encoding)))
    with _text(path, encoding) as file:
        shape = _shape(path, islice(_lines(path, file), above, None), separator, quoted)
    return replace(shape, n_above=above)


def _lines(path: Path, file: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
    """Number and text of every line that is not blank."""
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_CHARS + 1), ""), start=1):
        if len(line) > MAX_LINE_CHARS:
            raise UnreadableFile(f"{path} line {number} has more than {MAX_LINE_CHARS:,} characters")
        if "\0" in line:
            raise UnreadableFile(f"{path} line {number} holds a NUL character: it is not a text table")
        if line.strip(" \n"):
            yield number, line.rstrip("\n")


def _shape(path: Path, lines: Iterator[tuple[int, str]], separator: str, quoted: bool) -> CsvShape:
    first = next(lines, None)
    if first is None:
        raise UnreadableFile(f"{path} is empty: a table begins with a line of column names")
    lines = _refuse_titles(path, first, lines, separator, quoted)
    names = _fields(path, *first, separator) if quoted else first[1].split(separator)
    if len(names) > MAX_COLUMNS:
        raise UnreadableFile(f"{path} has {len(names):,} columns; the limit is {MAX_COLUMNS:,}")
    n_rows, n_separators = 0, len(names) - 1
    for number, line in lines:
        plain = not quoted or '"' not in line
        found = line.count(separator) if plain else len(_fields(path, number, line, separator)) - 1
        if found != n_separators:
            wrong = (
                "a row that lost or gained a field; correct it"
                if n_separators
                else "take out what stands above the names of the columns"
            )
            raise UnreadableFile(
                f"{path} line {number} has {found + 1} field{'s' if found else ''}, its header {len(names)}: "
                f"{wrong}"
            )
        n_rows += 1
    return CsvShape(names, n_rows)


def _refuse_titles(
    path: Path, first: tuple[int, str], lines: Iterator[tuple[int, str]], separator: str, quoted: bool
) -> Iterator[tuple[int, str]]:
    """Refuse a title above the header, its line filled up with separators as spreadsheets write it.

    Returns:
        The lines after the first, of which some were looked at.
    """

    def named(line: tuple[int, str]) -> int:
        fields = _fields(path, *line, separator) if quoted else line[1].split(separator)
        return sum(bool(field.strip()) for field in fields)

    n_fields = first[1].count(separator) + 1
    if n_fields < 3 or named(first) > 1:
        return lines
    looked = list(islice(lines, MAX_TITLE_LINES))
    header = next((line for line in looked if named(line) > 1), None)
    if header is not None and 2 * named(header) > n_fields:
        raise UnreadableFile(f"{path} line {header[0]} looks like the header; delete the lines above it")
    return chain(looked, lines)


def _fields(path: Path, number: int, line: str, separator: str) -> list[str]:
    """The fields of one line, quotes taken off."""
    try:
        return next(csv.reader([line], delimiter=separator, strict=True))
    except csv.Error:
        raise UnreadableFile(
            f"{path} line {number}: a quote that does not close its field on the same line; take stray "
            "quotes and line breaks inside fields out, or give the table as Parquet"
        ) from None


def read_csv(
    path: Path,
    separator: str = ",",
    *,
    usecols: list[str] | None = None,
    dtype: str | Mapping[str, str] = "str",
    na_values: Sequence[str] | Mapping[str, Sequence[str]] = (),
    n_head: int | None = None,
    encoding: str = UTF8,
    decimal: str = ".",
    shape: CsvShape | None = None,
    skip_blanks: bool = False,
    quoted: bool = True,
) -> "pd.DataFrame":
    """A CSV table, every row of it.

    Args:
        path: The file.
        separator: Between fields.
        usecols: Columns to load; None for all.
        dtype: As pandas takes it; columns left out of a mapping are guessed.
        na_values: Words that mean "no value", for all columns or by column; otherwise every word is itself,
            "NA" too.
        n_head: Load the first rows only; all lines are checked nevertheless.
        encoding: Of the text, as Python calls it.
        decimal: What stands before the fraction of a number.
        shape: What `csv_shape` found in the same file, so that it is not looked through again.
        skip_blanks: Take blanks after a separator off.
        quoted: As for `csv_shape`.

    Raises:
        UnreadableFile: as `csv_shape`.
        ValueError: a value that does not fit `dtype`.
    """
    import pandas as pd

    shape = shape or csv_shape(path, separator, encoding, quoted)
    if usecols is not None and not usecols:
        return pd.DataFrame(index=range(shape.n_rows))
    frame = pd.read_csv(
        path, sep=separator, usecols=usecols, dtype=dtype, nrows=n_head, encoding=encoding, decimal=decimal,
        na_values=dict(na_values) if isinstance(na_values, Mapping) else list(na_values),
        keep_default_na=False, index_col=False, skipinitialspace=skip_blanks, skiprows=shape.n_above,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE, compression=None,
    )  # fmt: skip
    expected = shape.n_rows if n_head is None else min(n_head, shape.n_rows)
    if len(frame) != expected:  # two readers that disagree about a file must not be believed
        raise UnreadableFile(f"{path} has {shape.n_rows} rows by its lines, {len(frame)} as a table")
    return frame


def open_parquet(path: Path, read_dictionary: Sequence[str] | None = None) -> "pa.parquet.ParquetFile":
    """A Parquet file whose promises are within the limits; its pages are read later.

    Args:
        path: The file.
        read_dictionary: Columns of text to load as categories.

    Raises:
        UnreadableFile: missing, no regular file, damaged, of too many rows or columns, or larger in memory
            than an honest table is.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = open_regular(path)
    except OSError as fault:
        raise UnreadableFile(f"{path} is not a readable Parquet file: {first_line(fault)}") from None
    try:
        file = pq.ParquetFile(pa.PythonFile(opened, mode="r"), read_dictionary=read_dictionary)
        for n, what, limit in (
            (file.metadata.num_columns, "columns", MAX_COLUMNS),
            (file.metadata.num_rows, "rows", MAX_ROWS),
        ):
            if n > limit:
                raise UnreadableFile(f"{path} has {n:,} {what}; the limit is {limit:,}")
        about = os.fstat(opened.fileno())
        refuse_large(path, about.st_size, about.st_mtime_ns, about.st_ino)
    except UnreadableFile:
        opened.close()
        raise
    except (OSError, ValueError, pa.ArrowException) as fault:
        opened.close()
        raise UnreadableFile(f"{path} is not a readable Parquet file: {first_line(fault)}") from None
    return file


def to_frame(path: Path, table: "pa.Table | pa.RecordBatch", **options: Any) -> "pd.DataFrame":
    """A table of a Parquet file for pandas.

    Args:
        path: For the message.
        table: As it was read.
        options: Of `to_pandas`.

    Raises:
        UnreadableFile: Values are not what the schema says, such as text that is not UTF-8; or what pandas
            wrote beside the schema, which is read with every table and believed, is damaged.
    """
    import pyarrow as pa

    refuse_bad_values(path, table)
    try:
        return table.to_pandas(**options)
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError, pa.ArrowException) as fault:
        raise UnreadableFile(
            f"{path} is not a readable Parquet file: its record for pandas is damaged ({first_line(fault)})"
        ) from None


def refuse_bad_values(path: Path, values: "pa.Table | pa.RecordBatch | pa.Array") -> None:
    """Refuse what a Parquet file calls text and is not UTF-8, or indices beyond a dictionary.

    Raises:
        UnreadableFile: There are such values.
    """
    import pyarrow as pa

    try:
        values.validate(full=True)
    except pa.ArrowInvalid as fault:
        raise UnreadableFile(f"{path} is not a readable Parquet file: {first_line(fault)}") from None


def flat_columns(file: "pa.parquet.ParquetFile") -> list[str]:
    """Names of the columns that hold single values, not lists or records."""
    import pyarrow as pa

    return [field.name for field in file.schema_arrow if not pa.types.is_nested(field.type)]


def read_parquet(path: Path) -> "pd.DataFrame":
    """A whole Parquet table, but for columns of lists and records, which mean nothing here.

    Raises:
        UnreadableFile: as `open_parquet`, or pages that are damaged.
    """
    import pyarrow as pa

    file = open_parquet(path)
    try:
        table = file.read(columns=flat_columns(file))
    except (OSError, ValueError, pa.ArrowException) as fault:
        raise UnreadableFile(f"{path} is not a readable Parquet file: {first_line(fault)}") from None
    finally:
        file.close(force=True)
    return to_frame(path, table)


def first_line(fault: BaseException) -> str:
    """What a library says went wrong, on one line; its type where it says nothing."""
    return (str(fault).strip() or type(fault).__name__).splitlines()[0][:300]
