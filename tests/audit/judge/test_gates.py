"""What stops a build: each gate with its line and exit code."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from audit import audit_scores
from audit.judge.gates import exit_code, failing, gate_failures
from audit.schema.result import AuditResult

FEW = dict(n_boot=100, attributes="race")


@pytest.fixture
def frame(simulate):
    found = simulate(600)
    return found.assign(score=expit(2 * found.score))


def coin(frame):
    """Scores that know nothing."""
    return frame.assign(score=np.random.default_rng(7).uniform(size=len(frame)))


@pytest.mark.parametrize(
    ("change", "threshold", "reason"),
    [
        (coin, 0.5, "guessing"),
        (coin, 2.0, "guessing"),  # FPR 0 %, FNR 100 %
        (coin, -1.0, "guessing"),  # FPR 100 %, FNR 0 %
        (lambda f: f, 2.0, "threshold"),
        (lambda f: f, -1.0, "threshold"),
        (lambda f: f.assign(score=100 * f.score), 0.5, "threshold"),
        (lambda f: f.assign(score=-f.score), -0.5, "reversed"),
        (lambda f: f.assign(score=0.3), 0.5, "guessing"),
        (lambda f: f[f.label == 0], 0.5, "one class"),
        (lambda f: f[f.label == 1], 0.5, "one class"),
    ],
)
def test_a_useless_detector_passes_no_gate(frame, change, threshold, reason):
    found = audit_scores(change(frame), threshold=threshold, **FEW)
    assert not found.answerable and found.record.usefulness.reason == reason
    for fail_on in ("proven", "disparity", "insufficient"):
        failures = gate_failures(found.record, fail_on)
        assert failures[0].kind == "not answerable" and exit_code(failures) == 3
        assert failures[0].line == f"not answerable: {found.record.usefulness.sentence}"
    assert "Not answerable" in found.summary or reason == "one class"


@pytest.mark.parametrize("threshold", [0.5, 0.9, "eer", "fpr=0.01"])
def test_a_useful_detector_is_answerable(frame, threshold):
    found = audit_scores(frame, threshold=threshold, **FEW)
    assert found.answerable and found.record.usefulness.sentence == ""
    assert all(one.kind != "not answerable" for one in gate_failures(found.record, "disparity"))


def test_a_strict_threshold_is_no_misfit(frame):
    """It catches an eighth of the fakes and flags no real: meant, and told to have its price."""
    found = audit_scores(frame, threshold=expit(2 * 2.6), **FEW).record
    assert found.overall.fpr < 0.005 and 0.8 < found.overall.fnr < 0.95
    assert found.usefulness.answerable
    assert any("has its price" in note for note in found.notes)


def test_an_older_record_is_judged_from_its_rates(frame):
    found = audit_scores(coin(frame), **FEW).record
    content = found.model_dump(mode="json")
    content = {k: v for k, v in content.items() if k not in ("usefulness", "rate_limits")}
    for gap in content["gaps"]:
        del gap["no_skill"]
    for name in ("max_fpr", "max_fnr"):
        del content["config"][name]
    old = AuditResult.model_validate(content | {"schema_version": "1.2"})
    assert old.usefulness is None and exit_code(gate_failures(old, "disparity")) == 3


def test_nothing_fails_where_no_gate_is_asked_for(frame):
    assert gate_failures(audit_scores(coin(frame), **FEW).record, None) == []


def test_limits_name_group_and_limit(frame):
    found = audit_scores(frame, max_fpr=0.12, max_fnr=0.5, threshold=0.5, **FEW)
    table = found.rate_limits
    assert list(table.rate) == ["fpr"] * 4 + ["fnr"] * 4
    assert (table.upper > table.value).all()
    failures = gate_failures(found.record, None)
    assert failures and exit_code(failures) == 1
    row = table[(table.rate == "fpr") & ~table.holds.astype(bool)].iloc[0]
    where = "overall" if row.attribute == "overall" else f"of {row.attribute} {row.group}"
    seen = f"({row.errors} of {row.images}, {100 * row.value:.3g}%)"
    assert failures[0].line == f"FPR {where} may be up to {100 * row.upper:.3g}% {seen}, above --max-fpr 12%"
    assert all(found.record.rate_limits[4 + i].holds for i in range(4))


def test_a_useless_detector_fails_the_gate_of_limits_too(frame):
    """It flags nothing, so that its FPR is 0 everywhere."""
    found = audit_scores(coin(frame), threshold=2.0, max_fpr=0.1, **FEW).record
    assert all(one.holds for one in found.rate_limits)
    assert exit_code(gate_failures(found, None)) == 3


def test_a_limit_on_images_that_are_not_there_is_not_kept(frame):
    found = audit_scores(frame[frame.label == 0], max_fnr=0.1, **FEW).record
    assert "FNR overall is unknown" in [one.line for one in gate_failures(found, None)][1]


def test_baselines_stand_beside_every_figure(frame):
    found = audit_scores(frame, **FEW)
    of_all = found.gaps.dropna(subset=["no_skill_random"]).set_index("measure")
    difference = of_all.loc["fpr_difference"]
    assert (difference.no_skill_always_real, difference.no_skill_always_fake) == (0, 0)
    assert 0 < difference.no_skill_random < 0.2
    assert {one.name: (one.fpr, one.fnr) for one in found.record.usefulness.baselines} == {
        "always real": (0, 1),
        "always fake": (1, 0),
        "random": pytest.approx((found.record.overall.positive_rate, 1 - found.record.overall.positive_rate)),
    }


def test_scores_that_run_the_wrong_way_blame_nobody(simulate):
    """A disparity in numbers that are upside down: one line, no group, in every gate and sentence."""
    frame = simulate(1500, shift=1.5).replace({"race": {"A": "Amber", "B": "Birch", "C": "Cedar"}})
    found = audit_scores(frame.assign(score=expit(-2 * frame.score)), max_fpr=0.5, **FEW)
    record = found.record
    assert record.usefulness.reason == "reversed" and "disparity" in [v.verdict for v in record.verdicts]
    for fail_on in ("proven", "disparity", "insufficient", None):
        assert [one.kind for one in gate_failures(record, fail_on)] == ["not answerable"]
        assert failing(record, fail_on) == []
    told = " ".join([found.summary, found._repr_html_(), *(v.explanation for v in record.verdicts)])
    assert not any(name in told for name in ("Amber", "Birch", "Cedar"))
