"""Does a detector trained on one kind of fake find another? Kinds trained on x kinds tested on.

Enters: a pairs dataset of several kinds, an architecture, settings. Leaves: a folder with `cross-table.json`
(`CrossTable`), `cross-table.csv`, a checkpoint a training and the scores of the held-out photos.

Why AUC before accuracy: a detector moved to another kind may rank fakes above real photos and still call all
of them real at its threshold. AUC shows the first, accuracy at the threshold both.

Why differences are paired: all detectors see the same held-out photos, and what makes a photo hard makes it
hard for most of them. The difference of two AUCs on a kind is taken from each photo's influence on both
(DeLong et al., Biometrics 1988), its two halves together.

What the intervals do not hold: they are over photos, for the detectors trained here. Another seed gives other
detectors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from audit.config import AuditConfig
from audit.data.counts import Floats
from audit.data.score_table import score_table
from audit.errors import ConfigError
from audit.inference.paired_tests import auc_difference
from audit.inference.proportion_intervals import z_value
from audit.metrics.auc import auc_influence
from audit.runs.detector_benchmark import measure
from audit.schema.cross_table import CROSS_CSV, CROSS_FILE, CrossCell, CrossTable, CrossTraining
from audit.schema.result import Measures
from pipelines.csv_text import frame_text
from pipelines.storage import write_text

if TYPE_CHECKING:
    from detectors.models.detector import Detector
    from detectors.training.one_a_kind import Parts
    from detectors.training.settings import Settings
    from detectors.training.train_detector import Say

_KIND = ("kind",)
"""Stands in for attributes: one group of all images."""


def cross_table(
    data: str | Path,
    out_dir: str | Path,
    config: AuditConfig | None = None,
    *,
    arch: str = "simplenet",
    settings: Settings | None = None,
    device: str = "auto",
    overwrite: bool = False,
    progress: bool = True,
    say: Say = lambda line: None,
) -> CrossTable:
    """Train an architecture on each kind of fake and on all, and try each detector on each kind.

    Args:
        data: A pairs dataset with at least two kinds of fake. Photos of which every kind has a fake are used.
        out_dir: Where to; an interrupted run continues there, and finished trainings are kept.
        config: Threshold (a number) and confidence.
        arch: Name in the zoo.
        settings: Of every training; `Settings()` where None.
        device: "auto", "cpu" or "cuda".
        overwrite: Replace another cross table in the folder.
        progress: Show progress bars.
        say: Is given one line for each thing a person should know.

    Raises:
        ConfigError: A threshold that is a rule, or another cross table in the folder.
        ExpectedError: Of `detectors`, where the data cannot be dealt out or the settings are impossible.
    """
    from detectors.models.loading import load_detectors, pick_device
    from detectors.scoring.dataset_scores import Options, score_images
    from detectors.training.one_a_kind import deal_out, train_each
    from detectors.training.settings import Settings

    config, settings, out = (config or AuditConfig()).check(), settings or Settings(), Path(out_dir)
    if isinstance(config.threshold, str):
        raise ConfigError(f"threshold {config.threshold!r}: a cross table needs a number, the same for all")
    settings.check(arch)
    device = pick_device(device)
    parts = deal_out(data, settings)
    checkpoints = train_each(
        parts, arch, out / "detectors", settings,
        device=device, overwrite=overwrite, progress=progress, say=say,
    )  # fmt: skip
    detectors = load_detectors(list(checkpoints.values()), device=device)
    held_out = parts.held_out()
    tables = score_images(detectors, held_out, Options(work_dir=out / ".scoring", progress=progress))
    result = _table(data, arch, settings, parts, checkpoints, detectors, tables, config, out)
    return write_cross_table(result, tables, out, overwrite)


def _table(
    data: str | Path,
    arch: str,
    settings: Settings,
    parts: Parts,
    checkpoints: Mapping[str, Path],
    detectors: Sequence[Detector],
    tables: Sequence[pd.DataFrame],
    config: AuditConfig,
    out: Path,
) -> CrossTable:
    scores = dict(zip(checkpoints, tables, strict=True))
    records = [_record(path) for path in checkpoints.values()]
    return CrossTable(
        arch=arch,
        settings=settings.as_dict(),
        starts_from=str(records[0]["starts_from"]),
        data=str(data),
        threshold=float(config.threshold),
        confidence=config.confidence,
        kinds=list(parts.kinds),
        n_photos={part: parts.n_photos(part) for part in ("train", "valid", "test")},
        n_left_out=parts.n_left_out,
        trainings=[
            _training(name, path.relative_to(out), detector, record)
            for (name, path), detector, record in zip(checkpoints.items(), detectors, records, strict=True)
        ],
        cells=cells(scores, parts.kinds, config),
    )


def _record(checkpoint: Path) -> dict[str, object]:
    from detectors.training.experiments import read_record

    return read_record(checkpoint)


def _training(name: str, path: Path, detector: Detector, record: Mapping[str, object]) -> CrossTraining:
    told = json.loads(json.dumps(record))
    best = next(e for e in told["epochs"] if e["epoch"] == told["best_epoch"])
    n_train = int(told["data"]["n_images"]["train"])
    return CrossTraining(
        trained_on=name,
        checkpoint=path.as_posix(),
        sha256=detector.sha256,
        n_train_images=n_train,
        n_drawn=n_train * len(told["epochs"]),
        best_epoch=int(told["best_epoch"]),
        valid_accuracy=float(best["valid_accuracy"]),
    )


def cells(scores: Mapping[str, pd.DataFrame], kinds: Sequence[str], config: AuditConfig) -> list[CrossCell]:
    """Every detector on every kind.

    Args:
        scores: What a detector was trained on to its score table of the held-out photos, all kinds of fake in
            it; one row an image, with pair_id, label, kind, score and status. The same images in all.
        kinds: Kinds of fake, each a key of `scores`.
        config: For the threshold and the confidence.

    Raises:
        ConfigError: Of a kind no photo has both halves with a score.
    """
    found = []
    for tested_on in kinds:
        halves = {name: _both_halves(table, tested_on) for name, table in scores.items()}
        for trained_on, part in halves.items():
            difference, interval = math.nan, (math.nan, math.nan)
            if trained_on != tested_on:
                difference, interval = auc_against(part, halves[tested_on], config.confidence)
            found.append(
                CrossCell(
                    trained_on=trained_on,
                    tested_on=tested_on,
                    n_photos=len(part) // 2,
                    measures=_measures(part, config),
                    difference=difference,
                    difference_interval=interval,
                )
            )
    order = list(scores)
    return sorted(found, key=lambda cell: (order.index(cell.trained_on), kinds.index(cell.tested_on)))


def _both_halves(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Real halves and fakes of one kind of the photos whose both halves have a score, in one order."""
    part = table[((table["label"] == 0) | (table["kind"] == kind)) & (table["status"] == "ok")]
    part = part[part.groupby("pair_id")["label"].transform("nunique") == 2]
    if part.empty:
        raise ConfigError(f"no held-out photo and its {kind} fake could both be scored: look at the images")
    return part.sort_values(["pair_id", "label"], ignore_index=True)


