"""TorchScript files that write, read or never end: each is one clear line, and nothing happened."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from detectors.errors import CheckpointFormatError, DetectorTooSlow, ForeignDetectorError
from detectors.isolation import zip_archives
from detectors.isolation.child import Limits
from detectors.isolation.opening import TORCHSCRIPT

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
BATCH = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(5))
SPELLINGS = {
    "plain": 'torch.save(batch, "{pwned}")',
    "alias of torch": 't = torch\nt.save(batch, "{pwned}")',
    "operator": 'ops.aten.save(batch, "{pwned}")',
    "alias of the operators": 'o = ops.aten\no.save(batch, "{pwned}")',
    "spaces": 'torch . save(batch, "{pwned}")',
    "brackets": '(torch).save(batch, "{pwned}")',
    "backslash": 'torch.\\\nsave(batch, "{pwned}")',
    "line break": '(torch\n  .save)(batch, "{pwned}")',
    "getattr": 'getattr(torch, "save")(batch, "{pwned}")',
}
READING = (
    'read = torch.from_file("/etc/passwd", False, 64, dtype=0)\n'
    "return torch.add(torch.zeros([2]), torch.mean(torch.to(read, 6)))"
)
RENAMED = {
    "ending in capitals": lambda name: name.removesuffix("py") + "PY",
    "folder in capitals": lambda name: name.replace("/code/", "/CODE/"),
}


@pytest.fixture
def write(means_file: Path, isolated: Any, script_with: Any) -> Callable[..., Path]:
    return lambda name, body, *rename: script_with(means_file, isolated.shelf / name, body, *rename)


def attacks(write: Callable[..., Path], pwned: Path) -> list[Path]:
    files = [write(f"{n}.pt", body.format(pwned=pwned)) for n, body in SPELLINGS.items()]
    plain = SPELLINGS["plain"].format(pwned=pwned)
    return [*files, *(write(f"{name}.pt", plain, rename) for name, rename in RENAMED.items())]


def test_eleven_spellings_of_writing_a_file_are_named_and_write_none(isolated, write, tmp_path):
    files = attacks(write, tmp_path / "pwned")
    assert len(files) == 11
    for path in files:
        with pytest.raises(CheckpointFormatError, match=rf"{path}: holds the operator 'aten::save'; refused"):
            isolated().open(TORCHSCRIPT, path)
    with pytest.raises(CheckpointFormatError, match="holds the operator 'aten::from_file'"):
        isolated().open(TORCHSCRIPT, write("reading.pt", READING))
    assert not (tmp_path / "pwned").exists()


@pytest.mark.slow
def test_they_write_and_read_nothing_either_where_nobody_looks_at_their_operators(
    means_file, script_with, run_python, everybodys_folder
):
    folder, open_to_all = everybodys_folder / "files", everybodys_folder / "open"
    folder.mkdir(mode=0o755)
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    pwned = open_to_all / "pwned"
    attacks(lambda name, body, *rename: script_with(means_file, folder / name, body, *rename), pwned)
    script_with(means_file, folder / "reading.pt", READING)
    script_with(means_file, folder / "honest.pt", "pass")
    found = run_python(Path(__file__).with_name("unchecked_script.py"), str(folder))
    assert found["honest.pt"] == "ran" and len(found) == 13 and not pwned.exists()
    assert "unable to open file </etc/passwd>" in found["reading.pt"]


def test_what_runs_while_loading_writes_nothing(isolated, tmp_path):
    class Restored(torch.nn.Module):
        def __init__(self, target: str) -> None:
            super().__init__()
            self.target = target

        @torch.jit.export
        def __getstate__(self) -> tuple[str, bool]:
            return self.target, self.training

        @torch.jit.export
        def __setstate__(self, state: tuple[str, bool]) -> None:
            self.target, self.training = state
            torch.save(torch.ones(2), self.target)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return batch.mean((1, 2, 3))

    path = isolated.shelf / "restored.pt"
    torch.jit.script(Restored(str(tmp_path / "pwned"))).save(str(path))
    with pytest.raises(CheckpointFormatError, match=r"restored\.pt: holds the operator 'aten::save'"):
        isolated().open(TORCHSCRIPT, path)
    assert not (tmp_path / "pwned").exists()
    torch.jit.load(str(path))  # without isolation it is written: the attack is real
    assert (tmp_path / "pwned").exists()


def test_honest_files_answer_as_they_do_in_this_process(isolated, write):
    path = write("honest.pt", "batch = torch.mul(batch, 2)")
    model = isolated()
    assert model.open(TORCHSCRIPT, path) is None
    wanted = torch.jit.load(str(path))(BATCH).double()
    assert torch.equal(model.run(BATCH), wanted)
    last = BATCH.contiguous(memory_format=torch.channels_last)
    assert torch.equal(model.run(last), torch.jit.load(str(path))(last).double())
    assert model.run(BATCH[:0]).shape == (0,)


def test_operators_of_torchvision_are_found(isolated, tmp_path):
    import torchvision

    class Boxes(torch.nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            pooled = torchvision.ops.roi_align(batch, [batch[0, 0, :1, :4], batch[1, 0, :1, :4]], [1, 1])
            return pooled.mean((1, 2, 3))

    path = isolated.shelf / "boxes.pt"
    torch.jit.script(Boxes()).save(str(path))
    model = isolated()
    model.open(TORCHSCRIPT, path)
    torch.testing.assert_close(model.run(BATCH), Boxes()(BATCH).double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "return torch.zeros([2, 20000000])",
            r"failed on a batch of shape \(2, 3, 8, 8\): its output of shape",
        ),
        ("return torch.to_sparse(torch.zeros([2, 2]))", None),
        ("return torch.quantize_per_tensor(torch.zeros([2, 2]), 0.1, 0, 13)", None),
        ("return torch.zeros([2, 2], device=torch.device('meta'))", "failed on a batch of shape .*meta"),
        (
            "return torch.complex(torch.zeros([2]), torch.zeros([2]))",
            "failed on a batch of shape .*real numbers",
        ),
    ],
)
def test_unusual_outputs(isolated, write, body, message):
    model = isolated()
    model.open(TORCHSCRIPT, write("unusual.pt", body))
    if message is None:
        assert model.run(BATCH).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    else:
        with pytest.raises(ForeignDetectorError, match=message):
            model.run(BATCH)


def test_a_file_that_is_not_named_cannot_be_opened(isolated):
    with pytest.raises(CheckpointFormatError, match="not a checkpoint, or a truncated one"):
        isolated().open(TORCHSCRIPT, Path(__file__).resolve().parents[2] / "corpus" / "script.pt")


def test_memory_has_a_limit_and_an_endless_model_ends(isolated, write, monkeypatch):
    model = isolated()
    model.open(TORCHSCRIPT, write("bomb.pt", "return torch.mean(torch.ones([2, 3000000000]), [1])"))
    with pytest.raises(ForeignDetectorError, match=r"failed on a batch of shape .*can't allocate memory"):
        model.run(BATCH)
    assert model.is_alive
    model.open(TORCHSCRIPT, write("endless.pt", "while True:\n  batch = torch.relu(batch)"))
    monkeypatch.setattr(model, "_limits", Limits(batch_s=0.3))
    with pytest.raises(
        DetectorTooSlow, match=r"endless\.pt gave no answer within 0\.3 s: its process was ended"
    ):
        model.run(BATCH)
    assert not model.is_alive


def test_a_bomb_is_refused_before_it_is_unpacked(isolated):
    path = isolated.shelf / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/code/a.py", b" " * (80 << 20))
    with pytest.raises(zip_archives.TooLarge, match=r"compressed like a zip bomb.*refused unopened"):
        zip_archives.check_size(path, zip_archives.MAX_CODE_BYTES)


@pytest.mark.parametrize("name", ["a/code/__torch__.py", "a/CODE/__torch__.PY", "a/constants.pkl"])
def test_torchscript_is_recognised_however_it_is_spelt(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr(name, b"x")
    assert zip_archives.is_torchscript(tmp_path / "a.pt")
