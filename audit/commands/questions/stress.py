"""`audit stress`: what breaks a detector, and for whom first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit.commands.common import (
    BatchSize,
    Device,
    Overwrite,
    Seed,
    command_line,
    console,
    find_pairs,
    require_detectors,
    require_folder,
)
from audit.commands.run_options import points


def stress(
    detector: Annotated[
        list[str], typer.Option(help="A detector's file, or module:factory; repeat.", metavar="FILE")
    ],
    pairs: Annotated[
        Path | None, typer.Option(help="A pairs dataset. Default: ./pairs.", metavar="DIR")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Instead of pairs: a table of labelled images (CSV), or a folder.", metavar="PATH"),
    ] = None,
    transform: Annotated[
        list[str] | None,
        typer.Option(help="Only this one, such as jpeg; repeat. Default: all 17.", metavar="NAME"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.", metavar="DIR")] = Path("stress"),
    threshold: Annotated[
        str,
        typer.Option(
            help="Fake if score >= this: a number, or eer, youden, fpr=0.01, fnr=0.05.", metavar="NUMBER|RULE"
        ),
    ] = "0.5",
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="Column to audit; repeat. Default: all of the data set's.", metavar="COLUMN"),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            help="Difference in harm that nobody minds: 0.02, or 2, is 2 points.",
            metavar="SHARE|POINTS",
            parser=points,
        ),
    ] = 0.02,
    confidence: Annotated[float, typer.Option(help="Of every interval and verdict.", metavar="SHARE")] = 0.95,
    min_n: Annotated[
        int, typer.Option(min=1, help="Smaller groups are not compared.", metavar="IMAGES")
    ] = 30,
    seed: Seed = 0,
    device: Device = "auto",
    batch_size: BatchSize = 32,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Keep photos a detector learned from, too.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Score every image as it is and re-saved, resized, blurred, darkened ..., and judge whom that harms.

    Each image is tried under 17 transformations at five severities. The same images are compared before and
    after, and differences between groups are tested as one family. Writes stress.html, stress.json and
    stress.csv; an interrupted run continues with the same command.
    """
    require_detectors("audit stress", detector)
    from audit.config import AuditConfig
    from audit.runs.stress_run import stress as run
    from detectors.data.datasets import read_images
    from detectors.models.loading import load_detector
    from pipelines.visible import visible
    from reports.pages.stress_page import headline, write_stress_page

    require_folder(out)
    config = AuditConfig(
        attributes=tuple(attribute or ()), threshold=threshold, confidence=confidence, tolerance=tolerance,
        min_n=min_n, seed=seed,
    ).check()  # fmt: skip
    labelled = read_images(images or find_pairs(pairs))
    loaded = [load_detector(name, device=device) for name in detector]
    result = run(
        loaded, labelled, out, config, transformations=transform or (), batch_size=batch_size,
        include_seen=include_seen, command=command_line(), overwrite=overwrite,
    )  # fmt: skip
    for one in result.detectors:
        for reason, n in one.n_left_out.items():
            console.print(f"Left out: {n:,}, {visible(reason)}.", markup=False)
    print(visible(headline(result)))
    print(f"page: {write_stress_page(out)}")
