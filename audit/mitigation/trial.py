"""A cure judged: the same images decided twice, before and after, on the part that chose nothing.

Enters: the judging part, decisions before and after, and the gaps the cure was meant for. Leaves: a `Trial`.

A cure is accepted if all of this holds:
    the max-min gap of a target provably shrinks: the paired interval of its change excludes zero, and so does
        its p-value after Holm's correction over the targets (`audit.inference.paired_tests.gap_difference`);
    accuracy holds: the upper limit of the paired interval of the change of (FPR + FNR) / 2 is at most the
        margin;
    no other gap provably grows;
    somebody gains: not every gap that shrinks does so by levelling down.
The last three can only take an acceptance away, so none of them needs a correction.

Why the mean of FPR and FNR and not the share of images decided wrongly: how many fakes there are among the
audited images is the auditor's choice, not the world's.

Why a max-min gap needs its own interval: where groups are equal the larger of their rates is still larger,
and the more so the larger the rates are. A threshold that makes every rate smaller makes that overstatement
smaller too, and a plain paired bootstrap would sell it as a cure.

Sources: Tango 1998 (one class); Zou & Donner 2008, Statistics in Medicine 27:1693-1702 (limits of a sum from
the limits of its terms, here correlated through the pairs).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from audit.config import AuditConfig
from audit.data.counts import Floats, count
from audit.data.groups import Grouping
from audit.data.score_table import ScoreTable
from audit.inference.equality_test import SMALLEST_BOOTSTRAPPED, enough_replicates, holm
from audit.inference.paired_tests import gap_difference, joint_outcomes, rate_difference
from audit.inference.proportion_intervals import z_value
from audit.judge.gap_records import questions_of
from audit.judge.verdicts import judge
from audit.mitigation.parts import RATES, compared, members, singles
from audit.schema.mitigation import (
    ErrorShift,
    GapShift,
    GroupRule,
    GroupShift,
    LevellingDown,
    Method,
    Outcome,
    Target,
    Trial,
)
from audit.schema.result import RateName, Verdict

Decisions = NDArray[np.bool_]


@dataclass(frozen=True)
class Cure:
    """What is tried.

    Attributes:
        method: How it was found.
        threshold: Single threshold; NaN for group-aware ones.
        flagged: bool [N], decisions on the judging part.
        attribute: What group-aware thresholds look at.
        rules: Group by group.
    """

    method: Method
    threshold: float
    flagged: Decisions
    attribute: str | None = None
    rules: Sequence[GroupRule] = ()


def try_cure(
    table: ScoreTable,
    before: Decisions,
    cure: Cure,
    targets: Sequence[Target],
    margin: float,
    config: AuditConfig,
) -> Trial:
    """Judge a cure.

    Args:
        table: The judging part, N images.
        before: bool [N], decided to be fake today.
        cure: With its decisions.
        targets: Gaps it is meant for, found on the fitting part.
        margin: By how much the mean of FPR and FNR may rise at most.
        config: Options of the audit.
    """
    config = replace(config, n_boot=max(config.n_boot, _enough(len(targets), config)))
    gaps = _corrected([
        _gap_shift(table, before, cure.flagged, grouping, rate, targets, config)
        for grouping in singles(table)
        for rate in RATES
    ], config)  # fmt: skip
    groups = [
        shift
        for grouping in singles(table)
        for rate in RATES
        for shift in group_shifts(table, before, cure.flagged, grouping, rate, config)
    ]
    error = error_shift(table, before, cure.flagged, margin, config)
    levelled = [found for gap in gaps if gap.shrinks and (found := _levelled(gap, targets, groups))]
    outcome, reasons = _outcome(gaps, error, levelled, margin)
    return Trial(
        method=cure.method,
        outcome=outcome,
        reasons=reasons,
        threshold=cure.threshold,
        attribute=cure.attribute,
        rules=list(cure.rules),
        error=error,
        gaps=gaps,
        groups=groups,
        levelling_down=levelled,
    )


def verdicts_of(table: ScoreTable, flagged: Decisions, config: AuditConfig) -> list[Verdict]:
    """The verdicts of `audit run` on single attributes, for decisions instead of a threshold."""
    decided = replace(table, score=flagged.astype(float))
    return judge(questions_of(count(decided, 0.5), singles(table), config), config)


def group_shifts(
    table: ScoreTable,
    before: Decisions,
    after: Decisions,
    grouping: Grouping,
    rate: RateName,
    config: AuditConfig,
) -> list[GroupShift]:
    """One rate of every group, before and after; the interval of the change is Tango's."""
    shifts = []
    for name, outcomes in zip(grouping.names, _outcomes(table, before, after, grouping, rate), strict=True):
        (_, only_after), (only_before, both) = outcomes.tolist()
        n = int(outcomes.sum())
        limits = rate_difference(only_after, only_before, n, z_value(config.confidence))
        shifts.append(
            GroupShift(
                attribute=grouping.attribute,
                group=name,
                rate=rate,
                n=n,
                before=(only_before + both) / n if n else math.nan,
                after=(only_after + both) / n if n else math.nan,
                change=(only_after - only_before) / n if n else math.nan,
                interval=limits if n >= config.min_n else None,
            )
        )
    return shifts


