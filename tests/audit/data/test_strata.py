"""Columns into strata: ties, constants, words, truth values, holes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.data.strata import NO_STRATUM, Strata, cut, fifths, plain
from audit.errors import GroupError


def strata_of(column: pd.Series) -> Strata:
    return cut(plain(column))


def sizes(strata):
    return np.bincount(strata.of_row[strata.of_row != NO_STRATUM]).tolist()


def test_a_number_is_cut_into_fifths_in_order():
    values = np.random.default_rng(0).permutation(np.arange(100.0))
    strata = strata_of(pd.Series(values))
    assert strata.kind == "fifths" and sizes(strata) == [20] * 5
    assert strata.names[0] == "0 to 19" and strata.names[-1] == "80 to 99"
    np.testing.assert_array_equal(strata.of_row, values // 20)


def test_few_values_stay_as_they_are():
    strata = strata_of(pd.Series([80, 90, 80, 95, np.nan]))
    assert (strata.kind, strata.names) == ("values", ["80", "90", "95"])
    assert strata.of_row.tolist() == [0, 1, 0, 2, NO_STRATUM]


@pytest.mark.parametrize("tie", [0.0, 1.0])
def test_equal_values_stay_together_and_apart_from_the_others(tie):
    values = np.r_[np.full(90, tie), np.linspace(0.2, 0.8, 10)]
    of_row = fifths(values)
    assert len(set(of_row[:90])) == 1
    assert not set(of_row[:90]) & set(of_row[90:])


def test_ties_across_a_cut_go_to_one_side():
    values = np.repeat(np.arange(7.0), 10)
    of_row = fifths(values)
    assert all(len(set(of_row[values == v])) == 1 for v in range(7))
    assert (np.diff(of_row) >= 0).all()


def test_a_constant_is_one_stratum():
    assert strata_of(pd.Series([0.5] * 9)).names == ["0.5"]


def test_words_and_truth_values_are_taken_as_they_are():
    strata = strata_of(pd.Series(["png", " jpeg", "png ", "", None]))
    assert (strata.kind, strata.names) == ("values", ["jpeg", "png"])
    assert strata.of_row.tolist() == [1, 0, 1, NO_STRATUM, NO_STRATUM]
    flags = strata_of(pd.Series([True, False, None], dtype="boolean"))
    assert flags.names == ["False", "True"] and flags.of_row.tolist() == [1, 0, NO_STRATUM]


def test_text_of_numbers_is_a_number():
    texts = pd.Series([str(v / 100) for v in range(50)], dtype="str")
    np.testing.assert_array_equal(strata_of(texts).of_row, strata_of(texts.astype(float)).of_row)
    whole = pd.Series(range(50), dtype="Int64").mask(pd.Series(range(50)) == 3)
    assert strata_of(whole).of_row[3] == NO_STRATUM and strata_of(whole).kind == "fifths"


def test_a_category_column_is_like_its_words():
    words = pd.Series(["a", "b", None, "a"])
    np.testing.assert_array_equal(strata_of(words.astype("category")).of_row, strata_of(words).of_row)


def test_nothing_but_holes():
    strata = strata_of(pd.Series([np.nan, np.nan]))
    assert strata.names == [] and strata.of_row.tolist() == [NO_STRATUM, NO_STRATUM]


def test_close_values_keep_names_apart():
    strata = strata_of(pd.Series(0.999 + np.arange(50) / 1e6))
    assert len(set(strata.names)) == 5


def test_rows_of_a_prepared_column_keep_its_kind():
    column = plain(pd.Series(["1", "2", "unknown", "2"]))
    assert cut(column[:2]).names == ["1", "2"] and cut(column[1:]).names == ["2", "unknown"]
    assert cut(column[1:]).of_row.tolist() == [0, 1, 0] and cut(column[:2]).kind == "values"


def test_an_identifier_is_refused():
    with pytest.raises(
        GroupError, match="'name' has 600 different values that are not all numbers \\('p0' is not"
    ):
        strata_of(pd.Series([f"p{i}" for i in range(600)], name="name"))
