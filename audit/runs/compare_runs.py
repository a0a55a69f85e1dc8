"""Compare detectors that were audited on the same images.

Enters: two or more run folders, each with `audit.json` and `scores.parquet`. Leaves: a `Comparison`: paired
DeLong for AUC and exact McNemar for FPR and FNR, on all images and on every group of every single attribute,
the difference of the gaps of every attribute and intersection, and Holm's adjustment.

What is adjusted together (`audit.schema.comparison.FAMILIES`): the headline questions (AUC, FPR and FNR on
all images, gaps of single attributes) are one family over all pairs of detectors; the gaps of intersections
are a second, the tests on single groups a third, both exploratory. There are as many bootstrap replicates as
the larger of the first two families needs to be able to reject at all (`audit.inference.equality_test`).

Why McNemar takes reals and fakes apart: images of one class show different people, so they are independent;
the two halves of a pair are not. Where several images share a unit, or carry weights, all of them count, and
tests and intervals are those of `audit.inference.paired_units`.

Why only images that every run has scored: a detector must not win by having been spared the hard ones. How
many each run had beyond those is in the record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from audit.config import AuditConfig
from audit.data.counts import Floats, count
from audit.data.groups import Grouping, whole
from audit.data.sampling_units import trials_note, units_note, weights_note
from audit.data.score_table import ScoreTable
from audit.data.unit_totals import alike_units, enough_units, unit_squares
from audit.errors import ComparisonError
from audit.inference.clusters import believed
from audit.inference.equality_test import SMALLEST_BOOTSTRAPPED, enough_replicates, holm
from audit.inference.paired_tests import (
    auc_difference,
    gap_difference,
    rate_difference,
)
from audit.inference.paired_units import PairedOutcomes, paired_images, paired_outcomes
from audit.inference.proportion_intervals import z_value
from audit.metrics.auc import auc_influence
from audit.metrics.curves_by_group import score_measures
from audit.metrics.group_measures import measures_of
from audit.runs.align_runs import Run, aligned_runs, config_of
from audit.schema.comparison import (
    COMPARISON_FILE,
    FAMILIES,
    AucDifference,
    ComparedRun,
    Comparison,
    ErrorDifference,
    Family,
    FamilyName,
    GapChange,
)
from audit.schema.result import OVERALL, RateName
from audit.task import Task, task_named
from pipelines.storage import write_text

RATES: tuple[RateName, ...] = ("fpr", "fnr")


def compare_runs(folders: Sequence[str | Path]) -> Comparison:
    """Compare two or more runs; confidence, min_n, replicates and seed are those of the first.

    Args:
        folders: Run folders.

    Raises:
        ComparisonError: If they cannot be compared: fewer than two, no shared images, different labels,
            groups or attributes.
        ResultFormatError: If an `audit.json` cannot be read.
    """
    if len(folders) < 2:
        raise ComparisonError(f"a comparison needs at least two runs, got {len(folders)}")
    runs, left_out = aligned_runs([Path(folder) for folder in folders])
    config = config_of(runs[0].result)
    tests = paired_tests(runs, config)
    return Comparison(
        runs=[_summary(run, config) for run in runs],
        confidence=config.confidence,
        min_n=config.min_n,
        seed=config.seed,
        n_boot=tests.n_boot,
        attributes=runs[0].table.cells.attributes,
        n_images=len(runs[0].table),
        n_pairs=len(runs[0].table.real_row),
        n_left_out=left_out,
        notes=_notes(runs, left_out, config),
        auc=tests.auc,
        errors=tests.errors,
        gaps=tests.gaps,
        n_tests=sum(family.n_tests for family in tests.families),
        families=tests.families,
        task=config.task,
    )


@dataclass(frozen=True)
class PairedTests:
    """Every difference between two runs, for all pairs of runs, with p-values adjusted by family."""

    auc: list[AucDifference]
    errors: list[ErrorDifference]
    gaps: list[GapChange]
    families: list[Family]
    n_boot: int


def paired_tests(runs: Sequence[Run], config: AuditConfig) -> PairedTests:
    """Test every pair of runs on the same images, and adjust the p-values within each family."""
    groupings = runs[0].table.cells.groupings()
    pairs = list(combinations(runs, 2))
    sizes = planned_sizes(groupings, len(pairs))
    config = replace(config, n_boot=replicates(sizes, config))
    auc: list[AucDifference] = []
    errors: list[ErrorDifference] = []
    gaps: list[GapChange] = []
    for first, second in pairs:
        for grouping in _single_groupings(first.table):
            auc += _auc_differences(first, second, grouping, config)
            errors += [d for rate in RATES for d in _error_differences(first, second, grouping, rate, config)]
        for grouping in groupings:
            n = sizes[family_of_gap(grouping.attribute)]
            gaps += [_gap_change(first, second, grouping, rate, config, n) for rate in RATES]
    everything: list[Difference] = [*auc, *errors, *gaps]
    found = iter(adjusted(everything))
    return PairedTests(
        auc=[one.model_copy(update=next(found)) for one in auc],
        errors=[one.model_copy(update=next(found)) for one in errors],
        gaps=[one.model_copy(update=next(found)) for one in gaps],
        families=families(everything, task_named(config.task)),
        n_boot=config.n_boot,
    )


def _single_groupings(table: ScoreTable) -> list[Grouping]:
    """All images, then every single attribute."""
    singles = [grouping for grouping in table.cells.groupings() if ":" not in grouping.attribute]
    return [whole(len(table.cells)), *singles]


def _auc_differences(first: Run, second: Run, grouping: Grouping, config: AuditConfig) -> list[AucDifference]:
    (areas1, influence1), (areas2, influence2) = _areas(first, grouping), _areas(second, grouping)
    group, table, k = grouping.of_cell[first.table.cell], first.table, len(grouping)
    variance = _variance(table, group, influence1 - influence2, k)
    n_real, n_fake = (np.bincount(group[table.fake == fake], minlength=k) for fake in (False, True))
    few = _few_units(table, grouping, config)
    differences = []
    for g, name in enumerate(grouping.names):
        small = min(n_real[g], n_fake[g]) < config.min_n or not grouping.known[g] or bool(few[g])
        difference = areas1[g] - areas2[g]
        low, high, p = auc_difference(difference, float(variance[g]), z_value(config.confidence))
        differences.append(
            AucDifference(
                first=first.name,
                second=second.name,
                attribute=grouping.attribute,
                group=name,
                auc_first=areas1[g],
                auc_second=areas2[g],
                difference=difference,
                interval=None if small else (low, high),
                p_value=math.nan if small else p,
                reason=_too_small(config) if small else None,
                n_real=int(n_real[g]),
                n_fake=int(n_fake[g]),
            )
        )
    return differences


def _areas(run: Run, grouping: Grouping) -> tuple[list[float], Floats]:
    """AUC of every group, and the influence of every image on its group's."""
    table, areas = run.scores.table, []
    influence = np.zeros(len(table))
    for images in run.scores.by_group(grouping):
        rows = images.at(slice(None))
        fake = table.fake[rows]
        area = math.nan
        if fake.any() and not fake.all():
            weight = None if table.weight is None else table.weight[rows]
            if weight is None or (weight[fake].any() and weight[~fake].any()):
                area, influence[rows] = auc_influence(table.score[rows], fake, weight)
        areas.append(area)
    return areas, table.as_given(influence)


