"""One audit as a notebook wants it: its tables as frames, its answer as text, its files on request.

Enters: an `AuditResult`, and the table or run folder it belongs to. Leaves: `Audit`.

Why it is not the record itself: `AuditResult` is the content of `audit.json`, a published format of plain
lists that reports read; frames, files and HTML are ways to look at it, and none of them may change a byte.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pandas as pd
from markupsafe import escape

from audit.api.frames import curve_frame, frame_of
from audit.config import AuditConfig
from audit.data.file_columns import FileColumns
from audit.errors import ConfigError, RunFolderError
from audit.judge.usefulness import usefulness_in
from audit.runs.checksums import SUMS_FILE, enter
from audit.runs.kinds_of_fake import FOLDER
from audit.runs.run_folder import RESULT_FILE, RUN_FILE, SCORES_FILE, THUMBNAILS, clear_other_run
from audit.runs.score_audit import AuditedScores
from audit.schema.gates import RateLimit
from audit.schema.json_schema import load_result as load_record
from audit.schema.result import (
    AuditResult,
    Calibration,
    FnrAtFpr,
    Gap,
    GroupDifference,
    GroupResult,
    KindRate,
    NoScoreGroup,
    ScoreShift,
    Verdict,
    WorstKind,
)
from pipelines.places import local
from pipelines.untrusted import read_parquet
from pipelines.visible import isolated

REPORT_FILE = "report.html"
OF_ALL_GROUPS = {"gap": "range", "gap_low": "range_low", "gap_high": "range_high"}
"""Numbers of a verdict that hold over all pairs of groups, by what the frame calls them."""
DECIDED = ["gap", "gap_low", "gap_high", "ratio", "ratio_low", "ratio_high"]
"""Those of the pair that decided it."""


class Audit:
    """What an audit found.

    Attributes:
        record: Everything, as `audit.json` holds it.
        folder: Its run folder; None while it is in memory alone.
    """

    def __init__(
        self,
        record: AuditResult,
        folder: Path | None = None,
        scored: AuditedScores | None = None,
        temporary: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        self.record, self._scored = record, scored
        self._temporary = temporary  # deleted with this object
        self.folder = folder

    @property
    def groups(self) -> pd.DataFrame:
        """One row a group of an attribute or intersection: counts, rates and their intervals (0-1)."""
        return frame_of(self.record.groups, GroupResult)

    @property
    def verdicts(self) -> pd.DataFrame:
        """One row an attribute and rate: verdict, gap with its interval (0-1), p-values, who is worse off.

        `gap`, `ratio` and their limits are those that every sentence quotes: of the pair that decided.
        `range` is the largest minus the smallest rate of all groups, `gap_interval` of the record its limits.
        """
        worse = pd.Series([[g.group for g in v.worse_groups] for v in self.record.verdicts], dtype=object)
        found = frame_of(self.record.verdicts, Verdict).rename(columns=OF_ALL_GROUPS)
        found = found.assign(worse_groups=worse).drop(
            columns=["differences", "ratio", "ratio_low", "ratio_high"]
        )
        numbers = pd.DataFrame([_decided(self.record, v) for v in self.record.verdicts], columns=DECIDED)
        place = found.columns.get_loc("range")
        return pd.concat([found.iloc[:, :place], numbers, found.iloc[:, place:]], axis=1)

    @property
    def differences(self) -> pd.DataFrame:
        """One row an attribute, rate and group: its rate minus that of `compared_with` (0-1)."""
        rows = [(v, one) for v in self.record.verdicts for one in v.differences]
        asked = pd.DataFrame([(v.attribute, v.rate) for v, _ in rows], columns=["attribute", "rate"])
        return asked.join(frame_of([one for _, one in rows], GroupDifference))

    @property
    def answerable(self) -> bool:
        """Whether the detector is shown to be better than guessing, so that verdicts answer the question.

        `record.usefulness` says why not, and holds what flagging nothing, everything or at random gets.
        """
        return usefulness_in(self.record).answerable

    @property
    def rate_limits(self) -> pd.DataFrame:
        """One row a rate held to `max_fpr` or `max_fnr`: upper limit (0-1), and whether it holds."""
        return frame_of(self.record.rate_limits, RateLimit)

    @property
    def gaps(self) -> pd.DataFrame:
        """One row an attribute and disparity measure: value, interval, the groups that set it."""
        return frame_of(self.record.gaps, Gap)

    @property
    def score_shifts(self) -> pd.DataFrame:
        """One row a group of a single attribute and class: how often its images score higher than others'."""
        return frame_of(self.record.score_shifts, ScoreShift)

    @property
    def calibration(self) -> pd.DataFrame:
        """One row a group: mean score, share of fakes, calibration error (0-1); empty for other scores."""
        return frame_of(self.record.calibration, Calibration)

    @property
    def fnr_at_fpr(self) -> pd.DataFrame:
        """One row a group and FPR of all reals (1, 5, 10 %): its FNR at that one threshold (0-1)."""
        return frame_of(self.record.fnr_at_fpr, FnrAtFpr)

    @property
    def no_scores(self) -> pd.DataFrame:
        """One row a group of an attribute and class in which images got no score: how many, their share
        (0-1), and whether the group is proven to lack scores more often (`more`).
        """
        parts = [
            frame_of(one.groups, NoScoreGroup).assign(
                attribute=one.attribute, label=one.label, more=[g.group in one.more for g in one.groups]
            )
            for one in self.record.no_scores
        ]
        columns = ["attribute", "label", "group", "n", "n_without", "share", "low", "high", "more"]
        every = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
        return every[columns]

    @property
    def kind_rates(self) -> pd.DataFrame:
        """One row a group and kind of fake: its APCER (0-1); empty where no column names kinds."""
        return frame_of(self.record.kind_rates, KindRate)

    @property
    def worst_kinds(self) -> pd.DataFrame:
        """One row a group: the kind of fake that is missed most, and the largest APCER (0-1)."""
        return frame_of(self.record.worst_kinds, WorstKind)

    @property
    def curves(self) -> pd.DataFrame:
        """FPR and FNR (0-1) against the threshold: attribute, group, threshold, fpr, fnr."""
        return curve_frame(self.record.curves)

    @property
    def scores(self) -> pd.DataFrame:
        """The audited table, one row an image.

        Raises:
            RunFolderError: The run folder holds no scores any more.
        """
        if self._scored is not None:
            frame = self._scored.frame
            return frame.load() if isinstance(frame, FileColumns) else frame[list(frame.columns)]
        place = self._place() / SCORES_FILE
        if not place.is_file():
            raise RunFolderError(f"no {SCORES_FILE} in {place.parent}; run the audit again to have them")
        return read_parquet(place)

    @property
    def config(self) -> AuditConfig | None:
        """The options in the table's own spelling, while the table is in memory."""
        return self._scored.config if self._scored is not None else None

    @property
    def summary(self) -> str:
        """The answer as text: what to know first, the answer, one line a verdict."""
        from audit.wording.verdict_text import finding
        from reports.text.answer import baseline_sentence, headline, notes, overall_sentence
        from reports.text.legible import legible

        shown = legible(self.record)
        overall = f"{overall_sentence(shown)} {baseline_sentence(shown)}".rstrip()
        told = [f"{f.headline}. {f.sentence}" for f in (finding(shown, v) for v in _single(shown))]
        return "\n".join([*notes(shown), headline(shown), overall, *told])

    def write(self, out_dir: str | Path, overwrite: bool = False) -> Path:
        """Write the run folder: `audit.json`, `scores.parquet`, the sampled faces.

        Args:
            out_dir: Made if it is not there.
            overwrite: Replace another run's.

        Returns:
            The folder.

        Raises:
            RunFolderError: It holds another run, or is a file.
        """
        target = local(out_dir)
        if self._scored is not None:
            self._scored.write(target, overwrite)
        elif self._place().resolve() != target.resolve():
            clear_other_run(self.record, target, overwrite)
            _copy(self._place(), target)
        self.folder = target
        if self._temporary is not None:  # all of it lies in the folder now, and what is added comes to it
            self._temporary.cleanup()
            self._temporary = None
        return target

    def report(self, path: str | Path | None = None, images: bool = True) -> Path:
        """Write the report, one HTML file that opens offline.

        Args:
            path: The file, or a folder for `report.html`; None for the run folder.
            images: Put the sampled faces into it; False leaves them out for privacy.

        Returns:
            The file's path.

        Raises:
            RunFolderError: No path is given and the audit was not written yet; or it cannot be written there.
        """
        from pipelines.storage import write_text
        from reports.pages.report_page import build
        from reports.run_files import load_json

        if path is None and self.folder is None:
            raise RunFolderError("say where: result.report('report.html'), or first result.write('run')")
        target = local(path) if path is not None else Path(self.folder or ".")
        with _naming(target) if path is not None else nullcontext():
            target = target / REPORT_FILE if path is None or target.is_dir() else target
        if target.suffix.lower() == ".pdf":
            raise RunFolderError(
                f"the report is a page of HTML, not {target.name}; name it .html (audit report RUN_DIR --pdf "
                "prints it, too)"
            )
        place = Path(self._temporary.name) if self._temporary else self.folder
        run = {} if place is None else load_json(place / RUN_FILE)
        page = build(place, self.record, run, images)
        with _naming(target) if path is not None else nullcontext():
            written = write_text(target, page)
        if self.folder is not None and target == self.folder / REPORT_FILE:
            enter(self.folder, [target])  # a signature of the run stands for its report, too
        return written

    def _place(self) -> Path:
        place = Path(self._temporary.name) if self._temporary else self.folder
        if place is None:
            raise RunFolderError("this audit is in no folder; write it with result.write('runs/NAME')")
        return place

    def __repr__(self) -> str:
        data, where = self.record.data, f" in {self.folder}" if self.folder else ""
        by = ", ".join(self.record.config.attributes)
        task = self.record.task
        classes = f"{data.n_real:,} {task.negative_word} and {data.n_fake:,} {task.positive_word}"
        return f"<Audit of {classes} {task.items} by {by}{where}>"

    def _repr_html_(self) -> str:
        """The first screen: the answer, what to know first, one row a verdict."""
        from reports.text.answer import headline, notes, overall_sentence
        from reports.text.legible import legible

        shown = legible(self.record)
        rows = [verdict_row(shown, v) for v in _single(shown)]
        return "".join(
            [
                f"<h3>{escape(headline(shown))}</h3>",
                *(f"<p><b>{escape(note)}</b></p>" for note in notes(shown)),
                f"<p>{escape(overall_sentence(shown))}</p>",
                html_table(verdict_columns(shown), rows),
            ]
        )


