"""The sums of units against sums over plain tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.data.unit_totals import unit_codes, unit_totals


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
