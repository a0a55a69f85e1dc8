"""The published format: schema, versions, and clear words about files that are not it."""

from __future__ import annotations

import json
import math

import pytest
from pydantic import ValidationError

from audit.config import AuditConfig
from audit.errors import ResultFormatError
from audit.runs.score_audit import audit_scores
from audit.schema.json_schema import audit_schema, load_result
from audit.schema.result import SCHEMA_VERSION, AuditResult, check_version


@pytest.fixture(scope="module")
def text():
    import pandas as pd

    frame = pd.DataFrame({"label": [0, 1] * 20, "score": [0.1, 0.9] * 20, "race": ["a", "a", "b", "b"] * 10})
    return audit_scores(frame, AuditConfig(n_boot=200)).to_json()


def test_schema_describes_what_is_written(text):
    schema = audit_schema()
    content = json.loads(text)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert set(content) == set(schema["properties"])
    verdict = schema["$defs"]["Verdict"]["properties"]
    promised = "attribute rate verdict p_value adjusted_p_value gap min_detectable_gap worst_group"
    for field in promised.split():
        assert field in verdict and field in content["verdicts"][0]
    assert {"attribute", "measure", "value", "interval"} <= set(content["gaps"][0])
    assert {
        "attribute",
        "group",
        "n_real",
        "n_fake",
        "fpr",
        "fpr_interval",
        "fnr",
        "fnr_interval",
        "auc",
        "eer",
    } <= set(content["groups"][0])


def test_schema_allows_null_for_undefined_rates():
    rate = audit_schema()["$defs"]["GroupResult"]["properties"]["fpr"]
    assert {"type": "null"} in rate["anyOf"]


def test_older_minor_version_opens_with_defaults(text):
    content = json.loads(text)
    content["schema_version"] = "1.0"
    del content["adjusted_gaps"], content["config"]["controls"], content["config"]["unit_column"]
    for gap in content["gaps"]:
        del gap["expected_if_equal"], gap["tolerance_check"]
    for verdict in content["verdicts"]:
        del verdict["n_groups"]
    found = AuditResult.from_json(json.dumps(content))
    assert found.gaps[0].tolerance_check is None and found.verdicts[0].n_groups == 0
    assert found.adjusted_gaps == [] and found.config.controls == []


def test_a_record_with_a_standard_error_of_difficulty_opens(text):
    content = json.loads(text) | {"schema_version": "1.3"}
    content["realism"] = [
        {"kind": "swap", "attribute": "overall", "group": "all", "n_pairs": 9, "difficulty_error": 0.04}
    ]
    found = AuditResult.model_validate(content).realism[0]
    assert found.difficulty_error == 0.04 and math.isnan(found.difficulty_low)


def test_another_major_version_is_refused():
    with pytest.raises(ResultFormatError, match=r"format 0\.4 is no longer read; run the audit again"):
        check_version({"schema_version": "0.4"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": "99.0"}, f"format 99.0 is newer than {SCHEMA_VERSION}"),
        ({"schema_version": "1.999"}, "format 1.999 is newer"),
        ({"schema_version": "one"}, "schema_version is 'one'"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"verdicts": 3}, "verdicts: Input should be a valid"),
    ],
)
def test_files_that_cannot_be_read(text, tmp_path, change, message):
    (tmp_path / "audit.json").write_text(json.dumps(json.loads(text) | change))
    with pytest.raises(ResultFormatError, match=message):
        load_result(tmp_path)
    with pytest.raises(ValidationError, match="validation error"):
        AuditResult.load(tmp_path)


def test_files_that_are_nothing(tmp_path):
    with pytest.raises(ResultFormatError, match=r"no audit\.json at"):
        load_result(tmp_path)
    (tmp_path / "audit.json").write_text("<html>")
    with pytest.raises(ResultFormatError, match=r"audit\.json is not JSON"):
        load_result(tmp_path / "audit.json")


@pytest.mark.slow
def test_nothing_of_torch_is_loaded():
    import subprocess
    import sys

    code = (
        "import sys, audit.runs.score_audit, audit.runs.compare_runs, audit.runs.junit\n"
        "import audit.schema.json_schema\n"
        "assert not {'torch', 'torchvision', 'facenet_pytorch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
