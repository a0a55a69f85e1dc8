"""What every part of a result file is made of: records, and numbers that may be undefined.

Enters: values. Leaves: JSON in which an undefined number is null, read back as NaN, never as 0.0.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer


def _nan_from_null(value: Any) -> Any:
    return math.nan if value is None else value


def _null_from_nan(value: float) -> float | None:
    return value if math.isfinite(value) else None


Rate = Annotated[
    float, BeforeValidator(_nan_from_null), PlainSerializer(_null_from_nan, return_type=float | None)
]
"""A number that may be undefined: NaN in Python, null in JSON."""

Interval = tuple[Rate, Rate]
"""(low, high) at the confidence stated in the config; a null limit is no limit, as above a ratio to zero."""


class Record(BaseModel):
    """Base of everything in a result file: unknown fields are refused, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
