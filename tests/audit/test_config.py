"""Options: every fault is found, all of them at once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audit.config import AuditConfig
from audit.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.0}, "confidence 1.0 is not in 0.5-1"),
        ({"tolerance": 0.0}, "tolerance 0 is not between 0 and 1: .* 2 points are 0.02"),
        ({"ratio_tolerance": (1.1, 1.2)}, "ratio tolerance 1.1-1.2"),
        ({"ratio_tolerance": (0.8, math.inf)}, "ratio tolerance 0.8-inf"),
        ({"min_n": 0}, "min_n 0"),
        ({"n_boot": 10}, "n_boot 10 is not in 100-10,000,000"),
        ({"seed": -1}, "seed -1 is negative"),
        ({"threshold": "best"}, "threshold 'best' is neither a number nor one of eer"),
        ({"calibration_share": 1.0}, "calibration share 1.0"),
        ({"max_fpr": 0.0}, "max_fpr 0.0 is not between 0 and 1"),
        ({"max_fnr": 5}, "max_fnr 5 is not between 0 and 1"),
        ({"attributes": ["a", "a"]}, "an attribute is named twice"),
        ({"attributes": ["a:b"]}, "'a:b' cannot be an attribute name"),
        ({"attributes": ["overall"]}, "'overall' cannot be an attribute name"),
        ({"attributes": [""]}, "'' cannot be an attribute name"),
        ({"bins": {"age": []}}, "bin edges of 'age' must be finite and increasing"),
        ({"bins": {"age": [3, 3]}}, "bin edges of 'age'"),
        ({"bins": {"age": [math.inf]}}, "bin edges of 'age'"),
    ],
)
def test_faults(options, message):
    with pytest.raises(ConfigError, match=message):
        AuditConfig(**options).check()


def test_faults_are_reported_together():
    with pytest.raises(ConfigError, match=r"min_n 0 .*; seed -1 is negative"):
        AuditConfig(min_n=0, seed=-1).check()


def test_defaults_are_sound():
    assert AuditConfig().check().alpha == pytest.approx(0.05)


def test_edges_may_come_one_by_one():
    """They were accepted, and gone when they were looked at again."""
    config = AuditConfig(bins={"age": iter([18, 40])}, attributes=["age"]).check()
    assert config.bins == {"age": (18, 40)} and config.check() is config
    assert AuditConfig(bins={"age": np.array([18.5, 40])}).check().bins == {"age": (18.5, 40.0)}


@pytest.mark.parametrize("given", [2000, 2000.0, np.int64(2000), np.float64(2000)])
def test_a_reference_may_be_a_number_as_groups_are_spelled(given):
    assert AuditConfig(references={"yr": given}).check().references == {"yr": "2000"}


def test_a_reference_that_is_no_group_is_refused():
    with pytest.raises(ConfigError, match=r"references is .*; it must be a group by column, such as"):
        AuditConfig(references={"yr": ["a"]}).check()
