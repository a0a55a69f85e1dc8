"""Tables of trials as others write them, and what is said of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig, Columns
from audit.data.score_file import read_trials
from audit.data.trials import PARTNER, SPEAKER, as_trials, label_doubts, paired_columns
from audit.errors import (
    LabelError,
    MissingColumnError,
    ScoreTableError,
    ScoreValueError,
    UnclearTableError,
    UnitError,
)
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


ENDINGS = [
    ("_a", "_b"), ("_1", "_2"), ("1", "2"), ("_enrolled", "_probe"), ("_enroll", "_test"),
    ("_enrol", "_test"), ("_enrollment", "_test"), ("_left", "_right"), ("_x", "_y"),
]  # fmt: skip
PEOPLE = ["speaker", "spk", "spkr", "speaker_id", "spk_id", "client", "client_id", "person", "subject", "id"]
CLIP_NAMES = ["clip", "file", "path", "wav", "audio", "utterance", "utt", "recording", "segment"]


@pytest.mark.parametrize("first", PEOPLE)
def test_usual_names_of_speakers(first):
    columns = {"speaker_a": f"{first}_a", "speaker_b": f"{first}_b"}
    trials = as_trials(few().rename(columns=columns), ASKED)
    assert trials.frame[PARTNER].tolist() == ["x", "y", "z", "y"]
    said = [text for name, text, _ in trials.told if name == "speakers"]
    assert said == ([] if first == "speaker" else [f"columns '{first}_a', '{first}_b'"])
    assert trials.config.attributes == ("gender",)  # neither speakers nor clips are groups


@pytest.mark.parametrize("ending", ENDINGS)
def test_endings_of_two_columns(ending):
    columns = {f"{name}{side}": f"{name}{end}" for name in ("speaker", "clip", "gender")
               for side, end in zip(("_a", "_b"), ending, strict=True)}  # fmt: skip
    trials = as_trials(few().rename(columns=columns), ASKED)
    assert trials.sides == {"gender": (f"gender{ending[0]}", f"gender{ending[1]}")}
    assert trials.frame["gender"].tolist() == ["f", "f", CROSSED, "f"]
    assert trials.frame[SPEAKER].tolist() == ["x", "x", "y", "y"]


@pytest.mark.parametrize("name", CLIP_NAMES)
def test_usual_names_of_clips(name):
    """Their folders are the speakers, both together name a trial, and they are no groups."""
    table = few(trial_id=None, speaker_a=None, speaker_b=None)
    trials = as_trials(table.rename(columns={"clip_a": f"{name}_a", "clip_b": f"{name}_b"}), ASKED)
    assert trials.frame[SPEAKER].tolist() == ["x", "x", "y", "y"]
    assert trials.frame["image_id"].tolist() == ["x/1 | x/2", "x/1 | y/1", "y/1 | z/1", "y/2 | y/1"]
    said = (
        "speakers", f"the first folder of '{name}_a', '{name}_b'",
        "name them in columns speaker_a and speaker_b",
    )  # fmt: skip
    assert trials.told[0] == said and set(trials.sides) == {"gender"}


@pytest.mark.parametrize(
    "name",
    ["same", "same_speaker", "is_same", "label", "target", "is_target", "match", "genuine", "truth", "key"],
)
def test_usual_names_of_the_label(name):
    trials = as_trials(few().rename(columns={"same": name}), ASKED)
    assert trials.frame["label"].tolist() == [1, 0, 0, 1]
    said = [one for one in trials.told if one[0] == "same"]
    usual = name in ("same", "label")
    assert said == ([] if usual else [("same", f"column '{name}'", "--label-column NAME")])


@pytest.mark.parametrize(
    "name", ["score", "scores", "similarity", "cosine", "llr", "logit", "distance", "probability"]
)
def test_usual_names_of_the_score(name):
    trials = as_trials(few().rename(columns={"score": name}), ASKED)
    turned = name == "distance"
    assert trials.frame["score"].tolist() == [-2, 1, -0.5, -3] if turned else [2, -1, 0.5, 3]
    said = [one for one in trials.told if one[0] == "score"]
    wanted = [] if name == "score" else [("score", f"column '{name}'", "--score-column NAME")]
    if turned:
        text = "'distance' is low for one speaker: turned round"
        wanted.append(("score", text, "--read higher=same"))
    assert said == wanted
    assert as_trials(few().rename(columns={"score": "Dist"}), by_score("Dist")).frame["score"][0] == -2.0


def by_score(name, **options):
    return AuditConfig(task="speaker-verification", columns=Columns(score=name), **options)


def test_numbers_are_turned_where_it_is_said():
    turned = as_trials(few(), by_score("score", read_as={"higher": "different"}))
    assert turned.frame["score"].tolist() == [-2.0, 1.0, -0.5, -3.0] and not turned.told
    kept = as_trials(few(), by_score("score", read_as={"higher": "same"}))
    assert kept.frame["score"].tolist() == [2.0, -1.0, 0.5, 3.0]


SAME_WORDS = ["1", "true", "yes", "y", "t", "same", "target", "tgt", "genuine", "match", "mated", "positive"]
DIFFERENT_WORDS = [
    "0",
    "-1",
    "false",
    "no",
    "n",
    "f",
    "different",
    "nontarget",
    "non-target",
    "imp",
    "impostor",
    "imposter",
    "non-mated",
    "nonmatch",
    "non-match",
    "negative",
]


@pytest.mark.parametrize("same", SAME_WORDS)
def test_words_for_one_speaker(same):
    trials = as_trials(few(same=[same.upper(), "imp", "imp", same.upper()]), ASKED)
    assert trials.frame["label"].tolist() == [1, 0, 0, 1]
    assert trials.told[-1] == ("labels", f"{same.upper()} is same, imp is different", "--positive LABEL")


@pytest.mark.parametrize("different", DIFFERENT_WORDS)
def test_words_for_two_speakers(different):
    trials = as_trials(few(same=["same", different.title(), different.title(), "same"]), ASKED)
    assert trials.frame["label"].tolist() == [1, 0, 0, 1]
    plain = different.title() in ("0", "1")
    assert [one[0] for one in trials.told] == ([] if plain or different == "different" else ["labels"]) or (
        different == "different" and trials.told[-1][1] == "same is same, Different is different"
    )


def test_speakers_under_one_name_are_one_where_no_label_is_given():
    trials = as_trials(few(same=None), ASKED)
    assert trials.frame["label"].tolist() == [1, 0, 0, 1] and str(trials.frame["label"].dtype) == "int8"
    assert trials.told == (("same", "the two speakers have one name", "--label-column NAME"),)
    unnamed = as_trials(few(same=None, speaker_b=["x", None, "z", "y"]), ASKED)
    assert unnamed.left_out == {"no label in the table": 1}


def test_trials_are_called_by_their_own_name_or_numbered():
    for name in ("trial_id", "trial", "image_id"):
        trials = as_trials(few().rename(columns={"trial_id": name}), ASKED)
        assert trials.frame["image_id"].tolist() == ["t1", "t2", "t3", "t4"]
    bare = as_trials(few(trial_id=None, clip_a=None, clip_b=None), ASKED)
    assert bare.frame["image_id"].tolist() == ["0", "1", "2", "3"]


def test_the_options_are_in_the_tables_spelling():
    config = as_trials(few(), AuditConfig(task="speaker-verification", attributes=("Gender",))).config
    assert (config.attributes, config.unit_column, config.positive) == (("gender",), "speaker", None)
    roles = config.columns
    assert (roles.label, roles.score, roles.image_id) == ("label", "score", "image_id")


def test_attributes_of_the_whole_trial_and_of_few_values_are_found():
    table = few(age=[20, 30, 20, 30], town_a=["a"] * 4, town_b=["b"] * 4, channel=["p", "q", "p", "q"])
    assert as_trials(table, ASKED).config.attributes == ("gender", "town", "age")
    long = pd.concat([few()] * 12, ignore_index=True).assign(trial_id=[f"t{i}" for i in range(48)])
    long = long.assign(year_a=range(48), year_b=range(48), age=range(48))
    assert as_trials(long, ASKED).config.attributes == ("gender",)
    config = AuditConfig(task="speaker-verification", bins={"year": [24.0]})
    found = as_trials(long, config)
    assert found.config.attributes == ("gender", "year") and found.frame["year"].tolist() == list(range(48))


def test_an_age_on_the_edge_belongs_to_the_upper_group():
    config = AuditConfig(task="speaker-verification", attributes=("age",), bins={"age": [30]})
    trials = as_trials(few(age_a=[30, 29, None, 31], age_b=[31, 30, 33, 30]), config)
    assert trials.frame["age"].tolist()[:2] == [30, CROSSED] and trials.frame["age"].tolist()[3] == 31
    assert trials.frame["age"].isna().tolist() == [False, False, True, False]


def test_numbers_are_names_too():
    trials = as_trials(few(speaker_a=[1.0, 1.0, 2.0, 2.0], speaker_b=["1", "2 ", "3", "2"]), ASKED)
    assert trials.frame[SPEAKER].tolist() == ["1", "1", "2", "2"]
    assert trials.frame[PARTNER].tolist() == ["1", "2", "3", "2"]


def test_words_for_no_score_are_no_bad_numbers():
    trials = as_trials(few(score=["2", " n/a ", "0.5", "3"]), ASKED)
    assert trials.left_out == {"no score in the table": 1} and trials.frame["score"].tolist() == [2, 0.5, 3]
    with pytest.raises(
        ScoreValueError,
        match=r"^column 'score' is not numeric: 2 of 4 values are no numbers, the first \('0,5'\) in row 3; "
        r"correct them, or name another with --score-column NAME$",
    ):
        as_trials(few(score=["2", "-1", "0,5", "3,0"]), ASKED)
    assert as_trials(few(score=["2", "-1", "0,5", "3"]), ASKED, ",").frame["score"].tolist() == [
        2,
        -1,
        0.5,
        3,
    ]


def test_of_two_names_for_one_role_the_usual_one_counts():
    assert as_trials(few(target=[0, 1, 1, 0]), ASKED).frame["label"].tolist() == [1, 0, 0, 1]
    config = AuditConfig(task="speaker-verification", columns=Columns(label="Target"))
    with pytest.raises(LabelError, match=r"^4 of 4 trials contradict themselves: trial 't1' is of different"):
        as_trials(few(target=[0, 1, 1, 0]), config)


def test_contradictions_are_counted_and_the_first_is_shown():
    said = (
        r"^2 of 4 trials contradict themselves: trial 't2' is of the same speaker, by its label, and of 'x' "
        r"and 'y'; correct the one or the other$"
    )
    with pytest.raises(LabelError, match=said):
        as_trials(few(same=[1, 1, 1, 1]), ASKED)


def test_a_first_line_may_tell_the_separator_and_columns_of_one_name_are_refused(tmp_path):
    path, text = tmp_path / "t.csv", few().to_csv(index=False, sep=";")
    path.write_text("sep=;\n" + text)
    trials, written = read_trials(path, ASKED)
    assert len(trials.frame) == 4 and written == {
        "encoding": "utf-8-sig", "separator": ";", "decimal": ".", "guessed": [],
    }  # fmt: skip
    path.write_text(text.replace("gender_b", "gender_a"))
    with pytest.raises(
        UnclearTableError, match=r"t\.csv has two columns 'gender_a'; rename or drop one of them$"
    ):
        read_trials(path, ASKED)


def test_labels_beside_an_empty_cell_are_whole_numbers(tmp_path):
    few(same=[1, np.nan, 0, 1]).to_csv(tmp_path / "t.csv", index=False)
    trials = read_trials(tmp_path / "t.csv", ASKED)[0]
    assert trials.frame["label"].tolist() == [1, 0, 1] and sum(trials.left_out.values()) == 1


def test_a_table_without_trials_is_said_to_have_none():
    with pytest.raises(ScoreTableError, match="the table has no trials; there is nothing to audit"):
        as_trials(few().head(0), ASKED)


def test_groups_that_differ_in_capitals_are_one_on_both_sides():
    table = few(gender_b=["F", "f ", "m", "F"])
    trials = as_trials(table, ASKED)
    assert trials.frame["gender"].tolist() == ["f", "f", CROSSED, "f"]
    assert trials.told == (("groups of gender", "'F' is read as 'f' (2 rows)", "--read case=keep"),)
    pd.testing.assert_frame_equal(as_trials(trials.frame, trials.config).frame, trials.frame, check_like=True)
    kept = as_trials(table, AuditConfig(task=ASKED.task, read_as={"case": "keep"}))
    assert kept.frame["gender"].tolist() == [CROSSED, "f", CROSSED, CROSSED] and kept.told == ()
    assert as_trials(kept.frame, kept.config).frame["gender"].tolist() == kept.frame["gender"].tolist()


def test_a_speaker_with_two_labels_is_named():
    assert label_doubts(as_trials(few(), ASKED)) == []
    trials = as_trials(few(gender_b=["m", "f", "m", "f"]), ASKED)
    assert label_doubts(trials) == [
        "1 speaker has more than one label of gender, the first 'x' ('f', 'm'): each trial counts by the "
        "labels in its row, and 1 of one speaker by none, as they name two. Give each speaker one label."
    ]
