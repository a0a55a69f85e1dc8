"""Score files: CSV or Parquet, anyone's.

Enters: a path. Leaves: `ScoreFile`: a table for `audit.data.score_table.score_table` with only the columns
it needs, where those are known, and how the file was read (`audit.data.table_reading`). It is a DataFrame; of
a Parquet file of many rows it gives a column when it is asked for (`audit.data.file_columns`).

Why a damaged table is refused whole (`pipelines.untrusted`): a row that was lost would be lost in silence.
Why the first rows are judged and the rest is read as they say: a guess costs the same in a table of ten
million rows as in one of ten, and what contradicts it further down is an error with its row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from audit.config import AuditConfig
from audit.data.columns import KIND, preferred, spelled, unaudited, usual_attributes
from audit.data.file_columns import FileColumns
from audit.data.table_reading import Reading, judged, tidied
from audit.data.table_words import NUMBER_MISSING
from audit.data.trials import Trials, as_trials
from audit.errors import ScoreFileError, UnclearTableError
from pipelines.errors import UnreadableFile
from pipelines.untrusted import (
    CsvShape,
    csv_encoding,
    csv_separator,
    csv_shape,
    flat_columns,
    open_parquet,
    read_csv,
    to_frame,
)

PARQUET = {".parquet", ".pq"}
TEXT = {".csv", ".tsv", ".txt"}
WORKBOOKS = {".xlsx", ".xls", ".xlsm", ".ods", ".numbers"}
HEAD_ROWS = 20_000
"""Rows by which columns are judged before the file is read."""
LARGE_ROWS = 2_000_000
"""A Parquet file of more rows is read one column at a time."""
FEW_WORDS = 200
"""A column with at most this many different words in its first rows is read as categories."""
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
"""Names under which a separator can be given."""


@dataclass(frozen=True)
class Look:
    """What the first rows of a file say.

    Attributes:
        path: The file.
        head: Its first rows, all columns.
        reading: How they are understood, and what is not.
        shape: Names and number of rows, of a text table.
    """

    path: Path
    head: pd.DataFrame
    reading: Reading
    shape: CsvShape | None = None

    @property
    def whole(self) -> bool:
        """Whether these are all rows."""
        return len(self.head) < HEAD_ROWS


@dataclass(frozen=True)
class ScoreFile:
    """A score file as it was read.

    Attributes:
        frame: Rows that have a label and a score, and the columns an audit needs.
        look: What it was judged by, with what was found in the whole of it.
        left_out: Reason to number of rows without label or score.
        unscored: Of a table in memory: rows that have a label and no score.
    """

    frame: pd.DataFrame | FileColumns
    look: Look
    left_out: dict[str, int]
    unscored: pd.DataFrame | None = None

    @property
    def reading(self) -> Reading:
        """How it was read."""
        return self.look.reading

    @property
    def config(self) -> AuditConfig:
        """The options, in the table's own spelling."""
        return self.look.reading.config

    def without_score(self, names: Sequence[str]) -> pd.DataFrame:
        """Columns of the rows that have a label and no score.

        Raises:
            ScoreFileError: If the file cannot be read.
        """
        if isinstance(self.frame, FileColumns):
            with _readable(self.look.path):
                return self.frame.without_score(names)
        return pd.DataFrame(columns=list(names)) if self.unscored is None else self.unscored[list(names)]

    def unaudited(self, attributes: Sequence[str]) -> str | None:
        """What `audit.data.columns.unaudited` says of the file, judged by its first rows."""
        return unaudited(self.look.head, self.config, attributes, whole=self.look.whole)

    def other_columns(self) -> Iterator[pd.Series]:
        """The columns that were left in the file, one at a time, of the same rows as `frame`.

        Columns whose first rows are numbers with fractions, or all the same, are passed over: no one is named
        so. None where rows were left out, as the columns were all read then.

        Raises:
            ScoreFileError: If the file cannot be read.
        """
        look = self.look
        names = [n for n in look.head.columns if n not in self.frame.columns and _may_name(look.head[n])]
        with _readable(look.path):
            if isinstance(self.frame, FileColumns):
                yield from (self.frame[name] for name in names)
                return
            if look.shape is not None:
                others = _read_csv(look, names, dict.fromkeys(names, "category"))
                yield from (others[name] for name in names)
                return
            for name in names:
                yield to_frame(look.path, open_parquet(look.path).read(columns=[name]))[name]


def look_at(path: str | Path, config: AuditConfig) -> Look:
    """Read the first rows of a score file and understand them; nothing is asked, problems are listed.

    Args:
        path: A .csv, .tsv, .txt or .parquet file.
        config: Options; `read_as` and the names of columns correct what was guessed before.

    Raises:
        ScoreFileError: If the file is missing, of another type, or cannot be parsed.
    """
    path = Path(path)
    with _readable(path):
        if _is_parquet(path):
            _refuse_twice(path, open_parquet(path).schema_arrow.names)
            head, written, shape = _parquet_head(path), ("", ""), None
        else:
            encoding, separator, shape = _written(path, config)
            written = (encoding, separator)
            head = read_csv(
                path, separator, na_values=[""], n_head=HEAD_ROWS, encoding=encoding, shape=shape,
                skip_blanks=_padded(shape),
            )  # fmt: skip
    return Look(path, head, judged(head, config, *written, whole=len(head) < HEAD_ROWS), shape)


