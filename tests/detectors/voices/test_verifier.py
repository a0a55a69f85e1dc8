"""Checkpoints of verifiers, and trials scored with them."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from detectors.data.preprocessing import Preprocessing
from detectors.errors import CheckpointFormatError, DetectorNotFound, EmptyDataset
from detectors.models import architectures as zoo
from detectors.models.checkpoint import save_checkpoint
from detectors.models.loading import load_detector
from detectors.voices import trial_scores
from detectors.voices.trial_scores import SEEN, ScoringOptions, score_trials
from detectors.voices.verifier import load_verifier
from pipelines.voices.trials_folder import read_trials

SILENT = ScoringOptions(progress=False)


def test_each_side_refuses_the_files_of_the_other(verifier_file, tmp_path):
    with pytest.raises(CheckpointFormatError, match="is a speaker verifier, and compares voices"):
        load_detector(verifier_file, device="cpu")
    with pytest.raises(CheckpointFormatError, match="is a speaker verifier, and compares voices"):
        load_detector(verifier_file, device="cpu", arch="resnet18")
    face = save_checkpoint(tmp_path / "f.pt", "spectrum", zoo.build("spectrum"), Preprocessing(32), {})
    with pytest.raises(CheckpointFormatError, match="is a detector of fake faces, and compares no voices"):
        load_verifier(face)
    torch.save({"a": torch.zeros(1)}, tmp_path / "plain.pt")
    with pytest.raises(CheckpointFormatError, match="not a verifier written by"):
        load_verifier(tmp_path / "plain.pt")
    with pytest.raises(DetectorNotFound, match="no detector at"):
        load_verifier(tmp_path / "absent.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(arch="resnet50"), "no speaker verifier 'resnet50'"),
        (lambda r: r.update(listening={"rate_hz": 16_000}), "n_samples is 25000|missing|listening"),
        (lambda r: r.update(listening={"rate_hz": 1, "n_samples": 1}), "rate_hz is 1"),
        (lambda r: r.update(version=2), "checkpoint version 2; this program reads version 1"),
        (lambda r: r["state_dict"].pop("embedding.head.1.bias"), "weights do not fit siamese"),
        (lambda r: r["provenance"].update(x=torch.zeros(1)), "the field 'provenance' holds a Tensor"),
    ],
)
def test_a_checkpoint_that_does_not_hold_together(verifier_file, tmp_path, change, message):
    record = torch.load(verifier_file, weights_only=True)
    change(record)
    torch.save(record, tmp_path / "x.pt")
    if "rate_hz" in str(record["listening"]) and len(record["listening"]) == 1:
        assert load_verifier(tmp_path / "x.pt").listening.n_samples == 25_000  # what is not said is the usual
        return
    with pytest.raises(CheckpointFormatError, match=message):
        load_verifier(tmp_path / "x.pt")


def test_trials_of_speakers_it_learned_from_are_left_out_by_their_bytes(verifier_file, trials_dir, tmp_path):
    verifier, trials = load_verifier(verifier_file, "cpu"), read_trials(trials_dir)
    scored = score_trials(verifier, trials, SILENT)
    assert set(scored.table["part"]) == {"test"} and scored.table["score"].between(0, 1).all()
    assert scored.n_left_out[SEEN] == (trials.table["part"] != "test").sum()
    renamed = trials.table.assign(
        speaker_a="x" + trials.table["speaker_a"], speaker_b="x" + trials.table["speaker_b"]
    )
    assert len(score_trials(verifier, replace(trials, table=renamed), SILENT).table) == len(scored.table)
    with pytest.raises(EmptyDataset, match="has a speaker from the training data of siamese"):
        score_trials(verifier, trials.part("train"), SILENT)


def test_a_clip_that_cannot_be_heard_is_a_row_with_its_reason(verifier_file, trials_dir, odd, tmp_path):
    verifier, trials = load_verifier(verifier_file, "cpu"), read_trials(trials_dir).part("test")
    clip = trials.table["clip_a"].iloc[0]
    broken = replace(trials, clips=trials.clips | {clip: odd})
    table = score_trials(verifier, broken, SILENT).table
    hit = (table["clip_a"] == clip) | (table["clip_b"] == clip)
    assert len(table) == len(trials.table) and (table.loc[hit, "status"] == "not audio").all()
    assert table.loc[hit, "score"].isna().all() and table.loc[~hit, "score"].notna().all()
    assert table.loc[hit, "detail"].str.contains("is not WAV").all()


def test_a_trial_without_a_number_is_a_row_with_its_reason(verifier_file, trials_dir):
    verifier, trials = load_verifier(verifier_file, "cpu"), read_trials(trials_dir).part("test")
    network = verifier.network

    class Silent(torch.nn.Module):
        def forward(self, batch):
            return network(batch) * float("nan")

    table = score_trials(replace(verifier, network=Silent()), trials, SILENT).table
    assert set(table["status"]) == {"no score"} and table["score"].isna().all()
    assert set(table["detail"]) == {"the answer is nan, which is no score"}


@pytest.fixture
def odd(tmp_path):
    path = tmp_path / "text.wav"
    path.write_text("not audio")
    return path


def test_an_interrupted_scoring_continues_and_ends_alike(verifier_file, trials_dir, tmp_path, monkeypatch):
    verifier, trials = load_verifier(verifier_file, "cpu"), read_trials(trials_dir).part("test")
    monkeypatch.setattr(trial_scores, "BATCHES_PER_SHARD", 1)
    how = ScoringOptions(batch_size=8, work_dir=tmp_path / "w", progress=False)
    whole = score_trials(verifier, trials, replace(how, work_dir=None)).table
    real, done = trial_scores._score, []

    def dies(*args):
        if len(done) == 2:
            raise KeyboardInterrupt("after two parts")
        done.append(1)
        return real(*args)

    monkeypatch.setattr(trial_scores, "_score", dies)
    with pytest.raises(KeyboardInterrupt, match="after two parts"):
        score_trials(verifier, trials, how)
    counted = []
    monkeypatch.setattr(trial_scores, "_score", lambda *args: counted.append(1) or real(*args))
    again = score_trials(verifier, trials, how).table
    pd.testing.assert_frame_equal(again, whole)
    assert len(counted) == -(-len(trials.table) // 8) - 2 and not list((tmp_path / "w").iterdir())


def test_a_part_is_scored_again_where_a_clip_was_replaced(verifier_file, trials_dir, tmp_path, monkeypatch):
    verifier, trials = load_verifier(verifier_file, "cpu"), read_trials(trials_dir).part("test")
    monkeypatch.setattr(trial_scores, "BATCHES_PER_SHARD", 1)
    copies = {name: tmp_path / f"{i}.wav" for i, name in enumerate(trials.clips)}
    for name, path in copies.items():
        shutil.copy(trials.clips[name], path)
    trials = replace(trials, clips=copies)
    how = ScoringOptions(batch_size=8, work_dir=tmp_path / "w", progress=False)
    monkeypatch.setattr(trial_scores.Shards, "remove", lambda self: None)
    before = score_trials(verifier, trials, how).table
    first, other = trials.table["clip_a"].iloc[0], trials.table["clip_b"].iloc[-1]
    shutil.copy(copies[other], copies[first])
    after = score_trials(verifier, trials, how).table
    hit = (after["clip_a"] == first) | (after["clip_b"] == first)
    assert not np.allclose(before.loc[hit, "score"], after.loc[hit, "score"])


def test_windows_beyond_what_is_kept_are_decoded_again(verifier_file, trials_dir, monkeypatch):
    verifier, trials = load_verifier(verifier_file, "cpu"), read_trials(trials_dir).part("test")
    whole = score_trials(verifier, trials, replace(SILENT, batch_size=4)).table
    monkeypatch.setattr(trial_scores, "KEPT_WINDOWS", 2)
    pd.testing.assert_frame_equal(score_trials(verifier, trials, replace(SILENT, batch_size=4)).table, whole)
