"""The last page: what was audited, on what, by which rule, and room for the one who answers for it.

Enters: an `AuditResult`. Leaves: rows for the sign-off, filled and empty.

Why the empty lines are there: an audit is read by a person who decides. Who that was, when, and on which
file, must be readable from the paper alone.
"""

from __future__ import annotations

from audit.result import AuditResult
from reports.answer import headline
from reports.numbers import count, percent, points

BLANK = ("Conclusion and conditions", "Reviewer, function", "Date", "Signature")

NOT_RECORDED = "not recorded"


def filled(result: AuditResult) -> list[tuple[str, str]]:
    """What the record knows, as (question, answer)."""
    c, d, p = result.config, result.data, result.provenance
    rule = "" if c.threshold_rule == "fixed" else f" (rule: {c.threshold_rule})"
    return [
        ("Detector", _joined(p.detector.get("name"), p.detector.get("version")) or NOT_RECORDED),
        ("Its file, SHA-256", _joined(p.detector.get("sha256")) or NOT_RECORDED),
        ("Data", _joined(p.data.get("path"), p.data.get("kind")) or NOT_RECORDED),
        ("Their file, SHA-256", _joined(p.data.get("sha256")) or NOT_RECORDED),
        ("Images", f"{count(d.n_real)} real, {count(d.n_fake)} fake"),
        ("Attributes", ", ".join(c.attributes)),
        ("Decision", f"fake if the score is at least {c.threshold:.4g}{rule}"),
        (
            "Tolerance",
            f"{points(c.tolerance)}, at {percent(c.confidence, 0)}; groups of at least {c.min_n} images",
        ),
        ("Answer of the audit", headline(result)),
        ("Program", _joined("fake-face-fairness-audit", p.versions.get("fake-face-fairness-audit"))),
    ]


def _joined(*parts: object) -> str:
    return ", ".join(str(part) for part in parts if part)