@contextmanager
def _naming(target: Path) -> Iterator[None]:
    """Within this context a fault of the disk names the file that was asked for, and not a temporary one."""
    try:
        yield
    except OSError as fault:
        raise RunFolderError(
            f"{target} cannot be written: {fault.strerror or fault}; name another place"
        ) from fault


def _decided(record: AuditResult, v: Verdict) -> list[float]:
    """`DECIDED` of one verdict; the ratio is that of the pair proven unequal, where the verdict has none."""
    from audit.wording.verdict_text import deciding, deciding_pair

    found, pair = deciding(record, v), deciding_pair(record, v)
    ratio, limits = v.ratio, v.ratio_interval
    if limits is None and pair is not None:
        rates = {g.group: getattr(g, v.rate) for g in record.groups if g.attribute == v.attribute}
        low = rates.get(pair.than, math.nan)
        ratio, limits = (rates.get(pair.group, math.nan) / low if low else math.inf), pair.ratio_interval
    ends = [end for interval in (found.interval, limits) for end in (interval or (math.nan, math.nan))]
    return [found.gap, *ends[:2], ratio, *ends[2:]]


def _single(record: AuditResult) -> list[Verdict]:
    """Verdicts on single attributes."""
    return [v for v in record.verdicts if ":" not in v.attribute]


