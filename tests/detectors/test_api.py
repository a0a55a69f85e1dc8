"""Detectors and audits of images in one call each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import audit
import detectors
from audit.cli import main
from audit.errors import ConfigError, GroupError, MissingColumnError, RunFolderError, UnitError
from audit.runs.stress_run import stress
from detectors.api import LoadedDetector
from detectors.data.datasets import read_images
from detectors.data.preprocessing import Preprocessing
from detectors.errors import (
    DatasetLayoutError,
    DatasetNotFound,
    DetectorNotFound,
    SidecarError,
    TrainingError,
)
from detectors.models.architectures import build
from detectors.models.detector import Detector, Output
from pipelines.faces.align import Face

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


def test_pictures_share_batches_and_one_face_finder(pairs_dir: Path, monkeypatch: pytest.MonkeyPatch):
    sizes: list[int] = []
    finders: list[object] = []

    def network(batch: torch.Tensor) -> torch.Tensor:
        sizes.append(len(batch))
        return batch.mean((1, 2, 3))

    class Finder:
        def __init__(self) -> None:
            finders.append(self)

        def find(self, photos: list[np.ndarray]) -> list[list[Face]]:
            landmarks = np.array([[10, 12], [20, 12], [15, 17], [11, 22], [19, 22]], np.float32)
            return [[Face((4, 4, 28, 28), 0.9, landmarks)] if one.max() else [] for one in photos]

    monkeypatch.setattr("pipelines.faces.align.FaceFinder", Finder)
    preprocessing = Preprocessing(16, face="crop", mean=(0.0,) * 3, std=(1.0,) * 3)
    one = LoadedDetector(Detector("own", "", "own", preprocessing, Output("probability"), network))
    paths = [pairs_dir / f"real/train-{number:06d}.png" for number in range(5)]
    pictures: list = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    alone = [one.score(each)["score"][0] for each in pictures]
    sizes.clear()
    finders.clear()
    mixed = [paths[0], *pictures, np.zeros((32, 32, 3), np.uint8), *paths[1:]]
    found = one.score(mixed, batch_size=4)
    assert sorted(sizes) == [1, 1, 4, 4] and len(finders) == 2, "one for the files, one for the pictures"
    assert found["image"].tolist() == [str(paths[0]), *map(str, range(1, 7)), *map(str, paths[1:])]
    assert found["status"][6] == "no face found" and np.isnan(found["score"][6])
    wanted = [alone[0], *alone, *alone[1:]]
    assert found["score"].drop(6).tolist() == pytest.approx(wanted, abs=1e-7)


def test_what_is_no_image_is_refused(checkpoint: Path):
    loaded = detectors.load(checkpoint)
    with pytest.raises(DatasetLayoutError, match=r"image 0 is an array of float32 \(8, 8, 3\); give uint8"):
        loaded.score(np.zeros((8, 8, 3), dtype=np.float32))
    with pytest.raises(DatasetNotFound, match="no image to score"):
        loaded.score([])


@pytest.mark.parametrize("form", ["rotated", "deep", "transparent"])
def test_a_picture_is_seen_as_its_file_is(form: str, checkpoint: Path, pairs_dir: Path, tmp_path: Path):
    photo = Image.open(next((pairs_dir / "real").rglob("*.png"))).convert("RGB")
    file, exif = tmp_path / "face.png", Image.Exif()
    if form == "rotated":
        exif[0x0112] = 6
    elif form == "deep":
        photo = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    else:
        photo.putalpha(0)
    photo.save(file, exif=exif)
    with Image.open(file) as opened:
        found = detectors.load(checkpoint).score([file, opened])
    assert found["score"].tolist() == pytest.approx([found["score"][0]] * 2, abs=1e-6)


def test_a_damaged_picture_is_a_row_with_its_reason(checkpoint: Path, tmp_path: Path):
    file = tmp_path / "cut.jpg"
    Image.effect_noise((200, 200), 50).convert("RGB").save(file)
    file.write_bytes(file.read_bytes()[:5000])
    with Image.open(file) as opened:
        found = detectors.load(checkpoint).score([opened])
    assert found["status"].tolist() == ["unreadable image"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (None, "images is a NoneType; give files, images or arrays"),
        (5, "images is a int"),
        (b"face.jpg", "images is a bytes"),
        (pd.DataFrame({"path": ["a.jpg"]}), "images is a DataFrame"),
        ([None], "image 0 is a NoneType; give a file, a PIL image or a uint8 array"),
        (np.zeros((0, 0, 3), np.uint8), r"image 0 is an array of uint8 \(0, 0, 3\)"),
    ],
)
def test_what_is_no_image_is_named(wrong: object, told: str, checkpoint: Path):
    with pytest.raises(DatasetLayoutError, match=told):
        detectors.load(checkpoint).score(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, -1, "8", 1.5, None, True])
def test_a_batch_of_no_size(size: object, checkpoint: Path):
    with pytest.raises(audit.ExpectedError, match=f"batch_size is {size!r}; it must be a whole number of at"):
        detectors.load(checkpoint).score("face.jpg", batch_size=size)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arch", "data", "settings", "told"),
    [
        (5, "pairs", {}, "arch is 5; give the name of an architecture"),
        (Path("simplenet"), "pairs", {}, "give the name of an architecture"),
        ("simplenet", 5, {}, "data is a int; give the path of a pairs dataset, or several"),
        ("simplenet", [], {}, "data is a list; give the path"),
        ("simplenet", pd.DataFrame(), {}, "data is a DataFrame; give the path"),
        ("simplenet", "pairs", {"epochs": "3"}, "epochs is '3', it must be a whole number"),
        ("simplenet", "pairs", {"size_px": "64"}, "size_px is '64', it must be a whole number"),
        ("simplenet", "pairs", {"learning_rate": "x"}, "learning_rate is 'x', it must be a number"),
        ("simplenet", "pairs", {"seed": "a", "epochs": 1.5}, "epochs is 1.5, .*; seed is 'a', it must be"),
    ],
)
def test_what_cannot_be_trained_is_named(arch: object, data: object, settings: dict, told: str):
    with pytest.raises(audit.ExpectedError, match=told):
        detectors.train(arch, data, **settings)  # type: ignore[arg-type]


def test_what_is_no_detector_is_named(pairs_dir: Path):
    for wrong in (5, None, b"a.pt", len):
        with pytest.raises(audit.ExpectedError, match=f"the detector is a {type(wrong).__name__}; give its"):
            audit.audit_images(wrong, pairs_dir, **FAST)  # type: ignore[arg-type]
    with pytest.raises(audit.ExpectedError, match="settings is 'size_px'; give a mapping"):
        audit.audit_images("a.pt", pairs_dir, settings="size_px", **FAST)  # type: ignore[arg-type]


def test_a_detector_that_is_not_there_or_misdescribed(tmp_path: Path, checkpoint: Path):
    with pytest.raises(DetectorNotFound, match=r"no detector at .*none\.pt: train one with"):
        detectors.load(tmp_path / "none.pt")
    with pytest.raises(SidecarError, match="unknown key 'size'; known are size_px"):
        detectors.load(checkpoint, size=3)


def test_the_architecture_may_be_said_among_the_settings(pairs_dir: Path, tmp_path: Path):
    torch.save(build("simplenet").state_dict(), tmp_path / "plain.pth")
    settings = {"arch": "simplenet", "size_px": 32}
    found = audit.audit_images(tmp_path / "plain.pth", pairs_dir, "race", settings=settings, **FAST)
    assert found.record.provenance.detector["arch"] == "simplenet"
    with pytest.raises(SidecarError, match="unknown key 'device'; known are size_px"):
        audit.audit_images(tmp_path / "plain.pth", pairs_dir, settings={"device": "cpu"}, **FAST)


@pytest.mark.parametrize("command", ["score", "check", "explain"])
def test_the_architecture_may_be_said_by_set(command: str, pairs_dir: Path, tmp_path: Path):
    torch.save(build("simplenet").state_dict(), tmp_path / "plain.pth")
    images = pairs_dir if command == "check" else pairs_dir / "real/train-000001.png"
    told = ["--detector", str(tmp_path / "plain.pth"), "--set", "arch=simplenet", "--set", "size_px=32"]
    more = ["--out", str(tmp_path / "out")] if command == "explain" else []
    # a network that has learned nothing fails the checks, which is what `check` says by its exit code
    with pytest.raises(SystemExit, match=r"^1$" if command == "check" else r"^0$"):
        main([command, str(images), *told, *more])


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


def test_training_and_loading_take_addresses(memory, pairs_dir: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    memory.put(str(pairs_dir), "/work/pairs", recursive=True)
    detectors.train(
        "simplenet", "memory://work/pairs", "memory://work/net.pt", epochs=1, size_px=32, progress=False
    )
    assert memory.exists("/work/net.pt") and not list(tmp_path.iterdir())
    assert detectors.load("memory://work/net.pt").detector.arch == "simplenet"


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


@pytest.fixture
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scoring a data set fails: whatever is refused was refused before."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("images were scored before the folder was looked at")

    monkeypatch.setattr("detectors.scoring.dataset_scores.score_pairs", fail)
    monkeypatch.setattr("detectors.scoring.stress_scores.stress_scores", fail)


@pytest.fixture(scope="module")
def earlier_run(checkpoint: Path, pairs_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder."""
    out = tmp_path_factory.mktemp("run")
    audit.audit_images(checkpoint, pairs_dir, "race", include_seen=True, out=out, command="first", **FAST)
    return out


