"""Whom a transformation harms more: errors of every group before and after, and a verdict on their changes.

Enters: a `ScoreTable` of the untouched images and the scores of the same images transformed. Leaves: the
points of the curves, the damage of each group, and a verdict for each transformation, attribute and rate.

What is judged: the change of a group's error rate, averaged over the five severities (the area under its
damage curve). One question a transformation, attribute and rate, all in one family, so that looking at many
transformations does not make a detector look worse to somebody.

The rules, delta being the tolerance:
    disparity: some pair of groups is proven to be harmed unequally (permutation test of that pair that
        deals whole units, corrected for all pairs by Bonferroni and for all questions by Holm), and by more
        than delta as seen.
    within tolerance: every interval of a difference, holding for all pairs and questions together, lies
    inside +-delta. insufficient evidence: neither.
A group of fewer images than the audit's smallest, or worth fewer than ten units of equal size, has its curve
and is never compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from audit.config import AuditConfig
from audit.data.counts import Floats, Ints
from audit.data.groups import Grouping, whole
from audit.data.score_table import ScoreTable
from audit.data.unit_totals import alike_units, enough_units, unit_totals
from audit.inference.clusters import worth
from audit.inference.damage_test import GroupChanges, pair_differences
from audit.inference.equality_test import holm
from audit.inference.proportion_intervals import exact, wilson, z_value
from audit.metrics.auc import auc_influence
from audit.metrics.error_curves import error_curve
from audit.schema.nullable import Interval
from audit.schema.result import RateName
from audit.schema.stress import Broken, Damage, StressPoint, StressVerdict

RATES: tuple[RateName, RateName] = ("fpr", "fnr")


@dataclass(frozen=True)
class Stressed:
    """One detector's scores of the same images, untouched and transformed.

    Attributes:
        name: The detector's.
        table: The untouched images.
        threshold: Its operating point.
        variants: (transformation, severity) to float64 [N], scores in the order of `table`.
        unit: int64 [N], what is independent: the person, video or source photo of each image.
    """

    name: str
    table: ScoreTable
    threshold: float
    variants: Mapping[tuple[str, int], Floats]
    unit: Ints

    @property
    def transformations(self) -> list[str]:
        """Their names, in order."""
        return list(dict.fromkeys(name for name, _ in self.variants))

    def wrong(self, score: Floats) -> NDArray[np.bool_]:
        """bool [N], whether the decision is an error."""
        return (score >= self.threshold) != self.table.fake

    def groupings(self) -> list[Grouping]:
        """Each attribute by itself."""
        return [self.table.cells.grouping([i]) for i in range(len(self.table.cells.attributes))]


def points(stressed: Stressed, config: AuditConfig) -> list[StressPoint]:
    """Rates of every group, and of all images, for every transformation and severity, 0 being untouched."""
    z, table = z_value(config.confidence), stressed.table
    found = []
    for transformation in stressed.transformations:
        severities = [s for name, s in stressed.variants if name == transformation]
        for severity in (0, *severities):
            score = table.score if severity == 0 else stressed.variants[transformation, severity]
            for grouping in (whole(len(table.cells)), *stressed.groupings()):
                group = grouping.of_cell[table.cell]
                tells = _worth(stressed, score, group, len(grouping))
                for number, name in enumerate(grouping.names):
                    numbers = _rates(stressed, score, group == number, z, [float(n[number]) for n in tells])
                    found.append(
                        StressPoint(
                            detector=stressed.name,
                            transformation=transformation,
                            severity=severity,
                            attribute=grouping.attribute,
                            group=name,
                            **numbers,
                        )
                    )
    return found


def broken(stressed: Stressed, config: AuditConfig) -> list[Broken]:
    """Which transformations raise an error rate of all images: shown, and by more than the tolerance as seen.

    The rate's interval lies above that of the untouched images. Both are exact (Clopper & Pearson) and hold
    for all transformations, severities and rates together (Bonferroni), so that the worst severity may be
    picked: where nothing changes a rate, something is named in at most 1 - confidence of stress tests.

    Args:
        stressed: One detector's scores.
        config: Confidence and tolerance.

    Returns:
        One record for each transformation and rate, at its worst severity; the largest rise first.
    """
    table = stressed.table
    every = {("", 0): table.score, **stressed.variants}
    everybody = np.zeros(len(table), dtype=np.int64)
    alpha = config.alpha / (len(RATES) * len(every))
    worst: dict[tuple[str, str], tuple[float, Broken]] = {}
    seen: dict[tuple[str, int], dict[RateName, tuple[float, Interval]]] = {}
    for key, score in every.items():
        wrong, tells = stressed.wrong(score), _worth(stressed, score, everybody, 1)
        seen[key] = {}
        for rate, of_class, n in zip(RATES, (~table.fake, table.fake), tells, strict=True):
            value = float(wrong[of_class].mean()) if of_class.any() else math.nan
            low, high = exact(value, float(n[0]), alpha)
            seen[key][rate] = value, (float(low), float(high))
    for name, severity in stressed.variants:
        for rate in RATES:
            (value, interval), (before, earlier) = seen[name, severity][rate], seen["", 0][rate]
            rise = value - before
            if interval[0] > earlier[1] and rise > max(config.tolerance, worst.get((name, rate), (0.0,))[0]):
                worst[name, rate] = rise, Broken(
                    detector=stressed.name, transformation=name, severity=severity, rate=rate, value=value,
                    interval=interval, untouched=before, untouched_interval=earlier,
                )  # fmt: skip
    return [one for _, one in sorted(worst.values(), key=lambda pair: -pair[0])]


def _worth(stressed: Stressed, score: Floats, group: NDArray[np.integer], k: int) -> list[Floats]:
    """float64 [k] for each rate, the independent images that a group's own are worth."""
    fake, unit = stressed.table.fake, stressed.unit
    if len(np.unique(unit * 2 + fake)) == len(unit):
        return [np.bincount(group[of_class], minlength=k).astype(np.float64) for of_class in (~fake, fake)]
    moments = unit_totals(unit, group, k, fake, stressed.wrong(score), None).moments()
    return [worth(moments, rate).n for rate in RATES]


