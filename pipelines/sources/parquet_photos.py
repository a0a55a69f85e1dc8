"""Photos inside Parquet files: each has a place, written FILE#COLUMN#ROW, that is used like a path.

Enters: a Parquet file with a column of images; leaves: the places of its rows, and for a place the bytes of
the photo as they were stored. A column is of bytes, or of records of `bytes` and `path` as `datasets` writes
them.

Why whole row groups are kept in memory: a column can only be read by the group, and a run reads its photos in
the order of the file, so each group is read once. At most `_KEPT` of them, of at most `MAX_GROUP_BYTES`.
"""

import re
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from pipelines.errors import LabelColumnError, PhotoMissing, PhotoUnreadable, UnreadableFile
from pipelines.untrusted import first_line, open_parquet

MAX_GROUP_BYTES: Final = 2 << 30
"""Of one row group's images: ten times what `datasets` writes."""
_KEPT: Final = 2
_PLACE: Final = re.compile(r"(?P<file>.+\.parquet)#(?P<column>[^#/]+)#(?P<row>\d{1,12})", re.DOTALL)


def place_of(file: Path, column: str, row: int) -> str:
    """The place of a row's photo.

    >>> place_of(Path("train.parquet"), "image", 7)
    'train.parquet#image#7'
    """
    return f"{file}#{column}#{row}"


def is_place(path: Path) -> bool:
    """Whether a path names a photo inside a Parquet file."""
    return ".parquet#" in path.as_posix() and _PLACE.fullmatch(str(path)) is not None


def image_column(file: Path, schema: pa.Schema, asked: str | None = None) -> str:
    """The column with the images: the one asked for, or the only one that can be.

    Raises:
        LabelColumnError: none, several, one of addresses, or one whose name cannot stand in a place.
    """
    able = [field.name for field in schema if _holds_images(field.type)]
    if asked is not None and asked not in schema.names:
        raise LabelColumnError(f"{file} has no column {asked!r}; it has {', '.join(schema.names)}")
    if asked is None and len(able) != 1:
        found = f"{len(able)} columns with image bytes ({', '.join(able)})" if able else "no image bytes"
        raise LabelColumnError(f"{file} has {found}; one column of bytes, or of records of bytes, is needed")
    name = asked if asked is not None else able[0]
    if name not in able:
        raise LabelColumnError(
            f"{file}: column {name} holds {schema.field(name).type}, not image bytes; addresses are not "
            "followed: download the photos first"
        )
    if set("#/") & set(name):
        raise LabelColumnError(f"{file}: the image column's name {name!r} may not hold # or /; rename it")
    return name


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        names = [kind.field(i).name for i in range(kind.num_fields)]
        return "bytes" in names and _is_binary(kind.field(names.index("bytes")).type)
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def names_in(file: Path, column: str) -> list[str | None]:
    """The file names stored beside the bytes, a row each; None where there is none.

    Raises:
        UnreadableFile: the file is damaged.
    """
    opened = open_parquet(file)
    kind = opened.schema_arrow.field(column).type
    if not pa.types.is_struct(kind) or "path" not in [f.name for f in kind]:
        return [None] * opened.metadata.num_rows
    try:
        names = opened.read(columns=[f"{column}.path"])[column]
        return [None if each is None else each["path"] for each in names.to_pylist()]
    except (OSError, ValueError, pa.ArrowException) as fault:
        raise UnreadableFile(f"{file} is not a readable Parquet file: {first_line(fault)}") from None


def bytes_at(path: Path) -> bytes:
    """The bytes of the photo at a place.

    Raises:
        PhotoMissing: the file is not there, has fewer rows, or holds no bytes in this one.
        PhotoUnreadable: the file is damaged, or a group of its rows too large.
    """
    found = _PLACE.fullmatch(str(path))
    if found is None:
        raise PhotoMissing(f"{path.name!r} names no row of a Parquet file")
    file, row = Path(found["file"]), int(found["row"])
    if not file.is_file():
        raise PhotoMissing(f"{file.name} is not there any more")
    try:
        data = _GROUPS.row(file, found["column"], row)
    except UnreadableFile as fault:
        raise PhotoUnreadable(str(fault)) from fault
    except (KeyError, OSError, ValueError, pa.ArrowException) as fault:
        raise PhotoUnreadable(f"{file.name} cannot be read: {first_line(fault)}") from fault
    if data is None:
        raise PhotoMissing(f"{path.name} holds no bytes")
    return data


class _RowGroups:
    """The row groups read last, for the threads of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._starts: dict[tuple[str, int], np.ndarray] = {}
        self._kept: OrderedDict[tuple[str, int, str, int], Any] = OrderedDict()

    def row(self, file: Path, column: str, row: int) -> bytes | None:
        """The bytes in one row."""
        with self._lock:
            changed = file.stat().st_mtime_ns
            starts = self._starts_of(file, changed)
            if row >= starts[-1]:
                raise UnreadableFile(f"{file.name} has {starts[-1]} rows, no row {row}")
            group = int(np.searchsorted(starts, row, side="right")) - 1
            key = (str(file), changed, column, group)
            if key not in self._kept:
                while len(self._kept) >= _KEPT:
                    self._kept.popitem(last=False)
                self._kept[key] = _read_group(file, column, group)
            self._kept.move_to_end(key)
            data: bytes | None = self._kept[key][row - int(starts[group])].as_py()
            return data

    def _starts_of(self, file: Path, changed: int) -> np.ndarray:
        """First row of each group, and the number of rows."""
        key = (str(file), changed)
        if key not in self._starts:
            about = open_parquet(file).metadata
            sizes = [about.row_group(i).num_rows for i in range(about.num_row_groups)]
            self._starts[key] = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        return self._starts[key]


def _read_group(file: Path, column: str, group: int) -> Any:
    """The bytes of one group's rows."""
    opened = open_parquet(file)
    about = opened.metadata.row_group(group)
    size = sum(
        about.column(i).total_uncompressed_size
        for i in range(about.num_columns)
        if about.column(i).path_in_schema.split(".")[0] == column
    )
    if size > MAX_GROUP_BYTES:
        raise UnreadableFile(
            f"{file.name}: {size:,} bytes of images in one row group; the limit is {MAX_GROUP_BYTES:,}"
        )
    values = opened.read_row_group(group, columns=[column])[column].combine_chunks()
    return values.field("bytes") if pa.types.is_struct(values.type) else values


_GROUPS: Final = _RowGroups()
