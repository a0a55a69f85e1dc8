"""The main job, small and whole: faces, pairs, a detector, its audit, the report."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from audit.cli import main
from detectors.models.loading import load_detector
from pipelines.dataset.manifest import read_manifest

pytestmark = pytest.mark.slow


def audit(*arguments: object) -> None:
    """Run a command and expect success."""
    with pytest.raises(SystemExit, match=r"^(0|None)$"):
        main([str(word) for word in arguments])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    audit("demo", "--out", out, "--photos", 126, "--epochs", 2)
    return out


def test_the_demo_leaves_everything_it_names(demo: Path):
    manifest = read_manifest(demo / "pairs")
    assert len(manifest) == 126 * 3
    assert sorted(set(manifest["kind"])) == ["self-blend", "small", "swap"]
    assert (manifest[manifest["kind"] != "swap"]["status"] == "ok").mean() > 0.9
    swaps = manifest[manifest["kind"] == "swap"]
    assert set(swaps["detail"][swaps["status"] == "no donor"].str.partition(":")[0]) >= {"alone in its cell"}
    record = json.loads((demo / "run" / "audit.json").read_text())
    assert record["config"]["attributes"] == ["age", "gender", "race"]
    assert {g["attribute"] for g in record["groups"]} >= {"age", "gender", "race", "age:gender:race"}
    report = (demo / "run" / "report.html").read_text()
    assert {each["attribute"] for each in record["kinds"]} == {"age", "gender", "race"}
    assert record["kinds"][0]["sentence"] in record["notes"]
    kinds = {path.name for path in (demo / "run" / "kinds").iterdir()}
    assert kinds <= {"self-blend", "small", "swap"} and len(kinds) >= 2
    assert len(report) < 6e6
    assert "rendered" in report.lower()


def test_no_photo_is_in_training_and_in_the_audit(demo: Path):
    provenance = load_detector(demo / "spectrum.pt").provenance
    seen = {sha256 for part in ("trained_on_sha256", "validated_on_sha256") for sha256 in provenance[part]}
    manifest = read_manifest(demo / "pairs")
    assert len(seen) > 50 and seen <= set(manifest["source_sha256"])
    scores = pd.read_parquet(demo / "run" / "scores.parquet")
    record = json.loads((demo / "run" / "audit.json").read_text())
    audited = manifest[manifest["pair_id"].isin(scores["pair_id"])]["source_sha256"]
    assert len(audited) > 20 and not seen & set(audited)
    assert record["data"]["n_left_out"]["in the detector's training data"] > 0
    assert set(scores["label"]) == {0, 1}


def test_the_same_audit_twice_is_the_same_bytes(demo: Path):
    run, first = demo / "run", (demo / "run" / "audit.json").read_bytes()
    again = demo / "again"
    command = ["run", "--detector", demo / "spectrum.pt", "--pairs", demo / "pairs"]
    audit(*command, "--out", again)
    one, two = json.loads(first), json.loads((again / "audit.json").read_bytes())
    one["provenance"].pop("command"), two["provenance"].pop("command")
    assert one == two
    assert (run / "scores.parquet").read_bytes() == (again / "scores.parquet").read_bytes()


def test_report_again_without_images_holds_no_face(demo: Path):
    audit("report", demo / "run", "--no-images")
    assert "data:image/jpeg" not in (demo / "run" / "report.html").read_text()
