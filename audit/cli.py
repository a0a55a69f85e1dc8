"""The command line: `audit COMMAND`. A thin shell; everything it can do, Python can do in one call.

Enters: arguments. Leaves: exit code 0, 1 where a gate (`--fail-on`, `--max-fpr`, `--max-fnr`) found what it
looks for, 2 for an expected error or an impossible option (one line, no traceback), 3 where a gate was asked
for and the detector is not shown to be better than guessing. Bugs keep their traceback.
"""

from __future__ import annotations

import errno
import inspect
import io
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from audit.commands import (
    benchmark,
    demo,
    doctor,
    experiments,
    pairs,
    serve,
    show,
    verify,
)
from audit.commands import explain as explaining
from audit.commands import run as running
from audit.commands import score as scoring
from audit.commands import train as training
from audit.commands.common import errors, typed
from audit.commands.questions import mitigate, shortcuts, stress
from audit.commands.voices import trials
from pipelines import places
from pipelines.errors import ExpectedError
from pipelines.place_urls import is_url
from pipelines.visible import visible

UsageError: Any = typer.BadParameter.__mro__[1]
"""Arguments that cannot be parsed, of which typer exports the leaves alone."""

MAX_MESSAGE = 1500
"""Characters of an error's line: a file may hold names of any length."""

NO_PLACES = frozenset({"--name", "--detector-version", "--ray-address"})
"""Options whose value is a word for the record, or another kind of address, whatever it looks like."""

COMMANDS: dict[str, tuple[Callable[..., Any], ...]] = {
    "Audit": (
        running.run, mitigate.mitigate, show.compare, benchmark.benchmark, benchmark.cross_table,
        stress.stress, shortcuts.shortcuts, show.report,
    ),
    "Make pairs": (pairs.generate_pairs, pairs.import_pairs, pairs.export_pairs, pairs.unpack_pairs),
    "Make trials of voices": (trials.generate_trials,),
    "Detectors": (
        training.train, experiments.sweep, experiments.experiments, scoring.score, scoring.check,
        explaining.explain, serve.serve,
    ),
    "Inspect": (demo.demo, doctor.doctor, verify.verify, verify.sign, show.schema),
}  # fmt: skip
"""Title of each group in the help to its commands."""

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


def _flowing(function: Callable[..., Any]) -> str:
    """The help of a command: its docstring, whose lines would else be broken a second time on the screen."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(" ".join(text.split()) for text in paragraphs)


for title, functions in COMMANDS.items():
    for function in functions:
        app.command(rich_help_panel=title, help=_flowing(function))(function)


@cache
def _command() -> Callable[..., Any]:
    """The parser of every command; made once, however many commands one process runs."""
    return typer.main.get_command(app)


FULL = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ENXIO, errno.ENODEV,
        errno.EMFILE, errno.ENFILE, errno.EPIPE, errno.ESTALE,
    }
)  # fmt: skip
"""What disks and the machine say of open files, which bear no name; any other fault without one is a bug."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; options that cannot be parsed exit with 2 as well."""
    for stream in (sys.stdout, sys.stderr):  # a file name that is not UTF-8 can be printed all the same
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with typed(given):
            sys.exit(_command()(with_copies(given), prog_name="audit", standalone_mode=False) or 0)
    except UsageError as error:
        context = getattr(error, "ctx", None)
        text = error.format_message()
        if not text:  # no command was named, and its help was shown
            sys.exit(2)
        known = {
            function.__name__.replace("_", "-") for functions in COMMANDS.values() for function in functions
        }
        command = " ".join(["audit", *(word for word in given[:1] if word in known)])
        _stop(f"{text.rstrip('.')} (see {context.command_path if context else command} --help)")
    except typer.Abort:
        errors.print("stopped", style="red")
        sys.exit(130)
    except ExpectedError as error:
        _stop(str(error))
    except OSError as fault:
        if fault.filename is None and fault.errno not in FULL:
            raise
        _stop(_of_the_disk(fault))
    except MemoryError as fault:
        more = f" ({fault})" if str(fault) else ""
        _stop(f"the memory does not suffice{more}; take a smaller --batch-size, --n-boot or table")


def with_copies(arguments: Sequence[str]) -> list[str]:
    """Arguments with every address of a store replaced by its copy on this machine, which commands work on.

    Raises:
        PlaceError: an address that cannot be used.
        MissingExtra: its package is not installed.
    """
    if {"-h", "--help"} & set(arguments):
        return list(arguments)
    found: list[str] = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
        is_place = is_url(value) and (option or before) not in NO_PLACES
        found.append(f"{option}{equals}{places.local(value)}" if is_place else argument)
    return found


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
    errors.print(f"error: {line}", style="red", markup=False, soft_wrap=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
