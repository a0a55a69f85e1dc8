"""`audit verify` of a run on images: a changed image and a changed detector are named."""

import shutil

from PIL import Image

from audit.config import AuditConfig
from audit.runs.image_audit import Scoring, audit_images
from audit.verification.verify_run import verify_run


def changed(*arguments):
    return {c.what: c.detail for c in verify_run(*arguments) if c.state == "changed"}


def test_a_changed_image_and_a_changed_detector_are_named(checkpoint, pairs_factory, tmp_path):
    pairs, detector = pairs_factory(30, 4), tmp_path / "simple.pt"
    shutil.copyfile(checkpoint, detector)
    config = AuditConfig(attributes=("gender",), n_boot=100, min_n=5)
    command = f"audit run --detector {detector} --pairs {pairs}"
    audit_images(detector, pairs, tmp_path / "run", config, Scoring(progress=False), command)
    checks = {check.what: check.state for check in verify_run(tmp_path / "run")}
    assert set(checks.values()) == {"ok"} and {"detector", "data", "numbers of audit.json"} <= set(checks)
    assert any(name.startswith("thumbnails/") for name in checks)

    Image.new("RGB", (32, 32), "red").save(pairs / "fake" / "train-000007.png")
    (pairs / "real" / "train-000003.png").unlink()
    assert changed(tmp_path / "run")["data"] == (
        "other images now: fake/train-000007.png, real/train-000003.png"
    )
    detector.write_bytes(detector.read_bytes()[:-1] + b"x")
    assert "has the SHA-256" in changed(tmp_path / "run")["detector"]
