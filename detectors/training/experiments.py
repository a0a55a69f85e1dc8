"""Trainings side by side: what was tried, on what data, and how good it became.

Enters: the records `NAME.training.json` that training leaves beside its checkpoints. Leaves: tables. This
module does not need torch.

Why a folder of JSON files and no database: each record lies beside the weights it describes, travels with
them, and can be read without us.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from detectors.errors import DatasetLayoutError, DatasetNotFound
from pipelines.errors import UnreadableFile
from pipelines.untrusted import read_json

SUFFIX = ".training.json"
LIST_COLUMNS = (
    "name",
    "arch",
    "data",
    "held_out_set",
    "rank",
    "held_out_accuracy",
    "held_out_low",
    "held_out_high",
    "held_out_images",
    "valid_accuracy",
    "seed",
    "epochs",
    "best_epoch",
    "seconds",
    "fingerprint",
)


def list_experiments(folder: str | Path) -> pd.DataFrame:
    """List every training below a folder.

    Args:
        folder: Searched with all its subfolders.

    Returns:
        One row a training with the columns `LIST_COLUMNS`. Trainings with the same held-out images stand
        together, the best first; `rank` counts among those alone, since an accuracy on other images says
        nothing about which detector is better. NaN where there is no held-out part. `held_out_low` and
        `held_out_high` are Wilson's 95 % interval.

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
    table["rank"] = table.groupby("held_out_set")["held_out_accuracy"].rank(method="min", ascending=False)
    order = ["data", "held_out_set", "held_out_accuracy", "name"]
    return table.sort_values(order, ascending=[True, True, False, True], ignore_index=True)


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


def held_out_set(record: dict[str, Any]) -> str:
    """What identifies the images a training was tried on; equal for equal images.

    Records that do not name them: by the data and by everything that splits it.
    """
    data, settings = record["data"], record["settings"]
    if "held_out_fingerprint" in data:
        return str(data["held_out_fingerprint"])[:8]
    chosen = [data["fingerprint"], data.get("origin"), settings.get("seed"), settings.get("fractions")]
    return hashlib.sha256(json.dumps(chosen).encode()).hexdigest()[:8]


def held_out_interval(record: dict[str, Any]) -> tuple[float, float]:
    """95 % interval of the accuracy on the held-out images; NaN where there are none.

    Source: Wilson 1927, as statsmodels computes it.
    """
    found = record.get("held_out")
    if not found or not found["n"]:
        return math.nan, math.nan
    low, high = proportion_confint(round(found["accuracy"] * found["n"]), found["n"], method="wilson")
    return float(low), float(high)


def _row(root: Path, path: Path) -> dict[str, Any]:
    record = read_record(path)
    low, high = held_out_interval(record)
    return {
        "name": path.relative_to(root).as_posix().removesuffix(SUFFIX),
        "arch": record["arch"],
        "data": record["data"]["name"],
        "fingerprint": record["data"]["fingerprint"][:8],
        "seed": record["settings"]["seed"],
        "epochs": len(record["epochs"]),
        "best_epoch": record["best_epoch"],
        **results(record),
        "held_out_set": held_out_set(record),
        "held_out_low": low,
        "held_out_high": high,
        "held_out_images": record.get("held_out", {}).get("n", 0),
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
        raise DatasetNotFound(
            f"comparing takes two trainings or more, and {paths[0] if paths else 'none'} is given; name the "
            "folder of several, or each of them"
        )
    records = [read_record(path) for path in paths]
    names = [Path(path).name.removesuffix(SUFFIX).removesuffix(".pt") for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    flat = [results(record) | {"held_out_set": held_out_set(record)} | _flat(record) for record in records]
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
