"""How fast the pSp network runs, beside the plain way of running it, in one go.

    python benchmarks/psp.py        the official 1024 px shape; random weights, on which speed does not depend
    python benchmarks/psp.py --size 256 --device cuda --dtypes float32 bfloat16
    python benchmarks/psp.py --compile
    python benchmarks/psp.py --pipeline FAIRFACE    and a whole run of pairs, photos to PNG files, beside it

"plain" is eager float32 as upstream writes it: batch norms apart, one style head after the other, weights
modulated for each sample and run as a grouped convolution. "ours" is `pipelines.generators.psp`.

The floor is the time that the network's multiply-adds alone would take at the speed of the best large
convolution of each precision, measured here in the same run.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from pipelines.dataset.manifest import read_provenance
from pipelines.faces.align import FFHQ
from pipelines.generators.psp.checkpoint import Checkpoint
from pipelines.generators.psp.config import official
from pipelines.generators.psp.decoder import Decoder, ModulatedConv, StyledConv
from pipelines.generators.psp.encoder import Encoder
from pipelines.generators.psp.model import PSP, keep_memory
from pipelines.generators.psp.ops import blur, scaled_leaky_relu
from pipelines.jobs.generation import generate_pairs

GFLOP: dict[str | int, float] = {"encoder": 145.0, 1024: 151.0, 512: 121.0, 256: 91.0}
"""Of the official model, per image (multiply-adds counted twice)."""


def modulated(conv: ModulatedConv, x: Tensor, style: Tensor) -> Tensor:
    """A modulated convolution as published: per-sample weights, one group a sample."""
    b, c, h, w = x.shape
    weight = conv.scale * conv.weight * conv.modulation(style).view(b, 1, c, 1, 1)
    if conv.demodulate:
        weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)
    x = x.reshape(1, b * c, h, w)
    n_out, k = weight.shape[1], weight.shape[-1]
    if conv.upsample:
        weight = weight.transpose(1, 2).reshape(b * c, n_out, k, k)
        x = F.conv_transpose2d(x, weight, stride=2, groups=b)
        return blur(x.view(b, n_out, *x.shape[2:]), conv.blur.kernel, (1, 1))
    x = F.conv2d(x, weight.view(b * n_out, c, k, k), padding=conv.padding, groups=b)
    return x.view(b, n_out, h, w)


def plain_styled(layer: StyledConv, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
    """A styled convolution as published."""
    return scaled_leaky_relu(
        modulated(layer.conv, x, style) + layer.noise.weight * noise, layer.activate.bias
    )


def plain_decode(net: Decoder, w: Tensor) -> Tensor:
    """The synthesis network as published, eager."""
    x = net.input.input.repeat(w.shape[0], 1, 1, 1)
    x = plain_styled(net.conv1, x, w[:, 0], net.noises.noise_0)
    rgb = modulated(net.to_rgb1.conv, x, w[:, 1]) + net.to_rgb1.bias
    for k, to_rgb in enumerate(net.to_rgbs):
        for j in (0, 1):
            noise = getattr(net.noises, f"noise_{2 * k + 1 + j}")
            x = plain_styled(net.convs[2 * k + j], x, w[:, 2 * k + 1 + j], noise)
        rgb = modulated(to_rgb.conv, x, w[:, 2 * k + 3]) + to_rgb.bias + to_rgb.upsample(rgb)
    return rgb


def seconds(call: Callable[[], object], repeats: int, sync: Callable[[], None]) -> float:
    """Median time of a call in seconds, after one that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        sync()
        began = time.perf_counter()
        call()
        sync()
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2]


