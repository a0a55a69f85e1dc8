"""The league table's columns: those of AI-Face-FairnessBench by hand, and those of constant answers."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pandas as pd
import pytest

from audit.runs.score_audit import audit_scores

PATH = Path(__file__).parents[3] / "benchmarks" / "fair_training.py"


def load():
    spec = importlib.util.spec_from_file_location("league_table", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


LEAGUE = load()


@pytest.fixture
def frame():
    """Group a: FPR 1/4, FNR 0, flagged 5/8. Group b: FPR 0, FNR 3/4, flagged 1/8. Group c: real images
    alone."""
    rows = [("a", 0, 0.5), *[("a", 0, 0.1)] * 3, *[("a", 1, 0.9)] * 4]
    rows += [*[("b", 0, 0.49)] * 4, *[("b", 1, 0.2)] * 3, ("b", 1, 0.8), *[("c", 0, 0.9)] * 2]
    return pd.DataFrame(rows, columns=["race", "label", "score"])


def test_columns_of_ai_face_by_hand(frame):
    found = LEAGUE.ai_face(frame, ["race"])
    assert found == pytest.approx(
        {"F_FPR": 25.0, "F_OAE": 100 * (7 / 8 - 5 / 8), "F_DP": 50.0, "F_MEO": 75.0}
    )


def test_they_are_this_programs_measures_in_percent(frame):
    two = frame[frame["race"] != "c"]
    gaps = {
        g.measure: g.value for g in audit_scores(two, LEAGUE.AuditConfig(("race",), min_n=1, n_boot=100)).gaps
    }
    found = LEAGUE.ai_face(two, ["race"])
    names = {"F_FPR": "fpr_difference", "F_OAE": "f_oae", "F_DP": "f_dp", "F_MEO": "f_meo"}
    assert found == pytest.approx({ours: 100 * gaps[theirs] for ours, theirs in names.items()})


@pytest.mark.parametrize("name", ["always real", "always fake"])
def test_a_detector_that_looks_at_nothing_has_no_gap(frame, name):
    found = LEAGUE.ai_face(LEAGUE.baseline(name, frame), ["race"])
    assert (found["F_FPR"], found["F_MEO"], found["F_DP"]) == (0, 0, 0)
