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

from pipelines.dataset.job import Job, versions_used
from pipelines.dataset.manifest import (
    MANIFEST,
    OK,
    SUMMARY,
    read_table,
    table_of,
    write_provenance,
    write_table,
)
from pipelines.dataset.shards import LATENTS, ROWS
from pipelines.dataset.summary import summarise
from pipelines.generators import latents
from pipelines.storage import remove_leftovers, remove_tree, storing, sync_folder, write_json


def finish(job: Job) -> None:
    """Assemble the dataset and clear the work folder away.

    Args:
        job: a job without missing shards.

    Raises:
        StorageError: the output cannot be written.
    """
    with storing(job.out_dir):
        remove_leftovers(job.out_dir)
        for folder in ("real", "fake", latents.FOLDER):
            (job.out_dir / folder).mkdir(exist_ok=True)
        for number in range(job.n_shards):
            _move(job, number)
        for folder in ("real", "fake", latents.FOLDER):
            sync_folder(job.out_dir / folder)
        tables = [read_table(job.shard_dir(number) / ROWS) for number in range(job.n_shards)]
        table = table_of(pa.concat_tables(tables).to_pylist())
        write_table(job.out_dir / MANIFEST, table)
        manifest = table.to_pandas()
        write_json(job.out_dir / SUMMARY, summarise(manifest))
        write_provenance(job.out_dir, _provenance(job, manifest))
        remove_tree(job.work_dir)


def _move(job: Job, number: int) -> None:
    """Move a shard's images and latents to where they stay."""
    shard = job.shard_dir(number)
    for half in ("real", "fake"):
        for image in sorted((shard / half).iterdir()):
            os.replace(image, job.out_dir / half / image.name)
    if (shard / LATENTS).exists():
        os.replace(shard / LATENTS, job.out_dir / latents.FOLDER / f"{shard.name}.safetensors")


def _provenance(job: Job, manifest: pd.DataFrame) -> dict[str, Any]:
    """Where a dataset comes from, in plain values."""
    versions = versions_used(job)
    source = {k: v for k, v in job.source.items() if k not in ("probes", "notes")}
    generator = {k: v for k, v in job.generator.items() if k not in ("path", "notes")}
    notes = [*job.source.get("notes", []), *job.generator.get("notes", []), *_notes(job, manifest)]
    return {
        "source": source,
        "generator": generator,
        "parameters": job.parameters(),
        "versions": versions[0],
        "notes": notes + ([f"Continued with other software: {versions[1:]}"] if len(versions) > 1 else []),
    }


def _notes(job: Job, manifest: pd.DataFrame) -> list[str]:
    """Plain sentences that a reader of the audit must see."""
    settings, notes = job.settings, []
    pairs = manifest[manifest["status"] == OK]
    invented = pairs["border_share"].mean()
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
        alone = int(pairs["detail"].str.endswith(latents.UNMIXED).sum())
        notes.append(
            f"Fine styles were mixed by {settings.style_mix:.0%} with those of another person of the same "
            f"age, gender and race in the shard; {alone} of {len(pairs)} pairs stayed as they were, for want "
            "of one."
        )
    if job.kind == "latents":
        notes.append("Fakes were decoded again from saved latents, without the photos.")
    return notes


def dataset_size_bytes(folder: Path) -> int:
    """How much a finished dataset takes on disk, in bytes."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
