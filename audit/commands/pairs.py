"""`audit generate-pairs` and its relatives: labelled photos to matched pairs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.commands.common import (
    PAIRS_PLACE,
    WORK,
    BatchSize,
    Device,
    Engine,
    Quiet,
    RayAddress,
    Seed,
    chosen_from,
    complete,
    console,
    find_fairface,
    show,
)
from pipelines.extras import require
from pipelines.visible import visible

if TYPE_CHECKING:
    from pipelines.jobs.generation import PairsPlan, PairsSummary

PRECISIONS, FORMS = ("auto", "float32", "bfloat16"), ("parquet",)
Generators = Annotated[
    list[str],
    typer.Option(
        "--generator",
        help="A kind of fake; repeat it for several of each photo. small (embedded network), a pSp "
        "checkpoint such as psp_ffhq_encode.pt, swap, self-blend, vae:FOLDER, or module:factory, which runs "
        "your code.",
        metavar="KIND", autocompletion=complete(("small", "swap", "self-blend", "vae:")),
    ),
]  # fmt: skip
Finish = Annotated[
    str | None,
    typer.Option(
        help="How both halves are written: source (the default: its photo's JPEG tables), jpeg=Q, or png.",
        metavar="FORMAT", autocompletion=complete(("source", "jpeg=90", "png")),
    ),
]  # fmt: skip
Out = Annotated[Path, typer.Option(help="The pairs dataset's folder.", metavar="DIR")]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Worker processes; by default one a core, or four a GPU.",
        metavar="COUNT",
        rich_help_panel=WORK,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        help="float32, bfloat16, or auto: bfloat16 where it is native and the fakes stay.",
        metavar="NAME",
        callback=chosen_from(PRECISIONS),
        autocompletion=complete(PRECISIONS),
        rich_help_panel=WORK,
    ),
]
Compiled = Annotated[
    bool,
    typer.Option(
        "--compile/--no-compile",
        help="Fuse the generator with torch.compile: a minute at the start; needs a C++ compiler.",
        rich_help_panel=WORK,
    ),
]
Truncation = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Less than 1 draws fakes towards the average face, its skin colour included.",
        metavar="SHARE",
    ),
]
StyleMix = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Share of fine styles taken from another person of the same age, gender and race in the shard; "
        "larger shards hold more of them.",
        metavar="SHARE",
    ),
]
SizePx = Annotated[
    int | None,
    typer.Option(min=32, help="Side of both halves; by default the generator's crop.", metavar="PIXELS"),
]
ShardSize = Annotated[
    int,
    typer.Option(min=1, help="Photos finished and written together.", metavar="PHOTOS", rich_help_panel=WORK),
]


def generate_pairs(
    fairface: Annotated[
        Path | None,
        typer.Option(
            help="FairFace's folder, with its label tables or the hub's Parquet files. Default: ./fairface, "
            "./FairFace or ./data/fairface.",
            metavar="DIR",
        ),
    ] = None,
    utkface: Annotated[
        Path | None,
        typer.Option(help="Instead of FairFace: UTKFace's folder, labels in its file names.", metavar="DIR"),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            help="Instead of FairFace: a CSV or Parquet table of image paths or bytes, with age, gender or "
            "race.",
            metavar="TABLE",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="With --photos: which column is what, such as race=ethnicity; roles are image, age, gender, "
            "race, id.",
            metavar="ROLE=COLUMN",
        ),
    ] = None,
    out: Out = PAIRS_PLACE,
    generator: Generators = ["small"],  # noqa: B006 (typer reads it, nobody changes it)
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most N photos, balanced over age, gender and race.", metavar="N"),
    ] = None,
    per_cell: Annotated[
        int | None, typer.Option(min=1, help="At most N photos of each age, gender and race.", metavar="N")
    ] = None,
    device: Device = "auto",
    batch_size: BatchSize = 16,
    seed: Seed = 0,
    size_px: SizePx = None,
    shard_size: ShardSize = 200,
    precision: Precision = "auto",
    compiled: Compiled = False,
    truncation: Truncation = 1.0,
    style_mix: StyleMix = 0.0,
    finish: Finish = None,
    engine: Engine = "local",
    workers: Workers = None,
    ray_address: RayAddress = None,
    from_latents: Annotated[
        Path | None,
        typer.Option(help="Decode a finished dataset's latents again; no photos needed.", metavar="DIR"),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Make a few, print the plan, its disk need and time; write nothing."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Make fakes of every labelled photo, of one kind or several: matched pairs to audit a detector on.

    Interrupted, the same command continues where it stopped. Photos that give no pair stay in the
    manifest with their reason.
    """
    require("audit generate-pairs", "images", *(["ray"] if engine == "ray" else []))
    from pipelines.generators.psp.model import keep_memory
    from pipelines.jobs.generation import plan_pairs, run_job
    from pipelines.jobs.plans import labelled_photos, pairs_job
    from pipelines.sources.photo_table import parse_columns

    if not (from_latents or utkface or photos):
        fairface = find_fairface(fairface)
    source = labelled_photos(fairface, utkface, photos, parse_columns(column or []))
    job = pairs_job(
        source, out, generator, from_latents=from_latents,
        limit=limit, per_cell=per_cell, size_px=size_px, finish=finish, device=device, batch_size=batch_size,
        seed=seed, shard_size=shard_size, precision=precision, compiled=compiled, truncation=truncation,
        style_mix=style_mix, elsewhere=engine == "ray",
    )  # fmt: skip
    keep_memory()
    known = [note for about in job.generators for note in about["notes"]]
    _print_notes(known)
    if dry_run:
        _print_plan(plan_pairs(job, workers))
    else:
        _print_summary(run_job(job, engine, workers, ray_address, progress=not quiet), known, quiet)


