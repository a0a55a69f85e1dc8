"""A changed bit anywhere in a run is named; an unchanged run is found to be so."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.cli import main
from audit.config import AuditConfig
from audit.errors import ResultFormatError
from audit.runs.run_folder import write_circumstances
from audit.runs.score_audit import audit_file, audit_table
from audit.verification.verify_run import verify_run
from reports.pages.report_page import write_report

FAST = AuditConfig(attributes=("gender", "race"), n_boot=100, min_n=5)


def table(n: int = 160) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    label = np.tile([0, 1], n // 2)
    return pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(n)],
            "pair_id": [f"p{i // 2}" for i in range(n)],
            "label": label,
            "score": np.clip(rng.normal(0.3 + 0.4 * label, 0.2), 0, 1),
            "gender": np.repeat(rng.choice(["F", "M"], n // 2), 2),
            "race": np.repeat(rng.choice(["A", "B", "C"], n // 2), 2),
            "light": np.repeat(rng.normal(size=n // 2), 2),
        }
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with everything in it, and its score file beside it."""
    place = tmp_path_factory.mktemp("whole")
    table().to_csv(place / "scores.csv", index=False)
    audit_file(place / "scores.csv", place / "run", FAST, "audit run --scores scores.csv")
    write_circumstances({"seconds": 1}, place / "run")
    write_report(place / "run")
    return place


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole / "run", tmp_path / "run"))


def changed(folder: Path, **places: Path) -> dict[str, str]:
    return {c.what: c.detail for c in verify_run(folder, **places) if c.state == "changed"}


def test_what_was_not_changed_is_found_so(run):
    checks = {check.what: check for check in verify_run(run)}
    assert {name for name, check in checks.items() if check.state == "ok"} == {
        "audit.json", "scores.parquet", "run.json", "report.html", "spelling of audit.json",
        "numbers of audit.json", "data",
    }  # fmt: skip
    assert checks["detector"].state == "not checked"
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=run, capture_output=True, check=False)
    assert done.returncode == 0


def test_the_report_that_the_audit_wrote_is_among_the_hashes(tmp_path, monkeypatch):
    """A signature stands for what SHA256SUMS lists, and the report is what people read and sign."""
    monkeypatch.chdir(tmp_path)
    table().to_csv("scores.csv", index=False)
    with pytest.raises(SystemExit, match=r"^(0|None)$"):
        main(["run", "--scores", "scores.csv", "--independent", "--n-boot", "500", "--out", "run", "--quiet"])
    states = {check.what: check.state for check in verify_run(tmp_path / "run")}
    assert states["report.html"] == "ok" and "changed" not in states.values()
    (tmp_path / "run" / "report.html").write_text("another")
    assert "report.html" in changed(tmp_path / "run")


FILES = ("audit.json", "scores.parquet", "run.json", "report.html")


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_named(name, where, bit, whole, tmp_path_factory):
    run = Path(shutil.copytree(whole / "run", tmp_path_factory.mktemp("flipped") / "run"))
    data = bytearray((run / name).read_bytes())
    data[int(where * len(data))] ^= 1 << bit
    (run / name).write_bytes(data)
    assert name in changed(run)


@pytest.mark.parametrize("where", [0.0, 0.3, 0.7])
def test_a_flipped_bit_of_the_sums_is_named(where, run):
    data = bytearray((run / "SHA256SUMS").read_bytes())
    data[int(where * len(data))] ^= 1
    (run / "SHA256SUMS").write_bytes(data)
    assert changed(run)


def test_a_missing_file_and_one_too_many(run):
    (run / "run.json").unlink()
    (run / "extra.txt").write_text("x")
    checks = {check.what: check for check in verify_run(run)}
    assert checks["run.json"].state == "changed" and "No such file" in checks["run.json"].detail
    assert checks["extra.txt"].state == "not checked"


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r["verdicts"][0].update(p_value=r["verdicts"][0]["p_value"] / 2 + 1e-15),
        lambda r: r["overall"]["confusion"].update(fp=r["overall"]["confusion"]["fp"] + 1),
        lambda r: r["groups"][2].update(fpr=r["groups"][2]["fpr"] * (1 + 1e-8)),
        lambda r: r["config"].update(tolerance=0.021),
        lambda r: r["data"].update(n_images=r["data"]["n_images"] - 1),
    ],
)
def test_a_forged_number_is_named_even_where_no_hash_is_left(change, run):
    record = json.loads((run / "audit.json").read_text())
    change(record)
    (run / "audit.json").write_text(json.dumps(record, indent=2) + "\n")
    (run / "SHA256SUMS").unlink()
    assert "the scores give" in changed(run)["numbers of audit.json"]


