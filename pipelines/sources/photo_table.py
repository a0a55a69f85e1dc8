"""Reads any table of labelled photos: CSV or Parquet, paths or image bytes, columns under any name.

A table and a mapping of columns enter; a `FaceTable` leaves. Labels are taken in the table's own words, for
FairFace's vocabulary binds FairFace alone; ages in years become its groups, and that is said.
"""

import hashlib
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa

from pipelines import places
from pipelines.errors import FairFaceNotFound, LabelColumnError, SelectionError
from pipelines.labels import ATTRIBUTES
from pipelines.sources.face_table import FaceTable, age_group
from pipelines.sources.fairface_parquet import class_names
from pipelines.sources.parquet_photos import image_column, place_of
from pipelines.untrusted import flat_columns, open_parquet, read_csv

ROLES: Final = ("image", *ATTRIBUTES, "id")
"""What a column can be: the photo's path or bytes, a label, or what to call the photo."""
_IMAGE_NAMES: Final = ("image", "file", "path", "img", "filename", "image_path")
Read = tuple[pd.DataFrame, list[str], list[str]]
"""Columns by role; how the table names each photo, which tells two runs apart; where each lies."""
_MISSING: Final = frozenset({"", "nan", "na", "n/a", "none", "null", "unknown", "-"})
_LONGEST: Final = 100
"""Characters of an identifier; a longer one is cut and ends with its digest."""


def parse_columns(words: list[str]) -> dict[str, str]:
    """['race=ethnicity'] to {'race': 'ethnicity'}.

    Raises:
        SelectionError: no such role, or one given twice.
    """
    found: dict[str, str] = {}
    for word in words:
        role, sign, column = word.partition("=")
        if not sign or role not in ROLES or not column:
            raise SelectionError(f"--column is {word!r}; write ROLE=COLUMN with a role of {', '.join(ROLES)}")
        if role in found:
            raise SelectionError(f"--column names {role} twice: {found[role]} and {column}")
        found[role] = column
    return found


def read_photo_table(path: str | Path, columns: Mapping[str, str] | None = None) -> FaceTable:
    """Read a table of labelled photos.

    Args:
        path: CSV or Parquet, a row a photo. Paths in it are taken from the table's folder.
        columns: role of `ROLES` to the column's name; what is left out is looked for under its own name,
        whatever its case, and the image under file, path, img, filename and image_path, too.

    Raises:
        FairFaceNotFound: no such table.
        LabelColumnError: no column of images or none of labels, no rows, an identifier that comes twice, or
        images that are addresses.
        UnreadableFile: the table is damaged.
    """
    table = Path(path)
    if not table.is_file():
        raise FairFaceNotFound(f"table {table} is not there; name one with --photos TABLE")
    read = _parquet if table.suffix == ".parquet" else _csv
    frame, sources, places = read(table, columns or {})
    if frame.empty:
        raise LabelColumnError(f"{table} has no rows")
    labels, notes = _labels(table, frame)
    ids = _identifiers(table, frame, places)
    rows = pd.DataFrame({"pair_id": ids, "source": sources, "path": places, **labels})
    rows["service_test"] = pd.Series([None] * len(rows), dtype="boolean")
    rows = rows.sort_values("pair_id", ignore_index=True)
    digest = hashlib.sha256(rows.drop(columns="path").to_csv(index=False).encode()).hexdigest()
    return FaceTable(table, rows, "photos", digest, (table,), notes=tuple(notes))