def _error_differences(
    first: Run, second: Run, grouping: Grouping, rate: RateName, config: AuditConfig
) -> list[ErrorDifference]:
    found = _outcomes(first, second, grouping, rate)
    enough = _enough(found, grouping, config)
    differences = []
    for g, name in enumerate(grouping.names):
        (neither, only_second), (only_first, both) = found.images[g].tolist()
        n, small = int(found.images[g].sum()), not enough[g]
        worth = float(found.worth[g])
        first_alone, second_alone = float(found.shares[g, 1, 0]), float(found.shares[g, 0, 1])
        limits = rate_difference(first_alone * worth, second_alone * worth, worth, z_value(config.confidence))
        differences.append(
            ErrorDifference(
                first=first.name,
                second=second.name,
                attribute=grouping.attribute,
                group=name,
                rate=rate,
                difference=first_alone - second_alone if worth > 0 else math.nan,
                interval=None if small else limits,
                p_value=math.nan if small else float(found.p_value[g]),
                reason=_too_small(config) if small else None,
                n=n,
                both_wrong=both,
                only_first_wrong=only_first,
                only_second_wrong=only_second,
                neither_wrong=neither,
            )
        )
    return differences


def _gap_change(
    first: Run, second: Run, grouping: Grouping, rate: RateName, config: AuditConfig, n_tests: int
) -> GapChange:
    task = task_named(config.task)
    outcomes = _outcomes(first, second, grouping, rate)
    enough = _enough(outcomes, grouping, config)
    key = f"{grouping.attribute} {rate}".encode()
    rng = np.random.default_rng([config.seed, crc32(key)])
    tested = enough.sum() > 1
    images = outcomes.of_rates(enough)
    found = gap_difference(images, config.alpha, config.n_boot, rng, n_tests) if tested else None
    return GapChange(
        first=first.name,
        second=second.name,
        attribute=grouping.attribute,
        rate=rate,
        gap_first=found.first if found else math.nan,
        gap_second=found.second if found else math.nan,
        difference=found.first - found.second if found else math.nan,
        interval=found.interval if found else None,
        p_value=found.p_value if found else math.nan,
        reason=None if found else f"fewer than two groups of at least {config.min_n} {task.items}",
        n_groups=int(enough.sum()),
    )


