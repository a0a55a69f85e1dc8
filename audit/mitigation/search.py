"""The whole search: split, find what to cure, choose one cure on one part, judge it on the other.

Enters: a table of scores and the threshold in use. Leaves: a `MitigationResult`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from audit.config import AuditConfig
from audit.data.score_table import ScoreTable
from audit.errors import MitigationError
from audit.inference.equality_test import SMALLEST_PERMUTED, enough_replicates
from audit.mitigation.group_aware import group_thresholds
from audit.mitigation.group_errors import error_grid, thresholds_of
from audit.mitigation.parts import RATES, Parts, Plan, compared, not_compared, singles, split
from audit.mitigation.targets import Aim, targets_of
from audit.mitigation.thresholds import candidates
from audit.mitigation.trial import Cure, try_cure, verdicts_of
from audit.schema.mitigation import (
    Candidate,
    MitigationResult,
    Outcome,
    PartSize,
    Target,
    TradeOff,
    Trial,
)
from audit.schema.result import Provenance, Verdict
from audit.task import task_named

N_DRAWN = 150
"""Points of the trade-off curve, about."""


def find_cure(
    frame: pd.DataFrame,
    config: AuditConfig,
    threshold: float,
    rule: str = "fixed",
    plan: Plan | None = None,
    provenance: Provenance | None = None,
) -> MitigationResult:
    """Look for a cure, and judge it on images that did not choose it.

    Args:
        frame: One row an image, columns as in `config`.
        config: Valid options in the table's own spelling; its threshold is not used.
        threshold: The one in use, in units of the score.
        rule: How it was found, for the record.
        plan: Share to fit on, and margin.
        provenance: For the record.

    Raises:
        MitigationError: The table is too small to split, or the plan impossible.
        ScoreTableError: The table cannot be audited.
    """
    task = task_named(config.task)
    if not task.finds_cures:
        raise MitigationError(
            f"{task.name} has no search for a better threshold yet: it cannot deal trials of two speakers to "
            "two parts; try thresholds with audit run --threshold, on other trials"
        )
    plan = (plan or Plan()).check()
    parts = split(frame, config, plan.fit_share)
    n_tests = len(RATES) * len(parts.fit.cells.attributes)
    n_boot = max(config.n_boot, enough_replicates(n_tests, config.alpha, SMALLEST_PERMUTED))
    alone = replace(config, unit_column=None, weight_column=None, n_boot=n_boot)
    targets = targets_of(parts.fit, threshold, alone)
    tried: list[Candidate] = []
    verdicts: list[Verdict] = []
    cure = bound = None
    if targets:
        tried, cure = choose_and_judge(parts, targets, threshold, plan, alone)
        bound = judge_bound(parts, targets, threshold, plan, alone)
        verdicts = verdicts_of(parts.judge, parts.judge.score >= threshold, alone)
    attribute = targets[0].attribute if targets else None
    return MitigationResult(
        provenance=provenance or Provenance(),
        attributes=parts.judge.cells.attributes,
        confidence=config.confidence,
        tolerance=config.tolerance,
        margin=plan.margin,
        min_n=config.min_n,
        seed=config.seed,
        n_boot=alone.n_boot,
        fit_share=plan.fit_share,
        threshold=threshold,
        threshold_rule=rule,
        fit=_size(parts.fit),
        judge=_size(parts.judge),
        outcome=_outcome(targets, cure),
        not_compared=not_compared(parts, config.min_n),
        targets=targets,
        candidates=tried,
        verdicts=verdicts,
        cure=cure,
        bound=bound,
        front_attribute=attribute,
        trade_offs=trade_offs(parts.judge, attribute, config.min_n) if attribute else [],
        notes=_notes(parts, config),
    )


def choose_and_judge(
    parts: Parts,
    targets: Sequence[Target],
    threshold: float,
    plan: Plan,
    config: AuditConfig,
    verdicts: bool = True,
) -> tuple[list[Candidate], Trial | None]:
    """What was tried on the fitting part, and the chosen one judged on the other; None where none was chosen.

    Args:
        parts: Of one table.
        targets: Found on the fitting part, one at least.
        threshold: The one in use.
        plan: Its margin.
        config: Options without units and weights.
        verdicts: Give those of `audit run` as well.
    """
    judging = parts.judge
    tried = candidates(parts.fit, _aim(parts, targets, threshold, plan, config))
    chosen = next((one for one in tried if one.chosen), None)
    if chosen is None:
        return tried, None
    cure = Cure(chosen.method, chosen.threshold, judging.score >= chosen.threshold)
    return tried, _tried(parts, threshold, cure, targets, plan, config, verdicts)


def judge_bound(
    parts: Parts, targets: Sequence[Target], threshold: float, plan: Plan, config: AuditConfig
) -> Trial | None:
    """Group-aware thresholds judged in the same way; None where they cannot be fitted."""
    aware = group_thresholds(parts.fit, _aim(parts, targets, threshold, plan, config))
    if aware is None:
        return None
    flagged, rules = aware.flagged(parts.judge, config.seed), list(aware.rules.values())
    cure = Cure("group-aware thresholds", math.nan, flagged, aware.attribute, rules)
    return _tried(parts, threshold, cure, targets, plan, config)


def _aim(parts: Parts, targets: Sequence[Target], threshold: float, plan: Plan, config: AuditConfig) -> Aim:
    n_fake = int(parts.judge.fake.sum())
    return Aim(targets, threshold, plan.margin, config, (len(parts.judge) - n_fake, n_fake))


def _tried(
    parts: Parts,
    threshold: float,
    cure: Cure,
    targets: Sequence[Target],
    plan: Plan,
    config: AuditConfig,
    verdicts: bool = True,
) -> Trial:
    judging = parts.judge
    trial = try_cure(judging, judging.score >= threshold, cure, targets, plan.margin, config)
    if not verdicts:
        return trial
    return trial.model_copy(update={"verdicts": verdicts_of(judging, cure.flagged, config)})


def trade_offs(table: ScoreTable, attribute: str, min_n: int) -> list[TradeOff]:
    """Overall and worst-group error of single thresholds on a part; none where fewer than two groups can be
    compared.

    Error is the mean of FPR and FNR, over all images or those of a group.
    """
    grouping = singles(table)[table.cells.attributes.index(attribute)]
    chosen = np.logical_and.reduce([compared(table, grouping, rate, min_n) for rate in RATES])
    if chosen.sum() < 2:
        return []
    tried = thresholds_of(table, N_DRAWN)
    grid = error_grid(table, grouping, tried)
    error, worst = grid.total.error[0], grid.error[chosen].max(axis=0)
    better = (error[None, :] <= error[:, None]) & (worst[None, :] <= worst[:, None])
    better &= (error[None, :] < error[:, None]) | (worst[None, :] < worst[:, None])
    return [
        TradeOff(threshold=float(t), error=float(e), worst_group_error=float(w), front=not beaten)
        for t, e, w, beaten in zip(tried, error, worst, better.any(axis=1), strict=True)
    ]


def _outcome(targets: Sequence[Target], cure: Trial | None) -> Outcome:
    if not targets:
        return "nothing to cure"
    return "no candidate" if cure is None else cure.outcome


def _size(table: ScoreTable) -> PartSize:
    n_fake = int(table.fake.sum())
    return PartSize(
        n_images=len(table), n_real=len(table) - n_fake, n_fake=n_fake, n_pairs=len(table.real_row)
    )


def _notes(parts: Parts, config: AuditConfig) -> list[str]:
    notes = []
    if config.unit_column is not None:
        notes.append(
            f"One real and one fake image of each {config.unit_column} were used ({parts.n_left_out:,} "
            "others were left out): paired tests need independent images."
        )
    if config.weight_column is not None:
        notes.append(f"Every image counts once: the weights in {config.weight_column} are not used here.")
    return notes
