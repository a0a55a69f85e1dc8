"""The gaps of one attribute as records: values, intervals, what equal groups would show, tolerance check.

Enters: the counts of an attribute's groups. Leaves: `Gap` records, and the questions that `audit.verdicts`
answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from audit.bounds import LIMITS, NO_INTERVAL, Evidence
from audit.config import AuditConfig
from audit.counts import Counts, equal_replicates
from audit.gaps import MEASURES, GroupRates, Kind, Measure, Needs, group_rates_of
from audit.groups import Grouping
from audit.intervals import z_value
from audit.rest import REST_MEASURES, sides_of
from audit.result import Gap, RateName, ToleranceCheck
from audit.undefined import Interval
from audit.verdicts import Question

N_EQUAL = 500
"""Replicates for the mean of a measure among equal groups; its Monte Carlo error is a few per cent of it."""


def eligible(counts: Counts, grouping: Grouping, needs: Needs, min_n: int) -> NDArray[np.bool_]:
    """bool [k]: groups with a known label and at least `min_n` images of each class that counts."""
    enough_real, enough_fake = counts.n_real >= min_n, counts.n_fake >= min_n
    return (
        grouping.known & {"real": enough_real, "fake": enough_fake, "both": enough_real & enough_fake}[needs]
    )


def n_comparisons(cells: Counts, groupings: Sequence[Grouping], config: AuditConfig) -> int:
    """How many tests of equality an audit will make: groupings and classes with two groups large enough."""
    n = 0
    for grouping in groupings:
        counts = cells.merge(grouping.of_cell, len(grouping))
        sides: tuple[Needs, ...] = ("real", "fake")
        n += sum(int(eligible(counts, grouping, needs, config.min_n).sum()) > 1 for needs in sides)
    return n


@dataclass(frozen=True)
class Side:
    """The groups of an attribute that may be compared, for measures of one class or of both."""

    chosen: NDArray[np.bool_]
    evidence: Evidence | None


Sides = dict[Needs, Side]


def sides_by_class(grouping: Grouping, counts: Counts, config: AuditConfig) -> Sides:
    """Evidence for measures of real images, of fakes, and of both; shared where the groups are the same."""
    shared: dict[bytes, Evidence | None] = {}
    sides: Sides = {}
    for needs in ("real", "fake", "both"):
        chosen = eligible(counts, grouping, needs, config.min_n)
        key = chosen.tobytes()
        if key not in shared:
            seed = (config.seed, crc32(grouping.attribute.encode()))
            enough = int(chosen.sum()) > 1
            shared[key] = Evidence(counts.take(chosen), config.n_boot, seed) if enough else None
        sides[needs] = Side(chosen, shared[key])
    return sides


def question_of(grouping: Grouping, counts: Counts, sides: Sides, rate: RateName) -> Question:
    """What `audit.verdicts` is to judge about one rate of one attribute."""
    real = rate == "fpr"
    side = sides["real" if real else "fake"]
    names = [name for name, taken in zip(grouping.names, side.chosen, strict=True) if taken]
    errors, images = (counts.fp, counts.n_real) if real else (counts.fn, counts.n_fake)
    return Question(
        attribute=grouping.attribute,
        rate=rate,
        names=names,
        errors=errors[side.chosen],
        images=images[side.chosen],
        n_small=int((grouping.known & ~side.chosen).sum()),
        evidence=side.evidence,
    )


def gap_results(grouping: Grouping, counts: Counts, sides: Sides, config: AuditConfig) -> list[Gap]:
    """Every measure over all groups, then every measure of each group against the rest."""
    equal: dict[int, GroupRates] = {}
    for side in sides.values():
        if side.evidence is not None and id(side.evidence) not in equal:
            rng = np.random.default_rng([*side.evidence.seed, 3])
            drawn = equal_replicates(side.evidence.ordered, N_EQUAL, rng)
            equal[id(side.evidence)] = group_rates_of(drawn)
    over_all = [
        _gap(
            key, measure, grouping, sides[measure.needs], equal.get(id(sides[measure.needs].evidence)), config
        )
        for key, measure in MEASURES.items()
    ]
    return over_all + _against_rest(grouping, counts, config)


def _gap(
    key: str, measure: Measure, grouping: Grouping, side: Side, equal: GroupRates | None, config: AuditConfig
) -> Gap:
    evidence = side.evidence
    if evidence is None or equal is None:
        reason = f"fewer than two groups have at least {config.min_n} images of the class concerned"
        return Gap(attribute=grouping.attribute, measure=key, value=math.nan, interval=None, reason=reason)
    rates = group_rates_of(evidence.counts)
    value = float(measure.compute(rates))
    limits = LIMITS[key](evidence, config.alpha) if key in LIMITS and not math.isnan(value) else None
    undefined = "undefined: a rate it divides by is zero" if math.isnan(value) else None
    names = [name for name, taken in zip(grouping.names, side.chosen, strict=True) if taken]
    return Gap(
        attribute=grouping.attribute,
        measure=key,
        value=value,
        interval=limits,
        reason=undefined or (None if limits else NO_INTERVAL),
        groups=[names[g] for g in extremes(measure, rates)],
        expected_if_equal=_mean(measure.compute(equal)),
        tolerance_check=tolerance_check(measure.kind, limits, config),
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
    if grouping.known.sum() < 2:
        return []
    sides = sides_of(counts.take(grouping.known))
    names = [name for name, known in zip(grouping.names, grouping.known, strict=True) if known]
    gaps = []
    for key, measure in REST_MEASURES.items():
        values, (low, high) = measure.compute(sides, z_value(config.confidence))
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
                    reason="undefined: no images, or a rate it divides by is zero" if undefined else None,
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