def _outcomes(first: Run, second: Run, grouping: Grouping, rate: RateName) -> PairedOutcomes:
    table = first.table
    rows = table.fake == (rate == "fnr")
    wrong, group = (first.wrong[rows], second.wrong[rows]), grouping.of_cell[table.cell][rows]
    if table.unit is None:
        return paired_images(*wrong, group, len(grouping))
    weight = None if table.weight is None else table.weight[rows]
    partner = table.partner[rows] if table.partner is not None and rate == "fpr" else None
    return paired_outcomes(*wrong, group, len(grouping), table.unit[rows], weight, partner)


def _enough(found: PairedOutcomes, grouping: Grouping, config: AuditConfig) -> NDArray[np.bool_]:
    """bool [k]: groups with a label, enough images and enough units of them."""
    images = found.images.sum(axis=(1, 2)) >= config.min_n
    return grouping.known & images & enough_units(found.n_units, config.min_n) & (found.worth > 0)


def _few_units(table: ScoreTable, grouping: Grouping, config: AuditConfig) -> NDArray[np.bool_]:
    """bool [k]: groups of fewer units of a class than are needed to know how units vary."""
    k = len(grouping)
    if table.unit is None:
        return np.zeros(k, dtype=bool)
    key = grouping.of_cell[table.cell].astype(np.int64) * 2 + table.fake
    units = _n_units(table, key, 2 * k).reshape(k, 2)
    return ~enough_units(units.min(axis=1), config.min_n)


def _n_units(table: ScoreTable, group: NDArray[np.integer], k: int) -> Floats:
    """float64 [k], units of equal weight that those of each group are worth; of trials, all there are."""
    assert table.unit is not None
    if table.partner is None:
        return alike_units(table.unit, group, k, table.weight)
    none = np.zeros(len(group))
    return unit_squares(none, table.unit, table.partner, group, k).n_units.astype(np.float64)


def _variance(table: ScoreTable, group: NDArray[np.integer], influence: Floats, k: int) -> Floats:
    """float64 [k], sum over the units of a group of (sum of influences)^2; over pairs where none is named."""
    if table.unit is not None:
        found = unit_squares(influence, table.unit, table.partner, group, k)
        n = _n_units(table, group, k) if table.partner is None else found.n_units // 2
        return found.square * n / np.maximum(n - 1, 1.0) / np.maximum(believed(n), 1e-3)
    own = np.bincount(group, weights=influence**2, minlength=k)
    product = influence[table.real_row] * influence[table.fake_row]
    return np.asarray(own + 2 * np.bincount(group[table.real_row], weights=product, minlength=k))


