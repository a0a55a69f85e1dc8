"""Training end to end: it learns, it repeats, it continues, and it remembers what it has seen."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from detectors.data.labelled_images import LabelledImages, to_table
from detectors.data.preprocessing import Preprocessing
from detectors.errors import OutputExists, TrainingError
from detectors.models.checkpoint import load_checkpoint
from detectors.training.learner import ImageLearner
from detectors.training.settings import Settings
from detectors.training.train_detector import best_epoch, train, training_record_path
from detectors.training.training_data import TrainingData

pytestmark = pytest.mark.slow


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def test_it_learns_the_difference(checkpoint):
    record = json.loads(training_record_path(checkpoint).read_text())
    assert record["held_out"]["n"] == 24
    assert record["held_out"]["accuracy"] >= 0.9
    assert set(record["held_out"]["by_kind"]) == {"real", "fake"}


def test_record_holds_every_epoch_and_what_it_ran_on(checkpoint, quick):
    record = json.loads(training_record_path(checkpoint).read_text())
    assert [epoch["epoch"] for epoch in record["epochs"]] == [1, 2, 3, 4, 5, 6]
    assert set(record["epochs"][0]) == {
        "epoch",
        "train_loss",
        "train_accuracy",
        "valid_loss",
        "valid_accuracy",
    }
    assert record["settings"] == json.loads(json.dumps(quick.as_dict()))
    assert record["environment"]["torch"] and len(record["data"]["fingerprint"]) == 64
    assert load_checkpoint(checkpoint).provenance["epochs"] == record["epochs"]


def test_source_photos_of_the_three_parts_are_disjoint_and_complete(checkpoint, pairs_dir):
    provenance = load_checkpoint(checkpoint).provenance
    parts = [set(provenance[name]) for name in ("trained_on", "validated_on", "held_out")]
    assert [len(part) for part in parts] == [24, 4, 12]
    manifest = pd.read_parquet(pairs_dir / "manifest.parquet").query("status == 'ok'")
    assert set.union(*parts) == set(manifest["source"])
    hashes = [set(provenance[f"{name}_sha256"]) for name in ("trained_on", "validated_on", "held_out")]
    assert set.union(*hashes) == set(manifest["source_sha256"]) and sum(map(len, hashes)) == 40


def test_same_seed_same_weights_other_seed_other_weights(checkpoint, pairs_dir, quick, tmp_path):
    again = train("simplenet", pairs_dir, tmp_path / "again.pt", quick, progress=False)
    assert again.read_bytes() == checkpoint.read_bytes()
    other = train("simplenet", pairs_dir, tmp_path / "other.pt", replace(quick, seed=1), progress=False)
    assert not torch.equal(weights(other)["9.weight"], weights(checkpoint)["9.weight"])


def test_interrupted_training_continues_to_the_same_bytes(
    checkpoint, pairs_dir, quick, tmp_path, monkeypatch
):
    from detectors.training import learner

    note = learner.History.on_train_epoch_end

    def stop_after_two(self, trainer, module):
        note(self, trainer, module)
        if trainer.current_epoch == 1:
            raise RuntimeError("power cut")

    settings = replace(quick, augment=("flip",))
    monkeypatch.setattr(learner.History, "on_train_epoch_end", stop_after_two)
    with pytest.raises(RuntimeError, match="power cut"):
        train("simplenet", pairs_dir, tmp_path / "a.pt", settings, progress=False)
    assert (tmp_path / "a.training" / "last.ckpt").is_file() and not (tmp_path / "a.pt").exists()
    monkeypatch.undo()
    with pytest.raises(OutputExists, match="unfinished training with other settings or data"):
        train("simplenet", pairs_dir, tmp_path / "a.pt", replace(settings, seed=9), progress=False)
    train("simplenet", pairs_dir, tmp_path / "a.pt", settings, progress=False)
    assert (tmp_path / "a.pt").read_bytes() == checkpoint.read_bytes()
    assert not (tmp_path / "a.training").exists()


def test_existing_checkpoint_is_kept(checkpoint, pairs_dir, quick):
    with pytest.raises(OutputExists, match=r"simple\.pt exists: choose another name"):
        train("simplenet", pairs_dir, checkpoint, quick, progress=False)


def test_all_impossible_settings_are_named_at_once():
    settings = Settings(epochs=0, learning_rate=-1, optimiser="lion", augment=("cut",), fractions=(1, 0, 0))
    with pytest.raises(TrainingError, match=r"epochs is 0.*learning_rate is -1.*'lion'.*split.*'cut'"):
        settings.check("simplenet")


def test_best_epoch_breaks_ties_by_loss():
    epochs = [
        {"epoch": 1, "valid_accuracy": 0.9, "valid_loss": 0.5},
        {"epoch": 2, "valid_accuracy": 0.9, "valid_loss": 0.3},
        {"epoch": 3, "valid_accuracy": 0.8, "valid_loss": 0.1},
    ]
    assert best_epoch(epochs) == 2


def test_several_kinds_of_fake_are_classes_of_their_own(tmp_path, quick, save_image, draw_image):
    for i in range(16):
        for kind in ("real", "checker", "dark"):
            pixels = draw_image(i, kind == "checker") // (4 if kind == "dark" else 1)
            save_image(tmp_path / "set" / kind / f"{i}.png", pixels)
    path = train(
        "simplenet", tmp_path / "set", tmp_path / "a.pt", replace(quick, by_kind=True), progress=False
    )
    detector = load_checkpoint(path)
    assert detector.provenance["classes"] == ["real", "checker", "dark"]
    assert detector.output.fake_index == (1, 2)
    record = json.loads(training_record_path(path).read_text())
    assert set(record["held_out"]["by_kind"]) == {"real", "checker", "dark"}
    assert record["held_out"]["accuracy"] > 0.7


def test_a_diverging_training_says_so_and_leaves_nothing(pairs_dir, quick, tmp_path):
    settings = replace(quick, learning_rate=10.0, optimiser="sgd", schedule="none")
    with pytest.raises(TrainingError, match=r"diverged in epoch \d .*use a lower learning rate"):
        train("vgg10", pairs_dir, tmp_path / "a.pt", settings, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_unreadable_training_files_are_left_out_and_counted(pairs_factory, quick, tmp_path):
    folder = pairs_factory(12)
    (folder / "fake" / "train-000003.png").write_bytes(b"no image")
    said = []
    settings = replace(quick, epochs=1, fractions=(0.7, 0.3, 0.0))
    path = train("simplenet", folder, tmp_path / "a.pt", settings, progress=False, say=said.append)
    assert load_checkpoint(path).provenance["data"]["n_unreadable"] == 1
    assert "1 unreadable files left out" in said[0]
    assert "held_out" not in json.loads(training_record_path(path).read_text())


def test_without_room_for_a_cache_it_learns_the_same(checkpoint, pairs_dir, quick, tmp_path, monkeypatch):
    from detectors.training import training_data as prepare

    monkeypatch.setattr(prepare, "CACHE_BYTES", 0)
    path = train("simplenet", pairs_dir, tmp_path / "a.pt", quick, progress=False)
    assert all(torch.equal(value, weights(checkpoint)[name]) for name, value in weights(path).items())


def test_early_stopping_stops(pairs_dir, quick, tmp_path):
    settings = replace(quick, epochs=40, patience=2, learning_rate=1e-8)
    path = train("baseline_cnn", pairs_dir, tmp_path / "a.pt", settings, progress=False)
    assert len(json.loads(training_record_path(path).read_text())["epochs"]) < 40


def test_two_processes_train_together(pairs_dir, tmp_path):
    command = [sys.executable, "-m", "audit.cli", "train", "--arch", "baseline_cnn", "--data", str(pairs_dir)]
    options = ["--out", str(tmp_path / "a.pt"), "--epochs", "2", "--size-px", "32", "--devices", "2"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(load_checkpoint(tmp_path / "a.pt").provenance["epochs"]) == 2
    names = ["a.pt", "a.training.csv", "a.training.html", "a.training.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


class AlwaysFake(nn.Module):
    """Calls everything fake."""

    def forward(self, images):
        return torch.tensor([[0.0, 5.0]]).repeat(len(images), 1)


def test_several_fakes_of_a_photo_weigh_as_one_where_the_epoch_is_chosen(monkeypatch):
    """Of three fakes a photo, who calls everything fake is right in half, not in three quarters."""
    rows = [
        {"image_id": f"{i}{kind}", "path": "", "label": int(kind != "real"), "kind": kind, "source": str(i),
         "origin": str(i), "part": part, "weight": 1.0 if kind == "real" else 1 / 3}
        for part, photos in (("valid", range(4)), ("test", range(4, 6)))
        for i in photos
        for kind in ("real", "a", "b", "c")
    ]  # fmt: skip
    images = LabelledImages(to_table(rows), (), "pairs", Path("x"))
    data = TrainingData(images, ["real", "fake"], Preprocessing(32), {}, 0)
    assert data.class_weights("valid") == pytest.approx([2, 2 / 3])
    told = {}
    learner = ImageLearner(AlwaysFake(), "simplenet", data.preprocessing, Settings(), False, None,
                      data.class_weights("valid"))  # fmt: skip
    monkeypatch.setattr(learner, "log", lambda name, value, **_: told.update({name: float(value)}))
    classes = torch.tensor(data.class_numbers("valid"))
    learner.validation_step((torch.zeros(16, 3, 32, 32, dtype=torch.uint8), classes, classes * 0), 0)
    assert told["valid_accuracy"] == pytest.approx(0.5)
    assert told["valid_loss"] == pytest.approx((5 + 2 * math.log(1 + math.exp(-5))) / 2, rel=1e-5)
    equal = images.table.assign(weight=1.0)
    same = TrainingData(replace(images, table=equal), ["real", "fake"], Preprocessing(32), {}, 0)
    assert same.class_weights("valid") == [1.0, 1.0]
