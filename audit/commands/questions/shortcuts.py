"""`audit shortcuts`: can real and fake be told without a look at the face?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit.commands.common import (
    BatchSize,
    Device,
    Json,
    Overwrite,
    Quiet,
    Seed,
    command_line,
    console,
    find_pairs,
    refuse_typed,
    require_detectors,
    require_folder,
    show,
)
from audit.commands.score import Arch, Set, Trust

DATA, DETECTOR, JUDGEMENT, OUTPUT = "Images", "Detector", "Judgement", "Output"
OF_DETECTOR = {
    "threshold": "--threshold", "device": "--device", "batch_size": "--batch-size",
    "include_seen": "--include-seen", "attribute": "--attribute", "arch": "--arch", "set_": "--set",
    "trust": "--trust",
}  # fmt: skip
"""Parameters that only a detector gives a meaning."""


def shortcuts(
    context: typer.Context,
    pairs: Annotated[
        Path | None,
        typer.Option(help="A pairs dataset. Default: ./pairs.", metavar="DIR", rich_help_panel=DATA),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="Instead of pairs: a table of labelled images (CSV), or a folder.",
            metavar="TABLE",
            rich_help_panel=DATA,
        ),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            help="Exchange the files under this detector, too: its file, or module:factory.",
            metavar="FILE",
            rich_help_panel=DETECTOR,
        ),
    ] = None,
    arch: Arch = None,
    set_: Set = None,
    trust: Trust = None,
    threshold: Annotated[
        str,
        typer.Option(
            help="Fake if score >= this: a number, or eer, youden, fpr=0.01, fnr=0.05.",
            metavar="NUMBER|RULE",
            rich_help_panel=DETECTOR,
        ),
    ] = "0.5",
    device: Device = "auto",
    batch_size: BatchSize = 32,
    include_seen: Annotated[
        bool,
        typer.Option(
            "--include-seen", help="Keep photos the detector learned from.", rich_help_panel=DETECTOR
        ),
    ] = False,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            help="Column to break flips down by; repeat. Default: all of the data set's.",
            metavar="COLUMN",
            rich_help_panel=JUDGEMENT,
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(help="Of every interval.", metavar="SHARE", rich_help_panel=JUDGEMENT)
    ] = 0.95,
    seed: Seed = 0,
    out: Annotated[
        Path, typer.Option(help="Folder for the results.", metavar="DIR", rich_help_panel=OUTPUT)
    ] = Path("shortcuts"),
    overwrite: Overwrite = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell real from fake by their files alone, and name what betrays them.

    A classifier sees the file's type, tables, size, metadata, and statistics of the whole picture, and never
    the face. Where it succeeds, a detector can score well on this data set and know nothing of faces. With
    --detector every image is also compressed like its counterpart of the other class: a decision that changes
    was about the file. Writes shortcuts.html, shortcuts.json and shortcuts.csv.
    """
    if pairs is not None and images is not None:
        raise typer.BadParameter("--pairs cannot be given with --images: name one data set")
    if detector is None:
        refuse_typed(context, OF_DETECTOR, "cannot be given without --detector")
    else:
        require_detectors("audit shortcuts --detector", [detector], arch, set_)
    from audit.config import AuditConfig
    from audit.runs.shortcuts_run import shortcuts as run
    from detectors.data.datasets import read_images
    from pipelines.visible import visible
    from reports.pages.shortcuts_page import lines, write_shortcuts_page

    require_folder(out)
    config = AuditConfig(
        attributes=tuple(attribute or ()), threshold=threshold, confidence=confidence, seed=seed
    ).check()
    labelled = read_images(images or find_pairs(pairs))
    loaded = None
    if detector is not None:
        from detectors.models.loading import load_detector
        from detectors.models.sidecar import parse_options

        options = parse_options(set_ or [])
        loaded = load_detector(detector, arch=arch, options=options, device=device, trust=trust)
    result = run(
        labelled, out, loaded, config, batch_size=batch_size, include_seen=include_seen,
        command=command_line(), overwrite=overwrite, progress=not quiet,
    )  # fmt: skip
    for reason, n in result.n_left_out.items():
        console.print(f"Left out: {n:,}, {visible(reason)}.", markup=False)
    page = write_shortcuts_page(out)
    if as_json:
        print(result.to_json(), end="")
    elif not quiet:
        show("\n".join([*lines(result), f"page: {page}"]))
