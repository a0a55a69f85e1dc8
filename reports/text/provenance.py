"""Provenance as rows of key and value.

Enters: an `AuditResult` and `run.json`. Leaves: lists of rows under headings.

Why long lists are cut to a count: a checkpoint may name a hundred thousand training images; they stand in
`audit.json`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from audit.schema.result import AuditResult
from audit.wording.criterion_text import tolerated
from audit.wording.numbers import count, percent, threshold_text
from reports.text.answer import headline

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
    task = result.task
    p = result.provenance
    return [
        ("Settings of the audit", list(flatten(result.config.model_dump()))),
        (f"The {task.system}", list(flatten(p.detector))),
        (f"The {task.items}", list(flatten(p.data))),
        (f"The generator of the {task.positives}", list(flatten(p.generator))),
        ("Versions", list(flatten(p.versions))),
        ("This run", list(flatten(run))),
    ]


BLANK = ("Conclusion and conditions", "Reviewer, function", "Date", "Signature")

NOT_RECORDED = "not recorded"


def filled(result: AuditResult) -> list[tuple[str, str]]:
    """What the record knows, as (question, answer)."""
    task = result.task
    c, d, p = result.config, result.data, result.provenance
    rule = "" if c.threshold_rule == "fixed" else f" (rule: {task.rule(c.threshold_rule)})"
    return [
        (
            task.system.capitalize(),
            _joined(p.detector.get("name"), p.detector.get("version")) or NOT_RECORDED,
        ),
        ("Its file, SHA-256", _joined(p.detector.get("sha256")) or NOT_RECORDED),
        ("Data", _joined(p.data.get("path"), p.data.get("kind")) or NOT_RECORDED),
        ("Their file, SHA-256", _joined(p.data.get("sha256")) or NOT_RECORDED),
        (
            task.items.capitalize(),
            f"{count(d.n_real)} {task.negative_word}, {count(d.n_fake)} {task.positive_word}",
        ),
        ("Attributes", ", ".join(c.attributes)),
        ("Decision", f"{task.decides} {threshold_text(c.threshold)}{rule}"),
        (
            "Tolerance",
            f"{tolerated(result)}, at {percent(c.confidence, 0)}; groups of at least {c.min_n} {task.items}",
        ),
        ("Answer of the audit", headline(result)),
        ("Program", _joined("fake-face-fairness-audit", p.versions.get("fake-face-fairness-audit"))),
    ]


def _joined(*parts: object) -> str:
    return ", ".join(str(part) for part in parts if part)
