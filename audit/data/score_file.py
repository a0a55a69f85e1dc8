"""Score files: CSV or Parquet, anyone's, read as they are.

Enters: a path. Leaves: a DataFrame for `audit.data.score_table.score_table`; only the columns it needs, where
those are known.

Why a damaged table is refused whole (`pipelines.untrusted`): a row that was lost would be lost in silence.
Why CSV files are read with "NA" as text: it is a group in real files (a continent, an answer), and pandas'
default would drop it without a word. Only an empty field is a missing label.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from audit.config import AuditConfig
from audit.data.columns import preferred, resolved, unaudited, usual_attributes
from audit.errors import ScoreFileError
from pipelines.errors import UnreadableFile
from pipelines.untrusted import flat_columns, open_parquet, read_csv

PARQUET = {".parquet", ".pq"}
TEXT = {".csv", ".tsv", ".txt"}
HEAD_ROWS = 20_000
"""Rows by which columns are judged before the file is read."""


def read_scores(path: str | Path, config: AuditConfig) -> pd.DataFrame:
    """Read a .csv or .parquet score file; only the columns the audit needs, where that is known.

    Raises:
        ScoreFileError: If the file is missing, of another type, or cannot be parsed.
    """
    path = Path(path)
    with _readable(path):
        head = _head(path)
        config = resolved(config, head.columns)
        wanted = _wanted(head, config)
        return _read_parquet(path, config, wanted) if _is_parquet(path) else _read_csv(path, config, wanted)


def unaudited_columns(path: str | Path, config: AuditConfig, attributes: Sequence[str]) -> str | None:
    """What `audit.data.columns.unaudited` says of a score file, judged by its first rows.

    Args:
        path: The file.
        config: Options as asked for.
        attributes: The audited columns.

    Raises:
        ScoreFileError: If the file cannot be read.
    """
    path = Path(path)
    with _readable(path):
        head = _head(path)
    return unaudited(head, config, attributes, whole=len(head) < HEAD_ROWS)


def other_columns(path: str | Path, loaded: Collection[str]) -> Iterator[pd.Series]:
    """The columns of a score file that `read_scores` left in it, one at a time.

    Columns whose first rows are numbers with fractions, or all the same, are passed over: no one is named so.

    Args:
        path: The file.
        loaded: Columns that are known already.

    Raises:
        ScoreFileError: If the file cannot be read.
    """
    path = Path(path)
    with _readable(path):
        head = _head(path)
        names = [name for name in head.columns if name not in loaded and _may_name(head[name])]
        if not _is_parquet(path):
            frame = read_csv(path, _separator(path), usecols=names, dtype="category", na_values=[""])
            yield from (frame[name] for name in names)
            return
        for name in names:
            yield open_parquet(path).read(columns=[name]).to_pandas()[name]


def _may_name(column: pd.Series) -> bool:
    """Whether a column's first rows may be names or numbers of persons, videos or photos."""
    known = column.dropna()
    if known.nunique() < 2:
        return len(column) == HEAD_ROWS
    numbers = pd.to_numeric(known, errors="coerce")
    return bool(numbers.isna().any() or (numbers % 1 == 0).all())


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Within this context, what is wrong with the file ends as one sentence."""
    if not path.is_file():
        raise ScoreFileError(f"no score file at {path}; give a .csv or .parquet file with one row an image")
    if path.suffix.lower() not in {*PARQUET, *TEXT}:
        raise ScoreFileError(f"{path} is not a .csv or .parquet file; convert it and try again")
    try:
        yield
    except UnreadableFile as error:
        raise ScoreFileError(str(error)) from None
    except (ValueError, OSError, UnicodeDecodeError) as error:  # pyarrow's and pandas' own are among these
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ScoreFileError(f"{path} cannot be read as a score table: {first}") from error


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in PARQUET


def _separator(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _head(path: Path) -> pd.DataFrame:
    """All columns of the first rows."""
    if not _is_parquet(path):
        return read_csv(path, _separator(path), na_values=[""], n_head=HEAD_ROWS)
    file = open_parquet(path)
    columns = flat_columns(file)
    first = next(file.iter_batches(batch_size=HEAD_ROWS, columns=columns), None)
    return file.read(columns=columns).to_pandas() if first is None else first.to_pandas()


def _read_parquet(path: Path, config: AuditConfig, wanted: list[str]) -> pd.DataFrame:
    texts = [
        name
        for name in wanted
        if name in {*config.attributes, *preferred(wanted)} and name not in config.controls
    ]
    table = open_parquet(path, read_dictionary=texts).read(columns=wanted)
    return table.to_pandas(self_destruct=True, split_blocks=True)


def _read_csv(path: Path, config: AuditConfig, wanted: list[str]) -> pd.DataFrame:
    measured = {config.columns.score, *config.bins}
    groups = {*config.attributes, *preferred(wanted)}
    kinds = {name: "category" if name in groups else "str" for name in wanted if name not in measured}
    return read_csv(path, _separator(path), usecols=wanted, dtype=kinds, na_values=[""])


def _wanted(head: pd.DataFrame, config: AuditConfig) -> list[str]:
    """Columns to load: all where attributes are not the usual ones, or a refusal will have to list them."""
    names = list(head.columns)
    chosen = set(config.attributes) or set(usual_attributes(head, config))
    roles = config.columns
    required = {roles.label, roles.score, config.unit_column or roles.label}
    if not chosen or not {*required, *config.attributes, *config.controls} <= set(names):
        return names
    chosen |= {
        roles.label,
        roles.score,
        roles.image_id,
        roles.pair_id,
        config.unit_column or "",
        config.weight_column or "",
        *config.controls,
    }
    return [name for name in names if name in chosen]
