"""The command line: help for everything, one line for what a user can put right, defaults that explain."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

from audit.cli import app, main

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
    assert lines[0].startswith("No. Its error rates differ by race")
    assert re.search(
        r"race +FPR +Disparity +[\d.]+ points \([\d.]+ to [\d.]+\), p (<|=) [\d.]+ +B vs A", text
    )
    assert lines[-1] == f"report: {out / 'report.html'}" and len(lines) < 10
    assert (out / "report.html").stat().st_size > 10_000
    record = json.loads((out / "audit.json").read_text())
    assert {"schema_version", "config", "provenance", "overall", "groups", "curves"} <= set(record)
    assert json.loads((out / "run.json").read_text())["seconds"] >= 0


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
        (["race"], "--reference race: write ATTRIBUTE=GROUP, such as race=White"),
        (["race=A", "race=B"], "--reference names two groups of race"),
    ],
)
def test_a_reference_that_cannot_be_is_refused(
    score_file: Path, given: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    named = [text for one in given for text in ("--reference", one)]
    code, _, error = ended(capsys, "run", "--scores", str(score_file), "--n-boot", "200", *named)
    assert code == 2 and message in error.replace("│ ", "").replace(" │", "")


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
    named = ["--name", "Acme <Shield>", "--version", "2.1"]
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
    assert code == 2 and "go with --scores" in err
