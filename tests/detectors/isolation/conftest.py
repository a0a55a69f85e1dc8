"""Attack files, built here, and processes to open them in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from detectors.isolation.child import IsolatedModel, Limits
from detectors.isolation.opening import EXPORTED, TORCHSCRIPT
from detectors.isolation.support import why_unavailable

ROOT = Path(__file__).resolve().parents[3]
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


@pytest.fixture(scope="session")
def exported_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An honest torch.export network."""
    path = tmp_path_factory.mktemp("honest") / "means.pt2"
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    torch.export.save(torch.export.export(Means(), (torch.rand(2, 3, 8, 8),), dynamic_shapes=shapes), path)
    return path


@pytest.fixture(scope="module")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., IsolatedModel]]:
    """One process for many attack files of a module: `isolated(folder)`; a dead one is started again."""
    found: dict[str, IsolatedModel] = {}
    shelf = tmp_path_factory.mktemp("shelf")

    def process(limits: Limits | None = None) -> IsolatedModel:
        if "now" not in found or not found["now"].is_alive:
            found["now"] = IsolatedModel(
                [shelf], [TORCHSCRIPT, EXPORTED], limits=limits or Limits(batch_s=60)
            )
        return found["now"]

    process.shelf = shelf  # type: ignore[attr-defined]
    yield process
    for model in found.values():
        model.close()


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
