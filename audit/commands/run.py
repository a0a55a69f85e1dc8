"""`audit run` and what follows from it: report, compare, schema."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.commands.common import (
    RUNS_PLACE,
    BatchSize,
    Device,
    Overwrite,
    Seed,
    circumstances,
    command_line,
    console,
    find_pairs,
    require_file,
    require_folder,
    say,
    show,
)
from audit.commands.score import Arch, Set, Trust
from pipelines.extras import require

if TYPE_CHECKING:
    from audit.config import AuditConfig
    from audit.schema.result import AuditResult

NoImages = Annotated[bool, typer.Option("--no-images", help="Leave faces out of the report, for privacy.")]


def run(
    detector: Annotated[str | None, typer.Option(help="A detector's file, such as resnet50.pt.")] = None,
    pairs: Annotated[Path | None, typer.Option(help="A pairs dataset. Default: ./pairs.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Instead of pairs: a table of labelled images (CSV), or a folder.")
    ] = None,
    arch: Arch = None,
    set_: Set = None,
    trust: Trust = None,
    scores: Annotated[
        Path | None, typer.Option(help="Instead of a detector: a CSV or Parquet table of scores.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="With --scores: the detector's name, for the report.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="With --scores: the detector's version.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder. Default: runs/NAME.")] = None,
    threshold: Annotated[
        str,
        typer.Option(
            help="Fake if score >= this: a number, or a rule: eer, youden, fpr=0.01 (on the images that fix "
            "it), 'fpr<=0.01@95%' (in truth, in 95 of 100 audits), fnr likewise."
        ),
    ] = "0.5",
    attribute: Annotated[
        list[str] | None, typer.Option(help="Column to audit; repeat. Default: age, gender, race.")
    ] = None,
    bins: Annotated[
        list[str] | None, typer.Option(help="Edges for a numeric column: NAME=18,40,65; repeat.")
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option(
            help="Column at equal value of which every gap is shown again; repeat. Default with pairs: "
            "their quality."
        ),
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            help="Compare every other group with this one: race=White; repeat for other attributes. For a "
            "rule such as: no group may exceed White by more than 2 points (the --tolerance)."
        ),
    ] = None,
    confidence: Annotated[float, typer.Option(help="Of every interval and verdict.")] = 0.95,
    tolerance: Annotated[float, typer.Option(help="Gap between two rates that nobody minds.")] = 0.02,
    ratio_tolerance: Annotated[
        tuple[float, float], typer.Option(help="Ratio of two rates that nobody minds: from, to.")
    ] = (0.8, 1.25),
    calibration_share: Annotated[
        float, typer.Option(help="Share of the pairs on which a threshold rule is fixed; not audited.")
    ] = 0.3,
    min_n: Annotated[int, typer.Option(min=1, help="Smaller groups never drive a verdict.")] = 30,
    n_boot: Annotated[
        int, typer.Option(help="Permutation and bootstrap replicates; raised where too few to find anything.")
    ] = 10_000,
    seed: Seed = 0,
    positive: Annotated[str | None, typer.Option(help="With --scores: the label that means fake.")] = None,
    label_column: Annotated[str, typer.Option(help="With --scores.")] = "label",
    score_column: Annotated[str, typer.Option(help="With --scores.")] = "score",
    image_id_column: Annotated[str, typer.Option(help="With --scores.")] = "image_id",
    pair_id_column: Annotated[str, typer.Option(help="With --scores.")] = "pair_id",
    unit_column: Annotated[
        str | None,
        typer.Option(
            help="Column of the person, video or source photo that several images share: all images count, "
            "and it, not the image, is taken for independent."
        ),
    ] = None,
    independent: Annotated[
        bool,
        typer.Option("--independent", help="Each image stands for itself, though a column's values repeat."),
    ] = False,
    weight_column: Annotated[
        str | None, typer.Option(help="Column of population weights, 0 or more: rates are weighted by them.")
    ] = None,
    device: Device = "auto",
    batch_size: BatchSize = 32,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Audit photos the detector learned from, too.")
    ] = False,
    no_images: NoImages = False,
    junit: Annotated[Path | None, typer.Option(help="Write one test case per verdict to this file.")] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(
            help="Exit with 1 on: proven (gaps proven to exceed the tolerance), disparity (groups proven "
            "unequal, their gap above it as seen), or insufficient (evidence) as well."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Score every image once, break errors down by group, judge, and write the report.

    The folder gets report.html (for people), audit.json (for programs) and scores.parquet.
    """
    from typing import get_args

    from audit.runs.junit import FailOn

    if fail_on is not None and fail_on not in get_args(FailOn):
        raise typer.BadParameter(f"--fail-on is '{fail_on}'; it must be one of {', '.join(get_args(FailOn))}")
    from audit.config import AuditConfig, Columns

    columns = Columns(label_column, score_column, image_id_column, pair_id_column)
    config = AuditConfig(
        attributes=tuple(attribute or ()), threshold=threshold, confidence=confidence,
        tolerance=tolerance, ratio_tolerance=ratio_tolerance, calibration_share=calibration_share,
        min_n=min_n, n_boot=n_boot, seed=seed, columns=columns, positive=positive, bins=_bins(bins or []),
        controls=tuple(control or ()), unit_column=unit_column,
        independent=independent, weight_column=weight_column,
        references=_references(reference or []),
    )  # fmt: skip
    _check_places(out, junit)
    called = {key: text for key, text in (("name", name), ("version", version)) if text}
    if scores is not None:
        folder, result = _on_scores(scores, out, config, overwrite, called)
    elif called:
        raise typer.BadParameter("--name and --version go with --scores")
    else:
        how = (device, batch_size, include_seen)
        given = (detector, arch, set_ or [], trust)
        folder, result = _on_images(given, images, pairs, out, config, how, overwrite)
    _show(folder, result, not no_images)
    _judge(result, fail_on, junit)


