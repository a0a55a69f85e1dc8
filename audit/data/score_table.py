"""Score tables from anywhere, checked once and reduced to arrays.

Enters: a DataFrame with one row an image: label, score, attributes, optionally image_id and pair_id. Leaves:
`ScoreTable`, in which every row is known to be good. Files are read by `audit.data.score_file`.

Why all checks happen here: everything after this point is arithmetic on arrays that cannot be wrong, so the
statistics need no defensive branches, and a bad table is refused before the first number appears.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.config import AuditConfig, parse_rule
from audit.data.columns import TableColumns, find_attributes, kind_column, resolved
from audit.data.file_columns import FileColumns
from audit.data.groups import Cells, cells_of, coded
from audit.data.spans import gathered, row_dtype, rows_where, spans, tallied
from audit.data.table_words import LABEL_NAMES, SCORE_NAMES, as_text, label_meanings, normal, says_real
from audit.data.trials import PARTNER, SPEAKER
from audit.data.unit_totals import unit_codes, unit_codes_of_two
from audit.errors import (
    DuplicateImageError,
    GroupError,
    LabelError,
    MissingColumnError,
    PairError,
    ScoreTableError,
    ScoreValueError,
    UnitError,
    WeightError,
)
from audit.task import Task, task_named

Rows = NDArray[np.integer]
Units = NDArray[np.int64]


@dataclass(frozen=True)
class ScoreTable:
    """N scored images, checked.

    Attributes:
        fake: bool [N], the positive class.
        score: float64 [N], finite, higher = more fake.
        cells: The observed combinations of the audited attributes.
        cell: int16 [N], the cell of each image.
        real_row: int [P], the row of the real half of each complete pair.
        fake_row: int [P], the row of its fake half.
        key: uint64 [N], a hash of the image's pair (or of the image), the same in any row order.
        unit: int64 [N], the independent unit of each image, where several images may share one or images
            carry weights; None where the pair (or the image) is the unit.
        weight: float64 [N], >= 0, of mean 1; None where all are equal.
        ascending: Whether the images stand in ascending order of score, and not in that of their table.
        row: int [N], where they do, the row each image came from; None where they do not, or nobody will ask.
        partner: int64 [N], the second unit of each trial, the first again where it has one; None where no row
            has two.
        partner_key: uint64 [N], a hash of it, as `key` is of the first.
    """

    fake: NDArray[np.bool_]
    score: NDArray[np.float64]
    cells: Cells
    cell: NDArray[np.int16]
    real_row: Rows
    fake_row: Rows
    key: NDArray[np.uint64]
    unit: Units | None = None
    weight: NDArray[np.float64] | None = None
    ascending: bool = False
    row: Rows | None = None
    partner: Units | None = None
    partner_key: NDArray[np.uint64] | None = None

    def __len__(self) -> int:
        return len(self.score)

    def take(self, keep: NDArray[np.bool_]) -> ScoreTable:
        """The rows where keep (bool [N]) is True; both halves of a pair must be kept or left together."""
        real_row, fake_row = self._kept_pairs(keep)
        n_each = tallied(len(self), len(self.cells), lambda part: self.cell[part][keep[part]])
        occurring = np.flatnonzero(n_each)
        number = np.zeros(len(self.cells), dtype=np.int16)
        number[occurring] = np.arange(len(occurring))
        return ScoreTable(
            fake=self.fake[keep],
            score=self.score[keep],
            cells=replace(self.cells, codes=self.cells.codes[occurring]),
            cell=gathered(number, self.cell[keep]),
            real_row=real_row,
            fake_row=fake_row,
            key=_no_keys(int(n_each.sum())) if _is_broadcast(self.key) else self.key[keep],
            unit=None if self.unit is None else self.unit[keep],
            weight=None if self.weight is None else self.weight[keep],
            ascending=self.ascending,
            row=None if self.row is None else self.row[keep],
            partner=None if self.partner is None else self.partner[keep],
            partner_key=None if self.partner_key is None else self.partner_key[keep],
        )

    def _kept_pairs(self, keep: NDArray[np.bool_]) -> tuple[Rows, Rows]:
        """Where the halves of complete pairs are among the rows kept."""
        position = np.cumsum(keep, dtype=row_dtype(len(keep)))
        position -= 1
        whole = keep[self.real_row]
        return gathered(position, self.real_row[whole]), gathered(position, self.fake_row[whole])

    def by_score(self) -> ScoreTable:
        """The same images in ascending order of score, those of equal score in the order they had."""
        if self.ascending:
            return self
        arrays = {one.name: getattr(self, one.name) for one in fields(self)}
        _sort_by_score(arrays)
        return ScoreTable(**arrays)

    def without_rows(self) -> ScoreTable:
        """The same images where nobody will ask which rows they came from: four bytes an image less."""
        return replace(self, row=None)

    def without_keys(self) -> ScoreTable:
        """The same images where nobody will deal them to parts any more: eight bytes an image less."""
        return replace(self, key=_no_keys(len(self)), partner_key=None)

    def rows(self) -> Rows:
        """int [N], the row of its table that each image came from."""
        if not self.ascending:
            return np.arange(len(self), dtype=row_dtype(len(self)))
        assert self.row is not None, "the rows were let go"
        return self.row

    def as_given(self, column: NDArray[Any]) -> NDArray[Any]:
        """A column of all these images in the order of the table they came from."""
        if not self.ascending:
            return column
        given, rows = np.empty_like(column), self.rows()
        for part in spans(len(column)):
            given[rows[part]] = column[part]
        return given

    def as_here(self, column: NDArray[Any]) -> NDArray[Any]:
        """A column of the table these images came from, in the order they have here."""
        return gathered(column, self.rows()) if self.ascending else column


def _sort_by_score(arrays: dict[str, Any]) -> None:
    """Put the fields of a table in ascending order of score, one after the other: few are held twice."""
    n = len(arrays["score"])
    order = np.argsort(arrays["score"], kind="stable").astype(row_dtype(n))
    place = _inverse(order)
    for name in ("real_row", "fake_row"):
        arrays[name] = gathered(place, arrays[name])
    del place
    for name in ("score", "fake", "cell", "key", "unit", "weight", "partner", "partner_key"):
        if arrays[name] is not None and not _is_broadcast(arrays[name]):
            arrays[name] = gathered(arrays[name], order)
    arrays["row"], arrays["ascending"] = order, True


def _inverse(order: Rows) -> Rows:
    """The place of each row in an order."""
    place = np.empty_like(order)
    for part in spans(len(order)):
        place[order[part]] = np.arange(part.start, part.stop)
    return place


def _no_keys(n: int) -> NDArray[np.uint64]:
    """Keys that nobody asked for: n zeros that take no memory."""
    return np.broadcast_to(np.uint64(0), (n,))


def _is_broadcast(column: NDArray[Any]) -> bool:
    """Whether it is one value, which has no order."""
    return column.strides == (0,)


def score_table(
    frame: TableColumns, config: AuditConfig, split: bool | None = None, by_score: bool = False
) -> ScoreTable:
    """Check a table and reduce it to arrays.

    Args:
        frame: One row an image, columns as `config.columns` names them, capitals aside.
        config: Valid options.
        split: Whether the rows will be dealt to parts by their keys; None where a threshold rule asks for it.
        by_score: Put the images in ascending order of score; else they stand in the order of the table.

    Raises:
        ScoreTableError: A leaf of it, naming the first offending row.
    """
    config = resolved(config, frame.columns)
    columns = config.columns
    attributes = find_attributes(frame, config)
    _require(frame, [columns.label, columns.score, *attributes])
    if len(frame) == 0:
        raise ScoreTableError("the score table has no rows; there is nothing to audit")
    fake = labels_of(frame[columns.label], config.positive, config.read_as.get("real"))
    _check_duplicates(frame, columns.image_id, task_named(config.task))
    score = _scores(frame[columns.score])
    _refuse_kinds(attributes, kind_column(frame, fake))
    cells, cell = cells_of(frame, attributes, config.bins)
    real_row, fake_row = _pairs(frame, config, fake, cell)
    split = parse_rule(config.threshold).kind != "fixed" if split is None else split
    unit, partner, partner_key = None, None, None
    if task_named(config.task).of_trials:
        unit, partner = unit_codes_of_two(frame[SPEAKER], frame[PARTNER])
        partner_key = _text_hashes(frame, PARTNER) if split else None
    else:
        unit = _units(frame, config, real_row, fake_row)
    if isinstance(frame, FileColumns):
        frame.forget()
    weight = _weights(frame, config)
    arrays: dict[str, Any] = {
        "cells": cells,
        "fake": fake,
        "score": score,
        "cell": cell,
        "real_row": real_row,
        "fake_row": fake_row,
        "key": _no_keys(len(frame)),
        "unit": unit,
        "weight": weight,
        "partner": partner,
        "partner_key": partner_key,
    }
    del fake, score, cell, real_row, fake_row
    if by_score:
        _sort_by_score(arrays)
    if split:  # each key is written to its place: sorting them would hold them twice
        place = _inverse(arrays["row"]) if by_score else None
        arrays["key"] = _keys(frame, config, arrays["real_row"], arrays["fake_row"], place)
    return ScoreTable(**arrays)


def _refuse_kinds(attributes: Sequence[str], kind: str | None) -> None:
    if kind in attributes:
        raise GroupError(
            f"'{kind}' says what made a fake and nothing of real images, so they cannot be grouped by it; "
            f"leave out --attribute {kind}: missed fakes are broken down by it without being asked"
        )


def _units(frame: TableColumns, config: AuditConfig, real_row: Rows, fake_row: Rows) -> Units | None:
    """The unit of each image: of the unit column; where images carry weights, the pair or the image."""
    if config.unit_column is None:
        if config.weight_column is None:
            return None
        unit = np.arange(len(frame))
        unit[fake_row] = unit[real_row]
        return unit
    _require(frame, [config.unit_column])
    unit = unit_codes(frame[config.unit_column])
    if len(frame) > 1 and unit.max() == 0:
        raise UnitError(
            f"all {len(frame):,} images have the same {config.unit_column}: none is independent of the "
            "others, so nothing can be compared; name another column with --unit-column"
        )
    return unit


def _weights(frame: TableColumns, config: AuditConfig) -> NDArray[np.float64] | None:
    """Population weights of mean 1."""
    name = config.weight_column
    if name is None:
        return None
    _require(frame, [name])
    if getattr(frame[name].dtype, "kind", "") in "mM":
        raise WeightError(f"column '{name}' holds {frame[name].dtype} and no weights; give plain numbers")
    weight = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~(np.isfinite(weight) & (weight >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise WeightError(
            f"{int(bad.sum())} of {len(weight)} weights in column '{name}' are negative, missing or not "
            f"finite, the first ({frame[name].iloc[row]}) in row {row + 1}; correct them or leave the images "
            "out"
        )
    if not weight.any():
        raise WeightError(f"all {len(weight)} weights in column '{name}' are 0; give weights above 0")
    weight = weight / weight.max()  # whose sum is finite, however large they are
    return np.asarray(weight / weight.mean())


def _require(frame: TableColumns, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise MissingColumnError(
            f"the score table has no column {', '.join(repr(name) for name in missing)}; "
            f"it has {', '.join(map(repr, frame.columns))}{_named_by(missing, frame)}"
        )


def _named_by(missing: Sequence[str], frame: TableColumns) -> str:
    """The options that name a column of labels or scores, with the likely one of the table."""
    by_name = {normal(str(name)): str(name) for name in frame.columns}
    told = []
    for role, usual in (("label", LABEL_NAMES), ("score", SCORE_NAMES)):
        if role in missing:
            likely = next((by_name[name] for name in usual if name in by_name), "NAME")
            turned = " once it is turned round, as a higher score must mean more fake"
            told.append(
                f"--{role}-column {likely}" + (turned if role == "score" and says_real(likely) else "")
            )
    return f"; say {' and '.join(told)}" if told else ""


def labels_of(column: pd.Series, positive: str | None, real: str | None = None) -> NDArray[np.bool_]:
    """bool [N], True for fake.

    Args:
        column: Labels of N images.
        positive: The label that means fake; None expects 0/1, or words such as "real" and "fake".
        real: The label that means real, all others being kinds of fake.

    Raises:
        LabelError: If what the labels mean cannot be told.
    """
    codes, values = coded(column)
    texts = [as_text(value) for value in values]
    if (codes < 0).any():
        raise LabelError(f"row {int(np.argmax(codes < 0)) + 1} of column '{column.name}' has no label")
    meanings = label_meanings(texts, str(column.name), positive, real)
    return gathered(np.array([meanings[text] for text in texts], dtype=bool), codes)


def _scores(column: pd.Series) -> NDArray[np.float64]:
    if getattr(column.dtype, "kind", "") in "mMc":
        raise ScoreValueError(
            f"column '{column.name}' holds {column.dtype} and no scores; give plain numbers"
        )
    try:
        score = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise ScoreValueError(f"column '{column.name}' is not numeric: {error}") from error
    bad = ~np.isfinite(score)
    if bad.any():
        row = int(np.argmax(bad))
        raise ScoreValueError(
            f"{int(bad.sum())} of {len(score)} scores in column '{column.name}' are not finite, the first "
            f"({score[row]}) in row {row + 1}; score those images again or leave them out"
        )
    return score


def _check_duplicates(frame: TableColumns, name: str, task: Task) -> None:
    if name not in frame.columns:
        return
    codes, values = coded(frame[name])
    repeated = int(np.count_nonzero(codes >= 0)) - len(values)
    if repeated:
        raise DuplicateImageError(
            f"{task.item} '{_shown(frame, name, _first_repeated(codes, len(values)))}' stands on more than "
            f"one row ({repeated} repeated rows); give each {task.item} once, and each of several "
            "models its own table"
        )


def _first_repeated(codes: NDArray[np.integer], n_values: int) -> int:
    """The first row whose value has been seen in an earlier one."""
    first = np.full(n_values, len(codes), dtype=row_dtype(len(codes)))
    known = np.flatnonzero(codes >= 0)
    first[codes[known][::-1]] = known[::-1]
    return int(known[first[codes[known]] < known][0])


def _shown(frame: TableColumns, name: str, row: int) -> str:
    """A name as the table has it, for a message."""
    if isinstance(frame, pd.DataFrame):
        return str(frame[name].iloc[row])
    return str(frame.text_at(name, row))  # type: ignore[attr-defined]


def _pairs(
    frame: TableColumns, config: AuditConfig, fake: NDArray[np.bool_], cell: NDArray[np.int16]
) -> tuple[Rows, Rows]:
    """Rows of the two halves of every complete pair, in order of first appearance.

    None where a unit is named: that says what belongs together, and a source photo may have several fakes.
    """
    none = np.zeros(0, dtype=np.int64)
    name = config.columns.pair_id
    if config.unit_column is not None or name not in frame.columns:
        return none, none
    codes, values = coded(frame[name])
    if config.independent and n_repeated(codes, len(values), fake):
        return none, none
    real_row, fake_row = _halves(frame, name, codes, len(values), fake)
    differ = gathered(cell, real_row) != gathered(cell, fake_row)
    if differ.any():
        pair = _shown(frame, name, int(real_row[int(np.argmax(differ))]))
        raise PairError(
            f"the two halves of pair '{pair}' ({int(differ.sum())} such pairs) carry different attributes; "
            "correct the labels, or leave the pair column out"
        )
    return real_row, fake_row


def n_repeated(codes: NDArray[np.integer], n_values: int, fake: NDArray[np.bool_]) -> int:
    """How many images repeat a value of another image of their class.

    Args:
        codes: int [N], the value of each image, below n_values; -1 without one.
        n_values: Different values.
        fake: bool [N].
    """
    seen, n = np.zeros(2 * n_values, dtype=bool), 0
    for part in spans(len(codes)):
        known = codes[part] >= 0
        seen[codes[part][known].astype(np.int64) * 2 + fake[part][known]] = True
        n += int(np.count_nonzero(known))
    return n - int(np.count_nonzero(seen))


def _halves(
    frame: TableColumns, name: str, codes: NDArray[np.integer], n_values: int, fake: NDArray[np.bool_]
) -> tuple[Rows, Rows]:
    """Rows of the real and of the fake image of every value that has both, in the order of the reals."""
    if n_repeated(codes, n_values, fake):
        _refuse_many(frame, name, codes, n_values, fake)
    partner = _partners(codes, n_values, fake)
    real_row = rows_where(len(codes), lambda part: partner[part] >= 0)
    return real_row, gathered(partner, real_row)


def _partners(codes: NDArray[np.integer], n_values: int, fake: NDArray[np.bool_]) -> Rows:
    """int [N], for the real image of each value that has both, the row of the fake one; else -1."""
    kind = row_dtype(len(codes))
    rows = np.full((2, n_values), -1, dtype=kind)
    for part in spans(len(codes)):
        paired = np.flatnonzero(codes[part] >= 0)
        rows[fake[part][paired].astype(np.int8), codes[part][paired]] = paired + part.start
    partner = np.full(len(codes), -1, dtype=kind)
    for part in spans(n_values):
        real, other = rows[:, part]
        both = (real >= 0) & (other >= 0)
        partner[real[both]] = other[both]
    return partner


def _refuse_many(
    frame: TableColumns, name: str, codes: NDArray[np.integer], n_values: int, fake: NDArray[np.bool_]
) -> None:
    """Name the pair with most images of one class, the first of them in the table."""
    for is_fake, word in ((False, "real"), (True, "fake")):
        rows = np.flatnonzero((fake == is_fake) & (codes >= 0))
        counts = np.bincount(codes[rows], minlength=n_values)
        if counts.max(initial=0) > 1:
            first = int(rows[np.argmax(counts[codes[rows]])])
            raise PairError(
                f"pair '{_shown(frame, name, first)}' has {counts.max()} {word} images; a pair is one real "
                "and one fake image (audit several generators one at a time, name the source with "
                "--unit-column, or leave the pair column out)"
            )


def _keys(
    frame: TableColumns, config: AuditConfig, real_row: Rows, fake_row: Rows, place: Rows | None
) -> NDArray[np.uint64]:
    """A hash per independent unit: the unit where one is named, pair_id where the pair is complete, else
    image_id, else the row number.

    Args:
        frame: N rows.
        config: Options in the table's spelling.
        real_row: int [P], where the real halves of complete pairs stand among the images.
        fake_row: int [P], their fake halves.
        place: int [N], where the image of each row stands; None where images stand in the order of the rows.

    Returns:
        uint64 [N], in the order of the images.
    """
    names, unit, n = config.columns, config.unit_column, len(frame)
    key = np.empty(n, dtype=np.uint64)

    def write(rows: slice, hashes: NDArray[np.uint64], chosen: NDArray[np.bool_] | None = None) -> None:
        at = np.arange(rows.start, rows.stop) if place is None else place[rows]
        key[at if chosen is None else at[chosen]] = hashes if chosen is None else hashes[chosen]

    if names.image_id in frame.columns:
        for rows, hashes in _hashed(frame, names.image_id):
            write(rows, hashes)
    else:
        for rows in spans(n):
            write(rows, pd.util.hash_array(np.arange(rows.start, rows.stop)))
    if unit is not None and unit in frame.columns:
        named = frame[unit].notna().to_numpy()
        for rows, hashes in _hashed(frame, unit):
            write(rows, hashes, named[rows])
    elif len(real_row):
        real = np.zeros(n, dtype=bool)
        real[real_row] = True
        for rows, hashes in _hashed(frame, names.pair_id):
            write(rows, hashes, real[rows if place is None else place[rows]])
        for part in spans(len(real_row)):
            key[fake_row[part]] = key[real_row[part]]
    return key


def _hashed(frame: TableColumns, name: str) -> Iterator[tuple[slice, NDArray[np.uint64]]]:
    """Rows, and a hash of each of their values as text, the same in any table; of the row's number where
    there is none.
    """
    parts = [frame[name]] if isinstance(frame, pd.DataFrame) else frame.text_batches(name)  # type: ignore[attr-defined]
    low = 0
    for part in parts:
        found = pd.util.hash_array(part.astype(str).to_numpy(dtype=object), categorize=False)
        nothing = np.flatnonzero(part.isna().to_numpy())
        found[nothing] = pd.util.hash_array(low + nothing)
        yield slice(low, low + len(part)), found
        low += len(part)


def _text_hashes(frame: TableColumns, name: str) -> NDArray[np.uint64]:
    """All of them: uint64 [N]."""
    return np.concatenate([hashes for _, hashes in _hashed(frame, name)])
