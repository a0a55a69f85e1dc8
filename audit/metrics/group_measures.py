"""The published measures of every group: counts and rates at the threshold beside what its curve shows.

Enters: counts and curves of the groups of one grouping. Leaves: `Measures` and `GroupResult` records.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from audit.config import AuditConfig
from audit.data.counts import Counts
from audit.data.groups import Grouping
from audit.inference.effective_sample_size import accuracy_worth, fnr_worth, fpr_worth
from audit.inference.proportion_intervals import Bounds, wilson, z_value
from audit.metrics.curves_by_group import ScoreMeasures
from audit.metrics.rates import group_rates
from audit.schema.nullable import Interval
from audit.schema.result import Confusion, GroupResult, Measures


def measures_of(counts: Counts, measured: Sequence[ScoreMeasures], config: AuditConfig) -> list[Measures]:
    """One record per group.

    Args:
        counts: Of k groups at the threshold.
        measured: Of the same k groups.
        config: For the confidence.
    """
    rates = group_rates(counts)
    z, worth = z_value(config.confidence), (fpr_worth(counts), fnr_worth(counts))
    fpr = wilson(rates["fpr"], worth[0], z)
    fnr = wilson(rates["fnr"], worth[1], z)
    accuracy = wilson(rates["accuracy"], accuracy_worth(counts), z)
    n_real, fp, n_fake, fn = counts.images.T
    by_units = counts.moments is not None
    return [
        Measures(
            n_real=int(n_real[g]),
            n_fake=int(n_fake[g]),
            confusion=Confusion(
                tp=int(n_fake[g] - fn[g]), fp=int(fp[g]), tn=int(n_real[g] - fp[g]), fn=int(fn[g])
            ),
            **{name: float(rates[name].iloc[g]) for name in rates.columns},
            acer=1 - float(rates["balanced_accuracy"].iloc[g]),
            fpr_interval=_pick(fpr, g),
            fpr_worth=float(worth[0][g]) if by_units else math.nan,
            fnr_interval=_pick(fnr, g),
            fnr_worth=float(worth[1][g]) if by_units else math.nan,
            accuracy_interval=_pick(accuracy, g),
            auc=one.auc,
            auc_interval=one.auc_interval,
            eer=one.eer,
            eer_interval=one.eer_interval,
            average_precision=one.curve.average_precision,
            min_dcf=one.curve.min_dcf,
            apcer_at_bpcer=one.curve.apcer_at_bpcer,
            bpcer_at_apcer=one.curve.bpcer_at_apcer,
        )
        for g, one in enumerate(measured)
    ]


def group_results(
    grouping: Grouping, counts: Counts, measured: Sequence[ScoreMeasures], config: AuditConfig
) -> list[GroupResult]:
    """The records of a grouping's groups, with their names."""
    enough_real, enough_fake = counts.enough(config.min_n)
    small = ~(enough_real & enough_fake)
    return [
        GroupResult(attribute=grouping.attribute, group=name, small=bool(is_small), **dict(measures))
        for name, is_small, measures in zip(
            grouping.names, small, measures_of(counts, measured, config), strict=True
        )
    ]


def _pick(bounds: Bounds, g: int) -> Interval:
    return float(bounds[0][g]), float(bounds[1][g])
