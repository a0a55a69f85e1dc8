"""Verdicts at other thresholds: how far the answer hangs on the one that was audited.

Enters: the audited images and the curve of all of them. Leaves: for each threshold of RULES that differs from
the audited one, both overall error rates and the verdicts on single attributes.

Why exploratory: these thresholds are fixed on the very images they are judged on, which makes their error
rates look a little better than they are. All their comparisons are corrected together, as one family of their
own, so that the audit's own verdicts do not depend on who looks here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from audit.config import AuditConfig, parse_rule
from audit.data.counts import count
from audit.data.groups import Grouping
from audit.data.score_table import ScoreTable
from audit.inference.equality_test import replicates_for
from audit.judge.gap_records import questions_of
from audit.judge.verdicts import judge
from audit.metrics.error_curves import ROUNDING, ErrorCurve
from audit.metrics.operating_point import pick_threshold
from audit.schema.result import OtherThreshold

RULES = ("eer", "fpr=0.1", "fpr=0.05", "fpr=0.01")


def other_thresholds(
    table: ScoreTable,
    curve: ErrorCurve,
    threshold: float,
    groupings: Sequence[Grouping],
    config: AuditConfig,
) -> list[OtherThreshold]:
    """Judge the single attributes at the thresholds of RULES.

    Args:
        table: The audited images.
        curve: Of all of them.
        threshold: The audited one; a rule that arrives at the same decisions is left out.
        groupings: Of the table's cells; intersections are ignored.
        config: Options of the audit.
    """
    if not curve.two_sided:
        return []
    single = [grouping for grouping in groupings if ":" not in grouping.attribute]
    places = [(rule, at, count(table, at)) for rule, at in _places(curve, threshold)]
    n_tests = 2 * len(single) * len(places)
    config = replace(config, n_boot=replicates_for(config.n_boot, n_tests, config.alpha))
    asked = [questions_of(cells, single, config) for _, _, cells in places]
    verdicts = iter(judge([question for questions in asked for question in questions], config))
    return [
        OtherThreshold(
            rule=rule,
            threshold=at,
            fpr=float(cells.fp.sum() / cells.n_real.sum()),
            fnr=float(cells.fn.sum() / cells.n_fake.sum()),
            verdicts=[next(verdicts) for _ in questions],
        )
        for (rule, at, cells), questions in zip(places, asked, strict=True)
    ]


def _places(curve: ErrorCurve, threshold: float) -> list[tuple[str, float]]:
    """Rules and their thresholds, each decision once, from the highest FPR to the lowest.

    Where nothing or everything is flagged all groups are treated alike, which says nothing of any detector.
    """
    seen = {tuple(float(n) for n in curve.at(threshold))}
    found = []
    for rule in RULES:
        at = pick_threshold(curve, parse_rule(rule))
        fp, fn = (float(n) for n in curve.at(at))
        flagged, missed = fp / curve.n_real, fn / curve.n_fake
        alike = max(flagged, 1 - missed) < ROUNDING or max(1 - flagged, missed) < ROUNDING
        if np.isfinite(at) and (fp, fn) not in seen and not alike:
            seen.add((fp, fn))
            found.append((-fp, rule, at))
    return [(rule, at) for _, rule, at in sorted(found)]
