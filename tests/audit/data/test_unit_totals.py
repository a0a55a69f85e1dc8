"""The sums of units against sums over plain tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.data.unit_totals import unit_codes, unit_squares, unit_totals


def images(seed, n=200, units=15, groups=4):
    """Images whose units may stand in several groups."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "unit": rng.integers(0, units, n),
            "group": rng.integers(0, groups, n),
            "fake": rng.random(n) < 0.4,
            "wrong": rng.random(n) < 0.3,
            "weight": rng.uniform(0, 3, n),
        }
    )


def totals(table, n_groups=4, weight=True):
    columns = [table[c].to_numpy() for c in ("unit", "group", "fake", "wrong", "weight")]
    return unit_totals(columns[0], columns[1], n_groups, *columns[2:4], columns[4] if weight else None)


def vectors(table):
    """One row a unit: weighted reals, flagged, fakes, missed."""
    w, fake, wrong = table["weight"], table["fake"], table["wrong"]
    parts = {0: w * ~fake, 1: w * (~fake & wrong), 2: w * fake, 3: w * (fake & wrong)}
    return pd.DataFrame(parts).groupby(table["unit"]).sum().to_numpy()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_moments_of_groups_and_of_all_others(seed):
    table = images(seed)
    units = totals(table)
    for moments, chosen in (
        (units.moments(), lambda g: table["group"] == g),
        (units.moments_of_rest(), lambda g: table["group"] != g),
    ):
        for g in range(4):
            part = table[chosen(g)]
            v = vectors(part)
            assert moments.first[g] == pytest.approx(v.sum(axis=0))
            assert moments.second[g] == pytest.approx(v.T @ v)
            reals, fakes = part[~part["fake"]], part[part["fake"]]
            assert moments.squares[g] == pytest.approx(
                [(reals["weight"] ** 2).sum(), (fakes["weight"] ** 2).sum()]
            )
            counted = [len(reals), reals["wrong"].sum(), len(fakes), fakes["wrong"].sum()]
            assert moments.images[g].tolist() == counted
            assert moments.units[g].tolist() == [one["unit"].nunique() for one in (reals, fakes, part)]
            erring = [one.loc[one["wrong"], "unit"].nunique() for one in (reals, fakes)]
            assert moments.erring[g].tolist() == erring


def test_merging_adds_the_images_of_a_unit_before_anything_is_squared():
    table = images(1)
    merged = totals(table).merge(np.array([0, 1, 0, 1]), 2).moments()
    direct = totals(table.assign(group=table["group"] % 2), 2).moments()
    assert merged.second == pytest.approx(direct.second) and (merged.units == direct.units).all()


def test_taking_groups_keeps_their_order():
    units = totals(images(2))
    assert units.take(np.array([2, 0])).moments().first == pytest.approx(units.moments().first[[2, 0]])
    chosen = np.array([False, True, False, True])
    assert units.take(chosen).moments().first == pytest.approx(units.moments().first[chosen])


def test_an_image_without_a_unit_is_one_of_its_own():
    assert unit_codes(pd.Series(["a", None, "a", np.nan, "b"])).tolist() == [0, 2, 0, 3, 1]


def test_without_weights_every_image_counts_once():
    assert not totals(images(3), weight=False).weighted
    moments = totals(images(3), weight=False).moments()
    assert moments.first == pytest.approx(moments.images)


def trials(seed, n=150, units=9, groups=3):
    """Trials of two units, a third of one; a trial belongs to the group of its first unit."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, units, n), rng.integers(0, units, n)
    second = np.where(rng.random(n) < 0.3, first, second)
    return pd.DataFrame(
        {
            "unit": first, "partner": second, "group": first % groups, "fake": first == second,
            "wrong": rng.random(n) < 0.3, "weight": rng.uniform(0.5, 3, n),
        }
    )  # fmt: skip


def totals_of_trials(table, n_groups=3):
    names = ("unit", "group", "fake", "wrong", "weight", "partner")
    unit, group, fake, wrong, weight, partner = (table[name].to_numpy() for name in names)
    return unit_totals(unit, group, n_groups, fake, wrong, weight, partner)


def sharing(table):
    """bool [N, N]: pairs of trials with a unit in common, themselves included."""
    a, b = table["unit"].to_numpy(), table["partner"].to_numpy()
    return np.logical_or.reduce([x[:, None] == y[None, :] for x in (a, b) for y in (a, b)])


def dyadic(table):
    """Sum of products over all pairs of trials that share a unit, straight from the definition."""
    w, fake, wrong = (table[name].to_numpy() for name in ("weight", "fake", "wrong"))
    columns = np.stack([w * ~fake, w * (~fake & wrong), w * fake, w * (fake & wrong)], axis=1)
    return columns.sum(axis=0), columns.T @ sharing(table) @ columns


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_pairs_of_trials_that_share_a_unit_count_once(seed):
    table = trials(seed)
    whole = totals_of_trials(table)
    for moments, of_group in ((whole.moments(), None), (whole.moments_of_rest(), "rest")):
        for g in range(3):
            rows = table[(table["group"] == g) != (of_group == "rest")]
            first, second = dyadic(rows)
            np.testing.assert_allclose(moments.first[g], first)
            np.testing.assert_allclose(moments.second[g], second)
            assert moments.images[g].sum() == len(rows) + rows["wrong"].sum()
            n_units = len(set(rows["unit"][~rows["fake"]]) | set(rows["partner"][~rows["fake"]]))
            assert moments.units[g, 0] == n_units


def test_merged_and_chosen_groups_of_trials_are_those_of_the_table():
    table = trials(3)
    whole = totals_of_trials(table)
    first, second = dyadic(table)
    merged = whole.merge(np.zeros(3, dtype=int), 1).moments()
    np.testing.assert_allclose(merged.first[0], first)
    np.testing.assert_allclose(merged.second[0], second)
    np.testing.assert_allclose(whole.take(np.array([2])).moments().second[0], whole.moments().second[2])


def test_the_bound_is_half_of_what_goes_together_at_most():
    table = trials(5).assign(fake=False, wrong=False, weight=1.0)
    table = table[table["unit"] != table["partner"]]
    moments = totals_of_trials(table).moments()
    own = totals_of_trials(table).values[:, 0]
    by_group = np.bincount(totals_of_trials(table).group, weights=own**2)
    np.testing.assert_allclose(moments.bound[:, 0, 0], by_group / 2)


def test_influences_of_trials_are_squared_over_pairs_that_share_a_unit():
    table = trials(7)
    rng = np.random.default_rng(1)
    influence = np.abs(rng.normal(size=len(table)))
    columns = (table[name].to_numpy() for name in ("unit", "partner", "group"))
    unit, partner, group = columns
    found = unit_squares(influence, unit, partner, group, 3)
    same = sharing(table) & (group[:, None] == group[None, :])
    for g in range(3):
        rows = group == g
        expected = influence[rows] @ same[np.ix_(rows, rows)] @ influence[rows]
        assert found.square[g] == pytest.approx(expected)
