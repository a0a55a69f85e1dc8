"""`audit score`, `audit explain`: what a detector says about single images, and what its answer rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit.commands.common import Device, console, require_folder, show
from pipelines.extras import require
from pipelines.visible import visible

Detector = Annotated[str, typer.Option(help="A detector's file, or module:factory to run your own Python.")]
Arch = Annotated[str | None, typer.Option(help="For a plain state_dict: its architecture.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="What a foreign detector does not say itself, such as size_px=224 or output=logit; repeat.",
    ),
]

TRUST_HELP = (
    "SHA-256 of an ONNX, TorchScript or .pt2 file whose maker you trust: it then runs in this process, with "
    "all your rights, instead of an isolated one."
)
Trust = Annotated[str | None, typer.Option(help=TRUST_HELP)]


def score(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    detector: Detector,
    arch: Arch = None,
    set_: Set = None,
    trust: Trust = None,
    device: Device = "auto",
) -> None:
    """Print one line an image: its score (0 real to 1 fake) and its path, or why there is none."""
    require("audit score", "images")
    from detectors.models.loading import load_detector
    from detectors.models.sidecar import parse_options
    from detectors.scoring.dataset_scores import score_files

    options = parse_options(set_ or [])
    loaded = load_detector(detector, arch=arch, options=options, device=device, trust=trust)
    table = score_files(loaded, images)
    for row in table.itertuples():
        show(f"{row.score:.4f}  {row.path}" if row.status == "ok" else f"{row.status}  {row.path}")
    if (table["status"] != "ok").all():
        raise typer.Exit(1)


def check(
    images: Annotated[Path, typer.Argument(help="Labelled images: a pairs dataset, a folder, a table.")],
    detector: Detector,
    arch: Arch = None,
    set_: Set = None,
    trust: Trust = None,
    device: Device = "auto",
) -> None:
    """Try a detector on a handful of labelled images: does it look inverted, constant or saturated?"""
    require("audit check", "images")
    from detectors.data.datasets import read_images
    from detectors.models.loading import load_detector
    from detectors.models.sidecar import parse_options
    from detectors.scoring.detector_check import check_detector

    options = parse_options(set_ or [])
    loaded = load_detector(detector, arch=arch, options=options, device=device, trust=trust)
    found = check_detector(loaded, read_images(images))
    show("\n".join(found.lines))
    for warning in found.warnings:
        console.print(f"warning: {visible(warning)}", style="yellow", markup=False)


def explain(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    detector: Annotated[str, typer.Option(help="A checkpoint of `audit train`, or a trusted file of torch.")],
    out: Annotated[Path, typer.Option(help="Folder for one picture an image.")] = Path("explained"),
    method: Annotated[str, typer.Option(help="grad-cam or saliency.")] = "grad-cam",
    trust: Trust = None,
    device: Device = "auto",
) -> None:
    """Write each image with a map of where the answer "fake" rests."""
    require("audit explain", "images")
    from detectors.models.loading import load_detector
    from detectors.scoring.saliency import write_explanation

    require_folder(out)
    loaded = load_detector(detector, device=device, trust=trust)
    for path in images:
        show(write_explanation(loaded, path, out, method))
