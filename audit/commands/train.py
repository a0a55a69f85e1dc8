"""`audit train`: a detector from labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit.commands.common import (
    PAIRS_PLACE,
    Device,
    Overwrite,
    Seed,
    command_line,
    console,
    require_file,
    show,
)
from pipelines.extras import require
from pipelines.visible import visible


def train(
    arch: Annotated[
        str, typer.Option(help="simplenet, resnet50 ...; `audit train --arch list` shows all.")
    ] = "resnet50",
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            "--pairs",
            help="A pairs dataset, a folder with real/ and fake/ (also below train/, valid/, test/), or a "
            "table; repeat to combine, with =WEIGHT. Default: ./pairs.",
        ),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            help="What may not straddle the split: a regular expression on the name, column=NAME or runs=K. "
            "Trains a second time, on a random split, to say what that would flatter."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The detector's file; by default ARCH.pt.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training part.")] = 10,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per step.")] = 32,
    learning_rate: Annotated[
        float, typer.Option(help="Of the head; of everything, from random weights.")
    ] = 1e-3,
    optimiser: Annotated[str, typer.Option(help="adamw, adam or sgd.")] = "adamw",
    schedule: Annotated[str, typer.Option(help="cosine, step, exponential or none.")] = "cosine",
    weight_decay: Annotated[float, typer.Option(help="L2 penalty.")] = 1e-2,
    head_factor: Annotated[float, typer.Option(help="How many times faster the head learns.")] = 10.0,
    freeze_body: Annotated[bool, typer.Option("--freeze-body", help="Train the head alone.")] = False,
    imagenet: Annotated[bool, typer.Option(help="Start from ImageNet weights where they can be had.")] = True,
    augment: Annotated[list[str] | None, typer.Option(help="flip, rotate, jpeg, blur ...; repeat.")] = None,
    size_px: Annotated[
        int | None, typer.Option(min=32, help="Input size; by default the architecture's.")
    ] = None,
    face: Annotated[
        str, typer.Option(help="'as is' for face crops; crop or level to look for the face first.")
    ] = "as is",
    gray: Annotated[bool, typer.Option("--gray", help="Look at luminance alone.")] = False,
    by_kind: Annotated[bool, typer.Option("--by-kind", help="One class for each kind of fake.")] = False,
    fractions: Annotated[str, typer.Option(help="Shares of train, valid and held-out test.")] = "0.6,0.1,0.3",
    label_smoothing: Annotated[float, typer.Option(help="Share of the target spread out.")] = 0.0,
    precision: Annotated[str, typer.Option(help="auto, 32-true, bf16-mixed or 16-mixed.")] = "auto",
    patience: Annotated[
        int, typer.Option(min=0, help="Stop after N epochs without a better one; 0: never.")
    ] = 0,
    device: Device = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Graphics processors to share the work.")] = 1,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Train a detector; both halves of a pair stay in one part, and a held-out part is kept for the audit.

    The checkpoint remembers which source photos it learned from: `audit run` leaves those out.
    """
    require("audit train", "images", "train")
    from detectors.data.datasets import read_sets
    from detectors.data.origins import parse_group_by
    from detectors.models.architectures import ZOO
    from detectors.training.leakage import train_by_origin
    from detectors.training.settings import Settings
    from detectors.training.train_detector import train as run

    if arch == "list":
        print("\n".join(sorted(ZOO)))
        return
    settings = Settings(
        epochs=epochs,
        batch_size=batch_size,
        optimiser=optimiser,  # type: ignore[arg-type]
        learning_rate=learning_rate,
        head_factor=head_factor,
        weight_decay=weight_decay,
        schedule=schedule,  # type: ignore[arg-type]
        freeze_body=freeze_body,
        imagenet=imagenet,
        augment=tuple(augment) if augment is not None else ("flip",),
        size_px=size_px,
        face=face,  # type: ignore[arg-type]
        gray=gray,
        by_kind=by_kind,
        fractions=_shares(fractions),
        label_smoothing=label_smoothing,
        precision=precision,  # type: ignore[arg-type]
        patience=patience,
        devices=devices,
        seed=seed,
    )
    sets = data or [str(PAIRS_PLACE)]
    target = out or Path(f"{arch}.pt")
    require_file(target)
    images = read_sets(sets, group_by=parse_group_by(group_by) if group_by else None)
    path = (train_by_origin if group_by else run)(
        arch, images, target, settings,
        device=device, overwrite=overwrite, say=lambda line: console.print(visible(line), markup=False),
    )  # fmt: skip
    first = sets[0] if Path(sets[0]).exists() else sets[0].rpartition("=")[0]
    following = command_line(["run", "--detector", str(path), "--pairs", first])
    show(f"{path} written; next: {following}")


def _shares(text: str) -> tuple[float, float, float]:
    try:
        train_part, valid_part, test_part = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not three numbers such as 0.6,0.1,0.3") from None
    return train_part, valid_part, test_part
