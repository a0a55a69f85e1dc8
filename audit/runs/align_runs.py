"""Several runs brought onto the images they share.

Enters: run folders. Leaves: one `Run` each, with the same rows in the same order, or a clear reason why the
runs cannot be compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.config import AuditConfig, parse_rule
from audit.data.score_file import look_at
from audit.data.score_table import ScoreTable, score_table
from audit.data.table_words import normal
from audit.errors import ComparisonError, ExpectedError
from audit.metrics.curves_by_group import SortedScores
from audit.metrics.operating_point import audited_rows
from audit.runs.run_folder import SCORES_FILE
from audit.schema.json_schema import load_result
from audit.schema.result import AuditResult
from pipelines.errors import UnreadableFile
from pipelines.untrusted import read_parquet

IMAGE_NAMES = (
    "image", "image_path", "image_name", "image_file", "file_name", "filename", "file", "path", "img", "id",
    "bild", "datei", "dateiname",
)  # fmt: skip
"""Usual names of a column that names images, the likelier first."""


@dataclass(frozen=True)
class Run:
    """One run on the images that all compared runs share.

    Attributes:
        name: The detector's, or the folder's where detectors are called the same.
        path: Run folder.
        result: Its `audit.json`.
        table: Its scores; row i is the same image in every run.
    """

    name: str
    path: str
    result: AuditResult
    table: ScoreTable

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """bool [N], images this detector gets wrong at its own threshold."""
        return (self.table.score >= self.result.config.threshold) != self.table.fake

    @cached_property
    def scores(self) -> SortedScores:
        """The scores in ascending order."""
        return SortedScores.of(self.table)


def aligned_runs(folders: Sequence[Path]) -> tuple[list[Run], dict[str, int]]:
    """Read runs and keep the images that every one of them was audited on.

    Returns:
        The runs, and for each name how many of its images are left out.

    Raises:
        ComparisonError: If images, labels or groups do not match.
    """
    results = [load_result(folder) for folder in folders]
    config = config_of(results[0])
    for folder, result in zip(folders, results, strict=True):
        if result.config.attributes != list(config.attributes) or result.config.bins != config.bins:
            raise ComparisonError(
                f"{folder} audits {', '.join(result.config.attributes)}, {folders[0]} "
                f"{', '.join(config.attributes)}; audit both on the same attributes and bins"
            )
        for what, ours, theirs in (
            ("task", config.task, result.config.task),
            ("unit column", config.unit_column, result.config.unit_column),
            ("weight column", config.weight_column, result.config.weight_column),
        ):
            if ours != theirs:
                raise ComparisonError(
                    f"{folder} has the {what} {theirs or '(none)'}, {folders[0]} {ours or '(none)'}; audit "
                    "both with the same"
                )
    frames = [_audited(folder, result) for folder, result in zip(folders, results, strict=True)]
    shared = frames[0].index
    for frame in frames[1:]:
        shared = shared.intersection(frame.index, sort=False)
    if len(shared) == 0:
        raise ComparisonError(f"{' and '.join(map(str, folders))} have no image_id in common")
    fixed = replace(config, threshold=0.0)
    tables = [score_table(frame.loc[shared.sort_values()].reset_index(), fixed) for frame in frames]
    _check_same(tables, folders)
    names = _names(results, folders)
    left_out = {name: len(frame) - len(shared) for name, frame in zip(names, frames, strict=True)}
    runs = [Run(*one) for one in zip(names, map(str, folders), results, tables, strict=True)]
    return runs, left_out


def config_of(result: AuditResult) -> AuditConfig:
    """The options a run was made with, as far as reading its scores again needs them."""
    recorded = result.config
    return AuditConfig(
        attributes=recorded.attributes,
        threshold=recorded.threshold if recorded.threshold_rule == "fixed" else recorded.threshold_rule,
        calibration_share=recorded.calibration_share or AuditConfig.calibration_share,
        confidence=recorded.confidence,
        tolerance=recorded.tolerance,
        ratio_tolerance=recorded.ratio_tolerance,
        min_n=recorded.min_n,
        n_boot=recorded.n_boot,
        seed=recorded.seed,
        bins=recorded.bins,
        unit_column=recorded.unit_column,
        independent=recorded.independent,
        weight_column=recorded.weight_column,
        criterion=recorded.criterion,
        max_fpr=recorded.max_fpr,
        max_fnr=recorded.max_fnr,
        task=recorded.task,
    )


def _audited(folder: Path, result: AuditResult) -> pd.DataFrame:
    """The scores a run was audited on, by image_id: without those that fixed its threshold."""
    path = folder / SCORES_FILE
    if not path.is_file():
        raise ComparisonError(f"{folder} has no {SCORES_FILE}; run the audit again to compare it")
    try:
        frame = read_parquet(path)
    except UnreadableFile as error:
        raise ComparisonError(str(error)) from None
    if "image_id" not in frame.columns:
        raise ComparisonError(
            f"{path} has no column image_id; without it images cannot be matched: audit again with "
            f"--image-id-column {_likely_name(result) or 'NAME, the column that names each image once'}"
        )
    config = config_of(result)
    if parse_rule(config.threshold).kind != "fixed":
        table = score_table(frame, config)
        frame = frame[audited_rows(table, config.calibration_share, config.seed)]
    frame = frame.assign(image_id=frame["image_id"].astype(str)).set_index("image_id")
    if frame.index.has_duplicates:
        raise ComparisonError(f"{path} holds an image_id twice; images cannot be matched")
    return frame


def _likely_name(result: AuditResult) -> str | None:
    """The column of the audited file that seems to name each image; None where it is gone or none does."""
    try:
        head = look_at(str(result.provenance.data.get("path", "")), AuditConfig()).head
    except ExpectedError:
        return None
    by_name = {normal(str(name)): str(name) for name in head.columns}
    names = [by_name[name] for name in IMAGE_NAMES if name in by_name]
    return next((name for name in names if head[name].notna().all() and head[name].is_unique), None)


def _check_same(tables: Sequence[ScoreTable], folders: Sequence[Path]) -> None:
    first = tables[0]
    for table, folder in zip(tables[1:], folders[1:], strict=True):
        if (table.fake != first.fake).any():
            n = int((table.fake != first.fake).sum())
            raise ComparisonError(
                f"{n} shared images are real in one and fake in the other of {folders[0]}, {folder}"
            )
        if table.cells.levels != first.cells.levels or (table.cell != first.cell).any():
            raise ComparisonError(f"shared images carry different groups in {folders[0]} and {folder}")
        if not np.array_equal(table.real_row, first.real_row):
            raise ComparisonError(f"shared images are paired differently in {folders[0]} and {folder}")
        for what, ours, theirs in (
            ("belong to different units", first.unit, table.unit),
            ("carry different weights", first.weight, table.weight),
        ):
            if ours is not None and theirs is not None and not np.array_equal(ours, theirs):
                raise ComparisonError(f"shared images {what} in {folders[0]} and {folder}")


def _names(results: Sequence[AuditResult], folders: Sequence[Path]) -> list[str]:
    """Detector names; folder names where those repeat or are missing; paths where those repeat too."""
    detectors = [str(result.provenance.detector.get("name", "")) for result in results]
    for names in (detectors, [folder.resolve().name for folder in folders]):
        if all(names) and max(Counter(names).values()) == 1:
            return names
    return [f"{number}: {folder}" for number, folder in enumerate(folders, start=1)]
