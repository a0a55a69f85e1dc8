"""How much memory the texts and images of a Parquet file take, found before any of them is unpacked.

Enters: a file. Leaves: nothing, or `UnreadableFile`, one sentence.

Why this is needed: a value that repeats is stored once, in a dictionary, and its rows are numbers of a few
bits. So a file of kilobytes can hold gigabytes, and the sizes that it gives of itself count a value once.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import UnreadableFile

if TYPE_CHECKING:
    import pyarrow as pa

MAX_BYTES = 2 << 30
"""Of all texts and images, beyond what the file and its rows account for."""
MAX_VALUE_BYTES = 256
"""A row, on average: names, labels, paths."""
_OF_FILE = 4
"""Times as much as the file itself is allowed: photos are hardly smaller in a file."""
_BATCH = 4096


@lru_cache(256)
def refuse_large(path: Path, size: int, changed: int, number: int) -> None:
    """Refuse a Parquet file whose texts and images would take more memory than honest ones do.

    Args:
        path: The file.
        size: Its bytes.
        changed: When it was changed, in ns; with the size and the number, so that a file is looked at once.
        number: Of the file on its disk.

    Raises:
        UnreadableFile: they would.
        OSError, ValueError, pyarrow.ArrowException: the file is damaged.
    """
    import pyarrow.parquet as pq

    about = pq.read_metadata(path)
    texts = [
        about.schema.column(c).path for c in range(about.num_columns)
        if about.schema.column(c).physical_type in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
    ]  # fmt: skip
    allowed = MAX_BYTES + _OF_FILE * size + MAX_VALUE_BYTES * about.num_rows
    parts = [(group, name) for group in range(about.num_row_groups) for name in texts]
    declared = sum(_declared(about.row_group(group), set(texts)) for group in range(about.num_row_groups))
    if declared > allowed:
        raise _too_large(path, declared, allowed)
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        at_most = {part: _at_most(file, *part) for part in parts}
        total = sum(at_most.values())
        for part in sorted(parts, key=lambda part: -at_most[part]):
            if total <= allowed:
                return
            total += _exactly(file, *part, enough=allowed) - at_most[part]
    if total > allowed:
        raise _too_large(path, total, allowed)


def _too_large(path: Path, size: int, allowed: int) -> UnreadableFile:
    return UnreadableFile(
        f"{path} would take {size / 2**30:.1f} GiB of memory or more for its texts and images; a file of its "
        f"size and rows may take {allowed / 2**30:.1f} GiB: leave out columns of long texts that repeat"
    )


def _declared(group: "pa.parquet.RowGroupMetaData", texts: set[str]) -> int:
    columns = [group.column(c) for c in range(group.num_columns)]
    return sum(one.total_uncompressed_size for one in columns if one.path_in_schema in texts)


def _at_most(file: "pa.parquet.ParquetFile", group: int, name: str) -> int:
    """Bytes, if every row held the longest value of the dictionary."""
    import pyarrow as pa
    import pyarrow.compute as pc

    n_rows = file.metadata.row_group(group).num_rows
    for values in _values(file, group, name, 1):
        if pa.types.is_dictionary(values.type):
            return n_rows * int(pc.max(pc.binary_length(values.dictionary)).as_py() or 0)
    return 0


def _exactly(file: "pa.parquet.ParquetFile", group: int, name: str, enough: int) -> int:
    """Bytes of all rows, counted until there are enough."""
    import pyarrow as pa
    import pyarrow.compute as pc

    total = 0
    for values in _values(file, group, name, _BATCH):
        if pa.types.is_dictionary(values.type):
            lengths = pc.cast(pc.binary_length(values.dictionary), pa.int64())
            total += int(pc.sum(lengths.take(values.indices)).as_py() or 0)
        if total > enough:
            break
    return total


def _values(file: "pa.parquet.ParquetFile", group: int, name: str, n: int) -> "Iterator[pa.Array]":
    """The values of a column in batches of n rows; of a record its only field that is asked for."""
    import pyarrow as pa

    for batch in file.iter_batches(n, row_groups=[group], columns=[name]):
        values = batch.column(0)
        while pa.types.is_struct(values.type):
            values = values.field(0)
        yield values
