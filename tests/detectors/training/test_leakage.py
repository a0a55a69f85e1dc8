"""A random split flatters where images come in near-copies; a split by origin does not."""

import json
from dataclasses import replace

import numpy as np
import pytest

from detectors.data.datasets import read_images
from detectors.data.origins import ByRuns
from detectors.errors import TrainingError
from detectors.training.leakage import train_by_origin
from detectors.training.train_detector import training_record_path

pytestmark = pytest.mark.slow


@pytest.fixture
def copies(tmp_path, save_image):
    """48 origins of noise with labels that nothing explains, five near-copies of each."""
    random = np.random.default_rng(0)
    for origin in range(48):
        kind = ("real", "fake")[origin % 2]
        base = random.integers(40, 216, (8, 8, 3)).repeat(2, 0).repeat(2, 1)
        for copy in range(5):
            noisy = base + random.normal(0, 3, base.shape)
            save_image(
                tmp_path / "set" / kind / f"{origin:03d}{copy}.png", noisy.clip(0, 255).astype(np.uint8)
            )
    return tmp_path / "set"


def test_five_near_copies(copies, quick, tmp_path):
    images = read_images(copies, group_by=ByRuns(5))
    assert images.table["origin"].nunique() == 48
    said = []
    settings = replace(quick, size_px=16, epochs=12, augment=(), patience=0)
    out = train_by_origin(
        "baseline_cnn", images, tmp_path / "a.pt", settings, progress=False, say=said.append
    )
    record = json.loads(training_record_path(out).read_text())
    honest, random = record["held_out"]["accuracy"], record["random_split"]["accuracy"]
    assert honest < 0.75 < random  # labels are arbitrary: whatever is learned is the faces themselves
    assert record["random_split"]["flattery"] == pytest.approx(random - honest)
    assert record["data"]["origin"] == "runs of 5 names"
    assert f"flattering it by {100 * (random - honest):.1f} points" in said[-1]


def test_without_a_held_out_part_there_is_nothing_to_compare(copies, quick, tmp_path):
    with pytest.raises(TrainingError, match="needs a held-out part"):
        train_by_origin(
            "simplenet", read_images(copies), tmp_path / "a.pt", replace(quick, fractions=(0.9, 0.1, 0.0))
        )
