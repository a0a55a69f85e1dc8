"""The command line: `audit COMMAND`. A thin shell; everything it can do, Python can do in one call.

Enters: arguments. Leaves: exit code 0, 1 where `--fail-on` found what it looks for, 2 for an expected error
(one line, no traceback). Bugs keep their traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Annotated

import typer

from audit import errors as audit_errors
from audit.commands import benchmark, demo, doctor, experiments, pairs
from audit.commands import run as running
from audit.commands import score as scoring
from audit.commands import train as training
from audit.commands.common import console, typed
from detectors import errors as detector_errors
from pipelines import errors as pipeline_errors
from reports import errors as report_errors

EXPECTED = tuple(
    module.ExpectedError for module in (audit_errors, detector_errors, pipeline_errors, report_errors)
)
"""One tree of errors a package; each ends as one line."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="The main job: audit generate-pairs, audit train, audit run. To see it all at once: audit demo.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(metadata.version("fake-face-fairness-audit"))
        raise typer.Exit


@app.callback()
def audit(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The fairness audit for fake-face detectors: who is wrongly accused, whose fakes get through."""


for function in (
    pairs.generate_pairs,
    pairs.import_pairs,
    training.train,
    scoring.score,
    scoring.check,
    scoring.explain,
    benchmark.benchmark,
    experiments.experiments,
    experiments.sweep,
    running.run,
    running.report,
    running.compare,
    running.schema,
    doctor.doctor,
    demo.demo,
):
    app.command()(function)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; options that cannot be parsed exit with 2 as well."""
    try:
        with typed(arguments):
            app(arguments)
    except EXPECTED as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
