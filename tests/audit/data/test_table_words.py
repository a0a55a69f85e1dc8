"""Every word that a foreign table may use is understood as what it means."""

from __future__ import annotations

import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.data import table_words as words
from audit.data.table_reading import judged
from audit.errors import LabelError

LABELS = [
    "label",
    "labels",
    "truth",
    "ground_truth",
    "groundtruth",
    "gt",
    "y_true",
    "is_fake",
    "fake",
    "is_real",
    "real",
    "real_or_fake",
    "real_fake",
    "actual",
    "actual_label",
    "true_label",
    "target",
    "class",
    "bona_fide",
    "is_bona_fide",
    "genuine",
    "is_attack",
    "attack",
    "is_deepfake",
    "deepfake",
]
SCORES = [
    "score",
    "scores",
    "p_fake",
    "prob_fake",
    "fake_prob",
    "probability_fake",
    "fake_probability",
    "fake_score",
    "score_fake",
    "fake_percent",
    "fake_pct",
    "deepfake_score",
    "deepfake_probability",
    "spoof_score",
    "attack_score",
    "fakeness",
    "detector_score",
    "probability",
    "prob",
    "p",
    "y_score",
    "p_real",
    "prob_real",
    "real_prob",
    "probability_real",
    "real_probability",
    "real_score",
    "score_real",
    "genuine_score",
    "bona_fide_score",
    "liveness",
    "liveness_score",
    "wahrscheinlichkeit",
]


def reading(**columns):
    return judged(pd.DataFrame(columns), AuditConfig())


@pytest.mark.parametrize("name", LABELS)
def test_usual_names_of_labels(name):
    """Beside another column of the same kind of values under a name that says nothing."""
    found = reading(other=["1", "0"] * 30, **{name: ["0", "1"] * 30}, score=[0.25, 0.5] * 30)
    assert found.config.columns.label == name and not [p for p in found.problems if "label" in p.option]
    said = [one.text for one in found.guesses if one.name == "label"]
    assert said == ([] if name == "label" else [f"column '{name}'"])


@pytest.mark.parametrize("name", SCORES)
def test_usual_names_of_scores(name):
    """Beside another column of fractions whose name speaks of a probability, too."""
    found = reading(other_probability=[0.25, 0.5] * 30, **{name: [0.75, 0.5] * 30}, label=["0", "1"] * 30)
    assert found.config.columns.score == name and not [p for p in found.problems if "score" in p.option]
    assert found.higher_is_real == any(word in name for word in ("real", "genuine", "bona", "live"))


def test_the_likelier_name_comes_first():
    same = ["0", "1"] * 30
    found = reading(deepfake=same, truth=same, score=[0.25, 0.5] * 30, p_fake=[0.5, 0.25] * 30)
    assert (found.config.columns.label, found.config.columns.score) == ("truth", "score")


FAKES = [
    "fake",
    "deepfake",
    "spoof",
    "spoofed",
    "attack",
    "synthetic",
    "synthesized",
    "generated",
    "forged",
    "forgery",
    "manipulated",
    "altered",
    "tampered",
    "morph",
    "morphed",
    "ai",
    "aigenerated",
    "gan",
    "imposter",
    "impostor",
    "presentationattack",
    "fälschung",
    "faelschung",
    "gefälscht",
    "gefaelscht",
    "unecht",
    "manipuliert",
    "synthetisch",
    "generiert",
]
REALS = [
    "real",
    "bonafide",
    "genuine",
    "live",
    "authentic",
    "original",
    "pristine",
    "unaltered",
    "untampered",
    "echt",
    "authentisch",
    "unverfälscht",
]


def test_words_for_fake_and_for_real():
    for word in FAKES:
        assert words.label_meanings([word, "something"], "label") == {word: True, "something": False}, word
    for word in REALS:
        assert words.label_meanings(["something", word], "label") == {"something": True, word: False}, word
    assert words.label_meanings(["Presentation-Attack", "Bona_Fide "], "x") == {
        "Presentation-Attack": True, "Bona_Fide ": False,
    }  # fmt: skip
    assert words.all_label_words([*FAKES, *REALS])
    assert not words.all_label_words([]) and not words.all_label_words(["fake", "1"])


@pytest.mark.parametrize("yes", ["1", "true", "yes", "y", "t", "ja", "j", "wahr", "1.0", "1,00", "TRUE"])
@pytest.mark.parametrize("no", ["0", "false", "no", "n", "f", "nein", "falsch", "0.0"])
def test_yes_means_what_the_column_is_called(yes, no):
    assert words.label_meanings([yes, no], "is_fake") == {yes: True, no: False}
    assert words.label_meanings([yes, no], "label") == {yes: True, no: False}
    assert words.label_meanings([yes, no], "echt") == {yes: False, no: True}


REAL_NAMES = [
    "real",
    "genuine",
    "bonafide",
    "bona",
    "authentic",
    "live",
    "liveness",
    "pristine",
    "echt",
    "echtheit",
    "authentizität",
]
FAKE_NAMES = [
    "fake",
    "deepfake",
    "spoof",
    "attack",
    "synthetic",
    "manipulated",
    "forged",
    "fälschung",
    "gefälscht",
    "manipulation",
]


