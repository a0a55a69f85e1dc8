"""Each group against the reference: the critical value, the limits, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import dunnett, multivariate_normal

from audit.config import AuditConfig
from audit.errors import GroupError
from audit.inference.proportion_intervals import newcombe, z_value
from audit.inference.two_proportions import difference_limits
from audit.judge.reference_group import many_to_one_critical, reference_limits
from audit.runs.score_audit import audit_scores
from audit.schema.json_schema import audit_schema

WHITE = AuditConfig(n_boot=200, threshold=0.0, references={"race": "A"})


@pytest.mark.parametrize(
    ("k", "z"), [(1, 1.96), (2, 2.21), (3, 2.35), (4, 2.44), (5, 2.51), (6, 2.57), (7, 2.61), (8, 2.65)]
)
def test_critical_value_in_the_published_table(k, z):
    """Dunnett 1964, two-sided, 5 %, infinite degrees of freedom, equal sizes."""
    assert many_to_one_critical(np.full(k, 0.5), 0.05) == pytest.approx(z, abs=0.006)


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4), st.sampled_from([0.1, 0.05, 0.01]))
def test_critical_value_has_its_probability(shares, alpha):
    shares = np.array(shares)
    z = many_to_one_critical(shares, alpha)
    correlation = np.sqrt(np.outer(shares, shares))
    np.fill_diagonal(correlation, 1)
    inside = multivariate_normal.cdf(np.full(len(shares), z), cov=correlation, lower_limit=-z, rng=0)
    assert inside == pytest.approx(1 - alpha, abs=5e-4)


def test_limits_approach_those_of_dunnetts_test():
    """With many images and one variance, scipy's intervals of means are the same."""
    n, k = np.array([4000, 3000, 2000, 5000]), np.array([1200, 930, 640, 1450])
    samples = [np.r_[np.ones(errors), np.zeros(size - errors)] for errors, size in zip(k, n, strict=True)]
    expected = dunnett(*samples[1:], control=samples[0], rng=0).confidence_interval(0.95)
    difference, (low, high) = reference_limits(k, n, 0, 0.05)
    assert difference == pytest.approx(k[1:] / n[1:] - 0.3)
    assert low == pytest.approx(expected.low, abs=0.001) and high == pytest.approx(expected.high, abs=0.001)


def test_two_groups_get_the_plain_interval_of_their_difference():
    found = [
        float(limit[0]) for limit in reference_limits(np.array([48, 56]), np.array([80, 70]), 0, 0.05)[1]
    ]
    pair = (56 / 70, 70, 48 / 80, 80, z_value(0.95))
    assert found == pytest.approx([float(limit) for limit in difference_limits(*pair)], abs=1e-6)
    assert found == pytest.approx([float(limit) for limit in newcombe(*pair)], abs=0.01)


def test_what_the_record_holds(simulate):
    result = audit_scores(simulate(900, shift=1.0), WHITE)
    gaps = [gap for gap in result.gaps if gap.measure.endswith("_to_reference")]
    assert [(gap.measure, gap.groups) for gap in gaps] == [
        (f"{rate}_difference_to_reference", [group, "A"]) for rate in ("fpr", "fnr") for group in ("B", "C")
    ]
    groups = {group.group: group for group in result.groups if group.attribute == "race"}
    for gap in gaps:
        rate = gap.measure[:3]
        expected = getattr(groups[gap.groups[0]], rate) - getattr(groups["A"], rate)
        assert gap.value == pytest.approx(expected) and gap.interval[0] < gap.value < gap.interval[1]
    assert gaps[0].tolerance_check == "beyond" and result.config.references == {"race": "A"}
    assert "references" in audit_schema()["$defs"]["Config"]["properties"]


@pytest.mark.slow
def test_without_a_reference_nothing_is_added(simulate):
    frame = simulate(300)
    plain = audit_scores(frame, AuditConfig(n_boot=200))
    named = audit_scores(frame, AuditConfig(n_boot=200, references={"race": "A"}))
    kept = [gap for gap in named.gaps if not gap.measure.endswith("_to_reference")]
    assert len(kept) == len(named.gaps) - 4
    assert (
        plain.model_copy(update={"config": named.config}).to_json()
        == named.model_copy(update={"gaps": kept}).to_json()
    )


