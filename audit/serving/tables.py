"""A table of scores to its full report, without a terminal.

Enters: the bytes of a CSV, then the columns as a person corrected them. Leaves: guesses to correct, the HTML
of the report, the record.

Why the audit runs as `audit run` in a process of its own: the numbers are the command line's, a table that
takes for ever is ended, and the network keeps answering meanwhile. Unlike images, a table lies in a folder
of its own under the system's temporary one while that process reads it, and is deleted with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from starlette.datastructures import UploadFile

from audit.config import AuditConfig
from audit.data.columns import find_attributes, preferred
from audit.data.score_file import look_at
from audit.errors import ExpectedError
from audit.serving.limits import Limits
from audit.serving.problems import Problem, busy
from audit.serving.uploads import checked_name
from pipelines.visible import visible

KEPT_S = 1800.0
"""A table and its report are forgotten after so long."""
KEPT = 8
"""Tables kept at once; the oldest goes first."""
_HEAD = 5
_FILE = "scores.csv"
_TEXTS = {
    "threshold": "--threshold", "positive": "--positive", "pair_id_column": "--pair-id-column",
    "image_id_column": "--image-id-column",
}  # fmt: skip
"""Field of a form to the option that it becomes, where it is not empty."""
FIELDS = ("label", "score", "attribute", "higher", *_TEXTS)
"""All fields that say how a table is audited."""


@dataclass(frozen=True)
class Guess:
    """What the columns of a table seem to be."""

    columns: list[str]
    rows: list[list[str]]
    """The first few, as text."""
    label: str
    """A column, or ""."""
    score: str
    attributes: list[str]
    understood: list[str]
    """What was guessed, in words."""
    asked: list[str]
    """What could not be."""


@dataclass
class Kept:
    """A table that waits for its columns, or its report."""

    name: str
    data: bytes = field(repr=False)
    guess: Guess
    until: float
    report: str = field(default="", repr=False)


class Tables:
    """Tables that were uploaded a short while ago, in memory.

    Args:
        limits: Sizes and times.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._running = 0

    def keep(self, name: str, data: bytes) -> tuple[str, Kept]:
        """Look at a table and keep it for a while; its key cannot be guessed.

        Raises:
            Problem: 422, it is no table.
        """
        kept = Kept(name, data, guess_columns(name, data), time.monotonic() + KEPT_S)
        key = secrets.token_urlsafe(16)
        self._forget()
        self._kept[key] = kept
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return key, kept

    def find(self, key: str) -> Kept:
        """A table that was kept.

        Raises:
            Problem: 404, it was forgotten.
        """
        self._forget()
        if key not in self._kept:
            raise Problem(
                404, "no-such-table", "The table is gone", "tables are kept half an hour; drop it again"
            )
        return self._kept[key]

    def _forget(self) -> None:
        now = time.monotonic()
        for key in [key for key, kept in self._kept.items() if kept.until < now]:
            del self._kept[key]

    async def audit(self, data: bytes, name: str, options: Mapping[str, Sequence[str]]) -> tuple[str, str]:
        """Audit a table as `audit run --scores` does.

        Args:
            data: The CSV.
            name: What the detector is called in the report.
            options: Field of the form to its values: label, score, attribute (several), and `_TEXTS`.

        Returns:
            The HTML of the report, the JSON of the record.

        Raises:
            Problem: 422 with the command's own line, 503 where others are audited, 504 after too long.
        """
        if self._running >= self._limits.audits_at_once:
            raise busy(10, f"{self._running} tables are being audited; try again in 10 s")
        self._running += 1
        try:
            with tempfile.TemporaryDirectory(prefix="audit-serve-") as folder:
                return await self._audit(Path(folder), data, arguments(name, options))
        finally:
            self._running -= 1

    async def _audit(self, folder: Path, data: bytes, options: list[str]) -> tuple[str, str]:
        (folder / _FILE).write_bytes(data)
        command = [
            sys.executable, "-m", "audit.cli", "run", "--scores", _FILE, "--out", "run", "--quiet", *options,
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, map(os.path.abspath, sys.path)))},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(self._limits.audit_s):
                _, said = await process.communicate()
        except TimeoutError:
            raise Problem(
                504,
                "audit-too-slow",
                "The audit takes too long",
                f"it was ended after {self._limits.audit_s:g} s; run it in a terminal: "
                "audit run --scores FILE",
            ) from None
        finally:
            if process.returncode is None:  # too slow, or the client went away
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0:
            raise _refused(said.decode("utf-8", "replace"))
        run = folder / "run"
        return (run / "report.html").read_text("utf-8"), (run / "audit.json").read_text("utf-8")


def arguments(name: str, options: Mapping[str, Sequence[str]]) -> list[str]:
    """The options of `audit run` that a form asks for; values that are empty are left to its defaults.

    >>> arguments("A.csv", {"label": ["y"], "score": ["p"], "attribute": ["race", "sex"]})
    ['--name=A.csv', '--label-column=y', '--score-column=p', '--attribute=race', '--attribute=sex']
    """
    chosen = [f"--name={name}"]
    for key, option in {"label": "--label-column", "score": "--score-column"}.items():
        chosen += [f"{option}={value}" for value in options.get(key, ())[:1] if value]
    chosen += [f"--attribute={value}" for value in options.get("attribute", ()) if value]
    chosen += [f"--read=higher={value}" for value in options.get("higher", ())[:1] if value]
    for key, option in _TEXTS.items():
        chosen += [f"{option}={value.strip()}" for value in options.get(key, ())[:1] if value.strip()]
    return chosen


def guess_columns(name: str, data: bytes) -> Guess:
    """What the columns of a CSV seem to be, by their names and first rows.

    Raises:
        Problem: 422, it is no table.
    """
    with tempfile.TemporaryDirectory(prefix="audit-serve-") as folder:
        path = Path(folder) / _FILE
        path.write_bytes(data)
        try:
            look = look_at(path, AuditConfig())
        except ExpectedError as error:
            said = str(error).replace(str(path), name or "the table")
            raise Problem(422, "not-a-table", "Not a table of scores", said) from None
    reading, names = look.reading, list(look.reading.columns)
    roles = reading.config.columns
    label, score = (column if column in names else "" for column in (roles.label, roles.score))
    return Guess(
        names,
        _shown(look.head),
        label,
        score,
        _attributes(look.head, label, score),
        [f"{one.name}: {one.text}" for one in reading.guesses],
        [one.text for one in reading.problems],
    )


def _attributes(frame: pd.DataFrame, label: str, score: str) -> list[str]:
    rest = frame.drop(columns=[name for name in (label, score) if name])
    try:
        return find_attributes(rest, AuditConfig())
    except ExpectedError:  # none was found: the person chooses
        return preferred(rest.columns)


def _shown(frame: pd.DataFrame) -> list[list[str]]:
    return [[visible(value)[:60] for value in row] for row in frame.head(_HEAD).fillna("").values.tolist()]


def _refused(said: str) -> Problem:
    lines = [line.removeprefix("error: ") for line in said.splitlines() if line.strip()]
    text = lines[-1] if lines else "it ended without a word"
    return Problem(422, "cannot-be-audited", "The table cannot be audited", text)


async def checked_table(given: UploadFile | None) -> tuple[str, bytes]:
    """Name and bytes of an uploaded table.

    Raises:
        Problem: 400, none came.
    """
    data = await given.read() if given is not None else b""
    if given is None or not data:
        raise Problem(400, "no-table", "No table came", "choose or drop a CSV file that is not empty")
    return checked_name(given.filename or "table"), data
