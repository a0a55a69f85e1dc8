"""Drop-out and pair quality by group."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from audit.judge.attrition import dropout_by_group


def manifest() -> pd.DataFrame:
    rows = [
        ("a", "ok", "Female", 0.02, 0.99, 0.98),
        ("b", "ok", "Female", 0.04, 0.99, float("nan")),
        ("c", "no face found", "Female", float("nan"), float("nan"), float("nan")),
        ("d", "ok", "Male", 0.06, float("nan"), float("nan")),
    ]
    names = ["pair_id", "status", "gender", "reconstruction_l1", "real_confidence", "fake_confidence"]
    return pd.DataFrame(rows, columns=names)


def test_counts_by_reason_and_means_over_pairs():
    whole, women, men = dropout_by_group(manifest(), ["gender"])
    assert (whole.attribute, whole.n_attempted, whole.n_ok) == ("overall", 4, 3)
    assert women.n_by_status == {"no face found": 1, "ok": 2}
    assert women.quality["reconstruction_l1"] == pytest.approx(0.03)
    assert women.quality["fake_face_found"] == pytest.approx(0.5)
    assert men.n_ok == 1


def test_nothing_to_average_is_undefined():
    men = dropout_by_group(manifest(), ["gender"])[2]
    assert math.isnan(men.quality["fake_face_found"])


def test_an_attribute_the_manifest_lacks_is_passed_over():
    assert [d.attribute for d in dropout_by_group(manifest(), ["hat"])] == ["overall"]