def verdict_columns(record: AuditResult) -> tuple[str, ...]:
    """What the cells of `verdict_row` are called."""
    from audit.wording.criterion_text import column_of_sizes

    return ("By", "Rate", "Verdict", column_of_sizes(record), "Between")


def verdict_row(record: AuditResult, v: Verdict) -> tuple[str, ...]:
    """One verdict in five cells of text, for a terminal or a notebook; names are as strangers gave them."""
    from audit.wording.criterion_text import headline_of
    from audit.wording.verdict_text import UNANSWERED, gap_line, group_label
    from reports.text.answer import is_answerable

    word = headline_of(record, v.verdict) if is_answerable(record) else UNANSWERED
    between = (v.worst_group, v.best_group) if word != UNANSWERED else ()
    ends = [group_label(v.attribute, g) for g in between if g]
    name, gap = isolated(v.attribute.replace(":", " × ")), gap_line(record, v)
    for what in ("gap ", "ratio of shares passed ", "ratio "):
        gap = gap.removeprefix(what)
    return (name, record.task.rate(v.rate), word, gap, " vs ".join(ends))


def html_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of text; every cell is escaped."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{line(columns, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def load_audit(run_dir: str | Path) -> Audit:
    """An audit that was written before.

    Raises:
        ResultFormatError: There is none, or it cannot be read.
    """
    place = local(run_dir)
    return Audit(load_record(place), place if place.is_dir() else place.parent)


def refuse_other_detector(record: AuditResult, sha256: str) -> AuditResult:
    """The audit, if it is of the detector whose file has this SHA-256.

    Raises:
        ConfigError: It is of another file, or names none.
    """
    audited = record.provenance.detector.get("sha256")
    if audited != sha256 or not audited:
        known = f"of a detector with SHA-256 {str(audited)[:12]}" if audited else "of no detector's file"
        raise ConfigError(
            f"--run holds an audit {known}, and --detector has {sha256[:12] or 'no file'}: "
            "name the run of this detector, or leave --run out"
        )
    return record


_VOUCHING = (RESULT_FILE, SUMS_FILE, f"{SUMS_FILE}.sig")
"""Files that stand for others, and are copied after them."""


def _copy(source: Path, target: Path) -> None:
    """Copy a run folder; pictures and kinds of another run there are replaced, what vouches comes last."""
    from pipelines.storage import remove_tree, replace_file

    found = [path for path in sorted(source.rglob("*")) if path.is_file() and not path.is_symlink()]
    names = [path.relative_to(source) for path in found if not path.is_relative_to(target)]
    for folder in (THUMBNAILS, FOLDER):
        remove_tree(target / folder)
    for name in sorted(names, key=lambda one: (len(one.parts) == 1 and one.name in _VOUCHING, one)):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        replace_file(target / name, lambda path, name=name: shutil.copyfile(source / name, path))  # type: ignore[misc]
