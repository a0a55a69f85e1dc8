"""People or generator: planted gaps are found as what they are, and equality is not called a finding."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from audit.config import AuditConfig
from audit.judge.kinds_agreement import (
    DEPENDS,
    OPEN,
    PEOPLE,
    _Outcomes,
    _tested,
    kinds_agreement,
)

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
