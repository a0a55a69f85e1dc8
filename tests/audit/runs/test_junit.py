"""Verdicts for pipelines."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.runs.junit import failing, junit_xml, write_junit
from audit.runs.score_audit import audit_scores


@pytest.fixture
def result(simulate):
    config = AuditConfig(n_boot=500, threshold=0.0, attributes=["gender", "race"])
    return audit_scores(simulate(1500, shift=1.5), config)


def test_what_fails(result):
    words = [verdict.verdict for verdict in result.verdicts]
    assert {"disparity", "insufficient evidence"} <= set(words)
    assert failing(result, None) == []
    proven = failing(result, "proven")
    assert proven and all(v.worse_groups and v.verdict == "disparity" for v in proven)
    assert [v.verdict for v in failing(result, "disparity")] == ["disparity"] * words.count("disparity")
    n_undecided = words.count("insufficient evidence")
    assert len(failing(result, "insufficient")) == words.count("disparity") + n_undecided


@pytest.mark.parametrize("fail_on", ["proven", "disparity", "insufficient", None])
def test_one_case_per_verdict(result, tmp_path, fail_on):
    path = write_junit(result, tmp_path / "new" / "junit.xml", fail_on)
    [suite] = ElementTree.parse(path).getroot()
    failed = failing(result, fail_on)
    assert suite.get("tests") == str(len(result.verdicts)) == str(len(list(suite)))
    assert suite.get("failures") == str(len(failed)) == str(len(suite.findall("testcase/failure")))
    assert suite.get("skipped") == str(len(suite.findall("testcase/skipped")))
    first = suite[0]
    assert (first.get("classname"), first.get("name")) == ("audit.fpr", "gender")


def test_a_gap_that_may_lie_within_the_tolerance_fails_disparity_and_not_proven():
    """7.3 and 5.0 % of 10,000: proven unequal, 2.3 points apart as seen, in truth perhaps 1.6."""
    score = np.concatenate([np.r_[np.ones(k), np.zeros(10_000 - k)] for k in (500, 730)])
    frame = pd.DataFrame({"label": 0, "score": score, "race": np.repeat(["a", "b"], 10_000)})
    result = audit_scores(frame, AuditConfig(n_boot=500))
    assert [v.rate for v in failing(result, "disparity")] == ["fpr"] and failing(result, "proven") == []


def test_names_are_escaped(result):
    strange = result.verdicts[0].model_copy(update={"explanation": 'x < "y" & z', "attribute": "<a>"})
    [suite] = ElementTree.fromstring(junit_xml([strange], [strange]).encode())
    assert suite[0].get("name") == "<a>" and suite[0][0].text == 'x < "y" & z'