def _on_scores(
    scores: Path, out: Path | None, config: AuditConfig, overwrite: bool, detector: dict[str, str]
) -> tuple[Path, AuditResult]:
    from audit.api.audits import audit_scores
    from audit.runs.run_folder import write_circumstances

    started, folder = time.time(), out or RUNS_PLACE / scores.stem
    found = audit_scores(
        scores, out=folder, overwrite=overwrite, detector=detector, command=command_line(), config=config
    )
    write_circumstances(circumstances(started), folder)
    return folder, found.record


def _on_images(
    given: tuple[str | None, str | None, list[str], str | None], images: Path | None, pairs: Path | None,
    out: Path | None, config: AuditConfig, how: tuple[str, int, bool], overwrite: bool,
) -> tuple[Path, AuditResult]:  # fmt: skip
    require("audit run --detector", "images", *(["onnx"] if str(given[0]).endswith(".onnx") else []))
    from audit.api.audits import audit_images
    from audit.runs.run_folder import write_circumstances
    from detectors.models.sidecar import parse_options

    name, arch, options, trust = given
    if name is None:
        raise typer.BadParameter("say which detector: --detector FILE.pt, or --scores TABLE.csv")
    device, batch_size, include_seen = how
    started, folder = time.time(), out or RUNS_PLACE / Path(name.partition(":")[0]).stem
    found = audit_images(
        name, images=images or find_pairs(pairs), arch=arch, settings=parse_options(options),
        out=folder, overwrite=overwrite, trust=trust, device=device, batch_size=batch_size,
        include_seen=include_seen, say=say, command=command_line(),
        config=config,
    )  # fmt: skip
    write_circumstances(circumstances(started), folder)
    return folder, found.record


def _show(folder: Path, result: AuditResult, images: bool) -> None:
    from audit.commands.verdict_table import print_outcome
    from pipelines.visible import visible
    from reports.pages.report_page import write_report

    for reason, n in result.data.n_left_out.items():
        console.print(f"Left out: {n:,}, {visible(reason)}.", markup=False)
    print_outcome(result, write_report(folder, images=images))


def _check_places(out: Path | None, junit: Path | None) -> None:
    """What is written at the end, checked at the start."""
    require_folder(out or RUNS_PLACE)
    if junit is not None:
        require_file(junit)


def _judge(result: AuditResult, fail_on: str | None, junit: Path | None) -> None:
    from audit.runs.junit import failing, write_junit

    if junit is not None:
        write_junit(result, junit, fail_on or "disparity")  # type: ignore[arg-type]
    if failing(result, fail_on):  # type: ignore[arg-type]
        raise typer.Exit(1)


def _bins(given: list[str]) -> dict[str, list[float]]:
    try:
        split = [text.split("=", 1) for text in given]
        return {name: [float(edge) for edge in edges.split(",")] for name, edges in split}
    except ValueError:
        raise typer.BadParameter(f"--bins {' '.join(given)}: write NAME=18,40,65") from None


def _references(given: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for text in given:
        attribute, equals, group = (part.strip() for part in text.partition("="))
        if not (attribute and equals and group):
            raise typer.BadParameter(f"--reference {text}: write ATTRIBUTE=GROUP, such as race=White")
        if attribute in named:
            raise typer.BadParameter(f"--reference names two groups of {attribute}: one an attribute")
        named[attribute] = group
    return named


def report(
    run_dir: Annotated[Path, typer.Argument(help="A run folder, holding audit.json.")],
    no_images: NoImages = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also a PDF, through an installed Chromium.")] = False,
) -> None:
    """Write the report again from audit.json: HTML, CSV tables and a model card. Needs no torch."""
    from reports.pages.model_card import write_model_card
    from reports.pages.report_page import write_report
    from reports.tables.report_tables import write_tables

    show(write_report(run_dir, images=not no_images))
    for path in (*write_tables(run_dir), write_model_card(run_dir)):
        show(path)
    if pdf:
        from reports.pages.pdf import write_pdf

        show(write_pdf(run_dir))


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of detectors on the same images.")],
    out: Annotated[Path, typer.Option(help="Folder for comparison.json and comparison.html.")] = RUNS_PLACE
    / "comparison",
) -> None:
    """Compare two or more detectors on the images that all of them scored."""
    from audit.runs.compare_runs import compare_runs, write_comparison
    from reports.pages.comparison_page import write_comparison_page

    require_folder(out)
    write_comparison(compare_runs(runs), out)
    show(f"comparison: {write_comparison_page(out)}")


def schema() -> None:
    """Print the JSON schema of audit.json."""
    from audit.schema.json_schema import audit_schema

    print(json.dumps(audit_schema(), indent=2))
