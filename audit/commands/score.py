"""`audit score`, `audit check`: what a detector says about single images, and whether it looks right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from audit.commands.common import (
    Device,
    Json,
    Quiet,
    complete_arch,
    require_detectors,
    say,
    show,
)
from pipelines.visible import visible

Detector = Annotated[
    str,
    typer.Option(
        help="A detector's file, or module:factory or file.py:factory to run your own Python.", metavar="FILE"
    ),
]
Arch = Annotated[
    str | None,
    typer.Option(
        help="For a plain state_dict: its architecture.", metavar="NAME", autocompletion=complete_arch,
        rich_help_panel="Detector",
    ),
]  # fmt: skip
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="What a foreign detector does not say itself, such as size_px=224, mean=0,0,0 or output=logit; "
        "repeat.",
        metavar="KEY=VALUE", rich_help_panel="Detector",
    ),
]  # fmt: skip
TRUST_HELP = (
    "SHA-256 of an ONNX, TorchScript or .pt2 file whose maker you trust: it then runs in this process, with "
    "all your rights, instead of an isolated one."
)
Trust = Annotated[str | None, typer.Option(help=TRUST_HELP, metavar="SHA256", rich_help_panel="Detector")]
ImageFiles = Annotated[list[Path], typer.Argument(help="Image files.", metavar="IMAGE...")]


def score(
    images: ImageFiles,
    detector: Detector,
    arch: Arch = None,
    set_: Set = None,
    trust: Trust = None,
    device: Device = "auto",
) -> None:
    """Print one line an image: its score (0 real to 1 fake) and its path, or why there is none."""
    require_detectors("audit score", [detector], arch, set_)
    from detectors.api import LoadedDetector, loaded
    from detectors.models.sidecar import parse_options

    ready = loaded(detector, parse_options(set_ or []), arch=arch, device=device, trust=trust)
    table = LoadedDetector(ready).score(images)
    for row in table.itertuples():
        show(f"{row.score:.4f}  {row.image}" if row.status == "ok" else f"{row.status}  {row.image}")
    if (table["status"] != "ok").all():
        raise typer.Exit(1)


def check(
    images: Annotated[
        Path, typer.Argument(help="Labelled images: a pairs dataset, a folder, a table.", metavar="DATA")
    ],
    detector: Detector,
    arch: Arch = None,
    set_: Set = None,
    trust: Trust = None,
    device: Device = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Try a detector on a handful of labelled images, with a tick or a cross for each thing looked for.

    Input size, readable images, AUC, orientation (are fakes higher?), constant and saturated scores, and what
    had to be assumed about a foreign detector. Up to 16 real and 16 fake images are scored. Exit code 1
    where anything has a cross.
    """
    require_detectors("audit check", [detector], arch, set_)
    from detectors.api import loaded
    from detectors.data.datasets import read_images
    from detectors.models.sidecar import parse_options
    from detectors.scoring.detector_check import check_detector

    options, labelled = parse_options(set_ or []), read_images(images)
    found = check_detector(loaded(detector, options, arch=arch, device=device, trust=trust), labelled)
    if as_json:
        print(json.dumps({"detector": visible(detector), **found.as_dict()}, indent=2))
    elif not quiet:
        show("\n".join([*found.lines, *map(str, found.findings)]))
    for warning in [] if as_json else found.warnings:
        say(f"warning: {warning}")
    if found.failed:
        raise typer.Exit(1)
