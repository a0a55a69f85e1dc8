"""Outcomes by group, counted by hand."""

import json

import numpy as np
import pandas as pd

from pipelines.dataset.summary import summarise


def test_counts_and_means_by_hand():
    nan = float("nan")
    rows = pd.DataFrame(
        [
            ("20-29", "Male", "White", "ok", 0.9, 0.0, 0.1, 0.8, 0.9, 0.9),
            ("20-29", "Male", "Black", "ok", 0.7, 0.2, 0.3, 0.6, 0.9, nan),
            ("20-29", "Female", "Black", "ok", 0.8, 0.1, 0.2, 0.7, nan, nan),
            ("3-9", "Female", "Black", "no face found", nan, nan, nan, nan, nan, nan),
        ],
        columns=["age", "gender", "race", "status", "confidence", "border_share", "reconstruction_l1",
                 "reconstruction_ms_ssim", "real_confidence", "fake_confidence"],
    )  # fmt: skip
    summary = summarise(rows)
    whole = summary["overall"]
    assert (whole["n_attempted"], whole["n_pairs"], whole["drop_out"]) == (4, 3, 0.25)
    assert whole["reasons"] == {"no face found": 1}
    assert np.isclose(whole["mean_confidence"], 0.8)
    assert whole["fake_face_found"] == 0.5
    groups = {(g["attribute"], g["group"]): g for g in summary["groups"]}
    assert len(groups) == 6
    assert groups["age", "3-9"]["mean_confidence"] is None
    assert groups["race", "Black"]["drop_out"] == 1 / 3
    assert np.isclose(groups["gender", "Male"]["mean_reconstruction_l1"], 0.2)
    json.dumps(summary, allow_nan=False)
