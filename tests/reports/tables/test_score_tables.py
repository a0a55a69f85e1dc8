"""Scores by group on the page: tables, and the sentence that names only what is proven."""

from __future__ import annotations

from audit.schema.result import KindRate, WorstKind
from reports.tables.score_tables import (
    calibration_sentence,
    calibration_table,
    fixed_fpr_table,
    kinds_sentence,
    kinds_table,
    score_sentence,
    shift_table,
    shifted,
)

RACE = {"race": ["White", "Black", "Indian"]}


def test_a_planted_shift_is_named_and_nobody_else_is(build):
    result = build(RACE, n=3000, shift={"Black": 1.1})
    assert {(one.group, one.label) for one in shifted(result)} >= {("Black", "real")}
    told = score_sentence(result)
    assert told.startswith("Whatever the threshold, scores are proven to be shifted (95%")
    assert "among real images, one of race Black scores higher than one of the others" in told


def test_equal_groups_are_not_named(build):
    told = score_sentence(build(RACE, n=600, shift={}, seed=4))
    assert told.startswith("Whatever the threshold: no group’s scores are proven to lie higher or lower")


def test_tables_have_a_row_a_group(build):
    result = build(RACE, n=600)
    assert [row["group"] for row in shift_table(result, "race").rows] == sorted(RACE["race"])
    fixed = fixed_fpr_table(result, "race")
    assert {"fnr 0.01", "fnr 0.05", "fnr 0.1"} <= {column.key for column in fixed.columns}
    assert [row["group"] for row in calibration_table(result, "race").rows] == [
        "All images",
        *sorted(RACE["race"]),
    ]
    assert calibration_sentence(result) == ""


def test_a_record_without_scores_says_nothing(build):
    result = build(RACE, n=300).model_copy(
        update={"score_shifts": [], "calibration": [], "calibration_reason": "not asked", "fnr_at_fpr": []}
    )
    assert score_sentence(result) == ""
    assert shift_table(result, "race").rows == []
    assert calibration_sentence(result) == "Calibration by group is not given: not asked."


def test_kinds_have_a_table_and_a_sentence(build):
    result = build(RACE, n=400)
    assert kinds_sentence(result) == ""
    shares = {
        ("overall", "gan"): 0.1,
        ("overall", "swap"): 0.2,
        ("Black", "gan"): 0.3,
        ("Black", "swap"): 0.2,
    }
    place = {"overall": "overall", "Black": "race"}
    many = result.model_copy(
        update={
            "kind_rates": [
                KindRate(attribute=place[g], group=g, kind=k, n_fake=200, apcer=p, interval=(p / 2, 2 * p))
                for (g, k), p in shares.items()
            ],
            "worst_kinds": [
                WorstKind(attribute="overall", group="overall", kind="swap", apcer=0.2, interval=(0.1, 0.4)),
                WorstKind(attribute="race", group="Black", kind="gan", apcer=0.3, interval=(0.15, 0.6)),
            ],
        }
    )
    rows = kinds_table(many, "race").rows
    assert [row["group"] for row in rows] == ["All fakes", "Black"]
    assert (rows[1]["worst"], rows[1]["apcer swap"]) == ("gan", 0.2)
    told = kinds_sentence(many)
    assert told.startswith("By kind of fake, swap passes most as seen: 20.0% of its fakes")
    assert "gan of race Black, 30.0% (15.0–60.0%); the highest of many is too high on average." in told
