"""`audit generate-trials`: clips of voices to trials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit.commands.common import NothingThere, Overwrite, Quiet, Seed, command_line, console, show
from audit.commands.train import shares
from pipelines.extras import require
from pipelines.visible import visible

TRIALS_PLACE = Path("trials")
HEARD = "What is heard"
MADE = "Which trials"


def find_trials(given: Path | None) -> Path:
    """The trials: those given, or ./trials.

    Raises:
        NothingThere: there are none.
    """
    if given is None and not TRIALS_PLACE.is_dir():
        raise NothingThere(
            "no trials: looked in ./trials. Make them with `audit generate-trials`, or say --trials PATH"
        )
    return given or TRIALS_PLACE


def generate_trials(
    clips: Annotated[
        Path,
        typer.Argument(
            help="A folder of SPEAKER/CLIP.wav, VoxCeleb's with vox1_meta.csv, Common Voice's or its "
            "validated.tsv, or a table with path, speaker and labels.",
            metavar="CLIPS",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The trials folder.", metavar="DIR")] = TRIALS_PLACE,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="For plain folders: a table with speaker, gender ...; by default speakers.csv or labels.csv "
            "among the clips.",
            metavar="TABLE",
        ),
    ] = None,
    max_speakers: Annotated[
        int | None,
        typer.Option(
            min=2, help="Draw so many speakers; by default all.", metavar="COUNT", rich_help_panel=MADE
        ),
    ] = None,
    max_clips: Annotated[
        int, typer.Option(min=2, help="Draw so many clips of each.", metavar="COUNT", rich_help_panel=MADE)
    ] = 50,
    trials_per_speaker: Annotated[
        int, typer.Option(min=2, help="On average, in each part.", metavar="COUNT", rich_help_panel=MADE)
    ] = 60,
    hard_share: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Of the different pairs: both of the same value in every label.",
            metavar="SHARE",
            rich_help_panel=MADE,
        ),
    ] = 0.5,
    train_same_share: Annotated[
        float | None,
        typer.Option(
            help="Share of the same speaker in training; by default 37.26 to 62.26. Tests have one half.",
            metavar="SHARE",
            rich_help_panel=MADE,
        ),
    ] = None,
    fractions: Annotated[
        str,
        typer.Option(
            help="Shares of the speakers for train, valid and test; nobody is in two parts. 0,0,1: tests "
            "alone.",
            metavar="A,B,C",
            rich_help_panel=MADE,
        ),
    ] = "0.5,0.1,0.4",
    rate_hz: Annotated[
        int,
        typer.Option(help="Every clip is brought to it.", metavar="HERTZ", rich_help_panel=HEARD),
    ] = 16_000,
    n_samples: Annotated[
        int,
        typer.Option(
            help="Length of the window; shorter ones are left out.", metavar="COUNT", rich_help_panel=HEARD
        ),
    ] = 25_000,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads; by default one a processor.", metavar="COUNT")
    ] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Read clips of voices, look at each, and make trials: pairs of one speaker and of two.

    Every clip gets a row in clips.parquet, those that cannot be used with their reason.
    Interrupted, it begins anew: the folder is written when everything is known.
    """
    require("audit generate-trials", "voice")
    from detectors.progress import progress_bar
    from pipelines.voices.trial_lists import TRAIN_SAME_SHARE, TrialSettings
    from pipelines.voices.trials_folder import generate_trials as run
    from pipelines.voices.windows import Listening

    settings = TrialSettings(
        trials_per_speaker=trials_per_speaker, hard_share=hard_share, fractions=shares(fractions), seed=seed,
        train_same_share=TRAIN_SAME_SHARE if train_same_share is None else train_same_share,
    )  # fmt: skip
    made = run(
        clips, out, labels=labels, settings=settings, listening=Listening(rate_hz, n_samples),
        max_speakers=max_speakers, max_clips=max_clips, overwrite=overwrite, workers=workers,
        progress=lambda total: progress_bar("Looking at clips", total, not quiet),
    )  # fmt: skip
    if quiet:
        return
    parts = ", ".join(f"{n:,} {part}" for part, n in made.table["part"].value_counts(sort=False).items())
    show(f"{len(made.table):,} trials ({parts}) of {made.provenance['n_speakers']} speakers in {out}")
    for reason, n in made.n_left_out.items():
        show(f"  {n} clips left out: {reason}")
    for note in made.provenance["notes"]:
        console.print(f"Note: {visible(note)}", style="yellow", markup=False)
    if "train" in set(made.table["part"]):
        following = ["train", "--task", "speaker-verification", "--data", str(out)]
        show(f"next: {command_line(following)}")
