"""Gaps as they are recorded: where each interval lies against the tolerance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.data.counts import count
from audit.data.score_table import score_table
from audit.judge.gap_records import (
    eligible_by_class,
    gap_results,
    n_comparisons,
    questions_of,
    tolerance_check,
)
from audit.metrics.disparity import MEASURES
from audit.runs.score_audit import audit_scores


def test_one_group_against_the_rest_is_checked_against_the_tolerance(simulate):
    config = AuditConfig(attributes=("race",), n_boot=100, threshold=0.0, tolerance=0.05)
    gaps = audit_scores(simulate(4000, shift=1.0), config).gaps
    found = {}
    for gap in (g for g in gaps if g.measure == "fpr_difference_to_rest"):
        low, high = gap.interval
        inside, beyond = low >= -0.05 and high <= 0.05, low > 0.05 or high < -0.05
        found[gap.groups[0]] = gap.tolerance_check
        assert gap.tolerance_check == ("inside" if inside else "beyond" if beyond else "unclear")
    assert found["B"] == "beyond" and len(found) == 3


def four_groups():
    """Flagged reals, reals, missed fakes, fakes: D has no fakes and E no reals, G no label."""
    rows = {"A": (4, 100, 30, 100), "B": (20, 100, 10, 100), "C": (10, 100, 20, 100), "D": (60, 100, 0, 0),
            "E": (0, 0, 70, 100), "F": (15, 29, 15, 29), None: (100, 100, 100, 100)}  # fmt: skip
    parts = [
        pd.DataFrame(
            {
                "label": [0] * n + [1] * m,
                "score": [0.9] * fp + [0.1] * (n - fp) + [0.1] * fn + [0.9] * (m - fn),
            }
        ).assign(race=name)
        for name, (fp, n, fn, m) in rows.items()
    ]
    return pd.concat(parts, ignore_index=True)


def gaps_of(frame, **options):
    config = AuditConfig(attributes=("race",), n_boot=200, **options)
    table = score_table(frame, config)
    grouping = table.cells.grouping([0])
    counts = count(table, 0.5).merge(grouping.of_cell, len(grouping))
    return gap_results(grouping, counts, eligible_by_class(grouping, counts, config), config, 0.5)


EXTREMES = {
    "fpr_difference": (0.56, ["D", "A"]),
    "fpr_ratio": (0.04 / 0.6, ["D", "A"]),
    "fnr_difference": (0.6, ["E", "B"]),
    "fnr_ratio": (0.1 / 0.7, ["E", "B"]),
    "demographic_parity_difference": (0.55 - 0.37, ["B", "A"]),
    "demographic_parity_ratio": (0.37 / 0.55, ["B", "A"]),
    "equalized_odds_difference": (0.2, ["B", "A"]),
    "equalized_odds_ratio": (0.2, ["B", "A"]),
    "f_oae": (0.02, ["B", "A"]),
    "f_dp": (0.18, ["B", "A"]),
    "f_meo": (0.2, ["B", "A"]),
}


def test_each_measure_takes_the_groups_that_have_enough_of_its_classes():
    """D is large enough for FPR alone and E for FNR alone, F lacks one image of each."""
    found = {gap.measure: gap for gap in gaps_of(four_groups()) if gap.measure in MEASURES}
    assert set(found) == set(MEASURES)
    for key, (value, groups) in EXTREMES.items():
        assert (found[key].value, found[key].groups) == (pytest.approx(value), groups), key
    for key in set(MEASURES) - set(EXTREMES):
        assert found[key].groups == [] and found[key].tolerance_check is None, key
    assert found["fpr_max_over_geometric_mean"].value == pytest.approx(0.6 / (0.04 * 0.2 * 0.1 * 0.6) ** 0.25)
    assert found["garbe"].value == pytest.approx((gini([4, 20, 10]) + gini([30, 10, 20])) / 2)
    reason = "no interval with known coverage exists; compare with the value expected if all were equal"
    assert found["f_eo"].interval is None and found["f_eo"].reason == reason
    assert all(gap.reason is None and gap.interval for key, gap in found.items() if key != "f_eo")


def gini(x):
    pairs = [abs(a - b) for a in x for b in x]
    return len(x) / (len(x) - 1) * sum(pairs) / (2 * len(x) * sum(x))


def test_detectors_that_look_at_nothing_and_equal_groups_stand_beside_a_measure():
    frame = four_groups()
    found = {gap.measure: gap for gap in gaps_of(frame)}
    gap = found["fpr_difference"]
    assert (gap.no_skill.always_real, gap.no_skill.always_fake) == (0, 0)
    assert np.isnan(found["fpr_ratio"].no_skill.always_real) and found["fpr_ratio"].no_skill.always_fake == 1
    rng = np.random.default_rng(0)

    def range_of(rate):  # of four groups of 100 reals
        return np.ptp(rng.binomial(100, rate, (4000, 4)), axis=1).mean() / 100

    assert gap.no_skill.random == pytest.approx(range_of(0.5), rel=0.1)
    assert gap.expected_if_equal == pytest.approx(range_of(94 / 400), rel=0.1)
    rest = [gap for gap in found.values() if gap.measure not in MEASURES]
    assert rest and all(gap.no_skill is None and np.isnan(gap.expected_if_equal) for gap in rest)


def test_a_rate_of_nobody_is_undefined_and_said_so():
    frame = four_groups()
    frame = frame[frame["race"].isin(["A", "B"])].assign(score=lambda f: f["label"] * 0.8)
    found = {(gap.measure, *gap.groups): gap for gap in gaps_of(frame)}
    gap = found["fpr_ratio",]
    assert np.isnan(gap.value) and gap.reason == "undefined: a rate it divides by is zero"
    assert gap.interval is None and gap.tolerance_check is None and np.isnan(gap.expected_if_equal)
    assert found["fpr_difference",].value == 0 and found["fpr_difference",].groups == []
    flagged = frame.assign(score=np.where((frame["race"] == "A") & (frame["label"] == 1), 0.8, 0.1))
    gap = {(one.measure, *one.groups): one for one in gaps_of(flagged)}["disparate_impact", "A"]
    assert gap.reason == "undefined: no images, or a rate it divides by is zero" and gap.interval is None


def test_fewer_than_two_groups_have_nothing_to_compare():
    frame = four_groups()
    found = gaps_of(frame[frame["race"].isin(["A", "D"])])
    by_key = {gap.measure: gap for gap in found if gap.measure in MEASURES}
    assert by_key["fpr_difference"].value == pytest.approx(0.56)
    for key in ("fnr_difference", "f_eo"):
        reason = "fewer than two groups have at least 30 images of the class concerned"
        assert by_key[key].reason == reason and np.isnan(by_key[key].value) and by_key[key].interval is None
    assert [gap.measure for gap in gaps_of(frame[frame["race"] == "A"]) if gap.measure not in MEASURES] == []


@pytest.mark.parametrize(
    ("kind", "limits", "wanted"),
    [
        ("difference", (-0.05, 0.05), "inside"), ("difference", (-0.051, 0.05), "unclear"),
        ("difference", (0.0, 0.051), "unclear"), ("difference", (0.05, 0.2), "unclear"),
        ("difference", (0.051, 0.2), "beyond"), ("difference", (-0.2, -0.051), "beyond"),
        ("difference", (-0.2, -0.05), "unclear"), ("difference", (-0.2, 0.2), "unclear"),
        ("ratio", (0.8, 1.25), "inside"), ("ratio", (0.79, 1.25), "unclear"),
        ("ratio", (0.8, 1.26), "unclear"),
        ("ratio", (0.1, 0.79), "beyond"), ("ratio", (1.26, 2.0), "beyond"), ("ratio", (0.1, 2.0), "unclear"),
        ("index", (0.0, 0.1), None), ("difference", None, None), ("ratio", (0.9, float("nan")), None),
    ],
)  # fmt: skip
def test_where_an_interval_lies_against_the_tolerance(kind, limits, wanted):
    config = AuditConfig(tolerance=0.05, ratio_tolerance=(0.8, 1.25))
    assert tolerance_check(kind, limits, config) == wanted


def test_as_many_comparisons_as_groupings_and_classes_with_two_groups():
    config = AuditConfig(attributes=("race", "one"), n_boot=200)
    frame = four_groups().assign(one=lambda f: np.where(f["race"] == "D", "x", "y"))
    table = score_table(frame, config)
    cells, groupings = count(table, 0.5), table.cells.groupings()
    assert n_comparisons(cells, groupings, config) == 2 + 1 + 2  # x has no fakes
    four_fifths = AuditConfig(attributes=("race", "one"), criterion="four-fifths")
    assert n_comparisons(cells, groupings, four_fifths) == 3
    asked = questions_of(cells, groupings, config)
    assert [(one.attribute, one.rate) for one in asked] == [
        (attribute, rate) for attribute in ("race", "one", "race:one") for rate in ("fpr", "fnr")
    ]
    fpr, fnr = asked[:2]
    assert (fpr.names, fpr.n_small) == (["A", "B", "C", "D"], 2) and fnr.names == ["A", "B", "C", "E"]
    assert fpr.errors.tolist() == [4, 20, 10, 60] and fpr.images.tolist() == [100] * 4
    assert fnr.errors.tolist() == [30, 10, 20, 70] and fnr.seen.tolist() == [
        [n, 100] for n in (30, 10, 20, 70)
    ]
    assert asked[3].evidence is None and asked[2].evidence is not None


def test_weighted_groups_are_asked_about_at_what_they_are_worth():
    """Half of the images weigh three times as much: Kish has 80 of 100, and less for what errors show."""
    frame = four_groups()
    frame = frame[frame["race"].isin(["A", "B"])].reset_index(drop=True)
    frame["weight"] = np.where(frame.index % 2, 0.5, 1.5)
    config = AuditConfig(attributes=("race",), weight_column="weight", n_boot=200)
    table = score_table(frame, config)
    fpr, _ = questions_of(count(table, 0.5), table.cells.groupings(), config)
    reals = frame[frame["label"] == 0]
    for g, name in enumerate("AB"):
        rows = reals[reals["race"] == name]
        rate = np.average(rows["score"] > 0.5, weights=rows["weight"])
        assert fpr.errors[g] / fpr.images[g] == pytest.approx(rate)
        assert 50 < fpr.images[g] <= 80.01
    assert fpr.seen.tolist() == [[4, 100], [20, 100]]
