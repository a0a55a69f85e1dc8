"""A pairs dataset as Parquet files with the images inside: the form in which data sets are published.

A finished dataset enters; a folder leaves that `datasets.load_dataset` opens: `data/images-*.parquet`, a row
an image with its label, and a card. Such a folder enters; the dataset leaves again, the same bytes in every
file.

Why a row an image and not a row a pair: several kinds of fake share one real half, which would be stored once
for each; and a detector learns from images with a label. The manifest, provenance and latents travel in
`record/`, as they are, so that nothing is lost on the way back.
Why links that lead out of a dataset are refused: what is exported is published, and a dataset that somebody
else made could take any file of this machine with it.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.dataset.manifest import (
    MANIFEST,
    OK,
    PROVENANCE,
    SUMMARY,
    read_manifest,
    read_provenance,
)
from pipelines.errors import ManifestSchemaError, OutputHoldsAnotherRun, PairsNotFound, UnreadableFile
from pipelines.generators.latents import FOLDER as LATENTS
from pipelines.labels import ATTRIBUTES
from pipelines.places import MAX_IMAGE_BYTES, complete, local, push
from pipelines.storage import (
    open_regular,
    remove_tree,
    replace_file,
    storing,
    sync_folder,
    temporary,
    write_text,
)
from pipelines.untrusted import first_line, open_parquet
from pipelines.visible import as_spelled, visible

DATA, RECORD, CARD = "data", "record", "README.md"
IMAGES_PER_FILE: Final = 5_000
IMAGES_PER_GROUP: Final = 200
"""Rows that a reader must hold at once."""
LABELS: Final = ["real", "fake"]
_COLUMNS: Final = ("image", "label", "mask", "pair_id", "kind", *ATTRIBUTES)
_BEGINNINGS: Final = {".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff", ".jpeg": b"\xff\xd8\xff"}
"""Of the files that a pairs dataset has, by the ending of their names."""
_FILE: Final = re.compile(r"images-\d{5}-of-\d{5}\.parquet")
_IMAGE: Final = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@dataclass(frozen=True)
class Exported:
    """What an export or its return made."""

    folder: Path
    n_images: int
    """Real halves and fakes; their masks are not counted."""
    n_files: int
    """Parquet files."""


def export_pairs(pairs: str | Path, out_dir: str | Path) -> Exported:
    """Write a finished pairs dataset in the published form.

    Args:
        pairs: the dataset.
        out_dir: a new or empty folder.

    Returns:
        What was made. Rejects have no images; they are in `record/manifest.parquet`.

    Raises:
        PairsNotFound: no finished dataset there, or an image of it is gone.
        ManifestSchemaError: a file of it lies elsewhere, or is no image of the format that its name says.
        OutputHoldsAnotherRun: the output folder holds something.
        StorageError: it cannot be written.
    """
    source, target = local(pairs), local(out_dir)
    manifest, provenance = read_manifest(source), read_provenance(source)
    images = _images(manifest)
    schema = _schema(images)
    n_files = max(1, -(-len(images) // IMAGES_PER_FILE))
    with _made_whole(target) as place:
        (place / DATA).mkdir()
        for number in range(n_files):
            part = images.iloc[number * IMAGES_PER_FILE : (number + 1) * IMAGES_PER_FILE]
            _write_images(
                source, place / DATA / f"images-{number:05d}-of-{n_files:05d}.parquet", part, schema
            )
        _copy_record(source, place / RECORD)
        write_text(place / CARD, _card(manifest, provenance, images, schema))
    return Exported(target, len(images), n_files)


def unpack_pairs(published: str | Path, out_dir: str | Path) -> Exported:
    """Make a pairs dataset again from its published form.

    Args:
        published: a folder that `export_pairs` wrote, wherever it has been since.
        out_dir: a new or empty folder.

    Raises:
        PairsNotFound: no such folder, or a file of it is missing.
        ManifestSchemaError: its images are not those that its manifest names.
        UnreadableFile: a Parquet file is damaged.
        OutputHoldsAnotherRun: the output folder holds something.
        StorageError: it cannot be written.
    """
    source, target = local(published), local(out_dir)
    record = source / RECORD
    manifest = read_manifest(record)
    read_provenance(record)
    wanted = set(pd.concat([manifest["real"], manifest["fake"], manifest["mask"]]).dropna())
    files = _data_files(source)
    with _made_whole(target) as place:
        for name in ("real", "fake", LATENTS):
            (place / name).mkdir()
        written: set[str] = set()
        for path, data in _stored(files):
            if path not in wanted or path in written:
                why = "twice" if path in written else "which its manifest does not name"
                raise ManifestSchemaError(f"{source} holds {path!r}, {why}")
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(data)
            written.add(path)
        if missing := sorted(wanted - written):
            raise PairsNotFound(
                f"{source} lacks {missing[0]} and {len(missing) - 1} more images; download it whole"
            )
        _take_record(record, place)
    return Exported(target, len(written) - int(manifest["mask"].notna().sum()), len(files))


@contextmanager
def _made_whole(target: Path) -> Iterator[Path]:
    """A folder under a temporary name beside the target, renamed when the block ends well.

    Raises:
        OutputHoldsAnotherRun: the target holds something.
        StorageError: it cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputHoldsAnotherRun(f"{target} is not empty; name a new folder with --out")
    place = temporary(target)
    try:
        with storing(target):
            place.mkdir(parents=True)
            yield place
            if target.is_dir():
                target.rmdir()
            place.rename(target)
            sync_folder(target.parent)
        files = [path for path in sorted(target.rglob("*")) if path.is_file()]
        push(*(path for path in files if path.name != PROVENANCE))
        push(*(path for path in files if path.name == PROVENANCE))
    finally:
        remove_tree(place)