@pytest.mark.usefixtures("unscored")
@pytest.mark.parametrize(
    ("change", "other"),
    [
        ({"command": "second"}, "command"),
        ({"threshold": 0.4}, "threshold"),
        ({"threshold": "eer"}, "threshold"),
        ({"seed": 1}, "seed"),
        ({"tolerance": 0.1}, "tolerance"),
        ({"detector": "other"}, "detector"),
        ({"pairs": "other"}, "data set"),
    ],
)
def test_a_folder_that_holds_another_run_is_refused_before_scoring(
    checkpoint: Path, pairs_dir: Path, earlier_run: Path, tmp_path: Path, change: dict, other: str
):
    asked = {"detector": checkpoint, "pairs": pairs_dir, "command": "first", **change}
    if change.get("detector"):
        asked["detector"] = tmp_path / "other.pt"
        shutil.copy(checkpoint, asked["detector"])
    if change.get("pairs"):
        asked["pairs"] = tmp_path / "pairs"
        shutil.copytree(pairs_dir, asked["pairs"])
    before = (earlier_run / "audit.json").read_bytes()
    with pytest.raises(
        RunFolderError, match=rf"holds another run \(made with another {other}\); give another"
    ):
        audit.audit_images(**asked, attributes="race", include_seen=True, out=earlier_run, **FAST)
    assert (earlier_run / "audit.json").read_bytes() == before


