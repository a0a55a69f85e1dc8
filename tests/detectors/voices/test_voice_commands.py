"""The commands of voices, as they are typed."""

from __future__ import annotations

import json

import pytest

from audit.cli import main

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
    assert code == 0 and f"{out} written" in said
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
