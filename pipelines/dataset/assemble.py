"""Puts finished shards together into a pairs dataset.

A `Job` whose shards are all made enters; the dataset leaves: `real/`, `fake/`, `latents/`,
`manifest.parquet`, `summary.json` and, last of all, `provenance.json`, whose presence means that
the dataset is complete.

Why every step can be done twice: a run killed here must continue. Files are moved one by one, and
a file that is gone from its shard is already in its place; the manifest is written from the
shards' own rows, which stay until the very end.
"""

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from pipelines.dataset.difficulty import difficulties
from pipelines.dataset.file_traces import file_auc
from pipelines.dataset.job import Job, versions_used
from pipelines.dataset.manifest import (
    MANIFEST,
    OK,
    SUMMARY,
    VERSION,
    read_table,
    table_of,
    write_provenance,
    write_table,
)
from pipelines.dataset.shards import IMAGES, LATENTS, ROWS
from pipelines.dataset.summary import summarise_kinds
from pipelines.generators import latents
from pipelines.places import complete
from pipelines.storage import remove_leftovers, remove_tree, storing, sync_folder, write_json


def finish(job: Job) -> None:
    """Assemble the dataset and clear the work folder away.

    Args:
        job: a job without missing shards.

    Raises:
        StorageError: the output cannot be written.
    """
    complete(job.work_dir)  # rows that workers on other machines took to an object store
    with storing(job.out_dir):
        remove_leftovers(job.out_dir)
        for folder in ("real", "fake", latents.FOLDER):
            (job.out_dir / folder).mkdir(exist_ok=True)
        for number in range(job.n_shards):
            _move(job, number)
        for name in (*IMAGES, latents.FOLDER):
            for place in (job.out_dir / name, *(job.out_dir / name).glob("*/")):
                if place.is_dir():
                    sync_folder(place)
        tables = [read_table(job.shard_dir(number) / ROWS) for number in range(job.n_shards)]
        table = table_of(pa.concat_tables(tables).to_pylist())
        write_table(job.out_dir / MANIFEST, table)
        manifest = table.to_pandas()
        write_json(job.out_dir / SUMMARY, summarise_kinds(manifest, _difficulties(job, manifest)))
        write_provenance(job.out_dir, _provenance(job, manifest))
        remove_tree(job.work_dir)


def _move(job: Job, number: int) -> None:
    """Move a shard's images and latents to where they stay."""
    shard = job.shard_dir(number)
    for name in IMAGES:
        for image in sorted(p for p in (shard / name).rglob("*") if p.is_file()):
            target = job.out_dir / image.relative_to(shard)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(image, target)
    if (shard / LATENTS).exists():
        os.replace(shard / LATENTS, job.out_dir / latents.FOLDER / f"{shard.name}.safetensors")


def _provenance(job: Job, manifest: pd.DataFrame) -> dict[str, Any]:
    """Where a dataset comes from, in plain values."""
    versions = versions_used(job)
    source = {k: v for k, v in job.source.items() if k not in ("probes", "notes")}
    generators = [{k: v for k, v in about.items() if k not in ("path", "notes")} for about in job.generators]
    said = [note for about in job.generators for note in about.get("notes", [])]
    notes = [*job.source.get("notes", []), *said, *_notes(job, manifest)]
    return {
        "schema": VERSION,
        "source": source,
        "generators": generators,
        "finish": {"how": job.settings.finish, "file_auc": _file_auc(job, manifest)},
        "parameters": job.parameters(),
        "versions": versions[0],
        "notes": notes + ([f"Continued with other software: {versions[1:]}"] if len(versions) > 1 else []),
    }


def _notes(job: Job, manifest: pd.DataFrame) -> list[str]:
    """Plain sentences that a reader of the audit must see."""
    settings, notes = job.settings, []
    of_first = manifest[manifest["kind"] == job.generator["kind"]]
    pairs = of_first[of_first["status"] == OK]
    one_a_photo = manifest[manifest["status"] == OK].drop_duplicates("pair_id")
    invented = one_a_photo["border_share"].mean()
    if invented > 0.05:
        notes.append(
            f"On average {invented:.0%} of each {job.generator['crop']} crop lies outside its photo and was "
            "filled by mirroring, in both halves alike; photos with a wider margin (FairFace padding 1.25) "
            "avoid this."
        )
    if settings.truncation != 1.0:
        notes.append(
            f"Latents were drawn towards the average face, its skin colour included: truncation "
            f"{settings.truncation}."
        )
    if settings.style_mix:
        alone = int(pairs["detail"].str.contains(latents.UNMIXED, regex=False).sum())
        notes.append(
            f"Fine styles were mixed by {settings.style_mix:.0%} with those of another person of the same "
            f"age, gender and race in the shard; {alone} of {len(pairs)} pairs stayed as they were, for want "
            "of one."
        )
    if job.kind == "latents":
        notes.append("Fakes were decoded again from saved latents, without the photos.")
    return notes


def _difficulties(job: Job, manifest: pd.DataFrame) -> dict[str, Any]:
    """Of each kind, how hard its fakes are to tell for a fixed simple detector."""
    ok = manifest[manifest["status"] == OK]
    return difficulties(job.out_dir, ok, job.kinds) if job.settings.difficulty else {}


def _file_auc(job: Job, manifest: pd.DataFrame) -> dict[str, float | None]:
    """Of each kind, how well files alone tell its fakes from their real halves."""
    found = {}
    for kind in job.kinds:
        pairs = manifest[(manifest["kind"] == kind) & (manifest["status"] == OK)]
        halves = [[job.out_dir / name for name in pairs[half]] for half in ("real", "fake")]
        found[kind] = file_auc(*halves)
    return found


def dataset_size_bytes(folder: Path) -> int:
    """How much a finished dataset takes on disk, in bytes."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
