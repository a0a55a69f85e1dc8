"""Whom an audit lost: source photos that became no pair, and images that got no score, by group.

Enters: a pairs dataset's manifest; images with a score and images without. Leaves: one `Dropout` for each
group of each attribute, and for the whole; one `NoScores` for each attribute and class.

Why beside the error rates: a face finder or a generator that fails more often, or worse, on one group changes
which faces the detector is judged on. That gap is not the detector's, and the reader must see it first. A
detector that gives no answer for one group's images is not measured on them at all.

Why no score is judged as an error rate is: it is one, of another kind (failure to acquire, ISO/IEC 19795-10),
of images that share units as the others do. The images are counted as reals that are flagged where they have
no score, and the rules of `audit.judge.verdicts` are asked who is proven to have more of it. These questions
are a family of their own beside that of the verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.config import AuditConfig
from audit.data.columns import TableColumns
from audit.data.counts import Counts, count
from audit.data.groups import CellCodes, Cells, cells_of
from audit.data.score_table import ScoreTable, Units, labels_of
from audit.data.trials import PARTNER, SPEAKER
from audit.data.unit_totals import unit_codes, unit_codes_of_two
from audit.errors import GroupError, LabelError
from audit.inference.effective_sample_size import fpr_worth
from audit.inference.proportion_intervals import exact
from audit.judge.gap_records import eligible_by_class, question_of
from audit.judge.verdicts import Question, judge
from audit.schema.result import OVERALL, Dropout, NoScoreGroup, NoScores
from audit.task import task_named

QUALITY = (
    "confidence",
    "border_share",
    "reconstruction_l1",
    "reconstruction_ms_ssim",
)
"""Manifest columns averaged over the pairs of a group."""
LABELS: tuple[Literal["real", "fake"], ...] = ("real", "fake")
FACE_FOUND = "fake_face_found"
"""Share of the pairs whose fake still shows a face, of those whose real half does."""


def dropout_by_group(manifest: pd.DataFrame, attributes: Sequence[str]) -> list[Dropout]:
    """Count outcomes and average pair quality, overall and by group of each attribute.

    Args:
        manifest: one row a photo attempted; columns as `pipelines.dataset.manifest.SCHEMA`.
        attributes: columns to group by; those the manifest lacks are passed over.
    """
    found = [_record(manifest, OVERALL, "all")]
    for attribute in attributes:
        if attribute in manifest:
            groups = manifest.groupby(attribute, sort=True)
            found += [_record(rows, attribute, str(name)) for name, rows in groups]
    return found


def _record(rows: pd.DataFrame, attribute: str, group: str) -> Dropout:
    pairs = rows[rows["status"] == "ok"]
    counts = rows["status"].value_counts().sort_index()
    quality = {name: _mean(pairs[name]) for name in QUALITY if name in pairs}
    seen = pairs[pairs["real_confidence"].notna()]
    quality[FACE_FOUND] = _mean(seen["fake_confidence"].notna().astype(float))
    return Dropout(
        attribute=attribute,
        group=group,
        n_attempted=len(rows),
        n_ok=len(pairs),
        n_by_status={str(word): int(n) for word, n in counts.items()},
        quality=quality,
    )


def _mean(values: pd.Series) -> float:
    return float(values.mean()) if values.notna().any() else math.nan


def no_scores(
    scored: TableColumns, lost: pd.DataFrame, attributes: Sequence[str], config: AuditConfig
) -> list[NoScores]:
    """Count images without a score by group and class, and judge whether groups differ in that.

    Args:
        scored: Images with a score: label, attributes, and the unit column where there is one. Of a task of
            trials both speakers.
        lost: Images with a label and no score, the same columns.
        attributes: Columns to group by; each alone, not crossed.
        config: Options in the table's own spelling. Weights are left aside: images are counted.

    Returns:
        One record for each attribute and class that has images without a score.
    """
    if not len(lost) or not attributes:
        return []
    config = replace(config, criterion="difference", references={}, weight_column=None)
    of_trials = task_named(config.task).of_trials
    of_units = [SPEAKER, PARTNER] if of_trials else [name for name in (config.unit_column,) if name]
    names = list(dict.fromkeys([config.columns.label, *attributes, *of_units]))
    every, fake = _with_classes(scored[names], lost[names], config)
    without = np.arange(len(every)) >= len(scored)
    units = _units_of(every[of_units])
    records: list[NoScores] = []
    questions: list[Question] = []
    for label in LABELS:
        here = fake == (label == "fake")
        for attribute in attributes if without[here].any() else ():
            cells, cell = _cells_of(every.loc[here, [attribute]], without[here], config)
            counts = _as_flagged(without[here], cells, cell, [unit[here] for unit in units])
            grouping = cells.grouping([0])
            counts = counts.merge(grouping.of_cell, len(grouping))
            groups = _no_score_groups(grouping.names, counts, config.alpha)
            records.append(NoScores(attribute=attribute, label=label, groups=groups))
            by_class = eligible_by_class(grouping, counts, config)
            questions.append(question_of(grouping, counts, by_class, "fpr"))
    found = []
    for record, verdict in zip(records, judge(questions, config), strict=True):
        named = verdict.worse_groups if verdict.verdict == "disparity" else []
        update = {
            "adjusted_p_value": verdict.adjusted_p_value,
            "pair_p_value": max((one.p_value for one in named), default=math.nan),
            "more": [one.group for one in named],
            "less": verdict.compared_with if named else None,
            "beyond_tolerance_proven": verdict.beyond_tolerance_proven,
        }
        found.append(record.model_copy(update=update))
    return found


def _with_classes(
    scored: pd.DataFrame, lost: pd.DataFrame, config: AuditConfig
) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """All images, and bool [N], True for fake. An image without a score stops no audit: where its label means
    neither class, nothing can be said of it and it is left aside.
    """
    name, real = config.columns.label, config.read_as.get("real")
    every = pd.concat([scored, lost], ignore_index=True)
    try:
        return every, labels_of(every[name], config.positive, real)
    except LabelError:
        known = lost[lost[name].isin(set(scored[name].unique()))]
        every = pd.concat([scored, known], ignore_index=True)
        return every, labels_of(every[name], config.positive, real)


def _cells_of(
    column: pd.DataFrame, without: NDArray[np.bool_], config: AuditConfig
) -> tuple[Cells, CellCodes]:
    """Cells of one attribute; images without a score count as "(missing)" where theirs cannot be groups."""
    attribute = str(column.columns[0])
    try:
        return cells_of(column, [attribute], config.bins)
    except GroupError:
        known = column.astype(object).where(~without[:, None])
        if attribute in config.bins:
            known = known.apply(pd.to_numeric)
        return cells_of(known, [attribute], config.bins)


def _units_of(columns: pd.DataFrame) -> list[Units]:
    """int64 [N] for each column: no unit, one, or the two of a trial, counted as one set of names."""
    if columns.shape[1] < 2:
        return [unit_codes(columns[name]) for name in columns]
    return list(unit_codes_of_two(columns.iloc[:, 0], columns.iloc[:, 1]))


def _as_flagged(without: NDArray[np.bool_], cells: Cells, cell: CellCodes, units: Sequence[Units]) -> Counts:
    """Images counted as reals, those without a score as flagged; bool [N], int16 [N], int64 [N] each."""
    unit, partner = (*units, None, None)[:2]
    none, n = np.zeros(0, dtype=np.int64), len(without)
    table = ScoreTable(
        fake=np.zeros(n, dtype=bool), score=without.astype(np.float64), cells=cells, cell=cell, real_row=none,
        fake_row=none, key=np.broadcast_to(np.uint64(0), (n,)), unit=unit, partner=partner,
    )  # fmt: skip
    return count(table, 0.5)


def _no_score_groups(names: Sequence[str], counts: Counts, alpha: float) -> list[NoScoreGroup]:
    n, n_without = counts.images[:, 0], counts.images[:, 1]
    share = n_without / np.maximum(n, 1)
    low, high = exact(share, n if counts.moments is None else fpr_worth(counts), alpha)
    return [
        NoScoreGroup(
            group=name,
            n=int(n[g]),
            n_without=int(n_without[g]),
            share=float(share[g]),
            interval=(float(low[g]), float(high[g])) if np.isfinite([low[g], high[g]]).all() else None,
        )
        for g, name in enumerate(names)
    ]
