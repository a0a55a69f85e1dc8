"""What is said about one verdict: no more than the verdict."""

import math

import pytest

from reports.words import by, find, finding, findings, people, title


def only(judge, result, word, rate="fpr", attribute="race", **changes):
    """The finding of one planted verdict."""
    planted = judge(result, (attribute, rate, word))
    verdict = planted.verdicts[0].model_copy(update=changes)
    return finding(planted, verdict)


def test_a_disparity_names_who_how_much_how_sure_and_n(judge, result):
    told = only(judge, result, "disparity", gap=math.nan)
    black, best = (
        find(result, "race", "Black"),
        min((g for g in result.groups if g.attribute == "race"), key=lambda g: g.fpr),
    )
    assert told.headline == "Disparity"
    assert "Real images of people labelled Black are flagged as fake" in told.claim
    assert f"{black.fpr / best.fpr:.1f} times as often as those of people labelled {best.group}" in told.claim
    assert f"{100 * black.fpr:.1f}% (" in told.evidence
    assert f"of {black.n_real} against" in told.evidence


def test_the_gap_quoted_is_that_of_the_named_pair(judge, result):
    """The proven pair need not hold the extremes: then its own gap is quoted, and the span besides."""
    worst, best = find(result, "race", "Black"), find(result, "race", "White")
    told = only(judge, result, "disparity", worst_group="Black", best_group="White", gap=0.4)
    assert (
        f"a gap of {100 * (worst.fpr - best.fpr):.1f} points; over all groups the rates span 40 points"
        in (told.evidence)
    )
    exact = only(
        judge, result, "disparity", worst_group="Black", best_group="White", gap=worst.fpr - best.fpr
    )
    assert "over all groups" not in exact.evidence
    assert "points (4 to 16)" in exact.evidence


def test_fakes_let_through_are_said_as_such(judge, result):
    assert only(judge, result, "disparity", rate="fnr").claim.startswith("Fakes of people labelled")


def test_insufficient_evidence_is_never_called_fair_nor_unfair(judge, result):
    told = only(judge, result, "insufficient evidence", adjusted_p_value=0.3)
    assert told.headline == "Cannot tell"
    assert told.claim.startswith("The data cannot tell whether")
    assert "4,100 images per group would settle it" in told.evidence
    assert "Black" not in told.short, "an unproven pair is not named on the first screen"
    for strong in ("are flagged as fake 3", "equally often by race:", "tolerance", "fair"):
        assert strong not in told.claim


def test_within_tolerance_states_the_tolerance_and_the_largest_gap(judge, result):
    told = only(judge, result, "within tolerance", gap=0.004, gap_interval=(0.0, 0.018))
    assert "about equally often by race" in told.claim
    assert "below the tolerance of 2 points" in told.evidence
    assert "0.4 points" in told.evidence and "(0 to 1.8)" in told.evidence


def test_a_proven_difference_of_open_size_is_said_as_such(judge, result):
    told = only(judge, result, "insufficient evidence", adjusted_p_value=0.01)
    assert told.claim == (
        "Real images are not flagged as fake equally often by race, but whether the gap exceeds the "
        "tolerance of 2 points, the data cannot tell."
    )
    assert told.headline == "Cannot tell"


def test_a_small_gap_between_small_rates_mentions_the_ratio(judge, result):
    ratios = {"race": (0.1, 0.4), "gender": (0.7, 0.95)}
    gaps = [
        g.model_copy(update={"interval": ratios[g.attribute]})
        if g.measure == "fpr_ratio" and g.attribute in ratios
        else g
        for g in result.gaps
    ]
    record = result.model_copy(update={"gaps": gaps})
    far = only(judge, record, "within tolerance").evidence
    assert far.endswith("In proportion they do differ: the lowest rate is at most 40% of the highest.")
    assert "In proportion" not in only(judge, record, "within tolerance", attribute="gender").evidence


def test_a_verdict_without_numbers_falls_back_to_its_explanation(judge, result):
    told = only(judge, result, "insufficient evidence", gap=math.nan, gap_interval=None)
    assert told.evidence == "Planted by the test."
    assert told.short == "fewer than two groups with enough images"


def test_a_disparity_against_a_rate_of_zero_has_no_ratio(judge, result):
    groups = [
        g.model_copy(update={"fpr": 0.0}) if g.group == "White" and g.attribute == "race" else g
        for g in result.groups
    ]
    planted = judge(result.model_copy(update={"groups": groups}), ("race", "fpr", "disparity"))
    assert "more often than those of people labelled White" in finding(planted, planted.verdicts[0]).claim


def test_findings_put_disparities_first_and_wrongful_flags_before_missed_fakes(judge, result):
    planted = judge(
        result,
        ("age", "fpr", "within tolerance"),
        ("gender", "fnr", "disparity"),
        ("age", "fnr", "insufficient evidence"),
        ("age:race", "fpr", "disparity"),
        ("race", "fpr", "disparity"),
    )
    order = [(f.verdict.attribute, f.verdict.rate) for f in findings(planted)]
    assert order == [("race", "fpr"), ("gender", "fnr"), ("age:race", "fpr"), ("age", "fnr"), ("age", "fpr")]


@pytest.mark.parametrize(
    ("attribute", "group", "phrase"),
    [
        ("race", "Black", "of people labelled Black"),
        ("age", "20-29", "of people labelled as aged 20-29"),
        ("gender:race", "Female:Black", "of people labelled Female and labelled Black"),
        ("tone", "dark", "with tone “dark”"),
        ("tone:gender", "dark:Female", "with tone “dark” and gender “Female”"),
        ("tone", "a:b", "with tone “a:b”"),
    ],
)
def test_people_of_a_group(attribute, group, phrase):
    assert people(attribute, group) == phrase


def test_intersections_are_written_with_a_cross():
    assert title("age:gender:race") == "Age × gender × race"
    assert by("gender:race") == "by gender × race"
