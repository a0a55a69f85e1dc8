"""Scoring speed beside the bare forward pass: `python benchmarks/scoring.py [--arch resnet50] [--n 400]`.

Prints images a second of the network alone (a batch in memory, over and over) and of scoring files (decode,
resize, normalise, forward, table, finished parts kept), measured in turns in the same run, and their ratio,
by the clock and by CPU time. The aim is 0.85.

Why in turns, and over one part of the files after the other: the clock of a shared machine drifts; each round
measures both, and the median of the rounds' ratios counts. By CPU time other jobs count less, and decoding
that goes on beside the network counts in full.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from detectors.data.image_batches import read_fitted
from detectors.data.labelled_images import LabelledImages, to_table
from detectors.models import architectures as zoo
from detectors.models.detector import Detector, Output
from detectors.models.loading import pick_device
from detectors.scoring.engine import score_images
from detectors.scoring.network_threads import forward
from detectors.scoring.options import Options


def make_images(folder: Path, n: int, size_px: int, form: str = "png") -> LabelledImages:
    """Files about as hard to decode as faces: smooth, with some noise."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:size_px, 0:size_px] / size_px
    rows = []
    for i in range(n):
        wave = 128 + 90 * np.sin(6 * (x * random.uniform(-1, 1) + y * random.uniform(-1, 1)))
        pixels = wave[..., None] + random.normal(0, 4, (size_px, size_px, 3))
        path = folder / f"{i:06d}.{form}"
        how = {"compress_level": 3} if form == "png" else {"quality": 90}
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, **how)
        rows.append(
            {"image_id": path.name, "path": str(path), "label": i % 2, "kind": ("real", "fake")[i % 2]}
        )
    return LabelledImages(to_table(rows), (), "folders", folder)


def make_detector(arch: str, device: str) -> Detector:
    """The architecture with random weights: speed does not depend on them."""
    network = zoo.build(arch).eval().to(device, memory_format=torch.channels_last)
    preprocessing = zoo.architecture(arch).preprocessing
    return Detector(arch, "", arch, preprocessing, Output(), network, device=device)


@dataclass(frozen=True)
class Cost:
    """What an image costs."""

    wall_ms: float
    cpu_ms: float


def cost(work: Callable[[], object], n: int) -> Cost:
    """Of n images, threads of this process included."""
    cpu, started = _cpu_s(), time.perf_counter()
    work()
    return Cost((time.perf_counter() - started) / n * 1e3, (_cpu_s() - cpu) / n * 1e3)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def bare(detector: Detector, n: int, batch_size: int) -> Cost:
    """Of the network alone."""
    size = detector.preprocessing.size_px
    images = torch.randint(0, 256, (batch_size, 3, size, size), dtype=torch.uint8)
    turns = max(1, n // batch_size)
    return cost(lambda: [forward(detector, images) for _ in range(turns)], turns * batch_size)


def scoring(detector: Detector, images: LabelledImages, batch_size: int) -> Cost:
    """Of scoring files."""
    with tempfile.TemporaryDirectory() as work_dir:
        options = Options(batch_size=batch_size, progress=False, work_dir=Path(work_dir))
        return cost(lambda: score_images([detector], images, options), len(images.table))


def reading(detector: Detector, images: LabelledImages) -> Cost:
    """Of reading, hashing, decoding and resizing files, one after the other."""
    paths = images.table["path"]
    return cost(lambda: [read_fitted(p, [detector.preprocessing]) for p in paths], len(paths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="resnet50")
    parser.add_argument("--n", type=int, default=960, help="files in all; each is scored once")
    parser.add_argument("--size-px", type=int, default=128, help="of the files")
    parser.add_argument("--form", choices=["png", "jpg"], default="png", help="of the files")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    detector = make_detector(options.arch, pick_device(options.device))
    with tempfile.TemporaryDirectory() as folder:
        images = make_images(Path(folder), options.n, options.size_px, options.form)
        bare(detector, options.batch_size, options.batch_size)
        rounds = []
        for files in np.array_split(np.arange(options.n), options.rounds):
            part = images.only(images.table.index.isin(files))
            alone = bare(detector, len(files), options.batch_size)
            whole = scoring(detector, part, options.batch_size)
            read = reading(detector, part)
            rounds.append((alone.wall_ms / whole.wall_ms, alone.cpu_ms / whole.cpu_ms))
            print(
                f"{len(files)}: bare {1e3 / alone.wall_ms:.0f} images/s, {alone.cpu_ms:.2f} CPU ms each; "
                f"scoring {1e3 / whole.wall_ms:.0f} images/s, {whole.cpu_ms:.2f} CPU ms each, reading "
                f"{read.cpu_ms:.2f} of them; load {os.getloadavg()[0]:.0f}",
                flush=True,
            )
    wall, cpu = np.median(rounds, axis=0)
    print(
        f"{options.arch} on {detector.device}, {torch.get_num_threads()} threads, {options.form} of "
        f"{options.size_px} px: scoring runs at {wall:.2f} of the bare forward pass by the clock, {cpu:.2f} "
        "by CPU time (aim: 0.85)"
    )


if __name__ == "__main__":
    main()
