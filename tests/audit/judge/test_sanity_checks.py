"""Scores the wrong way round, and thresholds in other units, are named before any group is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from audit.config import AuditConfig
from audit.judge.sanity_checks import (
    balanced_accuracy_interval,
    fault_in,
    fault_of,
    scale_sentences,
    sentences,
)
from audit.runs.score_audit import audit_scores
from audit.schema.result import Measures
from audit.task import task_named

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


def measured(auc=0.9, low=0.88, high=0.92, eer=0.1, fpr=0.1, fnr=0.1, width=0.02):
    """Measures on all images, as far as sanity is asked about."""
    return Measures.model_construct(
        n_real=100, n_fake=100, auc=auc, auc_interval=(low, high), eer=eer, fpr=fpr, fnr=fnr,
        fpr_interval=(fpr - width, fpr + 2 * width), fnr_interval=(fnr - 3 * width, fnr + 4 * width),
        balanced_accuracy=1 - (fpr + fnr) / 2, positive_rate=0.5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "rule", "fault"),
    [
        ({}, "fixed", None),
        ({"auc": float("nan")}, "fixed", None),
        ({"auc": 0.39, "low": 0.3, "high": 0.49}, "fixed", "reversed"),
        ({"auc": 0.4, "low": 0.3, "high": 0.49}, "fixed", "guessing"),
        ({"auc": 0.39, "low": 0.3, "high": 0.5}, "fixed", "guessing"),
        ({"auc": 0.7, "low": 0.5, "high": 0.8}, "fixed", "guessing"),
        ({"auc": 0.7, "low": 0.501, "high": 0.8, "eer": 0.35, "fpr": 0.35, "fnr": 0.35}, "fixed", None),
        # decisions no better than a coin: another threshold would do, or the detector guesses
        ({"fpr": 0.0, "fnr": 1.0}, "fixed", "threshold"),
        ({"fpr": 0.0, "fnr": 1.0}, "eer", "guessing"),
        ({"fpr": 0.0, "fnr": 1.0, "eer": 0.39}, "fixed", "threshold"),
        ({"fpr": 0.0, "fnr": 1.0, "eer": 0.41}, "fixed", "guessing"),
        # better than a coin, and far from the best; one error is shown to be most of its class
        ({"fpr": 0.0, "fnr": 0.92, "width": 0.005}, "fixed", "threshold"),
        ({"fpr": 0.0, "fnr": 0.91, "width": 0.005}, "fixed", "rule"),
        ({"fpr": 0.92, "fnr": 0.0, "width": 0.005}, "fixed", "threshold"),
        ({"fpr": 0.505, "fnr": 0.38, "width": 0.005}, "fixed", "threshold"),
        ({"fpr": 0.504, "fnr": 0.38, "width": 0.005}, "fixed", "rule"),
        ({"fpr": 0.505, "fnr": 0.38, "width": 0.005}, "fpr=0.5", "rule"),
        ({"fpr": 0.505, "fnr": 0.29, "width": 0.005}, "fixed", None),
        # hardly better than guessing
        ({"eer": 0.38, "fpr": 0.41, "fnr": 0.41}, "fixed", "weak"),
        ({"auc": 0.59, "low": 0.55, "high": 0.63, "eer": 0.4, "fpr": 0.4, "fnr": 0.39}, "fixed", "weak"),
        ({"auc": 0.6, "low": 0.55, "high": 0.63, "eer": 0.4, "fpr": 0.4, "fnr": 0.39}, "fixed", None),
    ],
)
def test_which_fault_it_is_by_numbers(numbers, rule, fault):
    assert fault_of(measured(**numbers), rule) == fault


def test_the_interval_of_the_balanced_accuracy_joins_those_of_both_rates():
    """FPR 0.1 to 0.3 around 0.2, FNR 0.2 to 0.5 around 0.3: MOVER of half their sum."""
    found = measured().model_copy(
        update={"fpr": 0.2, "fnr": 0.3, "fpr_interval": (0.1, 0.35), "fnr_interval": (0.2, 0.5)}
    )
    low, high = balanced_accuracy_interval(found)
    assert low == pytest.approx(0.75 - (0.15**2 + 0.2**2) ** 0.5 / 2)
    assert high == pytest.approx(0.75 + (0.1**2 + 0.1**2) ** 0.5 / 2)
    perfect = found.model_copy(update={"fpr": 0.0, "fnr": 0.0, "fpr_interval": (-1.0, 1.0)})
    assert balanced_accuracy_interval(perfect)[1] == 1.0
    wrong = found.model_copy(update={"fpr": 1.0, "fnr": 1.0, "fpr_interval": (0.9, 3.0)})
    assert balanced_accuracy_interval(wrong)[0] == 0.0


TASK = task_named("fake-face")


@pytest.mark.parametrize(
    ("numbers", "rule", "said"),
    [
        (
            {"auc": 0.2, "low": 0.1, "high": 0.3}, "fixed",
            "Scores or labels look reversed: real images score higher than fakes (AUC "
            "0.200; guessing gives 0.5).",
        ),
        (
            {"fpr": 0.0, "fnr": 1.0}, "fixed",
            "The threshold does not fit these scores: at 0.1235 decisions are hardly better than guessing "
            "(balanced accuracy 0.500), though the scores tell real images from fakes (AUC 0.900). Give",
        ),
        (
            {"fpr": 0.0, "fnr": 0.91, "width": 0.005}, "fixed",
            "The threshold has its price: at 0.1235 decisions are hardly better than guessing (balanced "
            "accuracy 0.545), though the scores tell real images from fakes (AUC 0.900).",
        ),
        (
            {"fpr": 0.0, "fnr": 0.91, "width": 0.005}, "fpr=0.01",
            "The rule fpr=0.01 has its price: at 0.1235 decisions",
        ),
        (
            {"eer": 0.38, "fpr": 0.41, "fnr": 0.41}, "fixed",
            "On these images the detector is hardly better than guessing (AUC 0.900, balanced accuracy "
            "0.590); ",
        ),
        (
            {"auc": 0.6, "low": 0.45, "high": 0.7}, "fixed",
            "On these images the detector is not shown to be better than guessing: its scores have an AUC of "
            "0.600 (0.450 to 0.700), and guessing gives 0.5. Flagging nothing, everything or at random "
            "treats all groups alike too; that does not make it fair.",
        ),
        (
            {"fpr": 0.0, "fnr": 1.0, "width": 0.0}, "eer",
            "On these images the detector is not shown to be better than guessing: its decisions at 0.1235 "
            "have a balanced accuracy of 0.500 (0.500 to 0.500), and guessing gives 0.5.",
        ),
    ],
)  # fmt: skip
def test_a_fault_in_words(numbers, rule, said):
    [told] = sentences(measured(**numbers), 0.12345, rule, TASK)
    assert told.startswith(said)


def test_no_fault_has_no_words():
    assert sentences(measured(), 0.5, "fixed", TASK) == []


def test_scores_beyond_0_and_1_are_counted():
    score = np.array([-0.5, 0.0, 1.0, 1.25, 3.0])
    [told] = scale_sentences(score, 0.5, "fixed", TASK)
    assert told == (
        "3 of 5 scores lie outside 0 to 1 (they run from -0.5 to 3), and the threshold is 0.5, the default "
        "for probabilities. Say with --threshold where these scores turn fake (0 for logits, 50 for "
        "percentages), or give a rule such as eer."
    )
    assert scale_sentences(score[1:3], 0.5, "fixed", TASK) == scale_sentences(score, 0.4, "fixed", TASK) == []
    assert scale_sentences(score, 0.5, "eer", TASK) == []
