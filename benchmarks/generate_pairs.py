"""How fast pairs are made, and where the time goes.

    python benchmarks/generate_pairs.py --fairface DIR [--generator small|FILE] [--limit 400] [--workers 2]

Prints pairs and photos a second of the whole call (weights loaded, workers started, dataset
finished: all of it included), and the share of each stage, every stage measured alone, in CPU time, so
that other work on the machine disturbs the shares little. The rate of the whole call is wall time.
"""

import argparse
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.dataset.face_crops import at_size
from pipelines.dataset.quality import mean_absolute_difference, ms_ssim
from pipelines.faces.align import FaceFinder, align_face, nearest_centre
from pipelines.generators.loading import load_generator
from pipelines.jobs.generation import generate_pairs
from pipelines.rendered import render_population
from pipelines.sources.fairface import read_fairface
from pipelines.sources.photos import encode_png, read_photo
from pipelines.sources.selection import select

N_STAGE = 64
WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
BATCH = 16


def timed(seconds: dict[str, float], stage: str, call: Callable[[], Any]) -> Any:
    began = time.process_time()
    result = call()
    seconds[stage] = time.process_time() - began
    return result


def batches(items: list) -> list[list]:
    return [items[i : i + BATCH] for i in range(0, len(items), BATCH)]


def stages(folder: Path, generator: str, size_px: int | None) -> dict[str, float]:
    """Seconds a photo, by stage, on one thread."""
    torch.set_num_threads(1)
    table = read_fairface(folder)
    rows = select(table.rows, limit=N_STAGE)
    network, finder, seconds = load_generator(generator), FaceFinder(), {}
    crop = at_size(network.crop, size_px or network.crop.size_px)
    paths = [Path(p) for p in rows["path"]]
    photos = timed(seconds, "read photos", lambda: [read_photo(p).pixels for p in paths])
    found = timed(seconds, "find faces", lambda: [f for b in batches(photos) for f in finder.find(b)])
    good = [(p, nearest_centre(f, *p.shape[:2])) for p, f in zip(photos, found, strict=True) if f]
    reals = timed(seconds, "align", lambda: [align_face(p, f.landmarks, crop)[0] for p, f in good])
    images = [torch.from_numpy(np.stack(b)).permute(0, 3, 1, 2).float() / 127.5 - 1 for b in batches(reals)]
    small = [torch.nn.functional.adaptive_avg_pool2d(i, network.input_size_px) for i in images]
    codes = timed(seconds, "encode", lambda: [network.encode(i) for i in small])
    decoded = timed(seconds, "decode", lambda: [network.decode(c) for c in codes])
    pooled = [torch.nn.functional.adaptive_avg_pool2d(d, crop.size_px) for d in decoded]
    levels = [((p + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy() for p in pooled]
    fakes = [np.ascontiguousarray(f) for batch in levels for f in batch]

    def judge() -> None:
        for real, fake in zip(batches(reals), batches(fakes), strict=True):
            mean_absolute_difference(np.stack(real), np.stack(fake))
            ms_ssim(np.stack(real), np.stack(fake))

    timed(seconds, "measure likeness", judge)
    timed(seconds, "find faces in both halves", lambda: [finder.find(b) for b in batches(reals + fakes)])
    with tempfile.TemporaryDirectory() as out:
        places = [Path(out) / f"{i}.png" for i in range(2 * len(reals))]
        pairs = list(zip(places, reals + fakes, strict=True))
        timed(seconds, "write both halves", lambda: [p.write_bytes(encode_png(i)) for p, i in pairs])
    return {stage: value / len(photos) for stage, value in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fairface", type=Path, help="photos; without it a drawn population is made")
    parser.add_argument("--generator", default="small")
    parser.add_argument("--limit", type=int, default=400)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--size", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        photos = given.fairface or render_population(Path(scratch) / "drawn", given.limit, 0, seed=0)
        began = time.perf_counter()
        made = generate_pairs(
            photos, Path(scratch) / "pairs", given.generator, limit=given.limit, workers=given.workers,
            size_px=given.size,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        busy = sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in WHO)
        shares = stages(photos, given.generator, given.size)
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    print(f"load average while measuring: {os.getloadavg()[0]:.1f}")
    print(f"{made.n_pairs} pairs of {made.n_attempted} photos in {seconds:.1f} s")
    print(f"{made.n_pairs / seconds:.1f} pairs/s, {made.n_attempted / seconds:.1f} photos/s, end to end")
    bound = (os.cpu_count() or 1) * made.n_pairs / busy
    print(f"{busy:.1f} s of CPU time in all: {bound:.1f} pairs/s were every core free")
    whole = sum(shares.values())
    print(f"{'stage':<28}{'ms/photo':>10}{'share':>8}   CPU time; {1 / whole:.1f} photos/s a core")
    for stage, value in shares.items():
        print(f"{stage:<28}{value * 1e3:>10.2f}{value / whole:>8.0%}")


if __name__ == "__main__":
    main()
