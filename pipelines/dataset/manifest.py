"""The pairs dataset's manifest and provenance: one schema, one reader, one writer.

Rows enter as dicts and leave as `manifest.parquet`; a folder enters and a checked pandas table
leaves. One row a source photo *attempted* and kind of fake: rejects are rows whose `status` says why. The
kinds of one photo share its real half, which is there once.

Versions: 1 had one fake a photo and no kind; it is read as kind "fake". 2 has a kind in every row.

Why Parquet with an explicit schema: types survive (a nullable boolean stays one, NaN stays NaN),
and the same rows give the same bytes.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import ManifestSchemaError, PairsNotFound, UnreadableFile
from pipelines.storage import write_bytes, write_json
from pipelines.untrusted import first_line, open_parquet, read_json

OK: Final = "ok"
MANIFEST: Final = "manifest.parquet"
PROVENANCE: Final = "provenance.json"
SUMMARY: Final = "summary.json"

VERSION: Final = 2
UNNAMED: Final = "fake"
"""The kind of fakes whose kind nobody wrote down."""
_VERSION_KEY: Final = b"pairs_schema"

SCHEMA: Final = pa.schema(
    [
        pa.field("pair_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_sha256", pa.string()),
        pa.field("real", pa.string()),
        pa.field("fake", pa.string()),
        pa.field("mask", pa.string()),
        pa.field("donor", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("age", pa.string()),
        pa.field("gender", pa.string()),
        pa.field("race", pa.string()),
        pa.field("service_test", pa.bool_()),
        pa.field("n_faces", pa.int64()),
        pa.field("confidence", pa.float64()),
        pa.field("border_share", pa.float64()),
        pa.field("reconstruction_l1", pa.float64()),
        pa.field("reconstruction_ms_ssim", pa.float64()),
        pa.field("psnr_db", pa.float64()),
        pa.field("spectrum_db", pa.float64()),
        pa.field("changed_share", pa.float64()),
        pa.field("real_confidence", pa.float64()),
        pa.field("fake_confidence", pa.float64()),
        pa.field("in_generator_training", pa.bool_()),
        pa.field("seed", pa.int64()),
    ]
)
"""`confidence` is the face detector's for the chosen face in the photo; `real_confidence` and
`fake_confidence` are its for the two halves as written, NaN where it finds none. `mask` is the image of what
was changed, null where all was; `changed_share` its mean, 0 to 1. `donor` is the pair_id of the photo that
gave another face. `spectrum_db` is `spectra.spectrum_distance_db`."""
_SINCE_2: Final = ("kind", "mask", "donor", "psnr_db", "spectrum_db", "changed_share")


def table_of(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows to a table of `SCHEMA`, sorted by pair_id and kind.

    Args:
        rows: dicts with the schema's columns; a column left out is null, a kind left out is `UNNAMED`.

    Returns:
        The table.

    Raises:
        ManifestSchemaError: a column that the schema does not know, a value of a wrong type, a
            pair_id that comes twice with one kind, or an "ok" row without both halves.
    """
    named = [{"kind": UNNAMED, **row} for row in rows]
    ordered = sorted(named, key=lambda row: (str(row["pair_id"]), str(row["kind"])))
    unknown = sorted({name for row in ordered for name in row} - set(SCHEMA.names))
    if unknown:
        raise ManifestSchemaError(f"unknown manifest columns: {', '.join(unknown)}")
    try:
        table = pa.Table.from_pylist([dict(row) for row in ordered], SCHEMA)
        table.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as fault:
        raise ManifestSchemaError(f"a manifest value has the wrong type: {fault}") from fault
    _check_rows(table, "the new manifest")
    return table


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet, atomically; the same rows give the same bytes.

    Raises:
        OSError: as the disk says.
    """
    sink = pa.BufferOutputStream()
    versioned = table.replace_schema_metadata({_VERSION_KEY: str(VERSION).encode()})
    pq.write_table(versioned, sink, compression="zstd")
    write_bytes(path, sink.getvalue().to_pybytes())


def read_table(path: Path) -> pa.Table:
    """Read a Parquet file of `SCHEMA`, or of an older version of it.

    Raises:
        PairsNotFound: no such file.
        ManifestSchemaError: not Parquet, of a later version, or columns missing or of other types.
    """
    if not path.is_file():
        raise PairsNotFound(f"no {path.name} in {path.parent}; make pairs with audit generate-pairs first")
    try:
        file = open_parquet(path)
        since = _since(file.schema_arrow.metadata, path)
        missing = [n for n in SCHEMA.names if n not in file.schema_arrow.names and n not in since]
        if missing:
            raise ManifestSchemaError(f"{path} lacks the columns {', '.join(missing)}")
        table = file.read(columns=[n for n in SCHEMA.names if n in file.schema_arrow.names])
    except UnreadableFile as fault:
        raise ManifestSchemaError(str(fault)) from fault
    except (pa.ArrowException, ValueError, OSError) as fault:
        raise ManifestSchemaError(f"{path} is not a readable Parquet file: {first_line(fault)}") from fault
    for name in since:
        if name not in table.column_names:
            value = UNNAMED if name == "kind" else None
            table = table.append_column(name, pa.array([value] * len(table), SCHEMA.field(name).type))
    try:
        table = table.select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as fault:
        raise ManifestSchemaError(f"{path} has a column of a wrong type: {first_line(fault)}") from fault
    _check_rows(table, str(path))
    return table


def _since(metadata: Mapping[bytes, bytes] | None, path: Path) -> tuple[str, ...]:
    """The columns that a manifest need not have, for it is older than they are.

    Raises:
        ManifestSchemaError: of a later version than this program knows.
    """
    text = (metadata or {}).get(_VERSION_KEY, b"1").decode(errors="replace")
    if not text.isdecimal() or int(text) > VERSION:
        raise ManifestSchemaError(
            f"{path} is of version {text!r}; this program reads up to {VERSION}, update it"
        )
    return _SINCE_2 if int(text) < VERSION else ()


def _check_rows(table: pa.Table, where: str) -> None:
    """Unique sorted pair_ids and kinds, both halves where the status is ok, paths inside the folder."""
    empty = [f.name for f in SCHEMA if not f.nullable and table[f.name].null_count]
    if empty:
        raise ManifestSchemaError(f"{where} has rows without {', '.join(empty)}")
    frame = table.select(["pair_id", "kind", "real", "fake", "mask", "status"]).to_pandas()
    twice = frame[["pair_id", "kind"]].duplicated()
    if twice.any():
        first = frame[twice].iloc[0]
        raise ManifestSchemaError(f"{where} lists {first['pair_id']!r} twice as kind {first['kind']!r}")
    keys = list(zip(frame["pair_id"], frame["kind"], strict=True))
    if keys != sorted(keys):
        raise ManifestSchemaError(f"{where} is not sorted by pair_id and kind")
    half = (frame["status"] == OK) & (frame["real"].isna() | frame["fake"].isna())
    if half.any():
        raise ManifestSchemaError(f"{where}: {frame['pair_id'][half].iloc[0]!r} is ok but lacks a half")
    paths = pd.concat([frame["real"], frame["fake"], frame["mask"]]).dropna()
    outside = paths.str.startswith("/") | paths.str.contains(r"(?:^|/)\.\.(?:/|$)", regex=True)
    if outside.any():
        raise ManifestSchemaError(f"{where} names a file outside the folder: {paths[outside].iloc[0]!r}")


def read_manifest(folder: str | Path) -> pd.DataFrame:
    """Read a pairs dataset's manifest.

    Args:
        folder: the pairs dataset.

    Returns:
        The columns of `SCHEMA`, one row a photo attempted and kind, sorted by both; strings that are
        null are NaN, booleans and whole numbers are pandas' nullable types.

    Raises:
        PairsNotFound: no manifest there.
        ManifestSchemaError: one that breaks the schema.
    """
    nullable = {pa.bool_(): pd.BooleanDtype(), pa.int64(): pd.Int64Dtype()}
    frame: pd.DataFrame = read_table(Path(folder) / MANIFEST).to_pandas(types_mapper=nullable.get)
    return frame


def read_provenance(folder: str | Path) -> dict[str, Any]:
    """Read a pairs dataset's provenance.

    Returns:
        The record; `generators` is always there, a record for each kind with its name under "kind".

    Raises:
        PairsNotFound: no provenance there.
        ManifestSchemaError: not JSON, or not a pairs dataset's.
    """
    path = Path(folder) / PROVENANCE
    if not path.is_file():
        raise PairsNotFound(f"no {PROVENANCE} in {folder}; an unfinished run has none, finish it first")
    try:
        record = read_json(path)
    except UnreadableFile as fault:
        raise ManifestSchemaError(str(fault)) from fault
    if not isinstance(record, dict) or record.get("kind") != "pairs":
        raise ManifestSchemaError(f"{path} is not the provenance of a pairs dataset (kind is not 'pairs')")
    if "generators" not in record:
        generator = record.get("generator")
        if not isinstance(generator, dict | None):
            raise ManifestSchemaError(f"{path}: generator is {type(generator).__name__}, not a record")
        record["generators"] = [{"kind": UNNAMED, **generator}] if generator is not None else []
    for name, whole, part in (("generators", list, dict), ("notes", list, str), ("parameters", dict, None)):
        given = record.get(name, whole())
        if not isinstance(given, whole) or (part and not all(isinstance(one, part) for one in given)):
            raise ManifestSchemaError(f"{path}: {name} is not what a pairs dataset's provenance has there")
    if not all(isinstance(maker.get("kind"), str) for maker in record["generators"]):
        raise ManifestSchemaError(f"{path}: a generator has no name of its kind")
    return record


def write_provenance(folder: Path, record: Mapping[str, Any]) -> None:
    """Write a pairs dataset's provenance, atomically.

    Raises:
        OSError: as the disk says.
    """
    write_json(folder / PROVENANCE, {"kind": "pairs", **record})
