"""The published measures of every group: counts and rates at the threshold beside what its curve shows.

Enters: counts and curves of the groups of one grouping; of trials the groups of both speakers. Leaves:
`Measures`, `GroupResult` and `CrossGroupRate` records.

Why trials across groups are measured apart: a verifier's false matches lie mostly within a group, so that the
rate of a group is that of trials within it (`audit.data.trials`). What happens across groups is another
question, with another answer, and is shown beside it instead of being mixed in or dropped. No verdict rests
on it.

Source: Grother, Ngan & Hanaoka 2019, NISTIR 8280, FRVT part 3, cross-demographic false match rates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
import pandas as pd

from audit.config import AuditConfig
from audit.data.counts import Counts, of_units
from audit.data.groups import Grouping, cells_of
from audit.data.score_table import ScoreTable
from audit.data.unit_totals import unit_totals
from audit.inference.effective_sample_size import accuracy_worth, fnr_worth, fpr_worth
from audit.inference.proportion_intervals import Bounds, wilson, z_value
from audit.metrics.curves_by_group import ScoreMeasures
from audit.metrics.error_curves import DCF_PRIORS
from audit.metrics.rates import group_rates
from audit.schema.nullable import Interval
from audit.schema.result import Confusion, CrossGroupRate, GroupResult, Measures, RateName
from audit.task import task_named


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
    priors = DCF_PRIORS if task_named(config.task).of_trials else {}
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
            min_dcf_at={key: one.curve.min_dcf_at[key] for key in priors},
            apcer_at_bpcer=one.curve.apcer_at_bpcer,
            bpcer_at_apcer=one.curve.bpcer_at_apcer,
        )
        for g, one in enumerate(measured)
    ]


def group_results(
    grouping: Grouping, counts: Counts, measured: Sequence[ScoreMeasures], config: AuditConfig
) -> list[GroupResult]:
    """The records of a grouping's groups, with their names."""
    enough = np.stack(counts.enough(config.min_n), axis=-1)
    few_units = ~enough & (counts.images[:, [0, 2]] >= config.min_n)
    return [
        GroupResult(
            attribute=grouping.attribute,
            group=name,
            small=not enough[g].all(),
            few_units=[rate for rate, few in zip(get_args(RateName), few_units[g], strict=True) if few],
            **dict(measures),
        )
        for g, (name, measures) in enumerate(
            zip(grouping.names, measures_of(counts, measured, config), strict=True)
        )
    ]


def _pick(bounds: Bounds, g: int) -> Interval:
    return float(bounds[0][g]), float(bounds[1][g])


def cross_group_rates(
    frame: pd.DataFrame,
    table: ScoreTable,
    threshold: float,
    sides: Mapping[str, tuple[str, str]],
    config: AuditConfig,
) -> list[CrossGroupRate]:
    """Impostor trials by the groups of both speakers, of every attribute that is known of both.

    A row for each group of the enrolled speaker and each of the probe, those within a group included.
    The intervals are Wilson's at as many independent trials as those of the two groups are worth, by the
    speakers of both (`audit.inference.clusters`); each for itself.

    Args:
        frame: N trials, with the columns of `sides`.
        table: The same N trials.
        threshold: Same speaker if score >= this.
        sides: Attribute to its columns of the enrolled speaker and of the probe.
        config: For the confidence, and the edges of numbers.
    """
    impostor = ~table.fake
    if table.unit is None or table.partner is None or not impostor.any():
        return []
    found: list[CrossGroupRate] = []
    for attribute, columns in sides.items():
        both = frame.loc[impostor, list(columns)]
        bins = {name: config.bins[attribute] for name in columns} if attribute in config.bins else {}
        cells, cell = cells_of(both, list(columns), bins)
        weight = None if table.weight is None else table.weight[impostor]
        accepted = table.score[impostor] >= threshold
        unit, partner = table.unit[impostor], table.partner[impostor]
        none = np.zeros(len(cell), dtype=bool)
        counts = of_units(unit_totals(unit, cell, len(cells), none, accepted, weight, partner))
        rate = counts.fp / counts.n_real
        low, high = wilson(rate, fpr_worth(counts), z_value(config.confidence))
        n, errors, _, _ = counts.images.T
        found += [
            CrossGroupRate(
                attribute=attribute,
                group=cells.levels[0][first],
                other_group=cells.levels[1][second],
                n=int(n[g]),
                errors=int(errors[g]),
                rate=float(rate[g]),
                interval=(float(low[g]), float(high[g])),
                n_speakers=len(np.union1d(unit[cell == g], partner[cell == g])),
            )
            for g, (first, second) in enumerate(cells.codes.tolist())
        ]
    return found
