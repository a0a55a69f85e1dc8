"""Detectors and audits of images in one call each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import audit
import detectors
from audit.errors import ConfigError, GroupError, MissingColumnError, RunFolderError
from detectors.errors import (
    DatasetLayoutError,
    DatasetNotFound,
    DetectorNotFound,
    SidecarError,
    TrainingError,
)

FAST = {"n_boot": 100, "progress": False}


@pytest.fixture
def untouchable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading any detector fails: whatever is refused was refused before."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the detector was loaded before the options were checked")

    monkeypatch.setattr("detectors.models.loading.load_detector", fail)
    monkeypatch.setattr("detectors.api.load_detector", fail)


def test_files_pictures_and_arrays_score_alike(checkpoint: Path, pairs_dir: Path):
    loaded = detectors.load(checkpoint)
    paths = [pairs_dir / f"{half}/train-000003.png" for half in ("fake", "real")]
    of_files = loaded.score([*paths, pairs_dir / "none.png"])
    assert list(of_files) == ["image", "score", "status", "detail"]
    assert of_files["status"].tolist()[:2] == ["ok", "ok"] and of_files["status"][2] == "missing photo"
    assert np.isnan(of_files["score"][2]) and of_files["score"][0] > of_files["score"][1]
    pictures = [Image.open(path) for path in paths]
    mixed = loaded.score([pictures[0], np.asarray(pictures[1].convert("RGB")), str(paths[0])])
    assert mixed["score"].tolist() == pytest.approx([*of_files["score"][:2], of_files["score"][0]], abs=1e-6)
    assert loaded.score(paths[0])["score"].tolist() == pytest.approx([of_files["score"][0]], abs=1e-6)


def test_what_is_no_image_is_refused(checkpoint: Path):
    loaded = detectors.load(checkpoint)
    with pytest.raises(DatasetLayoutError, match=r"image 0 is an array of float32 \(8, 8, 3\); give uint8"):
        loaded.score(np.zeros((8, 8, 3), dtype=np.float32))
    with pytest.raises(DatasetNotFound, match="no image to score"):
        loaded.score([])


def test_a_detector_that_is_not_there_or_misdescribed(tmp_path: Path, checkpoint: Path):
    with pytest.raises(DetectorNotFound, match=r"no detector at .*none\.pt: train one with"):
        detectors.load(tmp_path / "none.pt")
    with pytest.raises(SidecarError, match="unknown key 'size'; known are size_px"):
        detectors.load(checkpoint, size=3)


def test_train_and_its_settings(pairs_dir: Path, tmp_path: Path):
    with pytest.raises(TrainingError, match=r"^no setting 'epoch'; did you mean 'epochs'\?$"):
        detectors.train("simplenet", pairs_dir, epoch=3)
    with pytest.raises(TrainingError, match="epochs is 0, it must be 1 or more; optimiser is 'best'"):
        detectors.train("simplenet", tmp_path / "never read", epochs=0, optimiser="best")
    said: list[str] = []
    path = detectors.train(
        "simplenet", pairs_dir, tmp_path / "s.pt", epochs=1, size_px=32, precision="32-true",
        progress=False, say=said.append,
    )  # fmt: skip
    assert path == tmp_path / "s.pt" and said
    assert json.loads((tmp_path / "s.training.json").read_text())["settings"]["epochs"] == 1


def test_images_to_an_audit_in_memory_and_on_disk(checkpoint: Path, pairs_dir: Path, tmp_path: Path):
    said: list[str] = []
    found = audit.audit_images(
        detectors.load(checkpoint), pairs_dir, "Race", include_seen=True, say=said.append, **FAST
    )
    assert found.folder is None and found.record.config.attributes == ["race"]
    assert found.groups["n_real"].sum() == 40 and len(found.scores) == 80
    assert said[0].startswith("first real images score")
    page = found.report(tmp_path / "page.html").read_text()
    assert "data:image/" in page, "the sampled faces are in a report that was never written to a run folder"
    found.write(tmp_path / "run")
    assert any((tmp_path / "run/thumbnails").iterdir())
    again = audit.audit_images(
        str(checkpoint), images=pairs_dir, attributes="race", include_seen=True, out=tmp_path / "run", **FAST
    )
    assert again.folder == tmp_path / "run" and again.record.to_json() == found.record.to_json()


@pytest.mark.usefixtures("untouchable")
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"attributes": "skin"}, MissingColumnError,
         r"pairs has no column 'skin' to audit; it has 'age', 'gender', 'race', 'kind'$"),
        ({"controls": "blur"}, MissingColumnError, r"^no column 'blur' to hold constant; there are "),
        ({"references": {"race": "Z"}}, GroupError, "there is no group 'Z'; the groups of race are Black, "),
        ({"references": {"skin": "Z"}}, GroupError, "'skin' is not audited; audited are age, gender, race"),
        ({"tolerence": 1}, ConfigError, r"did you mean 'tolerance'\?"),
        ({"unit_column": "person"}, MissingColumnError, "has no column 'person'"),
        ({"label_column": "truth"}, ConfigError, "label_column and the like are for score tables alone"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_before_scoring(
    pairs_dir: Path, options: dict, error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        audit.audit_images("any.pt", pairs_dir, **FAST, **options)


@pytest.mark.usefixtures("untouchable")
def test_one_set_of_images_and_a_folder_to_write_to(pairs_dir: Path, tmp_path: Path):
    for both in ({}, {"pairs": pairs_dir, "images": pairs_dir}):
        with pytest.raises(ConfigError, match="give either pairs"):
            audit.audit_images("any.pt", **both, **FAST)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="file is a file, so"):
        audit.audit_images("any.pt", pairs_dir, out=tmp_path / "file", **FAST)


def test_no_gpu_is_one_line(checkpoint: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(detectors.ExpectedError, match="device is cuda, but PyTorch sees no GPU here"):
        detectors.load(checkpoint, device="cuda")
    with pytest.raises(detectors.ExpectedError, match="device is 'gpu'; it must be auto, cpu or cuda"):
        detectors.load(checkpoint, device="gpu")
