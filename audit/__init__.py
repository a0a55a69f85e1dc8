"""The audit. Enters: a score table, or a detector and images. Leaves: `Audit`, a run folder, a report.

    import audit
    found = audit.audit_scores("scores.csv", "race")
    found.verdicts            # also .groups, .gaps, .curves as frames, .summary as text
    found.report("report.html")

Why the names below load on first use: `import audit` must cost nothing, and no statistics need torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audit.api.audits import audit_images, audit_scores
    from audit.api.comparison import DetectorComparison, compare
    from audit.api.mitigation import Mitigation, mitigate
    from audit.api.outcome import Audit
    from audit.api.outcome import load_audit as load_result
    from audit.api.trials import audit_trials
    from audit.config import AuditConfig
    from audit.errors import ExpectedError
    from audit.schema.result import AuditResult

_HOME = {
    "Audit": "api.outcome:Audit",
    "AuditConfig": "config:AuditConfig",
    "AuditResult": "schema.result:AuditResult",
    "DetectorComparison": "api.comparison:DetectorComparison",
    "ExpectedError": "errors:ExpectedError",
    "audit_images": "api.audits:audit_images",
    "audit_scores": "api.audits:audit_scores",
    "audit_trials": "api.trials:audit_trials",
    "compare": "api.comparison:compare",
    "load_result": "api.outcome:load_audit",
    "Mitigation": "api.mitigation:Mitigation",
    "mitigate": "api.mitigation:mitigate",
}

__all__ = [
    "Audit",
    "AuditConfig",
    "AuditResult",
    "DetectorComparison",
    "ExpectedError",
    "Mitigation",
    "audit_images",
    "audit_scores",
    "audit_trials",
    "compare",
    "load_result",
    "mitigate",
]


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it, on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, own = _HOME[name].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), own)


def __dir__() -> list[str]:
    """The public names, for completion."""
    return __all__
