"""`audit report`, `audit compare`, `audit schema`: what was audited, shown again and side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from audit.commands.common import RUNS_PLACE, Json, Quiet, require_folder, show

NoImages = Annotated[
    bool,
    typer.Option("--no-images", help="Leave faces out of the report, for privacy.", rich_help_panel="Output"),
]


def report(
    run_dir: Annotated[Path, typer.Argument(help="A run folder, holding audit.json.", metavar="RUN_DIR")],
    no_images: NoImages = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also a PDF, through an installed Chromium.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write the report again from audit.json: HTML, CSV tables and a model card. Needs no torch."""
    from audit.api.outcome import load_audit
    from reports.pages.model_card import write_model_card
    from reports.tables.report_tables import write_tables

    written = [load_audit(run_dir).report(images=not no_images)]
    written += [*write_tables(run_dir), write_model_card(run_dir)]
    if pdf:
        from reports.pages.pdf import write_pdf

        written.append(write_pdf(run_dir))
    if not quiet:
        show("\n".join(map(str, written)))


def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders of detectors on the same images.", metavar="RUN_DIR...")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for comparison.json and comparison.html.", metavar="DIR")
    ] = RUNS_PLACE / "comparison",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare two or more detectors on the images that all of them scored."""
    from audit.api.comparison import compare as compared

    require_folder(out)
    found = compared(list(runs))
    page = found.report(found.write(out))
    if as_json:
        print(found.record.to_json(), end="")
    elif not quiet:
        show(f"{found.summary}\ncomparison: {page}")


def schema() -> None:
    """Print the JSON schema of audit.json."""
    from audit.schema.json_schema import audit_schema

    print(json.dumps(audit_schema(), indent=2))
