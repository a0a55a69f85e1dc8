"""What the commands share: where things lie by default, the command line as typed, a run's circumstances.

Enters: nothing. Leaves: options, paths, plain dicts.
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from audit.errors import ExpectedError
from pipelines.visible import encodable, visible

PAIRS_PLACE = Path("pairs")
RUNS_PLACE = Path("runs")
FAIRFACE_PLACES = (Path("fairface"), Path("FairFace"), Path("data/fairface"))
"""Where `audit generate-pairs` looks without --fairface."""

console = Console(stderr=True, highlight=False)
"""Progress and remarks; results go to standard output."""

Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Images a network sees at once.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what another run left there.")]


def say(line: str) -> None:
    """Show a line of progress, printed as it is; a warning stands out."""
    console.print(visible(line), style="yellow" if line.startswith("warning: ") else "dim", markup=False)


def show(text: object) -> None:
    """Print to standard output; what strangers wrote into it is shown and not obeyed."""
    print("\n".join(map(visible, str(text).split("\n"))))


class NothingThere(ExpectedError):
    """No option was given, and nothing lies in the default places."""


class CannotWrite(ExpectedError):
    """What is asked for cannot be written where it is asked for."""


def require_folder(path: Path) -> None:
    """Refuse, before any work, a folder that cannot be written into.

    Raises:
        CannotWrite: it, or the nearest folder that exists above it, is a file, or may not be written to.
    """
    there = next((place for place in (path, *path.absolute().parents) if place.exists()), path)
    if not there.is_dir():
        raise CannotWrite(f"{there} is a file, and {path} is to be a folder: name another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise CannotWrite(f"{there} may not be written to: name another place, or change its rights")


def require_file(path: Path) -> None:
    """Refuse, before any work, a file that cannot be written.

    Raises:
        CannotWrite: it is a folder, or `require_folder` refuses where it lies.
    """
    if path.is_dir():
        raise CannotWrite(f"{path} is a folder, and a file is to be written there: name a file")
    require_folder(path.absolute().parent)


_TYPED: ContextVar[tuple[str, ...] | None] = ContextVar("typed", default=None)
"""Arguments of the command being run, where they are not the process's own."""


def command_line(arguments: Sequence[str] | None = None) -> str:
    """The command as a person would type it again: the one being run, or the one with these arguments."""
    given = arguments or _TYPED.get() or sys.argv[1:]
    return encodable(shlex.join(["audit", *given]))


@contextmanager
def typed(arguments: Sequence[str] | None) -> Iterator[None]:
    """Within this context, `command_line` tells these arguments."""
    token = _TYPED.set(None if arguments is None else tuple(arguments))
    try:
        yield
    finally:
        _TYPED.reset(token)


def find_fairface(given: Path | None) -> Path:
    """The folder of labelled photos: the one given, or the first default place that exists.

    Raises:
        NothingThere: none does.
    """
    if given is not None:
        return given
    for place in FAIRFACE_PLACES:
        if place.is_dir():
            return place
    looked = ", ".join(f"./{place}" for place in FAIRFACE_PLACES)
    raise NothingThere(
        f"no labelled photos: looked in {looked}. Unzip FairFace there, or say --fairface DIR; "
        "`audit demo` draws its own faces"
    )


def find_pairs(given: Path | None) -> Path:
    """The pairs dataset: the one given, or ./pairs.

    Raises:
        NothingThere: there is none.
    """
    if given is not None:
        return given
    if PAIRS_PLACE.is_dir():
        return PAIRS_PLACE
    raise NothingThere(
        "no pairs: looked in ./pairs. Make them with `audit generate-pairs`, or say --pairs DIR"
    )


def circumstances(started: float, **more: Any) -> dict[str, Any]:
    """What may differ between two runs of the same audit, for `run.json`.

    Args:
        started: `time.time()` at the start.
        more: further entries.
    """
    ended = time.time()
    return {
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "finished": datetime.fromtimestamp(ended, UTC).isoformat(timespec="seconds"),
        "seconds": round(ended - started, 1),
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        **more,
    }
