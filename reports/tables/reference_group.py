"""Each group against the reference group, for rules such as "no group may exceed White by 2 points or more".

Enters: an `AuditResult` whose audit named a reference for an attribute. Leaves: a table, and one sentence a
rate that says who exceeds the reference, who does not, and for whom it is inconclusive.

Why one direction: such a rule asks who fares worse than the reference; a group that fares better keeps it.
"""

from __future__ import annotations

from audit.schema.result import AuditResult, Gap, RateName
from audit.wording.numbers import listing, points
from audit.wording.verdict_text import group_label, title
from reports.tables.table import Column, Row, Table

RATES: tuple[RateName, ...] = ("fpr", "fnr")
EXCEEDS, KEEPS, OPEN = "yes", "no", "inconclusive"


def exceeds(gap: Gap, tolerance: float) -> str:
    """Whether a group's rate is shown to lie above the reference's by more than the tolerance, or not to."""
    if gap.interval is None:
        return OPEN
    low, high = gap.interval
    return EXCEEDS if low > tolerance else KEEPS if high <= tolerance else OPEN


def _gaps(result: AuditResult, attribute: str, rate: RateName) -> list[Gap]:
    key = (attribute, f"{rate}_difference_to_reference")
    return [gap for gap in result.gaps if (gap.attribute, gap.measure) == key]


def reference_table(result: AuditResult, attribute: str) -> Table:
    """A row a group: both rates minus the reference's, simultaneous intervals, and whether it exceeds it."""
    reference = group_label(attribute, result.config.references.get(attribute, ""))
    limit = points(result.config.tolerance)
    columns, rows = [Column("group", title(attribute))], dict[str, Row]()
    for rate in RATES:
        name = result.task.rate(rate)
        columns += [
            Column(rate, f"{name} minus {reference}’s", "points", rate),
            Column(f"{rate} interval", "Interval", "points interval", "reference"),
            Column(f"{rate} exceeds", f"{name} higher by more than {limit}?"),
        ]
        for gap in _gaps(result, attribute, rate):
            row = rows.setdefault(gap.groups[0], {"group": group_label(attribute, gap.groups[0])})
            row |= {rate: gap.value, f"{rate} interval": gap.interval}
            row[f"{rate} exceeds"] = exceeds(gap, result.config.tolerance)
            row["note"] = row.get("note") or gap.reason
    caption = f"Each {attribute} group minus {reference}"
    if any(row["note"] for row in rows.values()):
        columns.append(Column("note", "Note"))
    return Table(f"reference-{attribute}", caption, columns, list(rows.values()))


def reference_claims(result: AuditResult, attribute: str) -> list[tuple[str, str]]:
    """(kind of error, who exceeds the reference and who does not) of each rate; nothing without one."""
    told = []
    tolerance = result.config.tolerance
    for rate in RATES:
        gaps = _gaps(result, attribute, rate)
        if not gaps:
            continue
        named: dict[str, list[str]] = {EXCEEDS: [], KEEPS: [], OPEN: []}
        for gap in gaps:
            named[exceeds(gap, tolerance)].append(group_label(attribute, gap.groups[0]))
        reference = group_label(attribute, gaps[0].groups[1])
        shown = listing(named[EXCEEDS]) if named[EXCEEDS] else "no group"
        claim = f"Proven to exceed {reference} by more than {points(tolerance)}: {shown}."
        claim += f" Proven not to: {listing(named[KEEPS])}." if named[KEEPS] else ""
        claim += f" Inconclusive: {listing(named[OPEN])}." if named[OPEN] else ""
        told.append((result.task.rate_name(rate), claim))
    return told
