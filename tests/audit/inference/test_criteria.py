"""Differences, ratios and the four-fifths rule: what is held against the limit, and by which test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.config import AuditConfig
from audit.errors import ConfigError
from audit.inference.criteria import Criterion, criterion_of
from audit.inference.pairwise import pair_deviates

K, N = np.array([4, 30, 120]), np.array([400, 500, 600])
NAMES = ("difference", "ratio", "four-fifths")


def criterion(name, limit=None):
    return Criterion(
        name, {"difference": 0.02, "ratio": 1.25, "four-fifths": 1.25}[name] if limit is None else limit
    )


@pytest.mark.parametrize(
    ("name", "worst_and_best"), [("difference", 0.19), ("ratio", 20.0), ("four-fifths", 0.99 / 0.8)]
)
def test_how_far_two_groups_lie_apart(name, worst_and_best):
    apart = criterion(name).apart(K / N)
    assert apart[2, 0] == pytest.approx(worst_and_best)
    assert np.unravel_index(apart.argmax(), apart.shape) == (2, 0)


def test_beside_a_rate_of_nothing_a_ratio_is_infinite_and_of_two_such_1():
    apart = criterion("ratio").apart(np.array([0.0, 0.0, 0.1]))
    assert apart[2, 0] == np.inf and apart[0, 1] == 1.0 and apart[0, 2] == 0.0
    assert np.isfinite(criterion("ratio").rank(np.array([0, 0, 6]), np.array([60, 60, 60]))).all()


@pytest.mark.parametrize("name", NAMES)
def test_beyond_nothing_tolerated_is_unequal(name):
    """One test for all criteria: none names a pair that another clears of any inequality."""
    none = criterion(name, 0.0 if name == "difference" else 1.0)
    np.testing.assert_allclose(none.deviates_beyond(K, N), pair_deviates(K, N), atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
@given(
    k=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    n=st.tuples(st.integers(60, 900), st.integers(60, 900)),
)
def test_the_interval_and_the_test_say_the_same(name, k, n):
    errors, images = np.array(k), np.array(n)
    one, z = criterion(name), 1.96
    low, _ = one.limits((k[0] / n[0], n[0]), (k[1] / n[1], n[1]), z)
    deviate = float(one.deviates_beyond(errors, images)[0, 1])
    if abs(deviate - z) > 1e-6:
        assert (deviate > z) == (low > one.limit)


def test_the_stricter_end_of_a_range_of_ratios_counts():
    assert criterion_of(AuditConfig(criterion="ratio", ratio_tolerance=(0.5, 1.2))).limit == 1.2
    assert criterion_of(AuditConfig(criterion="ratio", ratio_tolerance=(0.9, 1.5))).limit == pytest.approx(
        1 / 0.9
    )
    assert criterion_of(AuditConfig(criterion="four-fifths", ratio_tolerance=(0.9, 1.5))).limit == 1.25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": "quotient"}, "criterion 'quotient' is none of difference, ratio, four-fifths"),
        (
            {"criterion": "ratio", "ratio_tolerance": (1.0, 1.25)},
            "needs a ratio tolerance that allows for some",
        ),
        (
            {"criterion": "ratio", "references": {"race": "a"}},
            "--reference judges differences, not criterion ratio",
        ),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        AuditConfig(**options).check()
