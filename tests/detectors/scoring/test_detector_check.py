"""The first look at a detector finds what is wrong with it, and nothing where all is well."""

import numpy as np
import pandas as pd
import pytest
import torch

from detectors import load_detector
from detectors.data.datasets import read_images
from detectors.data.preprocessing import Preprocessing
from detectors.models.detector import Detector, Output
from detectors.scoring.detector_check import check_detector, judge, small_auc

LABELS = pd.Series([0, 1] * 10)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.where(LABELS == 1, 0.1, 0.9), "AUC 0.00 on 20 images.*inverted"),
        (np.full(20, 0.5), "all scores are 0.5000: constant"),
        (np.where(LABELS == 1, 1.0, 0.0), "100% of the scores are 0 or 1: saturated"),
        (np.linspace(-1, 3, 20), "scores reach from -1 to 3"),
        (np.full(20, np.nan), "not numbers"),
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
    assert (
        "theirs does not say its mean, output: taken to be 16 px"
        in check_detector(detector, read_images(pairs_dir)).warnings[0]
    )


def test_faces_are_looked_for_where_a_detector_wants_them(pairs_dir):
    network = lambda x: torch.zeros(len(x))  # noqa: E731
    detector = Detector("faces", "", "own", Preprocessing(16, face="level"), Output("logit"), network)
    check = check_detector(detector, read_images(pairs_dir))
    assert set(check.scores["status"]) == {"no face found"}
    assert check.warnings == ["no image could be scored: look at the reasons in the score table"]
