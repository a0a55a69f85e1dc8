"""`audit verify` and `audit sign`: is a run what was written, do its numbers follow, who signed?"""

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
    signer: Annotated[
        Path | None,
        typer.Option(
            help="Public SSH keys, one of which must have signed the run (see `audit sign`).", metavar="FILE"
        ),
    ] = None,
) -> None:
    """Hash every file of a run again, and derive every number of it from its scores again.

    Prints one line a check; exits with 1 if anything has changed, or --signer did not sign. Needs no torch.
    """
    from audit.verification.verify_run import verify_run

    checks = verify_run(run_dir, detector, data, signer)
    for check in checks:
        show(f"{check.state:12}  {check.what}" + (f": {check.detail}" if check.detail else ""))
    if any(check.state == "changed" for check in checks):
        raise typer.Exit(1)


def sign(
    run_dir: Annotated[Path, typer.Argument(help="A run folder, holding audit.json.", metavar="RUN_DIR")],
    key: Annotated[
        Path,
        typer.Option(help="Your private SSH key; or the public one, if an agent holds it.", metavar="FILE"),
    ],
) -> None:
    """Sign a run with your own SSH key: SHA256SUMS.sig, which `audit verify --signer` and OpenSSH check.

    The signature is over SHA256SUMS, which stands for every file of the run. Sign last: a report written
    again is another file.
    """
    from audit.verification.signature import sign as sign_run

    show(f"signed: {sign_run(run_dir, key)}")
