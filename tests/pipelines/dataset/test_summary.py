"""Outcomes by group, counted by hand."""

import json

import numpy as np
import pandas as pd

from pipelines.dataset.summary import summarise, summarise_kinds


def test_counts_and_means_by_hand():
    nan = float("nan")
    rows = pd.DataFrame(
        [
            ("20-29", "Male", "White", "ok", 0.9, 0.0, 0.1, 0.8, 0.9, 0.9),
            ("20-29", "Male", "Black", "ok", 0.7, 0.2, 0.3, 0.6, 0.9, nan),
            ("20-29", "Female", "Black", "ok", 0.8, 0.1, 0.2, 0.7, nan, 0.9),
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
    assert (whole["n_face_lost"], whole["n_face_gained"]) == (1, 1)
    groups = {(g["attribute"], g["group"]): g for g in summary["groups"]}
    assert len(groups) == 6
    assert groups["age", "3-9"]["mean_confidence"] is None
    assert groups["race", "Black"]["drop_out"] == 1 / 3
    assert np.isclose(groups["gender", "Male"]["mean_reconstruction_l1"], 0.2)
    json.dumps(summary, allow_nan=False)


def test_each_kind_is_summed_up_alone():
    rows = pd.DataFrame(
        {
            "kind": ["swap", "swap", "small"],
            "age": "20-29",
            "gender": "Male",
            "race": ["White", "Black", "White"],
            "status": ["ok", "no donor", "ok"],
            **dict.fromkeys(["confidence", "border_share", "reconstruction_l1"], 0.5),
            **dict.fromkeys(["reconstruction_ms_ssim", "real_confidence", "fake_confidence"], 0.9),
            "psnr_db": [20.0, np.nan, np.inf],
        }
    )
    found = summarise_kinds(rows, {"swap": {"auc": 0.5}})["kinds"]
    assert list(found) == ["small", "swap"]
    assert found["swap"]["overall"]["reasons"] == {"no donor": 1}
    assert found["swap"]["overall"]["psnr_db"] == 20.0
    assert found["small"]["overall"]["psnr_db"] is None
    assert (found["swap"]["difficulty"], found["small"]["difficulty"]) == ({"auc": 0.5}, None)
    json.dumps(found, allow_nan=False)
