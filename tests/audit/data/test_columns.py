"""Columns found whatever their capitals, and none left unaudited without a word."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.data.columns import (
    find_attributes,
    kind_column,
    plain_columns,
    resolved,
    unaudited,
    usual_attributes,
)
from audit.data.score_file import read_scores
from audit.data.score_table import score_table
from audit.errors import GroupError, MissingColumnError, ScoreTableError, UnitError, WeightError
from audit.runs.score_audit import audit_file, audit_score_file, audit_scores, audit_table

CONFIG = AuditConfig(n_boot=100)


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 400
    return pd.DataFrame(
        {
            "Label": np.arange(n) % 2,
            "SCORE": rng.uniform(size=n),
            "Pair_ID": [f"p{i // 2}" for i in range(n)],
            "Race": np.repeat(["a", "b"], n // 2),
            "Age": np.repeat(rng.integers(1, 90, n // 2), 2),
            "camera": np.repeat(rng.choice(["x", "y"], n // 2), 2),
            "path": [f"{i}.png" for i in range(n)],
            "row": np.arange(n),
            "town": [f"town {i // 8}" for i in range(n)],
        }
    )


SAID = (
    "Columns not audited: Age ({} values; give it bin edges: --bins Age=18,40,65), camera (2 values; to "
    "audit it: --attribute camera), town (50 values)."
)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_unaudited_columns_are_named(frame, tmp_path, suffix):
    path, said = tmp_path / f"s.{suffix}", SAID.format(frame.Age.nunique())
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    found = audit_file(path, tmp_path / "run", CONFIG)
    assert found.config.attributes == ["Race"]
    assert found.data.n_pairs == 200
    assert said in found.notes
    assert said in audit_scores(frame, CONFIG).notes
    written = pd.read_parquet(tmp_path / "run" / "scores.parquet")
    assert {"label", "score", "pair_id", "Race"} <= set(written.columns)


def test_sex_and_ethnicity_are_usual_attributes_too(frame):
    said = (
        frame.drop(columns="Age").rename(columns={"Race": "Ethnicity", "camera": "SEX"}).assign(glasses="no")
    )
    assert find_attributes(said, CONFIG) == ["SEX", "Ethnicity"]
    assert find_attributes(said.assign(race=said.Ethnicity), CONFIG) == ["SEX", "race"]


def test_bins_make_a_number_an_attribute_whatever_the_capitals(frame, tmp_path):
    frame.to_csv(tmp_path / "s.csv", index=False)
    config = AuditConfig(bins={"age": [18.0, 65.0]}, n_boot=100)
    table = score_table(read_scores(tmp_path / "s.csv", config).frame, config)
    assert dict(zip(table.cells.attributes, table.cells.levels, strict=True))["Age"] == [
        "<18", "18 to <65", ">=65",
    ]  # fmt: skip


def test_words_for_no_value_do_not_make_groups_of_years(frame, tmp_path):
    person = np.arange(len(frame)) // 2
    frame = frame.assign(Age=np.where(person % 9 == 0, "n/a", (18 + person % 40).astype(str)))
    frame.to_csv(tmp_path / "s.csv", index=False)
    audited = audit_score_file(tmp_path / "s.csv", AuditConfig(n_boot=100)).result
    assert "Age" not in audited.config.attributes
    assert any("give it bin edges: --bins Age=18,40,65" in note for note in audited.notes)
    with pytest.raises(
        GroupError, match=r"^attribute 'Age' has bin edges but holds 'n/a', no numbers; .*missing=n/a "
    ):
        audit_scores(frame, AuditConfig(n_boot=100, bins={"Age": (30,)}))


def test_bins_of_any_column_audit_it(frame):
    extra = frame.assign(income=np.repeat(np.arange(200), 2))
    table = score_table(extra, AuditConfig(bins={"income": [50.0]}))
    assert table.cells.attributes == ["Race", "income"]
    with pytest.raises(MissingColumnError, match="no column 'incme'"):
        score_table(extra, AuditConfig(bins={"incme": [50.0]}))


def test_nothing_is_said_where_attributes_were_chosen(frame):
    notes = audit_scores(frame, AuditConfig(attributes=["camera"], n_boot=100)).notes
    assert not any("not audited" in note for note in notes)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weight_column": "label"}, WeightError, "--weight-column Label is the column of the labels; name"),
        ({"weight_column": "score"}, WeightError, "--weight-column SCORE is the column of the scores; name"),
        (
            {"unit_column": "label"},
            UnitError,
            "--unit-column Label is the column of the labels; name another",
        ),
        (
            {"unit_column": "race", "weight_column": "race"},
            UnitError,
            "--unit-column Race is .* the weights;",
        ),
        (
            {"attributes": ["label"]},
            GroupError,
            "--attribute Label is the column of the labels; name another",
        ),
        ({"bins": {"score": [0.5]}}, GroupError, "--bins SCORE is the column of the scores; name another"),
    ],
)
def test_a_column_has_one_role(frame, options, error, message):
    with pytest.raises(error, match=f"^{message}"):
        audit_table(frame, AuditConfig(**options))


def test_two_spellings_are_two_columns(frame):
    both = frame.assign(race=frame.camera, RACE="z")
    assert find_attributes(both, CONFIG) == ["race"]
    assert " Race (2 values" in (unaudited(both, CONFIG, ["race"]) or "")
    assert find_attributes(both.drop(columns="race"), CONFIG) == ["Race", "camera"]


def test_only_years_of_age_ask_for_bins(frame):
    years = frame[["Label", "SCORE", "Age"]].rename(columns={"Label": "label", "SCORE": "score"})
    with pytest.raises(GroupError, match="--bins Age=18,40,65"):
        find_attributes(years, CONFIG)


def test_many_columns_are_counted(frame):
    wide = frame.assign(**{f"x{i}": 0 for i in range(20)})
    assert (unaudited(wide, CONFIG, ["Race"]) or "").endswith("and 15 more.")


def test_a_file_judged_by_its_first_rows_says_so(frame):
    assert "camera (2 values or more; to audit it" in (unaudited(frame, CONFIG, ["Race"], whole=False) or "")


@pytest.mark.parametrize(
    "word", ["", "real", "none", "bona fide", "bonafide", "original", "0", " Real ", None]
)
def test_what_stands_for_no_kind_beside_a_real_image(word):
    frame = pd.DataFrame({"Kind": [word, "swap", word, "gan"]})
    fake = np.array([False, True, False, True])
    assert kind_column(frame, fake) == "Kind"
    assert kind_column(frame.assign(Kind=["phone", "swap", word, "gan"]), fake) is None
    assert kind_column(frame.assign(Kind=[word, None, word, None]), fake) is None
    assert kind_column(frame, np.zeros(4, bool)) is None and kind_column(frame[[]], fake) is None


def test_columns_of_this_programs_own_tables_are_no_attributes():
    own = ["image_id", "pair_id", "status", "detail", "sha256", "overall", "source", "label", "score", "a:b"]
    frame = pd.DataFrame({name: ["x", "y"] for name in [*own, "site", "person", "w"]})
    config = AuditConfig(unit_column="person", weight_column="w")
    assert find_attributes(frame, config) == ["site"]
    assert find_attributes(frame, AuditConfig()) == ["site", "person", "w"]
    with pytest.raises(
        GroupError, match=r"^no attribute to audit among the columns .*, sha256, .*=18,40,65$"
    ):
        find_attributes(frame[own], AuditConfig())


def test_a_column_of_one_or_of_21_values_is_no_attribute():
    frame = pd.DataFrame({"label": 0, "score": 0.5, "one": "x", "many": [f"v{i}" for i in range(21)],
                          "twenty": [f"v{i % 20}" for i in range(21)], "two": list("ab" * 10 + "a"),
                          "decision": ["real", "FAKE", "Fake"] * 7,
                          "kind": ["swap", None, "real"] * 7})  # fmt: skip
    assert find_attributes(frame, AuditConfig()) == ["twenty", "two"]
    assert find_attributes(frame, AuditConfig(attributes=("many",))) == ["many"]


def test_a_number_of_more_than_20_values_waits_for_edges():
    ages = pd.DataFrame({"age": [*range(21), "n/a"], "gender": list("fm" * 11)})
    assert usual_attributes(ages, AuditConfig()) == {"gender": None}
    assert usual_attributes(ages[ages["age"] != 20], AuditConfig()) == {"age": None, "gender": None}
    assert usual_attributes(ages, AuditConfig(bins={"age": (9.0,)})) == {"age": None, "gender": None}
    words = ages.assign(age=[f"{i} to {i + 1}" for i in range(22)])
    assert usual_attributes(words, AuditConfig()) == {"age": None, "gender": None}


def test_columns_of_lists_are_left_out_and_two_of_one_name_refused():
    frame = pd.DataFrame({"label": [0, 1], 7: [1, 2], "box": [[1, 2], None], "code": ["a", "b"]})
    plain, left = plain_columns(frame)
    assert list(plain.columns) == ["label", "7", "code"] and left == ["box"]
    same, none = plain_columns(plain)
    assert same is plain and none == []
    with pytest.raises(
        ScoreTableError, match=r"^the score table has two columns '7'; rename or drop one of them$"
    ):
        plain_columns(frame.assign(**{"7": 0}))


def test_every_name_in_the_options_is_found_in_the_tables_spelling():
    names = ["Label", "SCORE", "Image-ID", "Pair ID", "Race", "Light", "Person", "W", "Age"]
    config = resolved(
        AuditConfig(
            attributes=("race", "age", "RACE", "hat"), controls=("light", "LIGHT"), bins={"AGE": (9.0,)},
            references={"race": "A"}, unit_column="person", weight_column="w",
        ),
        names,
    )  # fmt: skip
    roles = config.columns
    assert (roles.label, roles.score, roles.image_id, roles.pair_id) == (
        "Label",
        "SCORE",
        "Image-ID",
        "Pair ID",
    )
    assert config.attributes == ("Race", "Age", "hat") and config.controls == ("Light",)
    assert config.bins == {"Age": (9.0,)} and config.references == {"Race": "A"}
    assert (config.unit_column, config.weight_column) == ("Person", "W")


def test_names_that_number_rows_are_missed_by_nobody():
    n = 60
    frame = pd.DataFrame(
        {"label": 0, "score": 0.5, "race": "x", "row": range(n), "path": [f"p{i}" for i in range(n)],
         "half": [f"h{i // 2}" for i in range(n)], "most": [f"m{max(i, 29)}" for i in range(n)],
         "blur": np.arange(n) / 7, "kind": None, "one": 1}
    )  # fmt: skip
    assert unaudited(frame, AuditConfig(), ["race"]) == (
        "Columns not audited: half (30 values), blur (60 values; give it bin edges: --bins blur=EDGE,EDGE), "
        "one (1 value)."
    )
    assert unaudited(frame, AuditConfig(controls=("half", "blur", "one")), ["race"]) is None
