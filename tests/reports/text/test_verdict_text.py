"""What is said about one verdict: no more than the verdict."""

import math

import pytest

from audit.wording.numbers import point_interval
from audit.wording.verdict_text import (
    by,
    deciding,
    explained,
    find,
    finding,
    findings,
    gap_line,
    people,
    title,
)


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
    ratio = black.fpr / best.fpr
    assert f"{ratio:.1f} (2.1–6.3) times as often as those of people labelled {best.group}" in told.claim
    quoted = f"{black.confusion.fp} of {black.n_real} ({100 * black.fpr:.1f}%) against {best.confusion.fp} of"
    assert quoted in told.evidence
    assert "95% interval 4 to 16, p = 0.002" in told.evidence
    assert "(4 to 16), p = 0.002" in told.short, "the same numbers wherever the verdict stands"


def test_the_gap_quoted_is_that_of_the_named_pair(judge, result):
    """The proven pair need not hold the extremes: then its own gap is quoted, and the span besides."""
    worst, best = find(result, "race", "Black"), find(result, "race", "Southeast Asian")
    told = only(judge, result, "disparity", gap=0.4)
    assert (
        f"a gap of {100 * (worst.fpr - best.fpr):.1f} points (95% interval 4 to 16, p = 0.002); over all "
        f"groups "
        "the rates span 40 points." in told.evidence
    )
    exact = only(judge, result, "disparity", gap=worst.fpr - best.fpr)
    assert "over all groups" not in exact.evidence
    assert "points (95% interval 4 to 16" in exact.evidence


def test_a_disparity_says_whether_the_gap_itself_is_proven_beyond_tolerance(judge, prove, result):
    sure = only(judge, result, "disparity")
    assert "The gap is proven to exceed the tolerance of 2 points." in sure.evidence
    assert "perhaps" not in sure.short
    open_ = only(judge, result, "disparity", worse_groups=[prove(result, "race", "fpr", (0.009, 0.2))])
    assert (
        "The groups are proven unequal, but the true gap may be as small as 0.9 points, within the tolerance "
        "of 2 points." in open_.evidence
    )
    assert open_.short.endswith("(0.9 to 20), p = 0.002; unequal, but possibly within the tolerance")


def test_a_record_without_proven_pairs_makes_no_claim_about_a_pair(judge, result):
    old = only(judge, result, "disparity", worse_groups=[], gap_interval=(0.01, 0.2))
    assert "more often than" in old.claim and "times" not in old.claim
    assert "a gap of 10 points (95% interval 1 to 20, p = 0.002)." in old.evidence
    assert "may be as small as 1 point, within" in old.evidence


def test_everyone_proven_worse_off_is_named(judge, prove, result):
    first = prove(result, "race", "fpr")
    others = [
        first.model_copy(update={"group": name, "difference_interval": (0.013, 0.1)})
        for name in ("Indian", "Middle Eastern")
    ]
    told = only(judge, result, "disparity", worse_groups=[first, *others])
    rates = [f"{100 * find(result, 'race', g.group).fpr:.1f}% (at least 1.3 points more)" for g in others]
    assert told.evidence.endswith(f"Also: Indian {rates[0]} and Middle Eastern {rates[1]}.")
    many = only(judge, result, "disparity", worse_groups=[first, *others * 5])
    assert many.evidence.endswith("and 5 more groups.")


@pytest.mark.parametrize(
    ("interval", "often"),
    [
        ((9.3, 61.0), "(9.3–61) times as often as those"),
        ((2.4, math.inf), "at least 2.4 times as often as those"),
        ((2.4, math.nan), "at least 2.4 times as often as those"),
        ((0.9, 6.0), "flagged as fake more often than those"),
    ],
)
def test_times_as_often_comes_with_its_interval(judge, prove, result, interval, often):
    pair = prove(result, "race", "fpr", times=interval)
    assert often in only(judge, result, "disparity", worse_groups=[pair]).claim


def test_within_tolerance_but_far_apart_in_proportion_says_who(judge, prove, result):
    pair = prove(result, "race", "fpr", (0.001, 0.018), (3.2, 5.1))
    told = only(judge, result, "within tolerance", worse_groups=[pair], gap=0.01, gap_interval=(0.0, 0.018))
    assert told.claim.startswith("Within 2 points, but real images of people labelled Black are flagged")
    assert "(3.2–5.1) times as often as" in told.claim
    assert "no gap exceeds the tolerance of 2 points" in told.evidence
    assert (
        told.short
        == "gap 1 point (0 to 1.8), p = 0.400; Black at least 3.2 times as often as Southeast Asian"
    )
    near = prove(result, "race", "fpr", (0.001, 0.018), (1.2, 5.1))
    assert "about equally often" in only(judge, result, "within tolerance", worse_groups=[near]).claim


def test_fakes_let_through_are_said_as_such(judge, result):
    assert only(judge, result, "disparity", rate="fnr").claim.startswith("Fakes of people labelled")


def test_insufficient_evidence_is_never_called_fair_nor_unfair(judge, result):
    told = only(judge, result, "insufficient evidence", adjusted_p_value=0.3)
    assert told.headline == "Inconclusive"
    assert told.claim == "Real images flagged as fake, by race: too few images for a clear answer."
    assert "(95% interval 4 to 16, p = 0.300)" in told.evidence
    assert told.unnoticed == "A gap of 5 points in the smallest group had an 80% chance to show."
    assert told.evidence.endswith(told.unnoticed)
    assert "Black" not in told.short, "an unproven pair is not named on the first screen"
    for strong in ("are flagged as fake 3", "equally often by race:", "tolerance", "fair"):
        assert strong not in told.claim