@pytest.mark.usefixtures("unscored")
def test_a_damaged_record_is_not_written_over_either(checkpoint: Path, pairs_dir: Path, tmp_path: Path):
    (tmp_path / "audit.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"holds a run, which cannot be read .* give another folder"):
        audit.audit_images(checkpoint, pairs_dir, "race", out=tmp_path, **FAST)


@pytest.mark.usefixtures("unscored")
def test_another_stress_test_is_refused_before_scoring(checkpoint: Path, pairs_dir: Path, tmp_path: Path):
    (tmp_path / "stress.json").write_text('{"seed": 0}')
    with pytest.raises(ConfigError, match="already holds another stress test"):
        stress([detectors.load(checkpoint).detector], read_images(pairs_dir), tmp_path, progress=False)


def people_table(folder: Path, column: str, n_each: int = 4) -> Path:
    """A table of images in which each of 60 persons has several, all of one group."""
    rows = []
    for i in range(60 * n_each):
        Image.new("RGB", (8, 8), (i % 256, 0, 0)).save(folder / f"{i}.png")
        person = i // n_each
        rows.append(f"{i}.png,{i % 2},{'AB'[person % 2]},p{person}")
    (folder / "images.csv").write_text("\n".join([f"path,label,race,{column}", *rows]))
    return folder / "images.csv"


@pytest.mark.usefixtures("untouchable")
def test_a_column_of_persons_is_noticed_before_scoring(tmp_path: Path):
    table = people_table(tmp_path, "person")
    with pytest.raises(UnitError, match=r"240 images share 60 values of 'person'.*--unit-column person"):
        audit.audit_images("any.pt", images=table, attributes="race", **FAST)
    for answer in ({"independent": True}, {"unit_column": "person"}):
        with pytest.raises(AssertionError, match="the detector was loaded before"):
            audit.audit_images("any.pt", images=table, attributes="race", **FAST, **answer)


@pytest.mark.usefixtures("untouchable")
def test_a_column_that_only_scores_can_betray_waits_for_them(tmp_path: Path):
    with pytest.raises(AssertionError, match="the detector was loaded before"):
        audit.audit_images("any.pt", images=people_table(tmp_path, "code"), attributes="race", **FAST)


def test_no_gpu_is_one_line(checkpoint: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(detectors.ExpectedError, match="device is cuda, but PyTorch sees no GPU here"):
        detectors.load(checkpoint, device="cuda")
    with pytest.raises(detectors.ExpectedError, match="device is 'gpu'; it must be auto, cpu or cuda"):
        detectors.load(checkpoint, device="gpu")
