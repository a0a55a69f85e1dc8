"""The command line: help for everything, one line for what a user can put right, defaults that explain."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import typer

from audit.cli import app, main
from audit.commands.run import ways_of_reading
from audit.commands.run_options import GATES, limit, points
from audit.judge.gates import FailOn
from reports.pages.pdf import BROWSERS

README = Path(__file__).resolve().parents[2] / "README.md"
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def ended(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit, match=r"^\d+$|^None$") as stop:
        main(arguments)
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, " ".join(err.split())


@pytest.fixture
def score_file(tmp_path: Path) -> Path:
    """300 people, of whom group B is flagged far more often."""
    rng = np.random.default_rng(0)
    label = np.tile([0, 1], 600)
    race = np.repeat(["A", "B"], 600)
    score = np.clip(rng.normal(0.2 + 0.6 * label + 0.35 * ((race == "B") & (label == 0)), 0.1), 0, 1)
    frame = pd.DataFrame(
        {"image_id": np.arange(1200).astype(str), "label": label, "score": score, "race": race}
    )
    frame.to_csv(tmp_path / "scores.csv", index=False)
    return tmp_path / "scores.csv"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_has_help(command: str, capsys: pytest.CaptureFixture[str]):
    code, out, _ = ended(capsys, command, "--help")
    assert code == 0
    assert "Usage" in out
    described = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    assert described.help
    assert [p.name for p in described.params if not getattr(p, "help", None)] == []
    takes_a_value = [p for p in described.params if not getattr(p, "is_flag", False)]
    assert [p.name for p in takes_a_value if not p.metavar] == [], "a value without a readable name"


def test_help_is_broken_into_lines_by_the_screen_alone(capsys: pytest.CaptureFixture[str]):
    _, out, _ = ended(capsys, "run", "--help")
    about = out.split("╭─")[0].split("\n")
    start = next(i for i, line in enumerate(about) if "The folder gets report.html" in line)
    lines = [line.strip() for line in about[start:] if line.strip()]
    for line, after in pairwise(lines):
        assert len(line) + 1 + len(after.split()[0]) > 72, f"a line ends before the screen does: {line}"


def test_help_shows_what_stands_in_brackets(capsys: pytest.CaptureFixture[str]):
    _, out, _ = ended(capsys, "generate-pairs", "--help")
    assert "(extra [ray])" in " ".join(re.sub("[│]", " ", out).split())


def test_latents_go_with_no_choice_of_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code, _, err = ended(
        capsys, "generate-pairs", "--from-latents", str(tmp_path), "--fairface", "f", "--limit", "3",
        "--per-cell", "1", "--size-px", "64",
    )  # fmt: skip
    assert code == 2
    assert "--fairface, --limit, --per-cell, --size-px cannot be given with --from-latents" in err


def test_notes_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]):
    from audit.commands.pairs import _print_notes

    _print_notes(["3 images in /photos/[bold]/[/nothing] have no label"])
    assert "/photos/[bold]/[/nothing] have" in " ".join(capsys.readouterr().err.split())


def test_the_readme_names_commands_that_exist():
    named = set(re.findall(r"(?:^|`)audit ([a-z-]+)", README.read_text(), re.MULTILINE))
    assert len(named) > 5
    assert named <= set(COMMANDS)


def test_scores_to_report(score_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "run"
    code, text, _ = ended(
        capsys, "run", "--scores", str(score_file), "--out", str(out), "--fail-on", "disparity"
    )
    assert code == 1, "a planted disparity fails the build"
    lines = text.splitlines()
    assert lines[0].startswith("No. It flags real images at different rates by race")
    assert lines[1].startswith("Real images of people labelled B are flagged as fake")
    assert re.search(r"race +Disparity +[\d.]+ points \([\d.]+ to [\d.]+\), p (<|=) [\d.]+", text)
    assert lines[-2].startswith("What next: ")
    assert lines[-1] == f"report: {out / 'report.html'}" and len(lines) < 16
    assert (out / "report.html").stat().st_size > 10_000
    record = json.loads((out / "audit.json").read_text())
    assert {"schema_version", "config", "provenance", "overall", "groups", "curves"} <= set(record)
    assert json.loads((out / "run.json").read_text())["seconds"] >= 0


@pytest.mark.slow
def test_the_same_run_again_is_the_same_bytes_and_another_is_refused(
    score_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "argv", ["audit", "run"])
    out = tmp_path / "run"
    same = ["run", "--scores", str(score_file), "--out", str(out)]
    assert ended(capsys, *same)[0] == 0
    first = (out / "audit.json").read_bytes()
    assert ended(capsys, *same)[0] == 0
    assert (out / "audit.json").read_bytes() == first
    code, _, err = ended(capsys, *same, "--threshold", "0.7")
    assert code == 2
    assert "already holds another run" in err
    assert ended(capsys, *same, "--threshold", "0.7", "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate-pairs"], "no labelled photos: looked in ./fairface, ./FairFace, ./data/fairface"),
        (
            ["run", "--detector", "resnet50.pt"],
            "no pairs: looked in ./pairs. Make them with `audit generate-pairs`",
        ),
        (["run", "--scores", "none.csv"], "none.csv"),
        (["train"], "audit generate-pairs"),
        (["report", "nowhere"], "nowhere"),
        (["doctor", "--psp", "none.pt"], "git submodule update --init third_party/pixel2style2pixel"),
        (["generate-pairs", "--fairface", "nowhere"], "nowhere"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, _, err = ended(capsys, *arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["race=Z"], "there is no group 'Z'; the groups of race are A, B"),
        (["race"], "--reference race: write COLUMN=GROUP, such as race=White"),
        (["race=A", "race=B"], "--reference names two groups of race"),
    ],
)
def test_a_reference_that_cannot_be_is_refused(
    score_file: Path, given: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    named = [text for one in given for text in ("--reference", one)]
    code, _, error = ended(capsys, "run", "--scores", str(score_file), "--n-boot", "200", *named)
    assert code == 2 and message in error.replace("│ ", "").replace(" │", "")


@pytest.mark.slow
def test_permutations_that_are_too_few_are_raised_and_said(
    score_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    frame = pd.read_csv(score_file)
    for name in ("age", "gender", "camera"):
        frame[name] = np.random.default_rng(len(name)).choice(["x", "y"], len(frame))
    frame.to_csv(tmp_path / "more.csv", index=False)
    named = [text for name in ("race", "age", "gender", "camera") for text in ("--attribute", name)]
    given = [
        "--scores",
        str(tmp_path / "more.csv"),
        "--out",
        str(tmp_path / "run"),
        "--n-boot",
        "100",
        *named,
    ]
    code, out, err = ended(capsys, "run", *given)
    shown = " ".join([*out.split(), err])
    drawn = json.loads((tmp_path / "run" / "audit.json").read_text())["config"]["n_boot"]
    assert code == 0 and drawn == 1100
    assert "100 permutations are too few for 22 comparisons" in shown and "1,100 were drawn" in shown


PANELS = {
    "Audit": ["run", "mitigate", "compare", "benchmark", "cross-table", "stress", "shortcuts", "report"],
    "Make pairs": ["generate-pairs", "import-pairs", "export-pairs", "unpack-pairs"],
    "Make trials of voices": ["generate-trials"],
    "Detectors": ["train", "sweep", "experiments", "score", "check", "explain", "serve"],
    "Inspect": ["demo", "doctor", "verify", "sign", "schema"],
}


def test_doctor_finds_the_browser_that_prints_pdfs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    browser = tmp_path / BROWSERS[-1]
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    _, out, _ = ended(capsys, "doctor")
    assert f"Chromium (for --pdf): {browser}\n" in out
    browser.unlink()
    _, out, _ = ended(capsys, "doctor")
    assert "Chromium (for --pdf): absent\n" in out


def test_commands_stand_in_groups(capsys: pytest.CaptureFixture[str]):
    _, out, _ = ended(capsys, "--help")
    panels = re.split(r"╭─ ([A-Z][a-z ]+?) ─+╮", out)
    shown = dict(zip(panels[1::2], panels[2::2], strict=True))
    assert {name: re.findall(r"^│ ([a-z][a-z-]+) ", shown[name], re.MULTILINE) for name in PANELS} == PANELS
    assert sorted(name for names in PANELS.values() for name in names) == COMMANDS


def test_the_options_of_run_stand_in_panels(capsys: pytest.CaptureFixture[str]):
    _, out, _ = ended(capsys, "run", "--help")
    titles = re.findall(r"╭─ ([A-Z][a-z]+) ─", out)
    assert titles == ["Options", "Data", "Detector", "Statistics", "Gate", "Output"]
    assert re.findall(r"│ --[a-z-]+", out.split("╭─ Data")[0]) == ["│ --help"], "every option has its panel"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--scores", "s.csv", "--fail-on", "disparty"],
         "error: Invalid value for '--fail-on': 'disparty' is none of proven, disparity, insufficient; did "
         "you mean disparity? (see audit run --help)"),
        (["run", "--scores", "s.csv", "--max-fpr", "500"],
         "error: Invalid value for '--max-fpr' / '--max-fmr': '500' is no limit of a rate: write 0.05, 5 or "
         "5% for 5 percent (see audit run --help)"),
        (["run", "--scores", "s.csv", "--criterion", "ratios"],
         "error: Invalid value for '--criterion': 'ratios' is none of difference, ratio, four-fifths; did "
         "you mean ratio? (see audit run --help)"),
        (["run", "--scores", "s.csv", "--criterion", "ratio", "--reference", "race=a"],
         "error: --reference judges differences, not criterion ratio; leave one of them out"),
        (["run", "--scores", "s.csv", "--detector", "x.pt", "--pairs", "p"],
         "error: Invalid value: --detector, --pairs cannot stand beside --scores: give one or the other "
         "(see audit run --help)"),
        (["run", "--scores", "s.csv", "--device", "cpu"],
         "error: Invalid value: --device cannot stand beside --scores: give one or the other "
         "(see audit run --help)"),
        (["run", "--scores", "s.csv", "--engine", "ray"],
         "error: Invalid value: --engine is for images that are to be scored: a table of scores is audited "
         "in this process, a large Parquet file part by part "
         "(see audit run --help)"),
        (["stress", "--detector", "x.pt", "--pairs", "p", "--workers", "2", "--gpus-per-worker", "0.5"],
         "error: Invalid value: --workers, --gpus-per-worker go with --engine ray alone "
         "(see audit stress --help)"),
        (["benchmark", "--detector", "x.pt", "--data", "p", "--engine", "rai"],
         "error: Invalid value for '--engine': 'rai' is none of local, ray "
         "(see audit benchmark --help)"),
        (["explain", "a.png", "--detector", "x.pt", "--engine", "ray", "--device", "cpu",
          "--gpus-per-worker", "1"],
         "error: --gpus-per-worker is 1, and --device cpu uses none; leave one out"),
        (["run", "--pairs", "p", "--images", "i"],
         "error: Invalid value: --pairs and --images name two data sets; give one (see audit run --help)"),
        (["run", "--detector", "x.pt", "--device", "gpu"],
         "error: Invalid value for '--device': 'gpu' is none of auto, cpu, cuda "
         "(see audit run --help)"),
        (["run", "--scores", "s.csv", "--attribute", "Skin"],
         "error: s.csv: there is no column 'Skin'; there are 'image_id', 'label', 'score', 'race': "
         "--attribute NAME"),
        (["run", "--scores", "s.csv", "--tolerance", "200"],
         "error: Invalid value for '--tolerance': '200' is no tolerance: write 0.02 or 2 for 2 points, the "
         "largest acceptable gap between two rates (see audit run --help)"),
        (["run", "--scores", "s.csv", "--read", "sep=;"],
         "error: no way of reading is called 'sep'; there are separator, decimal, encoding, percent, higher, "
         "real, missing, case"),
        (["run", "--scores", "s.csv", "--read", "percent"],
         "error: Invalid value: --read percent: write KEY=VALUE, such as separator=; (see audit run --help)"),
        (["run", "--scores", "s.csv", "--bins", "age"],
         "error: Invalid value: --bins age: write COLUMN=18,40,65 (see audit run --help)"),
        (["run", "--scores", "s.csv", "--out", "s.csv"],
         "error: s.csv is a file, and s.csv is to be a folder: name another place"),
        (["compare", "a", "b", "--out", "s.csv"],
         "error: s.csv is a file, and s.csv is to be a folder: name another place"),
        (["train", "--optimiser", "adamx"],
         "error: Invalid value for '--optimiser': 'adamx' is none of adamw, adam, sgd; did you mean adam? "
         "(see audit train --help)"),
        (["train", "--fractions", "1"],
         "error: Invalid value: '1' is not three numbers such as 0.6,0.1,0.3 (see audit train --help)"),
        (["train", "--arch", "simplenet", "--out", "s.csv"],
         "error: s.csv exists: choose another name, or overwrite it: --overwrite, in Python overwrite=True"),
        (["train", "--arch", "simplenet", "--out", "s.csv/x.pt"],
         "error: {here}/s.csv is a file, and {here}/s.csv is to be a folder: name another place"),
        (["explain", "a.png", "--detector", "x.pt", "--method", "gradcam"],
         "error: Invalid value for '--method': 'gradcam' is none of grad-cam, integrated-gradients, "
         "saliency, occlusion, lime; did you mean grad-cam? (see audit explain --help)"),
        (["run", "--scores"], "error: Option '--scores' requires an argument (see audit run --help)"),
        (["experiments", "nowhere"],
         "error: no folder of trainings at nowhere, nor a training: name what lies there"),
        (["runn"], "error: No such command 'runn'. Did you mean 'run'? (see audit --help)"),
    ],
)  # fmt: skip
def test_what_no_option_can_be_is_refused_in_one_line_before_any_work(
    score_file: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.chdir(score_file.parent)
    score_file.rename("s.csv")
    code, out, err = ended(capsys, *arguments)
    assert (code, out, err) == (2, "", message.replace("{here}", str(Path.cwd())))
    assert [path.name for path in Path().iterdir()] == ["s.csv"]


def test_no_gpu_is_one_line_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    import torch

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    said = "error: device is cuda, but PyTorch sees no GPU here; use auto or cpu"
    assert ended(capsys, "train", "--arch", "simplenet", "--device", "cuda") == (2, "", said)
    assert ended(capsys, "score", "a.png", "--detector", "x.pt", "--device", "cuda") == (2, "", said)


@pytest.mark.slow
def test_json_alone_on_standard_output(score_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    common = ("--scores", str(score_file), "--n-boot", "200", "--attribute", "Race")
    gate = ("--out", str(tmp_path / "a"), "--json", "--fail-on", "disparity")
    code, out, _ = ended(capsys, "run", *common, *gate)
    assert code == 1 and out == (tmp_path / "a/audit.json").read_text()
    assert json.loads(out)["config"]["attributes"] == ["race"]
    assert (tmp_path / "a/report.html").is_file()
    ended(capsys, "run", *common, "--out", str(tmp_path / "b"), "--threshold", "0.6")
    both = [str(tmp_path / name) for name in "ab"]
    code, out, _ = ended(capsys, "compare", *both, "--out", str(tmp_path / "c"), "--json")
    assert code == 0 and out == (tmp_path / "c/comparison.json").read_text()


@pytest.mark.slow
def test_every_gate_has_its_line_and_exit_code(
    score_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    common = ("run", "--scores", str(score_file), "--n-boot", "200", "--quiet", "--overwrite")
    run = (*common, "--out", str(tmp_path / "a"))
    code, out, err = ended(capsys, *run, "--threshold", "99", "--fail-on", "proven")
    assert (code, out) == (3, "") and err.startswith(
        "gate failed: not answerable: The threshold does not fit"
    )
    code, _, err = ended(capsys, *run, "--max-fpr", "0.02")
    assert code == 1 and err.startswith("gate failed: FPR overall may be up to ")
    assert "above --max-fpr 2%" in err and "FPR of race " in err
    code, _, err = ended(capsys, *run, "--criterion", "ratio", "--fail-on", "disparity")
    assert code == 1 and "gate failed: disparity: FPR by race" in err
    assert ended(capsys, *run, "--criterion", "four-fifths", "--max-fpr", "0.99") == (0, "", "")


@pytest.mark.slow
def test_quiet_says_nothing_but_errors(score_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    common = ("run", "--scores", str(score_file), "--n-boot", "200", "--out", str(tmp_path / "a"))
    assert ended(capsys, *common, "--quiet") == (0, "", "")
    code, out, err = ended(capsys, *common, "-q", "--min-n", "5")
    assert (code, out) == (2, "") and "already holds another run" in err
    shown = ended(capsys, *common, "--overwrite")[1]
    assert shown.endswith(f"report: {tmp_path / 'a/report.html'}\n")


@pytest.mark.parametrize(
    ("option", "start", "proposed"),
    [
        ("fail_on", "d", ["disparity"]),
        ("criterion", "", ["difference", "ratio", "four-fifths"]),
        ("threshold", "f", ["fpr=0.01", "fpr=0.05", "fpr<=0.01@95%", "fnr=0.05"]),
        ("device", "", ["auto", "cpu", "cuda"]),
        ("arch", "simplen", ["simplenet"]),
    ],
)
def test_values_are_completed(option: str, start: str, proposed: list[str]):
    command = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    [parameter] = [p for p in command.params if p.name == option]
    items = parameter.shell_complete(typer.Context(command), start)
    assert [item.value for item in items] == [p for p in proposed if p.startswith(start)]


def test_the_gates_are_those_that_can_fail():
    assert get_args(FailOn) == GATES


def test_the_programs_version_and_nothing_else(capsys: pytest.CaptureFixture[str]):
    code, out, _ = ended(capsys, "--version")
    assert code == 0 and re.fullmatch(r"\d+\.\d+\.\d+\n", out)
    assert ended(capsys, "run", "--version", "2")[2].startswith("error: No such option: --version")


def test_an_unknown_option_exits_with_two(capsys: pytest.CaptureFixture[str]):
    assert ended(capsys, "run", "--colour", "red")[0] == 2


def test_schema_is_json(capsys: pytest.CaptureFixture[str]):
    code, out, _ = ended(capsys, "schema")
    assert code == 0
    assert "verdicts" in json.loads(out)["properties"]


def test_help_is_quick_because_torch_stays_out():
    code = (
        "import sys; from audit.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_detector_behind_a_table_can_be_named(
    score_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "run"
    named = ["--name", "Acme <Shield>", "--detector-version", "2.1"]
    assert ended(capsys, "run", "--scores", str(score_file), "--out", str(out), *named)[0] == 0
    record = json.loads((out / "audit.json").read_text())
    assert record["provenance"]["detector"] == {"name": "Acme <Shield>", "version": "2.1"}
    page = (out / "report.html").read_text()
    assert "Is Acme &lt;Shield&gt; fair?" in page
    signoff = page[page.index('id="signoff"') :]
    for filled in ("Acme &lt;Shield&gt;, 2.1", record["provenance"]["data"]["sha256"], "at least 0.5"):
        assert filled in signoff
    for blank in ("Reviewer", "Date", "Signature"):
        assert blank in signoff
    code, _, err = ended(capsys, "run", "--detector", "x.pt", *named)
    assert code == 2 and "go with --scores, not with a detector on images" in err


@pytest.mark.parametrize(("text", "wanted"), [("5", 0.05), ("0.05", 0.05), ("20%", 0.2), ("20 %", 0.2)])
def test_limits_and_tolerances_are_typed_alike(text: str, wanted: float):
    assert limit(text) == points(text) == wanted
    for bad in ("five", "0", "120%"):
        with pytest.raises(
            typer.BadParameter, match=f"'{bad}' is no limit of a rate: write 0.05, 5 or 5% for 5"
        ):
            limit(bad)


def test_words_for_no_value_add_up_and_nothing_else_is_said_twice():
    assert ways_of_reading(["missing=a", "percent=no", "missing=b, c"]) == {
        "missing": "a,b, c",
        "percent": "no",
    }
    with pytest.raises(typer.BadParameter, match=r"--read percent= is given twice: no and yes"):
        ways_of_reading(["percent=no", "percent=yes"])
