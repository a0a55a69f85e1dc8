"""A record as it may be shown: every name in it, given by strangers, spelled so that nothing is hidden.

Enters: a result, comparison or benchmark. Leaves: the same, for the pages and the card; the record on disk
keeps the names as they were given.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from pipelines.visible import visible_record

R = TypeVar("R", bound=BaseModel)


def legible(record: R) -> R:
    """The record with every text in it visible on one line, see `pipelines.visible`."""
    return type(record).model_validate(visible_record(record.model_dump()))
