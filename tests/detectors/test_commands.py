"""The commands around detectors, as they are typed."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from audit.cli import main
from detectors.models import architectures as zoo


def typed(capsys, *arguments):
    """Exit code, standard output and standard error of a command."""
    with pytest.raises(SystemExit, match=r"^\d+$|^None$") as stop:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def test_score_prints_a_line_an_image(checkpoint, pairs_dir, capsys):
    fake, real = (pairs_dir / f"{half}/train-000003.png" for half in ("fake", "real"))
    code, out, _ = typed(capsys, "score", "--detector", checkpoint, fake, real, pairs_dir / "none.png")
    lines = out.splitlines()
    assert code == 0 and [line.split("  ")[1] for line in lines] == [
        str(fake),
        str(real),
        str(pairs_dir / "none.png"),
    ]
    assert float(lines[0].split()[0]) > float(lines[1].split()[0]) and lines[2].startswith("missing photo")


def test_a_foreign_detector_is_told_what_it_needs(pairs_dir, tmp_path, capsys, monkeypatch):
    (tmp_path / "theirs.py").write_text(
        "def make():\n    return lambda x: x.mean((1, 2, 3))\n"
        "def flat():\n    return lambda x: x.mean((1, 2, 3)) / 100\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    options = [
        "--set",
        "size_px=32",
        "--set",
        "output=logit",
        "--set",
        "mean=0,0,0",
        "--set",
        "std=1,1,1",
    ]
    code, out, err = typed(capsys, "check", "--detector", "theirs:make", *options, pairs_dir)
    assert code == 1 and out.startswith("first real images score 0.") and "warning" not in err
    assert "✓ input size" in out and "✗ AUC" in out
    _, out, _ = typed(capsys, "check", "--detector", "theirs:make", *options, "--json", pairs_dir)
    states = {one["name"]: one["ok"] for one in json.loads(out)["findings"]}
    assert states["input size"] is True and states["AUC"] is False and states["constancy"] is True
    _, out, _ = typed(capsys, "check", "--detector", "theirs:flat", *options, "--json", pairs_dir)
    states = {one["name"]: one["ok"] for one in json.loads(out)["findings"]}
    assert states["AUC"] is False and states["constancy"] is False
    code, _, err = typed(capsys, "check", "--detector", "theirs:make", "--set", "size_px", pairs_dir)
    assert code == 2 and "write KEY=VALUE" in err


def test_explain_writes_pictures(checkpoint, pairs_dir, tmp_path, capsys):
    image = pairs_dir / "fake/train-000003.png"
    code, out, _ = typed(capsys, "explain", "--detector", checkpoint, "--out", tmp_path / "e", image)
    score, decision, path = out.strip().split("  ")
    assert code == 0 and 0 <= float(score) <= 1 and decision in ("real face", "fake face")
    assert Path(path).parent == tmp_path / "e" and min(Image.open(path).size) >= 32


def test_benchmark_prints_a_line_a_cell(checkpoint, pairs_dir, tmp_path, capsys):
    out_dir = tmp_path / "b"
    code, out, _ = typed(capsys, "benchmark", "--detector", checkpoint, "--data", pairs_dir, "--out", out_dir)
    assert code == 0 and out.startswith("simple on pairs (trained on another part of it): accuracy")
    assert json.loads((out_dir / "benchmark.json").read_text())["cells"][0]["detector"] == "simple"
    assert len(pd.read_csv(out_dir / "benchmark.csv")) == 1


def test_experiments_list_and_compare(checkpoint, tmp_path, capsys):
    code, out, _ = typed(capsys, "experiments", checkpoint.parent, "--csv", tmp_path / "t.csv")
    assert code == 0 and "simplenet" in out and len(pd.read_csv(tmp_path / "t.csv")) == 1
    assert out.startswith("Held-out images of pairs (24 images, set ")
    code, out, _ = typed(capsys, "experiments", checkpoint.parent, "--json")
    assert code == 0 and json.loads(out)[0]["data"] == "pairs"
    code, _, err = typed(capsys, "experiments", checkpoint)
    assert code == 2 and "takes two trainings or more" in " ".join(err.split())
    code, _, err = typed(capsys, "experiments", tmp_path / "nothing.pt")
    assert code == 2 and "nothing.pt, nor a training: name what lies there" in " ".join(err.split())


def test_a_sweep_of_one_trial(pairs_dir, tmp_path, capsys):
    options = ["--arch", "baseline_cnn", "--trials", 1, "--epochs", 1, "--size-px", 32]
    code, out, _ = typed(capsys, "sweep", "--data", pairs_dir, "--out", tmp_path / "s", *options, "--json")
    assert code == 0 and "learning_rate" in json.loads(out)["trials"][0]
    assert (tmp_path / "s/best.pt").is_file()
    code, out, err = typed(capsys, "sweep", "--data", pairs_dir, "--out", tmp_path / "s", *options, "--quiet")
    assert (code, out, err) == (0, "", "")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_foreign_detectors_are_audited_end_to_end(pairs_dir, tmp_path, capsys):
    """A public-style ONNX file (NCHW, two logits, index 1 fake) and a TorchScript one with a single logit."""
    torch.manual_seed(0)
    onnx_file, script_file = tmp_path / "public.onnx", tmp_path / "theirs.pt"
    network = zoo.build("baseline_cnn").eval()
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    example = (torch.rand(2, 3, 224, 224),)
    torch.onnx.export(network, example, str(onnx_file), dynamo=True, dynamic_shapes=shapes, verbose=False)
    torch.jit.trace(OneLogit(), torch.rand(2, 3, 32, 32)).save(str(script_file))
    script_file.with_suffix(".toml").write_text('size_px = 32\noutput = "logit"\n')
    for path in (onnx_file, script_file):
        run = tmp_path / path.stem
        code, out, _ = typed(
            capsys,
            "run",
            "--detector",
            path,
            "--pairs",
            pairs_dir,
            "--out",
            run,
            "--n-boot",
            100,
            "--no-images",
        )
        record = json.loads((run / "audit.json").read_text())
        guessing = "not shown to be better than guessing" in out
        assert code == 0 and guessing == (path == onnx_file)
        assert guessing or re.search(r"race +Inconclusive", out)
        assert record["overall"]["n_real"] == record["overall"]["n_fake"] == 40
        assert record["provenance"]["detector"]["arch"] in ("onnx", "torchscript")
        assert record["provenance"]["detector"]["provenance"]["isolated"] is True
    assert record["overall"]["auc"] > 0.9


class OneLogit(nn.Module):
    """Says how much neighbouring pixels differ."""

    def forward(self, batch):
        """[B] logits."""
        return 20 * (batch[:, :, ::2, ::2] - batch[:, :, 1::2, ::2]).abs().mean((1, 2, 3)) - 4
