"""Whether fairness can be asked about: the reason, in words, and what to hold it against."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audit.config import AuditConfig
from audit.judge.usefulness import baselines, unanswered, usefulness, usefulness_in
from audit.runs.score_audit import audit_scores
from audit.task import task_named

FEW = AuditConfig(n_boot=100, attributes=("race",), threshold=0.0)


def test_a_useful_detector_is_answerable_and_told_beside_the_baselines(simulate):
    record = audit_scores(simulate(300), FEW)
    found = usefulness(record.overall, 0.0, "fixed", task_named("fake-face"))
    assert (found.answerable, found.reason, found.sentence) == (True, None, "")
    assert found == record.usefulness == usefulness_in(record.model_copy(update={"usefulness": None}))
    assert [one.name for one in found.baselines] == ["always real", "always fake", "random"]


@pytest.mark.parametrize("share", [0.3, math.nan])
def test_baselines(share):
    found = [(one.fpr, one.fnr, one.balanced_accuracy, one.auc) for one in baselines(share)]
    np.testing.assert_equal(found, [(0, 1, 0.5, 0.5), (1, 0, 0.5, 0.5), (share, 1 - share, 0.5, 0.5)])


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (0, "All images are real: without fakes nothing shows that the detector is better than flagging "
            "nothing, "),
        (1, "All images are fake: without real images nothing shows that the detector is better than "
            "flagging everything, which treats all groups alike."),
    ],
)  # fmt: skip
def test_one_class_alone_answers_nothing_but_a_disparity_is_one(simulate, label, said):
    frame = simulate(900, shift=2.0)
    record = audit_scores(frame[frame["label"] == label], FEW)
    assert record.usefulness.reason == "one class" and record.usefulness.sentence.startswith(said)
    disparity = "disparity" in {verdict.verdict for verdict in record.verdicts}
    assert disparity == (label == 0)
    assert unanswered(record) == (None if disparity else "one class")


def test_other_reasons_stand_whatever_is_found(simulate):
    frame = simulate(900, shift=2.0)
    record = audit_scores(frame.assign(score=-frame["score"]), FEW)
    assert "disparity" in {verdict.verdict for verdict in record.verdicts}
    assert record.usefulness.reason == unanswered(record) == "reversed"
    assert record.usefulness.sentence.startswith("Scores or labels look reversed")
