"""A search for a cure as a notebook wants it.

Enters: an audit, or its run folder. Leaves: `Mitigation`: frames, text, a page.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from markupsafe import escape

from audit.api.frames import frame_of
from audit.api.outcome import Audit
from audit.mitigation.parts import Plan
from audit.runs.mitigate_run import mitigate_run, mitigate_table, write_mitigation
from audit.runs.run_folder import refuse_file
from audit.schema.mitigation import Candidate, GapShift, GroupShift, MitigationResult
from pipelines.places import local

MITIGATION_PAGE = "mitigation.html"


class Mitigation:
    """What a search for a cure found.

    Attributes:
        record: Everything, as `mitigation.json` holds it.
    """

    def __init__(self, record: MitigationResult) -> None:
        self.record = record

    @property
    def outcome(self) -> str:
        """accepted, levelling down, not accepted, no candidate or nothing to cure."""
        return self.record.outcome

    @property
    def threshold(self) -> float:
        """The accepted threshold, else the one in use, in units of the score."""
        cure = self.record.cure
        return cure.threshold if cure is not None and self.outcome == "accepted" else self.record.threshold

    @property
    def candidates(self) -> pd.DataFrame:
        """One row a way to choose a threshold, tried on the fitting part."""
        return frame_of(self.record.candidates, Candidate)

    @property
    def gaps(self) -> pd.DataFrame:
        """One row an attribute and rate: the gap before and after on unseen images, with intervals (0-1)."""
        return frame_of(self.record.cure.gaps if self.record.cure else [], GapShift)

    @property
    def groups(self) -> pd.DataFrame:
        """One row a group and rate: before and after on unseen images (0-1)."""
        return frame_of(self.record.cure.groups if self.record.cure else [], GroupShift)

    @property
    def summary(self) -> str:
        """The answer in a sentence or two, with its cost."""
        from reports.text.legible import legible
        from reports.text.mitigation_text import sentence

        return sentence(legible(self.record))

    def write(self, run_dir: str | Path) -> Path:
        """Write `mitigation.json` into a run folder, made if it is not there; returns the folder."""
        folder = local(run_dir)
        refuse_file(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return write_mitigation(self.record, folder).parent

    def report(self, path: str | Path = MITIGATION_PAGE) -> Path:
        """Write the page, one HTML file that opens offline.

        Args:
            path: The file, or a folder for `mitigation.html`.
        """
        from pipelines.storage import write_text
        from reports.pages.mitigation_page import build

        target = local(path)
        return write_text(target / MITIGATION_PAGE if target.is_dir() else target, build(self.record))

    def __repr__(self) -> str:
        return f"<Mitigation: {self.outcome}>"

    def _repr_html_(self) -> str:
        return f"<h3>{escape(self.outcome)}</h3><p>{escape(self.summary)}</p>"


def mitigate(
    found: Audit | str | Path, *, fit_share: float = 0.5, margin: float = 0.02, command: str = ""
) -> Mitigation:
    """Look for a threshold that narrows the gaps of an audit, chosen on one part and judged on another.

    Args:
        found: An audit, or a run folder.
        fit_share: Share of the pairs or units on which it is chosen, in 0.1-0.9.
        margin: By how much the mean of FPR and FNR may rise at most, in 0-0.5.
        command: The command line, for the record.

    Raises:
        MitigationError: The table is too small to split, or an option is impossible.
        ResultFormatError: The folder holds no readable `audit.json`.
    """
    plan = Plan(fit_share, margin).check()
    if not isinstance(found, Audit):
        record = mitigate_run(local(found), plan)
    elif found.folder is not None:
        record = mitigate_run(found.folder, plan)
    else:
        record = mitigate_table(found.record, found.scores, plan, found.config)
    if command:
        record = record.model_copy(
            update={"provenance": record.provenance.model_copy(update={"command": command})}
        )
    return Mitigation(record)
