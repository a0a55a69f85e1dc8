"""Upper limits of every rate, held to what is allowed: scipy's Clopper-Pearson over all that are judged."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from audit.config import AuditConfig
from audit.data.counts import count
from audit.data.score_table import score_table
from audit.inference.effective_sample_size import fpr_worth
from audit.judge.rate_limits import rate_limits, upper_limit

ROWS = {"A": (0, 50, 3, 60), "B": (6, 70, 0, 30), "C": (1, 29, 1, 29), None: (5, 40, 5, 40)}


def frame():
    """Flagged reals, reals, missed fakes, fakes of each group; C is small, and one has no label."""
    parts = []
    for name, (fp, n, fn, m) in ROWS.items():
        score = [0.9] * fp + [0.1] * (n - fp + fn) + [0.9] * (m - fn)
        parts.append(pd.DataFrame({"label": [0] * n + [1] * m, "score": score, "race": name, "half": "x"}))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(half=np.where(table.index % 2, "x", "y"))


def limits(table, **options):
    config = AuditConfig(attributes=("race", "half"), **options)
    checked = score_table(table, config)
    return rate_limits(count(checked, 0.5), checked.cells.groupings(), config)


def clopper_pearson(errors, n, alpha):
    return binomtest(errors, n, alternative="less").proportion_ci(1 - alpha, method="exact").high


def test_all_upper_limits_hold_together():
    found = limits(frame(), max_fpr=0.2, max_fnr=0.05)
    assert [(one.rate, one.attribute, one.group) for one in found] == [
        (rate, attribute, group)
        for rate in ("fpr", "fnr")
        for attribute, groups in (
            ("overall", ["overall"]),
            ("race", ["A", "B", "C", "(missing)"]),
            ("half", "xy"),
        )
        for group in groups
    ]
    alpha = 0.05 / 10  # overall, A, B, x and y, of both rates
    for one in found:
        assert one.limit == {"fpr": 0.2, "fnr": 0.05}[one.rate]
        assert one.value == pytest.approx(one.errors / one.images)
        if one.group in ("C", "(missing)"):
            assert one.holds is None and math.isnan(one.upper)
        else:
            assert one.upper == pytest.approx(clopper_pearson(one.errors, one.images, alpha))
            assert one.holds == (one.upper <= one.limit)
    by_group = {(one.rate, one.group): (one.errors, one.images) for one in found}
    assert by_group["fpr", "overall"] == (12, 189) and by_group["fnr", "overall"] == (9, 159)
    assert (
        by_group["fpr", "B"] == (6, 70)
        and by_group["fnr", "A"] == (3, 60)
        and by_group["fpr", "C"] == (1, 29)
    )
    assert {one.holds for one in found} == {True, False, None}


def test_only_what_has_a_limit_is_looked_at():
    assert limits(frame()) == []
    found = limits(frame(), max_fnr=0.5)
    assert {one.rate for one in found} == {"fnr"} and len(found) == 7
    assert found[0].upper == pytest.approx(clopper_pearson(9, 159, 0.05 / 5))


def test_images_of_persons_are_as_many_as_they_are_worth():
    table = frame().assign(person=lambda f: f.index // 3)
    config = AuditConfig(attributes=("race", "half"), unit_column="person", max_fpr=0.2)
    [overall, *_] = limits(table, unit_column="person", max_fpr=0.2)
    worth = float(fpr_worth(count(score_table(table, config), 0.5).total())[0])
    assert (overall.errors, overall.images) == (12, 189) and worth < 189
    assert overall.upper == upper_limit(12 / 189, worth, 0.05 / 5)


def test_an_upper_limit_at_the_ends():
    assert math.isnan(upper_limit(0.0, 0.0, 0.05)) and upper_limit(1.0, 20, 0.05) == 1.0
    assert upper_limit(0.95, 20, 0.05) == pytest.approx(clopper_pearson(19, 20, 0.05))
