"""What some measures owe to the data set alone: its share of fakes.

Enters: an `AuditResult`. Leaves: one sentence to stand beside those measures. FPR and FNR are shares of one
class, so they hold for any mix; a share of all images, or of the flagged ones, holds for this mix only.
"""

from __future__ import annotations

from audit.result import AuditResult
from reports.numbers import percent


def mix_of_measures(result: AuditResult) -> str:
    """Beside precision, F1 and their like."""
    return (
        "Accuracy, precision, F1 and AP depend on the share of fakes among the images, "
        f"{_share(result)} here: where fakes are rarer, precision is lower. FPR, FNR, AUC and EER do not."
    )


def mix_of_disparities(result: AuditResult) -> str:
    """Beside demographic parity, disparate impact and accuracy equality."""
    return (
        "Demographic parity, disparate impact and accuracy equality (F_DP, F_OAE) count real and fake images "
        f"together, so they depend on each group's share of fakes in this data set, {_share(result)} over "
        "all; gaps in FPR and FNR do not."
    )


def _share(result: AuditResult) -> str:
    return percent(result.data.n_fake / result.data.n_images if result.data.n_images else float("nan"), 0)
