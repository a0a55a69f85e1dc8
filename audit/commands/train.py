"""`audit train`: a detector from labelled images, or a speaker verifier from trials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit.commands.common import (
    PAIRS_PLACE,
    Device,
    Overwrite,
    Quiet,
    Seed,
    chosen_from,
    command_line,
    complete,
    complete_arch,
    is_typed,
    refuse_typed,
    require_file,
    say,
    show,
)
from pipelines.extras import require

OPTIMISERS = ("adamw", "adam", "sgd")
SCHEDULES = ("cosine", "step", "exponential", "none")
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
FACES = ("as is", "crop", "level")
FAIR = ("none", "reweight", "resample", "dag", "daw", "group-dro", "adversarial")
TASKS = ("fake-face", "speaker-verification")
FOR_IMAGES = {
    "group_by": "--group-by", "head_factor": "--head-factor", "freeze_body": "--freeze-body",
    "imagenet": "--imagenet", "augment": "--augment", "size_px": "--size-px", "face": "--face",
    "gray": "--gray", "by_kind": "--by-kind", "fair": "--fair", "fair_by": "--fair-by",
    "augment_data": "--augment-data", "fractions": "--fractions",
}  # fmt: skip
"""Options that mean nothing to a verifier of voices, as typed."""
FOR_ALL = (
    "epochs", "batch_size", "optimiser", "learning_rate", "schedule", "weight_decay", "label_smoothing",
    "precision", "patience", "devices", "seed",
)  # fmt: skip
"""Options that mean the same to both; a verifier has its own defaults."""
DATA, TRAINING, INPUT, FAIRNESS = "Data", "Training", "Input of the network", "Fairness"

Arch = Annotated[
    str,
    typer.Option(
        help="simplenet, resnet50 ...; `audit train --arch list` shows all.", metavar="NAME",
        autocompletion=complete_arch,
    ),
]  # fmt: skip
Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data", "--pairs",
        help="A pairs dataset, a folder with real/ and fake/ (also below train/, valid/, test/), or a table; "
        "repeat to combine, with =WEIGHT. Default: ./pairs.",
        metavar="PATH", rich_help_panel=DATA,
    ),
]  # fmt: skip
TaskOption = Annotated[
    str,
    typer.Option(
        "--task",
        help="fake-face, or speaker-verification: --arch is then alexnet-pair, resnet-pair or siamese (the "
        "default), --data a trials folder (./trials), and what is not said has the architecture's own value.",
        metavar="NAME", callback=chosen_from(TASKS), autocompletion=complete(TASKS),
    ),
]  # fmt: skip
RandomSplit = Annotated[
    bool,
    typer.Option(
        "--random-split",
        help="With --task speaker-verification: train a second time with trials instead of speakers dealt to "
        "the parts, to say what that would flatter.",
        rich_help_panel=DATA,
    ),
]  # fmt: skip
GroupBy = Annotated[
    str | None,
    typer.Option(
        help="What may not straddle the split: a regular expression on the name, column=NAME or runs=K. "
        "Trains a second time, on a random split, to say what that would flatter.",
        metavar="RULE", rich_help_panel=DATA,
    ),
]  # fmt: skip
Fractions = Annotated[
    str,
    typer.Option(help="Shares of train, valid and held-out test.", metavar="A,B,C", rich_help_panel=DATA),
]
ByKind = Annotated[
    bool, typer.Option("--by-kind", help="One class for each kind of fake.", rich_help_panel=DATA)
]
Out = Annotated[Path | None, typer.Option(help="The detector's file; by default ARCH.pt.", metavar="FILE")]
Epochs = Annotated[
    int,
    typer.Option(min=1, help="Passes over the training part.", metavar="COUNT", rich_help_panel=TRAINING),
]
StepSize = Annotated[
    int, typer.Option(min=1, help="Images per step.", metavar="IMAGES", rich_help_panel=TRAINING)
]
LearningRate = Annotated[
    float,
    typer.Option(
        help="Of the head; of everything, from random weights.", metavar="RATE", rich_help_panel=TRAINING
    ),
]
Optimiser = Annotated[
    str,
    typer.Option(
        help="adamw, adam or sgd.", metavar="NAME", callback=chosen_from(OPTIMISERS),
        autocompletion=complete(OPTIMISERS), rich_help_panel=TRAINING,
    ),
]  # fmt: skip
Schedule = Annotated[
    str,
    typer.Option(
        help="cosine, step, exponential or none.", metavar="NAME", callback=chosen_from(SCHEDULES),
        autocompletion=complete(SCHEDULES), rich_help_panel=TRAINING,
    ),
]  # fmt: skip
WeightDecay = Annotated[float, typer.Option(help="L2 penalty.", metavar="NUMBER", rich_help_panel=TRAINING)]
HeadFactor = Annotated[
    float,
    typer.Option(help="How many times faster the head learns.", metavar="NUMBER", rich_help_panel=TRAINING),
]
FreezeBody = Annotated[
    bool, typer.Option("--freeze-body", help="Train the head alone.", rich_help_panel=TRAINING)
]
Imagenet = Annotated[
    bool,
    typer.Option(help="Start from ImageNet weights where they can be had.", rich_help_panel=TRAINING),
]
LabelSmoothing = Annotated[
    float,
    typer.Option(help="Share of the target spread out.", metavar="SHARE", rich_help_panel=TRAINING),
]
Precision = Annotated[
    str,
    typer.Option(
        help="auto, 32-true, bf16-mixed or 16-mixed.", metavar="NAME", callback=chosen_from(PRECISIONS),
        autocompletion=complete(PRECISIONS), rich_help_panel=TRAINING,
    ),
]  # fmt: skip
Patience = Annotated[
    int,
    typer.Option(
        min=0, help="Stop after N epochs without a better one; 0: never.", metavar="EPOCHS",
        rich_help_panel=TRAINING,
    ),
]  # fmt: skip
Devices = Annotated[
    int,
    typer.Option(
        min=1, help="Graphics processors to share the work.", metavar="COUNT", rich_help_panel=TRAINING
    ),
]
Augment = Annotated[
    list[str] | None,
    typer.Option(help="flip, rotate, jpeg, blur ...; repeat.", metavar="NAME", rich_help_panel=INPUT),
]
SizePx = Annotated[
    int | None,
    typer.Option(
        min=32, help="Input size; by default the architecture's.", metavar="PIXELS", rich_help_panel=INPUT
    ),
]
Face = Annotated[
    str,
    typer.Option(
        help="'as is' for face crops; crop or level to look for the face first.", metavar="HOW",
        callback=chosen_from(FACES), autocompletion=complete(FACES), rich_help_panel=INPUT,
    ),
]  # fmt: skip
Gray = Annotated[bool, typer.Option("--gray", help="Look at luminance alone.", rich_help_panel=INPUT)]
FairMethod = Annotated[
    str,
    typer.Option(
        "--fair",
        help="reweight, resample, dag, daw, group-dro or adversarial: a way of training that looks at "
        "groups, or at the worst-treated images. Which of them helps is for `audit compare` to say.",
        metavar="METHOD", callback=chosen_from(FAIR), autocompletion=complete(FAIR), rich_help_panel=FAIRNESS,
    ),
]  # fmt: skip
FairBy = Annotated[
    list[str] | None,
    typer.Option(
        help="Column whose intersections are the groups of --fair; repeat. Default: all attributes but age.",
        metavar="COLUMN", rich_help_panel=FAIRNESS,
    ),
]  # fmt: skip
AugmentData = Annotated[
    list[str] | None,
    typer.Option(
        help="Images added to the training part alone, WEIGHT times what --data counts; repeat. Photos held "
        "out there stay out.",
        metavar="DIR=WEIGHT", rich_help_panel=FAIRNESS,
    ),
]  # fmt: skip


def train(
    context: typer.Context,
    arch: Arch = "resnet50",
    task: TaskOption = "fake-face",
    data: Data = None,
    group_by: GroupBy = None,
    random_split: RandomSplit = False,
    out: Out = None,
    epochs: Epochs = 10,
    batch_size: StepSize = 32,
    learning_rate: LearningRate = 1e-3,
    optimiser: Optimiser = "adamw",
    schedule: Schedule = "cosine",
    weight_decay: WeightDecay = 1e-2,
    head_factor: HeadFactor = 10.0,
    freeze_body: FreezeBody = False,
    imagenet: Imagenet = True,
    augment: Augment = None,
    size_px: SizePx = None,
    face: Face = "as is",
    gray: Gray = False,
    by_kind: ByKind = False,
    fair: FairMethod = "none",
    fair_by: FairBy = None,
    augment_data: AugmentData = None,
    fractions: Fractions = "0.6,0.1,0.3",
    label_smoothing: LabelSmoothing = 0.0,
    precision: Precision = "auto",
    patience: Patience = 0,
    device: Device = "auto",
    devices: Devices = 1,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Train a detector; both halves of a pair stay in one part, and a held-out part is kept for the audit.

    The checkpoint remembers which source photos it learned from: `audit run` leaves those out. With --task
    speaker-verification it is a verifier, and speakers are what stays in one part.
    """
    if task == "speaker-verification":
        from audit.commands.voices.verifier import train_verifier

        refuse_typed(context, FOR_IMAGES, "is for images, and does not go with --task speaker-verification")
        settings = {name: context.params[name] for name in FOR_ALL if is_typed(context, name)}
        train_verifier(
            arch if is_typed(context, "arch") else None, data, out, settings, random_split=random_split,
            device=device, overwrite=overwrite, quiet=quiet,
        )  # fmt: skip
        return
    refuse_typed(context, {"random_split": "--random-split"}, "goes with --task speaker-verification")
    require("audit train", "images", "train")
    from detectors.api import train as run

    if arch == "list":
        print("\n".join(complete_arch("")))
        return
    sets = data or [str(PAIRS_PLACE)]
    require_file(out or Path(f"{arch}.pt"))
    path = run(
        arch, sets, out, group_by=group_by, device=device, overwrite=overwrite, progress=not quiet, say=say,
        epochs=epochs, batch_size=batch_size, optimiser=optimiser, learning_rate=learning_rate,
        head_factor=head_factor, weight_decay=weight_decay, schedule=schedule, freeze_body=freeze_body,
        imagenet=imagenet, augment=tuple(augment) if augment is not None else ("flip",), size_px=size_px,
        face=face, gray=gray, by_kind=by_kind, fair=fair, fair_by=tuple(fair_by or ()),
        augment_data=augment_data or (), fractions=shares(fractions), label_smoothing=label_smoothing,
        precision=precision, patience=patience, devices=devices, seed=seed,
    )  # fmt: skip
    from reports.pages.training_page import write_training_page

    page = write_training_page(path)
    if not quiet:
        show(f"learning curves: {page}")
        first = sets[0] if Path(sets[0]).exists() else sets[0].rpartition("=")[0]
        show(f"{path} written; next: {command_line(['run', '--detector', str(path), '--pairs', first])}")


def shares(text: str) -> tuple[float, float, float]:
    """Three numbers as typed: 0.6,0.1,0.3."""
    try:
        train_part, valid_part, test_part = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not three numbers such as 0.6,0.1,0.3") from None
    return train_part, valid_part, test_part
