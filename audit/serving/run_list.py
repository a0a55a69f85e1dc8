"""Runs of a folder: which there are, the report of one, two side by side.

Enters: the folder that the server was started with. Leaves: rows, HTML.

Why a client names a run by its place in the listing's own keys: no text from a client becomes part of a path.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from audit.errors import ExpectedError
from audit.serving.problems import Problem
from pipelines.visible import visible

MAX_RUNS = 500
"""Folders looked into, by name."""


@dataclass(frozen=True)
class Run:
    """One row of the listing."""

    key: str
    """The folder's name, as the listing found it."""
    detector: str
    headline: str
    images: int
    fault: str
    """Why it cannot be read, or ""."""


class Runs:
    """The run folders directly inside a folder.

    Args:
        folder: The folder; None where there is none to browse.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def places(self) -> dict[str, Path]:
        """Key to folder, of those that hold an audit.json now."""
        if self._folder is None or not self._folder.is_dir():
            return {}
        found = sorted(path.parent for path in self._folder.glob("*/audit.json"))
        return {visible(path.name): path for path in found[:MAX_RUNS]}

    def listing(self) -> list[Run]:
        """What can be browsed, by name."""
        return [_row(key, path) for key, path in self.places().items()]

    def report(self, key: str) -> str:
        """The report's HTML of one run.

        Raises:
            Problem: 404 for no such run, 422 for one that cannot be read.
        """
        from audit.api.outcome import RUN_FILE, load_audit
        from reports.pages.report_page import build
        from reports.run_files import load_json

        place = self._place(key)
        try:
            return build(place, load_audit(place).record, load_json(place / RUN_FILE))
        except ExpectedError as error:
            raise Problem(422, "unreadable-run", "The run cannot be read", str(error)) from None

    def comparison(self, first: str, second: str) -> str:
        """The comparison's HTML of two runs.

        Raises:
            Problem: 400, 404 or 422, where they cannot be compared.
        """
        from audit.api.comparison import compare

        if first == second:
            raise Problem(400, "same-run", "Choose two runs", "both are the same; choose another one")
        places = [self._place(key) for key in (first, second)]
        try:
            found = compare(list(places))
        except ExpectedError as error:
            raise Problem(422, "not-comparable", "The runs cannot be compared", str(error)) from None
        with tempfile.TemporaryDirectory(prefix="audit-serve-") as folder:
            return found.report(folder).read_text(encoding="utf-8")

    def _place(self, key: str) -> Path:
        place = self.places().get(key)
        if place is None:
            raise Problem(404, "no-such-run", "No such run", f"no run {key[:100]!r} in this folder")
        return place


def _row(key: str, place: Path) -> Run:
    from audit.api.outcome import load_audit
    from reports.pages.report_page import detector_name
    from reports.text.answer import headline
    from reports.text.legible import legible

    try:
        record = legible(load_audit(place).record)
    except ExpectedError as error:
        return Run(key, "", "", 0, visible(error))
    return Run(key, detector_name(record), headline(record), record.data.n_images, "")
