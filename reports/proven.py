"""What a verdict proves, and of whom.

Enters: a `Verdict`. Leaves: the pair it names, the gap and the interval that go with it, and whether the size
of the gap is proven too.
"""

from __future__ import annotations

from audit.result import AuditResult, Verdict, WorseGroup


def named_pair(v: Verdict) -> WorseGroup | None:
    """The pair that the verdict names, if the record proves it unequal."""
    return next((g for g in v.worse_groups if (g.group, g.than) == (v.worst_group, v.best_group)), None)


def proven_gap(v: Verdict) -> tuple[float, tuple[float, float] | None]:
    """The named pair's gap and its interval; the largest of all where no pair is known."""
    pair = named_pair(v)
    return (pair.difference, pair.difference_interval) if pair else (v.gap, v.gap_interval)


def shown_gap(v: Verdict) -> tuple[float, tuple[float, float] | None]:
    """The gap and its interval: of the pair that a disparity names, else the largest of all."""
    return proven_gap(v) if v.verdict == "disparity" else (v.gap, v.gap_interval)


def beyond_proven(result: AuditResult, v: Verdict) -> bool:
    """Whether a disparity's gap itself, and not only its estimate, is proven to exceed the tolerance."""
    _, interval = proven_gap(v)
    return v.verdict == "disparity" and interval is not None and interval[0] > result.config.tolerance


def far_in_proportion(result: AuditResult, v: Verdict) -> WorseGroup | None:
    """Of the groups within tolerance, the one proven furthest beyond the ratio tolerance."""
    if v.verdict != "within tolerance":
        return None
    limit = result.config.ratio_tolerance[1]
    far = [g for g in v.worse_groups if g.ratio_interval[0] > limit]
    return max(far, key=lambda g: g.ratio_interval[0], default=None)
