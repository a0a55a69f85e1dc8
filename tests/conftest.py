"""What tests of every package share."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def fairface_dir() -> Path:
    """Real labelled faces in FairFace's layout, beside the checkout; skips where they are absent."""
    folder = SHARED / "fairface"
    if not (folder / "fairface_label_val.csv").exists():
        pytest.skip(f"no real labelled faces at {folder}")
    return folder


@pytest.fixture(scope="session")
def parity_dir() -> Path:
    """Numeric reference of the pSp network; skips where it is absent."""
    folder = SHARED / "psp"
    if not (folder / "parity.json").exists():
        pytest.skip(f"no parity reference at {folder}")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first: two processes share files, and a long one begun last would run alone."""
    quick = {item.path for item in items if not item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path in quick)


@pytest.fixture
def memory() -> Iterator[Any]:
    """An empty object store inside this process, behind memory:// addresses."""
    from fsspec.implementations.memory import MemoryFileSystem

    from pipelines import places

    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield MemoryFileSystem()
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    places._COPIES.clear()


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An S3 server on the loopback with the bucket `work`; what is in the environment leads to it."""
    moto = pytest.importorskip("moto.server", reason="needs moto, of the extra [test]")
    import s3fs

    from pipelines import place_urls, places

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
        }.items():
            environment.setenv(name, value)
        # processes that are killed leave their copies behind
        environment.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("copies")))
        place_urls._SYSTEMS.clear()
        store = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
        if store.exists("work"):  # moto keeps its buckets as long as its process lives
            store.rm("work", recursive=True)
        store.mkdir("work")
        yield store
        place_urls._SYSTEMS.clear()
        places._COPIES.clear()
    server.stop()


def hum(speaker: int, take: int, seconds: float = 2.0, rate: int = 16_000):
    """float32 samples: harmonics of one pitch a speaker, with a little noise of this take."""
    t = np.arange(int(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * k * (100 + 15 * speaker) * t) / k for k in range(1, 6))
    noise = np.random.default_rng([speaker, take]).normal(size=len(t))
    return (0.15 * wave + 0.01 * noise).astype(np.float32)


@pytest.fixture(scope="session", name="hum")
def hum_():
    """The function that makes a clip."""
    return hum


@pytest.fixture(scope="session")
def hummed(tmp_path_factory):
    """speaker/clip.wav of twelve speakers in four cells, with speakers.csv; read-only."""
    sf = pytest.importorskip("soundfile", reason="needs the extra [voice]")
    root = tmp_path_factory.mktemp("hummed")
    lines = ["speaker,gender,accent"]
    for speaker in range(12):
        folder = root / f"p{speaker:02d}"
        folder.mkdir()
        gender, accent = ("male", "female")[speaker % 2], ("north", "south")[speaker // 2 % 2]
        lines.append(f"p{speaker:02d},{gender},{accent}")
        for take in range(4):
            sf.write(folder / f"{take}.wav", hum(speaker, take), 16_000)
    (root / "speakers.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A local Ray cluster of two CPUs, one for a file of tests; torch computes with one thread beside it.

    Ray gives some processes 15 s to start, all at once, and 30 s until the machine is known, with no option
    for either: on a busy machine it is asked again, and the first of them get time to settle.
    """
    ray, torch = pytest.importorskip("ray", reason="needs the extra [ray]"), pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for pause_s in (0, 20, 40):
        try:
            start_calmly(ray, pause_s)
            break
        except Exception as fault:
            ray.shutdown()
            if "timed out during startup" not in str(fault) or pause_s == 40:
                raise
    yield
    ray.shutdown()
    torch.set_num_threads(threads)


def start_calmly(ray: Any, pause_s: float) -> None:
    """Start a cluster, with a pause before the second half of its processes, and two minutes for them."""
    from ray._private import services
    from ray._private.node import Node

    start, get_node, begun = Node.start_ray_processes, services.get_node, []

    def begin(node: Node) -> None:
        time.sleep(pause_s)
        start(node)
        begun.append(node)

    def awaited(*given: Any, **named: Any) -> Any:
        for _ in range(120):
            try:
                return get_node(*given, **named)
            except RuntimeError:  # not known yet, or never
                if any(node.dead_processes() for node in begun):
                    break
                time.sleep(1)
        return get_node(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Node, "start_ray_processes", begin)
        patch.setattr(services, "get_node", awaited)
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
