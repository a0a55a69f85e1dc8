"""`audit stress`: what breaks a detector, and for whom first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from audit.commands import run_options as of
from audit.commands.common import (
    THRESHOLDS,
    CpusPerWorker,
    Engine,
    GpusPerWorker,
    RayAddress,
    RayWorkers,
    cluster_from,
    command_line,
    complete,
    console,
    find_pairs,
    refuse_typed,
    require_detectors,
    require_folder,
    say,
    show,
)
from audit.commands.score import TRUST_HELP, Arch, Set


def stress(
    context: typer.Context,
    detector: Annotated[
        list[str],
        typer.Option(
            help="A detector's file, or module:factory; repeat.", metavar="FILE", rich_help_panel=of.DETECTOR
        ),
    ],
    pairs: of.Pairs = None,
    images: of.Images = None,
    transform: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this one, such as jpeg; repeat. Default: all 17.",
            metavar="NAME",
            rich_help_panel=of.DATA,
        ),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            help="Column to audit; repeat. Default: all of the data set's.",
            metavar="COLUMN",
            rich_help_panel=of.DATA,
        ),
    ] = None,
    unit_column: of.UnitColumn = None,
    independent: of.Independent = False,
    arch: Arch = None,
    set_: Set = None,
    trust: Annotated[
        list[str] | None,
        typer.Option(help=f"{TRUST_HELP} Repeat.", metavar="SHA256", rich_help_panel=of.DETECTOR),
    ] = None,
    device: of.RunDevice = "auto",
    batch_size: of.RunBatchSize = 32,
    include_seen: of.IncludeSeen = False,
    engine: Engine = "local",
    ray_address: RayAddress = None,
    workers: RayWorkers = None,
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    threshold: Annotated[
        str,
        typer.Option(
            help="Fake if score >= this: a number, or eer, youden, fpr=0.01, fnr=0.05.",
            metavar="NUMBER|RULE",
            autocompletion=complete(THRESHOLDS),
            rich_help_panel=of.STATISTICS,
        ),
    ] = "0.5",
    tolerance: of.Tolerance = 0.02,
    confidence: of.Confidence = 0.95,
    min_n: of.MinN = 30,
    seed: of.RunSeed = 0,
    out: Annotated[
        Path, typer.Option(help="Folder for the results.", metavar="DIR", rich_help_panel=of.OUTPUT)
    ] = Path("stress"),
    overwrite: of.RunOverwrite = False,
    as_json: of.RunJson = False,
    quiet: of.RunQuiet = False,
) -> None:
    """Score every image as it is and re-saved, resized, blurred, darkened ..., and judge whom that harms.

    Each image is tried under 17 transformations at five severities. The same images are compared before and
    after, and differences between groups are tested as one family. Writes stress.html, stress.json and
    stress.csv; an interrupted run continues with the same command.
    """
    if len(detector) > 1:
        why = "would mean every --detector: write each one's settings into NAME.toml beside it"
        refuse_typed(context, {"arch": "--arch", "set_": "--set"}, why)
    require_detectors("audit stress", detector, arch, set_)
    from audit.config import AuditConfig
    from audit.runs.detector_benchmark import unique_names
    from audit.runs.stress_run import stress as run
    from detectors.data.datasets import read_images
    from detectors.models.loading import load_detectors
    from detectors.models.sidecar import parse_options
    from pipelines.visible import visible
    from reports.pages.stress_page import write_stress_page
    from reports.text.stress_text import headline

    require_folder(out)
    cluster = cluster_from(context, engine, device, ray_address, workers, cpus_per_worker, gpus_per_worker)
    config = AuditConfig(
        attributes=tuple(attribute or ()), threshold=threshold, confidence=confidence, tolerance=tolerance,
        min_n=min_n, seed=seed, unit_column=unit_column, independent=independent,
    ).check()  # fmt: skip
    labelled = read_images(images or find_pairs(pairs))
    loaded = load_detectors(
        detector, arch=arch, options=parse_options(set_ or []), device="cpu" if cluster else device,
        trust=trust or (),
    )  # fmt: skip
    names = unique_names([one.name for one in loaded], detector)
    loaded = [replace(one, name=name) for one, name in zip(loaded, names, strict=True)]
    result = run(
        loaded, labelled, out, config, transformations=transform or (), batch_size=batch_size,
        include_seen=include_seen, cluster=cluster, command=command_line(), overwrite=overwrite,
        progress=not quiet,
    )  # fmt: skip
    page = write_stress_page(out)
    if as_json:
        print(result.to_json(), end="")
        return
    for one in result.detectors:
        for reason, n in one.n_left_out.items():
            console.print(f"Left out: {n:,}, {visible(reason)}.", markup=False)
    for note in result.notes:
        say(note)
    if not quiet:
        show(f"{headline(result)}\npage: {page}")
