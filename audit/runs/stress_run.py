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
from audit.data.sampling_units import refuse_hidden_units, units_note, with_source_units
from audit.data.score_table import score_table
from audit.errors import ConfigError, MissingColumnError, ScoreTableError
from audit.judge.damage import Stressed, broken, damage, points
from audit.metrics.operating_point import calibration_rows, operating_point
from audit.runs.image_audit import check_request, with_unit_column
from audit.schema.result import Provenance
from audit.schema.stress import STRESS_FILE, TABLE_FILE, StressedDetector, StressKind, StressResult
from audit.task import task_named
from pipelines.csv_text import frame_text
from pipelines.errors import UnreadableFile
from pipelines.places import name_of
from pipelines.storage import write_text
from pipelines.untrusted import read_json

if TYPE_CHECKING:
    from detectors.data.labelled_images import LabelledImages
    from detectors.models.detector import Detector
    from detectors.scoring.options import Options, RayCluster
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
        config: Attributes, column of units, threshold, confidence, tolerance, smallest group, seed.
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
        UnitError: A column says that images are not independent, and nobody has said what it means.
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
    config = check_request(images, replace(config, attributes=tuple(attributes)))
    images = with_unit_column(images, config)
    score_table(*_with_units(images.table.assign(score=0.5), config))  # refuses what it can before scoring
    abouts = [
        Provenance(command=command, detector=describe(d), data={"path": name_of(images.root)})
        for d in detectors
    ]
    _refuse_other_request(out, abouts, names, config, overwrite)
    kept = [(images, 0) if include_seen else leave_out_seen(images, detector) for detector in detectors]
    wanted = pd.concat([part.table["image_id"] for part, _ in kept]).unique()
    together = images.only(images.table["image_id"].isin(wanted))
    options = Options(batch_size, workers, out / ".scoring", progress, cluster=cluster)
    notes = _independent(detectors, [part for part, _ in kept], together, config, options)
    scored = stress_scores(detectors, together, names, config.seed, options)
    described, all_points, all_broken, all_damage, all_verdicts = [], [], [], [], []
    for detector, about, (part, n_seen), every in zip(detectors, abouts, kept, scored, strict=True):
        own = every.of(part.table["image_id"])
        stressed = stressed_of(detector.name, own, config)
        notes += units_note(_with_units(own.table, config)[1], stressed.table.unit)
        all_points += points(stressed, config)
        all_broken += broken(stressed, config)
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
        attributes=list(config.attributes), unit_column=config.unit_column, detectors=described,
        points=all_points, broken=all_broken, damage=all_damage, verdicts=all_verdicts,
        notes=list(dict.fromkeys(notes)),
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
    frame, config = _with_units(frame, config)
    table = score_table(frame, config)
    unit = _sources(frame) if table.unit is None else table.unit
    threshold, audited = operating_point(
        table, parse_rule(config.threshold), config.calibration_share, config.seed, task_named(config.task)
    )
    if len(audited) < len(table):
        keep = ~calibration_rows(table, config.calibration_share, config.seed)
        scores, unit = scores[keep], unit[keep]
    variants = {key: scores[:, i + 1] for i, key in enumerate(scored.columns)}
    return Stressed(name, audited, threshold, variants, unit)


def _with_units(frame: pd.DataFrame, config: AuditConfig) -> tuple[pd.DataFrame, AuditConfig]:
    """The images and options, with the column of units: the one named, or the source photo of several fakes.

    An image without a value belongs to its source photo, as it would without a column.
    """
    config = with_source_units(frame, with_source_units(frame, config), "source")
    name = config.unit_column
    if name is None:
        return frame, config
    if name not in frame:
        raise MissingColumnError(
            f"the images have no column {name!r}; they have {', '.join(map(repr, frame.columns))}"
        )
    own = frame[name].astype(object)
    return frame.assign(**{name: own.where(own.notna(), _source_names(frame))}), config


def _source_names(frame: pd.DataFrame) -> pd.Series:
    """The source photo of each image: its pair, or itself."""
    return frame["pair_id"].fillna(frame["image_id"]).astype(str)


def _sources(frame: pd.DataFrame) -> Ints:
    """int64 [N], the number of the source photo of each image."""
    return pd.factorize(_source_names(frame))[0].astype(np.int64)


def _independent(
    detectors: Sequence[Detector],
    parts: Sequence[LabelledImages],
    images: LabelledImages,
    config: AuditConfig,
    options: Options,
) -> list[str]:
    """See that no column of which nobody has spoken says that images share a person or video.

    Scores tell of such a column, and those of the untouched images are enough: a refusal must not come after
    all the others.

    Returns:
        Sentences for the record.

    Raises:
        UnitError: Naming the column and what to do.
    """
    from detectors.scoring.engine import score_images

    columns = [name for name in (*images.attributes, *images.others) if name not in config.attributes]
    if config.unit_column is not None or not columns:
        return []
    notes = []
    for part, scored in zip(parts, score_images(detectors, images, options), strict=True):
        own = scored["image_id"].isin(part.table["image_id"]) & (scored["status"] == "ok")
        frame, sourced = _with_units(scored[own].reset_index(drop=True), config)
        if len(frame):
            unspoken = (frame[name] for name in columns)
            notes += refuse_hidden_units(score_table(frame, sourced), unspoken, sourced, config)
    return notes


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
        and (there.confidence, there.tolerance, there.min_n, there.seed, there.unit_column)
        == (config.confidence, config.tolerance, config.min_n, config.seed, config.unit_column)
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
