"""Our own actors beside Ray Data, on a local cluster of two CPUs: `python benchmarks/ray_scoring.py`.

Scores the same parts of the same files both ways, a worker being killed in mid-run, and prints the time, how
many parts were worked on, and what becomes of a part that takes its worker down whenever it is tried.
"""

from __future__ import annotations

import argparse
import os
import pickle
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from scoring import make_images

from detectors.data.preprocessing import Preprocessing
from detectors.models import architectures as zoo
from detectors.models.detector import Detector
from detectors.models.loading import load_detector
from detectors.scoring.engine import ImageWork
from detectors.scoring.options import RayCluster
from detectors.scoring.parts import cut
from detectors.scoring.ray_workers import on_cluster
from detectors.scoring.work import Tools
from pipelines.errors import EngineError

PART = 128
POISON_S = 90
"""After so long a part that kills its workers counts as tried for ever."""


class Logged:
    """A work that writes down each part it begins, and may die of one."""

    def __init__(self, paths: list[str], log: Path, poison: int | None) -> None:
        self.work, self.log, self.poison = ImageWork(paths, 32), str(log), poison

    def part(self, detectors: Any, tools: Tools, rows: range, advance: Any) -> Any:
        """As `detectors.scoring.work.Work` says."""
        with open(self.log, "a", encoding="utf-8") as log:
            log.write(f"{os.getpid()} {rows.start}\n")
        if rows.start == self.poison:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.work.part(detectors, tools, rows, advance)


class OfRayData:
    """What Ray Data's actors hold."""

    def __init__(self, detector: str, size_px: int, work: bytes) -> None:
        torch.set_num_threads(1)
        self.detectors, self.tools = [load_plain(detector, size_px)], Tools(1)
        self.work = pickle.loads(work)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Scores of one part, a row."""
        start, stop = int(batch["start"][0]), int(batch["stop"][0])
        found = self.work.part(self.detectors, self.tools, range(start, stop), lambda n: None)
        return {"start": np.array([start]), "scores": np.array([pickle.dumps(found)], dtype=object)}


def load_plain(file: str, size_px: int) -> Detector:
    return load_detector(file, arch="simplenet", device="cpu", options={"size_px": size_px})


def plain(detector: Detector, work: Logged, parts: list[range]) -> Iterator[int]:
    with on_cluster(
        RayCluster(workers=2, cpus_per_worker=1, device="cpu"), [detector], work, parts
    ) as engine:
        for part, _ in engine.run(parts, lambda n: None):
            yield part.start


def ray_data(detector: Detector, work: Logged, parts: list[range]) -> Iterator[int]:
    assert detector.source is not None
    rows = [{"start": part.start, "stop": part.stop} for part in parts]
    made = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        OfRayData, concurrency=2, num_cpus=1, batch_size=1,
        fn_constructor_args=(detector.source.name, detector.preprocessing.size_px, pickle.dumps(work)),
    )  # fmt: skip
    for row in made.iter_rows():
        yield int(row["start"])


def run(name: str, starts: Iterable[int], log: Path, kill: bool) -> None:
    log.unlink(missing_ok=True)
    began, done, first = time.perf_counter(), 0, 0.0
    told = ""
    try:
        for _ in starts:
            done += 1
            first = first or time.perf_counter() - began
            if kill and done == 2:
                os.kill(int(log.read_text(encoding="utf-8").split()[-2]), signal.SIGKILL)
            if time.perf_counter() - began > POISON_S:
                break
    except (EngineError, TimeoutError) as error:
        told = f"; stopped: {error}"
    begun = len(log.read_text(encoding="utf-8").splitlines())
    seconds = time.perf_counter() - began
    print(
        f"{name}: {done} parts done, {begun} begun, first after {first:.1f} s, all {seconds:.1f} s{told}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1536, help="files")
    options = parser.parse_args()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def out_of_patience(*_: object) -> None:
        raise TimeoutError(f"nothing after {POISON_S} s")

    signal.signal(signal.SIGALRM, out_of_patience)
    with tempfile.TemporaryDirectory() as folder:
        images = make_images(Path(folder), options.n, 128)
        file, log = Path(folder) / "simplenet.pth", Path(folder) / "log"
        torch.save(zoo.build("simplenet").state_dict(), file)
        detector = load_plain(str(file), Preprocessing(128).size_px)
        paths, parts = images.table["path"].tolist(), cut(options.n, PART)
        for name, way in (("our actors", plain), ("Ray Data", ray_data)):
            run(f"{name}, one worker killed", way(detector, Logged(paths, log, None), parts), log, kill=True)
        for name, way in (("our actors", plain), ("Ray Data", ray_data)):
            signal.alarm(POISON_S)
            run(f"{name}, a part that kills", way(detector, Logged(paths, log, PART), parts), log, kill=False)
            signal.alarm(0)


if __name__ == "__main__":
    import ray_scoring  # workers find its classes by this name; those of a script belong to nobody

    ray_scoring.main()
