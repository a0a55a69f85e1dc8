"""A training or a search that continues is one that was never interrupted, or is refused: never a mixture."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from detectors.data.datasets import read_images
from detectors.errors import OutputExists, TrainingError
from detectors.training import train_detector
from detectors.training.settings import Settings
from detectors.training.sweep import sweep
from detectors.training.train_detector import train
from detectors.training.training_data import prepare

BASE = Settings(
    epochs=2, batch_size=8, size_px=32, precision="32-true", imagenet=False, fractions=(0.4, 0.3, 0.3)
)
OTHER = {
    "epochs": 3, "batch_size": 4, "optimiser": "sgd", "learning_rate": 0.5, "head_factor": 2.0,
    "weight_decay": 0.5, "schedule": "none", "label_smoothing": 0.1, "freeze_body": True, "imagenet": True,
    "augment": (), "size_px": 64, "gray": True, "resize": "bicubic", "face": "crop", "fair": "reweight",
    "fair_by": ("race",), "by_kind": True, "fractions": (0.5, 0.25, 0.25), "patience": 1,
    "precision": "bf16-mixed", "devices": 2, "seed": 1,
}  # fmt: skip
"""Another value of every setting."""
TABLE = ("label", "kind", "weight", "origin", "part", "race", "source_sha256", "image_id")
WHAT = [
    *(f"setting {name}" for name in OTHER), *(f"column {name}" for name in TABLE),
    "a byte of a fake", "a file gone", "one image fewer", "arch", "device", "warm", "library", "nothing",
]  # fmt: skip


@pytest.fixture(scope="module")
def prepared(pairs_dir):
    return prepare(read_images(pairs_dir), BASE.preprocessing("simplenet"), BASE, False)


def test_every_setting_has_another_value_here():
    assert set(OTHER) == {field.name for field in fields(Settings)}


def with_column(images, name):
    table = images.table.copy()
    value = table.loc[0, name]
    table.loc[0, name] = value + 1 if isinstance(value, int | float | np.number) else f"{value}x"
    return replace(images, table=table)


@pytest.mark.parametrize("what", WHAT)
def test_each_change_is_refused(what, prepared, tmp_path):
    """Begin a training, change one thing, and see that it is not continued."""
    folder, paths, which = tmp_path, [], 2
    for number, path in enumerate(prepared.images.table["path"][:4]):
        paths.append(folder / f"{number}.png")
        paths[-1].write_bytes(Path(path).read_bytes())
    table = prepared.images.table[:4].reset_index(drop=True).assign(path=list(map(str, paths)))
    data = replace(prepared, images=replace(prepared.images, table=table))
    how, out, arch, chosen = {"device": "cpu", "warm": False}, folder / "a.pt", "simplenet", BASE
    train_detector._work_dir(out, train_detector.about_training(arch, data, chosen, how))

    kind, _, name = what.partition(" ")
    with pytest.MonkeyPatch.context() as patch:
        if kind == "setting":
            chosen = replace(BASE, **{name: OTHER[name]})
        elif kind == "column":
            data = replace(data, images=with_column(data.images, name))
        elif what == "a byte of a fake":
            before = paths[which].stat()
            changed = bytearray(paths[which].read_bytes())
            changed[len(changed) // 2] ^= 1
            paths[which].write_bytes(changed)
            os.utime(paths[which], ns=(before.st_atime_ns, before.st_mtime_ns))
        elif what == "a file gone":
            paths[which].unlink()
        elif what == "one image fewer":
            data = replace(data, images=data.images.only(pd.Series([i != which for i in range(4)])))
        elif what == "arch":
            arch = "baseline_cnn"
        elif what in how:
            how[what] = "other"
        elif what == "library":
            patch.setattr(train_detector, "version", lambda name: "0.0.1")
        if what == "nothing":
            assert (
                train_detector._work_dir(out, train_detector.about_training(arch, data, chosen, how))
                == folder / "a.training"
            )
        else:
            with pytest.raises(OutputExists, match="unfinished training with other settings or data"):
                train_detector._work_dir(out, train_detector.about_training(arch, data, chosen, how))


def test_a_damaged_key_is_another_training(prepared, tmp_path):
    folder = train_detector._work_dir(
        tmp_path / "a.pt", train_detector.about_training("simplenet", prepared, BASE, {})
    )
    (folder / "key.json").write_text("{")
    with pytest.raises(
        OutputExists, match="unfinished training with other settings or data: remove it first"
    ):
        train_detector._work_dir(
            tmp_path / "a.pt", train_detector.about_training("simplenet", prepared, BASE, {})
        )


@pytest.mark.parametrize(("name", "damage"), [("last", "cut"), ("last", "bit"), ("best", "bit")])
def test_a_damaged_ckpt_is_said_and_the_next_try_is_a_clean_run(
    name, damage, pairs_factory, tmp_path, monkeypatch
):
    from detectors.training import learner

    pairs, note = pairs_factory(8), learner.History.on_train_epoch_end
    clean = train("simplenet", pairs, tmp_path / "clean.pt", BASE, progress=False)

    def stop(self, trainer, module):
        note(self, trainer, module)
        if trainer.current_epoch == 1:
            raise RuntimeError("power cut")

    monkeypatch.setattr(learner.History, "on_train_epoch_end", stop)
    with pytest.raises(RuntimeError, match="power cut"):
        train("simplenet", pairs, tmp_path / "a.pt", BASE, progress=False)
    monkeypatch.undo()
    kept = tmp_path / "a.training" / f"{name}.ckpt"
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 1
    kept.write_bytes(data[: len(data) // 2] if damage == "cut" else data)
    with pytest.raises(
        TrainingError, match=rf"{name}\.ckpt is damaged \(\w+\), and was removed with its folder"
    ):
        train("simplenet", pairs, tmp_path / "a.pt", BASE, progress=False)
    again = train("simplenet", pairs, tmp_path / "a.pt", BASE, progress=False)
    assert again.read_bytes() == clean.read_bytes()


SPACE = {"learning_rate": (1e-4, 1e-2), "batch_size": [8, 16]}


@pytest.fixture
def instant(monkeypatch):
    """Trials that train nothing: their accuracy is made of their settings."""
    calls: list[Settings] = []

    def pretend(arch, images, path, chosen, **_):
        calls.append(chosen)
        path.write_bytes(repr(chosen).encode())
        return path

    accuracy = {"valid_accuracy": 0.0, "held_out_accuracy": 0.5}

    def found(record):
        return accuracy | {"valid_accuracy": 1 - abs(calls[-1].learning_rate - 0.003)}

    monkeypatch.setattr("detectors.training.sweep.train", pretend)
    monkeypatch.setattr("detectors.training.sweep.read_record", lambda path: path)
    monkeypatch.setattr("detectors.training.sweep.results", found)
    monkeypatch.setattr("detectors.training.sweep.shutil.copyfile", lambda *_: None)
    return calls


@pytest.mark.slow
def test_a_search_that_stopped_proposes_what_one_that_never_stopped_does(instant, pairs_factory, tmp_path):
    pairs, one = pairs_factory(4), {"space": SPACE, "progress": False}
    sweep("simplenet", pairs, tmp_path / "whole", 12, BASE, **one)
    whole = instant[:]
    instant.clear()
    for n in (3, 4, 11, 12):
        sweep("simplenet", pairs, tmp_path / "parts", n, BASE, **one)
    assert instant == whole and len(whole) == 12


@pytest.mark.parametrize("what", ["settings", "space", "images", "table", "device"])
def test_a_search_is_not_continued_on_anything_else(what, instant, pairs_factory, tmp_path):
    pairs, chosen, space, device = pairs_factory(4), BASE, SPACE, "cpu"
    sweep("simplenet", pairs, tmp_path / "out", 1, chosen, space=space, device=device, progress=False)
    images = read_images(pairs)
    if what == "settings":
        chosen = replace(BASE, weight_decay=0.5)
    elif what == "space":
        space = {**SPACE, "batch_size": [8, 32]}
    elif what == "images":
        path = Path(images.table.loc[0, "path"])
        path.write_bytes(path.read_bytes() + b"x")
    elif what == "table":
        images = with_column(images, "race")
    else:
        device = "auto"
    with pytest.raises(
        TrainingError, match=rf"has trials with other {what}, not comparable: use another fol"
    ):
        sweep("simplenet", images, tmp_path / "out", 2, chosen, space=space, device=device, progress=False)