def _rates(
    stressed: Stressed, score: Floats, chosen: NDArray[np.bool_], z: float, tells: Sequence[float]
) -> dict[str, Any]:
    fake, wrong = stressed.table.fake[chosen], stressed.wrong(score)[chosen]
    numbers: dict[str, Any] = {"n_real": int((~fake).sum()), "n_fake": int(fake.sum())}
    for rate, of_class, n in zip(RATES, (~fake, fake), tells, strict=True):
        value = float(wrong[of_class].mean()) if of_class.any() else math.nan
        numbers[rate], numbers[f"{rate}_interval"] = value, tuple(map(float, wilson(value, n, z)))
    return numbers | _ranking(score[chosen], fake)


def _ranking(score: Floats, fake: NDArray[np.bool_]) -> dict[str, float]:
    """What does not depend on the threshold: AUC, and the least mean of both errors over all thresholds."""
    if fake.all() or not fake.any():
        return {"auc": math.nan, "best_error": math.nan}
    order = np.argsort(score, kind="stable")
    curve = error_curve(score[order], fake[order]).listed()
    return {
        "auc": auc_influence(score[order], fake[order])[0],
        "best_error": float(np.min(curve.fpr + curve.fnr) / 2),
    }


def damage(stressed: Stressed, config: AuditConfig) -> tuple[list[Damage], list[StressVerdict]]:
    """The damage of every group, and whether the groups of each attribute are harmed alike.

    Args:
        stressed: The scores.
        config: Confidence, tolerance, smallest group, seed.
    """
    harmed, asked = [], []
    for transformation in stressed.transformations:
        changes = _changes(stressed, transformation)
        for grouping in stressed.groupings():
            for rate in RATES:
                counted, names = _counted(stressed, grouping, rate, changes, config.min_n)
                harmed += _damage(stressed, transformation, grouping, rate, counted, names, config)
                asked.append((transformation, grouping.attribute, rate, counted, names))
    n_questions = sum(len(names) > 1 for *_, names in asked)
    verdicts = [_verdict(stressed.name, *question, n_questions, config) for question in asked]
    adjusted = holm([verdict.p_value for verdict in verdicts])
    return harmed, [
        _settled(verdict.model_copy(update={"p_value": p}), config)
        for verdict, p in zip(verdicts, adjusted, strict=True)
    ]


def overall_damage(stressed: Stressed, config: AuditConfig) -> list[Damage]:
    """The damage of all images together, for every transformation and both rates: one number beside a curve.

    Args:
        stressed: The scores.
        config: Confidence of each interval, tolerance.
    """
    everything, found = whole(len(stressed.table.cells)), []
    for transformation in stressed.transformations:
        changes = _changes(stressed, transformation)
        for rate in RATES:
            counted, names = _counted(stressed, everything, rate, changes, 1)
            found += _damage(stressed, transformation, everything, rate, counted, names, config)
    return found


