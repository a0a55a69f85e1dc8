"""Whatever is wrong with a place, a name or a record ends in one line and leaves nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import traceback
from pathlib import Path

import pandas as pd
import pytest

from audit.cli import main
from audit.config import AuditConfig
from audit.errors import ConfigError, ResultFormatError
from audit.runs.score_audit import audit_file
from audit.schema.json_schema import load_result

CORPUS = Path(__file__).resolve().parents[1] / "corpus"


def ended(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit, match=r"^\d+$|^None$") as stop:
        main([str(one) for one in arguments])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    path = tmp_path / "scores.csv"
    path.write_bytes((CORPUS / "scores.csv").read_bytes())
    return path


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--scores", "{scores}", "--out", "{file}"], "is a file, and .* is to be a folder"),
        (["run", "--scores", "{scores}", "--out", "{file}/below"], "is a file, and .* is to be a folder"),
        (
            ["run", "--scores", "{scores}", "--out", "{new}", "--junit", "{dir}"],
            "is a folder, and a file is to",
        ),
        (
            ["run", "--scores", "{scores}", "--out", "{new}", "--junit", "{file}/x.xml"],
            "is a file, and .* folder",
        ),
        (
            ["run", "--scores", "{scores}", "--out", "{new}", "--fail-on", "all"],
            "'all' is none of proven, disparity, insufficient",
        ),
        (
            ["run", "--scores", "{scores}", "--out", "{new}", "--n-boot", "100000000000"],
            "is not in 100-10,000,000",
        ),
        (
            ["benchmark", "--detector", "x.pt", "--data", "{dir}", "--out", "{file}"],
            "is a file, and .* a folder",
        ),
        (
            ["explain", "x.png", "--detector", "x.pt", "--out", "{file}"],
            "is a file, and .* is to be a folder",
        ),
        (
            ["train", "--arch", "simplenet", "--data", "{dir}", "--out", "{dir}"],
            "is a folder, and a file is to be",
        ),
        (["experiments", "{dir}", "--csv", "{dir}"], "is a folder, and a file is to be written there"),
        (["compare", "{dir}", "{dir}", "--out", "{file}"], "is a file, and .* is to be a folder"),
        (
            ["stress", "--detector", "x.pt", "--pairs", "{dir}", "--out", "{file}/s"],
            "is a file, and .* folder",
        ),
        (["sweep", "--arch", "simplenet", "--data", "{dir}", "--out", "{file}"], "is a file, and .* folder"),
        (
            ["train", "--arch", "simplenet", "--data", "{dir}", "--out", "{file}/x.pt"],
            "is a file, and .* folder",
        ),
        (["doctor", "--sbom", "{file}/x.json"], "is a file, and .* folder"),
        (["sign", "{dir}", "--key", "{file}"], r"no audit\.json in .*; sign the folder"),
        (["verify", "{file}"], "is not JSON"),
        (["run", "--scores", "/dev/zero", "--out", "{new}"], "no score file at /dev/zero"),
        (["run", "--scores", "{scores}", "--out", "/proc/x"], "cannot be read or written|may not be written"),
        (["report", "{file}"], "is not JSON|cannot be read"),
    ],
)
def test_an_impossible_place_is_refused_before_any_work(arguments, message, scores, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    (tmp_path / "dir").mkdir()
    places = {name: str(tmp_path / name) for name in ("file", "dir", "new")} | {"scores": str(scores)}
    code, out, err = ended(capsys, *(word.format(**places) for word in arguments))
    assert code == 2 and out == ""
    assert re.search(message, " ".join(err.split()))
    assert not (tmp_path / "new").exists() and not leftovers(tmp_path)


def cramped(*arguments):
    """Exit code of a command in a forked process, all of whose files end at 3000 bytes."""
    child = os.fork()
    if not child:
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
            main([str(word) for word in arguments])
        except SystemExit as stop:
            code = stop.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_full_disk_is_one_line_and_leaves_no_part(scores, tmp_path, capfd):
    """A limit on the size of files stands in for the disk; it holds for one process alone."""
    for arguments in (
        ["run", "--scores", scores, "--out", tmp_path / "run", "--n-boot", "100"],
        ["report", CORPUS.parent / "corpus"],
    ):
        if arguments[0] == "report":
            (tmp_path / "there").mkdir()
            (tmp_path / "there" / "audit.json").write_bytes((CORPUS / "audit.json").read_bytes())
            arguments[1] = tmp_path / "there"
        assert cramped(*arguments) == 2
        said = capfd.readouterr().err
        assert os.strerror(errno.EFBIG) in said and "Traceback" not in said
        assert len(said.strip().splitlines()) == 1
    assert not leftovers(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights(scores, tmp_path, capsys):
    (tmp_path / "dir").mkdir(mode=0o500)
    code, _, err = ended(capsys, "run", "--scores", scores, "--out", tmp_path / "dir" / "run")
    assert code == 2 and "may not be written to" in err


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, "No space left on device", "/runs/.a.7.part"),
        OSError(errno.ENOSPC, "No space left on device"),  # as `write` of an open file says it
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EMFILE, "Too many open files"),
        MemoryError(),
    ],
)
def test_disk_and_memory_are_no_bugs(fault, scores, tmp_path, capsys, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr("audit.runs.score_audit.write_result", fails)
    code, _, err = ended(capsys, "run", "--scores", scores, "--out", tmp_path / "run", "--n-boot", "100")
    assert code == 2 and err.startswith("error: ") and ".part" not in err and "Traceback" not in err


@pytest.mark.parametrize("fault", [OSError("image file is truncated"), OSError(errno.EINVAL, "bad seek")])
def test_what_is_at_fault_with_no_file_and_no_disk_is_a_bug(fault, scores, tmp_path, monkeypatch):
    """It was told as a file that cannot be written, with the advice to name another place."""

    def fails(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr("audit.runs.score_audit.write_result", fails)
    with pytest.raises(OSError, match=r"truncated|bad seek"):
        main(["run", "--scores", str(scores), "--out", str(tmp_path / "run"), "--n-boot", "100"])


@pytest.mark.slow
def test_a_name_that_is_not_utf8(tmp_path, scores):
    """Bytes that are no text: in the path of the table, of the run, and of an image that is scored."""
    out = os.fsencode(tmp_path) + b"/caf\xe9"
    table = out + b".csv"
    Path(os.fsdecode(table)).write_bytes(scores.read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "audit.cli", "run", "--scores", table, "--out", out, "--n-boot", "100"],
        capture_output=True, check=False, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert rb"caf\udce9" in done.stdout
    record = load_result(Path(os.fsdecode(out)))
    assert r"caf\udce9.csv" in record.provenance.data["path"]


def test_what_comes_next_can_be_pasted(checkpoint_name="my detector; rm -rf.pt"):
    from audit.commands.common import command_line

    line = command_line(["run", "--detector", checkpoint_name])
    assert shlex.split(line) == ["audit", "run", "--detector", checkpoint_name]


def test_scored_paths_drive_no_terminal(capsys):
    from audit.commands.common import show

    show("0.5  \x1b]0;owned\x07\u202e.png\nnext")
    assert capsys.readouterr().out == "0.5  \\x1b]0;owned\\x07\\u202e.png\nnext\n"


@pytest.mark.parametrize("n_boot", [10**11, 99, 10_000_001])
def test_replicates_have_bounds(n_boot):
    with pytest.raises(ConfigError, match=r"n_boot .* is not in 100-10,000,000"):
        AuditConfig(n_boot=n_boot).check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["config"].update(threshold=float("nan")), "NaN is no number of JSON"),
        (lambda r: r["config"].update(confidence=float("inf")), "Infinity is no number of JSON"),
        (lambda r: r["overall"].update(n_real=10**400), "overall.n_real is 1000.* which is no count"),
        (lambda r: r["overall"].update(n_real="9" * 400), "overall.n_real is 9999.* which is no count"),
        (lambda r: r["overall"].update(n_fake=-1), "overall.n_fake is -1, which is no count"),
        (lambda r: r["overall"].update(provenance=-1), r"overall\.provenance is -1, which is no count"),
        (lambda r: r["config"].update(confidence=1.0), r"config\.confidence is 1\.0"),
        (lambda r: r["config"].update(attributes=[]), "names no attribute"),
        (lambda r: r["curves"][0].update(fpr=[]), r"curves\.0 holds lists of"),
        (lambda r: r["histograms"][0].update(edges=[]), r"histograms\.0 holds lists of"),
        (lambda r: r["sweep"][0].update(fp=[]), r"sweep\.0 holds lists of"),
        (lambda r: r.update(schema_version="\u202e\n"), r"schema_version is '\\u202e\\n'"),
    ],
)
def test_a_record_that_contradicts_itself(change, message, tmp_path):
    record = json.loads((CORPUS / "audit.json").read_text())
    change(record)
    (tmp_path / "audit.json").write_text(json.dumps(record))
    with pytest.raises(ResultFormatError, match=message) as caught:
        load_result(tmp_path)
    assert "\n" not in str(caught.value)


def test_every_record_we_write_is_one_we_read(tmp_path):
    """One class alone, one group alone, scores all alike: lists may be short, and are equally long."""
    table = pd.read_csv(CORPUS / "scores.csv")
    parts = [table, table[table["label"] == 0], table[table["race"] == "White"], table.assign(score=0.5)]
    for number, part in enumerate(parts):
        part.to_csv(tmp_path / f"{number}.csv", index=False)
        config = AuditConfig(attributes=("race",), n_boot=100)
        written = audit_file(tmp_path / f"{number}.csv", tmp_path / str(number), config)
        assert load_result(tmp_path / str(number)).to_json() == written.to_json()
