"""The three networks of MTCNN, with the weights of facenet-pytorch's wheel, and suppression of boxes.

Enters: a number of the network. Leaves: the network, which maps float images [N,3,H,W] to the corrections of
their boxes, in the third also landmarks, and the probabilities of no face and of a face.

Why not the wheel's own classes and torchvision's own `nms`: importing either imports torch's compiler, which
takes three seconds of a processor, more than all the rest of a worker's start.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

NAMES: Final = ("pnet", "rnet", "onet")
"""Of the networks, in their order, as the wheel calls the files of their weights."""


def _trunk(*channels: int, sizes: tuple[int, ...], pools: tuple[int, ...]) -> dict[str, nn.Module]:
    """Convolutions with a bent line after each, and pooling by 2 after the first ones."""
    parts: dict[str, nn.Module] = {}
    for i, (size_px, before, after) in enumerate(zip(sizes, channels, channels[1:], strict=False), start=1):
        parts[f"conv{i}"] = nn.Conv2d(before, after, size_px)
        parts[f"prelu{i}"] = nn.PReLU(after)
        if i <= len(pools):
            parts[f"pool{i}"] = nn.MaxPool2d(pools[i - 1], 2, ceil_mode=True)
    return parts


class _Network(nn.Module):
    """A trunk, and one answer a head; the head of the probabilities comes last.

    Args:
        trunk: layers by the names that the weights have.
        heads: the same.
    """

    def __init__(self, trunk: dict[str, nn.Module], heads: dict[str, nn.Module]) -> None:
        super().__init__()
        self._trunk, self._heads = tuple(trunk), tuple(heads)
        for name, part in {**trunk, **heads}.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Answer about [N,3,H,W]."""
        for name in self._trunk:
            x = getattr(self, name)(x)
        *answers, logits = (getattr(self, name)(x) for name in self._heads)
        return *answers, logits.softmax(1)


class _Columns(nn.Module):
    """Features of an image as one row, column by column, as the weights of dense layers want them."""

    def forward(self, x: Tensor) -> Tensor:
        """[N,C,H,W] to [N,W*H*C]."""
        return x.permute(0, 3, 2, 1).contiguous().flatten(1)


def _first() -> _Network:
    trunk = _trunk(3, 10, 16, 32, sizes=(3, 3, 3), pools=(2,))
    return _Network(trunk, {"conv4_2": nn.Conv2d(32, 4, 1), "conv4_1": nn.Conv2d(32, 2, 1)})


def _second() -> _Network:
    trunk = _trunk(3, 28, 48, 64, sizes=(3, 3, 2), pools=(3, 3))
    trunk |= {"columns": _Columns(), "dense4": nn.Linear(576, 128), "prelu4": nn.PReLU(128)}
    return _Network(trunk, {"dense5_2": nn.Linear(128, 4), "dense5_1": nn.Linear(128, 2)})


def _third() -> _Network:
    trunk = _trunk(3, 32, 64, 64, 128, sizes=(3, 3, 3, 2), pools=(3, 3, 2))
    trunk |= {"columns": _Columns(), "dense5": nn.Linear(1152, 256), "prelu5": nn.PReLU(256)}
    heads = {"dense6_2": nn.Linear(256, 4), "dense6_3": nn.Linear(256, 10), "dense6_1": nn.Linear(256, 2)}
    return _Network(trunk, heads)  # type: ignore[arg-type]


def network(number: int) -> nn.Module:
    """One of the three networks, with its weights.

    Args:
        number: 0, 1 or 2.
    """
    net = (_first, _second, _third)[number]()
    weights = _folder("facenet_pytorch") / "data" / f"{NAMES[number]}.pt"
    net.load_state_dict(torch.load(weights, weights_only=True))
    return net.eval().requires_grad_(False)


def nms(boxes: Tensor, scores: Tensor, overlap: float) -> Tensor:
    """Non-maximum suppression, by torchvision's operator: indices of the boxes that are kept, best first.

    Args:
        boxes: [M,4].
        scores: [M].
        overlap: the largest of two boxes that are kept.
    """
    if not hasattr(torch.ops.torchvision, "nms"):
        _load_operators()
    kept: Tensor = torch.ops.torchvision.nms(boxes, scores, overlap)
    return kept


def _load_operators() -> None:
    """Have torch know torchvision's operators, without its Python where that is possible."""
    for library in sorted(_folder("torchvision").glob("_C*")):
        torch.ops.load_library(library)
    if not hasattr(torch.ops.torchvision, "nms"):
        import torchvision  # noqa: F401


def _folder(package: str) -> Path:
    """Where an installed package lies; it is not imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    return Path(spec.origin).parent