def error_shift(
    table: ScoreTable, before: Decisions, after: Decisions, margin: float, config: AuditConfig
) -> ErrorShift:
    """FPR, FNR and their mean over all images, before and after."""
    wrong = [flagged != table.fake for flagged in (before, after)]
    changes, distances, rates = [], [], []
    for fake in (False, True):
        first, second = (one[table.fake == fake] for one in wrong)
        n = len(first)
        rates += [float(first.mean()), float(second.mean())]
        changes.append(float(second.mean() - first.mean()))
        low, high = rate_difference(
            int((second & ~first).sum()), int((first & ~second).sum()), n, z_value(config.confidence)
        )
        distances.append((changes[-1] - low, high - changes[-1]))
    r = _pair_correlation(table, wrong[1].astype(float) - wrong[0].astype(float))
    below, above = (
        math.sqrt(max(a * a + b * b + 2 * r * a * b, 0.0)) / 2 for a, b in zip(*distances, strict=True)
    )
    change = sum(changes) / 2
    fpr_before, fpr_after, fnr_before, fnr_after = rates
    return ErrorShift(
        fpr_before=fpr_before,
        fpr_after=fpr_after,
        fnr_before=fnr_before,
        fnr_after=fnr_after,
        error_before=(fpr_before + fnr_before) / 2,
        error_after=(fpr_after + fnr_after) / 2,
        change=change,
        interval=(change - below, change + above),
        holds=change + above <= margin,
    )


def _pair_correlation(table: ScoreTable, change: Floats) -> float:
    """Correlation of the two classes' mean changes, through the pairs that both count."""
    spreads = []
    for fake in (False, True):
        of_class = change[table.fake == fake]
        spreads.append((of_class - of_class.mean(), float(((of_class - of_class.mean()) ** 2).sum())))
    if min(spread for _, spread in spreads) == 0 or len(table.real_row) == 0:
        return 0.0
    centred = np.zeros(len(table))
    for fake, (deviation, _) in zip((False, True), spreads, strict=True):
        centred[table.fake == fake] = deviation
    together = float((centred[table.real_row] * centred[table.fake_row]).sum())
    return float(np.clip(together / math.sqrt(spreads[0][1] * spreads[1][1]), -1, 1))