def auc_against(
    first: pd.DataFrame, second: pd.DataFrame, confidence: float
) -> tuple[float, tuple[float, float]]:
    """AUC of the first detector minus that of the second on the same photos, with its interval.

    Args:
        first: Scores of photos and their fakes, sorted by pair_id and label, two rows a photo.
        second: Of the same images by another detector.
        confidence: Of the interval.
    """
    (area, influence), (own_area, own) = _influence(first), _influence(second)
    difference, variance = area - own_area, float(((influence - own) ** 2).sum())
    low, high, _ = auc_difference(difference, variance, z_value(confidence))
    return difference, (low, high)


def _influence(part: pd.DataFrame) -> tuple[float, Floats]:
    """AUC, and each photo's influence on it: float64 [n_photos], the two halves summed."""
    score, fake = part["score"].to_numpy(dtype=float), part["label"].to_numpy() == 1
    order = np.argsort(score, kind="stable")
    influence = np.empty(len(part))
    area, influence[order] = auc_influence(score[order], fake[order])
    return area, influence.reshape(-1, 2).sum(axis=1)


def _measures(part: pd.DataFrame, config: AuditConfig) -> Measures:
    plain = AuditConfig(attributes=_KIND, threshold=config.threshold, confidence=config.confidence)
    return measure(score_table(part.assign(kind="all"), plain), plain)[0]


def write_cross_table(
    result: CrossTable, tables: Sequence[pd.DataFrame], out_dir: str | Path, overwrite: bool = False
) -> CrossTable:
    """Write the record, its CSV and a score table a detector.

    Raises:
        ConfigError: The folder holds another cross table.
    """
    from detectors.scoring.score_table import write_score_table

    out = Path(out_dir)
    target, text = out / CROSS_FILE, result.to_json()
    if target.exists() and not overwrite and target.read_text(encoding="utf-8") != text:
        raise ConfigError(f"{out} already holds another cross table; give another folder, or --overwrite")
    for training, table in zip(result.trainings, tables, strict=True):
        write_score_table(table, out / "scores" / f"{Path(training.checkpoint).stem}.parquet")
    write_text(out / CROSS_CSV, frame_text(pd.DataFrame(result.rows())))
    write_text(target, text)
    return result
