"""How fast the pSp network runs, beside the plain way of running it, in one go.

    python benchmarks/psp.py        the official 1024 px shape; random weights, on which speed does not depend
    python benchmarks/psp.py --size 256 --device cuda --dtype bfloat16

"plain" is eager float32 as upstream writes it: batch norms apart, one style head after the other, weights
modulated for each sample and run as a grouped convolution. "ours" is `pipelines.psp`.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from pipelines.align import FFHQ
from pipelines.psp.checkpoint import Checkpoint
from pipelines.psp.config import official
from pipelines.psp.decoder import Decoder, ModulatedConv, StyledConv
from pipelines.psp.encoder import Encoder
from pipelines.psp.model import PSP, keep_memory
from pipelines.psp.ops import blur, scaled_leaky_relu

GFLOP = {"encoder": 145.0, 1024: 151.0, 256: 91.0}
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, choices=(256, 512, 1024))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
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
        plain = (
            seconds(lambda: encoder(x), given.repeats, sync) / given.batch,
            seconds(lambda: plain_decode(decoder, w), given.repeats, sync) / given.batch,
        )
        wanted = plain_decode(decoder, w)
    kept = keep_memory()
    ours = PSP(
        Checkpoint("benchmark", "", config, FFHQ, state, None), given.device, getattr(torch, given.dtype)
    )
    fast = (
        seconds(lambda: ours.encode(x), given.repeats, sync) / given.batch,
        seconds(lambda: ours.decode(w), given.repeats, sync) / given.batch,
    )
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, "
        f"{given.device}, {given.dtype}, {given.size} px, batch {given.batch}"
    )
    print(
        f"largest difference of the images: {float((ours.decode(w) - wanted).abs().max()):.1e} "
        f"(values up to {float(wanted.abs().max()):.1f})"
    )
    print("| part | plain s/image | ours s/image | ratio | GFLOP/s |")
    print("|---|---|---|---|---|")
    for name, a, b, work in (
        ("encoder", plain[0], fast[0], GFLOP["encoder"]),
        (f"decoder {given.size}", plain[1], fast[1], GFLOP.get(given.size, float("nan"))),
    ):
        print(f"| {name} | {a:.3f} | {b:.3f} | {a / b:.2f} | {work / b:.0f} |")
    print(f"memory kept between layers (mallopt): {kept}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory {peak:.1f} GB (CPU side)")


if __name__ == "__main__":
    main()
