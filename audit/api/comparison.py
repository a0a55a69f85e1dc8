"""A comparison of detectors as a notebook wants it.

Enters: a `Comparison` record. Leaves: `DetectorComparison`: frames, text, files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from markupsafe import escape

from audit.api.frames import frame_of
from audit.api.outcome import Audit, html_table
from audit.errors import ComparisonError
from audit.runs.compare_runs import compare_runs, write_comparison
from audit.schema.comparison import AucDifference, ComparedRun, Comparison, ErrorDifference, GapChange
from pipelines.places import local

COMPARISON_PAGE = "comparison.html"


class DetectorComparison:
    """What a comparison of detectors on the same images found.

    Attributes:
        record: Everything, as `comparison.json` holds it.
    """

    def __init__(self, record: Comparison) -> None:
        self.record = record

    @property
    def runs(self) -> pd.DataFrame:
        """One row a detector: threshold, AUC, FPR, FNR and their intervals (0-1)."""
        return frame_of(self.record.runs, ComparedRun)

    @property
    def auc(self) -> pd.DataFrame:
        """One row a pair of detectors and group: difference of the AUCs, interval, p-value."""
        return frame_of(self.record.auc, AucDifference)

    @property
    def errors(self) -> pd.DataFrame:
        """One row a pair of detectors, group and rate: difference (0-1), interval, p-value."""
        return frame_of(self.record.errors, ErrorDifference)

    @property
    def gaps(self) -> pd.DataFrame:
        """One row a pair of detectors, attribute and rate: difference of the gaps, interval, p-value."""
        return frame_of(self.record.gaps, GapChange)

    @property
    def summary(self) -> str:
        """The answer in one line."""
        from reports.text.comparison_text import headline

        return str(headline(self.record))

    def write(self, out_dir: str | Path) -> Path:
        """Write `comparison.json` into a folder, made if it is not there; returns the folder."""
        return write_comparison(self.record, local(out_dir)).parent

    def report(self, path: str | Path = COMPARISON_PAGE) -> Path:
        """Write the page, one HTML file that opens offline.

        Args:
            path: The file, or a folder for `comparison.html`.
        """
        from pipelines.storage import write_text
        from reports.pages.comparison_page import write_comparison_page

        target = local(path)
        target = target / COMPARISON_PAGE if target.is_dir() else target
        with tempfile.TemporaryDirectory() as folder:
            write_comparison(self.record, folder)
            page = write_comparison_page(folder).read_text(encoding="utf-8")
        return write_text(target, page)

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(run.name for run in self.record.runs)}>"

    def _repr_html_(self) -> str:
        rows = [
            (run.name, f"{run.threshold:g}", f"{run.auc:.3f}", f"{run.fpr:.3f}", f"{run.fnr:.3f}")
            for run in self.record.runs
        ]
        table = html_table(["Detector", "Threshold", "AUC", "FPR", "FNR"], rows)
        return f"<h3>{escape(self.summary)}</h3>{table}"


def compare(*runs: str | Path | Audit | Sequence[str | Path | Audit]) -> DetectorComparison:
    """Compare two or more detectors on the images that all of them scored.

    Args:
        runs: Run folders, or audits that were written into one; given one by one or as one list.
            Confidence, min_n, replicates and seed are those of the first.

    Raises:
        ComparisonError: They cannot be compared, or an audit lies in no folder.
        ResultFormatError: A folder holds no readable `audit.json`.
    """
    for given in runs:
        if not isinstance(given, str | Path | Audit | Iterable):
            raise ComparisonError(
                f"{given!r} is no run; give run folders, or audits that were written into one"
            )
    listed = [one for given in runs for one in ([given] if isinstance(given, str | Path | Audit) else given)]
    return DetectorComparison(compare_runs([_folder(run) for run in listed]))


def _folder(run: str | Path | Audit) -> Path:
    if not isinstance(run, Audit):
        return local(run)
    if run.folder is None:
        raise ComparisonError(f"{run!r} lies in no folder; write it first: result.write('runs/NAME')")
    return run.folder
