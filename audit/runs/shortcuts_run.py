"""A search for shortcuts: can real and fake be told without a look at the face, and does a detector do so?

Enters: labelled images, perhaps a detector. Leaves: a folder with `shortcuts.json` (`ShortcutsResult`) and
`shortcuts.csv`, one row an image: its facts, its file-only score and the detector's scores before and after.

Why images are tied by pair and by origin both: a classifier that has seen one half of a pair, or another
frame of the video, knows the file of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from audit.config import AuditConfig, Columns, parse_rule
from audit.data.counts import Floats, Ints
from audit.data.score_table import ScoreTable, score_table
from audit.errors import ConfigError, ScoreTableError
from audit.judge.adjusted_gaps import Control
from audit.judge.file_shortcuts import N_LOOKS, at_equal_files, finding, flips, judge_facts
from audit.metrics.held_out_auc import LEAST_OF_A_CLASS
from audit.metrics.operating_point import calibration_rows, operating_point
from audit.runs.score_audit import Extras, audit_scores
from audit.schema.result import AdjustedGap, Provenance
from audit.schema.shortcuts import (
    SHORTCUTS_FILE,
    TABLE_FILE,
    FamilyResult,
    PartResult,
    ShortcutDetector,
    ShortcutsResult,
)
from audit.task import task_named
from pipelines.csv_text import frame_text
from pipelines.places import name_of
from pipelines.sources.file_facts import NAMES
from pipelines.storage import write_text

if TYPE_CHECKING:
    from detectors.data.file_facts_table import FileFacts
    from detectors.data.labelled_images import LabelledImages
    from detectors.models.detector import Detector

FILE_SCORE = "file_score"
UNIT = "source_unit"
_STANDS_IN = "kind"
"""Attribute of a data set that has none; its groups are not reported."""


def shortcuts(
    images: LabelledImages,
    out_dir: str | Path,
    detector: Detector | None = None,
    config: AuditConfig | None = None,
    *,
    batch_size: int = 32,
    workers: int | None = None,
    include_seen: bool = False,
    command: str = "",
    overwrite: bool = False,
    progress: bool = True,
) -> ShortcutsResult:
    """Judge whether files give the class away, exchange the files under a detector, and write the folder.

    Args:
        images: Labelled images of both classes.
        out_dir: The folder; an interrupted scoring continues there.
        detector: Whose decisions are looked at.
        config: Attributes, threshold, confidence, tolerance, smallest group, seed.
        batch_size: Images a network sees at once.
        workers: Threads that decode.
        include_seen: Keep source photos the detector was trained on.
        command: The command line, for the record.
        overwrite: Replace another search in the folder.
        progress: Draw progress bars.

    Raises:
        ScoreTableError: Fewer than 20 independent images of a class can be read.
        ExpectedError: Of the images, the scores or the folder.
    """
    from detectors.data.file_facts_table import READABLE, facts_of

    config, out = (config or AuditConfig()).check(), Path(out_dir)
    images = images.with_both_classes()
    table = images.table.reset_index(drop=True)
    missing = [name for name in config.attributes if name not in table]
    if missing:
        raise ConfigError(
            f"{images.root} has no column {missing[0]!r}; it has {', '.join(images.attributes) or 'none'}"
        )
    facts = facts_of(table["path"].tolist(), workers, progress)
    status = np.array(facts.status, dtype=object)
    readable = status == READABLE
    fake = (table["label"] == 1).to_numpy()
    parts, families, file_score, unit = _judged(images, facts, config, progress)
    rows = table.assign(status=status, detail=facts.detail, unit=unit, file_score=file_score)
    judged = None
    if detector is not None:
        judged, rows = _with_detector(
            detector, images, facts, rows, config, out, (batch_size, workers, include_seen, progress)
        )
    found = ShortcutsResult(
        data=name_of(images.root), layout=images.layout, n_real=int((~fake & readable).sum()),
        n_fake=int((fake & readable).sum()), n_units=len(np.unique(unit[readable])),
        n_left_out=dict(images.n_left_out) | _counted(status[~readable]), confidence=config.confidence,
        seed=config.seed, attributes=list(config.attributes or images.attributes), finding=finding(parts),
        parts=parts, families=families, detector=judged, command=command,
    )  # fmt: skip
    return _write(found, rows.join(pd.DataFrame(facts.values, columns=list(NAMES))), out, overwrite)


def files_alone(
    images: LabelledImages, config: AuditConfig, progress: bool = True
) -> tuple[list[PartResult], list[FamilyResult]]:
    """How well files and statistics of the picture tell real from fake, without a detector and a folder.

    Raises:
        ScoreTableError: Fewer than 20 independent images of a class can be read.
        EmptyDataset: Of the detectors package: one class alone.
    """
    from detectors.data.file_facts_table import facts_of

    table = images.with_both_classes().table.reset_index(drop=True)
    parts, families, _, _ = _judged(
        images, facts_of(table["path"].tolist(), None, progress), config, progress
    )
    return parts, families


def _judged(
    images: LabelledImages, facts: FileFacts, config: AuditConfig, progress: bool
) -> tuple[list[PartResult], list[FamilyResult], Floats, Ints]:
    """Parts, families, and for every image its file-only score (NaN if unreadable) and its unit."""
    from detectors.data.file_facts_table import READABLE

    table = images.table.reset_index(drop=True)
    readable = np.array(facts.status, dtype=object) == READABLE
    fake, unit = (table["label"] == 1).to_numpy(), independent_units(table)
    _require_units(fake[readable], unit[readable], images)
    with _bar("Looking for shortcuts", 1 + N_LOOKS, progress) as advance:
        of_readable = np.unique(unit[readable], return_inverse=True)[1]
        parts, families, held = judge_facts(
            facts.values[readable], fake[readable], of_readable, config, advance
        )
    file_score = np.full(len(table), np.nan)
    file_score[readable] = held.ranks()
    return parts, families, file_score, unit


def independent_units(table: pd.DataFrame) -> Ints:
    """int64 [N]: images of one number share a pair or an origin, directly or through others.

    Args:
        table: `LabelledImages.table`.
    """
    n = len(table)
    pair = pd.factorize(table["pair_id"].fillna(table["image_id"]).astype(str))[0]
    origin = pd.factorize(table["origin"].fillna(table["image_id"]).astype(str))[0] + n
    row = np.arange(n)
    ends = np.r_[pair, origin] + n
    links = coo_array((np.ones(2 * n), (np.r_[row, row], ends)), shape=(3 * n, 3 * n))
    return np.unique(connected_components(links, directed=False)[1][:n], return_inverse=True)[1].astype(
        np.int64
    )


def _require_units(fake: NDArray[np.bool_], unit: Ints, images: LabelledImages) -> None:
    n_real, n_fake = (len(np.unique(unit[fake == one])) for one in (False, True))
    if min(n_real, n_fake) < LEAST_OF_A_CLASS:
        raise ScoreTableError(
            f"{images.root} has {n_real} independent real and {n_fake} independent fake images that can be "
            f"read; a search for shortcuts needs {LEAST_OF_A_CLASS} of each: give more images"
        )


def _with_detector(
    detector: Detector,
    images: LabelledImages,
    facts: FileFacts,
    rows: pd.DataFrame,
    config: AuditConfig,
    out: Path,
    scoring: tuple[int, int | None, bool, bool],
) -> tuple[ShortcutDetector, pd.DataFrame]:
    """The detector's part of the record, and its scores as columns of the table."""
    from detectors.scoring.dataset_scores import SEEN, describe, leave_out_seen
    from detectors.scoring.exchange_scores import EXCHANGED, exchange_scores
    from detectors.scoring.options import Options

    batch_size, workers, include_seen, progress = scoring
    kept, n_seen = (images, 0) if include_seen else leave_out_seen(images, detector)
    place = rows.reset_index().set_index("image_id")["index"].loc[kept.table["image_id"]].to_numpy()
    options = Options(batch_size, workers, out / ".scoring", progress)
    scored = exchange_scores(detector, kept, [facts.how[i] for i in place], config.seed, options)
    usable = scored.status == "ok"
    frame = rows.iloc[place[usable]].reset_index(drop=True).assign(score=scored.before[usable])
    if frame["label"].nunique() < 2:
        word = "real" if frame["label"].eq(1).all() else "fake"
        raise ScoreTableError(
            f"{detector.name} gives no score to any {word} image; run `audit check` on the detector first"
        )
    attributes = tuple(config.attributes or images.attributes)
    config = replace(config, attributes=attributes or (_STANDS_IN,))
    units = frame.drop(columns=["pair_id", "unit"]).assign(**{UNIT: frame["unit"].astype(str)})
    every = score_table(units, replace(config, unit_column=UNIT))
    threshold, audited, keep = _at_threshold(every, config)
    unit, after = frame["unit"].to_numpy()[keep], scored.after[usable][keep]
    exchanged = scored.exchange[usable][keep] == EXCHANGED
    told = flips(audited, after, exchanged, unit, threshold, config.confidence)
    file_score = frame[FILE_SCORE].to_numpy(dtype=float)[keep]
    columns = {"score": scored.before, "score_exchanged": scored.after, "exchange": scored.exchange}
    rows = rows.assign(**{name: pd.Series(value, index=place) for name, value in columns.items()})
    return ShortcutDetector(
        name=detector.name,
        threshold=threshold,
        threshold_rule=str(parse_rule(config.threshold)),
        provenance=Provenance(detector=describe(detector), data={"path": name_of(images.root)}),
        n_images=len(audited),
        n_left_out=({SEEN: n_seen} if n_seen else {}) | _counted(scored.status[~usable]),
        exchange=_counted(scored.exchange[usable]),
        flips=[flip for flip in told if attributes or flip.attribute != _STANDS_IN],
        at_equal_files=at_equal_files(audited, file_score, unit, threshold, config),
        gaps=_gaps(frame[keep], threshold, config) if attributes else [],
    ), rows


