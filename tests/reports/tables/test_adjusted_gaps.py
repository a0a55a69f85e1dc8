"""Adjusted gaps in words and tables."""

import math

import pytest

from audit.schema.result import AdjustedGap, Stratum
from reports.pages.report_page import build
from reports.tables.adjusted_gaps import (
    context,
    doubts,
    held_table,
    lines,
    meaning,
    nouns,
    strata_table,
    told,
)
from reports.tables.report_tables import write_tables

STRATA = [
    Stratum(name="0.2 to 0.5", worst_errors=30, worst_images=150, best_errors=4, best_images=50),
    Stratum(name="0.5 to 0.9", worst_errors=5, worst_images=50, best_errors=0, best_images=0),
]


def gap(
    raw=0.174, raw_interval=(0.12, 0.22), adjusted=0.12, interval=(0.091, 0.149), among=None,
    part=(0.02, 0.088), **more,
):  # fmt: skip
    return AdjustedGap(
        **dict(
            attribute="race",
            rate="fnr",
            column="reconstruction_ms_ssim",
            kind="fifths",
            worst_group="Black",
            best_group="White",
            raw=raw,
            raw_interval=raw_interval,
            raw_taking_part=raw if among is None else among,
            adjusted=adjusted,
            interval=interval,
            part_interval=part,
            n_images=250,
            n_taking_part=250,
            n_missing=0,
            strata=STRATA,
        )
        | more
    )


def test_the_numbers_stand_beside_each_other(result):
    [(key, shown)] = lines(result.model_copy(update={"adjusted_gaps": [gap()]})).items()
    assert key == ("race", "fnr")
    assert shown.raw == "17.4 points raw"
    [line] = shown.adjusted
    assert line.startswith("12 points (9.1 to 14.9) among fakes of equal quality (MS-SSIM).")
    assert line.endswith("All 250 images of the two groups were used.")


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({}, "About 31% of the gap (2 to 8.8 points) goes with the quality of the fake (MS-SSIM); the rest"),
        ({"part": (-0.01, 0.1)}, "one remains. Whether it has a part in the gap cannot be told."),
        ({"part": None}, "one remains. Whether it has a part in the gap cannot be told."),
        ({"adjusted": 0.17, "interval": (0.11, 0.23), "part": (-0.03, 0.03)}, "not explained by the quality"),
        ({"adjusted": 0.25, "interval": (0.2, 0.3), "part": (-0.1, -0.03)}, "differences in it hid part"),
        ({"adjusted": 0.25, "interval": (0.2, 0.3), "part": (-0.16, 0.01)}, "Whether it has a part"),
        (
            {"adjusted": 0.02, "interval": (-0.02, 0.06), "part": (0.05, 0.25)},
            "About 89% of the gap (5 to 25 points) goes with the quality of the fake (MS-SSIM); among images "
            "alike in it, a gap is neither shown nor ruled out.",
        ),
        ({"adjusted": -0.02, "interval": (-0.06, 0.02), "part": (0.05, 0.3)}, "About 100% of the gap"),
        (
            {"adjusted": 0.02, "interval": (-0.02, 0.06), "part": (-0.01, 0.31)},
            "Inconclusive: too few fakes of equal quality (MS-SSIM) to say whether the gap remains, or "
            "whether a part of it goes with the quality of the fake (MS-SSIM).",
        ),
        (
            {"adjusted": 0.15, "interval": (-0.02, 0.32), "part": (0.01, 0.03)},
            "too few fakes of equal quality (MS-SSIM) to say whether the gap remains",
        ),
        ({"adjusted": -0.1, "interval": (-0.14, -0.06)}, "the other group fares worse"),
        ({"raw_interval": (-0.01, 0.3), "interval": (-0.1, 0.3)}, "is shown to differ from zero"),
        ({"among": -0.01, "part": (-0.2, -0.05)}, "differences in it hid part"),
        ({"interval": None}, "the adjustment says nothing"),
        (
            {"adjusted": math.nan, "interval": None, "reason": "no image has a value"},
            "Not adjusted: no image",
        ),
    ],
)
def test_words_follow_the_interval(numbers, words):
    assert words in meaning(gap(**numbers))


