"""What an audit in memory, in a temporary folder or in a store reads and writes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import audit
from audit.api.outcome import Audit
from pipelines.errors import ExpectedError, StorageError
from pipelines.storage import write_json, write_text
from reports.pages.report_page import write_report

FAST = {"n_boot": 100}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    label, race = np.tile([0, 1], 200), np.repeat(["A", "B"], 200)
    score = np.clip(rng.normal(0.2 + 0.6 * label + 0.35 * ((race == "B") & (label == 0)), 0.1), 0, 1)
    return pd.DataFrame(
        {"image_id": [f"i{n}" for n in range(400)], "label": label, "score": score, "race": race}
    )


@pytest.fixture(scope="module")
def found(frame: pd.DataFrame) -> Audit:
    return audit.audit_scores(frame, "race", **FAST)


@pytest.mark.parametrize("name", ["stress/stress.json", "shortcuts/shortcuts.json", "mitigation.json",
                                  "explanations/summary.json"])  # fmt: skip
def test_a_report_of_memory_reads_nothing_from_the_folder_it_is_made_in(found, tmp_path, monkeypatch, name):
    """What lay in the current folder was shown, or raised."""
    monkeypatch.chdir(tmp_path)
    clean = found.report("clean.html").read_text()
    write_text(tmp_path / name, "{}")
    assert found.report("report.html").read_text() == clean


def temporary(frame: pd.DataFrame) -> Audit:
    """As `audit_images` gives it without a folder: with pictures, and a run of a kind of fake."""
    place = tempfile.TemporaryDirectory(prefix="audit-")
    folder = Path(place.name)
    made = audit.audit_scores(frame, "race", out=folder, **FAST)
    audit.audit_scores(frame, "race", out=folder / "kinds" / "swap", **FAST)
    (folder / "thumbnails").mkdir()
    (folder / "thumbnails" / "a.png").write_bytes(b"a")
    return Audit(made.record, temporary=place)


def test_a_temporary_audit_is_written_whole_and_then_lives_there(frame, tmp_path):
    found = temporary(frame)
    was = Path(found._temporary.name)
    before = {p.relative_to(was): p.read_bytes() for p in was.rglob("*") if p.is_file()}
    assert Path("kinds/swap/audit.json") in before
    folder = found.write(tmp_path / "run")
    assert {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert not was.exists() and len(found.scores) == 400
    audit.mitigate(found).write(folder)
    assert 'id="help"' in found.report().read_text()
    assert found.write(tmp_path / "again") == tmp_path / "again"
    assert (tmp_path / "again" / "mitigation.json").is_file()
    assert found.write(tmp_path / "again" / "in") == tmp_path / "again" / "in"


def test_pictures_of_another_run_do_not_stay(frame, tmp_path):
    found = temporary(frame)
    found.write(tmp_path / "run")
    for name in ("thumbnails/old.png", "kinds/old/audit.json"):
        write_text(tmp_path / "run" / name, "old")
    temporary(frame).write(tmp_path / "run")
    assert not (tmp_path / "run/thumbnails/old.png").exists()
    assert not (tmp_path / "run/kinds/old").exists()
    assert (tmp_path / "run/kinds/swap/audit.json").exists()


def test_faces_stay_out_of_every_report_of_a_run_that_was_told_so(frame, tmp_path, monkeypatch):
    from reports.figures import example_images

    asked = []
    monkeypatch.setattr(example_images, "cards", lambda folder, result, images: asked.append(images) or {})
    for command, wanted in (("audit run --no-images", False), ("audit run", True)):
        folder = tmp_path / command.replace(" ", "")
        audit.audit_scores(frame, "race", out=folder, command=command, **FAST)
        write_report(folder)
        audit.load_result(folder).report()
        assert asked == [wanted] * 2, command
        asked.clear()


def test_addresses_work_in_python_as_they_do_in_commands(memory, frame, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scored = audit.audit_scores(frame.assign(score=1 - frame["score"]), "race", **FAST)
    found.write("memory://bucket/runs/a")
    scored.write("memory://bucket/runs/b")
    assert memory.exists("/bucket/runs/a/audit.json")
    found.report("memory://bucket/report.html")
    found.report("memory://bucket/runs/b")
    for name in ("report.html", "runs/b/report.html"):
        assert memory.cat(f"/bucket/{name}").startswith(b"<!DOCTYPE html>"), name
    compared = audit.compare("memory://bucket/runs/a", "memory://bucket/runs/b")
    compared.write("memory://bucket/compared")
    compared.report("memory://bucket/compared.html")
    cure = audit.mitigate("memory://bucket/runs/a")
    cure.write("memory://bucket/runs/a")
    cure.report("memory://bucket/cure.html")
    for name in ("compared/comparison.json", "compared.html", "runs/a/mitigation.json", "cure.html"):
        assert memory.exists(f"/bucket/{name}"), name
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["s3:/bucket/a.json", "memory:/a.json"])
def test_an_address_that_became_a_path_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for write in (lambda path: write_text(path, "{}"), lambda path: write_json(path, {})):
        with pytest.raises(StorageError, match=f"^{name} is an address that was taken for a path"):
            write(Path(name))
    assert list(tmp_path.iterdir()) == []
    assert issubclass(StorageError, ExpectedError)


def test_trials_and_a_verifier_may_lie_in_a_store(memory, tmp_path, monkeypatch):
    from detectors.voices import verifier
    from pipelines.places import name_of
    from pipelines.voices import trials_folder

    class Stop(Exception):
        pass

    def given(*places, **_):
        asked.extend(name_of(place) for place in places if isinstance(place, Path))
        if len(asked) == 3:
            raise Stop("enough")
        return trials_folder.Trials(tmp_path, pd.DataFrame(), {}, (), trials_folder.Listening())

    asked: list[str] = []
    names = ["memory://bucket/trials.csv", "memory://bucket/clips", "memory://bucket/verifier.pt"]
    for name in ("trials.csv", "clips/a.wav", "verifier.pt"):
        memory.pipe(f"/bucket/{name}", b"x")
    monkeypatch.setattr(trials_folder, "read_trials", given)
    monkeypatch.setattr(verifier, "load_verifier", given)
    with pytest.raises(Stop, match="enough"):
        audit.audit_trials(names[2], names[0], clips=names[1])
    assert asked == names
