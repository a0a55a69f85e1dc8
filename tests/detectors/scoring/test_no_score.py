"""A detector that gives NaN or infinity for an image: a row with a reason, whoever asked for the score."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import audit
from audit.config import AuditConfig
from audit.errors import ConfigError
from audit.runs.detector_benchmark import benchmark
from audit.runs.shortcuts_run import shortcuts
from audit.runs.stress_run import stress
from detectors.api import LoadedDetector
from detectors.data.datasets import read_images
from detectors.data.preprocessing import Preprocessing
from detectors.errors import EmptyDataset, NoScoreError
from detectors.explanation.explain_images import images_to_explain, write_explanations
from detectors.explanation.measures import measure
from detectors.explanation.methods import explain
from detectors.models.detector import Detector, Output
from detectors.models.loading import load_detector
from detectors.scoring import engine
from detectors.scoring.detector_check import check_detector
from detectors.scoring.engine import score_images
from detectors.scoring.options import Options
from detectors.scoring.score_table import NO_SCORE

QUIET = Options(progress=False)
SIZE = 32
PLAIN = Preprocessing(SIZE, mean=(0.0,) * 3, std=(1.0,) * 3)


class Brightness(nn.Module):
    """Fake is how bright an image is, and black and white ones have no answer."""

    def __init__(self, value: float = float("nan")):
        super().__init__()
        self.conv, self.value = nn.Conv2d(3, 1, 1, bias=False), value
        nn.init.constant_(self.conv.weight, 1 / 3)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        light = self.conv(batch).mean((1, 2, 3))
        return torch.where((light > 0.01) & (light < 0.99), light, self.value)


def detector(value: float = float("nan"), name: str = "bright") -> Detector:
    return Detector(name, "", "own", PLAIN, Output("probability"), Brightness(value))


def never(batch: torch.Tensor) -> torch.Tensor:
    return torch.full((len(batch),), float("nan"))


def paint(path, level: int) -> None:
    Image.new("RGB", (SIZE, SIZE), (level,) * 3).save(path)


@pytest.fixture
def with_black(pairs_factory):
    """40 pairs; three fakes are black."""
    folder = pairs_factory(40, 21)
    for number in (0, 1, 2):
        paint(folder / f"fake/train-{number:06d}.png", 0)
    return folder


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_it_is_a_row_with_a_reason_in_the_table_of_that_detector_alone(with_black, value):
    images = read_images(with_black)
    found, other = score_images([detector(value), replace(detector(), network=flat)], images, QUIET)
    black = images.table["path"].str.contains("fake/train-00000[012]").to_numpy()
    assert (found.loc[black, "status"] == NO_SCORE).all() and (found.loc[~black, "status"] == "ok").all()
    assert found.loc[black, "score"].isna().all() and np.isfinite(found.loc[~black, "score"]).all()
    assert set(found.loc[black, "detail"]) == {f"the answer is {value:g}, which is no score"}
    assert set(found.loc[~black, "detail"]) == {""} and found["sha256"].notna().all()
    assert set(other["status"]) == {"ok"}


def flat(batch: torch.Tensor) -> torch.Tensor:
    return torch.full((len(batch),), 0.25)


def test_an_interrupted_run_ends_like_a_clean_one(with_black, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "BATCHES_PER_PART", 1)
    known, images = load_detector(checkpoint), read_images(with_black)
    real = known.network

    def dark(batch):
        out = real(batch)
        out[batch.amax((1, 2, 3)) <= batch.min()] = float("nan")
        return out

    def cut(batch):
        if calls.append(0) or len(calls) > 2:
            raise RuntimeError("power cut")
        return dark(batch)

    calls: list[int] = []
    how = Options(progress=False, work_dir=tmp_path / "work", batch_size=20)
    with pytest.raises(RuntimeError, match="power cut"):
        score_images([replace(known, network=cut)], images, how)
    assert any((tmp_path / "work").rglob("*.parquet"))
    resumed = score_images([replace(known, network=dark)], images, how)[0]
    clean = score_images([replace(known, network=dark)], images, replace(how, work_dir=None))[0]
    assert (clean["status"] == NO_SCORE).sum() == 3
    assert resumed.equals(clean)


def test_an_audit_counts_it_and_goes_on(with_black, tmp_path):
    (with_black / "fake/train-000003.png").write_bytes(b"no image")
    found = audit.audit_images(
        detector(), with_black, "race", out=tmp_path / "run", n_boot=100, progress=False
    )
    assert found.record.data.n_left_out == {"no face found": 1, NO_SCORE: 3, "unreadable image": 1}
    [fakes] = found.record.no_scores
    assert fakes.label == "fake" and sum(group.n_without for group in fakes.groups) == 4
    assert fakes.more == [] and fakes.sentence == (
        "4 of 40 fakes got no score. By race, fewer than two groups have enough fakes to be compared."
    )
    assert found.record.data.n_images == 76 and np.isfinite(found.scores["score"]).all()


def test_an_audit_of_no_score_at_all_is_one_line(with_black):
    with pytest.raises(
        EmptyDataset,
        match=r"^nan gives no score to any of the 80 images of .*pairs-40-21: 80 no score, such as: the "
        r"answer is nan, which is no score; run `audit check` on the detector first$",
    ):
        audit.audit_images(replace(detector(name="nan"), network=never), with_black, "race", progress=False)


def test_the_first_look_says_how_many(with_black):
    images = read_images(with_black)
    look = check_detector(detector(), images)
    assert look.warnings[0] == "3 of 32 scores are not numbers: the network gives NaN or infinity"
    (readable,) = [one for one in look.findings if one.name == "readable images"]
    assert readable.ok is False and "3 no score" in readable.text
    assert json.dumps(look.as_dict(), allow_nan=False)
    all_of_them = check_detector(replace(detector(), network=never), images).warnings
    assert all_of_them == ["32 of 32 scores are not numbers: the network gives NaN or infinity"]


def test_a_benchmark_counts_it(with_black, tmp_path):
    found = benchmark([detector()], [with_black], tmp_path / "b", progress=False, transformations=["jpeg"])
    assert found.cells[0].n_left_out[NO_SCORE] == 3 and found.cells[0].harm
    with pytest.raises(ConfigError, match=r"are both needed; left out are 80 no score$"):
        benchmark([replace(detector(), network=never)], [with_black], tmp_path / "c", progress=False)


def test_a_stress_test_counts_it(with_black, tmp_path):
    config = AuditConfig(attributes=("race",), n_boot=100)
    images = read_images(with_black)
    found = stress([detector()], images, tmp_path / "s", config, transformations=["jpeg"], progress=False)
    assert found.detectors[0].n_left_out[NO_SCORE] == 3


def test_a_search_for_shortcuts_writes_no_infinity(with_black, tmp_path):
    config = AuditConfig(n_boot=100)
    found = shortcuts(read_images(with_black), tmp_path / "s", detector(float("inf")), config, progress=False)
    assert found.detector is not None and found.detector.n_left_out[NO_SCORE] == 3
    assert ",inf" not in (tmp_path / "s/shortcuts.csv").read_text()


def test_pictures_in_memory_and_files_alike(with_black):
    dark = np.zeros((SIZE, SIZE, 3), np.uint8)
    found = LoadedDetector(detector()).score([dark, with_black / "fake/train-000000.png", dark + 90])
    assert found["status"].tolist() == [NO_SCORE, NO_SCORE, "ok"]
    assert set(found["detail"][:2]) == {"the answer is nan, which is no score"}


@pytest.mark.parametrize("method", ["saliency", "grad-cam", "occlusion", "lime"])
def test_there_is_nothing_to_explain(tmp_path, method):
    paint(tmp_path / "black.png", 0)
    paint(tmp_path / "grey.png", 90)
    rows = images_to_explain([tmp_path / "black.png", tmp_path / "grey.png"])
    record = write_explanations(detector(), rows, tmp_path / "out", method)
    black, grey = record["images"]
    assert black["status"] == NO_SCORE and black["score"] is black["answer"] is black["picture"] is None
    assert black["detail"] == "the answer is nan, which is no score" and grey["status"] == "ok"
    with pytest.raises(NoScoreError, match="the answer is nan, which is no score"):
        explain(detector(), torch.zeros(3, SIZE, SIZE), method)


def test_a_fake_without_a_score_is_not_one_called_fake(with_black):
    manifest = read_images(with_black).table
    fakes = manifest[manifest["label"] == 1].head(4).assign(mask=lambda rows: rows["path"])
    fakes = fakes[["pair_id", "kind", "path", "mask", "age", "gender", "race"]]
    found = measure(replace(detector(), output=Output("probability")), fakes, ["saliency"], threshold=0.0)
    assert set(found["pair_id"]) == {"train-000003"}


class Rooted(Brightness):
    """Answers with a number, whose gradient is none: the root of 0."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        light = self.conv(batch).mean((1, 2, 3))
        return light + (light - light).sqrt()


@pytest.mark.parametrize("method", ["saliency", "integrated-gradients"])
def test_a_map_that_is_no_numbers_is_a_row_with_a_reason_and_not_a_flat_one(tmp_path, method):
    paint(tmp_path / "grey.png", 90)
    rooted = replace(detector(), network=Rooted())
    record = write_explanations(rooted, images_to_explain([tmp_path / "grey.png"]), tmp_path / "out", method)
    [grey] = record["images"]
    assert grey["picture"] is None and "that are no numbers, so there is no map" in grey["detail"]
    with pytest.raises(
        NoScoreError, match=f"gives {SIZE * SIZE} values of {SIZE * SIZE} that are no numbers"
    ):
        explain(rooted, torch.full((3, SIZE, SIZE), 0.3), method)
