"""`audit serve`: a page on which anyone can ask the detector, and the same over HTTP."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.commands.common import Device, Quiet, console, refuse_typed, require_detectors
from audit.commands.score import Arch, Detector, Set, Trust
from pipelines.extras import require

if TYPE_CHECKING:
    from audit.schema.result import AuditResult

Run = Annotated[
    Path | None,
    typer.Option(
        help="The run in which this detector was audited: its threshold, and what is known of its errors.",
        metavar="RUN_DIR",
    ),
]
RunsFolder = Annotated[
    Path | None,
    typer.Option(help="Folder of run folders to browse. Default: the one that holds --run.", metavar="DIR"),
]
Host = Annotated[
    str,
    typer.Option(
        help="Address to listen on; other than the loopback needs --token.",
        metavar="HOST",
        rich_help_panel="Network",
    ),
]
Port = Annotated[
    int, typer.Option(min=0, max=65535, help="0 for any free one.", metavar="PORT", rich_help_panel="Network")
]
Token = Annotated[
    str | None,
    typer.Option(
        help="Clients must show it: 16 characters or more.", envvar="AUDIT_SERVE_TOKEN", metavar="TEXT",
        rich_help_panel="Network",
    ),
]  # fmt: skip
Name = Annotated[
    list[str] | None,
    typer.Option(
        "--name", help="A further name this machine is reached by; repeat.", metavar="HOST",
        rich_help_panel="Network",
    ),
]  # fmt: skip
Patience = Annotated[
    float,
    typer.Option(min=0.5, help="Seconds an upload may take.", metavar="SECONDS", rich_help_panel="Network"),
]
Threshold = Annotated[
    float, typer.Option(min=0, max=1, help="Fake from this score on, without --run.", metavar="SCORE")
]


def serve(
    context: typer.Context,
    detector: Detector,
    run: Run = None,
    runs: RunsFolder = None,
    threshold: Threshold = 0.5,
    arch: Arch = None,
    set_: Set = None,
    trust: Trust = None,
    device: Device = "auto",
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token: Token = None,
    name: Name = None,
    patience: Patience = 20.0,
    quiet: Quiet = False,
) -> None:
    """Open a page on which anyone can upload a face or a table of scores.

    Nothing leaves the machine, and nothing of an image is stored or logged. Ctrl-C, or SIGTERM, ends what is
    under way and stops.
    """
    require("audit serve", "serve", "explain")
    require_detectors("audit serve", [detector], arch, set_)
    from audit.api.outcome import refuse_other_detector
    from audit.serving.app import build_app, check_address, listen
    from audit.serving.app import serve as run_server
    from audit.serving.guard import LOOPBACK
    from audit.serving.limits import Limits
    from audit.serving.looking import Looker

    check_address(host, token)
    if run is not None:
        refuse_typed(context, {"threshold": "--threshold"}, "cannot stand beside --run, which has its own")
    socket = listen(host, port)
    record = _record(run)
    from detectors.api import loaded
    from detectors.models.sidecar import parse_options

    ready = loaded(detector, parse_options(set_ or []), arch=arch, device=device, trust=trust)
    if record is not None:
        threshold = refuse_other_detector(record, ready.sha256).config.threshold
        if not math.isfinite(threshold):
            raise typer.BadParameter(f"--run {run} has no threshold: audit the detector again")
    limits = Limits(body_s=patience)
    looker = Looker(ready, threshold, limits)
    folder = runs or (run.absolute().parent if run is not None else None)
    hosts = (*LOOPBACK, host, *(name or []))
    app = build_app(looker, record, folder, hosts, token)
    run_server(app, socket, limits, lambda address: _tell(ready.name, address, quiet))


def _record(run: Path | None) -> AuditResult | None:
    from audit.schema.json_schema import load_result

    return None if run is None else load_result(run)


def _tell(name: str, address: str, quiet: bool) -> None:
    """Say where the page is; programs read the line from standard output."""
    print(address, flush=True)
    if not quiet:
        console.print(f"{name} answers there; Ctrl-C stops it", style="dim", markup=False)
