"""Records as pandas frames: one row a record, one column a number.

Enters: lists of records of a result. Leaves: DataFrames.

    xyz_interval   becomes xyz_low and xyz_high ("interval" becomes low and high), NaN where there is none
    confusion      becomes tp, fp, tn, fn
    a dictionary   becomes one column a key: apcer_at_bpcer_0.01
    no_skill       becomes no_skill_always_real, no_skill_always_fake, no_skill_random
    lists          stay lists
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from audit.schema.gates import NoSkill
from audit.schema.nullable import Record
from audit.schema.result import Confusion, Curve


def frame_of(records: Sequence[Record], kind: type[Record]) -> pd.DataFrame:
    """A frame with a row for each record; with its columns where there are none.

    Args:
        records: Of one kind.
        kind: Says what the columns are called.
    """
    if records:
        return pd.DataFrame([_row(record) for record in records])
    return pd.DataFrame(columns=[column for name in kind.model_fields for column in _columns(kind, name)])


def curve_frame(curves: Sequence[Curve]) -> pd.DataFrame:
    """All curves below each other: attribute, group, threshold, fpr, fnr (both 0-1)."""
    parts = [
        pd.DataFrame(
            {
                "attribute": curve.attribute,
                "group": curve.group,
                "threshold": curve.thresholds,
                "fpr": curve.fpr,
                "fnr": curve.fnr,
            }
        )
        for curve in curves
    ]
    columns = ["attribute", "group", "threshold", "fpr", "fnr"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _columns(kind: type[Record], name: str) -> list[str]:
    if name == "interval" or name.endswith("_interval"):
        return list(_ends(name, None))
    if kind.model_fields[name].annotation is Confusion:
        return list(Confusion.model_fields)
    if name == "no_skill":
        return list(_no_skill(None))
    return [] if "dict" in str(kind.model_fields[name].annotation) else [name]


def _row(record: Record) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in record:
        if name == "interval" or name.endswith("_interval"):
            row |= _ends(name, value)
        elif isinstance(value, Confusion):
            row |= dict(value)
        elif name == "no_skill":
            row |= _no_skill(value)
        elif isinstance(value, dict):
            row |= {f"{name}_{key}": one for key, one in value.items()}
        else:
            row[name] = value
    return row


def _no_skill(value: NoSkill | None) -> dict[str, float]:
    return {f"no_skill_{key}": getattr(value, key, math.nan) for key in NoSkill.model_fields}


def _ends(name: str, value: tuple[float, float] | None) -> dict[str, float]:
    start = name.removesuffix("interval")
    low, high = value or (math.nan, math.nan)
    return {f"{start}low": low, f"{start}high": high}