def _images(manifest: pd.DataFrame) -> pd.DataFrame:
    """One row an image: path, label, mask, pair_id, kind and labels of the person; reals once, and first."""
    pairs = manifest[manifest["status"] == OK]
    shared = ["pair_id", *ATTRIBUTES]
    reals = pairs.drop_duplicates("pair_id")[[*shared, "real"]].rename(columns={"real": "path"})
    fakes = pairs[[*shared, "fake", "mask", "kind"]].rename(columns={"fake": "path"})
    both = pd.concat([reals.assign(label=0, mask=None, kind=None), fakes.assign(label=1)])
    return both.sort_values(["pair_id", "label", "kind"], ignore_index=True, na_position="first")


def _schema(images: pd.DataFrame) -> pa.Schema:
    """Arrow's schema, with the features in its metadata as `datasets` reads them."""
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"names": LABELS, "_type": "ClassLabel"},
        "mask": {"_type": "Image"},
        "pair_id": {"dtype": "string", "_type": "Value"},
        "kind": {"dtype": "string", "_type": "Value"},
    }
    for name in ATTRIBUTES:
        words = sorted(images[name].dropna().unique())
        features[name] = {"names": words, "_type": "ClassLabel"} if words else features["kind"]
    kinds = {"Image": _IMAGE, "ClassLabel": pa.int64(), "Value": pa.string()}
    fields = [pa.field(name, kinds[features[name]["_type"]]) for name in _COLUMNS]
    return pa.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})


def _write_images(source: Path, path: Path, images: pd.DataFrame, schema: pa.Schema) -> None:
    """One Parquet file, a group of rows at a time."""
    names = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    codes = {name: {word: i for i, word in enumerate(names[name].get("names", []))} for name in ATTRIBUTES}

    def write(part: Path) -> None:
        with pq.ParquetWriter(part, schema, compression="none") as out:  # the images are compressed already
            for start in range(0, len(images), IMAGES_PER_GROUP):
                rows = images.iloc[start : start + IMAGES_PER_GROUP].to_dict("records")
                table = pa.Table.from_pylist([_row(source, row, codes) for row in rows], schema)
                out.write_table(table, row_group_size=IMAGES_PER_GROUP)

    replace_file(path, write)


def _row(source: Path, row: dict[Any, Any], codes: dict[str, dict[str, int]]) -> dict[str, Any]:
    labels = {
        name: None if pd.isna(row[name]) else codes[name].get(row[name], row[name]) for name in ATTRIBUTES
    }
    return {
        "image": _stored_image(source, row["path"]),
        "label": row["label"],
        "mask": None if pd.isna(row["mask"]) else _stored_image(source, row["mask"]),
        "pair_id": row["pair_id"],
        "kind": None if pd.isna(row["kind"]) else row["kind"],
        **labels,
    }


def _stored_image(source: Path, path: str) -> dict[str, Any]:
    """A file's bytes and its name in the dataset.

    Raises:
        PairsNotFound: it is gone.
        ManifestSchemaError: it lies elsewhere, is too large, or does not begin as an image does.
    """
    _require_inside(source, source / path)
    try:
        with open_regular(source / path) as file:
            data = file.read(MAX_IMAGE_BYTES + 1)
    except OSError as fault:
        raise PairsNotFound(
            f"{source / path} cannot be read: {fault.strerror}; the dataset is not whole"
        ) from fault
    if len(data) > MAX_IMAGE_BYTES:
        raise ManifestSchemaError(f"{source / path} has more than {MAX_IMAGE_BYTES:,} bytes; it is no image")
    if not data.startswith(_BEGINNINGS.get(Path(path).suffix.lower(), ())):
        raise ManifestSchemaError(
            f"{source / path} is not a PNG or JPEG image as its name says, and is not published"
        )
    return {"bytes": data, "path": path}


def _require_inside(source: Path, path: Path) -> None:
    """See that a file of a dataset lies in its folder, wherever the folder itself is.

    Raises:
        ManifestSchemaError: a link leads out of it.
    """
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(source)):
        raise ManifestSchemaError(
            f"{path} is a link to a file outside the dataset, and is not published; put the file itself there"
        )


