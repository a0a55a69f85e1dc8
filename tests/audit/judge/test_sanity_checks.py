"""Scores the wrong way round, and thresholds in other units, are named before any group is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from audit.config import AuditConfig
from audit.judge.sanity_checks import fault_in
from audit.runs.score_audit import audit_scores

FEW = dict(n_boot=100)


def audited(simulate, change, **options):
    frame = simulate(400)
    return audit_scores(frame.assign(score=change(expit(2 * frame.score))), AuditConfig(**FEW, **options))


@pytest.mark.parametrize(
    ("change", "options", "fault", "said"),
    [
        (lambda p: p, {}, None, None),
        (lambda p: 1 - p, {}, "reversed", "Scores or labels look reversed"),
        (lambda p: 100 * p, {}, "threshold", "The threshold does not fit these scores: at 0.5"),
        (lambda p: 100 * p, {"threshold": 50}, None, None),
        (lambda p: 100 * p, {"threshold": "eer"}, None, None),
        (lambda p: p, {"threshold": 0.999}, "threshold", "does not fit these scores: at 0.999"),
        (lambda p: p, {"threshold": "fpr=0.001"}, "rule", "The rule fpr=0.001 has its price"),
        (
            lambda p: np.random.default_rng(0).uniform(size=len(p)),
            {},
            "guessing",
            "is not shown to be better than guessing",
        ),
    ],
)
def test_the_fault_is_named_in_the_record(simulate, change, options, fault, said):
    found = audited(simulate, change, **options)
    assert fault_in(found) == fault
    assert [note for note in found.notes if said and said in note] == found.notes[: bool(said)]


def test_labels_the_wrong_way_round_are_scores_the_wrong_way_round(simulate):
    frame = simulate(400)
    assert fault_in(audit_scores(frame.assign(label=1 - frame.label), AuditConfig(**FEW))) == "reversed"


def test_a_detector_a_little_worse_than_a_coin_is_not_reversed(simulate):
    frame = simulate(4000)
    score = np.random.default_rng(0).normal(size=len(frame)) - 0.1 * frame.label
    found = audit_scores(frame.assign(score=score), AuditConfig(threshold=0.0, **FEW))
    assert found.overall.auc_interval[1] < 0.5
    assert fault_in(found) == "guessing"


@pytest.mark.parametrize(
    ("change", "options", "warned"),
    [
        (lambda p: p, {}, False),
        (logit, {}, True),
        (logit, {"threshold": 0.0}, False),
        (logit, {"threshold": "eer"}, False),
        (lambda p: 100 * p, {}, True),
    ],
)
def test_scores_that_are_no_probabilities_are_told_at_the_default_threshold(
    simulate, change, options, warned
):
    notes = " ".join(audited(simulate, change, **options).notes)
    assert ("of 800 scores lie outside 0 to 1 (they run from" in notes) is warned


def test_one_class_alone_is_no_fault(simulate):
    frame = simulate(100)
    assert fault_in(audit_scores(frame[frame.label == 0], AuditConfig(**FEW))) is None
