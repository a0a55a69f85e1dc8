"""The folder of one run: `audit.json` (result), `scores.parquet` (every image's score), `run.json` (when).

Enters: an `AuditResult`, the table it came from. Leaves: files, each written under a temporary name and then
renamed, so that a folder never holds half a file.

Why a folder with another result is refused: an audit that is silently replaced cannot be quoted. The same
result may be written again; it is the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from audit.config import AuditConfig
from audit.data.columns import resolved
from audit.errors import RunFolderError
from audit.runs.checksums import enter
from audit.schema.result import AuditResult
from detectors.scoring.score_table import write_score_table
from pipelines.storage import write_text

RESULT_FILE = "audit.json"
SCORES_FILE = "scores.parquet"
RUN_FILE = "run.json"
THUMBNAILS = "thumbnails"


def write_result(result: AuditResult, out_dir: str | Path, overwrite: bool = False) -> Path:
    """Write `audit.json`, and `SHA256SUMS` over it and over the scores and pictures already there.

    Args:
        result: What the audit found.
        out_dir: Run folder, made if it is not there.
        overwrite: Replace another run's result.

    Returns:
        Path of `audit.json`.

    Raises:
        RunFolderError: If the folder holds the result of another run.
    """
    folder = Path(out_dir)
    text = refuse_other_run(result, folder, overwrite)
    target = folder / RESULT_FILE
    write_text(target, text)
    written = [target, folder / SCORES_FILE, *(folder / THUMBNAILS).glob("*")]
    enter(folder, [path for path in written if path.is_file()], anew=True)
    return target


def write_circumstances(run: Mapping[str, Any], out_dir: str | Path) -> Path:
    """Write `run.json`: when, where and how long, whatever may differ between two runs of the same audit."""
    target = Path(out_dir) / RUN_FILE
    write_text(target, json.dumps(dict(run), indent=2) + "\n")
    enter(target.parent, [target])
    return target


def refuse_file(out_dir: str | Path) -> None:
    """See that a run folder is a folder, or can become one.

    Raises:
        RunFolderError: If it, or a folder above it, is a file.
    """
    folder = Path(out_dir)
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise RunFolderError(f"{place} is a file, so {out_dir} cannot be a run folder; name a folder")


def refuse_other_run(result: AuditResult, out_dir: str | Path, overwrite: bool) -> str:
    """The text of `audit.json`, if it may be written into the folder.

    Raises:
        RunFolderError: If the folder holds the result of another run.
    """
    refuse_file(out_dir)
    target, text = Path(out_dir) / RESULT_FILE, result.to_json()
    if target.exists() and not overwrite and target.read_text(encoding="utf-8") != text:
        raise RunFolderError(f"{out_dir} already holds another run; give another folder, or --overwrite")
    return text


def write_scores(frame: pd.DataFrame, config: AuditConfig, fake: Any, out_dir: str | Path) -> Path:
    """Write the audited table under the standard column names, so that runs can be compared later.

    Args:
        frame: The user's table.
        config: Says what its columns are called.
        fake: bool [N], True for fake.
        out_dir: Run folder.
    """
    names = resolved(config, frame.columns).columns
    folder = Path(out_dir)
    renamed = frame.rename(
        columns={names.score: "score", names.image_id: "image_id", names.pair_id: "pair_id"}
    ).assign(label=pd.Series(fake, index=frame.index).astype("int8"))
    if names.label != "label":
        renamed = renamed.drop(columns=names.label)
    return write_score_table(renamed, folder / SCORES_FILE)
