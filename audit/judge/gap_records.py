"""The gaps of one attribute as records: values, intervals, what equal groups would show, tolerance check.

Enters: the counts of an attribute's groups. Leaves: `Gap` records, and the questions that
`audit.judge.verdicts` answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from audit.config import AuditConfig
from audit.data.counts import Counts, Numbers, equal_replicates
from audit.data.groups import Grouping
from audit.inference.effective_sample_size import as_independent, fnr_worth, fpr_worth
from audit.inference.proportion_intervals import z_value
from audit.judge.no_skill import NoSkillRates, no_skill_rates
from audit.judge.verdicts import Question
from audit.metrics.disparity import MEASURES, GroupRates, Kind, Measure, Needs, group_rates_of
from audit.metrics.disparity_intervals import LIMITS, NO_INTERVAL, Evidence
from audit.metrics.one_vs_rest import REST_MEASURES, group_and_rest
from audit.schema.nullable import Interval
from audit.schema.result import Gap, RateName, ToleranceCheck
from audit.task import task_named

RATE_NAMES: tuple[RateName, ...] = ("fpr", "fnr")


def judged_rates(config: AuditConfig) -> tuple[RateName, ...]:
    """The rates that verdicts are about: both; for the four-fifths rule reals that pass, and so the FPR."""
    return ("fpr",) if config.criterion == "four-fifths" else RATE_NAMES


N_EQUAL = 500
"""Replicates for the mean of a measure among equal groups; its Monte Carlo error is a few per cent of it."""


def eligible(counts: Counts, grouping: Grouping, needs: Needs, min_n: int) -> NDArray[np.bool_]:
    """bool [k]: groups with a known label and at least `min_n` images of each class that counts."""
    enough_real, enough_fake = counts.enough(min_n)
    return (
        grouping.known & {"real": enough_real, "fake": enough_fake, "both": enough_real & enough_fake}[needs]
    )


def n_comparisons(cells: Counts, groupings: Sequence[Grouping], config: AuditConfig) -> int:
    """How many tests of equality an audit will make: groupings and classes with two groups large enough."""
    n = 0
    for grouping in groupings:
        counts = cells.merge(grouping.of_cell, len(grouping))
        classes: list[Needs] = ["real" if rate == "fpr" else "fake" for rate in judged_rates(config)]
        n += sum(int(eligible(counts, grouping, needs, config.min_n).sum()) > 1 for needs in classes)
    return n


@dataclass(frozen=True)
class EligibleGroups:
    """The groups of an attribute that may be compared, for measures of one class or of both."""

    chosen: NDArray[np.bool_]
    evidence: Evidence | None


EligibleByClass = dict[Needs, EligibleGroups]


def eligible_by_class(grouping: Grouping, counts: Counts, config: AuditConfig) -> EligibleByClass:
    """Evidence for measures of real images, of fakes, and of both; shared where the groups are the same."""
    shared: dict[bytes, Evidence | None] = {}
    by_class: EligibleByClass = {}
    for needs in ("real", "fake", "both"):
        chosen = eligible(counts, grouping, needs, config.min_n)
        key = chosen.tobytes()
        if key not in shared:
            seed = (config.seed, crc32(grouping.attribute.encode()))
            enough = int(chosen.sum()) > 1
            shared[key] = Evidence(counts.take(chosen), config.n_boot, seed) if enough else None
        by_class[needs] = EligibleGroups(chosen, shared[key])
    return by_class


def question_of(grouping: Grouping, counts: Counts, by_class: EligibleByClass, rate: RateName) -> Question:
    """What `audit.judge.verdicts` is to judge about one rate of one attribute."""
    real = rate == "fpr"
    of_class = by_class["real" if real else "fake"]
    names = [name for name, taken in zip(grouping.names, of_class.chosen, strict=True) if taken]
    chosen, evidence = of_class.chosen, of_class.evidence
    errors: Numbers
    images: Numbers
    errors, images = (counts.fp, counts.n_real) if real else (counts.fn, counts.n_fake)
    seen = counts.images[:, [1, 0]] if real else counts.images[:, [3, 2]]
    rates = np.divide(errors, images, out=np.zeros(len(counts)), where=images > 0)
    if counts.moments is not None:
        taking = counts.take(chosen) if evidence is None else evidence.counts
        worth = fpr_worth(taking) if real else fnr_worth(taking)
        errors, images = rates[chosen] * worth, worth
    else:
        errors, images = errors[chosen], images[chosen]
    return Question(
        attribute=grouping.attribute,
        rate=rate,
        names=names,
        errors=errors,
        images=images,
        seen=seen[chosen],
        n_small=int((grouping.known & ~of_class.chosen).sum()),
        evidence=of_class.evidence,
    )


def questions_of(cells: Counts, groupings: Sequence[Grouping], config: AuditConfig) -> list[Question]:
    """Both rates of every grouping, as questions for `audit.judge.verdicts.judge`."""
    questions = []
    for grouping in groupings:
        counts = cells.merge(grouping.of_cell, len(grouping))
        by_class = eligible_by_class(grouping, counts, config)
        questions += [question_of(grouping, counts, by_class, rate) for rate in judged_rates(config)]
    return questions


def gap_results(
    grouping: Grouping, counts: Counts, by_class: EligibleByClass, config: AuditConfig, share: float
) -> list[Gap]:
    """Every measure over all groups, then every measure of each group against the rest.

    Args:
        grouping: k groups.
        counts: Of them.
        by_class: Those that may be compared.
        config: Options of the audit.
        share: Of all images that are flagged, for the random detector they are compared with.
    """
    equal: dict[int, GroupRates] = {}
    no_skill: dict[int, NoSkillRates] = {}
    for of_class in by_class.values():
        if of_class.evidence is not None and id(of_class.evidence) not in equal:
            rng = np.random.default_rng([*of_class.evidence.seed, 3])
            drawn = equal_replicates(as_independent(of_class.evidence.ordered), N_EQUAL, rng)
            equal[id(of_class.evidence)] = group_rates_of(drawn)
            rng = np.random.default_rng([*of_class.evidence.seed, 4])
            no_skill[id(of_class.evidence)] = no_skill_rates(of_class.evidence.ordered, share, rng)
    over_all = [
        _gap(
            key,
            measure,
            grouping,
            by_class[measure.needs],
            equal.get(id(by_class[measure.needs].evidence)),
            no_skill.get(id(by_class[measure.needs].evidence)),
            config,
        )
        for key, measure in MEASURES.items()
        if key not in task_named(config.task).without_measures
    ]
    return over_all + _against_rest(grouping, counts, config)


def _gap(
    key: str,
    measure: Measure,
    grouping: Grouping,
    of_class: EligibleGroups,
    equal: GroupRates | None,
    no_skill: NoSkillRates | None,
    config: AuditConfig,
) -> Gap:
    task = task_named(config.task)
    evidence = of_class.evidence
    if evidence is None or equal is None or no_skill is None:
        reason = f"fewer than two groups have at least {config.min_n} {task.items} of the class concerned"
        return Gap(attribute=grouping.attribute, measure=key, value=math.nan, interval=None, reason=reason)
    rates = group_rates_of(evidence.counts)
    value = float(measure.compute(rates))
    limits = LIMITS[key](evidence, config.alpha) if key in LIMITS and not math.isnan(value) else None
    undefined = "undefined: a rate it divides by is zero" if math.isnan(value) else None
    names = [name for name, taken in zip(grouping.names, of_class.chosen, strict=True) if taken]
    return Gap(
        attribute=grouping.attribute,
        measure=key,
        value=value,
        interval=limits,
        reason=undefined or (None if limits else NO_INTERVAL),
        groups=[names[g] for g in extremes(measure, rates)],
        expected_if_equal=_mean(measure.compute(equal)),
        tolerance_check=tolerance_check(measure.kind, limits, config),
        no_skill=no_skill.of(measure),
    )


def extremes(measure: Measure, rates: GroupRates) -> list[int]:
    """(group of the largest, group of the smallest rate) that set the value; empty where all groups do."""
    if not measure.rates:
        return []
    values = [1 - rates.fnr if name == "tpr" else getattr(rates, name) for name in measure.rates]
    spreads = [_apart(rate, measure.kind) for rate in values]
    rate = values[int(np.argmax(spreads))]
    return [int(rate.argmax()), int(rate.argmin())] if rate.max() > rate.min() else []


def tolerance_check(kind: Kind, limits: Interval | None, config: AuditConfig) -> ToleranceCheck | None:
    """Where an interval lies against the tolerance: "inside", "beyond", or "unclear" across its edge."""
    if limits is None or kind == "index" or any(math.isnan(limit) for limit in limits):
        return None
    low, high = config.ratio_tolerance if kind == "ratio" else (-config.tolerance, config.tolerance)
    if low <= limits[0] and limits[1] <= high:
        return "inside"
    return "beyond" if limits[0] > high or limits[1] < low else "unclear"


def _against_rest(grouping: Grouping, counts: Counts, config: AuditConfig) -> list[Gap]:
    """Groups with a known label, each against all other such groups."""
    task = task_named(config.task)
    if grouping.known.sum() < 2:
        return []
    by_class = group_and_rest(counts.take(grouping.known))
    names = [name for name, known in zip(grouping.names, grouping.known, strict=True) if known]
    gaps = []
    for key, measure in REST_MEASURES.items():
        if key in task.without_measures:
            continue
        values, (low, high) = measure.compute(by_class, z_value(config.confidence))
        for name, *numbers in zip(names, values, low, high, strict=True):
            value, *limits = map(float, numbers)
            undefined = math.isnan(value)
            interval = None if undefined else (limits[0], limits[1])
            gaps.append(
                Gap(
                    attribute=grouping.attribute,
                    measure=key,
                    value=value,
                    interval=interval,
                    reason=f"undefined: no {task.items}, or a rate it divides by is zero"
                    if undefined
                    else None,
                    groups=[name],
                    tolerance_check=tolerance_check(measure.kind, interval, config),
                )
            )
    return gaps


def _apart(rate: np.ndarray, kind: Kind) -> float:
    """How unequal a rate is in the sense of the measure, to name the most unequal of several."""
    if kind == "ratio":
        return 1 - float(rate.min() / rate.max()) if rate.max() > 0 else 0.0
    return float(rate.max() - rate.min())


def _mean(values: np.ndarray) -> float:
    """Mean over the replicates in which the measure is defined, if that is most of them."""
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if 2 * len(defined) > len(values) else math.nan
