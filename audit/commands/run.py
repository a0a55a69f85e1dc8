"""`audit run`: scores to verdicts, a report, and an exit code."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from audit.commands import run_options as of
from audit.commands.common import (
    RUNS_PLACE,
    WITH_RAY,
    CpusPerWorker,
    Engine,
    GpusPerWorker,
    RayAddress,
    RayWorkers,
    circumstances,
    cluster_from,
    command_line,
    console,
    errors,
    find_pairs,
    refuse_typed,
    require_detectors,
    require_file,
    require_folder,
    say,
)
from audit.commands.score import Arch, Set, Trust
from audit.commands.show import NoImages
from pipelines.extras import require

if TYPE_CHECKING:
    from audit.api.outcome import Audit
    from audit.config import AuditConfig

WITH_DETECTOR = {
    "detector": "--detector", "pairs": "--pairs", "images": "--images", "arch": "--arch", "set_": "--set",
    "trust": "--trust", "trials": "--trials", "clips": "--clips",
    "device": "--device", "batch_size": "--batch-size", "include_seen": "--include-seen",
}  # fmt: skip
WITH_SCORES = {
    "name": "--name", "detector_version": "--detector-version", "positive": "--positive",
    "label_column": "--label-column", "score_column": "--score-column",
    "image_id_column": "--image-id-column", "pair_id_column": "--pair-id-column", "read": "--read",
}  # fmt: skip
FOR_IMAGES = {
    "pairs": "--pairs", "images": "--images", "arch": "--arch", "set_": "--set", "trust": "--trust",
}  # fmt: skip
ON_A_CLUSTER = {"engine": "--engine", **WITH_RAY}
FOR_TRIALS = {"trials": "--trials", "clips": "--clips"}
"""Options that one way of being given scores, or one task, leaves no meaning, as typed."""

LOOKS_UP_TO = 100_000
"""Images up to which a run with a disparity looks for a cure by itself; it takes some seconds."""


def run(
    context: typer.Context,
    scores: of.Scores = None,
    pairs: of.Pairs = None,
    images: of.Images = None,
    trials: of.Trials = None,
    clips: of.Clips = None,
    attribute: of.Attribute = None,
    bins: of.Bins = None,
    positive: of.Positive = None,
    label_column: of.LabelColumn = "label",
    score_column: of.ScoreColumn = "score",
    image_id_column: of.ImageIdColumn = "image_id",
    pair_id_column: of.PairIdColumn = "pair_id",
    read: of.Read = None,
    unit_column: of.UnitColumn = None,
    independent: of.Independent = False,
    weight_column: of.WeightColumn = None,
    detector: of.Detector = None,
    arch: Arch = None,
    set_: Set = None,
    trust: Trust = None,
    device: of.RunDevice = "auto",
    batch_size: of.RunBatchSize = 32,
    include_seen: of.IncludeSeen = False,
    engine: Engine = "local",
    ray_address: RayAddress = None,
    workers: RayWorkers = None,
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    name: of.Name = None,
    task: of.TaskOption = "fake-face",
    detector_version: of.DetectorVersion = None,
    threshold: of.Threshold = "0.5",
    calibration_share: of.CalibrationShare = 0.3,
    tolerance: of.Tolerance = 0.02,
    ratio_tolerance: of.RatioTolerance = (0.8, 1.25),
    criterion: of.Criterion = "difference",
    confidence: of.Confidence = 0.95,
    min_n: of.MinN = 30,
    control: of.Control = None,
    reference: of.Reference = None,
    n_boot: of.NBoot = 10_000,
    seed: of.RunSeed = 0,
    fail_on: of.FailOn = None,
    max_fpr: of.MaxFpr = None,
    max_fnr: of.MaxFnr = None,
    junit: of.Junit = None,
    out: of.Out = None,
    overwrite: of.RunOverwrite = False,
    sbom: of.Sbom = False,
    no_images: NoImages = False,
    as_json: of.RunJson = False,
    quiet: of.RunQuiet = False,
) -> None:
    """Score every image once, break errors down by group, judge, and write the report.

    The folder gets report.html (for people), audit.json (for programs) and scores.parquet; where there is a
    disparity also mitigation.json and mitigation.html, see `audit mitigate`.
    """
    from audit.api.options import config_from

    config = config_from(
        attribute or (),
        {
            "threshold": threshold, "calibration_share": calibration_share, "tolerance": tolerance,
            "ratio_tolerance": ratio_tolerance, "confidence": confidence, "min_n": min_n, "n_boot": n_boot,
            "seed": seed, "controls": control or (), "references": references(reference or []),
            "bins": edges(bins or []), "positive": positive, "unit_column": unit_column,
            "independent": independent, "weight_column": weight_column,
            "max_fpr": max_fpr, "max_fnr": max_fnr, "criterion": criterion,
            "label_column": label_column, "score_column": score_column,
            "image_id_column": image_id_column, "pair_id_column": pair_id_column,
            "read_as": ways_of_reading(read or []), "task": task,
        },
    )  # fmt: skip
    started = time.time()
    require_folder(out or RUNS_PLACE)
    if junit is not None:
        require_file(junit)
    if sbom:
        _require_sbom()
    if scores is not None:
        refuse_typed(context, WITH_DETECTOR, "cannot stand beside --scores: give one or the other")
        refuse_typed(
            context, ON_A_CLUSTER,
            "is for images that are to be scored: a table of scores is audited in this process, a large "
            "Parquet file part by part",
        )  # fmt: skip
        about = {"name": name, "version": detector_version}
        found = _on_scores(scores, out, overwrite, about, config)
    elif task == "speaker-verification":
        refuse_typed(context, WITH_SCORES, "goes with --scores, not with a verifier on trials")
        refuse_typed(context, FOR_IMAGES, "is for images, and does not go with --task speaker-verification")
        refuse_typed(context, ON_A_CLUSTER, "is for images: a verifier's trials are scored in this process")
        found = _on_trials(
            detector, trials, out, overwrite, config, clips=clips, progress=not quiet, device=device,
            batch_size=batch_size, include_seen=include_seen,
        )  # fmt: skip
    else:
        refuse_typed(context, WITH_SCORES, "goes with --scores, not with a detector on images")
        refuse_typed(context, FOR_TRIALS, "goes with --task speaker-verification")
        cluster = cluster_from(
            context, engine, device, ray_address, workers, cpus_per_worker, gpus_per_worker
        )
        found = _on_images(
            detector, pairs, images, out, overwrite, set_ or [], config, progress=not quiet, arch=arch,
            trust=trust, device=device, batch_size=batch_size, include_seen=include_seen, cluster=cluster,
        )  # fmt: skip
    if sbom:
        _keep_sbom(found)
    _tell(found, started, not no_images, as_json, quiet)
    _judge(found, fail_on, junit)


def _on_scores(
    scores: Path, out: Path | None, overwrite: bool, about: dict[str, str | None], config: AuditConfig
) -> Audit:
    from audit.api.audits import audit_scores

    known = {key: text for key, text in about.items() if text}
    return audit_scores(
        scores, out=out or RUNS_PLACE / scores.stem, overwrite=overwrite, detector=known,
        command=command_line(), config=config,
    )  # fmt: skip


def _on_images(
    detector: str | None, pairs: Path | None, images: Path | None, out: Path | None, overwrite: bool,
    settings: list[str], config: AuditConfig, **how: Any,
) -> Audit:  # fmt: skip
    if pairs is not None and images is not None:
        raise typer.BadParameter("--pairs and --images name two data sets; give one")
    require_detectors("audit run --detector", [str(detector)], how["arch"], settings)
    from audit.api.audits import audit_images
    from detectors.models.sidecar import parse_options

    if detector is None:
        raise typer.BadParameter("say which detector: --detector FILE.pt, or --scores TABLE.csv")
    return audit_images(
        detector, images=images or find_pairs(pairs), settings=parse_options(settings),
        out=out or RUNS_PLACE / Path(detector.partition(":")[0]).stem, overwrite=overwrite, say=say,
        command=command_line(), config=config, **how,
    )  # fmt: skip


def _on_trials(
    verifier: str | None, trials: Path | None, out: Path | None, overwrite: bool, config: AuditConfig,
    **how: Any,
) -> Audit:  # fmt: skip
    from audit.api.trials import audit_trials
    from audit.commands.voices.trials import find_trials

    require("audit run --task speaker-verification --detector", "images", "voice")
    if verifier is None:
        raise typer.BadParameter("say which verifier: --detector FILE.pt, or --scores TABLE.csv")
    return audit_trials(
        verifier, find_trials(trials), out=out or RUNS_PLACE / Path(verifier).stem, overwrite=overwrite,
        command=command_line(), config=config, **how,
    )  # fmt: skip


def _tell(found: Audit, started: float, images: bool, as_json: bool, quiet: bool) -> None:
    """Write when and where, and the report; say what was found."""
    from audit.commands.verdict_table import print_outcome
    from audit.runs.run_folder import write_circumstances

    write_circumstances(circumstances(started), found.folder or Path())
    _look_for_a_cure(found)
    report = found.report(images=images)
    if as_json:
        print(found.record.to_json(), end="")
        return
    tell_how_it_was_read(found)
    if not quiet:
        print_outcome(found.record, report)


def _look_for_a_cure(found: Audit) -> None:
    """Where a single attribute has a disparity: what would help, for the report; or why nobody could look."""
    from audit.api.mitigation import mitigate
    from audit.errors import MitigationError
    from reports.pages.cure_part import is_disparate
    from reports.pages.mitigation_page import write_mitigation_page

    if found.folder is None or not found.record.task.finds_cures or not is_disparate(found.record):
        return  # nor where the question is not answerable: what would help a reversed score is to turn it
    if found.record.data.n_images > LOOKS_UP_TO:
        say(f"What would help takes a while for so many images: audit mitigate {found.folder}")
        return
    try:
        cure = mitigate(found)
    except MitigationError as error:
        say(f"What would help was not looked for: {error}")
        return
    cure.write(found.folder)
    write_mitigation_page(found.folder)


def _require_sbom() -> None:
    from audit.verification.sbom import require_sbom

    require_sbom()


def _keep_sbom(found: Audit) -> None:
    """Write what is installed beside the run, and enter it among the files of the run."""
    from audit.runs.checksums import enter
    from audit.verification.sbom import SBOM_FILE, write_sbom

    folder = found.folder or Path()
    enter(folder, [write_sbom(folder / SBOM_FILE)])


def tell_how_it_was_read(found: Audit) -> None:
    """What was guessed about a table, with the option that says otherwise, and what was left out."""
    from pipelines.visible import visible

    data = found.record.provenance.data
    guessed = data.get("read_as", {}).get("guessed", [])
    if guessed:
        say(f"{data['path']} was read like this; the option in brackets says otherwise:")
        for one in guessed:
            say(f"  {one['name']}: {one['text']}  [{one['option']}]")
    for reason, n in found.record.data.n_left_out.items():
        console.print(f"Left out: {n:,}, {visible(reason)}.", markup=False)


def _judge(found: Audit, fail_on: Any, junit: Path | None) -> None:
    """Write the JUnit file; print a line for each reason to stop the build, and stop it."""
    from audit.judge.gates import exit_code, gate_failures, not_judged
    from audit.runs.junit import write_junit
    from pipelines.visible import visible

    if junit is not None:
        write_junit(found.record, junit, fail_on or "disparity")
    for line in not_judged(found.record):
        console.print(visible(line), markup=False, soft_wrap=True)
    failures = gate_failures(found.record, fail_on)
    for one in failures:
        errors.print(f"gate failed: {visible(one.line)}", style="red", markup=False, soft_wrap=True)
    if failures:
        raise typer.Exit(exit_code(failures))


def edges(given: list[str]) -> dict[str, list[float]]:
    """Bin edges as typed: age=18,40,65."""
    try:
        split = [text.split("=", 1) for text in given]
        return {name: [float(edge) for edge in texts.split(",")] for name, texts in split}
    except ValueError:
        raise typer.BadParameter(f"--bins {' '.join(given)}: write COLUMN=18,40,65") from None


def ways_of_reading(given: list[str]) -> dict[str, str]:
    """How a table is written, as typed: separator=; decimal=, percent=no; the words of missing= add up."""
    told: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"--read {text}: write KEY=VALUE, such as separator=;")
        key, value = key.strip(), value if value in ("\t", " ") else value.strip()
        if key in told and key != "missing" and told[key] != value:
            raise typer.BadParameter(f"--read {key}= is given twice: {told[key]} and {value}")
        told[key] = f"{told[key]},{value}" if key in told else value
    return told


def references(given: list[str]) -> dict[str, str]:
    """Reference groups as typed: race=White."""
    named: dict[str, str] = {}
    for text in given:
        attribute, equals, group = (part.strip() for part in text.partition("="))
        if not (attribute and equals and group):
            raise typer.BadParameter(f"--reference {text}: write COLUMN=GROUP, such as race=White")
        if attribute in named:
            raise typer.BadParameter(f"--reference names two groups of {attribute}: one an attribute")
        named[attribute] = group
    return named