def _roles(table: Path, there: list[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Role to column, for those that the table has.

    Raises:
        LabelColumnError: a column that was named is not there, or there is none of images or of labels.
    """
    for role, name in columns.items():
        if name not in there:
            raise LabelColumnError(f"{table} has no column {name!r} for {role}; it has {', '.join(there)}")
    by_lower = {name.lower(): name for name in reversed(there)}
    found = dict(columns)
    for role in ROLES:
        names = _IMAGE_NAMES if role == "image" else (role,)
        near = next((by_lower[name] for name in names if name in by_lower), None)
        if role not in found and near is not None:
            found[role] = near
    if not set(found) & set(ATTRIBUTES):
        raise LabelColumnError(
            f"{table} has no column of labels; it has {', '.join(there)}: map one, such as --column "
            f"race={there[-1]}"
        )
    return found


def _csv(table: Path, columns: Mapping[str, str]) -> Read:
    """Labels and paths of a CSV table."""
    try:
        frame = read_csv(table)
    except ValueError as fault:
        raise LabelColumnError(f"{table} is not a readable CSV table: {fault}") from fault
    roles = _roles(table, list(frame.columns), columns)
    if "image" not in roles:
        raise LabelColumnError(
            f"{table} has no column of image paths; it has {', '.join(frame.columns)}: name it with "
            "--column image=NAME"
        )
    return _renamed(frame, roles), *_paths(table, frame[roles["image"]])


def _renamed(frame: pd.DataFrame, roles: Mapping[str, str]) -> pd.DataFrame:
    """The columns of labels and identifiers, by role."""
    return pd.DataFrame(
        {role: frame[name] for role, name in roles.items() if role != "image"}, index=frame.index
    )


def _paths(table: Path, names: pd.Series) -> tuple[list[str], list[str]]:
    """How the table names the photos of a column of paths, and where they lie.

    Raises:
        LabelColumnError: a path is missing, is an address, or holds control characters.
    """
    for row, name in enumerate(names):
        if (
            not isinstance(name, str)
            or not name.strip()
            or any(unicodedata.category(c) == "Cc" for c in name)
        ):
            raise LabelColumnError(f"{table} row {row + 1}: {name!r} is no image's path")
        if "://" in name:
            raise LabelColumnError(
                f"{table} row {row + 1}: {name[:80]!r} is an address, which is not followed; download the "
                "photos first"
            )
    return list(names), [str(places.beside(table, name).resolve()) for name in names]


def _parquet(table: Path, columns: Mapping[str, str]) -> Read:
    """Labels and places, or paths, of a Parquet table."""
    opened = open_parquet(table)
    schema = opened.schema_arrow
    roles = _roles(table, schema.names, columns)
    flat = flat_columns(opened)
    frame = opened.read(
        columns=[n for r, n in roles.items() if n in flat and (r != "image" or _is_text(schema, n))]
    )
    words = frame.to_pandas()
    classes = class_names(schema)
    for name in set(words.columns) & set(classes):
        words[name] = [_class(value, classes[name]) for value in words[name]]
    asked = roles.get("image")
    if asked is not None and _is_text(schema, asked):
        return _renamed(words, roles), *_paths(table, words[asked])
    column = image_column(table, schema, asked)
    whole = table.resolve()
    rows = range(opened.metadata.num_rows)
    sources = [place_of(Path(table.name), column, row) for row in rows]
    return _renamed(words, roles), sources, [place_of(whole, column, row) for row in rows]


def _is_text(schema: pa.Schema, name: str) -> bool:
    kind = schema.field(name).type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _class(value: object, names: list[str]) -> object:
    """The name of a class that is stored as its number."""
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value


def _labels(table: Path, frame: pd.DataFrame) -> tuple[dict[str, list[str | None]], list[str]]:
    """Each attribute's words, None where unknown, and what was done to them."""
    found: dict[str, list[str | None]] = {name: [None] * len(frame) for name in ATTRIBUTES}
    notes = []
    for name in (n for n in ATTRIBUTES if n in frame):
        words = [_word(value) for value in frame[name]]
        if name == "age" and (grouped := _age_groups(words)) is not None:
            words = grouped
            notes.append("Ages in years were put into FairFace's groups.")
        for row, word in enumerate(words):
            if word is not None and any(unicodedata.category(c) == "Cc" for c in word):
                raise LabelColumnError(
                    f"{table} row {row + 1}: {name} is {word!r}, which holds control characters"
                )
        unknown = words.count(None)
        if unknown:
            notes.append(f"{unknown} of {len(words)} photos have no {name}; they are never compared by it.")
        found[name] = words
    absent = [name for name in ATTRIBUTES if name not in frame]
    if absent:
        notes.append(f"The table has no column of {' or '.join(absent)}.")
    return found, notes


def _word(value: object) -> str | None:
    text = "" if value is None or value is pd.NA else str(value).strip()
    return None if text.lower() in _MISSING else text


def _age_groups(words: list[str | None]) -> list[str | None] | None:
    """Ages in years as groups; None where one of them is no number of years."""
    try:
        return [None if word is None else age_group(float(word)) for word in words]
    except ValueError:
        return None


def _identifiers(table: Path, frame: pd.DataFrame, places: list[str]) -> list[str]:
    """One plain name for each photo: the column `id`, or what tells its path from the others."""
    if "id" in frame:
        ids = [_file_name(str(value)) for value in frame["id"]]
    elif len({Path(place).stem for place in places}) == len(places):
        ids = [_file_name(Path(place).stem) for place in places]
    else:
        ids = [f"row-{row:08d}" for row in range(len(places))]
    seen: set[str] = set()
    for row, name in enumerate(ids):
        if name in seen:
            raise LabelColumnError(
                f"{table} row {row + 1}: the identifier {name!r} comes twice; each needs its own"
            )
        seen.add(name)
    return ids


def _file_name(text: str) -> str:
    """A name that any disk takes: letters, digits, dot, dash and underscore; others become a dash."""
    plain = "".join(c if c.isalnum() or c in "._-" else "-" for c in text).strip(".") or "photo"
    if len(plain.encode()) <= _LONGEST:
        return plain
    return (
        plain.encode()[:_LONGEST].decode(errors="ignore")
        + "-"
        + hashlib.sha256(text.encode()).hexdigest()[:16]
    )
