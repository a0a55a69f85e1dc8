"""Gaps as they are recorded: where each interval lies against the tolerance."""

from __future__ import annotations

from audit.config import AuditConfig
from audit.runs.score_audit import audit_scores


def test_one_group_against_the_rest_is_checked_against_the_tolerance(simulate):
    config = AuditConfig(attributes=("race",), n_boot=100, threshold=0.0, tolerance=0.05)
    gaps = audit_scores(simulate(4000, shift=1.0), config).gaps
    found = {}
    for gap in (g for g in gaps if g.measure == "fpr_difference_to_rest"):
        low, high = gap.interval
        inside, beyond = low >= -0.05 and high <= 0.05, low > 0.05 or high < -0.05
        found[gap.groups[0]] = gap.tolerance_check
        assert gap.tolerance_check == ("inside" if inside else "beyond" if beyond else "unclear")
    assert found["B"] == "beyond" and len(found) == 3
