"""The tables of realism: kinds together, groups apart, nothing where the dataset said nothing."""

import math

from audit.schema.result import Realism
from reports.pages import report_page
from reports.tables.realism import by_group, by_kind, context


def one(kind, attribute="overall", group="all", **values):
    return Realism(kind=kind, attribute=attribute, group=group, n_pairs=40, **values)


REALISM = [
    one(
        "small",
        psnr_db=31.26,
        face_found=0.98,
        n_face_lost=3,
        n_face_gained=1,
        difficulty=0.8,
        difficulty_low=0.72,
        difficulty_high=0.86,
        by_frequencies=0.7,
        by_residuals=0.6,
        file_auc=0.6,
    ),
    one("small", "race", "Black", psnr_db=30.0, difficulty=0.9, n_held_out=12),
    one("small", "race", "White", psnr_db=32.0),
    one("swap"),
    one("swap", "race", "Black"),
]


def shown(table):
    return [[column.show(row) for column in table.columns] for row in table.rows]


def test_kinds_stand_together_and_groups_apart(build):
    result = build({"race": ["Black", "White"]}, n=300).model_copy(update={"realism": REALISM})
    small, swap = shown(by_kind(result))
    wanted = ["small", "40", "31.3", "no data", "98.0%", "3", "1", "no data", "0.800"]
    assert small == [*wanted, "0.720", "0.860", "0.700", "0.600", "0.600"]
    assert swap[0] == "swap" and set(swap[2:]) == {"no data", "–"}
    assert [row[:2] for row in shown(by_group(result, "race"))] == [
        ["small", "Black"],
        ["small", "White"],
        ["swap", "Black"],
    ]


def test_the_sentence_names_kinds_with_a_number_alone(build):
    result = build({"race": ["Black", "White"]}, n=300).model_copy(update={"realism": REALISM})
    told = context(result)
    assert told["realism_sentence"] == "Difficulty with its 95 % interval: small 0.80 (0.72 to 0.86)."
    assert [table.name for table in told["realism_groups"]] == ["realism-race"]
    few = result.model_copy(update={"realism": [one("swap")]})
    assert "too few pairs" in context(few)["realism_sentence"]


def test_the_page_shows_the_section_where_the_record_has_it(build, tmp_path):
    result = build({"race": ["Black", "White"]}, n=300)
    told = report_page.build(tmp_path, result.model_copy(update={"realism": REALISM}), {}, images=False)
    assert "How real are the fakes" in told and "small 0.80 (0.72 to 0.86)" in told
    assert "realism-race.csv" in told
    assert "How real are the fakes" not in report_page.build(tmp_path, result, {}, images=False)


def test_a_record_without_realism_has_no_section(build):
    result = build({"race": ["Black", "White"]}, n=300)
    assert context(result)["realism_kinds"] is None and math.isnan(one("swap").difficulty)
