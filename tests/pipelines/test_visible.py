"""What strangers wrote is shown and not obeyed, wherever it comes out."""

import csv
import io
import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.csv_text import cell, csv_text, frame_text
from pipelines.visible import isolated, visible, visible_record

DIRECTION = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text())
def test_visible_text_is_one_line_and_obeys_nobody(text):
    shown = visible(text)
    assert len(shown.splitlines()) <= 1 and visible(shown) == shown
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(shown) & set(DIRECTION)
    shown.encode("utf-8")


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs", "M"])))
def test_honest_text_stays_as_it_is(text):
    assert visible(text) == text


def test_spelled_out():
    assert visible("a\x1b[31m\u202eb\n\ud800\U000e0001") == r"a\x1b[31m\u202eb\n\ud800\U000e0001"
    assert visible("می\u200cخواهم") == "می\u200cخواهم"


def test_code_points_that_are_no_characters_are_spelled_out():
    assert visible("a\ufffeb\uffff\ufdd0\U0010ffff\ufffd") == r"a\ufffeb\uffff\ufdd0\U0010ffff" + "\ufffd"
    assert visible("\u0378 \ue000") == "\u0378 \ue000"  # not yet assigned; of private use


def test_right_to_left_labels_stand_alone():
    assert isolated("עברית") == "\u2068עברית\u2069"
    assert isolated("\u202eWhite") == r"\u202eWhite"


def test_records_are_made_visible_through_and_through():
    assert visible_record({"\u202ea": ["b\n", ("c\0", 1.5, None)]}) == {
        r"\u202ea": [r"b\n", (r"c\x00", 1.5, None)]
    }


@pytest.mark.parametrize(
    "formula",
    [
        "=cmd|'/C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1+1", "\uff1d1+1",
        "\uff0b1",
        "\uff0d1+1", "\uff20SUM", "\ufe661+1", "\u00a0=1", "-1-cmd|",
    ],
)  # fmt: skip
def test_formulas_are_texts(formula):
    (row,) = csv.reader(io.StringIO(csv_text([formula], [])))
    assert row[0].startswith("'")


@pytest.mark.parametrize("text", ["-0.5", "+1e-3", "White", "", "a=b", "12"])
def test_what_is_no_formula_stays_as_it_is(text):
    assert cell(text) == text


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2)))
def test_every_row_is_one_row(rows):
    read = list(csv.reader(io.StringIO(csv_text(["a", "b"], rows)), strict=True))
    assert len(read) == len(rows) + 1 and all(len(row) == 2 for row in read)


def test_frames():
    frame = pd.DataFrame({"n": [1, 2], "x": [0.1, float("nan")], "who": ["=a", None]})
    assert frame_text(frame) == "n,x,who\r\n1,0.1,'=a\r\n2,,\r\n"
    assert frame_text(frame.set_index("who"), index=True).splitlines()[1] == "'=a,1,0.1"
