"""Training a verifier: the shared loop, its record, whole speakers, and what a random split flatters."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

from detectors.errors import DatasetLayoutError, EmptyDataset, OutputExists
from detectors.training.experiments import list_experiments
from detectors.voices import trial_data
from detectors.voices.train_verifier import dealt_at_random, settings_for, train_verifier
from detectors.voices.trial_data import TrialWindows, prepare_trials
from detectors.voices.verifier import load_verifier
from pipelines.voices.trials_folder import read_trials

QUICK = {"epochs": 1, "batch_size": 8, "precision": "32-true"}


def test_the_record_says_what_was_trained_on_whom(verifier_file, trials_dir):
    record = json.loads(verifier_file.with_suffix(".training.json").read_text())
    assert record["task"] == "speaker-verification" and record["data"]["origin"] == "speaker"
    assert [one["epoch"] for one in record["epochs"]] == [1, 2]
    assert (
        record["held_out"]["n"] == record["data"]["n_images"]["test"]
        and record["held_out"]["n_speakers"] == 4
    )
    assert record["random_split"]["flattery"] == pytest.approx(
        record["random_split"]["accuracy"] - record["held_out"]["accuracy"]
    )
    heard = load_verifier(verifier_file, "cpu").provenance
    assert len(heard["trained_on"]) == 6 and not set(heard["trained_on"]) & set(heard["held_out"])
    assert len(heard["trained_on_sha256"]) == 24 and not verifier_file.with_suffix(".training").exists()
    listed = list_experiments(verifier_file.parent)
    assert listed["arch"].tolist() == ["siamese"]


def test_the_page_of_learning_curves_reads_it(verifier_file):
    from reports.pages.training_page import write_training_page

    assert "held-out" in write_training_page(verifier_file).read_text()


@pytest.mark.slow
def test_equal_data_and_seed_give_equal_bytes_interrupted_or_not(trials_dir, tmp_path, monkeypatch):
    how = settings_for("siamese", **QUICK | {"epochs": 2})
    whole = train_verifier("siamese", trials_dir, tmp_path / "w.pt", how, progress=False)
    from detectors.training.learner import History

    kept = History.on_train_epoch_end

    def killed(self, trainer, learner):
        kept(self, trainer, learner)
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(History, "on_train_epoch_end", killed)
    with pytest.raises((KeyboardInterrupt, SystemExit), match=r"^\d*$"):
        train_verifier("siamese", trials_dir, tmp_path / "k.pt", how, progress=False)
    monkeypatch.undo()
    assert (tmp_path / "k.training" / "last.ckpt").is_file()
    with pytest.raises(OutputExists, match="holds an unfinished training with other settings or data"):
        train_verifier("siamese", trials_dir, tmp_path / "k.pt", replace(how, seed=1), progress=False)
    train_verifier("siamese", trials_dir, tmp_path / "k.pt", how, progress=False)
    assert (tmp_path / "k.pt").read_bytes() == whole.read_bytes()


def test_windows_move_in_training_and_stay_in_the_middle_in_tests(trials_dir):
    data = prepare_trials(read_trials(trials_dir), progress=False)
    train, valid = (TrialWindows(data, part, seed=0) for part in ("train", "valid"))
    assert train[0, 0][0].shape == (2, 8_000) and train[0, 0][0].dtype == torch.int16
    assert torch.equal(train[0, 0][0], train[0, 0][0]) and not torch.equal(train[0, 0][0], train[1, 0][0])
    assert torch.equal(valid[0, 0][0], valid[1, 0][0])


def test_clips_too_large_for_memory_are_decoded_as_they_are_heard(trials_dir, monkeypatch):
    within = TrialWindows(prepare_trials(read_trials(trials_dir), False), "train", 0)[0, 3]
    monkeypatch.setattr(trial_data, "CACHE_BYTES", 100_000)
    data = prepare_trials(read_trials(trials_dir), progress=False)
    assert data.voices is None and torch.equal(TrialWindows(data, "train", 0)[0, 3][0], within[0])


def test_a_clip_that_is_gone_takes_its_trials_along_and_is_counted(trials_dir, tmp_path):
    trials = read_trials(trials_dir)
    clip = trials.part("train").table["clip_a"].iloc[0]
    trials.clips[clip] = tmp_path / "gone.wav"
    data = prepare_trials(trials, progress=False)
    assert data.n_unreadable == 1 and clip not in set(data.trials.table["clip_a"])
    assert "1 clips cannot be read and were left out" in data.describe()


def test_a_random_split_has_every_speaker_in_every_part_and_no_trial_twice(trials_dir):
    trials = read_trials(trials_dir)
    mixed = dealt_at_random(trials).table
    for part in ("train", "test"):
        rows = mixed[mixed["part"] == part]
        assert len({*rows["speaker_a"], *rows["speaker_b"]}) == 12
        assert abs(len(rows) - (trials.table["part"] == part).sum()) <= 12  # without those of other parts
    pairs = [frozenset(pair) for pair in zip(mixed["clip_a"], mixed["clip_b"], strict=True)]
    assert len(set(pairs)) == len(pairs)


def test_what_cannot_be_learned_from_is_one_line(trials_dir, tmp_path):
    trials = read_trials(trials_dir)
    with pytest.raises(EmptyDataset, match="the train part lacks trials of the same speaker"):
        prepare_trials(trials.only((trials.table["part"] != "train") | (trials.table["same"] == 0)), False)
    bare = replace(trials, table=pd.DataFrame(trials.table.drop(columns="part")))
    with pytest.raises(DatasetLayoutError, match="names no parts"):
        prepare_trials(bare, False)
