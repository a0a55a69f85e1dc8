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
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from audit.config import AuditConfig
from audit.data.score_table import score_table
from audit.errors import ConfigError
from audit.judge.adjusted_gaps import OF_PAIRS, merged
from audit.judge.attrition import dropout_by_group
from audit.runs.example_pairs import Pictures, pick_samples, with_pictures
from audit.runs.run_folder import refuse_other_run, write_result, write_scores
from audit.runs.score_audit import Extras, audit_scores
from audit.schema.result import AuditResult, Provenance, Sample
from pipelines.dataset.manifest import MANIFEST, read_manifest

if TYPE_CHECKING:
    from detectors.data.datasets import LabelledImages
    from detectors.models.detector import Detector
    from detectors.scoring.dataset_scores import Scored

THUMBNAILS = "thumbnails"


@dataclass(frozen=True)
class Scoring:
    """How images are scored; nothing here changes a score."""

    device: str = "auto"
    batch_size: int = 32
    workers: int | None = None
    include_seen: bool = False
    """Audit source photos the detector learned from, too."""
    progress: bool = True


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
    from detectors.scoring.dataset_scores import score_pairs
    from detectors.scoring.engine import Options  # these two load torch

    config, scoring, out = (config or AuditConfig()).check(), scoring or Scoring(), Path(out_dir)
    work_dir = out / ".scoring"
    options = Options(scoring.batch_size, scoring.workers, work_dir, scoring.progress)
    scored = score_pairs(
        detector, images, device=scoring.device, include_seen=scoring.include_seen, options=options
    )
    result = audit_scored(scored, out, config, command, overwrite)
    shutil.rmtree(work_dir, ignore_errors=True)
    return result


def audit_scored(
    scored: Scored, out: Path, config: AuditConfig, command: str = "", overwrite: bool = False
) -> AuditResult:
    """Audit what a detector said about a data set, and write the run folder.

    Raises:
        ExpectedError: of `audit`; `unit_column` is for score tables alone.
    """
    if config.unit_column is not None:
        raise ConfigError("units are drawn from score tables alone: audit the run's scores.parquet with it")
    if not config.attributes and scored.attributes:
        config = replace(config, attributes=scored.attributes)
    usable = scored.table[scored.table["status"] == "ok"].reset_index(drop=True)
    fake = score_table(usable, config).fake
    extras, manifest = _extras(scored, config, command), _manifest(scored)
    result = audit_scores(_with_quality(usable, manifest, config), config, extras)
    samples = pick_samples(usable, manifest, result.config)
    pictures = Pictures(Path(scored.data["folder"]), out / THUMBNAILS, THUMBNAILS)
    result = result.model_copy(update={"samples": _planned(samples, pictures)})
    refuse_other_run(result, out, overwrite)
    _write_pictures(samples, pictures)
    write_scores(usable, config, fake, out)
    write_result(result, out, overwrite=overwrite)
    return result


def _extras(scored: Scored, config: AuditConfig, command: str) -> Extras:
    unreadable = scored.table.loc[scored.table["status"] != "ok", "status"].value_counts()
    left_out = dict(scored.n_left_out) | {str(k): int(v) for k, v in unreadable.items()}
    of_data: Mapping[str, Any] = scored.data.get("provenance") or {}
    data = {"kind": scored.data["layout"], "path": scored.data["path"]} | {
        key: of_data[key] for key in ("source", "parameters", "versions") if key in of_data
    }
    provenance = Provenance(
        command=command,
        detector=scored.detector,
        data=data,
        generator=dict(of_data.get("generator") or {}),
    )
    manifest = _manifest(scored)
    dropout = [] if manifest is None else dropout_by_group(manifest, config.attributes)
    controls = () if manifest is None else OF_PAIRS
    return Extras(provenance, list(of_data.get("notes") or []), left_out, dropout, controls=controls)


def _with_quality(table: pd.DataFrame, manifest: pd.DataFrame | None, config: AuditConfig) -> pd.DataFrame:
    """The score table with the manifest's columns to hold constant, the same for both halves of a pair.

    Where a name is in neither, all of the manifest's, so that the refusal can list them.
    """
    if manifest is None:
        return table
    of_pair = manifest.set_index("pair_id")
    wanted = [control.column for control in merged(config.controls, OF_PAIRS)]
    if any(name not in of_pair and name not in table for name in wanted):
        wanted = [str(name) for name in of_pair.columns]
    return table.assign(
        **{
            name: table["pair_id"].map(of_pair[name])
            for name in wanted
            if name in of_pair and name not in table
        }
    )


def _manifest(scored: Scored) -> pd.DataFrame | None:
    folder = Path(scored.data["path"])
    return read_manifest(folder) if (folder / MANIFEST).exists() else None


def _planned(samples: Sequence[tuple[Sample, dict[str, str]]], pictures: Pictures) -> list[Sample]:
    return [with_pictures(sample, paths, pictures) for sample, paths in samples]


def _write_pictures(samples: Sequence[tuple[Sample, dict[str, str]]], pictures: Pictures) -> None:
    shutil.rmtree(pictures.folder, ignore_errors=True)
    os.makedirs(pictures.folder, exist_ok=True)
    for _, paths in samples:
        for path in paths.values():
            pictures.write(path)
