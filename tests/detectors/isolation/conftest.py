"""Attack files, built here, and processes to open them in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn

from detectors.isolation.child import IsolatedModel
from detectors.isolation.support import why_unavailable

ROOT = Path(__file__).resolve().parents[3]
CORPUS = ROOT / "tests" / "corpus"
NOBODY = 65534


@pytest.fixture(scope="session", autouse=True)
def isolation() -> None:
    """Skips where the system cannot isolate."""
    if why_unavailable():
        pytest.skip(f"no isolation here: {why_unavailable()}")


class Means(nn.Module):
    """The mean of each image."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.mean((1, 2, 3))


@pytest.fixture(scope="session")
def means_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An honest TorchScript network: the mean of each image."""
    path = tmp_path_factory.mktemp("honest") / "means.pt"
    torch.jit.script(Means()).save(str(path))
    return path


@pytest.fixture(scope="session")
def script_with() -> Callable[..., Path]:
    """Copies a TorchScript file, its forward running a text first: `script_with(honest, target, body)`.

    A last argument changes the name of the entry that holds the code.
    """

    def write(honest: Path, target: Path, body: str, rename: Callable[[str], str] = str) -> Path:
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        with zipfile.ZipFile(honest) as old, zipfile.ZipFile(target, "w") as new:
            for name in old.namelist():
                data = old.read(name)
                if name.endswith(".py"):
                    head, answer = data.decode().split("    return ")
                    data, name = f"{head}{lines}    return {answer}".encode(), rename(name)
                new.writestr(name, data)
        return target

    return write


@pytest.fixture
def exported_file() -> Path:
    """An honest torch.export network: a weighted sum of the means of the channels."""
    return CORPUS / "exported.pt2"


@pytest.fixture
def isolated(shared_process: Any, tmp_path: Path) -> Callable[[], IsolatedModel]:
    """The process that many attack files share: `isolated()`; `isolated.shelf` is a folder that it reads."""

    def process() -> IsolatedModel:
        return cast(IsolatedModel, shared_process())

    process.shelf = tmp_path  # type: ignore[attr-defined]
    return process


@pytest.fixture
def everybodys_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest keeps its own to itself."""
    with tempfile.TemporaryDirectory(prefix="isolation-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(params=["root", "nobody"] if os.geteuid() == 0 else ["user"])
def run_python(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs a script as each user there is, and gives the JSON it prints: `run_python(script, *args)`."""
    return lambda script, *arguments: run_as(request.param, str(script), *arguments)


def run_as(user: str, script: str, *arguments: str) -> Any:
    """Run a Python script and read the JSON it prints.

    As nobody, what it needs must be readable to everybody; skips with the reason where it is not.
    """
    command = [sys.executable, "-W", "ignore", script, *arguments]
    if user == "nobody":
        if not shutil.which("setpriv"):
            pytest.skip("no setpriv to become another user with")
        become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        tried = subprocess.run(
            [*become, sys.executable, "-c", ""], capture_output=True, text=True, check=False
        )
        if tried.returncode:
            pytest.skip(f"another user cannot run {sys.executable}: {tried.stderr.strip()}")
        command = become + command
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd="/", timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])
