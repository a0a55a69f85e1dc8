"""Which pixels a detector's answer rests on: saliency and Grad-CAM.

Enters: a detector whose network is a torch module, and one image. Leaves: a map of the network's input size
in 0-1, 1 where the answer "fake" rests most.

Why only torch networks: both methods need gradients, which onnxruntime does not give.

Source: Simonyan et al. 2014 (saliency: the gradient's magnitude); Selvaraju et al. 2017 (Grad-CAM: the last
convolutional maps, weighted by the mean gradient of the evidence, negative parts cut off).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.data.image_batches import Unreadable, read_fitted
from detectors.data.preprocessing import fit, to_unit
from detectors.errors import DatasetLayoutError, ForeignDetectorError
from detectors.models.detector import Detector
from pipelines.sources.photos import encode_png
from pipelines.storage import write_bytes


def saliency(detector: Detector, image: Tensor) -> Tensor:
    """How much each pixel would move the evidence for "fake".

    Args:
        detector: With a torch network.
        image: [3, H, W] float32 in 0-1, or uint8.

    Returns:
        [S, S] float32 in 0-1: the largest gradient magnitude over the channels, divided by the maximum; all 0
        where the answer does not depend on the image.

    Raises:
        ForeignDetectorError: the network gives no gradients.
    """
    batch = _batch(detector, image).requires_grad_()
    evidence = _evidence(detector, batch)
    (gradient,) = torch.autograd.grad(evidence, batch)
    return _scaled(gradient[0].abs().amax(0))


def grad_cam(detector: Detector, image: Tensor) -> Tensor:
    """Where the last convolutional layer finds what speaks for "fake".

    Args:
        detector: With a torch network that has a convolution.
        image: [3, H, W] float32 in 0-1, or uint8.

    Returns:
        [S, S] float32 in 0-1, interpolated from the layer's own grid; all 0 where nothing speaks for "fake".

    Raises:
        ForeignDetectorError: the network gives no gradients, or has no convolution.
    """
    layer = last_convolution(detector)
    maps: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, __, output: maps.append(output))
    try:
        evidence = _evidence(detector, _batch(detector, image).requires_grad_())
    finally:
        hook.remove()
    (gradient,) = torch.autograd.grad(evidence, maps[-1])
    weights = gradient.mean((2, 3), keepdim=True)
    cam = (weights * maps[-1]).sum(1, keepdim=True).relu()
    size = detector.preprocessing.size_px
    return _scaled(functional.interpolate(cam, (size, size), mode="bilinear")[0, 0])


METHODS: dict[str, Callable[[Detector, Tensor], Tensor]] = {"saliency": saliency, "grad-cam": grad_cam}


def explain_file(detector: Detector, path: str | Path, method: str = "grad-cam") -> tuple[Tensor, Tensor]:
    """Explain the score of an image file.

    Args:
        detector: With a torch network.
        path: The image.
        method: A key of `METHODS`.

    Returns:
        The image as the network sees it, [3, S, S] uint8, and the map, [S, S] float32 in 0-1.

    Raises:
        DatasetLayoutError: the image cannot be read, or an unknown method.
        ForeignDetectorError: as the method does.
    """
    if method not in METHODS:
        raise DatasetLayoutError(f"no method {method!r}; known are {', '.join(METHODS)}")
    found = read_fitted(path, [detector.preprocessing])
    if isinstance(found, Unreadable):
        raise DatasetLayoutError(f"{path} cannot be explained: {found.detail}")
    return found[0], METHODS[method](detector, found[0])


def write_explanation(
    detector: Detector, path: str | Path, out_dir: str | Path, method: str = "grad-cam"
) -> Path:
    """Write an image beside its map, laid over it in red.

    Args:
        detector: With a torch network.
        path: The image.
        out_dir: Its folder is made; the file is called NAME.METHOD.png.
        method: A key of `METHODS`.

    Returns:
        The path written: a PNG, 2 S wide and S high.

    Raises:
        ExpectedError: as `explain_file` does.
    """
    image, found = explain_file(detector, path, method)
    red = torch.zeros_like(image)
    red[0] = 255
    over = (image * (1 - 0.6 * found) + red * 0.6 * found).to(torch.uint8)
    pixels = torch.cat([image, over], 2).permute(1, 2, 0).contiguous().numpy()
    target = Path(out_dir) / f"{Path(path).stem}.{method}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, encode_png(pixels))
    return target


def last_convolution(detector: Detector) -> nn.Module:
    """The last convolutional layer of a detector's network."""
    layers = [m for m in _module(detector).modules() if isinstance(m, nn.Conv2d)]
    if not layers:
        raise ForeignDetectorError(f"{detector.name} has no convolution to look into: use saliency")
    return layers[-1]


def _module(detector: Detector) -> nn.Module:
    if not isinstance(detector.network, nn.Module):
        raise ForeignDetectorError(
            f"{detector.name} is {detector.arch}, which gives no gradients: "
            "explain a checkpoint of ours, or a file of torch that you trust (--trust SHA256)"
        )
    return detector.network


def _batch(detector: Detector, image: Tensor) -> Tensor:
    return fit(to_unit(image)[None].to(detector.device), detector.preprocessing).detach().clone()


def _evidence(detector: Detector, batch: Tensor) -> Tensor:
    _module(detector)
    with torch.enable_grad():
        return detector.output.evidence(detector.raw(batch)).sum()


def _scaled(values: Tensor) -> Tensor:
    """Divided by the maximum, on the CPU; zeros stay zeros."""
    top = values.max()
    return (values / top if top > 0 else values).detach().float().cpu()
