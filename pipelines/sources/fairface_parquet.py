"""FairFace in the hub's form: Parquet files with the photos inside, and classes as whole numbers.

A folder enters; a `FaceTable` leaves whose photos are places inside the files. The names of the classes
stand in the schema's metadata, under "huggingface", as the library `datasets` writes them: a number means
nothing without them, so a file whose schema names no classes is refused.

Why one of the two paddings must be chosen: the hub holds every photo twice, tightly cropped (0.25) and with
room around the face (1.25), which pSp needs.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from pipelines.errors import FairFaceNotFound, LabelColumnError, LabelVocabularyError, UnreadableFile
from pipelines.labels import ATTRIBUTES, VOCABULARY
from pipelines.sources.face_table import FaceTable
from pipelines.sources.parquet_photos import image_column, names_in, place_of
from pipelines.untrusted import first_line, open_parquet

PADDINGS: Final = ("0.25", "1.25")
_FILE: Final = re.compile(
    r"(?P<split>train|validation|val)(?:-(?P<part>\d{5})-of-(?P<parts>\d{5})(?:-[0-9a-f]+)?)?\.parquet"
)
_SPLITS: Final = {"train": "train", "validation": "val", "val": "val"}


def parquet_parts(root: Path) -> list[Path]:
    """The Parquet files of a folder in the hub's form, train before validation; empty where there are none.

    Raises:
        FairFaceNotFound: they hold every photo twice, or one of the numbered files is missing.
    """
    if not root.is_dir():
        return []
    twice = [root / padding for padding in PADDINGS if _files(root / padding)]
    if len(twice) == len(PADDINGS):
        raise FairFaceNotFound(
            f"{root} holds every photo twice; name one with --fairface: {twice[0]} (tightly cropped) or "
            f"{twice[1]} (with the room around the face that pSp needs)"
        )
    for place in (root, *twice, root / "data"):
        if files := _files(place):
            _refuse_gaps(place, files)
            return sorted(files, key=lambda p: (_split(p), p.name))
    return []


def _files(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if _FILE.fullmatch(p.name)] if folder.is_dir() else []


def _split(file: Path) -> str:
    """The split of a file: train or val."""
    found = _FILE.fullmatch(file.name)
    assert found is not None
    return _SPLITS[found["split"]]


def _refuse_gaps(folder: Path, files: list[Path]) -> None:
    """Every numbered part of a split must be there once.

    Raises:
        FairFaceNotFound: one is not.
    """
    for split in sorted({_split(p) for p in files}):
        names = [m for p in files if _split(p) == split and (m := _FILE.fullmatch(p.name))]
        there = sorted(int(m["part"]) for m in names if m["part"])
        wanted = max((int(m["parts"]) for m in names if m["parts"]), default=0)
        if there != list(range(wanted)) or (wanted and len(there) != len(names)):
            raise FairFaceNotFound(
                f"{folder} has {len(there)} of {wanted} Parquet files of {split}; download the others, or "
                "take those of another download away"
            )


def read_parquet_layout(root: Path, files: list[Path]) -> FaceTable:
    """Read the hub's Parquet files.

    Args:
        root: the folder that was asked for.
        files: from `parquet_parts`.

    Raises:
        LabelColumnError: a column is missing, or its classes have no names.
        LabelVocabularyError: a label that is not one of FairFace's words.
        UnreadableFile: a file is damaged.
    """
    parts, before = [], {"train": 0, "val": 0}
    for file in files:
        parts.append(_rows(file, before[_split(file)]))
        before[_split(file)] += len(parts[-1])
    rows = pd.concat(parts, ignore_index=True).sort_values("pair_id", ignore_index=True)
    twice = rows["pair_id"].duplicated()
    if twice.any():
        raise LabelColumnError(f"{root} names the photo {rows.loc[twice, 'source'].iloc[0]!r} twice")
    labels = rows.drop(columns="path").to_csv(index=False).encode()
    return FaceTable(root, rows, "fairface", hashlib.sha256(labels).hexdigest(), probes=tuple(files))


def _rows(file: Path, first: int) -> pd.DataFrame:
    """The rows of one file; `first` rows of its split came before it."""
    opened = open_parquet(file)
    schema = opened.schema_arrow
    missing = [name for name in ATTRIBUTES if name not in schema.names]
    if missing:
        raise LabelColumnError(f"{file} lacks the column {missing[0]}; it has {', '.join(schema.names)}")
    column, split = image_column(file, schema, "image" if "image" in schema.names else None), _split(file)
    wanted = [*ATTRIBUTES, *(["service_test"] if "service_test" in schema.names else [])]
    try:
        table = opened.read(columns=wanted)
    except (OSError, ValueError, pa.ArrowException) as fault:
        raise UnreadableFile(f"{file} is not a readable Parquet file: {first_line(fault)}") from None
    classes = class_names(schema)
    labels = {name: _words(file, table, name, classes) for name in ATTRIBUTES}
    names = names_in(file, column)
    numbers = range(first, first + len(table))
    sources = [_source(split, name, number) for name, number in zip(names, numbers, strict=True)]
    return pd.DataFrame(
        {
            "pair_id": [source.replace("/", "-", 1).removesuffix(".jpg") for source in sources],
            "source": sources,
            **labels,
            "service_test": _service(table),
            "path": [place_of(file.resolve(), column, row) for row in range(len(table))],
        }
    )


def _source(split: str, name: str | None, number: int) -> str:
    """'train/000012.jpg': by the number in the stored name, else by the row's number in its split."""
    stem = Path(name).stem if name else ""
    if stem.isascii() and stem.isdigit() and len(stem) <= 12:
        return f"{split}/{int(stem):06d}.jpg"
    return f"{split}/row{number:06d}.jpg"


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Names of the classes of each column, as `datasets` writes them into a schema's metadata."""
    try:
        record: Any = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = record["info"]["features"]
        found = {name: feature["names"] for name, feature in features.items() if _is_classes(feature)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}  # said where a number needs a name
    return found


def _is_classes(feature: Any) -> bool:
    names = feature.get("names") if isinstance(feature, dict) else None
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _words(file: Path, table: pa.Table, name: str, classes: dict[str, list[str]]) -> list[str]:
    """The labels of one column, as FairFace's words."""
    values, kind = table[name].to_pylist(), table.schema.field(name).type
    if pa.types.is_integer(kind):
        if name not in classes:
            raise LabelColumnError(
                f"{file}: {name} holds numbers, and the schema's metadata names no classes; take the files "
                "as the hub publishes them, not rewritten by another tool"
            )
        known = classes[name]
        values = [known[v] if v is not None and 0 <= v < len(known) else v for v in values]
    for row, value in enumerate(values):
        if value not in VOCABULARY[name]:
            raise LabelVocabularyError(
                f"{file} row {row + 1}: {name} is {value!r}, not one of: {', '.join(VOCABULARY[name])}"
            )
    return values


def _service(table: pa.Table) -> pd.Series:
    """`service_test` as a nullable boolean."""
    if "service_test" not in table.column_names:
        return pd.Series([None] * len(table), dtype="boolean")
    values = [None if value is None else bool(value) for value in table["service_test"].to_pylist()]
    return pd.Series(values, dtype="boolean")
