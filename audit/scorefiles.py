"""Score files: CSV or Parquet, anyone's, read as they are.

Enters: a path. Leaves: a DataFrame for `audit.scores.score_table`; only the columns it needs, where those are
known.

Why CSV files are read with "NA" as text: it is a group in real files (a continent, an answer), and pandas'
default would drop it without a word. Only an empty field is a missing label.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from audit.config import PREFERRED_ATTRIBUTES, AuditConfig
from audit.errors import ScoreFileError


def read_scores(path: str | Path, config: AuditConfig) -> pd.DataFrame:
    """Read a .csv or .parquet score file; only the columns the audit needs, where that is known.

    Raises:
        ScoreFileError: If the file is missing, of another type, or cannot be parsed.
    """
    path = Path(path)
    if not path.is_file():
        raise ScoreFileError(f"no score file at {path}; give a .csv or .parquet file with one row an image")
    try:
        if path.suffix.lower() in {".parquet", ".pq"}:
            return _read_parquet(path, config)
        if path.suffix.lower() in {".csv", ".tsv", ".txt"}:
            return _read_csv(path, config)
    except (ValueError, OSError, UnicodeDecodeError) as error:  # pyarrow's and pandas' own are among these
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ScoreFileError(f"{path} cannot be read as a score table: {first}") from error
    raise ScoreFileError(f"{path} is not a .csv or .parquet file; convert it and try again")


def _read_parquet(path: Path, config: AuditConfig) -> pd.DataFrame:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    wanted = _wanted(file.schema_arrow.names, config)
    texts = [
        name
        for name in wanted
        if name in {*config.attributes, *PREFERRED_ATTRIBUTES} and name not in config.controls
    ]
    table = pq.ParquetFile(path, read_dictionary=texts).read(columns=wanted)
    return table.to_pandas(self_destruct=True, split_blocks=True)


def _read_csv(path: Path, config: AuditConfig) -> pd.DataFrame:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    names = list(pd.read_csv(path, sep=separator, nrows=0).columns)
    wanted = _wanted(names, config)
    measured = {config.columns.score, *config.bins}
    groups = {*config.attributes, *PREFERRED_ATTRIBUTES}
    kinds = {name: "category" if name in groups else "str" for name in wanted if name not in measured}
    return pd.read_csv(
        path, sep=separator, usecols=wanted, dtype=kinds, keep_default_na=False, na_values=[""]
    )


def _wanted(names: Sequence[str], config: AuditConfig) -> list[str]:
    """Columns to load: all where attributes have still to be found, or a refusal will have to list them."""
    chosen = set(config.attributes) or {name for name in PREFERRED_ATTRIBUTES if name in names}
    if not chosen or not set(config.controls) <= set(names):
        return list(names)
    roles = config.columns
    chosen |= {roles.label, roles.score, roles.image_id, roles.pair_id, *config.controls}
    return [name for name in names if name in chosen]