def _gap_shift(
    table: ScoreTable, before: Decisions, after: Decisions, grouping: Grouping, rate: RateName,
    targets: Sequence[Target], config: AuditConfig,
) -> GapShift:  # fmt: skip
    target = any((t.attribute, t.rate) == (grouping.attribute, rate) for t in targets)
    enough = compared(table, grouping, rate, config.min_n)
    shift = GapShift(
        attribute=grouping.attribute,
        rate=rate,
        target=target,
        before=math.nan,
        after=math.nan,
        change=math.nan,
        interval=None,
        p_value=math.nan,
        n_groups=int(enough.sum()),
    )
    if shift.n_groups < 2:
        return shift.model_copy(update={"reason": f"fewer than two groups of at least {config.min_n} images"})
    rng = np.random.default_rng([config.seed, crc32(f"{grouping.attribute} {rate} mitigation".encode())])
    outcomes = _outcomes(table, before, after, grouping, rate)[enough]
    found = gap_difference(outcomes, config.alpha, config.n_boot, rng, max(len(targets), 1))
    low, high = found.interval
    return shift.model_copy(
        update={
            "before": found.first,
            "after": found.second,
            "change": found.second - found.first,
            "interval": (-high, -low),
            "p_value": found.p_value,
            "grows": high < 0,
        }
    )


def _corrected(gaps: Sequence[GapShift], config: AuditConfig) -> list[GapShift]:
    """Holm over the targets; a gap shrinks if both its interval and its corrected p-value say so."""
    asked = [i for i, gap in enumerate(gaps) if gap.target]
    adjusted = dict(zip(asked, holm([gaps[i].p_value for i in asked]), strict=True))
    return [
        gap.model_copy(
            update={
                "adjusted_p_value": adjusted.get(i, math.nan),
                "shrinks": adjusted.get(i, 1.0) <= config.alpha
                and gap.interval is not None
                and gap.interval[1] < 0,
            }
        )
        for i, gap in enumerate(gaps)
    ]


def _levelled(gap: GapShift, targets: Sequence[Target], groups: Sequence[GroupShift]) -> LevellingDown | None:
    """Whether the better-off group got worse and the worse-off one is not shown to have gained."""
    [target] = [t for t in targets if (t.attribute, t.rate) == (gap.attribute, gap.rate)]
    found = {g.group: g for g in groups if (g.attribute, g.rate) == (gap.attribute, gap.rate)}
    worst, best = found.get(target.worst_group), found.get(target.best_group)
    if worst is None or best is None or worst.interval is None or best.interval is None:
        return None
    if worst.interval[1] < 0 or best.interval[0] <= 0:
        return None
    return LevellingDown(
        attribute=gap.attribute, rate=gap.rate, worst_group=target.worst_group, best_group=target.best_group
    )


def _outcome(
    gaps: Sequence[GapShift], error: ErrorShift, levelled: Sequence[LevellingDown], margin: float
) -> tuple[Outcome, list[str]]:
    shrunk = [gap for gap in gaps if gap.shrinks]
    reasons = []
    if not shrunk:
        reasons.append("no gap it was meant for is proven to shrink")
    if not error.holds:
        reasons.append(
            "accuracy is not shown to hold: the mean of FPR and FNR may rise by "
            f"{100 * error.interval[1]:.1f} points, more than the margin of {100 * margin:g}"
        )
    reasons += [
        f"the gap in {gap.rate.upper()} by {gap.attribute} is proven to grow" for gap in gaps if gap.grows
    ]
    if shrunk and len(levelled) == len(shrunk):
        return "levelling down", [
            "the better-off group got worse, and the worse-off one is not shown to gain",
            *reasons,
        ]
    return ("not accepted", reasons) if reasons else ("accepted", [])


def _outcomes(
    table: ScoreTable, before: Decisions, after: Decisions, grouping: Grouping, rate: RateName
) -> NDArray[np.int64]:
    """int64 [k, 2, 2], images of a class by (wrong before?, wrong after?)."""
    rows = table.fake == (rate == "fnr")
    first, second = ((flagged != table.fake)[rows] for flagged in (before, after))
    return joint_outcomes(first, second, members(table, grouping)[rows], len(grouping))


def _enough(n_tests: int, config: AuditConfig) -> int:
    return enough_replicates(max(n_tests, 1), config.alpha, SMALLEST_BOOTSTRAPPED)
