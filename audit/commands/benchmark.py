"""`audit benchmark`, `audit cross-table`: detectors x data sets, kinds trained on x kinds tested on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.commands import run_options as of
from audit.commands.common import (
    BatchSize,
    CpusPerWorker,
    Device,
    Engine,
    GpusPerWorker,
    Json,
    Overwrite,
    Quiet,
    RayAddress,
    RayWorkers,
    Seed,
    cluster_from,
    complete_arch,
    find_pairs,
    require_detectors,
    require_folder,
    say,
    show,
)
from audit.commands.score import TRUST_HELP
from audit.commands.train import shares
from pipelines.extras import require

if TYPE_CHECKING:
    from audit.schema.benchmark import BenchmarkCell


def benchmark(
    context: typer.Context,
    detector: Annotated[
        list[str],
        typer.Option(
            help="A detector's file, or module:factory; repeat. What a foreign file does not say itself "
            "stands in NAME.toml beside it.",
            metavar="FILE",
        ),
    ],
    data: Annotated[
        list[Path],
        typer.Option(help="A pairs dataset, an image folder or a table of images; repeat.", metavar="PATH"),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.", metavar="DIR")] = Path("benchmark"),
    threshold: Annotated[float, typer.Option(help="Fake if score >= this.", metavar="NUMBER")] = 0.5,
    confidence: Annotated[float, typer.Option(help="Of every interval.", metavar="SHARE")] = 0.95,
    unit_column: of.UnitColumn = None,
    independent: of.Independent = False,
    shortcuts: Annotated[
        bool,
        typer.Option("--shortcuts", help="Say how well files alone tell real from fake on each set."),
    ] = False,
    stress: Annotated[
        list[str] | None,
        typer.Option(
            help="Say how far this transformation, such as jpeg, raises errors; repeat.", metavar="NAME"
        ),
    ] = None,
    trust: Annotated[list[str] | None, typer.Option(help=f"{TRUST_HELP} Repeat.", metavar="SHA256")] = None,
    device: Device = "auto",
    batch_size: BatchSize = 32,
    engine: Engine = "local",
    ray_address: RayAddress = None,
    workers: RayWorkers = None,
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score every set with every detector; write benchmark.json, benchmark.csv and the scores.

    Photos a detector was trained on are left out of its own numbers.
    """
    require_detectors("audit benchmark", detector)
    from audit.config import AuditConfig
    from audit.runs.detector_benchmark import benchmark as run
    from audit.schema.benchmark import TABLE_FILE
    from reports.pages.benchmark_page import write_benchmark_page

    require_folder(out)
    cluster = cluster_from(context, engine, device, ray_address, workers, cpus_per_worker, gpus_per_worker)
    config = AuditConfig(
        threshold=threshold, confidence=confidence, unit_column=unit_column, independent=independent
    )
    result = run(
        detector, data, out, config, device=device, batch_size=batch_size, progress=not quiet,
        overwrite=overwrite, trust=trust or (), shortcuts=shortcuts, transformations=stress or (),
        cluster=cluster,
    )  # fmt: skip
    page = write_benchmark_page(out)
    if as_json:
        print(result.to_json(), end="")
    elif not quiet:
        show("\n".join([*map(_line, result.cells), f"table: {out / TABLE_FILE}", f"page: {page}"]))


def _line(cell: BenchmarkCell) -> str:
    from audit.schema.benchmark import of_training

    m, known = cell.measures, of_training(cell)
    known = "trained on another part of it" if cell.seen_in_training else known
    own = f" ({known})" if known else ""
    return (
        f"{cell.detector} on {cell.dataset}{own}: accuracy {m.accuracy:.3f}, AUC {m.auc:.3f} "
        f"[{m.auc_interval[0]:.3f}, {m.auc_interval[1]:.3f}], EER {m.eer:.3f}, "
        f"FPR {m.fpr:.3f}, FNR {m.fnr:.3f}, n {m.n_real} + {m.n_fake}"
    )


DATA, TRAINING = "Data", "Training"
Kinds = Annotated[
    Path | None,
    typer.Option(
        help="A pairs dataset with two or more kinds of fake. Default: ./pairs.", metavar="DIR",
        rich_help_panel=DATA,
    ),
]  # fmt: skip
Fractions = Annotated[
    str,
    typer.Option(
        help="Shares of the photos that train, choose the epoch and are held out.", metavar="A,B,C",
        rich_help_panel=DATA,
    ),
]  # fmt: skip
Arch = Annotated[
    str,
    typer.Option(
        help="simplenet, resnet18 ...; `audit train --arch list` shows all.", metavar="NAME",
        autocompletion=complete_arch, rich_help_panel=TRAINING,
    ),
]  # fmt: skip
Epochs = Annotated[
    int, typer.Option(min=1, help="Of each training.", metavar="COUNT", rich_help_panel=TRAINING)
]
LearningRate = Annotated[
    float, typer.Option(help="Of each training.", metavar="RATE", rich_help_panel=TRAINING)
]
Imagenet = Annotated[
    bool, typer.Option(help="Start from ImageNet weights where they can be had.", rich_help_panel=TRAINING)
]
SizePx = Annotated[
    int | None,
    typer.Option(
        min=32, help="Input size; by default the architecture's.", metavar="PIXELS", rich_help_panel=TRAINING
    ),
]
StepSize = Annotated[
    int, typer.Option(min=1, help="Images per step.", metavar="IMAGES", rich_help_panel=TRAINING)
]


def cross_table(
    pairs: Kinds = None,
    arch: Arch = "simplenet",
    out: Annotated[Path, typer.Option(help="Folder for the results.", metavar="DIR")] = Path("cross-table"),
    epochs: Epochs = 10,
    batch_size: StepSize = 32,
    learning_rate: LearningRate = 1e-3,
    imagenet: Imagenet = True,
    size_px: SizePx = None,
    fractions: Fractions = "0.6,0.1,0.3",
    threshold: Annotated[float, typer.Option(help="Fake if score >= this.", metavar="NUMBER")] = 0.5,
    confidence: Annotated[float, typer.Option(help="Of every interval.", metavar="SHARE")] = 0.95,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a detector on each kind of fake and on all kinds; try each on every kind of held-out photos.

    Shows what a detector learned of one kind is worth on another, and whether training on all kinds helps.
    Photos are dealt out whole, and every training sees the same ones. Writes cross-table.html,
    cross-table.json, cross-table.csv and the detectors; an interrupted run continues with the same command,
    finished trainings are kept.
    """
    require("audit cross-table", "images", "train")
    from audit.config import AuditConfig
    from audit.runs.cross_table import cross_table as run
    from audit.schema.cross_table import CROSS_CSV
    from detectors.training.settings import Settings
    from reports.pages.cross_table_page import write_cross_table_page
    from reports.text.cross_table_text import headline, lines

    require_folder(out)
    settings = Settings(
        epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, imagenet=imagenet, size_px=size_px,
        fractions=shares(fractions), seed=seed,
    )  # fmt: skip
    result = run(
        find_pairs(pairs), out, AuditConfig(threshold=threshold, confidence=confidence), arch=arch,
        settings=settings, device=device, overwrite=overwrite, progress=not quiet, say=say,
    )  # fmt: skip
    page = write_cross_table_page(out)
    if as_json:
        print(result.to_json(), end="")
    elif not quiet:
        show("\n".join([headline(result), *lines(result), f"table: {out / CROSS_CSV}", f"page: {page}"]))
