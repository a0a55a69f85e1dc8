"""The first look at a detector finds what is wrong with it, and nothing where all is well."""

import numpy as np
import pandas as pd
import pytest
import torch

from detectors.data.datasets import read_images
from detectors.data.preprocessing import Preprocessing
from detectors.models.detector import Detector, Output
from detectors.models.loading import load_detector
from detectors.scoring.detector_check import check_detector, findings_of, judge, small_auc

LABELS = pd.Series([0, 1] * 10)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.where(LABELS == 1, 0.1, 0.9), "AUC 0.00 on 20 images.*inverted"),
        (np.full(20, 0.5), "all scores are 0.5000: constant"),
        (np.where(LABELS == 1, 1.0, 0.0), "100% of the scores are 0 or 1: saturated"),
        (np.linspace(-1, 3, 20), "scores reach from -1 to 3"),
        (np.array([]), "no image could be scored"),
    ],
)
def test_judge(scores, message):
    found = judge(pd.Series(scores), LABELS[: len(scores)])
    assert len(found) == 1 and pd.Series(found).str.contains(message).all()


def test_small_auc_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    labels, scores = random.integers(0, 2, 40), random.integers(0, 9, 40) / 9
    assert small_auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


def test_a_good_detector_shows_scores_and_no_warning(checkpoint, pairs_dir):
    check = check_detector(load_detector(checkpoint), read_images(pairs_dir))
    assert check.warnings == [] and len(check.scores) == 32
    assert check.lines[0].startswith("first real images score 0.")


def test_what_was_assumed_is_said(pairs_dir):
    network = lambda x: x.mean((1, 2, 3))  # noqa: E731
    detector = Detector(
        "theirs", "", "onnx", Preprocessing(16), Output("logit"), network, {"assumed": ["mean", "output"]}
    )
    said = check_detector(detector, read_images(pairs_dir)).warnings[0]
    assert said == (
        "theirs does not say its mean, output: taken to be mean 0.485,0.456,0.406, output logit; say "
        "otherwise with --set mean=... --set output=..., or in its .toml"
    )


def test_faces_are_looked_for_where_a_detector_wants_them(pairs_dir):
    network = lambda x: torch.zeros(len(x))  # noqa: E731
    detector = Detector("faces", "", "own", Preprocessing(16, face="level"), Output("logit"), network)
    check = check_detector(detector, read_images(pairs_dir))
    assert set(check.scores["status"]) == {"no face found"}
    assert check.warnings == ["no image could be scored: look at the reasons in the score table"]


def found(score, n=16, size_px=16, **provenance):
    """Findings by name on n real and n fake images of which each is as bright as its label."""
    detector = Detector(
        "theirs", "", "onnx", Preprocessing(size_px), Output("probability"), lambda x: x, provenance
    )
    table = pd.DataFrame({"label": [0, 1] * n, "status": "ok", "image_id": range(2 * n)})
    table["score"] = score(table["label"].to_numpy(dtype=float), np.random.default_rng(0))
    return {one.name: one for one in findings_of(detector, table)}


@pytest.mark.parametrize(
    ("score", "wrong", "unknown"),
    [
        (lambda y, r: np.clip(0.5 + 0.3 * (y - 0.5) + r.normal(0, 0.05, len(y)), 0, 1), set(), set()),
        (lambda y, r: 0.9 - 0.8 * y + 0.01 * r.random(len(y)), {"AUC", "orientation"}, set()),
        (lambda y, r: np.arange(len(y)) // 2 % 2 * 0.5 + 0.2, {"AUC"}, {"orientation"}),
        (lambda y, r: 0.500 + 0.01 * y, {"constancy"}, set()),
        (lambda y, r: y, {"saturation"}, set()),
    ],
    ids=["good", "inverted", "chance", "nearly constant", "saturated"],
)
def test_each_thing_looked_for_has_a_tick_or_a_cross(score, wrong, unknown):
    all_of_them = found(score)
    assert {name for name, one in all_of_them.items() if one.ok is False} == wrong
    assert {name for name, one in all_of_them.items() if one.ok is None} == unknown
    assert all(str(one)[0] == {True: "✓", False: "✗", None: "?"}[one.ok] for one in all_of_them.values())
    assert "16 real and 16 fake" in all_of_them["AUC"].text


def test_an_assumed_input_size_is_a_cross_with_the_option_that_puts_it_right():
    size = found(lambda y, r: y, assumed=["size_px"])["input size"]
    assert size.ok is False and "assumed; say --set size_px=" in size.text
    assert found(lambda y, r: y, assumed=["mean"])["input size"].ok is True


def test_images_of_one_class_cannot_tell_which_way_is_up(pairs_dir, checkpoint):
    images = read_images(pairs_dir)
    check = check_detector(load_detector(checkpoint), images.only(images.table["label"] == 0))
    states = {one.name: one.ok for one in check.findings}
    assert states["AUC"] is states["orientation"] is None and states["readable images"] is True


def test_nearly_constant_scores_are_warned_of():
    close = pd.Series(np.where(LABELS == 1, 0.512, 0.508))
    assert judge(close, LABELS)[0].startswith("all scores lie between 0.5080 and 0.5120: nearly constant")


def test_scores_that_are_no_numbers_are_not_said_to_be_scored():
    readable = found(lambda y, r: np.full(len(y), np.nan))["readable images"]
    assert readable.ok is False
    assert readable.text == "0 of 32 were scored; 32 have a score that is no number"


def test_saturation_names_the_end_that_is_there():
    low = found(lambda y, r: np.where(np.arange(len(y)) < 22, 0.0, 0.4))["saturation"]
    assert low.text.startswith("69% of the scores are 0: saturated")
