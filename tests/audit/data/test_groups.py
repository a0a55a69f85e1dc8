"""Cells, groupings and the names of groups."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from audit.data.groups import CROSSED, MISSING, cells_of, coded, many_numbers, natural_key, whole
from audit.errors import GroupError


def test_groupings_of_three_attributes():
    frame = pd.DataFrame({"age": ["3-9", "10-19"] * 4, "gender": list("FFMM") * 2, "race": list("ab") * 4})
    cells, _ = cells_of(frame, ["age", "gender", "race"], {})
    assert [g.attribute for g in cells.groupings()] == [
        "age", "gender", "race", "age:gender", "age:race", "gender:race", "age:gender:race"
    ]  # fmt: skip


@pytest.mark.parametrize(("names", "expected"), [(["a"], ["a"]), (["a", "b"], ["a", "b", "a:b"])])
def test_groupings_of_fewer(names, expected):
    frame = pd.DataFrame({"a": list("xy"), "b": list("uv")})
    assert [g.attribute for g in cells_of(frame, names, {})[0].groupings()] == expected


def test_groupings_of_four_attributes_leave_out_the_threefold_ones():
    frame = pd.DataFrame({name: list("xy") for name in "abcd"})
    names = [g.attribute for g in cells_of(frame, list("abcd"), {})[0].groupings()]
    assert len(names) == 4 + 6 + 1 and names[-1] == "a:b:c:d"


def test_rows_and_groups_match():
    frame = pd.DataFrame({"age": ["10-19", "3-9", "10-19"], "race": ["b", "a", "a"]})
    cells, cell = cells_of(frame, ["age", "race"], {})
    both = cells.grouping([0, 1])
    assert [both.names[both.of_cell[c]] for c in cell] == ["10-19:b", "3-9:a", "10-19:a"]
    assert cells.grouping([0]).names == ["3-9", "10-19"]


def test_natural_order():
    ages = ["more than 70", "10-19", "3-9", "0-2", MISSING]
    assert sorted(ages, key=natural_key) == ["0-2", "3-9", "10-19", "more than 70", MISSING]


def test_missing_labels_are_a_group_of_their_own():
    cells, cell = cells_of(pd.DataFrame({"race": ["a", None, "b", np.nan, "  "]}), ["race"], {})
    grouping = cells.grouping([0])
    assert grouping.names == ["a", "b", MISSING]
    assert grouping.known.tolist() == [True, True, False]
    assert [grouping.names[grouping.of_cell[c]] for c in cell] == ["a", MISSING, "b", MISSING, MISSING]


def test_numbers_with_edges():
    frame = pd.DataFrame({"age": [5, 18, 39.9, 40, 90, np.nan]})
    cells, cell = cells_of(frame, ["age"], {"age": [18, 40]})
    names = cells.grouping([0]).names
    assert names == ["<18", "18 to <40", ">=40", MISSING]
    assert [names[c] for c in cell] == ["<18", "18 to <40", "18 to <40", ">=40", ">=40", MISSING]
    with pytest.raises(
        GroupError,
        match=r"^attribute 'age' has bin edges but holds .*, no numbers; correct them, or say --read ",
    ):
        cells_of(pd.DataFrame({"age": ["old"]}), ["age"], {"age": [18]})


def test_ages_in_years_are_said_to_be_many_groups():
    """63 groups of one age each were audited without a hint."""
    ages = pd.DataFrame({"age": np.arange(63) + 18, "race": np.tile(list("abc"), 21)})
    cells = cells_of(ages, ["age", "race"], {})[0]
    assert many_numbers(cells, {}) == [
        "age holds 63 different numbers, each a group: give ranges with --bins age=18,40,65."
    ]
    assert many_numbers(cells_of(ages, ["age", "race"], {"age": (40,)})[0], {"age": (40,)}) == []


def test_whole_numbers_do_not_get_a_decimal_point():
    cells, _ = cells_of(pd.DataFrame({"level": [1.0, 2.0, 10.0]}), ["level"], {})
    assert cells.grouping([0]).names == ["1", "2", "10"]


def test_a_group_named_like_the_total_is_a_group():
    cells, _ = cells_of(pd.DataFrame({"race": ["overall", "a"]}), ["race"], {})
    assert cells.grouping([0]).names == ["a", "overall"]
    assert whole(2).names == ["overall"] and len(whole(2)) == 1


@pytest.mark.parametrize("names", [["①", "a", "10"], ["²", "2"], ["٣", "2"]])
def test_groups_of_any_sign_are_sorted(names):
    """A circled one is a digit and no number."""
    assert set(sorted(names, key=natural_key)) == set(names)


@pytest.mark.parametrize(
    ("edges", "names"),
    [
        ([18, 40.5], ["<18", "18 to <40.5", ">=40.5"]),
        ([20000105, 20000110], ["<20000105", "20000105 to <20000110", ">=20000110"]),
        ([0.30000001, 0.30000002], ["<0.30000001", "0.30000001 to <0.30000002", ">=0.30000002"]),
        ([1e6], ["<1000000", ">=1000000"]),
        ([1 / 3, 1e30], ["<0.333333", "0.333333 to <1e+30", ">=1e+30"]),
    ],
)
def test_bins_have_names_that_tell_them_apart(edges, names):
    frame = pd.DataFrame({"x": [edges[0] - 1, *edges]})
    cells, _ = cells_of(frame, ["x"], {"x": edges})
    assert cells.levels == [names]


@pytest.mark.parametrize(
    ("values", "edges", "said"),
    [
        (
            ["a:b", "c"], None,
            "value 'a:b' of attribute 'race' contains ':', which joins the parts of an intersection; "
            "rename it, or name the attributes that are to be audited",
        ),
        (
            ["\ud800", "c"], None,
            r"value '\ud800' of attribute 'race' is no valid text; it was read in the wrong encoding",
        ),
        (
            [f"v{i}" for i in range(501)], None,
            "attribute 'race' has 501 different values, more than 500; give bin edges for a number, or do "
            "not audit it",
        ),
        (
            ["old", 3, "young", None], [1],
            "attribute 'race' has bin edges but holds 'old', 'young', no numbers; correct them, or say "
            "--read missing=old,young where they mean no value",
        ),
        (
            ["x y"], [1],
            "attribute 'race' has bin edges but holds 'x y', no numbers; correct them, or say --read "
            "'missing=x y' where they mean no value",
        ),
    ],
)  # fmt: skip
def test_values_that_cannot_be_groups_are_refused_with_the_reason(values, edges, said):
    frame = pd.DataFrame({"race": pd.Series(values, dtype=object)})
    with pytest.raises(GroupError, match=f"^{re.escape(said)}$"):
        cells_of(frame, ["race"], {"race": edges} if edges else {})


def test_as_many_values_and_combinations_as_are_allowed_are_cells():
    n = 2**15 - 1
    frame = pd.DataFrame({"a": np.arange(n) % 500, "b": np.arange(n) // 500, "c": 0})
    cells, cell = cells_of(frame, ["a", "b", "c"], {})
    assert len(cells) == n and cells.codes.shape == (n, 3)
    assert (cells.codes[cell] == frame[["a", "b", "c"]]).all(axis=None)
    more = pd.DataFrame({"a": np.arange(n + 1) % 500, "b": np.arange(n + 1) // 500})
    with pytest.raises(
        GroupError, match=r"^32,768 combinations of a, b occur, more than 32,767; name fewer attr"
    ):
        cells_of(more, ["a", "b"], {})


def test_an_intersection_of_more_groups_than_can_be_read_is_left_out():
    def groupings(n):
        frame = pd.DataFrame({"a": np.arange(n) % 500, "b": np.arange(n) // 500, "c": np.arange(n) % 2})
        cells, _ = cells_of(frame, ["a", "b", "c"], {})
        return [(one.attribute, len(one)) for one in cells.groupings()], cells.unreadable()

    whole, left_out = groupings(1000)
    assert whole[3:] == [("a:b", 1000), ("a:c", 500), ("b:c", 4), ("a:b:c", 1000)] and left_out == {}
    fewer, left_out = groupings(1001)
    assert fewer == [("a", 500), ("b", 3), ("c", 2), ("a:c", 500), ("b:c", 5)]
    assert left_out == {"a:b": 1001, "a:b:c": 1001}


def test_categories_that_do_not_occur_are_no_groups():
    column = pd.Series(pd.Categorical.from_codes([2, 0, -1, 2], ["x", "unused", "a"]))
    cells, cell = cells_of(pd.DataFrame({"race": column}), ["race"], {})
    assert cells.levels == [["a", "x", MISSING]] and cell.tolist() == [0, 1, 2, 0]
    codes, values = coded(column)
    assert codes.tolist() == [1, 0, -1, 1] and list(values) == ["x", "a"]


def test_trials_of_two_groups_are_a_group_of_their_own_beside_bins():
    frame = pd.DataFrame({"age": [20, CROSSED, 50, None]}, dtype=object)
    cells, cell = cells_of(frame, ["age"], {"age": [40]})
    grouping = cells.grouping([0])
    assert grouping.names == ["<40", ">=40", CROSSED, MISSING]
    assert grouping.known.tolist() == [True, True, False, False] and cell.tolist() == [0, 2, 1, 3]


def test_many_numbers_are_more_than_twenty():
    def said(values):
        return many_numbers(cells_of(pd.DataFrame({"x": values}), ["x"], {})[0], {})

    assert said([*range(20), None]) == [] and said([*range(20), "old"]) == []
    assert said([*range(21), None]) == [
        "x holds 21 different numbers, each a group: give ranges with --bins x=EDGE,EDGE."
    ]
