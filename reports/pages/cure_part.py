"""The report's section "What would help": the best cure in one sentence with its cost, or that none was
found.

Enters: a run folder and its record. Leaves: what the template shows, or None where nobody looked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audit.judge.usefulness import unanswered
from audit.runs.mitigate_run import sha256_of
from audit.schema.mitigation import MITIGATION_FILE, load_mitigation
from audit.schema.result import AuditResult
from audit.wording.verdict_text import DISPARITY
from reports.tables.mitigation_tables import groups_table
from reports.tables.table import Table
from reports.text import mitigation_text as words
from reports.text.legible import legible
from reports.text.next_steps import Step


@dataclass(frozen=True)
class CurePart:
    """What the section shows."""

    sentence: str
    step: str
    """What to do next about the threshold; empty where nothing was tried."""
    accuracy: str
    levelled: str
    groups: list[Table]
    accepted: bool = False
    """Whether the cure may be taken."""


def is_disparate(result: AuditResult) -> bool:
    """Whether a single attribute has a disparity that may be read as one."""
    if unanswered(result):
        return False
    return any(v.verdict == DISPARITY and ":" not in v.attribute for v in result.verdicts)


def cure_of(run_dir: Path, result: AuditResult) -> CurePart | None:
    """The section, where `mitigation.json` belongs to this very record, and there is anything to answer.

    Args:
        run_dir: The run folder.
        result: The record as it was written.

    Raises:
        ResultFormatError: `mitigation.json` is there and cannot be read.
    """
    if unanswered(result) or not (run_dir / MITIGATION_FILE).is_file():
        return None
    record = load_mitigation(run_dir)
    if record.audit_sha256 != sha256_of(result):
        return None
    record = legible(record)
    trial = record.cure
    if trial is None:
        return CurePart(words.sentence(record), words.step(record), "", "", [])
    shown = list(dict.fromkeys(target.attribute for target in record.targets))
    return CurePart(
        sentence=words.sentence(record),
        step=words.step(record),
        accepted=record.outcome == "accepted",
        accuracy=words.accuracy(record, trial),
        levelled=words.levelled(trial) if record.outcome != "levelling down" else "",
        groups=[groups_table(trial, attribute, "help") for attribute in shown],
    )


def steps_with_cure(steps: Sequence[Step], cure: CurePart | None) -> list[Step]:
    """What to do next, with what was tried on unseen images in place of what was only looked at on the same.

    First where it helps, last where it does not.
    """
    if cure is None or not cure.step:
        return list(steps)
    others = [step for step in steps if step.anchor != "thresholds"]
    tried = Step(cure.step, "help", "What was tried")
    return [tried, *others] if cure.accepted else [*others, tried]
