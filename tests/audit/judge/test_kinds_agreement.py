"""People or generator: planted gaps are found as what they are, and equality is not called a finding."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency
from statsmodels.stats.oneway import anova_oneway
from statsmodels.stats.proportion import confint_proportions_2indep

from audit.config import AuditConfig
from audit.inference.proportion_intervals import newcombe
from audit.judge import kinds_agreement as kinds_module
from audit.judge.kinds_agreement import (
    DEPENDS,
    OPEN,
    PEOPLE,
    _Outcomes,
    _tested,
    johansen_p,
    kinds_agreement,
)

pytestmark = pytest.mark.slow

KINDS = ("small", "self-blend", "swap")
CONFIG = AuditConfig(min_n=30)


def fakes(rates, n=200, seed=0, share=0.5, absent=0.0):
    """Photos of each group; with probability `share` all kinds of a photo follow one draw."""
    rng, missed, there = np.random.default_rng(seed), [], []
    for of_kind in rates.values():
        common, together = rng.random(n), rng.random(n) < share
        for rate in of_kind:
            missed.append(np.where(together, common, rng.random(n)) < rate)
            there.append(rng.random(n) >= absent)
    rows = pd.DataFrame({
        "pair_id": [f"{group}-{i}" for group in rates for _ in KINDS for i in range(n)],
        "kind": np.tile(np.repeat(KINDS, n), len(rates)),
        "missed": np.concatenate(missed), "race": np.repeat(list(rates), n * len(KINDS)),
    })  # fmt: skip
    return rows[np.concatenate(there)].reset_index(drop=True)


def judged(rates, **how):
    (found,) = kinds_agreement(fakes(rates, **how), ["race"], CONFIG)
    return found


def test_a_gap_of_the_people_has_one_direction_and_no_interaction():
    found = judged({"A": (0.1, 0.2, 0.3), "B": (0.3, 0.4, 0.5), "C": (0.1, 0.2, 0.3)}, n=400)
    assert (found.verdict, found.most_missed, found.same_direction) == (PEOPLE, "B", True)
    assert [gap.worst_group for gap in found.gaps] == ["B"] * 3
    assert found.sentence.startswith(
        "By race, the gap in missed fakes follows the people: the same direction"
    )


def test_a_gap_of_one_generator_is_not_the_peoples():
    found = judged({"A": (0.1, 0.2, 0.3), "B": (0.1, 0.2, 0.6), "C": (0.1, 0.2, 0.3)}, n=400)
    assert found.verdict == DEPENDS
    assert found.worst_kind["B"] == "swap"
    assert "depends on the kind of fake" in found.sentence


def test_opposite_gaps_are_never_the_peoples():
    found = judged({"A": (0.1, 0.3, 0.2), "B": (0.3, 0.1, 0.2)}, n=400)
    assert found.verdict == DEPENDS


def test_few_photos_prove_nothing():
    assert judged({"A": (0.1, 0.2, 0.3), "B": (0.15, 0.2, 0.3)}, n=40).verdict == OPEN


@pytest.mark.parametrize("absent", [0.0, 0.3])
def test_under_no_interaction_it_is_found_in_about_one_of_twenty(absent):
    """Groups differ and kinds differ, but the gap is the same in each kind: 5 % of 100 runs is 5."""
    rates = {"A": (0.1, 0.3, 0.4), "B": (0.2, 0.4, 0.5), "C": (0.1, 0.3, 0.4), "D": (0.15, 0.35, 0.45)}
    p = [judged(rates, n=120, seed=s, absent=absent).p_interaction for s in range(100)]
    assert sum(x <= 0.05 for x in p) <= 11  # Holm over two: at most the level


def test_under_equality_people_are_rarely_called_unequal():
    p = [judged({g: (0.02, 0.1, 0.3) for g in "ABCD"}, n=80, seed=s).p_people for s in range(100)]
    assert sum(x <= 0.05 for x in p) <= 11


def test_a_single_contrast_agrees_with_a_foreign_oracle():
    """With two groups and kinds that are all one draw, the mean gap is a 2 x 2 table."""
    table = fakes({"A": (0.35,) * 3, "B": (0.4,) * 3}, n=600, share=1.0)
    (found,) = kinds_agreement(table, ["race"], CONFIG)
    one = table[table["kind"] == "small"]
    oracle = chi2_contingency(pd.crosstab(one["race"], one["missed"]), correction=False).pvalue
    assert found.p_people / 2 == pytest.approx(oracle, abs=0.01)


def test_covariance_of_complete_photos_is_the_textbooks():
    rng = np.random.default_rng(3)
    outcome = (rng.random((500, 2)) < 0.4).astype(float)
    outcome[:, 1] = np.where(rng.random(500) < 0.6, outcome[:, 0], outcome[:, 1])
    (found,) = outcomes(np.ones((500, 2)), outcome, np.zeros(500, dtype=np.int64)).groups()
    assert np.allclose(found.mean, outcome.mean(axis=0))
    assert np.allclose(found.covariance, np.cov(outcome.T) / 500, rtol=0.03)


def test_groups_with_too_few_fakes_of_a_kind_are_named_and_left_out():
    table = fakes({"A": (0.1, 0.2, 0.3), "B": (0.3, 0.4, 0.5), "C": (0.1, 0.2, 0.3)}, n=100)
    table = table[~((table["race"] == "C") & (table["kind"] == "swap"))]
    (found,) = kinds_agreement(table, ["race"], CONFIG)
    assert found.left_out == ["C"]
    assert set(found.worst_kind) == {"A", "B"}
    table = table[(table["race"] == "A") | (table["kind"] != "swap")]
    (found,) = kinds_agreement(table, ["race"], CONFIG)
    assert found.verdict == OPEN
    assert "fewer than two groups have 30 fakes of every kind" in found.sentence


def test_one_kind_has_nothing_to_agree_with():
    table = fakes({"A": (0.1, 0.2, 0.3), "B": (0.3, 0.4, 0.5)})
    assert kinds_agreement(table[table["kind"] == "swap"], ["race"], CONFIG) == []


def outcomes(made, missed, group):
    """Each row a photo of its own."""
    sizes = np.bincount(group)
    return _Outcomes([str(g) for g in range(len(sizes))], made, missed, group, sizes.astype(float))


@pytest.mark.parametrize(
    ("sizes", "rates"),
    [
        ([5_000, 40], [(0.005, 0.005, 0.01), (0.2, 0.2, 0.205)]),
        ([2_000, *[40] * 6], [(0.02, 0.05), *[(0.3, 0.33)] * 6]),
    ],
)
def test_groups_at_other_levels_with_the_same_difference_between_kinds(sizes, rates):
    """By photos dealt anew alone, small groups getting the rates of the large one, 15 to 51 of 100."""
    rng, said = np.random.default_rng(6), 0
    group = np.repeat(np.arange(len(sizes)), sizes)
    for seed in range(100):
        missed = (rng.random((len(group), len(rates[0]))) < np.array(rates)[group]).astype(float)
        said += _tested(outcomes(np.ones_like(missed), missed, group), "race", seed)[0] <= 0.05
    assert said <= 11


def of_persons(rng, n_groups=3, persons=15, each=20):
    """Photos of persons of equal groups; what is missed of one person goes together, whatever the kind."""
    person = np.repeat(np.arange(n_groups * persons), each)
    chance = rng.beta(0.6, 1.4, n_groups * persons)[person]
    frame = pd.DataFrame({"pair_id": np.arange(len(person)), "race": person // persons, "unit": person})
    return pd.concat([frame.assign(kind=kind, missed=rng.random(len(frame)) < chance) for kind in KINDS])


def test_photos_of_one_person_are_not_many_people():
    rng, said = np.random.default_rng(3), 0
    for _ in range(40):
        (found,) = kinds_agreement(of_persons(rng), ["race"], CONFIG)
        said += found.verdict != OPEN
    assert said <= 5


def test_photos_that_are_each_a_unit_are_judged_as_without_units():
    made = fakes({"A": (0.1, 0.2, 0.3), "B": (0.2, 0.3, 0.4)})
    assert kinds_agreement(made.assign(unit=made["pair_id"]), ["race"], CONFIG) == kinds_agreement(
        made, ["race"], CONFIG
    )


@pytest.mark.parametrize(
    ("sizes", "rates", "together"),
    [([10_000, *[30] * 6], (0.1, 0.2), 0.5), ([2_000, *[30] * 15], (0.02, 0.05), 0.9)],
)
def test_small_groups_beside_a_large_one_are_not_judged_as_if_their_covariance_were_known(
    sizes, rates, together
):
    """By chi-squared or an F something was said in 9 to 68 of 100 such runs; the promise is 5."""
    rng, said = np.random.default_rng(4), 0
    group = np.repeat(np.arange(len(sizes)), sizes)
    for seed in range(100):
        common, alike = rng.random(len(group)), rng.random(len(group)) < together
        draws = [np.where(alike, common, rng.random(len(group))) < rate for rate in rates]
        outcome = np.stack(draws, axis=1).astype(float)
        found = outcomes(np.ones_like(outcome), outcome, group)
        said += 2 * min(_tested(found, "race", seed)) <= 0.05
    assert said <= 11


def test_kinds_that_could_not_be_made_for_one_group_are_no_misses():
    """Three of four swaps of one group are missing; what was made is missed as often as in the other."""
    rng, said = np.random.default_rng(5), 0
    group = np.repeat([0, 1], 300)
    for seed in range(200):
        missed = (rng.random((600, 3)) < (0.02, 0.05, 0.3)).astype(float)
        made = np.ones_like(missed)
        made[:, 2] = (group == 0) | (rng.random(600) < 0.25)
        said += 2 * min(_tested(outcomes(made, missed * made, group), "race", seed)) <= 0.05
    assert said <= 19


def test_the_order_of_rows_changes_nothing():
    made = fakes({"A": (0.1, 0.2, 0.3), "B": (0.2, 0.2, 0.3)}, absent=0.1)
    shuffled = made.sample(frac=1, random_state=0)
    assert kinds_agreement(made, ["race"], CONFIG) == kinds_agreement(shuffled, ["race"], CONFIG)


def test_johansens_f_of_one_contrast_is_welchs_anova():
    rng = np.random.default_rng(8)
    samples = [rng.normal(mean, spread, n) for mean, spread, n in ((0, 1, 12), (0.4, 3, 30), (0.9, 2, 9))]
    theirs = anova_oneway(samples, use_var="unequal", welch_correction=True)
    mean, n = np.array([[one.mean()] for one in samples]), np.array([len(one) for one in samples])
    covariance = np.array([[[one.var(ddof=1) / len(one)]] for one in samples])
    assert johansen_p(mean, covariance, np.eye(1), n - 1.0) == pytest.approx(theirs.pvalue)
    twice = np.hstack([mean, mean]), np.einsum("gij,kl->gkl", covariance, np.eye(2))
    one_of_two = np.array([[1.0, 0.0]])
    assert johansen_p(*twice, one_of_two, n - 1.0) == pytest.approx(theirs.pvalue)


def complete(rates, n=200):
    """Photos of which the first so many of each kind are missed, whatever the group."""
    rows = [
        (f"{group}-{i}", kind, i < missed, group)
        for group, of_kind in rates.items()
        for kind, missed in zip(KINDS, of_kind, strict=True)
        for i in range(n)
    ]
    return pd.DataFrame(rows, columns=["pair_id", "kind", "missed", "race"])


def test_what_is_said_of_each_kind_by_hand():
    table = complete({"A": (20, 40, 60), "B": (80, 100, 120), "C": (90, 40, 60)})
    (found,) = kinds_agreement(table, ["race"], CONFIG)
    assert (found.most_missed, found.least_missed, found.same_direction) == ("B", "A", True)
    assert found.verdict == DEPENDS and found.kinds == sorted(KINDS)
    assert found.worst_kind == {"A": "swap", "B": "swap", "C": "small"}
    self_blend, small, swap = found.gaps
    assert [gap.kind for gap in found.gaps] == ["self-blend", "small", "swap"]
    assert [gap.gap for gap in found.gaps] == pytest.approx([0.3, 0.3, 0.3])
    assert [gap.fnr for gap in found.gaps] == pytest.approx([180 / 600, 190 / 600, 240 / 600])
    assert [gap.worst_group for gap in found.gaps] == ["B", "C", "B"]
    assert [gap.worst_fnr for gap in found.gaps] == [0.5, 0.45, 0.6]
    for gap, (few, many) in zip((self_blend, small, swap), ((40, 100), (20, 80), (60, 120)), strict=True):
        low, high = confint_proportions_2indep(many, 200, few, 200, method="newcomb", alpha=0.05)
        assert gap.interval == pytest.approx((low, high), abs=3e-4)  # half of 200 is worth 199
    assert found.sentence == (
        "By race, the gap in missed fakes depends on the kind of fake (B minus A, in points: "
        "self-blend +30.0, small +30.0, swap +30.0)."
    )


def test_the_people_are_named_with_a_p_value_and_what_is_open_is_said():
    (found,) = kinds_agreement(complete({"A": (20, 40, 60), "B": (50, 70, 90)}), ["race"], CONFIG)
    assert found.verdict == PEOPLE and found.p_people < 0.01
    assert found.sentence == (
        "By race, the gap in missed fakes follows the people: the same direction in all 3 kinds, and nothing "
        "shows that its size depends on the kind (B minus A, in points: self-blend +15.0, small +15.0, "
        f"swap +15.0; p = {found.p_interaction:.2g})."
    )
    (found,) = kinds_agreement(complete({"A": (20, 40, 60), "B": (22, 40, 60)}), ["race"], CONFIG)
    assert (found.verdict, found.same_direction) == (OPEN, False)
    assert found.sentence == (
        "By race, it is open whether a gap in missed fakes follows the people or the kind of fake (B minus "
        "A, in points: self-blend +0.0, small +1.0, swap +0.0)."
    )


def test_images_of_persons_that_err_together_are_worth_the_persons():
    """Each of 50 persons has four photos with one outcome: 50 x 4 / 3.9 images, and their limits."""
    table = complete({"A": (10, 10, 10), "B": (20, 20, 20)}, n=50)
    table = table.loc[table.index.repeat(4)].reset_index(drop=True)
    table["unit"] = table["pair_id"]
    table["pair_id"] += "-" + (table.index % 4).astype(str)
    (found,) = kinds_agreement(table, ["race"], CONFIG)
    worth = []
    for missed in (80, 40):
        rate, added = missed / 200, (missed + 1) / 202
        variance = rate * (1 - rate) / 49  # of 50 persons who are each right or wrong
        worth.append(added * (1 - added) / variance)
    limits = newcombe(0.4, worth[0], 0.2, worth[1], 1.959964)
    for gap in found.gaps:
        assert gap.interval == pytest.approx((float(limits[0]), float(limits[1])))


def test_thirty_fakes_and_ten_persons_are_enough():
    table = complete({"A": (3, 3, 3), "B": (9, 9, 9), "C": (3, 3, 3), "(missing)": (3, 3, 3)}, n=30)
    lacking = table[(table["pair_id"] != "C-29") | (table["kind"] != "swap")]
    (found,) = kinds_agreement(lacking, ["race"], CONFIG)
    assert found.left_out == ["(missing)", "C"] and set(found.worst_kind) == {"A", "B"}
    place = table.groupby(["race", "kind"]).cumcount()
    persons = place % np.where(table["race"] == "C", 9, 10)
    (found,) = kinds_agreement(table.assign(unit=table["race"] + persons.astype(str)), ["race"], CONFIG)
    assert found.left_out == ["(missing)", "C"]


def test_nothing_differs_where_all_is_alike_and_holm_counts_every_attribute():
    table = complete({"A": (5, 10, 20), "B": (5, 10, 20)}, n=40)
    (found,) = kinds_agreement(table, ["race", "no such column"], CONFIG)
    assert (found.p_interaction, found.p_people, found.verdict) == (1.0, 1.0, OPEN)
    table = complete({"A": (20, 40, 60), "B": (40, 60, 80)})
    half = table.assign(half=np.where(table.groupby(["race", "kind"]).cumcount() % 2, "x", "y"))
    alone, (both, other) = (kinds_agreement(half, names, CONFIG) for names in (["race"], ["race", "half"]))
    assert (both.attribute, other.attribute) == ("race", "half")
    assert both.p_people == pytest.approx(2 * alone[0].p_people)  # smallest of four, not of two


def test_dealing_anew_keeps_who_has_which_kinds(monkeypatch):
    """Swaps of B were never made; what the others say of them is no reason to find B unlike."""
    rng = np.random.default_rng(2)
    table = complete({"A": (20, 40, 60), "B": (20, 40, 60)})
    made = (table["race"] == "A") | (table["kind"] != "swap") | (rng.random(len(table)) < 0.3)
    found = kinds_agreement(table[made], ["race"], CONFIG)
    monkeypatch.setattr(kinds_module, "AT_ONCE", 9_000)
    parts = kinds_agreement(table[made], ["race"], CONFIG)
    assert found[0].p_people > 0.2 and parts[0].p_people == pytest.approx(found[0].p_people, abs=0.05)


def test_a_kind_that_nobody_misses_is_one_more_miss_and_hit_from_certain():
    (found,) = kinds_agreement(complete({"A": (0, 20, 40), "B": (0, 60, 80)}), ["race"], CONFIG)
    assert 0 < found.p_people < 0.01 and 0 < found.p_interaction < 0.01 and found.verdict == DEPENDS
    small = found.gaps[1]
    assert (small.kind, small.gap, small.fnr) == ("small", 0, 0) and not found.same_direction
    low, high = newcombe(0.0, 200, 0.0, 200, 1.959964)
    assert small.interval == pytest.approx((float(low), float(high)))