@pytest.mark.slow
def test_small_groups_are_shown_and_widen_nothing(simulate):
    frame = simulate(900)
    few = frame[(frame["race"] != "C") | (frame["pair_id"] < "p000100")]
    small = audit_scores(few, WHITE).gaps
    alone = audit_scores(few[few["race"] != "C"], WHITE).gaps
    found, expected = (
        {gap.groups[0]: gap for gap in gaps if gap.measure == "fpr_difference_to_reference"}
        for gaps in (small, alone)
    )
    assert found["B"].interval == expected["B"].interval
    assert math.isfinite(found["C"].value) and found["C"].interval is None
    assert found["C"].reason == "this group has fewer than 30 images of the class concerned"
    by_small = audit_scores(few, AuditConfig(n_boot=200, references={"race": "C"})).gaps
    reasons = {gap.reason for gap in by_small if gap.measure.endswith("_to_reference")}
    assert reasons == {"the reference group has fewer than 30 images of the class concerned"}


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ({"race": "White"}, r"race=White: there is no group 'White'; the groups of race are A, B, C$"),
        ({"age": "20-29"}, r"age=20-29: 'age' is not audited; audited are gender, race$"),
        ({"gender:race": "Male:A"}, r"'gender:race' is not audited; audited are gender, race$"),
        ({"race": "(missing)"}, r"there is no group '\(missing\)'; the groups of race are A, B, C$"),
    ],
)
def test_a_reference_that_is_not_there_is_named(simulate, references, message):
    frame = simulate(200)
    frame.loc[0, "race"] = None
    frame.loc[frame["pair_id"] == frame.loc[0, "pair_id"], "race"] = None
    with pytest.raises(GroupError, match=message):
        audit_scores(frame, AuditConfig(n_boot=200, references=references))


def test_capitals_of_a_reference_are_those_of_the_groups(simulate):
    """'white' and 'White' are one group, and the spelling kept is not always that of the option."""
    frame = simulate(300)
    group = frame["race"].iloc[0]
    config = AuditConfig(attributes=("race",), n_boot=100, references={"race": group})
    asked = audit_scores(frame, config)
    for spelled in (group.lower(), group.upper()):
        found = audit_scores(frame, replace(config, references={"race": spelled}))
        assert found == asked and found.config.references == {"race": group}
    mixed = frame.assign(race=frame["race"].where(frame.index % 3 > 0, frame["race"].str.swapcase()))
    kept = audit_scores(mixed, replace(config, read_as={"case": "keep"}, independent=True))
    assert kept.config.references == {"race": group}


def test_both_rates_and_all_attributes_are_one_family(simulate):
    """Two attributes and two rates: each interval at a quarter of the level."""
    frame = simulate(900, shift=1.0)
    references = {"race": "A", "gender": min(frame["gender"])}
    result = audit_scores(frame, AuditConfig(n_boot=200, threshold=0.0, references=references))
    counted = {g.group: g for g in result.groups if g.attribute == "race"}
    names = sorted(counted)
    k, n = np.array([counted[g].confusion.fp for g in names]), np.array([counted[g].n_real for g in names])
    _, (low, high) = reference_limits(k, n, 0, 0.05 / 4)
    gaps = [g for g in result.gaps if g.measure == "fpr_difference_to_reference" and "A" in g.groups]
    expected = [pytest.approx((float(a), float(b))) for a, b in zip(low, high, strict=True)]
    assert [g.interval for g in gaps] == expected


@pytest.mark.slow
def test_together_they_hold_at_rare_rates_and_unequal_sizes():
    """5,000 and six groups of 60: Newcombe's limits held in 87 and 84 of 100 audits."""
    rng, n = np.random.default_rng(5), np.array([5_000] + [60] * 6)
    for p in (np.array([0.005] + [0.01] * 6), np.array([0.01] + [0.005] * 6)):
        hits = 0
        for _ in range(100):
            _, (low, high) = reference_limits(rng.binomial(n, p), n, 0, 0.05)
            hits += bool(((low <= p[1] - p[0]) & (p[1] - p[0] <= high)).all())
        assert hits >= 92
