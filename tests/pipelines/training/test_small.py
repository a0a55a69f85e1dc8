"""The training of the embedded generator goes on from finished weights, with the face finder beside it."""

import json

import numpy as np
import pytest
import torch

from pipelines.generators.small import SMALL_WEIGHTS, SmallGenerator
from pipelines.rendered import render_face
from pipelines.training.small import Crops, Plan, Trainer

FIRST, SECOND = "1" * 64, "2" * 64


@pytest.fixture
def crops(tmp_path) -> Crops:
    rng = np.random.default_rng(0)
    drawn = np.stack([[render_face("20-29", "Female", "Black", rng=rng, size_px=256)] for _ in range(2)])
    np.save(tmp_path / "crops.npy", drawn)
    rows = [
        {"sha256": FIRST, "set": "train", "rendered": False},
        {"sha256": SECOND, "set": "tune", "rendered": False},
    ]
    (tmp_path / "crops.json").write_text(json.dumps(rows))
    return Crops([tmp_path])


def test_it_goes_on_from_finished_weights(crops, tmp_path, one_thread):
    plan = Plan(minutes=1e-6, batch_size=1, learning_rate=0.1, average_images=1, face_finder_weight=0.5)
    trainer = Trainer(crops, tmp_path, plan, "cpu", compiled=False)
    trainer.begin_with(SMALL_WEIGHTS)
    trainer.train(log_every_s=0)
    before, after = SmallGenerator(), SmallGenerator(tmp_path / "small.safetensors")
    row = json.loads((tmp_path / "training.jsonl").read_text())
    assert row["face_finder"] > 0
    assert row["images"] == int(before.provenance["images"]) + 1 == int(after.provenance["images"])
    plans = json.loads(after.provenance["plans"])
    assert plans[:-1] == json.loads(before.provenance["plans"])
    assert json.loads(plans[-1])["face_finder_weight"] == 0.5
    old, new = before.network.state_dict(), after.network.state_dict()
    assert not all(torch.equal(old[k], new[k]) for k in old)
    assert all(torch.allclose(old[k], new[k], atol=5e-3) for k in old), "a single small step"
    listed = (tmp_path / "small.photos.txt").read_text().split()
    assert set(listed) == {FIRST, *SMALL_WEIGHTS.with_suffix(".photos.txt").read_text().split()}
    assert listed == sorted(listed)
