"""What a task names, and what it refuses."""

from __future__ import annotations

from dataclasses import fields

import pytest

from audit.config import AuditConfig, parse_rule
from audit.errors import ConfigError
from audit.metrics.disparity import MEASURES
from audit.metrics.one_vs_rest import REST_MEASURES
from audit.schema.result import AuditResult
from audit.task import FAKE_FACE, SPEAKER_VERIFICATION, TASKS, task_named
from reports.text.glossary import entries, terms


def test_every_task_is_found_by_its_name():
    assert {name: task_named(name).name for name in TASKS} == {name: name for name in TASKS}
    with pytest.raises(ConfigError, match="no task is called 'faces'; there are fake-face, speaker-verif"):
        task_named("faces")


def test_both_errors_keep_their_place_in_the_record():
    assert [SPEAKER_VERIFICATION.rate(rate) for rate in ("fpr", "fnr")] == ["FMR", "FNMR"]
    assert SPEAKER_VERIFICATION.rule("fpr<=0.01@95%") == "fmr<=0.01@95%"
    assert str(parse_rule("fmr=0.01")) == "fpr=0.01" and str(parse_rule("fnmr=0.05")) == "fnr=0.05"


def test_no_word_of_a_task_is_empty_but_where_it_may_be():
    optional = {"fpr_standard", "fnr_standard", "two_units", "standard", "planned"}
    for task in TASKS.values():
        texts = {
            f.name: getattr(task, f.name) for f in fields(task) if isinstance(getattr(task, f.name), str)
        }
        assert not [name for name, text in texts.items() if not text and name not in optional]


def test_what_is_left_out_exists():
    measures = {*MEASURES, *REST_MEASURES}
    assert measures >= SPEAKER_VERIFICATION.without_measures
    assert set(entries("glossary.toml")) >= SPEAKER_VERIFICATION.without_terms
    own = entries("glossary.speaker-verification.toml")
    assert set(own) <= set(entries("glossary.toml")), "an entry that replaces nothing"
    assert not set(own) & SPEAKER_VERIFICATION.without_terms


def test_the_glossary_follows_the_task():
    assert terms("fake-face")["fpr"].name == "FPR" and "real images" in terms("fake-face")["fpr"].meaning
    of_voices = terms("speaker-verification")
    assert of_voices["fpr"].name == "FMR" and "pair" not in of_voices
    assert not [t for t in of_voices.values() if "{" in t.meaning]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "voices"}, "no task is called 'voices'"),
        (
            {"criterion": "four-fifths"},
            "criterion four-fifths makes no sense for speaker-verification: it asks",
        ),
        (
            {"unit_column": "video"},
            "--unit-column makes no sense for speaker-verification: its units are the",
        ),
        (
            {"independent": True},
            "--independent makes no sense for speaker-verification: a speaker is in many",
        ),
        (
            {"controls": ("noise",)},
            "--control makes no sense for speaker-verification: an impostor trial has",
        ),
        ({"read_as": {"higher": "fake"}}, "--read higher=fake makes no sense for speaker-verification"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        AuditConfig(**{"task": "speaker-verification"} | options).check()


def test_faces_are_not_asked_which_voice_a_score_means():
    with pytest.raises(ConfigError, match="--read higher=same makes no sense for fake-face"):
        AuditConfig(read_as={"higher": "same"}).check()


def test_a_record_without_a_task_is_of_faces(audited):
    record = audited.model_dump(mode="json")
    del record["config"]["task"]
    assert AuditResult.model_validate(record).task is FAKE_FACE


@pytest.fixture(scope="module")
def audited():
    import pandas as pd

    from audit.runs.score_audit import audit_scores

    frame = pd.DataFrame({"label": [0, 1] * 40, "score": [0.1, 0.9] * 40, "race": ["A", "A", "B", "B"] * 20})
    return audit_scores(frame, AuditConfig(attributes=("race",), n_boot=100, independent=True))
