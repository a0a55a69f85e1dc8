"""A large Parquet table, one column at a time.

Enters: a Parquet file and how it is read (`audit.data.table_reading`). Leaves: `FileColumns`, which gives a
column when it is asked for, as a DataFrame does, and the audited rows as another file.

Why: 100 million rows with names are more than 10 GB as a DataFrame, and an audit needs one column at a time.
Read in parts, a column of words is one or two bytes a row, one of names four (`audit.data.id_numbers`), and
what an audit holds is a few such columns. Nothing is sampled or rounded: all numbers are those of all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from audit.data.columns import preferred
from audit.data.id_numbers import numbered
from audit.data.spans import gathered
from audit.data.table_reading import (
    NO_LABEL,
    NO_SCORE,
    Guess,
    Merged,
    Reading,
    id_columns,
    labels_guess,
    missing_guess,
    spelling_guesses,
    tidied_column,
)
from pipelines.storage import replace_file
from pipelines.untrusted import open_parquet, refuse_bad_values

BATCH_ROWS = 1 << 18
"""Rows read at a time."""
MANY_WORDS = 2**15 - 1
"""A column with more different words than this holds names."""


class FileColumns:
    """Columns of a Parquet file, tidied, without the rows that have no label or no score.

    Attributes:
        path: The file.
        columns: Names of those that an audit needs, in the file's order.
        reading: How the file is read, with what was found in the whole of it.
        left_out: Reason to number of rows without label or score.
    """

    def __init__(self, path: Path, columns: Sequence[str], reading: Reading) -> None:
        self.path, self.columns, self.reading = path, list(columns), reading
        self.left_out: dict[str, int] = {}
        file = open_parquet(path)
        self._n_rows, self._schema = file.metadata.num_rows, file.schema_arrow
        self._keep: NDArray[np.bool_] | None = None
        self._unscored: NDArray[np.bool_] | None = None
        self._kept: dict[str, pd.Series] = {}
        self._asked_again = {reading.config.columns.pair_id}
        self._look_through()

    def __len__(self) -> int:
        return self._n_rows if self._keep is None else int(np.count_nonzero(self._keep))

    @overload
    def __getitem__(self, name: str) -> pd.Series: ...
    @overload
    def __getitem__(self, name: list[str]) -> pd.DataFrame: ...
    def __getitem__(self, name: str | list[str]) -> pd.Series | pd.DataFrame:
        """A column: categories of words, numbers as float64, names as categories numbered by `id_numbers`.

        That of the pairs, the dearest of all to read, is kept for a second look until `forget`.
        """
        if isinstance(name, list):
            return pd.DataFrame({one: self[one] for one in name}, copy=False)
        if name in self._kept:
            return self._kept[name]
        column = self._tidied(name)[0] if name in self.columns else self._read(name)
        column = column if self._keep is None else column[self._keep].reset_index(drop=True)
        if name in self._asked_again:
            self._kept[name] = column
        return column

    def forget(self) -> None:
        """Let go of what is kept for a second look and keep nothing more, nor what reading left behind."""
        self._kept.clear()
        self._asked_again.clear()
        pa.default_memory_pool().release_unused()

    def text_at(self, name: str, row: int) -> str:
        """What stands in a column, in a row of those that were kept."""
        at = row if self._keep is None else int(np.flatnonzero(self._keep)[row])
        low = 0
        for batch in self._batches(name):
            if at < low + len(batch):
                return str(batch[at - low].as_py())
            low += len(batch)
        raise IndexError(row)

    def text_batches(self, name: str) -> Iterator[pd.Series]:
        """A column as text, part by part."""
        low = 0
        for batch in self._batches(name):
            kept = batch
            if self._keep is not None:
                kept = batch.filter(pa.array(self._keep[low : low + len(batch)]))
            low += len(batch)
            yield kept.to_pandas()

    def without_score(self, names: Sequence[str]) -> pd.DataFrame:
        """Columns of the rows that have a label and no score, coded as those of the others are."""
        if self._unscored is None:
            return pd.DataFrame(columns=list(names))
        read = {name: self._tidied(name)[0] if name in self.columns else self._read(name) for name in names}
        return pd.DataFrame({name: column[self._unscored] for name, column in read.items()}).reset_index(
            drop=True
        )

    def load(self) -> pd.DataFrame:
        """All of it in memory, names too."""
        texts = {name: pd.concat(list(self.text_batches(name)), ignore_index=True) for name in self.columns}
        tidy = {name: column for name in self.columns if not _are_names(column := self[name])}
        return pd.DataFrame(texts | tidy)[self.columns]

    def write(
        self, path: Path, fake: NDArray[np.bool_], renamed: dict[str, str], left: Sequence[str]
    ) -> Path:
        """Write the audited rows as Parquet, to a temporary name first.

        Args:
            path: The file to write.
            fake: bool [N], True for fake: the column "label".
            renamed: Columns that get another name.
            left: Columns that are left out.
        """
        names = [name for name in self.columns if name not in left]
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda part: self._write(part, fake, names, renamed))
        return path

    def _write(
        self, path: Path, fake: NDArray[np.bool_], names: Sequence[str], renamed: dict[str, str]
    ) -> None:
        low, low_kept, writer = 0, 0, None
        tidy = {name: self._tidied(name)[0] for name in names if self._is_tidied(name)}
        plain = {name: column for name, column in tidy.items() if not _are_names(column)}
        try:
            for batch in open_parquet(self.path).iter_batches(BATCH_ROWS, columns=list(names)):
                keep = None if self._keep is None else self._keep[low : low + len(batch)]
                n = len(batch) if keep is None else int(np.count_nonzero(keep))
                arrays = {}
                for name in names:
                    part = batch.column(name)
                    refuse_bad_values(self.path, part)
                    if name in plain:
                        tidied = pa.array(plain[name].iloc[low : low + len(batch)], from_pandas=True)
                        part = tidied.cast(part.type) if pa.types.is_floating(part.type) else tidied
                    arrays[renamed.get(name, name)] = part if keep is None else part.filter(pa.array(keep))
                arrays["label"] = pa.array(fake[low_kept : low_kept + n].astype(np.int8))
                low, low_kept = low + len(batch), low_kept + n
                table = pa.table(arrays)
                writer = writer or pq.ParquetWriter(path, table.schema)
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()

    def _look_through(self) -> None:
        """Find words that mean "no value" in all columns, and rows without label or score."""
        roles = self.reading.config.columns
        seen: dict[str, list[str]] = {}
        keep = np.ones(self._n_rows, dtype=bool)
        whole, labels = {}, None
        guesses: list[Guess] = []
        for name in self.columns:
            if not self._is_tidied(name):
                continue
            column, found, merged = self._tidied(name)
            guesses += spelling_guesses(name, merged)
            for word, n in found.items():
                seen.setdefault(word, []).append(f"{name} {n:,}")
            labels = column if name == roles.label and not _are_names(column) else labels
            if name in (roles.label, roles.score):
                whole[name] = column.notna().to_numpy()
        for name, reason in ((roles.label, NO_LABEL), (roles.score, NO_SCORE)):
            if name in whole:
                empty = keep & ~whole[name]
                keep &= whole[name]
                if empty.any():
                    self.left_out[reason] = int(np.count_nonzero(empty))
                    self._unscored = empty if name == roles.score else None
        self._keep = None if keep.all() else keep
        told = replace(self.reading, guesses=(*self.reading.guesses, *guesses))
        self.reading = missing_guess(seen, told)
        if labels is not None:
            self.reading = labels_guess(labels, self.reading)

    def _tidied(self, name: str) -> tuple[pd.Series, dict[str, int], Merged]:
        """A column as it is audited, if it is one of those; the words taken out; and the spellings merged."""
        column = self._read(name)
        return tidied_column(column, self.reading) if self._is_tidied(name) else (column, {}, {})

    def _is_tidied(self, name: str) -> bool:
        """Labels, scores and groups are; other text is taken as it stands, as of a small Parquet file."""
        config = self.reading.config
        groups = {*config.attributes, *preferred(self.columns), *self.reading.groups} - set(config.controls)
        roles = (config.columns.label, config.columns.score)
        return name in roles or name in groups or pa.types.is_dictionary(self._kind(name))

    def _kind(self, name: str) -> pa.DataType:
        return self._schema.field(name).type

    def _read(self, name: str) -> pd.Series:
        """A column as it stands in the file."""
        config = self.reading.config
        kind = self._kind(name)
        measured = {config.columns.score, *config.bins, config.weight_column, *config.controls}
        if pa.types.is_floating(kind) or (name in measured and pa.types.is_integer(kind)):
            values = np.empty(self._n_rows)
            self._fill(name, values)
            return pd.Series(values, name=name, copy=False)
        if name in measured:  # numbers written as text
            return pd.concat(list(self._parts(name)), ignore_index=True).rename(name)
        if name not in (config.columns.image_id, config.columns.pair_id, config.unit_column):
            words = self._words(name)
            if words is not None:
                return words
        codes, n = numbered(self._batches(name), self._n_rows)
        return pd.Series(pd.Categorical.from_codes(codes, pd.RangeIndex(n)), name=name, copy=False)

    def _fill(self, name: str, values: NDArray[np.float64]) -> None:
        low = 0
        for batch in self._batches(name):
            part = pc.cast(batch, pa.float64(), safe=False)
            values[low : low + len(batch)] = part.to_numpy(zero_copy_only=False)
            low += len(batch)

    def _words(self, name: str) -> pd.Series | None:
        """A column of few words or numbers as categories; None where there are too many."""
        codes, low = np.empty(self._n_rows, dtype=np.int16), 0
        place: dict[Any, int] = {}
        for batch in self._batches(name):
            own = batch if pa.types.is_dictionary(batch.type) else pc.dictionary_encode(batch)
            words = own.dictionary.to_pylist()
            if len(place) + len(words) > MANY_WORDS and len(place | dict.fromkeys(words)) > MANY_WORDS:
                return None
            of_word = [-1 if _is_nothing(word) else place.setdefault(word, len(place)) for word in words]
            numbers = np.array([*of_word, -1], dtype=np.int16)
            indices = pc.fill_null(own.indices.cast(pa.int32()), len(words)).to_numpy(zero_copy_only=False)
            codes[low : low + len(batch)] = gathered(numbers, indices)
            low += len(batch)
        if len(place) < 2**7:
            codes = codes.astype(np.int8)
        words_found = pd.Index(list(place)) if place else pd.Index([], dtype="str")
        return pd.Series(pd.Categorical.from_codes(codes, words_found), name=name, copy=False)

    def _batches(self, name: str) -> Iterator[pa.Array]:
        for batch in open_parquet(self.path).iter_batches(BATCH_ROWS, columns=[name]):
            refuse_bad_values(self.path, batch.column(0))
            yield self._known(name, batch.column(0))

    def _known(self, name: str, batch: pa.Array) -> pa.Array:
        """A batch of names with nothing where they are blank or a word for no value; others as they are."""
        if name not in id_columns(self.reading.config):
            return batch
        names = batch.dictionary_decode() if pa.types.is_dictionary(batch.type) else batch
        if not (pa.types.is_string(names.type) or pa.types.is_large_string(names.type)):
            return batch
        words = pa.array(self.reading.missing.get(name, ("",)), type=names.type)
        gone = pc.is_in(pc.utf8_trim_whitespace(names), value_set=words)
        return pc.if_else(gone, pa.scalar(None, names.type), names) if pc.any(gone).as_py() else batch

    def _parts(self, name: str) -> Iterator[pd.Series]:
        return (batch.to_pandas() for batch in self._batches(name))


def _is_nothing(word: Any) -> bool:
    return word is None or word != word


def _are_names(column: pd.Series) -> bool:
    """Whether a column of `FileColumns` holds numbers in the place of names."""
    return isinstance(column.dtype, pd.CategoricalDtype) and isinstance(column.cat.categories, pd.RangeIndex)
