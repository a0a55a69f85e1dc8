"""`audit verify`: is a run folder what was written, and do its numbers follow from its scores?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audit.commands.common import show


def verify(
    run_dir: Annotated[Path, typer.Argument(help="A run folder, holding audit.json.", metavar="RUN_DIR")],
    detector: Annotated[
        Path | None,
        typer.Option(
            help="The detector's file. Default: where the recorded command found it.", metavar="FILE"
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="The data set or score file. Default: where the record says it was.", metavar="PATH"
        ),
    ] = None,
) -> None:
    """Hash every file of a run again, and derive every number of it from its scores again.

    Prints one line a check; exits with 1 if anything has changed. Needs no torch.
    """
    from audit.runs.verify_run import verify_run

    checks = verify_run(run_dir, detector, data)
    for check in checks:
        show(f"{check.state:12}  {check.what}" + (f": {check.detail}" if check.detail else ""))
    if any(check.state == "changed" for check in checks):
        raise typer.Exit(1)
