"""What the commands share: where things lie by default, the command line as typed, a run's circumstances.

Enters: nothing. Leaves: options, paths, plain dicts.
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from audit.errors import ExpectedError
from pipelines.extras import require
from pipelines.place_urls import without_credentials
from pipelines.places import require_writable
from pipelines.visible import encodable, visible

if TYPE_CHECKING:
    from detectors.scoring.options import RayCluster

PAIRS_PLACE = Path("pairs")
RUNS_PLACE = Path("runs")
FAIRFACE_PLACES = (Path("fairface"), Path("FairFace"), Path("data/fairface"))
"""Where `audit generate-pairs` looks without --fairface."""

console = Console(stderr=True, highlight=False)
"""Progress and remarks; results go to standard output."""

errors = Console(stderr=True, highlight=False)
"""What went wrong; never quiet."""

DEVICES = ("auto", "cpu", "cuda")
THRESHOLDS = ("0.5", "eer", "youden", "fpr=0.01", "fpr=0.05", "fpr<=0.01@95%", "fnr=0.05")
"""What completion proposes for a threshold."""


def complete(words: Sequence[str]) -> Callable[[str], list[str]]:
    """Shell completion from a list of words."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


def complete_arch(incomplete: str) -> list[str]:
    """Shell completion of architectures; none where torch is not installed."""
    from pipelines.extras import missing

    if missing("images"):
        return []
    from detectors.models.architectures import ZOO

    return [name for name in sorted(ZOO) if name.startswith(incomplete)]


def chosen_from(words: Sequence[str]) -> Callable[[str | None], str | None]:
    """A check of an option's value, made before the command begins."""

    def check(value: str | None) -> str | None:
        if value is not None and value not in words:
            near = get_close_matches(value, words, n=1, cutoff=0.7)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise typer.BadParameter(f"'{value}' is none of {', '.join(words)}{hint}")
        return value

    return check


def set_quiet(value: bool) -> bool:
    """Silence remarks, or let them speak again."""
    console.quiet = value
    return value


Device = Annotated[
    str,
    typer.Option(
        help="auto, cpu or cuda.", metavar="DEVICE", callback=chosen_from(DEVICES),
        autocompletion=complete(DEVICES),
    ),
]  # fmt: skip
BatchSize = Annotated[
    int, typer.Option(min=1, help="Images in a batch; more take more memory.", metavar="IMAGES")
]
ENGINES = ("local", "ray")
WORK = "How the work is done"
Engine = Annotated[
    str,
    typer.Option(
        help="local, or ray for a cluster (extra \\[ray]).", metavar="ENGINE", callback=chosen_from(ENGINES),
        autocompletion=complete(ENGINES), rich_help_panel=WORK,
    ),
]  # fmt: skip
RayAddress = Annotated[
    str | None,
    typer.Option(
        envvar="RAY_ADDRESS", help="The Ray cluster's address; without one it is started here.",
        metavar="ADDRESS", rich_help_panel=WORK,
    ),
]  # fmt: skip
RayWorkers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, help="With --engine ray: processes that score; by default as many as fit.",
        metavar="COUNT", rich_help_panel=WORK,
    ),
]  # fmt: skip
CpusPerWorker = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="With --engine ray: CPUs of each; by default the threads that torch uses here. Scores of a "
        "foreign file, or of Python you name, may differ in their last bits with the count.",
        metavar="COUNT", rich_help_panel=WORK,
    ),
]  # fmt: skip
GpusPerWorker = Annotated[
    float | None,
    typer.Option(
        help="With --engine ray: GPUs of each; 0.25 puts four workers on one. Default: 1, if there are any.",
        metavar="SHARE", rich_help_panel=WORK,
    ),
]  # fmt: skip
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.", metavar="NUMBER")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what another run left there.")]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", callback=set_quiet, help="No progress and no remarks; errors alone."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the record as JSON, and nothing else.")]


def refuse_typed(context: typer.Context, others: Mapping[str, str], why: str) -> None:
    """Refuse options that another one leaves no meaning.

    Args:
        context: The command being run.
        others: Parameter to option as typed.
        why: The rest of the sentence, as it is said of one.

    Raises:
        typer.BadParameter: Naming those that were typed.
    """
    typed_too = [option for name, option in others.items() if is_typed(context, name)]
    if len(typed_too) > 1:
        for of_one, of_several in _OF_SEVERAL.items():
            why = why.replace(of_one, of_several)
    if typed_too:
        raise typer.BadParameter(f"{', '.join(typed_too)} {why}")


_OF_SEVERAL = {"is for": "are for", "does not go with": "do not go with", "goes with": "go with"}
"""What is said of one option, to the same of several."""


def is_typed(context: typer.Context, name: str) -> bool:
    """Whether a parameter stands on the command line, and does not merely have its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


WITH_RAY = {
    "ray_address": "--ray-address", "workers": "--workers", "cpus_per_worker": "--cpus-per-worker",
    "gpus_per_worker": "--gpus-per-worker",
}  # fmt: skip


def cluster_from(
    context: typer.Context,
    engine: str,
    device: str,
    address: str | None,
    workers: int | None,
    cpus_per_worker: int | None,
    gpus_per_worker: float | None,
) -> RayCluster | None:
    """The cluster that scores; None for this process.

    Args:
        context: The command being run.
        engine: One of `ENGINES`.
        device: One of `DEVICES`.
        address: As typed, like the others.
        workers: How many.
        cpus_per_worker: CPUs of each.
        gpus_per_worker: GPUs of each.

    Raises:
        typer.BadParameter: Options of a cluster were typed without one.
        MissingExtra: Ray is not installed.
        ClusterError: A size that no worker can have.
    """
    if engine == "local":
        refuse_typed(context, WITH_RAY, "goes with --engine ray alone")
        return None
    require(f"audit {context.info_name} --engine ray", "images", "ray")
    from detectors.scoring.options import RayCluster

    return RayCluster(address, workers, cpus_per_worker, gpus_per_worker, device)  # type: ignore[arg-type]


def require_detectors(
    purpose: str, detectors: Sequence[str], arch: str | None = None, settings: Sequence[str] | None = None
) -> None:
    """See, before any work, that what the detectors run on is installed.

    Args:
        purpose: The command, for the message.
        detectors: Files or factories, as typed.
        arch: `--arch`.
        settings: `--set`, as typed.

    Raises:
        MissingExtra: Naming the extras to install from the checkout.
    """
    named = [arch or "", *(text.partition("=")[2].strip() for text in settings or [] if "arch" in text)]
    require(
        purpose,
        "images",
        *(["onnx"] if any(name.lower().endswith(".onnx") for name in detectors) else []),
        *(["train"] if any(name.startswith("timm:") or name == "xception" for name in named) else []),
    )


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
    require_writable(path)


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
    """The command as a person would type it again: the one being run, or the one with these arguments.

    Addresses in it stand without credentials.
    """
    given = arguments or _TYPED.get() or sys.argv[1:]
    return encodable(shlex.join(["audit", *map(without_credentials, given)]))


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
