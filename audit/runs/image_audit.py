"""Audit a detector on images: score them, count, test, judge, and keep what the report needs.

Enters: a detector, a pairs dataset (or any labelled image set `detectors.data.datasets` reads) and an
`AuditConfig`.
Leaves: a run folder: `audit.json`, `scores.parquet`, `thumbnails/`, `run.json`.

Why thumbnails are copied into the run folder: a run must be readable when the pairs are gone, and reports are
rendered again from the run folder alone.
Why drop-out covers all photos attempted, those the detector was trained on too: it describes the generator
and the face finder, which treated all of them alike.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from audit.config import AuditConfig, Columns, parse_rule
from audit.data.columns import find_attributes, resolved
from audit.data.groups import cells_of
from audit.data.sampling_units import refuse_hidden_units, with_source_units
from audit.data.score_table import score_table
from audit.data.unit_totals import unit_codes
from audit.errors import ConfigError, MissingColumnError
from audit.inference.attack_kinds import kind_rates
from audit.judge.adjusted_gaps import OF_PAIRS, merged, require_columns
from audit.judge.attrition import dropout_by_group, no_scores
from audit.judge.kinds_agreement import kinds_agreement
from audit.judge.reference_group import check_references
from audit.metrics.operating_point import check_promise
from audit.runs.example_pairs import Pictures, pick_samples, with_pictures
from audit.runs.kinds_of_fake import (
    FOLDER,
    kinds_in,
    left_out_of,
    mixture,
    mixture_note,
    of_kind,
    rows_for,
)
from audit.runs.realism import realism_of
from audit.runs.run_folder import (
    THUMBNAILS,
    clear_other_run,
    refuse_other_request,
    write_result,
    write_scores,
)
from audit.runs.score_audit import Extras, audit_scores
from audit.schema.result import AuditResult, NoScores, Provenance, Sample
from audit.task import task_named
from pipelines.dataset.manifest import MANIFEST, read_manifest
from pipelines.places import name_of, push
from pipelines.storage import remove_tree

if TYPE_CHECKING:
    from detectors.data.datasets import LabelledImages
    from detectors.models.detector import Detector
    from detectors.scoring.dataset_scores import Scored
    from detectors.scoring.options import RayCluster


@dataclass(frozen=True)
class Scoring:
    """How images are scored; nothing here changes a score."""

    device: str = "auto"
    batch_size: int = 32
    workers: int | None = None
    include_seen: bool = False
    """Audit source photos the detector learned from, too."""
    progress: bool = True
    cluster: RayCluster | None = None
    """Where to score, on its device; None for this process."""


def audit_images(
    detector: str | Path | Detector,
    images: str | Path | LabelledImages,
    out_dir: str | Path,
    config: AuditConfig | None = None,
    scoring: Scoring | None = None,
    command: str = "",
    overwrite: bool = False,
) -> AuditResult:
    """Score every image once and audit the scores: what `audit run --detector` does.

    Args:
        detector: a detector file, see `detectors.models.loading`, or a detector in memory.
        images: a pairs dataset, another labelled image set, or images read before.
        out_dir: run folder; an interrupted scoring continues there.
        config: options of the audit.
        scoring: options of the scoring.
        command: the command line, for the record.
        overwrite: replace another run in the folder.

    Raises:
        ExpectedError: of `detectors`, `pipelines` or `audit`.
    """
    from detectors.data.datasets import LabelledImages, read_images
    from detectors.models.detector import Detector
    from detectors.models.loading import load_detector
    from detectors.scoring.dataset_scores import describe, score_pairs
    from detectors.scoring.options import Options

    config, scoring, out = (config or AuditConfig()).check(), scoring or Scoring(), Path(out_dir)
    images = images if isinstance(images, LabelledImages) else read_images(images)
    if not isinstance(detector, Detector):
        detector = load_detector(detector, device="cpu" if scoring.cluster else scoring.device)
    data = {"kind": images.layout, "path": name_of(images.root)}
    refuse_other_request(
        out, config, Provenance(command=command, detector=describe(detector), data=data), overwrite
    )
    work_dir = out / ".scoring"
    options = Options(
        scoring.batch_size, scoring.workers, work_dir, scoring.progress, cluster=scoring.cluster
    )
    scored = score_pairs(
        detector, images, device=scoring.device, include_seen=scoring.include_seen, options=options
    )
    result = audit_scored(scored, out, config, command, overwrite)
    remove_tree(work_dir)
    return result


def audit_scored(
    scored: Scored, out: Path, config: AuditConfig, command: str = "", overwrite: bool = False
) -> AuditResult:
    """Audit what a detector said about a data set, and write the run folder.

    Raises:
        ExpectedError: of `audit`.
    """
    manifest = manifest_of(Path(scored.data["path"]))
    kinds = kinds_in(scored.table, manifest)
    if len(kinds) < 2:
        return _audit_one(scored, out, config, command, overwrite, manifest)
    assert manifest is not None
    usable = scored.table[scored.table["status"] == "ok"]
    mixed = mixture(usable, config.seed)
    notes = [mixture_note(kinds, config.seed)]
    part = replace(scored, table=mixed, n_left_out=_unreadable(scored))
    rows = rows_for(manifest, mixed)
    main = _audit_one(part, out, config, command, overwrite, rows, notes, scored.table)
    for kind in kinds:
        left = left_out_of(dict(scored.n_left_out), kind, kinds)
        part = replace(
            scored, table=of_kind(scored.table, kind), n_left_out=left, data=_of_kind(scored, kind)
        )
        rows = manifest[manifest["kind"] == kind].reset_index(drop=True)
        _audit_one(part, out / FOLDER / kind, config, command, overwrite, rows)
    return main


def _unreadable(scored: Scored) -> dict[str, int]:
    """What is left out of a mixture: what was left out, and images that could not be scored."""
    bad = scored.table.loc[scored.table["status"] != "ok", "status"].value_counts()
    return dict(scored.n_left_out) | {str(k): int(v) for k, v in bad.items()}


def _of_kind(scored: Scored, kind: str) -> dict[str, Any]:
    """What is known of the data, its provenance narrowed down to one kind."""
    provenance = dict(scored.data.get("provenance") or {})
    makers = [m for m in provenance.get("generators", []) if m.get("kind") == kind]
    return {**scored.data, "provenance": {**provenance, "generators": makers}}


def _agreement(
    usable: pd.DataFrame, result: AuditResult, config: AuditConfig, judged: pd.DataFrame
) -> AuditResult:
    """The record, with whether its gaps agree across the kinds of fake that were scored.

    Args:
        usable: All images that were scored.
        result: The audit of one fake a photo.
        config: Options in the data set's own spelling.
        judged: The images of that audit, with the columns of the manifest: of units and weights too.
    """
    fakes = usable[usable["label"] == 1]
    fakes = fakes.assign(missed=fakes["score"] < result.config.threshold)
    of_photo = judged.drop_duplicates("pair_id").set_index("pair_id", drop=False)
    unit = weight = None
    if config.unit_column:
        own = fakes["pair_id"].map(of_photo[config.unit_column])
        fakes = fakes.assign(unit=own.where(own.notna(), fakes["pair_id"]))
        unit = unit_codes(fakes["unit"])
    if config.weight_column:
        weight = fakes["pair_id"].map(of_photo[config.weight_column]).fillna(0.0).to_numpy(dtype=np.float64)
    single = [name for name in result.config.attributes if name in fakes]
    found = kinds_agreement(fakes, single, config)
    notes = [*(each.sentence for each in found), *result.notes]
    cells, cell = cells_of(fakes, single, config.bins)
    rates, worst = kind_rates(fakes["kind"], fakes["missed"].to_numpy(), cells, cell, config, unit, weight)
    more = {"kinds": found, "notes": notes, "kind_rates": rates, "worst_kinds": worst}
    return result.model_copy(update=more)


def _audit_one(
    scored: Scored,
    out: Path,
    config: AuditConfig,
    command: str,
    overwrite: bool,
    manifest: pd.DataFrame | None,
    notes: Sequence[str] = (),
    all_kinds: pd.DataFrame | None = None,
) -> AuditResult:
    """Audit images of which a photo has at most one fake, and write the run folder.

    Args:
        scored: Those images.
        out: The run folder.
        config: Options as asked for.
        command: The command line, for the record.
        overwrite: Replace another run.
        manifest: Of a pairs dataset, one row a photo.
        notes: To tell first.
        all_kinds: Where these are a mixture: the images of all kinds, those without a score too.
    """
    config = image_config(config, scored.table, scored.attributes, manifest)
    usable = scored.table[scored.table["status"] == "ok"].reset_index(drop=True)
    config = with_source_units(usable, with_source_units(usable, config), "source")
    fake = score_table(usable, config).fake
    extras = _extras(scored, config, command, manifest)
    lost = _no_scores(scored.table if all_kinds is None else all_kinds, manifest, config)
    extras = replace(extras, notes=[*notes, *extras.notes], no_scores=lost)
    judged = _with_quality(usable, manifest, config)
    result = audit_scores(judged, config, extras)
    if all_kinds is not None:
        result = _agreement(all_kinds[all_kinds["status"] == "ok"], result, config, judged)
    samples = pick_samples(usable, manifest, result.config)
    pictures = Pictures(Path(scored.data["folder"]), out / THUMBNAILS, THUMBNAILS)
    told = scored.data.get("provenance") or {}
    realism = realism_of(Path(scored.data["path"]), kinds_in(judged, manifest), told)
    result = result.model_copy(update={"samples": _planned(samples, pictures), "realism": realism})
    clear_other_run(result, out, overwrite)
    _write_pictures(samples, pictures)
    write_scores(judged, config, fake, out)
    write_result(result, out, overwrite=overwrite)
    return result


def _no_scores(table: pd.DataFrame, manifest: pd.DataFrame | None, config: AuditConfig) -> list[NoScores]:
    """Images without a score, by group; the fakes of one photo, where there are several, are no strangers."""
    lost = table["status"] != "ok"
    attributes = [name for name in config.attributes if name in table]
    if not lost.any() or not attributes:
        return []
    several = config.unit_column is None and bool(table.duplicated(["pair_id", "label"]).any())
    config = replace(config, unit_column="pair_id") if several else config
    every = _with_quality(table, manifest, config)
    return no_scores(every[~lost], every[lost], attributes, config)


def image_config(
    config: AuditConfig, table: pd.DataFrame, attributes: Sequence[str], manifest: pd.DataFrame | None
) -> AuditConfig:
    """The options in the data set's own spelling, with its attributes where none are named.

    Args:
        config: Options as asked for.
        table: The images.
        attributes: Their demographic columns.
        manifest: Of a pairs dataset.

    Raises:
        ConfigError: Columns of other names are for score tables alone.
    """
    if config.columns != Columns():
        raise ConfigError("label_column and the like are for score tables alone: images say what they are")
    names = dict.fromkeys([*table.columns, *([] if manifest is None else manifest.columns)])
    config = resolved(config, names)
    return replace(config, attributes=attributes) if attributes and not config.attributes else config


def check_request(images: LabelledImages, config: AuditConfig) -> AuditConfig:
    """See, before anything is scored, that the data set can answer what is asked of it.

    Args:
        images: A data set, read.
        config: Options as asked for.

    Returns:
        The options in the data set's own spelling.

    Raises:
        MissingColumnError: An attribute or a column to hold constant that it does not have.
        GroupError: Attributes that cannot be audited, or a reference group that does not occur.
        UnitError: A column whose name and groups say that images are not independent.
    """
    manifest = manifest_of(images.root)
    config = image_config(config, images.table, images.attributes, manifest)
    usable = [*images.attributes, "kind"]
    missing = [name for name in config.attributes if name not in usable]
    if missing:
        raise MissingColumnError(
            f"{images.root} has no column {', '.join(map(repr, missing))} to audit; it has "
            f"{', '.join(map(repr, usable))}"
        )
    _require_own_columns(images, manifest, config)
    table = images.table[["image_id", "pair_id", "label", *usable]]
    manifest = None if manifest is None else manifest.drop_duplicates("pair_id")
    require_columns(_with_quality(table, manifest, config), merged(config.controls, ()), config)
    rule = parse_rule(config.threshold)
    of_class = (table["label"] == 1) == (rule.kind == "fnr")
    check_promise(rule, int(of_class.sum()), config.calibration_share, task_named(config.task))
    names = find_attributes(table, config)
    check_references(cells_of(table, names, config.bins)[0].groupings(), config.references)
    _refuse_named_units(images, manifest, config)
    return config


def _refuse_named_units(images: LabelledImages, manifest: pd.DataFrame | None, config: AuditConfig) -> None:
    """Refuse, before scoring, units that a column's name and groups give away.

    Equal scores tell of nothing, so that a column which only scores can betray is left to the audit itself.
    """
    frame = _with_quality(images.table.assign(score=0.5), manifest, config)
    sourced = with_source_units(frame, with_source_units(frame, config), "source")
    if images.others:
        columns = (frame[name] for name in images.others)
        refuse_hidden_units(score_table(frame, sourced), columns, sourced, config)


def _require_own_columns(images: LabelledImages, manifest: pd.DataFrame | None, config: AuditConfig) -> None:
    """Refuse units and weights that neither the images nor their manifest name."""
    known = ["pair_id", "source", *images.attributes, *images.others]
    known += [str(name) for name in ([] if manifest is None else manifest.columns)]
    missing = [name for name in (config.unit_column, config.weight_column) if name and name not in known]
    if missing:
        raise MissingColumnError(
            f"{images.root} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, dict.fromkeys(known)))}"
        )


def _extras(scored: Scored, config: AuditConfig, command: str, manifest: pd.DataFrame | None) -> Extras:
    unreadable = scored.table.loc[scored.table["status"] != "ok", "status"].value_counts()
    left_out = dict(scored.n_left_out) | {str(k): int(v) for k, v in unreadable.items()}
    of_data: Mapping[str, Any] = scored.data.get("provenance") or {}
    data = {"kind": scored.data["layout"], "path": name_of(scored.data["path"])} | {
        key: of_data[key] for key in ("source", "parameters", "versions") if key in of_data
    }
    provenance = Provenance(
        command=command,
        detector=scored.detector,
        data=data,
        generator=_generator(of_data),
    )
    dropout = [] if manifest is None else dropout_by_group(manifest, config.attributes)
    controls = () if manifest is None else OF_PAIRS
    return Extras(provenance, list(of_data.get("notes") or []), left_out, dropout, controls=controls)


def _generator(of_data: Mapping[str, Any]) -> dict[str, Any]:
    """What a data set says of what made its fakes; of several kinds their names, and each under its own."""
    makers: list[dict[str, Any]] = of_data.get("generators") or []
    if len(makers) <= 1:
        return dict(makers[0]) if makers else {}
    return {"name": ", ".join(str(m["kind"]) for m in makers), "kinds": {str(m["kind"]): m for m in makers}}


def _with_quality(table: pd.DataFrame, manifest: pd.DataFrame | None, config: AuditConfig) -> pd.DataFrame:
    """The score table with the manifest's columns to hold constant, the same for both halves of a pair.

    Where a name is in neither, all of the manifest's, so that the refusal can list them.
    """
    if manifest is None:
        return table
    of_pair = manifest.set_index("pair_id")
    wanted = [control.column for control in merged(config.controls, OF_PAIRS)]
    wanted += [name for name in (config.unit_column, config.weight_column) if name]
    if any(name not in of_pair and name not in table for name in wanted):
        wanted = [str(name) for name in of_pair.columns]
    return table.assign(
        **{
            name: table["pair_id"].map(of_pair[name])
            for name in wanted
            if name in of_pair and name not in table
        }
    )


def with_unit_column(images: LabelledImages, config: AuditConfig) -> LabelledImages:
    """The images with the column of their units, from the manifest where their table lacks it.

    Args:
        images: A data set, read.
        config: Options in the data set's own spelling.
    """
    name, manifest = config.unit_column, manifest_of(images.root)
    if name is None or manifest is None or name in images.table or name not in manifest:
        return images
    of_pair = manifest.drop_duplicates("pair_id").set_index("pair_id")[name]
    return replace(images, table=images.table.assign(**{name: images.table["pair_id"].map(of_pair)}))


def manifest_of(folder: Path) -> pd.DataFrame | None:
    """The manifest of a pairs dataset; None for other image sets."""
    return read_manifest(folder) if (folder / MANIFEST).exists() else None


def _planned(samples: Sequence[tuple[Sample, dict[str, str]]], pictures: Pictures) -> list[Sample]:
    return [with_pictures(sample, paths, pictures) for sample, paths in samples]


def _write_pictures(samples: Sequence[tuple[Sample, dict[str, str]]], pictures: Pictures) -> None:
    remove_tree(pictures.folder)
    os.makedirs(pictures.folder, exist_ok=True)
    for _, paths in samples:
        for path in paths.values():
            pictures.write(path)
    push(*sorted(pictures.folder.iterdir()))
