"""Choosing photos: balanced, reproducible, nested."""

from itertools import product

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import SelectionError
from pipelines.labels import AGES, GENDERS, RACES
from pipelines.sources.selection import select


def population(counts):
    """Rows with counts[i] photos in cell i."""
    cells = product(AGES, GENDERS, RACES)
    labels = [cell for cell, n in zip(cells, counts, strict=False) for _ in range(n)]
    rows = pd.DataFrame(labels, columns=["age", "gender", "race"])
    return rows.assign(pair_id=[f"train-{i:06d}" for i in range(len(rows))])


def sizes(rows):
    return rows.groupby(["age", "gender", "race"]).size()


counts = st.lists(st.integers(1, 6), min_size=1, max_size=20)


@settings(max_examples=40, deadline=None)
@given(counts, st.integers(1, 60), st.integers(0, 5))
def test_limit_is_as_even_as_the_supply_allows(supply, limit, seed):
    rows = population(supply)
    chosen = select(rows, limit=limit, seed=seed)
    assert len(chosen) == min(limit, len(rows))
    taken, there = sizes(chosen).reindex(sizes(rows).index, fill_value=0), sizes(rows)
    exhausted = taken == there
    assert taken.max() - taken[~exhausted].min() <= 1 if (~exhausted).any() else True


@settings(max_examples=30, deadline=None)
@given(counts, st.integers(1, 30), st.integers(1, 30), st.integers(0, 5))
def test_a_larger_limit_contains_the_smaller(supply, small, more, seed):
    rows = population(supply)
    inner, outer = (set(select(rows, limit=n, seed=seed)["pair_id"]) for n in (small, small + more))
    assert inner <= outer


@settings(max_examples=30, deadline=None)
@given(counts, st.integers(1, 8))
def test_per_cell_takes_that_many_of_each(supply, per_cell):
    taken = sizes(select(population(supply), per_cell=per_cell))
    assert (taken == sizes(population(supply)).clip(upper=per_cell)).all()


def test_order_of_the_table_does_not_matter():
    rows = population([5] * 30)
    turned = rows.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(select(rows, limit=40, seed=3), select(turned, limit=40, seed=3))


def test_seed_changes_the_choice_and_result_is_sorted():
    rows = population([5] * 30)
    one, two = select(rows, limit=40, seed=1), select(rows, limit=40, seed=2)
    assert one["pair_id"].is_monotonic_increasing
    assert set(one["pair_id"]) != set(two["pair_id"])


@pytest.mark.parametrize("limit", [7, 18, 63, 100, 200])
def test_every_attribute_is_even_wherever_the_limit_cuts(limit):
    chosen = select(population([3] * 126), limit=limit, seed=1)
    for attribute, words in (("age", AGES), ("gender", GENDERS), ("race", RACES)):
        sizes = chosen[attribute].value_counts().reindex(words, fill_value=0)
        assert sizes.max() - sizes.min() <= 2


def test_no_limit_takes_everything():
    rows = population([3] * 10)
    assert len(select(rows)) == 30


@pytest.mark.parametrize(
    ("asked", "message"), [({"limit": 0}, "--limit is 0"), ({"per_cell": -2}, "--per-cell is -2")]
)
def test_limits_below_one_are_refused(asked, message):
    with pytest.raises(SelectionError, match=message):
        select(population([1]), **asked)
