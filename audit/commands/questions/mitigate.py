"""`audit mitigate`: from a finding to a cure, chosen on one part of the images and judged on another."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.commands import run_options as of
from audit.commands.common import RUNS_PLACE, circumstances, command_line, refuse_typed, require_folder, show
from audit.commands.show import NoImages

if TYPE_CHECKING:
    from audit.api.outcome import Audit

CURE = "Cure"
WITH_SCORES = {
    "attribute": "--attribute", "bins": "--bins", "positive": "--positive", "label_column": "--label-column",
    "score_column": "--score-column", "image_id_column": "--image-id-column",
    "pair_id_column": "--pair-id-column", "read": "--read",
    "unit_column": "--unit-column", "independent": "--independent", "threshold": "--threshold",
    "calibration_share": "--calibration-share", "tolerance": "--tolerance", "confidence": "--confidence",
    "min_n": "--min-n", "n_boot": "--n-boot", "seed": "--seed", "out": "--out", "overwrite": "--overwrite",
}  # fmt: skip
"""Options that a run folder has answered already, as typed."""

RunDir = Annotated[
    Path | None,
    typer.Argument(
        help="A run folder with audit.json and scores.parquet.", metavar="RUN_DIR", show_default=False
    ),
]
FitShare = Annotated[
    float,
    typer.Option(
        help="Share of the pairs on which a cure is chosen; the others judge it.", metavar="SHARE",
        rich_help_panel=CURE,
    ),
]  # fmt: skip
Margin = Annotated[
    float,
    typer.Option(
        help="By how much the mean of FPR and FNR may rise at most: 0.02 is 2 points.", metavar="SHARE",
        rich_help_panel=CURE,
    ),
]  # fmt: skip


def mitigate(
    context: typer.Context,
    run_dir: RunDir = None,
    scores: of.Scores = None,
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
    fit_share: FitShare = 0.5,
    margin: Margin = 0.02,
    threshold: of.Threshold = "0.5",
    calibration_share: of.CalibrationShare = 0.3,
    tolerance: of.Tolerance = 0.02,
    confidence: of.Confidence = 0.95,
    min_n: of.MinN = 30,
    n_boot: of.NBoot = 10_000,
    seed: of.RunSeed = 0,
    out: of.Out = None,
    overwrite: of.RunOverwrite = False,
    no_images: NoImages = False,
    as_json: of.RunJson = False,
    quiet: of.RunQuiet = False,
) -> None:
    """Look for another threshold that narrows a gap, and judge it on images that did not choose it.

    No training, and no group at decision time. A cure is accepted only if the gap provably shrinks and
    accuracy holds; thresholds by group are shown as a bound. Writes mitigation.json and mitigation.html, and
    the report's section "What would help". With --scores the table is audited first.
    """
    from audit.commands.run import ways_of_reading
    from audit.mitigation.parts import Plan

    Plan(fit_share, margin).check()
    if (run_dir is None) == (scores is None):
        raise typer.BadParameter("give either a run folder, or --scores TABLE")
    if run_dir is not None:
        refuse_typed(context, WITH_SCORES, "goes with --scores: a run folder has its own")
        folder = run_dir
    else:
        folder = out or RUNS_PLACE / str(Path(str(scores)).stem)
        options = {
            "threshold": threshold, "calibration_share": calibration_share, "tolerance": tolerance,
            "confidence": confidence, "min_n": min_n, "n_boot": n_boot, "seed": seed, "positive": positive,
            "unit_column": unit_column, "independent": independent, "label_column": label_column,
            "score_column": score_column, "image_id_column": image_id_column,
            "pair_id_column": pair_id_column, "read_as": ways_of_reading(read or []),
        }  # fmt: skip
        _audited(Path(str(scores)), folder, overwrite, attribute or [], bins or [], options)
    tell(folder, fit_share, margin, as_json, quiet, images=not no_images)


def tell(
    folder: Path, fit_share: float, margin: float, as_json: bool, quiet: bool, images: bool = True
) -> None:
    """Search, write the record, the page and the report again, and say what was found."""
    from audit.api.mitigation import mitigate as search
    from pipelines.visible import visible
    from reports.pages.mitigation_page import write_mitigation_page
    from reports.pages.report_page import write_report

    require_folder(folder)
    found = search(folder, fit_share=fit_share, margin=margin)
    found.write(folder)
    page = write_mitigation_page(folder)
    report = write_report(folder, images)
    if as_json:
        print(found.record.to_json(), end="")
    elif not quiet:
        show(f"{found.summary}\npage: {visible(page)}\nreport: {visible(report)}")


def _audited(
    scores: Path,
    out: Path,
    overwrite: bool,
    attributes: list[str],
    bins: list[str],
    options: dict[str, object],
) -> Audit:
    """Audit the table first, as `audit run --scores` does."""
    from audit.api.audits import audit_scores
    from audit.api.options import config_from
    from audit.commands.run import edges, tell_how_it_was_read
    from audit.runs.run_folder import write_circumstances

    started = time.time()
    config = config_from(attributes, {**options, "bins": edges(bins)})
    require_folder(out)
    found = audit_scores(scores, out=out, overwrite=overwrite, command=command_line(), config=config)
    write_circumstances(circumstances(started), out)
    tell_how_it_was_read(found)
    return found
