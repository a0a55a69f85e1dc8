"""The encoder rearranged for speed: the same numbers with fewer passes over memory.

Enters: an `Encoder` in evaluation mode. Leaves: the same object, its batch norms folded into the convolutions
before them and its style heads run together, one group a feature map.

Why folding stops at the batch norms that come *before* a convolution: the convolution pads with zeros after
the norm, so moving the norm's shift into a bias would be wrong along the border.
Why the heads are grouped: eleven small convolutions over one map leave cores idle; one wide convolution and
then grouped ones read the map once.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipelines.generators.psp.encoder import Encoder, ResidualUnit, StyleHead


class HeadGroup(nn.Module):
    """Style heads that read the same feature map, as one."""

    linear: Tensor
    shift: Tensor

    def __init__(self, heads: list[StyleHead]) -> None:
        super().__init__()
        self.n_heads = len(heads)
        convs = [[m for m in head.convs if isinstance(m, nn.Conv2d)] for head in heads]
        slopes = {m.negative_slope for h in heads for m in h.convs if isinstance(m, nn.LeakyReLU)}
        (self.slope,) = slopes
        for depth, layer in enumerate(zip(*convs, strict=True)):
            self.register_buffer(f"weight_{depth}", torch.cat([c.weight.detach() for c in layer]))
            self.register_buffer(f"bias_{depth}", torch.cat([_bias(c) for c in layer]))
        self.depth = len(convs[0])
        linears = [head.linear for head in heads]
        self.register_buffer("linear", torch.stack([m.weight.detach() * m.scale for m in linears]))
        self.register_buffer("shift", torch.stack([m.bias.detach() * m.lr_mul for m in linears]))

    def forward(self, x: Tensor) -> Tensor:
        """Map a feature map [B,C,side,side] to styles [B,n_heads,style_dim]."""
        for depth in range(self.depth):
            weight, bias = getattr(self, f"weight_{depth}"), getattr(self, f"bias_{depth}")
            groups = 1 if depth == 0 else self.n_heads
            x = F.leaky_relu_(F.conv2d(x, weight, bias, 2, 1, groups=groups), self.slope)
        codes = x.reshape(x.shape[0], self.n_heads, -1)
        return torch.einsum("bhc,hdc->bhd", codes, self.linear) + self.shift


def _bias(conv: nn.Conv2d) -> Tensor:
    return torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()


def fold_norms(encoder: Encoder) -> None:
    """Fold each batch norm that follows a convolution into it, in place."""
    _fold(encoder.input_layer, 0)
    for unit in encoder.body:
        assert isinstance(unit, ResidualUnit)
        _fold(unit.res_layer, 3)
        if isinstance(unit.shortcut_layer, nn.Sequential):
            _fold(unit.shortcut_layer, 0)


def _fold(layers: nn.Sequential, index: int) -> None:
    """Fold the batch norm at `index` + 1 into the convolution at `index`."""
    conv, norm = layers[index], layers[index + 1]
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    layers[index], layers[index + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


def group_heads(encoder: Encoder) -> None:
    """Replace the style heads by one group for each feature map, in place."""
    by_map: dict[int, list[StyleHead]] = {}
    for index, head in enumerate(encoder.styles):
        assert isinstance(head, StyleHead)
        by_map.setdefault(encoder.map_of(index), []).append(head)
    encoder.groups = nn.ModuleList(HeadGroup(heads) for _, heads in sorted(by_map.items()))
    encoder.styles = nn.ModuleList()
