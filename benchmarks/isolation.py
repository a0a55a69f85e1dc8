"""What isolation costs: `python benchmarks/isolation.py [--kind torchscript] [--rounds 5] [--batches 6]`.

Prints images a second and CPU time an image of one foreign model (resnet50 at 224 px, random weights) in the
program's own process and in an isolated one, measured in turns in the same run, and the medians of their
ratios. The aim is 0.85.

Why in turns: the clock of a shared machine drifts. Why random weights: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import Tensor

from detectors.isolation import opening
from detectors.isolation.child import IsolatedModel

SIZE_PX = 224


def make_model(kind: str, folder: Path) -> Path:
    """resnet50 as a foreign file."""
    network = torchvision.models.resnet50(num_classes=2).eval()
    example = torch.rand(2, 3, SIZE_PX, SIZE_PX)
    dynamic = ({0: torch.export.Dim("batch", min=1, max=512)},)
    if kind == opening.TORCHSCRIPT:
        path = folder / "resnet50.pt"
        torch.jit.trace(network, example).save(str(path))
    elif kind == opening.EXPORTED:
        path = folder / "resnet50.pt2"
        torch.export.save(torch.export.export(network, (example,), dynamic_shapes=dynamic), path)
    else:
        path = folder / "resnet50.onnx"
        torch.onnx.export(
            network, (example,), str(path), dynamo=True, dynamic_shapes=dynamic, verbose=False,
            external_data=False,
        )  # fmt: skip
    return path


def measure(run: Callable[[Tensor], object], batch: Tensor, n: int, pid: int | None) -> tuple[float, float]:
    """Images a second, and CPU milliseconds an image, the other process's included."""
    started, used = time.perf_counter(), time.process_time() + cpu_seconds(pid)
    for _ in range(n):
        run(batch)
    seconds, spent = time.perf_counter() - started, time.process_time() + cpu_seconds(pid) - used
    images = n * len(batch)
    return images / seconds, 1000 * spent / images


def cpu_seconds(pid: int | None) -> float:
    """CPU time another process has used; 0 for none."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = (opening.TORCHSCRIPT, opening.EXPORTED, opening.ONNX)
    parser.add_argument("--kind", choices=kinds, default=opening.TORCHSCRIPT)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=4, help="in a round")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    batch = torch.rand(options.batch_size, 3, SIZE_PX, SIZE_PX).contiguous(memory_format=torch.channels_last)
    with tempfile.TemporaryDirectory() as folder:
        path = make_model(options.kind, Path(folder))
        here = opening.open_model(options.kind, str(path), options.device, torch.get_num_threads())
        started = time.perf_counter()
        apart = IsolatedModel([path], [options.kind], options.device)
        apart.open(options.kind, path)
        start_s = time.perf_counter() - started
        rounds = []

        def own(images: Tensor) -> object:
            return here.run(images.numpy(), None)

        measure(own, batch, 1, None), measure(apart.run, batch, 1, apart.pid)
        for _ in range(options.rounds):
            inside = measure(own, batch, options.batches, None)
            isolated = measure(apart.run, batch, options.batches, apart.pid)
            rounds.append((isolated[0] / inside[0], inside[1] / isolated[1]))
            print(
                f"{options.kind}: own process {inside[0]:.1f} images/s, {inside[1]:.0f} CPU ms/image; "
                f"isolated {isolated[0]:.1f} images/s, {isolated[1]:.0f} CPU ms/image",
                flush=True,
            )
    rate, cpu = np.median(np.array(rounds), axis=0)
    print(
        f"resnet50 at {SIZE_PX} px as {options.kind} on {options.device}, {torch.get_num_threads()} threads: "
        f"isolation keeps {rate:.2f} of the rate by the clock, {cpu:.2f} by CPU time (aim: 0.85); "
        f"it starts in {start_s:.1f} s"
    )


if __name__ == "__main__":
    main()
