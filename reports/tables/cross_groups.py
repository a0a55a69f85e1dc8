"""Impostor trials by the groups of both speakers, as tables.

Enters: an `AuditResult` of trials. Leaves: for each attribute known of both speakers a `Table`, and the names
for the template.
"""

from __future__ import annotations

from audit.schema.result import AuditResult
from audit.wording.verdict_text import group_label, title
from reports.tables.table import Column, Table


def cross_group_table(result: AuditResult, attribute: str) -> Table:
    """A row for each group of the enrolled speaker and of the probe; pairs within a group first."""
    task = result.task
    columns = [
        Column("enrolled", f"{title(attribute)}, enrolled"),
        Column("probe", "Probe"),
        Column("n", task.negatives.capitalize(), "count"),
        Column("errors", task.flagged.capitalize(), "count"),
        Column("rate", task.fpr, "percent", "fpr"),
        Column("interval", "Interval", "percent interval", "interval"),
        Column("n_speakers", "Speakers", "count"),
    ]
    found = [one for one in result.cross_groups if one.attribute == attribute]
    found.sort(key=lambda one: one.group != one.other_group)
    rows = [
        dict(one)
        | {
            "enrolled": group_label(attribute, one.group),
            "probe": group_label(attribute, one.other_group),
        }
        for one in found
    ]
    caption = f"{task.fpr_name} by {attribute} of both speakers"
    return Table(f"across-{attribute}", caption, columns, rows)


def context(result: AuditResult) -> dict[str, object]:
    """Names for the template."""
    attributes = dict.fromkeys(one.attribute for one in result.cross_groups)
    return {"across": [cross_group_table(result, attribute) for attribute in attributes]}
