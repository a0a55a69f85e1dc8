"""Audits on an S3 store: killed and continued, verified, and every way in which a store can fail."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from audit import audit_images
from audit.cli import main
from detectors.data.preprocessing import Preprocessing
from detectors.models.architectures import build
from detectors.models.checkpoint import save_checkpoint
from detectors.scoring import engine
from detectors.scoring.network_threads import Scoring
from detectors.training.settings import Settings
from detectors.training.train_detector import train
from pipelines import place_urls, places
from pipelines.errors import PlaceError
from pipelines.sources.photos import read_bytes
from pipelines.storage import write_text
from tests.detectors.conftest import make_pairs
from tests.pipelines.killing import die_at_put, in_child, wait

pytestmark = pytest.mark.slow


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit, match=r"^\d+$|^None$") as stopped:
        main(list(arguments))
    return int(stopped.value.code or 0)


def below(store: Any, folder: str) -> dict[str, bytes]:
    """Every object below a folder, by its name there."""
    return {key[len(folder) + 1 :]: store.cat_file(key) for key in store.find(folder)}


@pytest.fixture(scope="module")
def scored(s3: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A detector and pairs, here and in the store; an untrained one scores as well as any."""
    here = tmp_path_factory.mktemp("here")
    pairs = make_pairs(here / "set", 40)
    torch.manual_seed(0)
    network = build("simplenet")
    model = save_checkpoint(here / "m.pt", "simplenet", network, Preprocessing(size_px=32), {})
    s3.put(str(pairs), "work/set", recursive=True)
    s3.put_file(str(model), "work/m.pt")
    return model, pairs


def test_a_scoring_that_is_killed_continues_on_the_next_machine(
    s3: Any, scored: tuple[Path, Path], tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(engine, "BATCHES_PER_PART", 1)
    how = {"batch_size": 16, "progress": False, "n_boot": 100, "min_n": 5}
    expected = audit_images(*scored, out=tmp_path / "x", **how).record.to_json()
    audit = partial(audit_images, "s3://work/m.pt", "s3://work/set", out="s3://work/runs/x", **how)
    assert wait(in_child(partial(die_at_put, 4, audit))) == -signal.SIGKILL
    assert len(s3.find("work/runs/x/.scoring")) == 3  # of five parts
    add, seen = Scoring.add, []
    monkeypatch.setattr(
        Scoring, "add", lambda me, d, at, images: (seen.append(len(images)), add(me, d, at, images))[1]
    )
    audit()
    assert seen == [32, 16, 16]  # the look at some images first, and the parts that were missing
    found = below(s3, "work/runs/x")
    assert found["audit.json"].decode().replace("s3://work/set", str(scored[1])) == expected
    assert found["scores.parquet"] == (tmp_path / "x/scores.parquet").read_bytes()
    assert not [name for name in found if name.startswith(".scoring")]
    more = ("--data", "s3://work/set", "--detector", "s3://work/m.pt")
    assert run("verify", "s3://work/runs/x", *more) == 0
    s3.pipe_file("work/set/fake/train-000003.png", b"another image")
    assert run("verify", "s3://work/runs/x", *more) == 1


def test_a_training_leaves_its_detector_and_record(s3: Any, pairs_dir: Path, quick: Settings):
    train("simplenet", pairs_dir, places.local("s3://work/models/m.pt"), quick, progress=False)
    names = {"m.pt", "m.training.csv", "m.training.json"}  # the page is the command's
    assert below(s3, "work/models").keys() == names
    assert {path.name for path in places.local("s3://work/models/m.pt").parent.iterdir()} == {
        "m.pt", "m.training.json",
    }  # fmt: skip


def test_a_bucket_that_vanishes_stops_the_run_in_one_line(s3: Any):
    s3.mkdir("gone")
    s3.pipe_file("gone/set/manifest.parquet", b"m")
    s3.pipe_file("gone/set/real/a.png", b"a")
    folder = places.local("s3://gone/set")
    s3.rm("gone", recursive=True)
    with pytest.raises(PlaceError, match=r"^s3://gone/set went away in the middle of the run"):
        read_bytes(folder / "real/a.png")
    with pytest.raises(
        PlaceError, match=r"^s3://gone/set cannot be written: .*bucket does not exist.*continue$"
    ):
        write_text(folder / "run.json", "{}")
    with pytest.raises(PlaceError, match=r"^s3://gone/set cannot be read: .*bucket does not exist"):
        places.local("s3://gone/set")


def test_a_store_that_does_not_answer_and_credentials_that_are_missing(
    s3: Any, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(place_urls, "_SYSTEMS", {})
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert run("run", "--scores", "s3://work/scores.csv") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith("error: s3://work/scores.csv cannot be read: no credentials were found (Unable to")
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials" in said
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    monkeypatch.setattr(place_urls, "_SYSTEMS", {})
    assert run("report", "s3://work/runs/x") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "s3://work/runs/x cannot be read: Could not connect" in said and "hunter2" not in said
