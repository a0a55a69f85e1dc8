"""Copies are told from ties that chance makes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.config import AuditConfig
from audit.data.duplicates import repeated_rows
from audit.data.score_table import score_table
from audit.runs.score_audit import audit_scores

CONFIG = AuditConfig()


def drawn(n: int = 600, seed: int = 0, apart: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    label, race = rng.integers(0, 2, n), rng.choice(["a", "b", "c"], n)
    logit = rng.normal(-2 + 4 * label + apart * (race == "c"), 1.5)
    return pd.DataFrame({"label": label, "score": 1 / (1 + np.exp(-logit)), "race": race})


@pytest.mark.parametrize("times", [2, 8])
@pytest.mark.parametrize("digits", [16, 7, 4])
def test_copies_are_counted(times, digits):
    once = drawn().round({"score": digits})
    table = score_table(pd.concat([once] * times), CONFIG)
    assert repeated_rows(table) >= 600 * (times - 1)
    assert repeated_rows(table) <= 600 * times


def test_a_few_copies_are_copies():
    once = drawn()
    assert repeated_rows(score_table(pd.concat([once, once[:30]]), CONFIG)) == 30
    assert repeated_rows(score_table(pd.concat([once, once[:3]]), CONFIG)) == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("digits", [16, 4, 3, 2, 1, 0])
@pytest.mark.parametrize("apart", [0.0, 3.0])
@pytest.mark.parametrize("n", [200, 4000])
def test_ties_of_rounded_scores_are_chance(digits, seed, apart, n):
    frame = drawn(n, seed, apart)
    assert repeated_rows(score_table(frame.assign(score=frame.score.round(digits)), CONFIG)) == 0


def test_saturated_scores_are_no_copies():
    frame = drawn(4000, apart=6.0)
    saturated = frame.score.where(frame.score < 0.9, 1.0).where(frame.score > 0.1, 0.0)
    assert repeated_rows(score_table(frame.assign(score=saturated), CONFIG)) == 0


def test_one_group_has_no_yardstick():
    once = drawn().assign(race="a")
    assert repeated_rows(score_table(pd.concat([once, once]), CONFIG)) == 0


def test_the_record_warns():
    once = drawn(200)
    found = audit_scores(pd.concat([once] * 8), AuditConfig(n_boot=100))
    assert any(note.startswith("1,400 of 1,600 rows repeat another") for note in found.notes)
