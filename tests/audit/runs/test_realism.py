"""What a pairs dataset says of its fakes reaches the record, and another file is refused."""

import json
import math

import pytest

from audit.errors import ResultFormatError
from audit.runs.realism import realism_of

GROUP = {
    "n_pairs": 40,
    "psnr_db": 31.25,
    "mean_reconstruction_ms_ssim": 0.97,
    "fake_face_found": 0.975,
    "mean_spectrum_db": 2.5,
    "n_face_lost": 1,
    "n_face_gained": 2,
}
SUMMARY = {
    "kinds": {
        "small": {
            "overall": {**GROUP, "n_pairs": 90},
            "groups": [
                {"attribute": "race", "group": "Black", **GROUP},
                {"attribute": "race", "group": "White", **GROUP, "n_pairs": 50, "psnr_db": None},
            ],
            "difficulty": {
                "auc": 0.81,
                "low": 0.72,
                "high": 0.88,
                "traces": {"frequencies": 0.8, "residuals": 0.6},
                "n_held_out": 30,
                "groups": [{"attribute": "race", "group": "Black", "auc": 0.9, "n_held_out": 12}],
            },
        },
        "swap": {"overall": {**GROUP, "n_pairs": 9}, "groups": [], "difficulty": None},
    }
}
FILES = {"finish": {"how": "png", "file_auc": {"small": 0.62, "swap": None}}}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps(SUMMARY))
    return tmp_path


def test_every_kind_overall_and_by_group(folder):
    whole, black, white, swap = realism_of(folder, ["small", "swap"], FILES)
    assert (whole.kind, whole.attribute, whole.group, whole.n_pairs) == ("small", "overall", "all", 90)
    assert (whole.difficulty, whole.difficulty_low, whole.difficulty_high) == (0.81, 0.72, 0.88)
    assert (whole.by_frequencies, whole.by_residuals, whole.n_held_out) == (0.8, 0.6, 30)
    assert (whole.ms_ssim, whole.face_found, whole.spectrum_db, whole.file_auc) == (0.97, 0.975, 2.5, 0.62)
    assert (black.group, black.psnr_db, black.difficulty, black.n_held_out) == ("Black", 31.25, 0.9, 12)
    assert (whole.n_face_lost, whole.n_face_gained) == (1, 2)
    assert math.isnan(white.psnr_db) and math.isnan(white.difficulty) and white.n_held_out == 0
    assert swap.kind == "swap" and math.isnan(swap.difficulty) and math.isnan(swap.file_auc)


def test_the_kinds_of_the_audit_alone(folder):
    assert {one.kind for one in realism_of(folder, ["swap"], {})} == {"swap"}


def test_a_difficulty_by_another_detector_is_not_shown_as_if_it_were_this_one(tmp_path):
    old = json.loads(json.dumps(SUMMARY))
    hard = old["kinds"]["small"]["difficulty"]
    for name in ("low", "high", "traces"):
        del hard[name]
    (tmp_path / "summary.json").write_text(json.dumps(old))
    told = realism_of(tmp_path, ["small"], {})
    assert all(math.isnan(one.difficulty) and one.n_held_out == 0 for one in told)


def test_a_dataset_of_one_unnamed_kind_and_one_without_a_summary(tmp_path):
    assert realism_of(tmp_path, ["fake"], {}) == []
    known = {name: value for name, value in GROUP.items() if not name.startswith("n_face")}
    old = {"overall": known, "groups": [{"attribute": "race", "group": "Black", **known}]}
    (tmp_path / "summary.json").write_text(json.dumps(old))
    whole, black = realism_of(tmp_path, ["fake"], {})
    assert (whole.group, black.group, whole.n_face_lost) == ("all", "Black", None)


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"kinds": {"small": {}}},
        {"kinds": {"small": {"overall": {"n_pairs": "many"}, "groups": []}}},
        {"kinds": {"small": {"overall": GROUP, "groups": [3]}}},
        {"kinds": {"small": {"overall": GROUP, "groups": [], "difficulty": "hard"}}},
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "summary.json").write_text(json.dumps(content))
    with pytest.raises(ResultFormatError, match=r"summary\.json is no summary of pairs"):
        realism_of(tmp_path, ["small"], {})
