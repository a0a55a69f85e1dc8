"""Provenance as rows of key and value.

Enters: an `AuditResult` and `run.json`. Leaves: lists of rows under headings.

Why long lists are cut to a count: a checkpoint may name a hundred thousand training images; they stand in
`audit.json`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from audit.result import AuditResult
from reports.numbers import count

Rows = list[tuple[str, str]]
LONGEST_LIST = 12


def flatten(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings and lists as 'a.b' and text.

    >>> list(flatten({"source": {"kind": "rendered"}, "sizes": [1, 2]}))
    [('source.kind', 'rendered'), ('sizes', '1, 2')]
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from flatten(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        if len(value) > LONGEST_LIST:
            yield key, f"{count(len(value))} entries (in audit.json)"
        elif all(not isinstance(v, dict | list) for v in value):
            yield key, ", ".join(str(v) for v in value)
        else:
            for index, inner in enumerate(value):
                yield from flatten(inner, f"{key}[{index}]")
    elif value is not None and value != "":
        yield key, str(value)


def provenance_rows(result: AuditResult, run: dict[str, Any]) -> list[tuple[str, Rows]]:
    """Settings, detector, data, generator, versions and the run itself, each as rows."""
    p = result.provenance
    return [
        ("Settings of the audit", list(flatten(result.config.model_dump()))),
        ("The detector", list(flatten(p.detector))),
        ("The images", list(flatten(p.data))),
        ("The generator of the fakes", list(flatten(p.generator))),
        ("Versions", list(flatten(p.versions))),
        ("This run", list(flatten(run))),
    ]