def import_pairs(
    real: Annotated[Path, typer.Argument(help="Folder of real photos.", metavar="REAL_DIR")],
    fake: Annotated[Path, typer.Argument(help="Folder of fakes, named like the reals.", metavar="FAKE_DIR")],
    labels: Annotated[Path, typer.Argument(help="CSV: file, age, gender, race.", metavar="LABELS.csv")],
    out: Out = PAIRS_PLACE,
    name: Annotated[
        str, typer.Option(help="What made the fakes, for the report.", metavar="NAME")
    ] = "imported",
    size_px: Annotated[
        int | None,
        typer.Option(
            min=32, help="Bring both halves to this side; by default each keeps its own.", metavar="PIXELS"
        ),
    ] = None,
    any_labels: Annotated[
        bool, typer.Option("--any-labels", help="Accept label words that FairFace does not know.")
    ] = False,
    device: Device = "auto",
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Make a pairs dataset of pairs that exist already, from any generator."""
    require("audit import-pairs", "images")
    from pipelines.jobs.importing import import_pairs as run

    made = run(
        real, fake, labels, out, generator_name=name, size_px=size_px, any_labels=any_labels,
        device=device, workers=workers, progress=not quiet,
    )  # fmt: skip
    _print_summary(made, quiet=quiet)


def export_pairs(
    pairs: Annotated[Path, typer.Argument(help="A finished pairs dataset.", metavar="PAIRS")] = PAIRS_PLACE,
    out: Annotated[Path, typer.Option(help="A new folder.", metavar="DIR")] = Path("published"),
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="parquet: the hub's form, with a card.",
            metavar="FORM",
            callback=chosen_from(FORMS),
        ),
    ] = "parquet",
    quiet: Quiet = False,
) -> None:
    """Write a pairs dataset as Parquet files with the images inside, which `datasets.load_dataset` opens.

    Nothing is left out: audit unpack-pairs makes the dataset again, the same bytes in every file.
    """
    require("audit export-pairs", "images")
    from pipelines.dataset.hub_form import export_pairs as run

    made = run(pairs, out)
    if not quiet:
        show(
            f"{_of(made.n_images, 'image')} in {_of(made.n_files, 'Parquet file')}, with card and record, in "
            f"{made.folder}"
        )


def unpack_pairs(
    published: Annotated[Path, typer.Argument(help="A folder that export-pairs wrote.", metavar="DIR")],
    out: Out = PAIRS_PLACE,
    quiet: Quiet = False,
) -> None:
    """Make a pairs dataset again from the Parquet files that export-pairs wrote."""
    require("audit unpack-pairs", "images")
    from pipelines.dataset.hub_form import unpack_pairs as run

    made = run(published, out)
    if not quiet:
        show(f"{_of(made.n_images, 'image')} from {_of(made.n_files, 'Parquet file')} in {made.folder}")


def _of(n: int, thing: str) -> str:
    """A number of things: "1 pair", "2 pairs"."""
    return f"{n} {thing}{'' if n == 1 else 's'}"


def _print_summary(made: PairsSummary, known: Collection[str] = (), quiet: bool = False) -> None:
    from pipelines.dataset.manifest import OK

    if quiet:
        return
    there = "was there already" if made.n_pairs == 1 else "were there already"
    state = there if made.was_complete else "made"
    show(f"{_of(made.n_pairs, 'pair')} of {_of(made.n_attempted, 'photo')} {state} in {made.out_dir}")
    for kind, counts in made.by_kind.items():
        several = f"{kind}: " if len(made.by_kind) > 1 else ""
        if several:
            show(f"  {kind}: {_of(counts[OK], 'pair')}")
        for reason, n in counts.items():
            if reason != OK:
                show(f"  {several}{n} without a pair: {reason}")
    _print_notes(note for note in made.notes if note not in known)


def _print_notes(notes: Iterable[str]) -> None:
    for note in notes:
        console.print(f"Note: {visible(note)}", style="yellow", markup=False)


def _print_plan(plan: PairsPlan) -> None:
    hours, seconds = divmod(round(plan.seconds), 3600)
    show(
        f"{_of(plan.n_photos, 'photo')} in {_of(plan.n_shards, 'shard')}, "
        f"{_of(plan.n_finished, 'photo')} finished"
    )
    show(f"generator {plan.generator}, {plan.size_px} px, {_of(plan.n_workers, 'worker')} on {plan.device}")
    show(f"tried {_of(plan.n_tried, 'photo')}: {plan.n_tried_paired} gave a pair")
    free = "in the store" if plan.free_bytes is None else f"of {plan.free_bytes / 1e6:,.0f} MB free"
    show(f"disk: {plan.disk_bytes / 1e6:,.0f} MB {free}")
    show(f"time left: {hours} h {seconds // 60} min {seconds % 60} s")
