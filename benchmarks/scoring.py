"""Scoring speed beside the bare forward pass: `python benchmarks/scoring.py [--arch resnet50] [--n 400]`.

Prints images a second of the network alone (a batch in memory, over and over) and of scoring files (decode,
resize, normalise, forward, table), measured in turns in the same run, and their ratio. The aim is 0.85.

Why in turns: the clock of a shared machine drifts; each round measures both, and the median of the rounds'
ratios counts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from detectors.data.labelled_images import LabelledImages, to_table
from detectors.models import architectures as zoo
from detectors.models.detector import Detector, Output
from detectors.models.loading import pick_device
from detectors.scoring.engine import Options, forward, score_images


def make_images(folder: Path, n: int, size_px: int) -> LabelledImages:
    """PNGs about as hard to decode as faces: smooth, with some noise."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:size_px, 0:size_px] / size_px
    rows = []
    for i in range(n):
        wave = 128 + 90 * np.sin(6 * (x * random.uniform(-1, 1) + y * random.uniform(-1, 1)))
        pixels = wave[..., None] + random.normal(0, 4, (size_px, size_px, 3))
        path = folder / f"{i:06d}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, compress_level=3)
        rows.append(
            {"image_id": path.name, "path": str(path), "label": i % 2, "kind": ("real", "fake")[i % 2]}
        )
    return LabelledImages(to_table(rows), (), "folders", folder)


def make_detector(arch: str, device: str) -> Detector:
    """The architecture with random weights: speed does not depend on them."""
    network = zoo.build(arch).eval().to(device, memory_format=torch.channels_last)
    preprocessing = zoo.architecture(arch).preprocessing
    return Detector(arch, "", arch, preprocessing, Output(), network, device=device)


def bare(detector: Detector, n: int, batch_size: int) -> float:
    """Images a second of the network alone."""
    size = detector.preprocessing.size_px
    images = torch.randint(0, 256, (batch_size, 3, size, size), dtype=torch.uint8)
    started = time.perf_counter()
    for _ in range(n // batch_size):
        forward(detector, images)
    return n // batch_size * batch_size / (time.perf_counter() - started)


def scoring(detector: Detector, images: LabelledImages, batch_size: int) -> float:
    """Images a second of scoring files."""
    started = time.perf_counter()
    score_images([detector], images, Options(batch_size=batch_size, progress=False))
    return len(images.table) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="resnet50")
    parser.add_argument("--n", type=int, default=320, help="images in a round")
    parser.add_argument("--size-px", type=int, default=128, help="of the files")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    detector = make_detector(options.arch, pick_device(options.device))
    with tempfile.TemporaryDirectory() as folder:
        images = make_images(Path(folder), options.n, options.size_px)
        bare(detector, options.batch_size, options.batch_size)
        rounds = []
        for _ in range(options.rounds):
            alone = bare(detector, options.n, options.batch_size)
            whole = scoring(detector, images, options.batch_size)
            rounds.append(whole / alone)
            print(f"{options.arch}: bare forward {alone:.1f} images/s, scoring {whole:.1f} images/s")
    where = f"{detector.device}, {torch.get_num_threads()} threads"
    print(
        f"{options.arch} on {where}, files of {options.size_px} px: "
        f"scoring runs at {float(np.median(rounds)):.2f} of the bare forward pass (aim: 0.85)"
    )


if __name__ == "__main__":
    main()