def peak_gflops(device: str, dtype: torch.dtype, sync: Callable[[], None]) -> float:
    """GFLOP/s of a large 3x3 convolution, channels-last: what the device can do at most."""
    c, side = 512, 64 if device == "cpu" else 256
    x = torch.randn(2, c, side, side, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    w = torch.randn(c, c, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    work = 2 * x.shape[0] * c * c * 9 * side * side / 1e9
    with torch.inference_mode():
        return max(work / seconds(lambda: F.conv2d(x, w, padding=1), 5, sync) for _ in range(3))


def pipeline(fairface: str, weights: Path, device: str, limit: int) -> None:
    """Make pairs of real photos as `audit generate-pairs` does, and print the rate.

    The weights are random, so the fakes are noise; what is spent on a photo does not depend on it.
    """
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        made = generate_pairs(
            fairface, Path(folder) / "pairs", weights, limit=limit, device=device, shard_size=20
        )
        took = time.perf_counter() - began
        precision = read_provenance(made.out_dir)["parameters"]["precision"]
    print(
        f"whole pipeline, 256 px PNG pairs, precision {precision}: {made.n_attempted} photos, {made.n_pairs} "
        f"pairs in {took:.0f} s: {made.n_pairs / took:.2f} pairs/s, start included"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, choices=(256, 512, 1024))
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--dtypes", nargs="+", default=["float32", "bfloat16"], choices=("float32", "bfloat16")
    )
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="measure torch.compile, too")
    parser.add_argument("--pipeline", metavar="FAIRFACE", help="also make pairs of this folder's photos")
    parser.add_argument("--limit", type=int, default=80, help="photos of the whole pipeline")
    given = parser.parse_args()
    config = official(given.size)
    torch.manual_seed(0)
    encoder, decoder = Encoder(config).eval().to(given.device), Decoder(config).eval().to(given.device)
    nets = {"encoder": encoder, "decoder": decoder}
    state = {
        f"{part}.{k}": v.cpu().clone() for part, net in nets.items() for k, v in net.state_dict().items()
    }
    sync = torch.cuda.synchronize if given.device.startswith("cuda") else (lambda: None)
    x = torch.rand(given.batch, 3, 256, 256, device=given.device) * 2 - 1
    w = torch.randn(given.batch, config.n_styles, config.style_dim, device=given.device)
    with torch.inference_mode():
        plain = {
            "encoder": seconds(lambda: encoder(x), given.repeats, sync) / given.batch,
            "decoder": seconds(lambda: plain_decode(decoder, w), given.repeats, sync) / given.batch,
        }
        wanted = plain_decode(decoder, w)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, "
        f"{given.device}, {given.size} px, batch {given.batch}; memory kept between layers: {keep_memory()}"
    )
    print("| part | precision | plain s/image | ours s/image | ratio | share of the floor |")
    print("|---|---|---|---|---|---|")
    checkpoint = Checkpoint("benchmark", "", config, FFHQ, state, None)
    for name, compiled in itertools.product(given.dtypes, (False, True) if given.compile else (False,)):
        dtype = getattr(torch, name)
        peak = peak_gflops(given.device, dtype, sync)
        ours = PSP(checkpoint, given.device, dtype, compiled)
        calls = {"encoder": lambda net=ours: net.encode(x), "decoder": lambda net=ours: net.decode(w)}
        for part, call in calls.items():
            call()  # the heap grows to its size in the first calls
            took = seconds(call, given.repeats, sync) / given.batch
            work = GFLOP["encoder" if part == "encoder" else given.size]
            print(
                f"| {part} | {name}{', compiled' if compiled else ''} | {plain[part]:.2f} | {took:.3f} "
                f"| {plain[part] / took:.1f} | {work / peak / took:.0%} of {peak:.0f} GFLOP/s |"
            )
        gap = float((ours.decode(w) - wanted).abs().max())
        print(f"{name}: images differ by {gap:.1e} at most, of values up to {float(wanted.abs().max()):.1f}")
    peak_memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory {peak_memory:.1f} GB, the plain networks included")
    if given.pipeline:
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "random.pt"
            torch.save({"state_dict": state}, weights)
            pipeline(given.pipeline, weights, given.device, given.limit)


if __name__ == "__main__":
    main()
