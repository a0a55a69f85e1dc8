"""Speed of a stress test beside the bare forward pass: `python benchmarks/stress_speed.py [--arch resnet50]`.

Prints, for one detector and for two that share every decoded image, images a second of the networks alone and
of the whole stress test (decode once, 85 transformations, resize, forward, table), by the clock and by CPU
time, and their ratio. The aim is 0.85. CPU time is the figure to read on a machine that others use as well.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scoring import make_detector, make_images

from detectors.data.transformations import TRANSFORMATIONS, variants
from detectors.models.detector import Detector
from detectors.models.loading import pick_device
from detectors.scoring.network_threads import forward
from detectors.scoring.options import Options
from detectors.scoring.stress_scores import stress_scores


def measured(work: Callable[[], int]) -> tuple[float, float]:
    """Images a second by the clock and by CPU time; `work` returns how many images it did."""
    clock, cpu = time.perf_counter(), time.process_time()
    n = work()
    return n / (time.perf_counter() - clock), n / (time.process_time() - cpu)


def bare(detectors: list[Detector], n: int, batch_size: int) -> int:
    """Batches in memory, over and over, through every network."""
    size = detectors[0].preprocessing.size_px
    images = torch.randint(0, 256, (batch_size, 3, size, size), dtype=torch.uint8)
    for _ in range(max(1, n // batch_size)):
        for detector in detectors:
            forward(detector, images)
    return max(1, n // batch_size) * batch_size * len(detectors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="resnet50")
    parser.add_argument("--images", type=int, default=4, help="files; each is scored 86 times a detector")
    parser.add_argument("--size-px", type=int, default=256, help="of the files")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    one = make_detector(options.arch, pick_device(options.device))
    names = list(TRANSFORMATIONS)
    n = options.images * (1 + len(variants(names)))
    with tempfile.TemporaryDirectory() as folder:
        images = make_images(Path(folder), options.images, options.size_px)
        for detectors in ([one], [one, replace(one, name="second")]):
            bare(detectors, options.batch_size, options.batch_size)
            ratios = []
            for _ in range(options.rounds):

                def whole(detectors: list[Detector] = detectors) -> int:
                    quiet = Options(batch_size=options.batch_size, progress=False)
                    return sum(s.scores.size for s in stress_scores(detectors, images, names, 0, quiet))

                alone = measured(lambda detectors=detectors: bare(detectors, n, options.batch_size))
                tested = measured(whole)
                ratios.append(np.divide(tested, alone))
                print(f"bare {alone[0]:.1f} images/s, stress {tested[0]:.1f} images/s", flush=True)
            clock, cpu = np.median(ratios, axis=0)
            print(
                f"{len(detectors)} x {options.arch} on {one.device}, {torch.get_num_threads()} "
                f"threads, files of "
                f"{options.size_px} px: {clock:.2f} of the bare forward pass by the clock, "
                f"{cpu:.2f} by CPU time"
            )


if __name__ == "__main__":
    main()