def test_within_tolerance_states_the_tolerance_and_the_largest_gap(judge, result):
    told = only(judge, result, "within tolerance", gap=0.004, gap_interval=(0.0, 0.018))
    assert "about equally often by race" in told.claim
    assert "no gap exceeds the tolerance of 2 points" in told.evidence
    assert "0.4 points" in told.evidence and "95% interval 0 to 1.8" in told.evidence


def test_a_proven_difference_of_open_size_is_said_as_such(judge, result):
    told = only(judge, result, "insufficient evidence", adjusted_p_value=0.01)
    assert told.claim == (
        "Real images are not flagged as fake equally often by race, but the gap may be within the "
        "tolerance of "
        "2 points."
    )
    assert told.headline == "Inconclusive"
    assert told.unnoticed == "" and "chance to show" not in told.evidence, "it did show"


def test_a_ratio_that_is_not_proven_for_a_pair_is_not_told(judge, result):
    """Of equal groups at 0.3 to 0.5 %, one ratio or another of an audit looked large in 13 to 16 of 100."""
    ratios = {"race": (0.1, 0.4), "gender": (0.7, 0.95)}
    gaps = [
        g.model_copy(update={"interval": ratios[g.attribute]})
        if g.measure == "fpr_ratio" and g.attribute in ratios
        else g
        for g in result.gaps
    ]
    record = result.model_copy(update={"gaps": gaps})
    for attribute in ratios:
        told = only(judge, record, "within tolerance", attribute=attribute, worse_groups=[])
        assert "ratio" not in told.evidence and "times as often" not in told.claim + told.evidence


def test_a_verdict_without_numbers_says_how_many_groups_are_large_enough(judge, result):
    told = only(
        judge, result, "insufficient evidence", gap=math.nan, gap_interval=None, n_groups=1, n_small_groups=6
    )
    assert told.evidence == "1 of 7 groups has at least 30 real images; a comparison needs two."
    assert told.short == "fewer than two groups with enough images"


def test_the_record_explains_each_verdict_in_the_words_of_the_report(judge, result):
    planted = judge(result, ("race", "fpr", "disparity"), ("age", "fnr", "insufficient evidence"))
    disparity, open_ = explained(planted).verdicts
    assert disparity.explanation.startswith(finding(planted, planted.verdicts[0]).sentence)
    told = "To settle it, audit about 4,100 images per group; if the groups are equal, that gives an 80%"
    assert told in open_.explanation
    few = planted.verdicts[0].model_copy(update={"n_small_groups": 2})
    record = explained(planted.model_copy(update={"verdicts": [few]}))
    assert record.verdicts[0].explanation.endswith(
        "2 smaller groups are not judged (fewer than 30 real images)."
    )


def test_a_disparity_against_a_rate_of_zero_has_no_ratio(judge, prove, result):
    groups = [
        g.model_copy(update={"fpr": 0.0}) if g.group == "White" and g.attribute == "race" else g
        for g in result.groups
    ]
    record = result.model_copy(update={"groups": groups})
    planted = judge(record, ("race", "fpr", "disparity"))
    planted.verdicts[0].worse_groups[0] = prove(record, "race", "fpr", times=(0.9, math.nan))
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
        ("Race", "Black", "of people labelled Black"),
        ("age", "20-29", "of people labelled as aged 20-29"),
        ("gender:race", "Female:Black", "of people labelled Female and Black"),
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


def test_a_verdict_without_a_proven_pair_shows_the_interval_of_its_difference(result):
    """The same interval in words, tables and pictures; never one cut off at 0 beside one that is not."""
    for v in result.verdicts:
        found = deciding(result, v)
        if v.verdict != "disparity" and v.differences:
            [row] = [d for d in v.differences if d.group == found.group]
            assert (found.gap, found.interval) == (row.difference, row.interval)
            assert point_interval(row.interval) in finding(result, v).evidence
            assert f"({point_interval(row.interval)})" in gap_line(result, v)


def test_a_proven_pair_decides_where_the_size_is_open(judge, prove, result):
    pair = prove(result, "race", "fpr", (0.009, 0.2)).model_copy(update={"difference": 0.018})
    changes = dict(adjusted_p_value=0.01, pair_p_value=0.02, worse_groups=[pair])
    told = only(judge, result, "insufficient evidence", **changes)
    assert told.short == "gap 1.8 points (0.9 to 20), p = 0.020"
    assert told.evidence.startswith(
        "Largest gap proven: 1.8 points (95% interval 0.9 to 20, p = 0.020): Black"
    )


def test_unequal_without_a_pair_says_that_nobody_can_be_named(judge, result):
    told = only(judge, result, "insufficient evidence", adjusted_p_value=0.01)
    assert "No two groups are proven to differ from each other." in told.evidence


def test_a_gap_picked_as_the_largest_is_corrected_where_that_matters(judge, prove, result):
    pair = prove(result, "race", "fpr")
    for share, told in ((0.7, True), (1.0, False)):
        corrected = pair.model_copy(update={"corrected_difference": share * pair.difference})
        text = only(judge, result, "disparity", worse_groups=[corrected]).evidence
        assert ("looks larger than it is; corrected for that" in text) is told
    corrected = pair.model_copy(update={"corrected_difference": 0.7 * pair.difference})
    for gap, size in ((pair.difference, "the largest"), (pair.difference + 0.01, "large")):
        text = only(judge, result, "disparity", worse_groups=[corrected], gap=gap).evidence
        assert f"A gap picked for being {size} looks" in text
    two = only(judge, result, "disparity", worse_groups=[corrected], n_groups=2).evidence
    assert "picked" not in two, "of two groups there is one gap"
