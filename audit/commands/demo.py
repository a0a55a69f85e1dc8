"""`audit demo`: the main job from end to end, each step printed as a command to copy.

Why the steps are real command lines run in this process: what the reader sees is what would be typed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from audit.commands.common import (
    Overwrite,
    Seed,
    chosen_from,
    command_line,
    complete,
    console,
    is_typed,
    refuse_typed,
    show,
    typed,
)
from audit.commands.train import TASKS
from pipelines.extras import require

KINDS = ("small", "swap", "self-blend")
"""Of fake: whether a gap is the people's or the generator's can only be told with several."""
N_PHOTOS = 600
"""Drawn or taken from FairFace: enough for a verdict or two, and a coffee's time on two cores."""


def demo(
    context: typer.Context,
    task: Annotated[
        str,
        typer.Option(
            help="fake-face, or speaker-verification: synthetic voices (espeak-ng), trials, a verifier, its "
            "audit.",
            metavar="NAME",
            callback=chosen_from(TASKS),
            autocompletion=complete(TASKS),
        ),
    ] = "fake-face",
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.", metavar="DIR")] = Path(
        "demo"
    ),
    fairface: Annotated[
        Path | None,
        typer.Option(
            help="Real labelled photos in FairFace's layout; without, faces are drawn.", metavar="DIR"
        ),
    ] = None,
    photos: Annotated[
        int, typer.Option(min=126, help="How many photos to draw, or to take.", metavar="COUNT")
    ] = N_PHOTOS,
    epochs: Annotated[
        int, typer.Option(min=1, help="Of the training; eight leave errors to audit.", metavar="COUNT")
    ] = 8,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Faces, pairs, a detector, its audit, what would help, and the report, in two minutes on two cores.

    Without --fairface the faces are drawn by the program: the numbers then say nothing about people.
    """
    if task == "speaker-verification":
        from audit.commands.voices.demo import EPOCHS, demo_voices

        refuse_typed(
            context, {"fairface": "--fairface", "photos": "--photos"},
            "is for faces, and does not go with --task speaker-verification",
        )  # fmt: skip
        demo_voices(out, epochs if is_typed(context, "epochs") else EPOCHS, seed, overwrite)
        return
    require("audit demo", "images", "train")
    from pipelines.rendered import render_population

    started, source = time.time(), fairface or out / "rendered"
    if fairface is None:
        console.print(f"Drawing {photos} labelled faces (rendered, not photographed) in {source} ...")
        n_val = photos // 10
        render_population(source, n_train=photos - n_val, n_val=n_val, seed=seed)
    pairs, detector, run = out / "pairs", out / "spectrum.pt", out / "run"
    again = ["--overwrite"] if overwrite else []
    steps = [
        ["generate-pairs", "--fairface", source, "--out", pairs, "--limit", photos, "--seed", seed,
         *(word for kind in KINDS for word in ("--generator", kind))],
        ["train", "--arch", "spectrum", "--data", pairs, "--out", detector, "--epochs", epochs,
         "--learning-rate", 0.005, "--seed", seed, "--fractions", "0.4,0.1,0.5", *again],
        ["run", "--detector", detector, "--pairs", pairs, "--out", run, "--seed", seed, *again],
    ]  # fmt: skip
    if detector.exists() and not overwrite:
        console.print(f"{detector} is there already and is used again; --overwrite trains anew.")
        del steps[1]
    for step in steps:
        run_step([str(word) for word in step])
    _look_for_a_cure(run)
    console.print(f"Done in {time.time() - started:.0f} s.")
    show(f"Open the report: {(run / 'report.html').resolve()}")


def _look_for_a_cure(run: Path) -> None:
    """The last step, where `audit run` saw no disparity and did not look.

    A small demo may have too few images for two parts, and that is no failure.
    """
    from audit.errors import MitigationError
    from audit.schema.mitigation import MITIGATION_FILE

    if (run / MITIGATION_FILE).is_file():
        return
    try:
        run_step(["mitigate", str(run)])
    except MitigationError as error:
        console.print(f"No cure was looked for: {error}", markup=False)


def run_step(arguments: list[str]) -> None:
    """Print a command line and run it in this process."""
    from audit.cli import app

    console.print(f"\n$ {command_line(arguments)}", style="bold", markup=False)
    with typed(arguments):
        app(arguments, standalone_mode=False)