APART = {
    "adjusted": math.nan,
    "interval": None,
    "separable": False,
    "reason": "the groups do not overlap in blur: the two cannot be separated",
}


def test_what_cannot_be_separated_is_said_where_the_raw_gap_is_shown(result, judge):
    found = judge(result, ("race", "fnr", "disparity"), ("gender", "fnr", "within tolerance"))
    record = found.model_copy(update={"adjusted_gaps": [gap(**APART)]})
    [shown] = lines(record).values()
    assert shown.adjusted == [
        "Whether it comes from the quality of the fake (MS-SSIM) cannot be told: the groups do not overlap "
        "in blur."
    ]
    assert doubts(record) == [
        "Whether the gap by race in fakes let through comes from the quality of the fake (MS-SSIM) cannot be "
        "told: the groups do not overlap in blur."
    ]
    hidden = found.model_copy(update={"adjusted_gaps": [gap(raw_interval=(-0.1, 0.3), **APART)]})
    assert lines(hidden) == {}


def test_several_columns_are_named_together():
    both = gap(
        column="a and reconstruction_l1", columns=["a", "reconstruction_l1"], kind="together", strata=[]
    )
    assert "among images of equal “a” and fakes equally close to their photos (L1)." in told(both)


def test_who_took_no_part_is_told():
    text = told(gap(n_taking_part=200, n_missing=12, among=0.15))
    assert "200 of 250 images of the two groups were used (12 have no value, 38 have no counterpart" in text
    assert text.endswith("the raw gap among them is 15 points.")


def test_a_column_of_the_users_own_keeps_its_name():
    assert nouns(gap(column="jpeg_quality")) == "“jpeg_quality”"


def test_gaps_that_are_not_shown_stay_in_the_table(result):
    dull = gap(raw_interval=(-0.01, 0.3), interval=(-0.1, 0.3))
    record = result.model_copy(update={"adjusted_gaps": [dull]})
    assert lines(record) == {} and len(held_table(record).rows) == 1
    assert context(result.model_copy(update={"adjusted_gaps": []})) == {
        "held": {},
        "held_doubts": [],
        "held_tables": [],
    }


def test_an_empty_side_of_a_stratum_is_no_data(result):
    table = strata_table(result.model_copy(update={"adjusted_gaps": [gap()]}))
    assert [c.show(table.rows[1]) for c in table.columns][-3:] == ["White", "0", "no data"]


@pytest.mark.slow
def test_page_and_files_hold_them_and_names_are_text(result, write):
    hostile = gap(column="<b>blur</b>", adjusted=0.13)
    record = result.model_copy(update={"adjusted_gaps": [gap(), hostile]})
    folder = write(record)
    html = build(folder, record, {}, images=False)
    assert 'id="held"' in html and html.count('href="#held"') >= 1
    assert "12 points" in html and "&lt;b&gt;blur" in html and "<b>blur" not in html
    assert 'id="held"' not in build(folder, result, {}, images=False)
    [path] = [p for p in write_tables(folder) if p.stem == "adjusted_gaps"]
    assert "raw_interval_low" in path.read_text() and len(path.read_text().splitlines()) == 3


def test_a_disparity_that_mostly_goes_away_is_doubted_on_the_first_screen(result, judge, write):
    found = judge(result, ("race", "fnr", "disparity"), ("gender", "fnr", "within tolerance"))
    gone = gap(adjusted=0.03, interval=(-0.01, 0.07))
    record = found.model_copy(update={"adjusted_gaps": [gone, gap(), gap(attribute="gender", adjusted=0.01)]})
    unsure = gone.model_copy(update={"part_interval": (-0.01, 0.3)})
    assert doubts(found.model_copy(update={"adjusted_gaps": [unsure]})) == []
    [text] = doubts(record)
    assert text.startswith("Fakes let through, by race: of the gap of 17.4 points, 3 points (−1 to 7) remain")
    answer = build(write(record), record, {}, images=False).split('id="affected"')[0]
    assert "of the gap of 17.4 points" in answer
