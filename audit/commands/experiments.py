"""`audit experiments`, `audit sweep`: trainings side by side, and a search for better ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit.commands.common import (
    PAIRS_PLACE,
    Device,
    Seed,
    complete_arch,
    require_file,
    require_folder,
    say,
    show,
)
from pipelines.extras import require


def experiments(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="A folder to list, or two and more trainings (.pt or .training.json) to compare.",
            metavar="PATH...",
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Also write the table to this file.", metavar="FILE")
    ] = None,
) -> None:
    """List the trainings below a folder, best first; or show where given trainings differ."""
    from detectors.training.experiments import compare_experiments, list_experiments
    from pipelines.csv_text import frame_text
    from pipelines.storage import write_text

    if csv is not None:
        require_file(csv)
    given = paths or [Path()]
    listing = len(given) == 1 and given[0].is_dir()
    table = list_experiments(given[0]) if listing else compare_experiments(given)
    show(table.to_string(index=not listing, float_format=lambda value: f"{value:.4g}"))
    if csv is not None:
        write_text(csv, frame_text(table, index=not listing))


def sweep(
    arch: Annotated[
        str,
        typer.Option(
            help="Architecture, as for `audit train`.", metavar="NAME", autocompletion=complete_arch
        ),
    ] = "simplenet",
    data: Annotated[
        Path, typer.Option(help="Labelled images, as for `audit train`.", metavar="PATH")
    ] = PAIRS_PLACE,
    out: Annotated[
        Path, typer.Option(help="Folder for checkpoints, records and the study.", metavar="DIR")
    ] = Path("sweep"),
    trials: Annotated[
        int, typer.Option(min=1, help="Finished trials wanted, earlier ones included.", metavar="COUNT")
    ] = 20,
    epochs: Annotated[int, typer.Option(min=1, help="Of each trial.", metavar="COUNT")] = 10,
    storage: Annotated[
        str | None,
        typer.Option(help="Database URL shared by several machines. Default: OUT/sweep.db.", metavar="URL"),
    ] = None,
    size_px: Annotated[
        int | None, typer.Option(min=32, help="Input size; by default the architecture's.", metavar="PIXELS")
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Search hyperparameters by validation accuracy; the same command again continues."""
    require("audit sweep", "images", "train")
    from detectors.training.settings import Settings
    from detectors.training.sweep import sweep as run

    require_folder(out)
    settings = Settings(epochs=epochs, size_px=size_px, seed=seed)
    table = run(
        arch, data, out, trials, settings, storage=storage, device=device,
        say=say,
    )  # fmt: skip
    show(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    show(f"best: {out / 'best.pt'}")
