"""One server process for all tests of the page: a tiny untrained detector, its audit, a drawn face."""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from audit.api.audits import audit_scores
from detectors.data.preprocessing import Preprocessing
from detectors.models.architectures import build
from detectors.models.checkpoint import save_checkpoint
from pipelines.rendered.scene import render_face
from pipelines.storage import file_sha256

SIZE_PX = 32
BODY_S = 4.0
"""Seconds that the server waits for a body; short, so that the slow one is refused soon."""
BOUNDARY = "7d1f2c"


@pytest.fixture(scope="session")
def detector_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("served") / "tiny.pt"
    half = (0.5, 0.5, 0.5)
    save_checkpoint(path, "simplenet", build("simplenet", 2), Preprocessing(SIZE_PX, mean=half, std=half), {})
    return path


@pytest.fixture(scope="session")
def score_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table in which real faces of race "B" are flagged far more often."""
    rng = np.random.default_rng(0)
    n = 600
    race = np.repeat(["A", "B"], n // 2)
    label = np.tile([0, 1], n // 2)
    score = np.where(label == 1, 0.8, 0.25) + 0.2 * ((race == "B") & (label == 0)) + rng.normal(0, 0.1, n)
    frame = pd.DataFrame({"is_fake": label, "score": score.clip(0, 1).round(4), "race": race})
    path = tmp_path_factory.mktemp("table") / "scores.csv"
    path.write_text(frame.to_csv(index=False), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def run_folder(detector_file: Path, score_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of the detector; the first one's folder is returned."""
    root = tmp_path_factory.mktemp("runs")
    about = {"name": "tiny", "sha256": file_sha256(detector_file)}
    for name, threshold in (("first", 0.5), ("second", 0.6)):
        frame = pd.read_csv(score_csv).rename(columns={"is_fake": "label"})
        frame["image_id"] = [f"i{i}" for i in range(len(frame))]
        found = audit_scores(frame, "race", out=root / name, detector=about, n_boot=200, threshold=threshold)
        found.report()
    return root / "first"


@pytest.fixture(scope="session")
def face_photo() -> np.ndarray:
    """A drawn face in which MTCNN sees one."""
    return render_face("20-29", "Female", "White", np.random.default_rng(3))


@pytest.fixture(scope="session")
def face_jpeg(face_photo: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(face_photo).save(file, "JPEG", quality=92)
    return file.getvalue()


@dataclass
class Reply:
    """What the server answered."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Served:
    """A running server."""

    process: subprocess.Popen[str]
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """One request; header names are given with underscores."""
        connection = self.connect()
        try:
            named = {key.replace("_", "-"): value for key, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def post_image(self, path: str, data: bytes, **headers: str) -> Reply:
        return self.ask("POST", path, data, **{"Content_Type": "image/jpeg", **headers})

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(120)


def multipart(*parts: tuple[str, str | None, bytes]) -> tuple[bytes, str]:
    """A form of (field, file name or None, bytes); its body and its content type."""
    lines = b""
    for name, file_name, data in parts:
        named = "" if file_name is None else f'; filename="{file_name}"'
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
        lines += head.encode() + data + b"\r\n"
    return lines + f"--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}"


@pytest.fixture(scope="session")
def start_server(detector_file: Path, run_folder: Path) -> Iterator[Any]:
    """Starts servers: `start_server(*options)`; all are ended with the session."""
    started: list[Served] = []

    def start(*options: str) -> Served:
        command = [sys.executable, "-m", "audit.cli", "serve", "--detector", str(detector_file)]
        command += ["--port", "0", "--quiet", "--patience", str(BODY_S), *options]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert line.startswith("http://127.0.0.1:"), f"the server said {line!r}"
        started.append(Served(process, int(line.rpartition(":")[2])))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


@pytest.fixture(scope="session")
def served(start_server: Any, run_folder: Path) -> Served:
    """The server that all tests share."""
    return start_server("--run", str(run_folder))


@pytest.fixture(scope="session")
def form() -> Any:
    """`multipart`."""
    return multipart
