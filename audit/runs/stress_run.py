"""A stress test: what breaks a detector, and for whom first.

Enters: detectors, labelled images, names of transformations. Leaves: a folder with `stress.json`
(`StressResult`) and `stress.csv`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import ValidationError

from audit.config import AuditConfig, parse_rule
from audit.data.counts import Ints
from audit.data.score_table import score_table
from audit.errors import ConfigError, ScoreTableError
from audit.judge.damage import Stressed, damage, points
from audit.metrics.operating_point import calibration_rows, operating_point
from audit.schema.result import Provenance
from audit.schema.stress import STRESS_FILE, TABLE_FILE, StressedDetector, StressKind, StressResult
from audit.task import task_named
from pipelines.csv_text import frame_text
from pipelines.errors import UnreadableFile
from pipelines.places import name_of
from pipelines.storage import write_text
from pipelines.untrusted import read_json

SOURCE = "source_photo"
"""Column of the source photo, where a photo has several fakes."""

if TYPE_CHECKING:
    from detectors.data.labelled_images import LabelledImages
    from detectors.models.detector import Detector
    from detectors.scoring.options import RayCluster
    from detectors.scoring.stress_scores import StressScores


def stress(
    detectors: Sequence[Detector],
    images: LabelledImages,
    out_dir: str | Path,
    config: AuditConfig | None = None,
    *,
    transformations: Sequence[str] = (),
    batch_size: int = 32,
    workers: int | None = None,
    include_seen: bool = False,
    cluster: RayCluster | None = None,
    command: str = "",
    overwrite: bool = False,
    progress: bool = True,
) -> StressResult:
    """Score every image untouched and transformed, judge whom it harms, and write the folder.

    Args:
        detectors: One or more, of different names.
        images: Labelled images with at least one attribute.
        out_dir: The folder; an interrupted run continues there.
        config: Attributes, threshold, confidence, tolerance, smallest group, seed.
        transformations: Keys of `TRANSFORMATIONS`; all where empty.
        batch_size: Images a network sees at once.
        workers: Threads that decode and transform.
        include_seen: Keep source photos a detector was trained on.
        cluster: Score on a Ray cluster, on its device; None for this process.
        command: The command line, for the record.
        overwrite: Replace another test in the folder.
        progress: Draw a progress bar.

    Raises:
        ConfigError: An unknown transformation, detectors of one name, or no attributes.
        ExpectedError: Of the images, the scores or the folder.
    """
    from detectors.data.transformations import TRANSFORMATIONS
    from detectors.scoring.dataset_scores import SEEN, describe, leave_out_seen
    from detectors.scoring.options import Options
    from detectors.scoring.stress_scores import stress_scores

    config, out = (config or AuditConfig()).check(), Path(out_dir)
    names = checked(transformations)
    if len({detector.name for detector in detectors}) < len(detectors):
        raise ConfigError("two detectors have one name; rename a file so that the curves can be told apart")
    attributes = config.attributes or images.attributes
    if not attributes:
        raise ConfigError(f"{images.root} has no attribute columns; name one with --attribute")
    config = replace(config, attributes=tuple(attributes))
    abouts = [
        Provenance(command=command, detector=describe(d), data={"path": name_of(images.root)})
        for d in detectors
    ]
    _refuse_other_request(out, abouts, names, config, overwrite)
    kept = [(images, 0) if include_seen else leave_out_seen(images, detector) for detector in detectors]
    wanted = pd.concat([part.table["image_id"] for part, _ in kept]).unique()
    together = images.only(images.table["image_id"].isin(wanted))
    options = Options(batch_size, workers, out / ".scoring", progress, cluster=cluster)
    scored = stress_scores(detectors, together, names, config.seed, options)
    described, all_points, all_damage, all_verdicts = [], [], [], []
    for detector, about, (part, n_seen), every in zip(detectors, abouts, kept, scored, strict=True):
        own = every.of(part.table["image_id"])
        stressed = stressed_of(detector.name, own, config)
        all_points += points(stressed, config)
        harmed, verdicts = damage(stressed, config)
        all_damage += harmed
        all_verdicts += verdicts
        left_out = dict(part.n_left_out) | ({SEEN: n_seen} if n_seen else {}) | _failed(own.table)
        described.append(
            StressedDetector(
                name=detector.name,
                threshold=stressed.threshold,
                threshold_rule=str(parse_rule(config.threshold)),
                provenance=about,
                n_images=len(stressed.table),
                n_left_out=left_out,
            )
        )
    kinds = [TRANSFORMATIONS[name] for name in names]
    result = StressResult(
        confidence=config.confidence, tolerance=config.tolerance, min_n=config.min_n, seed=config.seed,
        attributes=list(attributes), detectors=described, points=all_points, damage=all_damage,
        verdicts=all_verdicts,
        kinds=[StressKind(name=k.name, label=k.label, unit=k.unit, levels=list(k.levels)) for k in kinds],
    )  # fmt: skip
    return write_stress(result, out, overwrite)


def stressed_of(name: str, scored: StressScores, config: AuditConfig) -> Stressed:
    """Scores as arrays, at the operating point that the untouched images give.

    Raises:
        ScoreTableError: No image has all its scores, or the threshold rule cannot be fixed on them.
    """
    usable = (scored.table["status"] == "ok").to_numpy()
    if not usable.any():
        raise ScoreTableError("no image has a score; run `audit check` on the detector first")
    scores = scored.scores[usable]
    frame = scored.table[usable].reset_index(drop=True).assign(score=scores[:, 0])
    unit = _units(frame)
    if frame.dropna(subset="pair_id").duplicated(["pair_id", "label"]).any():  # several fakes of a photo
        frame, config = frame.assign(**{SOURCE: unit.astype(str)}), replace(config, unit_column=SOURCE)
    table = score_table(frame, config)
    threshold, audited = operating_point(
        table, parse_rule(config.threshold), config.calibration_share, config.seed, task_named(config.task)
    )
    if len(audited) < len(table):
        keep = ~calibration_rows(table, config.calibration_share, config.seed)
        scores, unit = scores[keep], unit[keep]
    variants = {key: scores[:, i + 1] for i, key in enumerate(scored.columns)}
    return Stressed(name, audited, threshold, variants, unit)


def _units(frame: pd.DataFrame) -> Ints:
    """int64 [N], the source photo of each image: its pair, or itself."""
    names = frame["pair_id"].fillna(frame["image_id"]).astype(str)
    return pd.factorize(names)[0].astype(np.int64)


def checked(asked: Sequence[str]) -> list[str]:
    """The transformations asked for in the order of the report; all where none is.

    Raises:
        ConfigError: One that is not known.
    """
    from detectors.data.transformations import TRANSFORMATIONS

    known = list(TRANSFORMATIONS)
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise ConfigError(f"--transform {unknown[0]} is not known; it must be one of {', '.join(known)}")
    return [name for name in known if not asked or name in asked]


def _failed(table: pd.DataFrame) -> dict[str, int]:
    reasons = table.loc[table["status"] != "ok", "status"].value_counts()
    return {str(reason): int(n) for reason, n in reasons.items()}


def _refuse_other_request(
    out: Path, abouts: Sequence[Provenance], names: Sequence[str], config: AuditConfig, overwrite: bool
) -> None:
    """Before any work: refuse a folder with a test that is certain to differ from the one asked for.

    Raises:
        ConfigError: The folder holds another stress test.
    """
    target = out / STRESS_FILE
    if overwrite or not target.exists():
        return
    try:
        there = StressResult.model_validate(read_json(target))
    except (ValidationError, UnreadableFile):
        there = None
    same = there is not None and (
        [one.provenance.model_dump(mode="json") for one in there.detectors]
        == [one.model_dump(mode="json") for one in abouts]
        and [kind.name for kind in there.kinds] == list(names)
        and (there.confidence, there.tolerance, there.min_n, there.seed)
        == (config.confidence, config.tolerance, config.min_n, config.seed)
    )
    if not same:
        raise ConfigError(_OTHER.format(out))


_OTHER = "{} already holds another stress test; give another folder, or --overwrite"


def write_stress(result: StressResult, out: Path, overwrite: bool = False) -> StressResult:
    """Write `stress.json` and `stress.csv`.

    Raises:
        ConfigError: The folder holds another stress test.
    """
    target, text = out / STRESS_FILE, result.to_json()
    if target.exists() and not overwrite and target.read_text(encoding="utf-8") != text:
        raise ConfigError(_OTHER.format(out))
    write_text(target, text)
    table = pd.DataFrame([point.model_dump() for point in result.points])
    for rate in ("fpr", "fnr"):
        limits = np.array(table.pop(f"{rate}_interval").tolist(), dtype=float).reshape(-1, 2)
        table[f"{rate}_low"], table[f"{rate}_high"] = limits[:, 0], limits[:, 1]
    write_text(out / TABLE_FILE, frame_text(table))
    return result
