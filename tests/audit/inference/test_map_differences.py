"""Where groups' maps differ: how often it is said where it is not so, and whether it is found where it is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact, ttest_ind

from audit.inference.map_differences import _welch, map_differences
from reports.text.explanation_text import difference_sentences


def drawn(rng, n: int, planted: float = 0.0):
    """Shares of seven regions that add up to 1; group "b" rests more on region 3."""
    groups = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    weights = rng.gamma(4.0, size=(n, 7)) * np.linspace(0.5, 2, 7)
    weights[:, 3] *= 1 + planted * (groups == "b")
    return weights / weights.sum(1, keepdims=True), list(groups)


def test_the_statistic_is_welchs_of_scipy():
    shares, groups = drawn(np.random.default_rng(1), 60, planted=0.5)
    members = np.stack([np.array(groups) == name for name in "abc"])
    wanted = [ttest_ind(shares[own], shares[~own], equal_var=False) for own in members]
    t, df = _welch(members.astype(float), shares)
    np.testing.assert_allclose(t, [one.statistic for one in wanted], rtol=1e-9)
    np.testing.assert_allclose(df, [one.df for one in wanted], rtol=1e-9)


def test_a_difference_that_is_none_is_named_in_at_most_one_of_twenty():
    rng, n = np.random.default_rng(0), 300
    named = sum(
        any(d.p_value <= 0.05 for d in map_differences(*drawn(rng, 70), n_permutations=99, seed=i))
        for i in range(n)
    )
    assert named / n <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / n)


def test_groups_of_equal_means_and_unlike_spread_are_not_named():
    """Permutations alone named somebody in 15 % of audits: they take unlike spread for unlike means."""
    rng, n = np.random.default_rng(5), 100
    group = np.repeat(np.arange(7), [200] + [12] * 6)
    spread = np.where(group == 0, 0.01, 0.03)[:, None]
    named = sum(
        any(
            d.p_value <= 0.05
            for d in map_differences(
                0.1 + spread * rng.normal(size=(len(group), 9)), list(map(str, group)), n_permutations=99
            )
        )
        for _ in range(n)
    )
    assert named / n <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / n)


def test_a_p_value_is_never_below_welchs_own():
    shares, groups = drawn(np.random.default_rng(6), 60, planted=0.5)
    own = np.array(groups) == "b"
    welch = ttest_ind(shares[own], shares[~own], equal_var=False).pvalue
    found = [d for d in map_differences(shares, groups) if d.group == "b"]
    assert all(d.p_value >= min(1.0, 3 * 7 * p) - 1e-9 for d, p in zip(found, welch, strict=True))
    two = ["b" if one else "a" for one in own]  # the same comparison from both sides is tested once
    a, b = (
        [d.p_value for d in map_differences(shares, two, n_permutations=9_999) if d.group == name]
        for name in "ab"
    )
    assert a == pytest.approx(b) and 7 * welch.min() <= min(a) < 14 * welch.min()


def test_a_planted_difference_is_found_and_its_side_told():
    found = map_differences(*drawn(np.random.default_rng(1), 200, planted=0.8), seed=0)
    planted = next(d for d in found if (d.group, d.region) == ("b", 3))
    assert planted.p_value <= 0.01 and planted.share > planted.share_others
    row = {"half": "fake", "attribute": "gender", "group": "Female", "region": "mouth", "n": 60,
           "share": planted.share, "share_others": planted.share_others, "p_value": 0.004}  # fmt: skip
    (told,) = difference_sentences({"differences": [row]})
    assert told.startswith("In fake faces of people labelled Female the decision rests more on the mouth: ")
    assert "corrected" in told


def test_small_groups_are_not_compared():
    shares, groups = drawn(np.random.default_rng(2), 40)
    assert {d.group for d in map_differences(shares, ["x"] * 31 + ["y"] * 9)} == set()
    assert map_differences(shares, ["x"] * 40) == []
    assert "No two groups" in difference_sentences({"differences": []})[0]
    found = map_differences(shares, groups, min_n=3, n_permutations=19)
    row = {"p_value": 0.9}
    assert (
        found and "does not prove that the maps are alike" in difference_sentences({"differences": [row]})[0]
    )


def test_equal_arguments_give_equal_p_values_and_none_is_zero():
    shares, groups = drawn(np.random.default_rng(3), 80, planted=3.0)
    first, again = (map_differences(shares, groups, n_permutations=49, seed=5) for _ in range(2))
    assert first == again and min(d.p_value for d in first) == pytest.approx(1 / 50)


def test_a_share_that_is_no_number_is_refused():
    shares, groups = drawn(np.random.default_rng(4), 40)
    shares[0, 0] = np.nan
    with pytest.raises(ValueError, match="leave flat maps out"):
        map_differences(shares, groups)


def test_draws_as_large_as_what_was_seen_count():
    """Three of ten at 1 in one group, seven in the other: Fisher's exact test of this table."""
    shares = np.repeat([[0.0], [1.0], [0.0], [1.0]], [7, 3, 3, 7], axis=0)
    found = map_differences(shares, ["a"] * 10 + ["b"] * 10, n_permutations=4_999)
    exact = fisher_exact([[7, 3], [3, 7]]).pvalue
    assert [one.p_value for one in found] == pytest.approx([exact, exact], abs=0.015)
    assert (found[0].share, found[0].share_others, found[0].n) == (0.3, 0.7, 10)


def test_a_region_that_no_map_touches_differs_nowhere():
    shares = np.column_stack([np.linspace(0, 1, 40), np.zeros(40)])
    found = map_differences(shares, ["a", "b"] * 20, n_permutations=99)
    assert [one.p_value for one in found if one.region == 1] == [1.0, 1.0]
    assert all(0 < one.p_value <= 1 for one in found)
