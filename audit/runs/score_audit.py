"""The audit from a score table to the record: count, measure, test, judge.

Enters: a table of scores (or a file of them) and an `AuditConfig`. Leaves: `AuditResult`, and for a file the
run folder that holds it (`audit.runs.run_folder`).

Why nothing here asks for the time or the number of threads: `audit.json` must be the same bytes for the same
inputs and seed. What may differ between two runs of one audit goes to `run.json`.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audit.config import AuditConfig, parse_rule
from audit.data.columns import (
    KIND,
    TableColumns,
    kind_column,
    plain_columns,
    resolved,
    spelled,
    unaudited,
    with_known_ids,
)
from audit.data.counts import Counts, count
from audit.data.duplicates import repeats_sentences
from audit.data.groups import MAX_GROUPS, Grouping, coded, many_numbers, whole
from audit.data.sampling_units import (
    refuse_hidden_units,
    spoken_of,
    trials_note,
    units_note,
    weights_note,
    with_source_units,
)
from audit.data.score_file import ScoreFile, read_scores, read_trials
from audit.data.score_table import ScoreTable, labels_of, score_table
from audit.data.table_reading import HOW_READ, NO_SCORE, complete_rows, with_one_spelling
from audit.data.trials import Trials, as_trials, label_doubts
from audit.data.unit_totals import IMAGES
from audit.errors import MissingColumnError, ScoreTableError
from audit.inference.attack_kinds import kind_rates
from audit.inference.clusters import worth
from audit.inference.effective_sample_size import fnr_worth, fpr_worth
from audit.inference.equality_test import raised_note, replicates_for
from audit.inference.proportion_intervals import z_value
from audit.judge.adjusted_gaps import Control, adjusted_gaps, merged, require_columns
from audit.judge.attrition import no_scores
from audit.judge.gap_records import eligible_by_class, gap_results, judged_rates, n_comparisons, question_of
from audit.judge.rate_limits import rate_limits
from audit.judge.reference_group import check_references, n_reference_questions, reference_gaps
from audit.judge.sanity_checks import scale_sentences, sentences
from audit.judge.threshold_sensitivity import other_thresholds
from audit.judge.usefulness import usefulness
from audit.judge.verdicts import Question, judge
from audit.metrics.curves_by_group import Axes, ScoreMeasures, SortedScores, score_measures
from audit.metrics.fixed_fpr import fixed_fprs, fnr_at_fixed_fpr
from audit.metrics.group_measures import cross_group_rates, group_results, measures_of
from audit.metrics.operating_point import Sides, exceeded_note, operating_point
from audit.metrics.plotted_series import Series, axes_for, series_of
from audit.metrics.score_calibration import calibrations
from audit.metrics.score_shift import score_shifts
from audit.runs.run_folder import clear_other_run, write_result, write_scores
from audit.schema import result as record
from audit.task import Task, task_named
from audit.wording.verdict_text import explained
from pipelines.places import name_of
from pipelines.storage import file_sha256


@dataclass(frozen=True)
class Extras:
    """What the caller knows beyond the scores, copied into the record.

    Attributes:
        provenance: Where detector and data come from.
        notes: Sentences the reader must know before believing a number.
        left_out: Reason to number of source photos that never reached the table.
        dropout: What became of the source photos by group.
        samples: Pairs shown in the report.
        controls: Columns of the table to hold constant without being asked.
        no_scores: Images without a score, by group.
        why_no_score: Reason to number of trials without a score, where the caller knows more than that there
            is none.
    """

    provenance: record.Provenance = field(default_factory=record.Provenance)
    notes: Sequence[str] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    dropout: Sequence[record.Dropout] = ()
    samples: Sequence[record.Sample] = ()
    controls: Sequence[Control] = ()
    no_scores: Sequence[record.NoScores] = ()
    why_no_score: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Part:
    """Everything about one grouping."""

    groups: list[record.GroupResult]
    gaps: list[record.Gap]
    questions: list[Question]
    series: Series
    measured: list[ScoreMeasures]


@dataclass(frozen=True)
class AuditedScores:
    """An audit and the table it was made of.

    Attributes:
        result: The record.
        frame: The audited images, one a row; of a large file, one that reads a column when it is asked for.
        config: The options, in the table's own spelling.
    """

    result: record.AuditResult
    frame: TableColumns
    config: AuditConfig

    def write(self, out_dir: str | Path, overwrite: bool = False) -> Path:
        """Write `audit.json` and `scores.parquet` into a run folder; returns the folder.

        Raises:
            RunFolderError: If it holds another run, or is a file.
        """
        clear_other_run(self.result, out_dir, overwrite)
        config = self.config
        fake = labels_of(self.frame[config.columns.label], config.positive, config.read_as.get("real"))
        write_scores(self.frame, config, fake, out_dir)
        write_result(self.result, out_dir, overwrite)
        return Path(out_dir)


def audit_scores(
    frame: pd.DataFrame, config: AuditConfig | None = None, extras: Extras | None = None
) -> record.AuditResult:
    """Audit a table of scores; the arguments are those of `audit_table`."""
    return audit_table(frame, config, extras).result


def _refuse_unusable(frame: pd.DataFrame, config: AuditConfig, lists: Sequence[str]) -> None:
    """Say why a column that was asked for is not among the columns, where it is elsewhere in the table.

    Raises:
        MissingColumnError: It holds lists, or is the index.
        ScoreTableError: There are no columns.
    """
    if not len(frame.columns) and not lists:
        raise ScoreTableError("the score table has no columns; give one row an image, with label and score")
    asked = [*config.attributes, *config.controls, config.unit_column, config.weight_column]
    for name in filter(None, [*asked, config.columns.label, config.columns.score]):
        if name in lists:
            raise MissingColumnError(
                f"no column '{name}' that can be used: it holds lists and not one value an image; make one "
                "value of each"
            )
        if name in frame.index.names and name not in frame.columns:
            raise MissingColumnError(
                f"'{name}' is the index of the score table and no column; give scores.reset_index()"
            )


def audit_table(
    frame: pd.DataFrame, config: AuditConfig | None = None, extras: Extras | None = None
) -> AuditedScores:
    """Audit a table of scores.

    Args:
        frame: One row an image: label (1 = fake), score (higher = more fake), attribute columns, optionally
            image_id and pair_id; other names through `config.columns`. Rows without a label or a score are
            left out and counted, as those of a file are.
        config: Options; defaults if None.
        extras: Provenance and what else goes into the record.

    Raises:
        ExpectedError: If an option or the table cannot be used.
    """
    config = (config or AuditConfig()).check()
    extras = extras or Extras()
    frame, lists = plain_columns(frame)
    _refuse_unusable(frame, config, lists)
    if lists:
        named = ", ".join(f"'{name}'" for name in lists)
        told = f"Columns left out, as they hold lists and not one value an image: {named}."
        extras = replace(extras, notes=[*extras.notes, told])
    if task_named(config.task).of_trials:
        return _audited_trials(as_trials(frame, config), extras)
    config = resolved(config, frame.columns)
    frame = with_known_ids(frame, config)
    frame, merged = with_one_spelling(frame, config)
    frame, left_out, unscored = complete_rows(frame, config.columns.label, config.columns.score)
    extras = replace(extras, notes=[*extras.notes, *merged], left_out={**extras.left_out, **left_out})
    asked, config = config, with_source_units(frame, config)
    table = score_table(frame, config, by_score=True)
    if len(unscored):
        extras = replace(extras, no_scores=_no_scores(unscored.__getitem__, frame, table, config))
    independent = refuse_hidden_units(table, _unspoken(frame, table, config), config, asked)
    table = _settled(table, frame, config, extras)
    known = [*table.cells.attributes, *(control.column for control in extras.controls)]
    left = unaudited(frame, config, known)
    extras = _with_notes(table, config, extras, independent, left)
    decided = _decided(frame, table, config, extras)
    return AuditedScores(_audit(frame, decided, config, extras), frame, config)


def audit_file(
    path: str | Path,
    out_dir: str | Path,
    config: AuditConfig | None = None,
    command: str = "",
    overwrite: bool = False,
) -> record.AuditResult:
    """Audit a file of scores, as `audit_score_file` does, and write the run folder.

    Raises:
        ExpectedError: If the file, an option, the table or the folder cannot be used.
    """
    audited = audit_score_file(path, config, command)
    audited.write(out_dir, overwrite)
    return audited.result


def audit_score_file(
    path: str | Path,
    config: AuditConfig | None = None,
    command: str = "",
    detector: Mapping[str, Any] | None = None,
    source: Mapping[str, Any] | None = None,
) -> AuditedScores:
    """Audit a CSV or Parquet file of scores.

    Args:
        path: Score file, one row an image.
        config: Options; defaults if None.
        command: The command line, for the record.
        detector: What is known of the detector behind the scores, such as its name and version.
        source: What is known of the data, such as {"kind": "rendered"}.

    Raises:
        ExpectedError: If the file, an option or the table cannot be used.
    """
    config = (config or AuditConfig()).check()
    of_data = {"source": dict(source)} if source else {}
    if task_named(config.task).of_trials:
        return _audited_trial_file(path, config, command, detector, of_data)
    read = read_scores(path, config)
    frame, config = read.frame, with_source_units(read.frame, read.config)
    table = score_table(frame, config, by_score=True)
    independent = _refuse_hidden_units(read, table, config, read.config)
    data = {
        "kind": "scores",
        "path": name_of(path),
        "sha256": file_sha256(path),
        "read_as": read.reading.record(),
        **of_data,
    }
    provenance = record.Provenance(command=command, data=data, detector=dict(detector or {}))
    said = read.reading.sentence()
    extras = Extras(provenance, notes=[said] if said else [], left_out=read.left_out)
    if NO_SCORE in read.left_out:
        extras = replace(extras, no_scores=_no_scores(read.without_score, frame, table, config))
    table = _settled(table, frame, config, extras)
    extras = _with_notes(table, config, extras, independent, read.unaudited(table.cells.attributes))
    rule = parse_rule(config.threshold)
    sides = None if rule.kind == "fixed" else Sides.of(table, config.calibration_share, config.seed)
    table = table.without_keys()  # as of what follows each is let go where a large table needs it no more
    decided = _decided(frame, table, config, extras, sides)
    del table, sides
    return AuditedScores(_audit(frame, decided, config, extras), frame, config)


def _no_scores(
    unscored: Callable[[list[str]], pd.DataFrame], frame: TableColumns, table: ScoreTable, config: AuditConfig
) -> list[record.NoScores]:
    """Rows that have a label and no score, by the audited attributes; `unscored` gives columns of them."""
    attributes = table.cells.attributes
    names = dict.fromkeys([config.columns.label, *attributes, *filter(None, [config.unit_column])])
    return no_scores(frame, unscored(list(names)), attributes, config)


def _settled(table: ScoreTable, frame: TableColumns, config: AuditConfig, extras: Extras) -> ScoreTable:
    """The table, without the rows its images came from where no column will be looked at beside it."""
    beside = [*config.controls, *extras.controls, config.unit_column, spelled(KIND, frame.columns)]
    return table if any(beside) else table.without_rows()


def _with_notes(
    table: ScoreTable, config: AuditConfig, extras: Extras, independent: Sequence[str], left: str | None
) -> Extras:
    """With notes on what is independent, and on the columns that are not audited."""
    notes = [
        *units_note(config, table.unit),
        *weights_note(config),
        *many_numbers(table.cells, config.bins),
        *independent,
        *extras.notes,
        *([left] if left else []),
    ]
    return replace(extras, notes=notes)


def _audited_trial_file(
    path: str | Path,
    config: AuditConfig,
    command: str,
    detector: Mapping[str, Any] | None,
    of_data: Mapping[str, Any],
) -> AuditedScores:
    """A file of trials."""
    trials, reading = read_trials(path, config)
    data = {
        "kind": "scores",
        "path": name_of(path),
        "sha256": file_sha256(path),
        "read_as": reading,
        **of_data,
    }
    provenance = record.Provenance(command=command, data=data, detector=dict(detector or {}))
    return _audited_trials(trials, Extras(provenance))


def _audited_trials(trials: Trials, extras: Extras) -> AuditedScores:
    """Trials of two clips each, as `audit.data.trials` understood them."""
    frame, config = trials.frame, trials.config
    table = score_table(frame, config, by_score=True)
    told = [f"{name} {text}" for name, text, _ in trials.told]
    read = [f"How the table was read: {'; '.join(told)}."] if told else []
    noted = [*trials_note(table, config), *label_doubts(trials), *weights_note(config)]
    notes = [*noted, *extras.notes, *read]
    left_out = dict(trials.left_out or {})
    if extras.why_no_score:
        left_out.pop(NO_SCORE, None)
    extras = replace(extras, notes=notes, left_out={**left_out, **extras.left_out, **extras.why_no_score})
    if trials.unscored is not None:
        lost = no_scores(frame, trials.unscored, table.cells.attributes, config)
        extras = replace(extras, no_scores=lost)

    def across(audited: ScoreTable, threshold: float) -> list[record.CrossGroupRate]:
        return cross_group_rates(frame.iloc[audited.rows()], audited, threshold, trials.sides, config)

    result = _audit(frame, _decided(frame, table, config, extras), config, extras, across)
    return AuditedScores(result, frame, config)


def versions() -> dict[str, str]:
    """Python and the libraries that computed the numbers."""
    names = ("fake-face-fairness-audit", "numpy", "scipy", "pandas", "fairlearn")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}


@dataclass(frozen=True)
class _Decided:
    """The threshold, and what it is judged on.

    Attributes:
        threshold: Fake if score >= threshold.
        audited: The images that did not fix it.
        left_out: Reason to number of source photos that are not among them.
        exceeded: How often a rule's level is exceeded in truth, if that is to be said.
        rounded: Sentences on a threshold that scores of single precision lie on.
    """

    threshold: float
    audited: ScoreTable
    left_out: dict[str, int]
    exceeded: str | None
    rounded: list[str]


def _decided(
    frame: TableColumns, table: ScoreTable, config: AuditConfig, extras: Extras, sides: Sides | None = None
) -> _Decided:
    """Fix the threshold, after a look whether the columns to hold constant are there."""
    rule, task = parse_rule(config.threshold), task_named(config.task)
    require_columns(frame, merged(config.controls, extras.controls), config)
    if rule.kind != "fixed":
        sides = sides or Sides.of(table, config.calibration_share, config.seed)
    threshold, audited = operating_point(table, rule, config.calibration_share, config.seed, task, sides)
    left_out, exceeded = dict(extras.left_out), None
    rounded = [] if rule.kind != "fixed" or threshold == rule.value else [single_note(threshold, rule.value)]
    if sides is not None and len(audited) < len(table):
        n_between = int(np.count_nonzero(~sides.fixing & ~sides.audited))
        left_out["used to fix the threshold"] = _n_sources(table) - _n_sources(audited) - n_between
        if n_between:
            left_out[f"between a {config.unit_column} who fixed the threshold and one who did not"] = (
                n_between
            )
        n_of_class = int(np.count_nonzero(table.fake[sides.fixing] == (rule.kind == "fnr")))
        most = math.floor(n_of_class * rule.value + 1e-9)
        if table.weight is not None or _n_errors(table, sides, threshold, rule.kind == "fnr") >= most - 1:
            exceeded = exceeded_note(rule, n_of_class, task)
    return _Decided(threshold, audited, left_out, exceeded, rounded)


def _n_errors(table: ScoreTable, sides: Sides, threshold: float, missed: bool) -> int:
    """Errors of one kind among the images that fixed the threshold; few where equal scores stop it early."""
    wrong = (table.score < threshold) if missed else (table.score >= threshold)
    return int(np.count_nonzero(sides.fixing & (table.fake == missed) & wrong))


def _audit(
    frame: TableColumns,
    decided: _Decided,
    config: AuditConfig,
    extras: Extras,
    across: Callable[[ScoreTable, float], list[record.CrossGroupRate]] | None = None,
) -> record.AuditResult:
    rule, task = parse_rule(config.threshold), task_named(config.task)
    controls = merged(config.controls, extras.controls)
    threshold, audited = decided.threshold, decided.audited
    cells, scores = count(audited, threshold), SortedScores.of(audited)
    everything, groupings = whole(len(cells)), audited.cells.groupings()
    config = replace(config, references=check_references(groupings, config.references))
    asked, n_asked = config.n_boot, n_comparisons(cells, groupings, config)
    config = replace(config, n_boot=replicates_for(asked, n_asked, config.alpha))
    curve = scores.curve()
    levels = fixed_fprs(audited, curve, config)
    axes = axes_for(curve, threshold, [at for level in levels for at in level.thresholds])
    elsewhere = other_thresholds(audited, curve, threshold, groupings, config)
    del curve
    overall = score_measures(scores, everything, z_value(config.confidence), axes)
    n_references = n_reference_questions(cells, groupings, config)
    measures = measures_of(cells.total(), overall, config)[0]
    share = measures.positive_rate
    parts = [_part(cells, scores, grouping, config, axes, n_references, share) for grouping in groupings]
    useful = usefulness(measures, threshold, str(rule), task)
    verdicts = judge([question for part in parts for question in part.questions], config)
    series = [series_of(everything, overall, axes), *(part.series for part in parts)]
    units = _units(cells, config)
    n_tests = sum(not np.isnan(verdict.p_value) for verdict in verdicts)
    calibration, calibration_reason = calibrations(audited, groupings, config)
    held = _rows_of(frame, audited, [control.column for control in controls])
    of_kinds, worst_kinds = _kinds(frame, audited, threshold, config) if task.makes_pairs else ([], [])
    raised = [raised_note(asked, config.n_boot, n_tests)] if config.n_boot > asked else []
    result = record.AuditResult(
        config=_config_record(audited, threshold, str(rule), config, controls),
        provenance=extras.provenance.model_copy(update={"versions": versions()}),
        data=_summary(audited, decided.left_out, _n_pairs(frame, audited, config), units),
        notes=[
            *sentences(measures, threshold, str(rule), task),
            *scale_sentences(audited.score, threshold, str(rule), task),
            *(repeats_sentences(audited) if config.unit_column is None else []),
            *extras.notes,
            *raised,
            *([decided.exceeded] if decided.exceeded else []),
            *decided.rounded,
            *_notes(audited, task),
        ],
        overall=measures,
        usefulness=useful,
        rate_limits=rate_limits(cells, groupings, config),
        groups=[group for part in parts for group in part.groups],
        gaps=[gap for part in parts for gap in part.gaps],
        verdicts=verdicts,
        adjusted_gaps=adjusted_gaps(audited, held, threshold, verdicts, controls, config),
        other_thresholds=elsewhere,
        curves=[curve for one in series for curve in one.curves],
        histograms=[histogram for one in series for histogram in one.histograms],
        sweep_thresholds=axes.thresholds.tolist(),
        sweep=[sweep for one in series for sweep in one.sweep],
        dropout=list(extras.dropout),
        no_scores=list(extras.no_scores),
        samples=list(extras.samples),
        n_tests=n_tests,
        cross_groups=across(audited, threshold) if across else [],
        kind_rates=of_kinds,
        worst_kinds=worst_kinds,
        score_shifts=score_shifts(scores, groupings, config),
        calibration=calibration,
        calibration_reason=calibration_reason,
        fnr_at_fpr=fnr_at_fixed_fpr(
            levels,
            [(one, part.measured) for one, part in zip(groupings, parts, strict=True)],
            config,
        ),
    )
    return explained(result)


def _part(
    cells: Counts,
    scores: SortedScores,
    grouping: Grouping,
    config: AuditConfig,
    axes: Axes,
    n_references: int,
    share: float,
) -> _Part:
    counts = cells.merge(grouping.of_cell, len(grouping))
    measured = score_measures(scores, grouping, z_value(config.confidence), axes)
    by_class = eligible_by_class(grouping, counts, config)
    return _Part(
        groups=group_results(grouping, counts, measured, config),
        gaps=[
            *gap_results(grouping, counts, by_class, config, share),
            *reference_gaps(grouping, counts, config, n_references),
        ],
        questions=[question_of(grouping, counts, by_class, rate) for rate in judged_rates(config)],
        series=series_of(grouping, measured, axes),
        measured=measured,
    )


def _refuse_hidden_units(
    file: ScoreFile, table: ScoreTable, config: AuditConfig, asked: AuditConfig
) -> list[str]:
    """`refuse_hidden_units` of the columns that were read, then of those that were left in the file."""
    if asked.unit_column is not None:
        return []
    read = refuse_hidden_units(table, _unspoken(file.frame, table, config), config, asked)
    return read or refuse_hidden_units(table, file.other_columns(), config, asked)


def _unspoken(frame: TableColumns, table: ScoreTable, config: AuditConfig) -> Iterator[pd.Series]:
    """The columns of which nobody has said what they mean."""
    return (frame[name] for name in frame.columns if not spoken_of(str(name), table, config))


def _n_pairs(frame: TableColumns, table: ScoreTable, config: AuditConfig) -> int:
    """Complete pairs: those of the table; where units are named, reals with a fake of the same pair_id."""
    name = config.columns.pair_id
    if config.unit_column is None or name not in frame.columns:
        return len(table.real_row)
    codes, values = coded(frame[name])
    codes = table.as_here(codes)
    has_real = np.zeros(len(values) + 1, dtype=bool)
    has_real[codes[~table.fake]] = True
    has_real[-1] = False  # images without a pair
    return int(np.count_nonzero(has_real[codes[table.fake]]))


def _rows_of(frame: TableColumns, table: ScoreTable, names: Sequence[str]) -> pd.DataFrame:
    """Columns of the images of a table, in its order."""
    if not names:
        return pd.DataFrame()
    columns: pd.DataFrame = frame[list(names)]
    return columns.iloc[table.rows()]


def _units(cells: Counts, config: AuditConfig) -> record.UnitSummary | None:
    """How closely images of one unit go together, cell by cell."""
    if config.unit_column is None or cells.units is None or cells.moments is None:
        return None
    images = (
        cells.units.merge(np.zeros(len(cells), dtype=np.int64), 1).values[:, IMAGES][:, [0, 2]].sum(axis=1)
    )
    together = cells.total()
    effects = [
        float(n[0] / independent[0]) if independent[0] > 0 else math.nan
        for n, independent in (
            (together.n_real, fpr_worth(together)),
            (together.n_fake, fnr_worth(together)),
        )
    ]
    return record.UnitSummary(
        column=config.unit_column,
        n_units=len(images),
        largest=int(images.max(initial=0)),
        fpr_correlation=worth(cells.moments, "fpr").correlation,
        fnr_correlation=worth(cells.moments, "fnr").correlation,
        fpr_design_effect=effects[0],
        fnr_design_effect=effects[1],
    )


def _kinds(
    frame: TableColumns, table: ScoreTable, threshold: float, config: AuditConfig
) -> tuple[list[record.KindRate], list[record.WorstKind]]:
    """APCER by kind of fake, where a column names kinds."""
    named = spelled(KIND, frame.columns)
    kinds = _rows_of(frame, table, [named] if named else [])
    name = kind_column(kinds, table.fake)
    if name is None:
        return [], []
    fake = table.fake
    return kind_rates(
        kinds[name][fake],
        table.score[fake] < threshold,
        table.cells,
        table.cell[fake],
        config,
        None if table.unit is None else table.unit[fake],
        None if table.weight is None else table.weight[fake],
    )


def _n_sources(table: ScoreTable) -> int:
    """Source photos: a pair is one."""
    return len(table) - len(table.real_row)


def _config_record(
    table: ScoreTable, threshold: float, rule: str, config: AuditConfig, controls: Sequence[Control]
) -> record.Config:
    return record.Config(
        attributes=table.cells.attributes,
        threshold=threshold,
        threshold_rule=rule,
        confidence=config.confidence,
        tolerance=config.tolerance,
        ratio_tolerance=config.ratio_tolerance,
        min_n=config.min_n,
        n_boot=config.n_boot,
        seed=config.seed,
        calibration_share=0.0 if rule == "fixed" else config.calibration_share,
        unit_column=config.unit_column,
        independent=config.independent,
        weight_column=config.weight_column,
        bins={name: list(edges) for name, edges in config.bins.items()},
        controls=[control.column for control in controls],
        references=dict(config.references),
        criterion=config.criterion,
        max_fpr=config.max_fpr,
        max_fnr=config.max_fnr,
        task=config.task,
    )


def _summary(
    table: ScoreTable, left_out: dict[str, int], n_pairs: int, units: record.UnitSummary | None
) -> record.DataSummary:
    n_fake = int(table.fake.sum())
    return record.DataSummary(
        n_images=len(table),
        n_real=len(table) - n_fake,
        n_fake=n_fake,
        n_pairs=n_pairs,
        n_left_out=left_out,
        units=units,
    )


def single_note(threshold: float, given: float) -> str:
    """What the reader must know of a threshold that scores of single precision lie on."""
    return (
        f"{HOW_READ} its scores are of single precision, where {given:g} is {threshold!r}; those that are "
        "exactly that count as at the threshold."
    )


def _notes(table: ScoreTable, task: Task) -> list[str]:
    """What the reader must know that only the table can tell."""
    notes = []
    if table.fake.all() or not table.fake.any():
        word = task.all_positive if table.fake[0] else task.all_negative
        notes.append(f"All {task.items} are {word}: every rate of the other class is undefined.")
    for position, attribute in enumerate(table.cells.attributes):
        grouping = table.cells.grouping([position])
        missing = np.array([record.MISSING in name for name in grouping.names])
        unknown = int(missing[grouping.of_cell[table.cell]].sum())
        if unknown:
            notes.append(
                f"{unknown:,} {task.items_of(unknown)} {'has' if unknown == 1 else 'have'} no label for "
                f"{attribute}: shown as '(missing)', never compared "
                "with the other groups."
            )
        if len(grouping) < 2 and not unknown:
            notes.append(f"All {task.items} have the same {attribute}: there is nothing to compare.")
    notes += [
        f"The intersection {name} is left out: it has {n_groups:,} groups, and more than {MAX_GROUPS:,} "
        "cannot be read."
        for name, n_groups in table.cells.unreadable().items()
    ]
    return notes
