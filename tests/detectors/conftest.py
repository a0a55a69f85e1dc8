"""Small data sets with a difference a network can learn, and one detector trained on them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detectors.isolation.child import IsolatedModel, Limits
from detectors.isolation.opening import EXPORTED, ONNX, TORCHSCRIPT
from detectors.isolation.support import why_unavailable
from detectors.models import foreign_files
from detectors.training.settings import Settings
from detectors.training.train_detector import train
from pipelines.dataset.manifest import MANIFEST, table_of, write_provenance, write_table

SIZE_PX = 32
RACES = ("Black", "East Asian", "White")
QUICK = {"epochs": 6, "batch_size": 8, "size_px": SIZE_PX, "precision": "32-true", "learning_rate": 3e-3}


def draw(seed: int, fake: bool, size_px: int = SIZE_PX) -> np.ndarray:
    """A smooth blob, with a checkerboard over it if fake; uint8 [size, size, 3]."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:size_px, 0:size_px] / size_px
    cx, cy, r = random.uniform(0.3, 0.7, 3)
    blob = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / r**2)
    image = 255 * blob[..., None] * random.uniform(0.5, 0.9, 3) + random.normal(0, 2, (size_px, size_px, 3))
    if fake:
        image += 20 * ((np.indices((size_px, size_px)).sum(0) % 2) * 2 - 1)[..., None]
    return image.clip(0, 255).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write a PNG, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def make_pairs(root: Path, n_pairs: int, seed: int = 0) -> Path:
    """A pairs dataset of blobs, with one reject."""
    rows = []
    for i in range(n_pairs):
        pair_id = f"train-{i:06d}"
        halves = {half: f"{half}/{pair_id}.png" for half in ("real", "fake")}
        for half, name in halves.items():
            save(root / name, draw(seed * 10_000 + i, half == "fake"))
        rows.append(
            {
                "pair_id": pair_id,
                "source": f"train/{i}.jpg",
                "source_sha256": hashlib.sha256(f"{seed}-{i}".encode()).hexdigest(),
                **halves,
                "status": "ok",
                "detail": "",
                "age": ("20-29", "30-39")[i % 2],
                "gender": ("Female", "Male")[i // 2 % 2],
                "race": RACES[i % 3],
                "seed": seed,
            }
        )
    reject = {
        "pair_id": f"train-{n_pairs:06d}",
        "source": f"train/{n_pairs}.jpg",
        "status": "no face found",
        "detail": "no face",
        "age": "20-29",
        "gender": "Male",
        "race": "White",
    }
    write_table(root / MANIFEST, table_of([*rows, reject]))
    write_provenance(root, {"generator": {"name": "checkerboard"}})
    return root


@pytest.fixture
def pairs_factory(tmp_path: Path) -> Callable[..., Path]:
    """Makes a pairs dataset of blobs: `pairs_factory(n_pairs, seed)`."""
    return lambda n_pairs, seed=0: make_pairs(tmp_path / f"pairs-{n_pairs}-{seed}", n_pairs, seed)


@pytest.fixture(scope="session")
def pairs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 pairs of blobs and one reject."""
    return make_pairs(tmp_path_factory.mktemp("data") / "pairs", 40)


@pytest.fixture(scope="session")
def quick() -> Settings:
    """Settings that train in about a second."""
    return Settings(**QUICK)


@pytest.fixture(scope="session")
def checkpoint(pairs_dir: Path, quick: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector trained on `pairs_dir`."""
    return train(
        "simplenet", pairs_dir, tmp_path_factory.mktemp("detector") / "simple.pt", quick, progress=False
    )


@pytest.fixture(scope="session")
def draw_image() -> Callable[..., np.ndarray]:
    """`draw`."""
    return draw


@pytest.fixture(scope="session")
def save_image() -> Callable[[Path, np.ndarray], Path]:
    """`save`."""
    return save


class SharedProcess:
    """One isolated process for the files of many tests, which all lie below one folder.

    A start of torch costs seconds; what a process of its own for every file is worth is tested where it
    matters (`tests/detectors/isolation`, `test_foreign_files.py`). A process that was ended is started again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._model: IsolatedModel | None = None

    def __call__(self, *_: object) -> IsolatedModel:
        """The process, whatever files, kinds, device and limits are asked for."""
        if self._model is None or not self._model.is_alive:
            limits = Limits(memory_bytes=1 << 30, batch_s=60)
            self._model = IsolatedModel([self.folder], [ONNX, TORCHSCRIPT, EXPORTED], limits=limits)
        return self._model

    def close(self) -> None:
        """End it."""
        if self._model is not None:
            self._model.close()


@pytest.fixture(scope="session")
def shared_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedProcess]:
    """An isolated process that may read every test's folder."""
    if why_unavailable():
        pytest.skip(f"no isolation here: {why_unavailable()}")
    shared = SharedProcess(tmp_path_factory.getbasetemp())
    yield shared
    shared.close()


@pytest.fixture
def in_shared_process(shared_process: SharedProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Foreign files are opened in the shared process."""
    monkeypatch.setattr(foreign_files, "IsolatedModel", shared_process)