def _written(path: Path, config: AuditConfig) -> tuple[str, str, CsvShape]:
    """Encoding, separator and shape of a text table: as told, or as they are found."""
    encoding = config.read_as.get("encoding") or csv_encoding(path)
    separator = config.read_as.get("separator") or csv_separator(path, encoding)
    separator = SEPARATORS.get(separator, separator)
    return encoding, separator, csv_shape(path, separator, encoding)


def read_scores(path: str | Path, config: AuditConfig) -> ScoreFile:
    """Read a score file; only the columns the audit needs, where that is known.

    Raises:
        ScoreFileError: If the file is missing, of another type, or cannot be parsed.
        UnclearTableError: Naming everything that cannot be guessed, with the option that says it.
        ScoreValueError: A score is none.
    """
    look = look_at(path, config)
    _refuse_problems(look)
    wanted = _wanted(look)
    if look.shape is not None:
        _refuse_twice(look.path, [name for name in look.shape.names if name in wanted])
    if look.shape is None and open_parquet(look.path).metadata.num_rows > LARGE_ROWS:
        with _readable(look.path, pa.ArrowException):  # which judges what it reads as it goes
            columns = FileColumns(look.path, wanted, look.reading)
            if columns.left_out:  # as of a small table: all columns, of the rows that are left
                columns = FileColumns(look.path, list(look.head.columns), look.reading)
        return ScoreFile(columns, replace(look, reading=columns.reading), columns.left_out)
    with _readable(look.path):
        read = (
            _read_parquet(look, wanted)
            if look.shape is None
            else _read_csv(look, wanted, _kinds(look, wanted))
        )
    found = tidied(read, look.reading)
    if found.left_out and len(wanted) < len(look.head.columns):  # the other columns would not fit the rows
        with _readable(look.path):
            every = list(look.head.columns)
            read = (
                _read_parquet(look, every)
                if look.shape is None
                else _read_csv(look, every, _kinds(look, every))
            )
        found = tidied(read, look.reading)
    look = Look(look.path, look.head, found.reading, look.shape)
    return ScoreFile(found.frame, look, found.left_out, found.without_score)


def read_trials(path: str | Path, config: AuditConfig) -> tuple[Trials, dict[str, Any]]:
    """Read a file of trials, all columns of it, and understand it (`audit.data.trials`).

    Args:
        path: A .csv, .tsv, .txt or .parquet file, one row a trial.
        config: Options of a task whose rows are trials.

    Returns:
        The trials, and for `audit.json` how the file was read.

    Raises:
        ScoreFileError: If the file is missing, of another type, or cannot be parsed.
        ScoreTableError: If the trials cannot be understood.
    """
    path = Path(path)
    written: dict[str, Any] = {}
    with _readable(path):
        if _is_parquet(path):
            _refuse_twice(path, open_parquet(path).schema_arrow.names)
            frame = to_frame(path, open_parquet(path).read(columns=flat_columns(open_parquet(path))))
        else:
            encoding, separator, shape = _written(path, config)
            _refuse_twice(path, [name for name in shape.names if name.strip()])
            frame = read_csv(
                path, separator, dtype=dict.fromkeys(shape.names, "str"), na_values=[""], encoding=encoding,
                shape=shape, skip_blanks=_padded(shape),
            )  # fmt: skip
            written = {"encoding": encoding, "separator": separator}
    if written:
        commas = written["separator"] != "," and _decimal_commas(frame)
        written["decimal"] = config.read_as.get("decimal") or ("," if commas else ".")
    trials = as_trials(frame, config, written.get("decimal", "."))
    guessed = [{"name": name, "text": text, "option": option} for name, text, option in trials.told]
    return trials, {**written, "guessed": guessed}


def _decimal_commas(frame: pd.DataFrame) -> bool:
    """Whether a column holds numbers with a decimal comma."""
    heads = (frame[name].dropna().astype(str).head(1000) for name in frame.columns)
    return any(len(head) > 0 and head.str.fullmatch(r"[+-]?\d+,\d+").all() for head in heads)


def _refuse_twice(path: Path, names: Sequence[str]) -> None:
    """Refuse two columns of one name: nobody knows which of them is meant."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UnclearTableError(f"{path} has two columns '{twice}'; rename or drop one of them")


def _refuse_problems(look: Look) -> None:
    problems = look.reading.problems
    if not problems:
        return
    parts = [f"{problem.text}: {problem.option}" for problem in problems]
    if len(parts) == 1:
        raise UnclearTableError(f"{look.path}: {parts[0]}")
    listed = "; ".join(f"({number}) {part}" for number, part in enumerate(parts, start=1))
    raise UnclearTableError(f"{look.path} leaves {len(parts)} things open: {listed}")


def _may_name(column: pd.Series) -> bool:
    """Whether a column's first rows may be names or numbers of persons, videos or photos."""
    known = column.dropna()
    if known.nunique() < 2:
        return len(column) == HEAD_ROWS
    numbers = pd.to_numeric(known, errors="coerce")
    return bool(numbers.isna().any() or (numbers % 1 == 0).all())


