"""Trainings side by side: what was tried, on what data, and how good it became.

Enters: the records `NAME.training.json` that training leaves beside its checkpoints. Leaves: tables. This
module does not need torch.

Why a folder of JSON files and no database: each record lies beside the weights it describes, travels with
them, and can be read without us.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from detectors.errors import DatasetLayoutError, DatasetNotFound
from pipelines.errors import UnreadableFile
from pipelines.untrusted import read_json

SUFFIX = ".training.json"
LIST_COLUMNS = (
    "name",
    "arch",
    "data",
    "fingerprint",
    "seed",
    "epochs",
    "best_epoch",
    "valid_accuracy",
    "held_out_accuracy",
    "seconds",
)


def list_experiments(folder: str | Path) -> pd.DataFrame:
    """List every training below a folder.

    Args:
        folder: Searched with all its subfolders.

    Returns:
        One row a training with the columns `LIST_COLUMNS`, best held-out accuracy first; NaN where there is
        no held-out part.

    Raises:
        DatasetNotFound: no such folder, or no training below it.
        DatasetLayoutError: a record that cannot be read.
    """
    root = Path(folder)
    paths = sorted(root.rglob(f"*{SUFFIX}"))
    if not paths:
        raise DatasetNotFound(f"no trainings (*{SUFFIX}) below {root}: `audit train` writes them")
    rows = [_row(root, path) for path in paths]
    table = pd.DataFrame(rows, columns=list(LIST_COLUMNS))
    return table.sort_values(["held_out_accuracy", "name"], ascending=[False, True], ignore_index=True)


def read_record(path: str | Path) -> dict[str, Any]:
    """Read the record of a training.

    Args:
        path: `NAME.training.json`, or the checkpoint `NAME.pt` beside it.

    Raises:
        DatasetNotFound: no such record.
        DatasetLayoutError: not the record of a training.
    """
    path = Path(path)
    record_path = path if path.name.endswith(SUFFIX) else path.with_suffix(SUFFIX)
    if not record_path.is_file():
        raise DatasetNotFound(f"no record of a training at {record_path}")
    try:
        record = read_json(record_path)
    except UnreadableFile as error:
        raise DatasetLayoutError(str(error)) from None
    if not isinstance(record, dict) or not {"arch", "settings", "epochs", "data"} <= set(record):
        raise DatasetLayoutError(f"{record_path} is not the record of a training")
    return record


def results(record: dict[str, Any]) -> dict[str, float]:
    """What came out of a training: validation accuracy of the best epoch, accuracy on the held-out part."""
    best = next(e for e in record["epochs"] if e["epoch"] == record["best_epoch"])
    held_out = record.get("held_out", {}).get("accuracy", float("nan"))
    return {"valid_accuracy": best["valid_accuracy"], "held_out_accuracy": held_out}


def _row(root: Path, path: Path) -> dict[str, Any]:
    record = read_record(path)
    return {
        "name": path.relative_to(root).as_posix().removesuffix(SUFFIX),
        "arch": record["arch"],
        "data": record["data"]["name"],
        "fingerprint": record["data"]["fingerprint"][:8],
        "seed": record["settings"]["seed"],
        "epochs": len(record["epochs"]),
        "best_epoch": record["best_epoch"],
        **results(record),
        "seconds": record.get("seconds", float("nan")),
    }


def compare_experiments(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Set trainings side by side.

    Args:
        paths: Two or more records, or the checkpoints beside them.

    Returns:
        One column a training; rows are the results, then every hyperparameter, data property and version in
        which they differ.

    Raises:
        DatasetNotFound: fewer than two, or a record that is not there.
        DatasetLayoutError: not the record of a training.
    """
    if len(paths) < 2:
        raise DatasetNotFound("comparing takes two trainings or more")
    records = [read_record(path) for path in paths]
    names = [Path(path).name.removesuffix(SUFFIX).removesuffix(".pt") for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    flat = [results(record) | _flat(record) for record in records]
    keys = dict.fromkeys(key for record in flat for key in record)
    table = pd.DataFrame({name: [r.get(key) for key in keys] for name, r in zip(names, flat, strict=True)})
    table.index = pd.Index(list(keys), name="setting")
    differs = table.astype(str).nunique(axis=1) > 1
    differs[["valid_accuracy", "held_out_accuracy"]] = True
    return table[differs]


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Everything that was chosen or given, one level deep."""
    flat: dict[str, Any] = {"arch": record["arch"], "starts_from": record.get("starts_from")}
    for part in ("settings", "data", "environment"):
        for key, value in record.get(part, {}).items():
            plain = json.dumps(value) if isinstance(value, (list, dict)) else value
            flat[f"{part}.{key}"] = plain
    return flat