def _copy_record(source: Path, record: Path) -> None:
    """The files of a dataset that are no images.

    Raises:
        ManifestSchemaError: one lies elsewhere.
    """
    complete(source / LATENTS)
    record.mkdir()
    for name in (MANIFEST, PROVENANCE, SUMMARY):
        if (source / name).is_file():
            _require_inside(source, source / name)
            shutil.copyfile(source / name, record / name)
    if (source / LATENTS).is_dir():
        (record / LATENTS).mkdir()
        for path in sorted((source / LATENTS).glob("*.safetensors")):
            _require_inside(source, path)
            shutil.copyfile(path, record / LATENTS / path.name)


def _take_record(record: Path, place: Path) -> None:
    """The same files, back in their places; provenance last, for it says that a dataset is whole."""
    complete(record / LATENTS)
    for path in sorted((record / LATENTS).glob("*.safetensors")):
        shutil.copyfile(path, place / LATENTS / path.name)
    for name in (MANIFEST, SUMMARY, PROVENANCE):
        if (record / name).is_file():
            shutil.copyfile(record / name, place / name)


def _data_files(source: Path) -> list[Path]:
    """The Parquet files of a published dataset, all of them.

    Raises:
        PairsNotFound: none, or not as many as their names say.
    """
    place = source / DATA
    files = sorted(p for p in place.iterdir() if _FILE.fullmatch(p.name)) if place.is_dir() else []
    n = int(files[0].stem[-5:]) if files else 0
    if not files or [p.name for p in files] != [f"images-{i:05d}-of-{n:05d}.parquet" for i in range(n)]:
        raise PairsNotFound(
            f"{place} has {len(files)} of {n or 'its'} Parquet files; download the dataset whole"
        )
    return files


def _stored(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every image and mask.

    Raises:
        UnreadableFile: a file is damaged, or has other columns.
    """
    for file in files:
        opened = open_parquet(file)
        for name in ("image", "mask"):
            if name not in opened.schema_arrow.names or opened.schema_arrow.field(name).type != _IMAGE:
                raise UnreadableFile(f"{file} has no column {name} of bytes and path")
        try:
            for batch in opened.iter_batches(IMAGES_PER_GROUP, columns=["image", "mask"]):
                for row in batch.to_pylist():
                    yield from ((i["path"], i["bytes"]) for i in row.values() if i is not None)
        except (OSError, ValueError, pa.ArrowException) as fault:
            raise UnreadableFile(f"{file} is not a readable Parquet file: {first_line(fault)}") from None


def _card(manifest: pd.DataFrame, provenance: dict[str, Any], images: pd.DataFrame, schema: pa.Schema) -> str:
    """The card: what a reader and `datasets` must know."""
    n_real, n_fake = int((images["label"] == 0).sum()), int((images["label"] == 1).sum())
    kinds = manifest[manifest["status"] == OK]["kind"].value_counts().sort_index()
    source = provenance.get("source", {})
    makers = [f"| {_shown(m['kind'])} | {_shown(m.get('name', ''))} | {kinds.get(m['kind'], 0):,} | "
              f"{_shown(m.get('licence') or 'not stated')} |" for m in provenance["generators"]]  # fmt: skip
    groups = [
        f"| {name} | {', '.join(f'{_shown(word)} {n:,}' for word, n in counts.items())} |"
        for name in ATTRIBUTES
        if len(counts := images[images["label"] == 0][name].value_counts().sort_index())
    ]
    notes = [f"- {_shown(note)}" for note in provenance.get("notes", [])]
    lines = [
        "---",
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: test",
        f"    path: {DATA}/images-*.parquet",
        "task_categories:",
        "- image-classification",
        "---",
        "",
        "# Matched real and fake faces for a fairness audit",
        "",
        f"{n_real:,} real faces and {n_fake:,} fakes of the same people, a row an image. Made by `audit "
        f"generate-pairs` or `import-pairs` from {_shown(source.get('kind', 'photos'))}. The photos keep "
        "the licence of the data set they come from; faces are personal data.",
        "",
        "| kind of fake | generator | images | licence |",
        "|---|---|---|---|",
        *makers,
        "",
        "| label | real faces of each |",
        "|---|---|",
        *groups,
        "",
        *notes,
        "",
        "Labels are what people or programs took the persons for, not what they say of themselves.",
        "",
        "`record/` holds the manifest with every photo that gave no pair and why, where the data comes "
        "from, and the latents. `audit unpack-pairs` makes the pairs dataset again, the same bytes in every "
        "file.",
    ]
    return "\n".join(lines) + "\n"


def _shown(text: object) -> str:
    """A name from a manifest or a provenance, on one line, that Markdown does not obey."""
    return as_spelled(visible(text))