@contextmanager
def _readable(path: Path, fault: type[Exception] = ValueError) -> Iterator[None]:
    """Within this context, which reads and does nothing else, what is wrong with the file ends as one
    sentence.

    Args:
        path: The file.
        fault: What readers raise, beside OSError: ValueError is pandas' and pyarrow's.
    """
    if path.is_dir():
        raise ScoreFileError(
            f"{path} is a folder; give the table of scores in it"
            + (", or `audit report` for the run that lies there" if (path / "audit.json").is_file() else "")
        )
    if not path.is_file():
        raise ScoreFileError(f"no score file at {path}; give a .csv or .parquet file with one row an image")
    if path.suffix.lower() in WORKBOOKS:
        raise ScoreFileError(
            f"{path} is a workbook: save the sheet with the scores as CSV, and give that file"
        )
    if path.suffix.lower() not in {*PARQUET, *TEXT}:
        raise ScoreFileError(f"{path} is not a .csv or .parquet file; convert it and try again")
    try:
        yield
    except UnreadableFile as error:
        raise ScoreFileError(str(error)) from None
    except (fault, OSError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ScoreFileError(f"{path} cannot be read as a score table: {first}") from error


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in PARQUET


def _padded(shape: CsvShape) -> bool:
    """Whether blanks follow the separators, by the header."""
    return any(name.startswith(" ") for name in shape.names)


def _parquet_head(path: Path) -> pd.DataFrame:
    """All columns of the first rows."""
    file = open_parquet(path)
    columns = flat_columns(file)
    first = next(file.iter_batches(batch_size=HEAD_ROWS, columns=columns), None)
    return to_frame(path, file.read(columns=columns) if first is None else first)


def _read_parquet(look: Look, wanted: list[str]) -> pd.DataFrame:
    config = look.reading.config
    groups = {*config.attributes, *preferred(wanted), *look.reading.groups, config.columns.label}
    texts = [name for name in wanted if name in groups - {*config.controls}]
    table = open_parquet(look.path, read_dictionary=texts).read(columns=wanted)
    return to_frame(look.path, table, self_destruct=True, split_blocks=True)


def _kinds(look: Look, wanted: Collection[str]) -> dict[str, str]:
    """How each column of a text table is read: words as categories, numbers as pandas finds them."""
    config = look.reading.config
    head = look.head
    measured = {config.columns.score, *config.bins, config.weight_column}
    if look.reading.decimal == ",":
        measured |= set(config.controls)
    groups = {*config.attributes, *preferred(wanted), *look.reading.groups, config.columns.label}
    groups |= {name for name in wanted if head[name].nunique() <= FEW_WORDS and len(head) > FEW_WORDS}
    if _signed(look):
        measured.discard(config.columns.score)
    return {name: "category" if name in groups else "str" for name in wanted if name not in measured}


def _signed(look: Look) -> bool:
    """Whether scores are written with a percent sign."""
    name = look.reading.config.columns.score
    return look.reading.percent and bool(head_texts(look.head[name]).str.contains("%", regex=False).any())


def head_texts(column: pd.Series) -> pd.Series:
    """The known values of a column as text."""
    return column.dropna().astype(str)


def _read_csv(look: Look, wanted: list[str], kinds: dict[str, str]) -> pd.DataFrame:
    reading, shape = look.reading, look.shape
    assert shape is not None
    numbers = {reading.config.columns.score, *reading.config.bins, reading.config.weight_column}
    as_words = {name for name, kind in kinds.items() if kind == "category"}
    missing = {
        name: [""]
        if name in as_words
        else list(reading.missing.get(name, NUMBER_MISSING if name in numbers else ("",)))
        for name in wanted
    }
    return read_csv(
        look.path, reading.separator, usecols=wanted, dtype=kinds, na_values=missing,
        encoding=reading.encoding, decimal=reading.decimal, shape=shape, skip_blanks=_padded(shape),
    )  # fmt: skip


def _wanted(look: Look) -> list[str]:
    """Columns to load: all where attributes are not the usual ones."""
    config, head = look.reading.config, look.head
    names = list(head.columns)
    chosen = set(config.attributes) or set(usual_attributes(head, config))
    if not chosen:
        return names
    roles = config.columns
    chosen |= {
        roles.label,
        roles.score,
        roles.image_id,
        roles.pair_id,
        config.unit_column or "",
        config.weight_column or "",
        *config.controls,
        spelled(KIND, names) or "",
    }
    return [name for name in names if name in chosen]
