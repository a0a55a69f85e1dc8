"""Whom a transformation harms more: convicted where planted, silent where equal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audit.judge.damage import broken, damage, points
from benchmarks.stress_verdicts import CONFIG, EQUAL_PERSONS, UNEQUAL_PERSONS, of_persons, said, simulated


def test_points_are_counted_by_hand():
    stressed = simulated(0, {"all": 0.2}, {"A": 60, "B": 60})
    found = {(p.transformation, p.severity, p.group): p for p in points(stressed, CONFIG)}
    table, worst = stressed.table, stressed.variants["blur", 5]
    of_a = np.array([table.cells.levels[0][c] == "A" for c in table.cells.codes[table.cell, 0]])
    chosen = of_a & ~table.fake
    assert found["blur", 5, "A"].n_real == 60
    assert found["blur", 5, "A"].fpr == pytest.approx((worst[chosen] >= 0.5).mean())
    assert found["blur", 0, "A"] == found["noise", 0, "A"].model_copy(update={"transformation": "blur"})
    assert found["blur", 5, "overall"].n_fake == 120


def test_damage_is_the_mean_change_over_severities():
    stressed = simulated(1, {"all": 0.3}, {"A": 200, "B": 200})
    harmed, _ = damage(stressed, CONFIG)
    one = next(d for d in harmed if (d.transformation, d.group, d.rate) == ("blur", "A", "fpr"))
    curve = {
        p.severity: p.fpr for p in points(stressed, CONFIG) if (p.transformation, p.group) == ("blur", "A")
    }
    assert one.damage == pytest.approx(np.mean([curve[s] for s in range(1, 6)]) - curve[0])
    assert one.interval[0] < one.damage < one.interval[1]
    beyond = [s for s in range(1, 6) if curve[s] - curve[0] > CONFIG.tolerance]
    assert one.first_severity_beyond == beyond[0]


def test_the_group_that_blur_harms_is_convicted_and_nobody_else():
    convicted = 0
    for seed in range(20):
        _, verdicts = damage(simulated(seed, {"all": 0.05, "C": 0.3}, {"A": 400, "B": 400, "C": 400}), CONFIG)
        unequal = [v for v in verdicts if v.verdict == "disparity"]
        assert all(v.transformation == "blur" and v.worse_group == "C" for v in unequal)
        convicted += {v.rate for v in unequal} == {"fpr", "fnr"}
        assert all(v.interval[0] > 0 for v in unequal)
    assert convicted >= 19


@pytest.mark.parametrize(
    ("sizes", "share", "start"),
    [
        ({"A": 300, "B": 300, "C": 300}, 0.2, 0.05),
        ({"A": 3000, "B": 60, "C": 60, "D": 60, "E": 60}, 0.05, 0.01),
        ({"A": 3000, "B": 200}, 0.02, 0.3),
    ],
    ids=["equal sizes", "one big, rare", "two, rare"],
)
def test_groups_harmed_alike_are_convicted_in_at_most_5_percent(sizes, share, start):
    """80 audits: 5 % is 4; more than 8 has a chance of 2 % if the true share is exactly 5 %."""
    n_false = 0
    for seed in range(80):
        _, verdicts = damage(simulated(seed, {"all": share}, sizes, start), CONFIG)
        n_false += any(v.p_value <= 0.05 for v in verdicts)
    assert n_false <= 8


@pytest.mark.parametrize("case", EQUAL_PERSONS.values(), ids=EQUAL_PERSONS)
def test_persons_with_many_photos_harmed_alike_are_not_convicted(case):
    """Counted photo by photo, 71 to 86 % of such stress tests convict; of 12, three have a chance of 2 %."""
    assert sum(said(of_persons(seed, *case))[0] for seed in range(12)) <= 2


@pytest.mark.parametrize("case", list(UNEQUAL_PERSONS.values())[:2], ids=list(UNEQUAL_PERSONS)[:2])
def test_the_group_whose_persons_blur_harms_is_convicted(case):
    found = np.array([said(of_persons(seed, *case)) for seed in range(6)])
    assert found[:, 2].sum() >= 5 and found[:, 1].sum() <= 1


def test_a_group_of_few_persons_has_its_curve_and_is_not_compared():
    """Twelve persons of whom few have most photos are worth fewer than ten."""
    persons = {"A": (40, 5, 5), "B": (12, 2, 50), "C": (9, 20, 20)}
    stressed = of_persons(0, {"all": 0.2}, persons, 0.5)
    harmed, verdicts = damage(stressed, CONFIG)
    assert all(v.worse_group is None for v in verdicts) and {d.group for d in harmed} == {"A"}
    assert {"A", "B", "C"} <= {p.group for p in points(stressed, CONFIG)}


def test_a_point_of_persons_has_an_interval_of_persons():
    stressed = of_persons(0, {"all": 0.3}, {"A": (30, 20, 20), "B": (30, 20, 20)}, 0.67)
    apart = replace(stressed, unit=np.arange(len(stressed.table)))
    by_person, by_photo = (
        next(p for p in points(one, CONFIG) if (p.transformation, p.severity, p.group) == ("blur", 5, "A"))
        for one in (stressed, apart)
    )
    wide, narrow = (np.diff(p.fpr_interval)[0] for p in (by_person, by_photo))
    assert by_person.fpr == by_photo.fpr and wide > 2 * narrow


def test_within_tolerance_is_not_said_of_groups_too_small_to_tell():
    _, verdicts = damage(simulated(3, {"all": 0.0}, {"A": 40, "B": 40}, 0.0), CONFIG)
    assert {v.verdict for v in verdicts} == {"insufficient evidence"}
    _, verdicts = damage(simulated(3, {"all": 0.0}, {"A": 4000, "B": 4000}, 0.0), CONFIG)
    assert {v.verdict for v in verdicts} == {"within tolerance"}


def test_a_group_alone_or_too_small_is_not_compared():
    _, verdicts = damage(simulated(4, {"all": 0.2}, {"A": 200, "B": 10}), CONFIG)
    assert all(np.isnan(v.p_value) and v.worse_group is None for v in verdicts)


def tried(seed, rates, n=100):
    """A detector whose errors are drawn anew, independently, at each of 85 versions of n + n images."""
    stressed, rng = simulated(seed, {"all": 0.0}, {"A": n}), np.random.default_rng(seed)
    fake = stressed.table.fake
    kinds = [(f"kind {i}", s) for i in range(17) for s in range(1, 6)]
    drawn = {one: np.where((rng.random(len(fake)) < rates.get(one, 0.05)) ^ fake, 0.9, 0.1) for one in kinds}
    untouched = np.where((rng.random(len(fake)) < 0.05) ^ fake, 0.9, 0.1)
    return replace(stressed, table=replace(stressed.table, score=untouched), variants=drawn)


def test_what_changes_no_rate_breaks_nothing():
    """100 stress tests of 170 rates each; by 95 % intervals one at a time something was named in 12."""
    assert sum(bool(broken(tried(seed, {}), CONFIG)) for seed in range(100)) <= 5


def test_what_breaks_a_detector_is_named_once_at_its_worst_severity():
    found = broken(tried(1, {("kind 3", 4): 0.9, ("kind 3", 2): 0.5, ("kind 8", 5): 0.6}), CONFIG)
    assert {(one.transformation, one.severity, one.rate) for one in found} == {
        (kind, severity, rate) for kind, severity in (("kind 3", 4), ("kind 8", 5)) for rate in ("fpr", "fnr")
    }
    assert [one.value - one.untouched for one in found] == sorted(
        (one.value - one.untouched for one in found), reverse=True
    )
    assert all(one.interval[0] > one.untouched_interval[1] for one in found)
