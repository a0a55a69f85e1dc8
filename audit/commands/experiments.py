"""`audit experiments`, `audit sweep`: trainings side by side, and a search for better ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.commands.common import (
    PAIRS_PLACE,
    Device,
    Json,
    NothingThere,
    Quiet,
    Seed,
    complete_arch,
    require_file,
    require_folder,
    say,
    show,
)
from audit.commands.run_options import DATA, OUTPUT
from pipelines.extras import require

if TYPE_CHECKING:
    import pandas as pd

SEARCH = "Search"
"""Title of the panel of a search's own options."""


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
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the trainings below a folder, or show where given trainings differ.

    Trainings are ranked only among those with the same held-out images; each such set is a table of its own.
    """
    from detectors.training.experiments import compare_experiments, list_experiments
    from pipelines.csv_text import frame_text
    from pipelines.storage import write_text

    if csv is not None:
        require_file(csv)
    given = paths or [Path()]
    if len(given) == 1 and not given[0].exists():
        raise NothingThere(f"no folder of trainings at {given[0]}, nor a training: name what lies there")
    listing = len(given) == 1 and given[0].is_dir()
    table = list_experiments(given[0]) if listing else compare_experiments(given)
    if as_json:
        print(table.to_json(orient="records" if listing else "columns", indent=2))
    elif listing and not quiet:
        _show_by_held_out_set(table)
    elif not quiet:
        show(table.to_string(float_format=lambda value: f"{value:.4g}"))
        if "held_out_set" in table.index and table.loc["held_out_set"].nunique() > 1:
            say("warning: the held-out images differ, so these accuracies do not rank the detectors")
    if csv is not None:
        write_text(csv, frame_text(table, index=not listing))


def _show_by_held_out_set(table: pd.DataFrame) -> None:
    """One table for each set of held-out images, headed by the data's name."""
    for (data, held_out), part in table.groupby(["data", "held_out_set"], sort=False):
        n = int(part["held_out_images"].max())
        title = f"Held-out images of {data} ({n:,} images, set {held_out}):"
        show(title if n else f"{data}, no image held out:")
        one_set = part.drop(columns=["data", "held_out_set", "held_out_images", "fingerprint"])
        show(one_set.to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.4g}"))
        show("")


def sweep(
    arch: Annotated[
        str,
        typer.Option(
            help="Architecture, as for `audit train`.",
            metavar="NAME",
            autocompletion=complete_arch,
            rich_help_panel=SEARCH,
        ),
    ] = "simplenet",
    data: Annotated[
        Path,
        typer.Option(help="Labelled images, as for `audit train`.", metavar="PATH", rich_help_panel=DATA),
    ] = PAIRS_PLACE,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for checkpoints, records and the study.", metavar="DIR", rich_help_panel=OUTPUT
        ),
    ] = Path("sweep"),
    trials: Annotated[
        int,
        typer.Option(
            min=1,
            help="Finished trials wanted, earlier ones included.",
            metavar="COUNT",
            rich_help_panel=SEARCH,
        ),
    ] = 20,
    epochs: Annotated[
        int, typer.Option(min=1, help="Of each trial.", metavar="COUNT", rich_help_panel=SEARCH)
    ] = 10,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Database URL shared by several machines. Default: OUT/sweep.db.",
            metavar="URL",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    size_px: Annotated[
        int | None,
        typer.Option(
            min=32, help="Input size; by default the architecture's.", metavar="PIXELS", rich_help_panel=DATA
        ),
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search hyperparameters by validation accuracy; the same command again continues."""
    require("audit sweep", "images", "train")
    from detectors.training.settings import Settings
    from detectors.training.sweep import sweep as run

    require_folder(out)
    settings = Settings(epochs=epochs, size_px=size_px, seed=seed)
    table = run(
        arch, data, out, trials, settings, storage=storage, device=device, progress=not quiet, say=say,
    )  # fmt: skip
    if as_json:
        best = {"best": str(out / "best.pt"), "trials": json.loads(table.to_json(orient="records"))}
        print(json.dumps(best, indent=2))
    elif not quiet:
        show(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
        show(f"best: {out / 'best.pt'}")
