"""What a written result must agree with itself on, beyond the types of its fields.

Enters: the parsed JSON of an `audit.json`, and the `AuditResult` made of it. Leaves: the first contradiction
in words, or None.

Why here and not in the report: a record may come from anybody, or be damaged, and whatever reads it (report,
comparison, model card) may then rely on lists of equal lengths and on numbers that are numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from audit.schema.result import AuditResult

LARGEST = 2**53
"""Whole numbers above it are not exact in JSON."""


def number_fault(value: Any) -> str | None:
    """The first number that no result can have: infinite, too large to be exact, or a negative count.

    Args:
        value: Parsed JSON, or the plain values of a result; what is under `provenance` is free but for its
            size.

    Returns:
        The number's place and fault, such as "groups.3.n_real is -1, which is no count".
    """
    found = _number_fault(value, free="provenance")
    return found and f"{'.'.join(reversed(found[0]))} is {found[1]}"


def _number_fault(value: Any, free: str = "", negative: bool = False) -> tuple[list[str], str] | None:
    """The keys that lead to the first fault, the last first, and what is wrong.

    Args:
        value: As for `number_fault`.
        free: Key of this mapping under which numbers may be below 0.
        negative: Whether they may here.
    """
    if isinstance(value, (str, bool)):
        return None
    if isinstance(value, float):
        return ([], "infinite") if math.isinf(value) else None
    if isinstance(value, int):
        impossible = value > LARGEST or (value < 0 and not negative)
        return ([], f"{str(value)[:20]}, which is no count") if impossible else None
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, (list, tuple)):
        inner = enumerate(value)
    for key, each in inner:
        if found := _number_fault(each, negative=negative or key == free):
            found[0].append(str(key))
            return found
    return None


def contradiction(result: AuditResult) -> str | None:
    """The first thing in a result that contradicts another, in words."""
    return next(_contradictions(result), None)


def _contradictions(result: AuditResult) -> Iterator[str]:
    config = result.config
    for name, value, low, high in (
        ("confidence", config.confidence, 0.5, 1.0),
        ("tolerance", config.tolerance, 0.0, 1.0),
    ):
        if not low <= value <= high or value == 1:
            yield f"config.{name} is {value}, not between {low} and {high}"
    if config.min_n < 1 or not config.attributes:
        yield "config names no attribute, or a min_n below 1"
    for place, lists in _series(result):
        if len(set(lists)) != 1:
            yield f"{place} holds lists of {', '.join(map(str, lists))} values, which should be equally many"


def _series(result: AuditResult) -> Iterator[tuple[str, list[int]]]:
    """Lists that belong together, by their lengths."""
    for i, curve in enumerate(result.curves):
        yield f"curves.{i}", [len(curve.thresholds), len(curve.fpr), len(curve.fnr)]
    for i, bars in enumerate(result.histograms):
        yield f"histograms.{i}", [len(bars.edges) - 1, len(bars.real), len(bars.fake)]
    for i, row in enumerate(result.sweep):
        yield f"sweep.{i}", [len(result.sweep_thresholds), len(row.fp), len(row.fn)]
