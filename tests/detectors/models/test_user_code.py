"""Python of one's own, found where one works."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import detectors
from detectors.errors import ForeignDetectorError

CODE = """
from beside_{n} import SCALE

def load():
    return lambda batch: SCALE * batch.mean((1, 2, 3))
"""
SETTINGS = {"size_px": 8, "output": "probability", "mean": [0, 0, 0], "std": [1, 1, 1]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The current folder, with a detector and what it imports beside it; the detector's name."""
    n = abs(hash(request.node.name)) % 10**9
    (tmp_path / f"beside_{n}.py").write_text("SCALE = 0.5\n")
    (tmp_path / f"mydet_{n}.py").write_text(CODE.format(n=n))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return f"mydet_{n}"


@pytest.mark.parametrize("form", ["{}:load", "{}.py:load", "sub/../{}.py:load"])
def test_a_factory_in_the_current_folder(folder: str, form: str):
    Path("sub").mkdir()
    loaded = detectors.load(form.format(folder), **SETTINGS)
    white = torch.ones(1, 3, 8, 8)
    assert loaded.detector.score(white).tolist() == [0.5]
    assert loaded.detector.name == form.format(folder)


def test_a_file_elsewhere_finds_what_lies_beside_it(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert detectors.load(f"../{folder}.py:load", **SETTINGS).detector.arch == "python"


DATACLASS = """
from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Mine:
    scale: float = 0.5

    def __call__(self, batch):
        return self.scale * batch.mean((1, 2, 3))

load = Mine
"""


def test_a_dataclass_with_annotations_as_text_and_two_files_of_one_name(folder: str, tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "det.py").write_text(DATACLASS)
    (tmp_path / "a/det.py").write_text(DATACLASS.replace("0.5", "0.25"))
    white, known = torch.ones(1, 3, 8, 8), set(sys.modules)
    for name, score in (("det.py:load", 0.5), ("a/det.py:load", 0.25), ("det.py:load", 0.5)):
        assert detectors.load(name, **SETTINGS).detector.score(white).tolist() == [score]
    assert "det" not in sys.modules, "a file of one's own stands in for no module"
    assert len([name for name in set(sys.modules) - known if "det" in name]) == 2


def test_a_file_that_fails_leaves_no_module(folder: str, tmp_path: Path):
    (tmp_path / "half.py").write_text("raise ValueError('not today')")
    known = set(sys.modules)
    with pytest.raises(ForeignDetectorError, match=r"half\.py:load raised ValueError: not today"):
        detectors.load("half.py:load", **SETTINGS)
    assert set(sys.modules) == known


def test_one_number_for_a_whole_batch_is_one_line(folder: str, tmp_path: Path):
    (tmp_path / "whole.py").write_text("def load():\n    return lambda batch: batch.mean()\n")
    with pytest.raises(
        ForeignDetectorError, match=r"whole\.py:load gave one number for 2 images; expected a row each"
    ):
        detectors.load("whole.py:load", **SETTINGS)


def test_no_file_of_ones_own_hides_an_installed_module(folder: str):
    Path("statistics.py").write_text("raise RuntimeError('mine')\n")
    sys.modules.pop("statistics", None)
    with pytest.raises(ForeignDetectorError, match="statistics has no function 'load'; it has "):
        detectors.load("statistics:load")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.py:load", r"^no file nothing\.py; name one as in mydetector\.py:load$"),
        (
            "nothing:load",
            r"^no module 'nothing' is installed or in .*; for a file write nothing\.py:FACTORY$",
        ),
        ("{}:make", r"^mydet_\d+ has no function 'make'; it has load$"),
        ("broken:load", r"^broken:load raised ModuleNotFoundError: No module named 'not_here'$"),
        ("fails.py:load", r"^fails\.py:load raised ZeroDivisionError: division by zero$"),
    ],
)
def test_what_cannot_be_found_is_said(folder: str, name: str, message: str):
    Path("broken.py").write_text("import not_here\n")
    Path("fails.py").write_text("def load():\n    return 1 / 0\n")
    with pytest.raises(ForeignDetectorError, match=message):
        detectors.load(name.format(folder))
