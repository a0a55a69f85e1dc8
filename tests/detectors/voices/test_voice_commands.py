"""The commands of voices, as they are typed."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

import audit
from audit.cli import main

pytestmark = pytest.mark.slow

TASK = ("--task", "speaker-verification")


def typed(capsys, *arguments):
    """Exit code, standard output and standard error of a command."""
    with pytest.raises(SystemExit, match=r"^\d+$|^None$") as stop:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def test_clips_become_trials_and_what_comes_next_is_said(hummed, tmp_path, capsys):
    options = ("--trials-per-speaker", 6, "--fractions", "0.5,0.2,0.3", "--max-clips", 3)
    code, out, err = typed(capsys, "generate-trials", hummed, "--out", tmp_path / "t", *options)
    assert code == 0 and "of 12 speakers in" in out and "next: audit train --task speaker-verification" in out
    assert "Note: 12 of 48 clips were left out by the limits." in err.replace("\n", " ")
    code, _, err = typed(capsys, "generate-trials", hummed, "--out", tmp_path / "t", *options)
    assert code == 2 and "holds trials already" in err


def test_a_bad_place_of_clips_is_one_line(tmp_path, capsys):
    code, _, err = typed(capsys, "generate-trials", tmp_path / "none")
    assert code == 2 and "error: no clips at" in err and err.count("\n") == 1


def test_a_verifier_is_trained_with_its_own_defaults(trials_dir, tmp_path, capsys):
    out = tmp_path / "v.pt"
    options = ("--epochs", 1, "--precision", "32-true", "--out", out)
    code, said, err = typed(capsys, "train", *TASK, "--data", trials_dir, *options)
    assert code == 0 and f"{out} written; next: audit run --task speaker-verification --detector" in said
    record = json.loads(out.with_suffix(".training.json").read_text())
    assert record["arch"] == "siamese" and record["settings"]["optimiser"] == "adam"
    assert record["settings"]["batch_size"] == 32 and "held-out trials" in err
    assert out.with_suffix(".training.html").is_file()


def test_options_of_images_are_refused_for_voices_and_the_other_way_round(trials_dir, capsys):
    code, _, err = typed(capsys, "train", *TASK, "--data", trials_dir, "--size-px", 64)
    assert code == 2 and "--size-px is for images, and does not go with --task speaker-verification" in err
    code, _, err = typed(capsys, "train", "--data", trials_dir, "--random-split")
    assert code == 2 and "--random-split goes with --task speaker-verification" in err
    code, _, err = typed(capsys, "train", *TASK, "--arch", "resnet50", "--data", trials_dir)
    assert code == 2 and "no speaker verifier 'resnet50'; known are alexnet-pair" in err
    code, out, _ = typed(capsys, "train", *TASK, "--arch", "list")
    assert code == 0 and out.splitlines()[0].startswith("alexnet-pair")


def test_a_cluster_is_refused_for_trials_and_not_passed_over(trials_dir, capsys):
    asked = ("--trials", trials_dir, "--detector", "siamese.pt", "--engine", "ray", "--workers", 2)
    code, _, err = typed(capsys, "run", *TASK, *asked)
    words = " ".join(err.replace("│", " ").split())
    assert code == 2 and "--engine, --workers are for images: a verifier's trials are scored in" in words


def test_a_verifier_is_audited_on_the_trials_it_never_heard(verifier_file, trials_dir, tmp_path, capsys):
    run = tmp_path / "run"
    options = ("--detector", verifier_file, "--trials", trials_dir, "--out", run, "--min-n", 5)
    code, _, err = typed(capsys, "run", *TASK, *options)
    assert code in (0, 3), err
    record = json.loads((run / "audit.json").read_text())
    trials = pd.read_parquet(trials_dir / "trials.parquet")
    n_test = int((trials["part"] == "test").sum())
    assert record["data"]["n_images"] == n_test and record["config"]["task"] == "speaker-verification"
    assert set(record["config"]["attributes"]) == {"gender", "accent"}
    assert not (run / ".scoring").exists() and "impostor" in (run / "report.html").read_text()
    code, _, err = typed(capsys, "run", "--detector", verifier_file, "--pairs", trials_dir)
    assert code == 2
    code, _, err = typed(capsys, "run", *TASK, "--detector", verifier_file)
    assert code == 2 and "no trials: looked in ./trials" in err


def test_trials_of_a_clip_that_cannot_be_heard_are_counted_with_their_reason(
    verifier_file, trials_dir, hummed, tmp_path
):
    trials = pd.read_parquet(trials_dir / "trials.parquet")
    test = trials[trials["part"] == "test"]
    spoilt = test["clip_a"].iloc[0]
    clips = shutil.copytree(hummed, tmp_path / "clips")
    (clips / spoilt).write_bytes(b"no sound")
    how = {"clips": clips, "min_n": 5, "n_boot": 100, "progress": False, "include_seen": True}
    found = audit.audit_trials(verifier_file, trials_dir, **how)
    lost = test[(test["clip_a"] == spoilt) | (test["clip_b"] == spoilt)]
    assert found.record.data.n_images == len(test) - len(lost)
    (reason, n), *others = found.record.data.n_left_out.items()
    assert reason.startswith("trials with: ") and n == len(lost) and not others
    by_gender = found.no_scores[found.no_scores["attribute"] == "gender"]
    assert by_gender["n_without"].sum() == len(lost)


def test_a_face_detector_is_refused_in_one_line(checkpoint_of_faces, trials_dir, capsys):
    code, _, err = typed(capsys, "run", *TASK, "--detector", checkpoint_of_faces, "--trials", trials_dir)
    assert code == 2 and "is a detector of fake faces, and compares no voices" in err


@pytest.fixture
def checkpoint_of_faces(tmp_path):
    from detectors.data.preprocessing import Preprocessing
    from detectors.models import architectures as zoo
    from detectors.models.checkpoint import save_checkpoint

    return save_checkpoint(tmp_path / "f.pt", "spectrum", zoo.build("spectrum"), Preprocessing(32), {})


def test_the_demo_says_how_to_install_what_it_lacks(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = typed(capsys, "demo", *TASK, "--out", tmp_path / "demo")
    assert code == 2 and "apt-get install espeak-ng" in err
    code, _, err = typed(capsys, "demo", *TASK, "--photos", 200)
    assert code == 2 and "--photos is for faces" in err


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_the_demo_runs_from_voices_to_report(tmp_path, capsys, monkeypatch):
    from audit.commands.voices import demo

    monkeypatch.setattr(demo, "N_SPEAKERS", 40)
    monkeypatch.setattr(demo, "N_CLIPS", 4)
    code, out, err = typed(capsys, "demo", *TASK, "--out", tmp_path / "demo", "--epochs", 1)
    assert code in (0, 3), err
    report = (tmp_path / "demo" / "run" / "report.html").read_text()
    assert "synthe" in report and "FMR" in report and str(tmp_path / "demo" / "run" / "report.html") in out