def _changes(stressed: Stressed, transformation: str) -> Floats:
    """float64 [N] in -1 to 1: errors after minus before, averaged over severities."""
    before = stressed.wrong(stressed.table.score).astype(np.float64)
    after = [
        stressed.wrong(score) for (name, _), score in stressed.variants.items() if name == transformation
    ]
    return np.mean(after, axis=0) - before


def _counted(
    stressed: Stressed, grouping: Grouping, rate: RateName, changes: Floats, min_n: int
) -> tuple[GroupChanges, list[str]]:
    """The changes of the groups that are large enough, in images and in units of equal size."""
    table = stressed.table
    rows = np.flatnonzero(table.fake == (rate == "fnr"))
    group, unit = grouping.of_cell[table.cell[rows]], stressed.unit[rows]
    images = np.bincount(group, minlength=len(grouping))
    enough = enough_units(alike_units(unit, group, len(grouping), None), min_n)
    large = np.flatnonzero((images >= min_n) & enough & grouping.known)
    place = np.full(len(grouping), -1, dtype=np.int32)
    place[large] = np.arange(len(large), dtype=np.int32)
    taken = place[group] >= 0
    counted = GroupChanges.of(changes[rows][taken], place[group][taken], len(large), unit[taken])
    return counted, [grouping.names[number] for number in large]


def _damage(
    stressed: Stressed, transformation: str, grouping: Grouping, rate: RateName, counted: GroupChanges,
    names: Sequence[str], config: AuditConfig,
) -> list[Damage]:  # fmt: skip
    z, means, errors = z_value(config.confidence), counted.means, counted.errors
    return [
        Damage(
            detector=stressed.name,
            transformation=transformation,
            attribute=grouping.attribute,
            group=name,
            rate=rate,
            n=int(counted.images[i]),
            damage=float(means[i]),
            interval=(float(means[i] - z * errors[i]), float(means[i] + z * errors[i])),
            first_severity_beyond=_first_beyond(stressed, transformation, grouping, name, rate, config),
        )
        for i, name in enumerate(names)
    ]


def _first_beyond(
    stressed: Stressed,
    transformation: str,
    grouping: Grouping,
    name: str,
    rate: RateName,
    config: AuditConfig,
) -> int | None:
    table = stressed.table
    chosen = (grouping.of_cell[table.cell] == grouping.names.index(name)) & (table.fake == (rate == "fnr"))
    before = stressed.wrong(table.score)[chosen].mean()
    for (kind, severity), score in stressed.variants.items():
        if kind == transformation and stressed.wrong(score)[chosen].mean() - before > config.tolerance:
            return severity
    return None


def _verdict(
    detector: str, transformation: str, attribute: str, rate: RateName, counted: GroupChanges,
    names: Sequence[str], n_questions: int, config: AuditConfig,
) -> StressVerdict:  # fmt: skip
    """One question before Holm's correction; the verdict follows in `_settled`."""
    open_question = StressVerdict(
        detector=detector, transformation=transformation, attribute=attribute, rate=rate,
        verdict="insufficient evidence", worse_group=None, better_group=None, difference=math.nan,
        interval=(math.nan, math.nan), p_value=math.nan,
    )  # fmt: skip
    if len(names) < 2:
        return open_question
    seed = (config.seed, crc32(f"{transformation} {attribute} {rate}".encode()))
    pairs = pair_differences(counted, 1 - config.confidence, n_questions, np.random.default_rng(seed))
    named = min(pairs, key=lambda pair: (pair.p_value, -pair.difference))
    inside = all(-config.tolerance <= pair.low and pair.high <= config.tolerance for pair in pairs)
    return open_question.model_copy(
        update={
            "verdict": "within tolerance" if inside else "insufficient evidence",
            "worse_group": names[named.first],
            "better_group": names[named.second],
            "difference": named.difference,
            "interval": (named.low, named.high),
            "p_value": named.p_value,
        }
    )


def _settled(verdict: StressVerdict, config: AuditConfig) -> StressVerdict:
    """The verdict, now that the p-value is corrected."""
    proven = verdict.p_value <= 1 - config.confidence and verdict.difference > config.tolerance
    return verdict.model_copy(update={"verdict": "disparity"}) if proven else verdict