def test_a_name_says_which_way_its_numbers_go():
    assert all(words.says_real(f"{name}_value") for name in REAL_NAMES)
    assert not any(words.says_real(f"real_or_{name}") for name in FAKE_NAMES)
    telling = [*REAL_NAMES, *FAKE_NAMES, "score", "prob", "probability", "likelihood", "wahrscheinlichkeit"]
    assert all(words.speaks_of_scores(f"My{name.title()}") for name in telling)
    assert not words.speaks_of_scores("confidence") and not words.says_real("score")


def test_a_name_says_that_it_holds_decisions():
    names = [
        "prediction",
        "predictions",
        "predicted",
        "predict",
        "pred",
        "decision",
        "verdict",
        "detected",
        "detection",
        "output",
        "result",
        "results",
        "classification",
        "classified",
        "flagged",
        "flag",
        "vorhersage",
        "entscheidung",
        "urteil",
        "ergebnis",
    ]
    assert all(words.is_decision(f"Model {name.upper()}") for name in names)
    assert not words.is_decision("predictive")


def test_a_name_says_that_it_holds_percentages():
    for name in (
        "score (%)",
        "score percent",
        "PercentageFake",
        "fake_pct",
        "fake perc",
        "Fälschung in Prozent",
    ):
        assert words.is_percent(name), name
    assert not words.is_percent("percentile")


NO_VALUE = [
    "NA",
    "N/A",
    "#N/A",
    "NaN",
    "NULL",
    "-",
    "--",
    "?",
    "k. A.",
    "k.A.",
    "na",
    "n/a",
    "null",
    "Null",
    "",
]
NO_NUMBER = ["none", "None", "NONE", "missing", "Missing", "n.a.", "nil", "."]


def test_words_for_no_value():
    assert set(NO_VALUE) <= set(words.missing_words(["White", "NA"]))
    assert not {*NO_NUMBER} & {*words.missing_words(["White", "NA"])}
    assert {*NO_VALUE, *NO_NUMBER} <= {*words.missing_ids(["a", "b"])}
    assert {*NO_VALUE, *NO_NUMBER} <= {*words.NUMBER_MISSING}
    codes = words.missing_words(["EU", "AS", "NA", ""])
    assert "NA" not in codes and "na" in codes and "" in codes
    assert "NA" in words.missing_words(["NA", ""])  # alone it is no code among codes
    assert "NA" in words.missing_words(["EU", "AS1", "NA"]) and "NA" in words.missing_words(["EU", "Asia"])


def test_words_that_are_told_come_after_the_usual_ones_or_instead():
    assert words.with_told(("a", "b"), None) == ("a", "b")
    assert words.with_told(("", "b"), "c , b") == ("", "b", "c")
    assert words.with_told(("a", "b"), ",c") == ("", "c") and words.with_told(("a",), "") == ("",)


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        (
            ["a", "b"], {},
            r"column 'x' holds 'a', 'b'; expected 1 for fake and 0 for real, or such words: say with "
            r"--positive LABEL which label means fake, or with --read real=LABEL which one means real$",
        ),
        (["real", "fake", "a b"], {}, r"means real; leave out what is neither with --read 'missing=a b'$"),
        (["real", "fake", *"abc"], {}, r"neither with --read missing=a,b,c$"),
        (["real", "fake", *"abcd"], {}, r"holds 'a', 'b', 'c', 'd'; .* neither with --read missing=WORD$"),
        (["real", "a", "b"], {}, r"neither with --read missing=WORD$"),
        ([*"abcdeg"], {}, r"holds 'a', 'b', 'c', 'd' and 2 more values; expected"),
        (["a", "b"], {"real": "c"}, r"^column 'x' holds 'a', 'b'; none of them is 'c' \(--read real\)$"),
        (["a", "b", "c"], {"positive": "a"}, r"--positive a needs at most two labels, one of them that; of"),
        (["a", "b"], {"positive": "c"}, r"--positive c needs at most two labels"),
        (["A-1", "a1"], {"positive": "a_1"}, r"--positive a_1 needs at most two labels"),  # or which?
    ],
)  # fmt: skip
def test_labels_that_cannot_be_told_are_refused_with_the_option(texts, options, message):
    with pytest.raises(LabelError, match=message):
        words.label_meanings(texts, "x", **options)


def test_a_label_that_was_told_is_found_however_it_is_written():
    assert words.label_meanings(["Bona fide", "x"], "l", real="bona-fide") == {"Bona fide": False, "x": True}
    assert words.label_meanings(["A-1", "a1"], "l", positive="a1") == {"A-1": False, "a1": True}
    assert words.label_meanings(["GAN"], "l", positive="gan") == {"GAN": True}
    assert words.label_meanings(["1.0", "-1"], "l", positive="-1.0") == {"1.0": False, "-1": True}


def test_several_words_for_one_meaning_are_said():
    assert words.shared_meaning({"real": False, "fake": True}) is None
    told = words.shared_meaning({"live": False, "print": True, "replay": True, "mask": True})
    assert told == "live is real; print, replay and mask count as fake"
    assert words.shared_meaning({"a": True, "b": True}) == "a and b count as fake"


def test_texts_are_quoted_up_to_four():
    assert words.few(["a"]) == "'a'" and words.few([*"abcd"]) == "'a', 'b', 'c', 'd'"
    assert words.few([*"abcde"]) == "'a', 'b', 'c', 'd' and 1 more values"
