"""`audit train --task speaker-verification`: a verifier from trials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from audit.commands.common import command_line, require_file, say, show
from pipelines.extras import require

ARCH = "siamese"
"""Trained where none is named: it learns in a minute on two cores."""


def train_verifier(
    arch: str | None,
    data: list[str] | None,
    out: Path | None,
    settings: Mapping[str, Any],
    *,
    random_split: bool,
    device: str,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Train a verifier and write its page of learning curves.

    Args:
        arch: Name of a verifier, "list", or None for the usual one.
        data: The trials folder, as typed; ./trials where None.
        out: The checkpoint; ARCH.pt where None.
        settings: What was typed of `FitSettings`; the rest is the architecture's.
        random_split: Train once more, on a random split.
        device: "auto", "cpu" or "cuda".
        overwrite: Replace a checkpoint.
        quiet: No progress and no remarks.
    """
    require("audit train --task speaker-verification", "images", "train", "voice")
    from audit.commands.voices.trials import TRIALS_PLACE
    from detectors.voices.architectures import VERIFIERS
    from detectors.voices.train_verifier import settings_for
    from detectors.voices.train_verifier import train_verifier as run

    arch = arch or ARCH
    if arch == "list":
        show("\n".join(f"{name:14} {one.about}" for name, one in VERIFIERS.items()))
        return
    places = data or [str(TRIALS_PLACE)]
    if len(places) > 1:
        raise typer.BadParameter("--data names several trials folders; a verifier is trained on one")
    target = out or Path(f"{arch}.pt")
    require_file(target)
    path = run(
        arch, places[0], target, settings_for(arch, **settings), compare_random_split=random_split,
        device=device, overwrite=overwrite, progress=not quiet, say=say,
    )  # fmt: skip
    from reports.pages.training_page import write_training_page

    page = write_training_page(path)
    if not quiet:
        show(f"learning curves: {page}")
        following = ["run", "--task", "speaker-verification", "--detector", str(path), "--trials", places[0]]
        show(f"{path} written; next: {command_line(following)}")
