"""`audit explain`: what a detector's decision rests on, image by image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audit.commands.common import (
    CpusPerWorker,
    Device,
    Engine,
    GpusPerWorker,
    Json,
    Quiet,
    RayAddress,
    RayWorkers,
    Seed,
    chosen_from,
    cluster_from,
    complete,
    refuse_typed,
    require_detectors,
    require_folder,
    say,
    show,
)
from audit.commands.score import Arch, Detector, Set, Trust
from pipelines.extras import require

if TYPE_CHECKING:
    from detectors.models.detector import Detector as LoadedDetector
    from detectors.scoring.options import RayCluster

CHECKED = 60
"""Images and fakes that --check draws without --n."""
METHODS = ("grad-cam", "integrated-gradients", "saliency", "occlusion", "lime")
Images = Annotated[
    list[Path] | None,
    typer.Argument(help="Image files, folders of them, or tables that name them.", metavar="IMAGE..."),
]
Pairs = Annotated[Path | None, typer.Option(help="A pairs dataset, instead of images.", metavar="DIR")]
Method = Annotated[
    str | None,
    typer.Option(
        help="grad-cam, integrated-gradients or saliency (networks of torch); occlusion or lime (any "
        "detector). Default: grad-cam where the network gives gradients, else occlusion.",
        metavar="METHOD", callback=chosen_from(METHODS), autocompletion=complete(METHODS),
    ),
]  # fmt: skip
Out = Annotated[
    Path,
    typer.Option(help="Folder for one picture an image, and explanations.json.", metavar="DIR",
                 rich_help_panel="Output"),
]  # fmt: skip
Number = Annotated[
    int | None, typer.Option("--n", min=1, help="Explain so many, drawn by --seed.", metavar="IMAGES")
]
Threshold = Annotated[
    float,
    typer.Option(min=0, max=1, help="Fake from this score on; decides what is explained.", metavar="SCORE"),
]


Run = Annotated[
    Path | None,
    typer.Option(
        help="A run of this detector: its threshold, and its folder for everything written; the report then "
        "has a section.",
        metavar="RUN_DIR",
    ),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="With --pairs: measure each method against what was changed in fakes (kinds with masks), "
        "and where maps of groups differ; also writes summary.json and mean-maps.png.",
    ),
]


def explain(
    context: typer.Context,
    detector: Detector,
    images: Images = None,
    pairs: Pairs = None,
    method: Method = None,
    threshold: Threshold = 0.5,
    n: Number = None,
    check: Check = False,
    run: Run = None,
    seed: Seed = 0,
    arch: Arch = None,
    set_: Set = None,
    trust: Trust = None,
    device: Device = "auto",
    engine: Engine = "local",
    ray_address: RayAddress = None,
    workers: RayWorkers = None,
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    out: Out = Path("explained"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write each image beside a map of what speaks for the decision, with score, legend and colour bar."""
    require("audit explain", "explain")
    require_detectors("audit explain", [detector], arch, set_)
    if (pairs is None) == (not images):
        raise typer.BadParameter("name images, or a pairs dataset with --pairs; one of the two")
    if check and pairs is None:
        raise typer.BadParameter("--check needs --pairs: it measures maps against what was changed in fakes")
    if check:
        n = n or CHECKED
    if run is not None:
        refuse_typed(context, {"threshold": "--threshold", "out": "--out"}, "cannot stand beside --run")
        out = run / "explanations"
    from audit.api.outcome import refuse_other_detector
    from audit.schema.json_schema import load_result

    require_folder(out)
    cluster = cluster_from(context, engine, device, ray_address, workers, cpus_per_worker, gpus_per_worker)
    device = "cpu" if cluster else device
    record_of_run = None if run is None else load_result(run)
    from detectors.api import loaded
    from detectors.explanation.explain_images import images_to_explain, write_explanations
    from detectors.explanation.methods import check_method, default_method
    from detectors.models.sidecar import parse_options
    from detectors.progress import progress_bar
    from detectors.scoring.parts import staying

    rows = images_to_explain([pairs] if pairs is not None else list(images or ()), n, seed)
    ready = loaded(detector, parse_options(set_ or []), arch=arch, device=device, trust=trust)
    if record_of_run is not None:
        threshold = refuse_other_detector(record_of_run, ready.sha256).config.threshold
    chosen = method or default_method(ready)
    check_method(ready, chosen)
    with staying(cluster):
        with progress_bar("Explaining images", len(rows), not quiet) as advance:
            record = write_explanations(
                ready, rows, out, chosen, threshold=threshold, seed=seed, advance=advance, cluster=cluster
            )
        if check and pairs is not None:
            found = _checked(ready, pairs, chosen, threshold, n or CHECKED, seed, out, quiet, cluster)
            record |= {"summary": found}
    if as_json:
        print(json.dumps(record, indent=2))
    elif not quiet:
        _tell(record, out)
    if all(row["picture"] is None for row in record["images"]):
        raise typer.Exit(1)


def _checked(
    ready: LoadedDetector, pairs: Path, method: str, threshold: float, n: int, seed: int, out: Path,
    quiet: bool, cluster: RayCluster | None,
) -> dict[str, Any]:  # fmt: skip
    """Measure, and write what was found."""
    from audit.api.explanations import summarise
    from detectors.explanation.explain_images import MEAN_MAPS, SUMMARY
    from detectors.explanation.pictures import mean_maps
    from detectors.progress import progress_bar
    from pipelines.storage import write_bytes, write_json

    with progress_bar("Comparing groups", n, not quiet) as advance:
        summary, means = summarise(
            ready,
            pairs,
            n=n,
            method=method,
            threshold=threshold,
            seed=seed,
            advance=advance,
            cluster=cluster,
        )
    write_json(out / SUMMARY, summary)
    write_bytes(out / MEAN_MAPS, mean_maps(means), sync=False)
    return summary


def _tell(record: dict[str, Any], out: Path) -> None:
    for row in record["images"]:
        if row["picture"] is None:
            show(f"{row['status']}  {row['image']}")
        else:
            show(f"{row['score']:.4f}  {row['answer']} face  {out / row['picture']}")
    if "summary" in record:
        from reports.text.explanation_text import difference_sentences, trust_rows, trust_sentence

        show(trust_sentence(record["summary"]))
        for name, hit, *_, trusted in trust_rows(record["summary"]):
            show(f"  {name}: {hit}; trusted: {trusted}")
        show("\n".join(difference_sentences(record["summary"])))
    n_flat = sum(bool(row["flat"]) for row in record["images"])
    if n_flat:
        say(f"warning: {n_flat} of {len(record['images'])} maps are flat: try another --method")