def test_the_last_bit_of_a_number_is_another_processors(run):
    record = json.loads((run / "audit.json").read_text())
    record["groups"][2]["fpr"] = np.nextafter(record["groups"][2]["fpr"], 1)
    (run / "audit.json").write_text(json.dumps(record, indent=2) + "\n")
    assert "numbers of audit.json" not in changed(run)


def test_forged_scores_are_named_even_where_no_hash_is_left(run):
    (run / "SHA256SUMS").unlink()
    frame = pd.read_parquet(run / "scores.parquet")
    frame.loc[3, "score"] = 1 - frame.loc[3, "score"]
    frame.to_parquet(run / "scores.parquet", index=False)
    assert "the scores give" in changed(run)["numbers of audit.json"]


def test_writing_the_report_again_vouches_for_nothing_else(run):
    (run / "audit.json").write_text((run / "audit.json").read_text().replace("scores.csv", "forged.csv"))
    write_report(run)
    assert set(changed(run)) == {"audit.json"}


def test_other_data_is_named(run, tmp_path):
    (tmp_path / "other.csv").write_text("label,score\n")
    assert "is another file now" in changed(run, data=tmp_path / "other.csv")["data"]


def test_data_that_is_not_there_is_named_as_it_was_given(run, tmp_path):
    def told(folder, **places):
        return next(c.detail for c in verify_run(folder, **places) if c.what == "data")

    assert told(run, data=tmp_path / "gone.csv").startswith(f"nothing at {tmp_path / 'gone.csv'};")
    audit_table(table(), FAST).write(tmp_path / "notebook")
    assert told(tmp_path / "notebook") == "the record names no file of it"


def test_a_detector_is_compared_by_its_hash(run, tmp_path):
    record = json.loads((run / "audit.json").read_text())
    record["provenance"]["detector"] = {"sha256": "0" * 64}
    (run / "audit.json").write_text(json.dumps(record, indent=2) + "\n")
    (tmp_path / "net.pt").write_bytes(b"x")
    assert "audited was 0000000000000000" in changed(run, detector=tmp_path / "net.pt")["detector"]


@pytest.mark.parametrize(
    "config",
    [
        replace(FAST, threshold="eer"),
        replace(FAST, threshold="fpr=0.2", calibration_share=0.4),
        replace(FAST, controls=("light",), references={"race": "A"}),
        replace(FAST, attributes=("race", "light"), bins={"light": (-0.5, 0.5)}),
        replace(FAST, unit_column="person"),
    ],
    ids=["eer", "fpr", "controls", "bins", "units"],
)
def test_every_option_is_derived_again(config, tmp_path):
    people = {} if config.unit_column is None else {"person": [f"person {i // 4}" for i in range(160)]}
    table().assign(**people).to_csv(tmp_path / "s.csv", index=False)
    audit_file(tmp_path / "s.csv", tmp_path / "run", config)
    assert changed(tmp_path / "run") == {}


def test_no_run_at_all(tmp_path):
    with pytest.raises(ResultFormatError, match=r"no audit\.json at"):
        verify_run(tmp_path)


def test_the_command(run, capsys):
    from audit.cli import main

    for expected in (0, 1):
        with pytest.raises(SystemExit, match=rf"^{expected}$|^None$"):
            main(["verify", str(run)])
        out = capsys.readouterr().out
        assert ("changed" in out) is bool(expected)
        (run / "scores.parquet").write_bytes(b"x")
    assert "changed       scores.parquet: its SHA-256 is" in out


@pytest.mark.parametrize("typed", ["--detector {}", "--detector={}", "--seed 1 --detector='{}'"])
def test_the_detector_is_found_however_it_was_typed(run, tmp_path, typed):
    (tmp_path / "net.pt").write_bytes(b"x")
    record = json.loads((run / "audit.json").read_text())
    record["provenance"] |= {
        "detector": {"sha256": hashlib.sha256(b"x").hexdigest()},
        "command": f"audit run {typed.format(tmp_path / 'net.pt')}",
    }
    (run / "audit.json").write_text(json.dumps(record, indent=2) + "\n")
    checks = {check.what: check for check in verify_run(run)}
    assert checks["detector"].state == "ok"
