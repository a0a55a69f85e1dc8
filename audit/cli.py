"""The command line: `audit COMMAND`. A thin shell; everything it can do, Python can do in one call.

Enters: arguments. Leaves: exit code 0, 1 where `--fail-on` found what it looks for, 2 for an expected error
(one line, no traceback). Bugs keep their traceback.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from audit import errors as audit_errors
from audit.commands import benchmark, demo, doctor, experiments, pairs, stress
from audit.commands import run as running
from audit.commands import score as scoring
from audit.commands import train as training
from audit.commands.common import console, typed
from detectors import errors as detector_errors
from pipelines import errors as pipeline_errors
from pipelines.visible import visible
from reports import errors as report_errors

EXPECTED = tuple(
    module.ExpectedError for module in (audit_errors, detector_errors, pipeline_errors, report_errors)
)
"""One tree of errors a package; each ends as one line."""
MAX_MESSAGE = 1500
"""Characters of that line: a file may hold names of any length."""

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
    stress.stress,
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
    for stream in (sys.stdout, sys.stderr):  # a file name that is not UTF-8 can be printed all the same
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with typed(arguments):
            app(arguments)
    except EXPECTED as error:
        _stop(str(error))
    except OSError as fault:
        _stop(_of_the_disk(fault))
    except MemoryError as fault:
        more = f" ({fault})" if str(fault) else ""
        _stop(f"the memory does not suffice{more}; take a smaller --batch-size, --n-boot or table")


def _of_the_disk(fault: OSError) -> str:
    """What a file, a folder or a full disk is at fault for, in one line."""
    name = Path(os.fsdecode(fault.filename2 or fault.filename or "a file"))
    place = name.parent if name.name.endswith(".part") else name  # the temporary name means nothing to people
    return (
        f"{place} cannot be read or written: {fault.strerror or fault}; free or name another place, and run "
        "the same command again"
    )


def _stop(message: str) -> NoReturn:
    line = visible(message)
    line = line if len(line) <= MAX_MESSAGE else f"{line[:MAX_MESSAGE]} ..."
    console.print(f"error: {line}", style="red", markup=False, soft_wrap=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
