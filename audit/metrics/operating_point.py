"""Operating points: a threshold given as a number, or by a rule fixed on images that are not audited.

Enters: a `ThresholdRule` and a score table. Leaves: the threshold, and which images remain to be audited.

Why a split: a threshold chosen on the audited images makes their error rates look better than they are, most
of all where the rule is about those rates. The calibration images are left out of everything that follows.

Why the split is by a hash of the pair's name: both halves of a pair fall on the same side, the same pairs are
chosen whatever the order of the rows, and adding pairs moves few of the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audit.config import ThresholdRule
from audit.data.score_table import ScoreTable
from audit.errors import ScoreTableError
from audit.metrics.error_curves import ErrorCurve, eer_threshold, error_curve


def operating_point(
    table: ScoreTable, rule: ThresholdRule, share: float, seed: int
) -> tuple[float, ScoreTable]:
    """The threshold, and the part of the table it may be audited on.

    Args:
        table: All images.
        rule: From `parse_rule`.
        share: Share of the units used to fix the threshold, in 0-1.
        seed: Chooses which.

    Raises:
        ScoreTableError: If the calibration images are all of one class, or nothing remains to audit.
    """
    if rule.kind == "fixed":
        return rule.value, table
    chosen = calibration_rows(table, share, seed)
    held_out = table.take(chosen)
    if len(held_out) == len(table) or held_out.fake.all() or not held_out.fake.any():
        raise ScoreTableError(
            f"threshold rule '{rule}' needs real and fake images both to fix it and to audit it; "
            f"{len(table)} images are too few, give a number instead"
        )
    order = np.argsort(held_out.score, kind="stable")
    curve = error_curve(held_out.score[order], held_out.fake[order])
    return pick_threshold(curve, rule), table.take(~chosen)


def calibration_rows(table: ScoreTable, share: float, seed: int) -> NDArray[np.bool_]:
    """bool [N], True for the images that fix the threshold: a share of the pairs, chosen by hash."""
    mixed = table.key ^ np.uint64((seed * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53 < share


def pick_threshold(curve: ErrorCurve, rule: ThresholdRule) -> float:
    """The threshold a rule picks on a curve with images of both classes.

    fpr=x: the lowest with FPR <= x; fnr=x: the highest with FNR <= x; youden: the largest TPR - FPR, the
    lower FPR deciding a tie (Youden 1950); eer: see `audit.metrics.error_curves.eer_threshold`.
    """
    if rule.kind == "eer":
        return eer_threshold(curve)
    if rule.kind == "fpr":
        return float(curve.thresholds[np.argmax(curve.fpr <= rule.value)])
    if rule.kind == "fnr":
        return float(curve.thresholds[np.flatnonzero(curve.fnr <= rule.value)[-1]])
    loss = np.round(curve.fpr + curve.fnr, 12)
    return float(curve.thresholds[len(loss) - 1 - int(np.argmin(loss[::-1]))])
