"""A short run of the mutation loop; `make fuzz` is the long one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from detectors.isolation.support import why_unavailable

HERE = Path(__file__).resolve().parent
_spec = importlib.util.spec_from_file_location("fuzz", HERE / "fuzz.py")
assert _spec and _spec.loader
fuzz = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fuzz)

N_FILES = {"result": 8, "result bytes": 8, "checkpoint": 15, "torchscript": 25, "exported": 10}
FOREIGN = ("onnx", "torchscript", "exported")


@pytest.fixture(autouse=True)
def isolation(request):
    """Skips what needs isolation where there is none: such files are refused there."""
    target = request.node.callspec.params.get("target") if hasattr(request.node, "callspec") else None
    if target in FOREIGN and why_unavailable():
        pytest.skip(f"no isolation here: {why_unavailable()}")


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_damaged_files_are_read_or_refused_in_one_line(target, tmp_path):
    for seed in range(N_FILES.get(target, 60)):
        fuzz.try_one(target, seed, tmp_path)


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_the_corpus_itself_is_read(target, tmp_path):
    name, read, _ = fuzz.TARGETS[target]
    (tmp_path / name).write_bytes(fuzz.original(name))
    read(tmp_path / name)


def test_the_loop_notices_what_escapes(tmp_path, monkeypatch):
    def bug(path: Path) -> None:
        raise KeyError("bug")

    monkeypatch.setitem(fuzz.TARGETS, "csv", ("scores.csv", bug, fuzz.damaged_bytes))
    with pytest.raises(fuzz.Escaped, match="csv, seed 3: KeyError"):
        fuzz.try_one("csv", 3, tmp_path)
