"""Options: every fault is found, all of them at once."""

from __future__ import annotations

import math

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
