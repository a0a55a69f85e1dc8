"""Tables of trials as others write them, and what is said of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig, Columns
from audit.data.score_file import read_trials
from audit.data.trials import PARTNER, SPEAKER, as_trials, paired_columns
from audit.errors import LabelError, MissingColumnError, ScoreValueError, UnclearTableError, UnitError
from audit.schema.result import CROSSED

ASKED = AuditConfig(task="speaker-verification")


def few(**columns):
    """Four trials of three speakers, two of one gender; columns replaced or, with None, left out."""
    table = {
        "trial_id": ["t1", "t2", "t3", "t4"],
        "clip_a": ["x/1", "x/1", "y/1", "y/2"],
        "clip_b": ["x/2", "y/1", "z/1", "y/1"],
        "speaker_a": ["x", "x", "y", "y"],
        "speaker_b": ["x", "y", "z", "y"],
        "same": [1, 0, 0, 1],
        "score": [2.0, -1.0, 0.5, 3.0],
        "gender_a": ["f", "f", "f", "f"],
        "gender_b": ["f", "f", "m", "f"],
    }
    return pd.DataFrame({name: v for name, v in (table | columns).items() if v is not None})


def test_the_agreed_columns_need_no_guess():
    trials = as_trials(few(), ASKED)
    assert trials.told == () and trials.left_out == {}
    assert trials.config.attributes == ("gender",) and trials.sides == {"gender": ("gender_a", "gender_b")}
    assert trials.frame["gender"].tolist() == ["f", "f", CROSSED, "f"]
    assert trials.frame[[SPEAKER, PARTNER]].values.tolist() == [
        ["x", "x"],
        ["x", "y"],
        ["y", "z"],
        ["y", "y"],
    ]
    assert trials.frame["label"].tolist() == [1, 0, 0, 1] and trials.frame["image_id"].tolist()[0] == "t1"


def test_reading_again_what_was_read_changes_nothing():
    once = as_trials(few(age_a=[20, 20, 33, 33], age_b=[21, 33, 40, 33]), ASKED)
    again = as_trials(once.frame, once.config)
    pd.testing.assert_frame_equal(again.frame[sorted(again.frame)], once.frame[sorted(once.frame)])
    assert again.told == () and again.sides == once.sides


def test_other_names_are_guessed_and_said():
    table = few().rename(
        columns={"speaker_a": "spk1", "speaker_b": "spk2", "same": "target", "score": "cosine"}
    )
    trials = as_trials(table.assign(target=["tgt", "imp", "imp", "tgt"]), ASKED)
    assert [name for name, _, _ in trials.told] == ["speakers", "score", "same", "labels"]
    assert trials.frame["label"].tolist() == [1, 0, 0, 1]
    assert "tgt is same, imp is different" in trials.told[-1][1]


def test_speakers_are_the_folders_of_clips():
    trials = as_trials(few(speaker_a=None, speaker_b=None, same=None), ASKED)
    assert trials.frame[PARTNER].tolist() == ["x", "y", "z", "y"] and trials.frame["label"].sum() == 2
    assert "the first folder of 'clip_a', 'clip_b'" in trials.told[0][1]


def test_a_distance_is_turned_round():
    table = few().rename(columns={"score": "distance"})
    assert as_trials(table, ASKED).frame["score"].tolist() == [-2.0, 1.0, -0.5, -3.0]
    kept = as_trials(table, AuditConfig(task="speaker-verification", read_as={"higher": "same"}))
    assert kept.frame["score"].tolist() == [2.0, -1.0, 0.5, 3.0]


def test_rows_without_label_score_or_speaker_are_counted():
    lacking = few(same=[1, None, 0, 1], score=[2.0, 1.0, np.nan, 3.0], speaker_b=["x", "y", "z", None])
    table = pd.concat([few(), lacking], ignore_index=True)
    trials = as_trials(table, ASKED)
    left = {"no label in the table": 1, "no score in the table": 1, "a speaker is not named": 1}
    assert trials.left_out == left and len(trials.frame) + 3 == len(table)


def test_a_missing_label_of_one_side_is_no_group():
    groups = as_trials(few(gender_b=[None, "f", None, "f"]), ASKED).frame["gender"]
    assert groups.isna().tolist() == [True, False, True, False]


def test_bins_decide_whether_two_ages_are_one_group():
    config = AuditConfig(task="speaker-verification", attributes=("age",), bins={"age": [30]})
    trials = as_trials(few(age_a=[20, 20, 33, 33], age_b=[21, 33, 40, 33]), config)
    assert trials.frame["age"].tolist() == [20, CROSSED, 33, 33]


def test_a_trial_without_an_id_is_named_by_its_clips():
    table = pd.concat([few(trial_id=None)] * 2, ignore_index=True)
    names = as_trials(table, ASKED).frame["image_id"]
    assert names.is_unique and names[0] == "x/1 | x/2" and names[4] == "x/1 | x/2 | again 1"


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        (
            {"same": [1, 1, 0, 1]},
            LabelError,
            "1 of 4 trials contradict themselves: trial 't2' is of the same",
        ),
        (
            {"same": [0, 0, 0, 1]},
            LabelError,
            "trial 't1' is of different speakers, by its label, and of 'x' and",
        ),
        (
            {"same": ["a", "b", "b", "a"]},
            LabelError,
            "holds 'a', 'b', and which of its labels means the same",
        ),
        (
            {"score": ["1", "high", "2", "3"]},
            ScoreValueError,
            r"1 of 4 values are no numbers, the first \('high",
        ),
        (
            {"score": None},
            UnclearTableError,
            "seems to hold the verifier's scores; name it with --score-column",
        ),
        (
            {"gender_a": None},
            UnclearTableError,
            "give the group of each speaker, as in gender_a and gender_b",
        ),
        (
            {"speaker_a": ["x"] * 4, "speaker_b": ["x"] * 4, "same": [1] * 4},
            UnitError,
            "all 4 trials are of 1 speaker",
        ),
    ],
)
def test_what_cannot_be_understood_is_said_in_a_line(columns, error, message):
    with pytest.raises(error, match=message):
        as_trials(few(**columns), ASKED)


def test_speakers_that_nobody_names_are_asked_for():
    table = few(speaker_a=None, speaker_b=None, clip_a=["1", "2", "3", "4"], clip_b=["5", "6", "7", "8"])
    with pytest.raises(UnclearTableError, match=r"no two columns of .* name the speakers of a trial"):
        as_trials(table, ASKED)


def test_a_column_that_was_named_must_be_there():
    with pytest.raises(
        MissingColumnError, match="there is no column 'accent', nor 'accent_a' and 'accent_b'"
    ):
        as_trials(few(), AuditConfig(task="speaker-verification", attributes=("accent",)))
    with pytest.raises(MissingColumnError, match="there is no column 'llr'"):
        as_trials(few(), AuditConfig(task="speaker-verification", columns=Columns(score="llr")))


def test_pairs_of_columns_are_found_under_any_ending():
    names = [
        "sex_enrolled",
        "sex_probe",
        "lang1",
        "lang2",
        "speaker_a",
        "speaker_b",
        "clip_a",
        "clip_b",
        "a_a",
    ]
    assert paired_columns(names) == {"sex": ("sex_enrolled", "sex_probe"), "lang": ("lang1", "lang2")}


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet"])
def test_files_of_every_kind_say_the_same(tmp_path, name):
    path = tmp_path / name
    if name.endswith("parquet"):
        few().to_parquet(path)
    else:
        few().to_csv(path, index=False, sep="\t" if name.endswith("tsv") else ",")
    trials, _ = read_trials(path, ASKED)
    assert trials.frame["score"].tolist() == [2.0, -1.0, 0.5, 3.0] and trials.frame["label"].sum() == 2


def test_decimal_commas_are_numbers(tmp_path):
    path = tmp_path / "t.csv"
    few(score=["2,0", "-1,0", "0,5", "3,0"]).to_csv(path, index=False, sep=";")
    trials, written = read_trials(path, ASKED)
    assert written["decimal"] == "," and trials.frame["score"].tolist() == [2.0, -1.0, 0.5, 3.0]


def test_a_missing_label_is_neither_called_different_nor_counted_as_an_impostor():
    labels = ["yes", "-", "no", "yes"]
    for options in ({}, {"positive": "yes"}):
        trials = as_trials(few(same=labels), AuditConfig(task="speaker-verification", **options))
        assert trials.left_out == {"no label in the table": 1}
        assert trials.frame["label"].tolist() == [1, 0, 1]
        assert not [text for _, text, _ in trials.told if "- is" in text]
    meant = as_trials(few(same=["-", "x", "x", "-"]), AuditConfig(task="speaker-verification", positive="-"))
    assert meant.frame["label"].tolist() == [1, 0, 0, 1] and not meant.left_out