def _at_threshold(table: ScoreTable, config: AuditConfig) -> tuple[float, ScoreTable, NDArray[np.bool_]]:
    """The threshold, the images it may be judged on, and which those are."""
    threshold, audited = operating_point(
        table, parse_rule(config.threshold), config.calibration_share, config.seed, task_named(config.task)
    )
    keep = np.ones(len(table), dtype=bool)
    if len(audited) < len(table):
        keep = ~calibration_rows(table, config.calibration_share, config.seed)
    return threshold, audited, keep


def _gaps(frame: pd.DataFrame, threshold: float, config: AuditConfig) -> list[AdjustedGap]:
    """The gaps between groups at equal value of the file-only score."""
    plain = frame[["image_id", "label", "score", FILE_SCORE, *config.attributes]].assign(
        **{UNIT: frame["unit"].astype(str)}
    )
    at = replace(config, threshold=threshold, unit_column=UNIT, columns=Columns())
    return audit_scores(
        plain.reset_index(drop=True), at, Extras(controls=[Control(FILE_SCORE)])
    ).adjusted_gaps


@contextmanager
def _bar(what: str, total: int, shown: bool) -> Iterator[Callable[[int], None]]:
    from detectors.progress import progress_bar

    with progress_bar(what, total, shown) as advance:
        yield advance


def _counted(reasons: NDArray[np.object_]) -> dict[str, int]:
    names, n = np.unique(reasons.astype(str), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, n, strict=True)}


def _write(result: ShortcutsResult, rows: pd.DataFrame, out: Path, overwrite: bool) -> ShortcutsResult:
    """Write `shortcuts.json` and `shortcuts.csv`.

    Raises:
        ConfigError: The folder holds another search.
    """
    target, text = out / SHORTCUTS_FILE, result.to_json()
    if target.exists() and not overwrite and not _is_same(target, result):
        raise ConfigError(
            f"{out} already holds another search for shortcuts; give another folder, or --overwrite"
        )
    write_text(target, text)
    shown = rows.drop(columns=["path", "source_sha256", "part", "weight", "unit"])
    write_text(out / TABLE_FILE, frame_text(shown))
    return result


def _is_same(target: Path, result: ShortcutsResult) -> bool:
    """Whether a record says the same, however the command was typed."""
    try:
        there = ShortcutsResult.model_validate_json(target.read_text(encoding="utf-8", errors="replace"))
    except ValidationError:
        return False
    return there.model_copy(update={"command": result.command}).to_json() == result.to_json()