def _too_small(config: AuditConfig) -> str:
    task = task_named(config.task)
    return f"fewer than {config.min_n} {task.items} of a class concerned, too few units, or no label"


def _summary(run: Run, config: AuditConfig) -> ComparedRun:
    everything = whole(len(run.table.cells))
    measured = score_measures(run.scores, everything, z_value(config.confidence))
    [measures] = measures_of(count(run.table, run.result.config.threshold).total(), measured, config)
    return ComparedRun(
        name=run.name,
        path=run.path,
        threshold=run.result.config.threshold,
        threshold_rule=run.result.config.threshold_rule,
        auc=measures.auc,
        auc_interval=measures.auc_interval,
        fpr=measures.fpr,
        fpr_interval=measures.fpr_interval,
        fnr=measures.fnr,
        fnr_interval=measures.fnr_interval,
    )


def _notes(runs: Sequence[Run], left_out: dict[str, int], config: AuditConfig) -> list[str]:
    task = task_named(config.task)
    notes = [f"Every difference is the first {task.system} minus the second, each at its own threshold."]
    notes += [
        f"{n} {task.items} of {name} were not scored in every run and are left out."
        for name, n in left_out.items()
        if n
    ]
    return (
        notes
        + (trials_note(runs[0].table, config) or units_note(config, runs[0].table.unit))
        + weights_note(config)
    )


def write_comparison(comparison: Comparison, out_dir: str | Path) -> Path:
    """Write `comparison.json` into a folder, made if it is not there."""
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    text = comparison.to_json()
    write_text(folder / COMPARISON_FILE, text)
    return folder / COMPARISON_FILE


RATES_TESTED = 2
"""FPR and FNR."""

Difference = AucDifference | ErrorDifference | GapChange


def planned_sizes(groupings: Sequence[Grouping], n_pairs: int) -> dict[FamilyName, int]:
    """Tests in the families that hold gaps, if every group is large enough."""
    single = sum(":" not in grouping.attribute for grouping in groupings)
    return {
        "headline": n_pairs * (1 + RATES_TESTED + RATES_TESTED * single),
        "intersections": n_pairs * RATES_TESTED * (len(groupings) - single),
    }


def replicates(sizes: Mapping[FamilyName, int], config: AuditConfig) -> int:
    """Bootstrap replicates with which the largest of these families can reject."""
    return max(config.n_boot, enough_replicates(max(sizes.values()), config.alpha, SMALLEST_BOOTSTRAPPED))


def family_of_gap(attribute: str) -> FamilyName:
    """The family of the gap of an attribute or intersection."""
    return "intersections" if ":" in attribute else "headline"


def family_of(difference: Difference) -> FamilyName:
    """The family a difference is corrected in."""
    if isinstance(difference, GapChange):
        return family_of_gap(difference.attribute)
    return "headline" if difference.attribute == OVERALL else "groups"


def adjusted(differences: Sequence[Difference]) -> list[dict[str, object]]:
    """Family and adjusted p-value of each difference, in their order."""
    found: dict[int, float] = {}
    for name in FAMILIES:
        members = [i for i, one in enumerate(differences) if family_of(one) == name]
        found.update(zip(members, holm([differences[i].p_value for i in members]), strict=True))
    return [{"family": family_of(one), "adjusted_p_value": found[i]} for i, one in enumerate(differences)]


def families(differences: Sequence[Difference], task: Task) -> list[Family]:
    """The families in which a test was made, with their sizes."""
    tested = [family_of(one) for one in differences if not math.isnan(one.p_value)]
    return [
        Family(
            name=name,
            what=what.format(fpr=task.fpr, fnr=task.fnr, items=task.items),
            n_tests=tested.count(name),
        )
        for name, what in FAMILIES.items()
        if name in tested
    ]
