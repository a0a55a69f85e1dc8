"""The embedded generator's network: what each code carries, and modulation as its paper has it."""

import pytest
import torch
from torch.nn import functional as F

from pipelines.generators.small.network import (
    SmallConfig,
    SmallNetwork,
    StyledConv,
    colour_statistics,
    without_colour_statistics,
)

TINY = SmallConfig(
    size_px=64, style_dim=8, code_channels=2, detail_channels=(16, 16), style_channels=(8, 8),
    decoder_channels=(8, 16, 8), detail_blocks=(1, 1), decoder_blocks=(1, 1),
)  # fmt: skip


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    net = SmallNetwork(TINY).eval().requires_grad_(False)
    for name, tensor in net.named_parameters():
        if name.endswith(("gain", "conv2.weight")) and not tensor.any():
            tensor.normal_(0, 0.3)  # what starts at zero must not hide what it does
    return net


@pytest.fixture(scope="module")
def images():
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 1.2 - 0.6


def test_codes_and_images_have_their_shapes(network, images):
    w_plus, code = network.encode(images)
    assert w_plus.shape == (3, TINY.n_styles, TINY.style_dim)
    assert code.shape == (3, TINY.code_channels, TINY.code_side_px, TINY.code_side_px) == (3, 2, 8, 8)
    assert network.decode(w_plus, code).shape == images.shape


def test_the_spatial_code_knows_nothing_of_colour_brightness_and_contrast(network, images):
    gain = torch.tensor([1.3, 0.8, 0.6]).view(1, 3, 1, 1)
    other = images * gain + torch.tensor([0.1, -0.1, 0.2]).view(1, 3, 1, 1)
    (w_plus, code), (w_other, code_other) = network.encode(images), network.encode(other)
    torch.testing.assert_close(code_other, code, atol=1e-4, rtol=1e-4)
    assert (w_other - w_plus).abs().max() > 0.01


def test_statistics_are_taken_away_and_flat_channels_stay_flat(images):
    plain = without_colour_statistics(images, colour_statistics(images))
    assert plain.mean((2, 3)).abs().max() < 1e-5
    torch.testing.assert_close(plain.std((2, 3), correction=0), torch.ones(3, 3))
    flat = torch.full((1, 3, 8, 8), 0.4)
    assert not without_colour_statistics(flat, colour_statistics(flat)).any()


def test_every_style_and_the_spatial_code_change_the_image(network, images):
    w_plus, code = network.encode(images)
    before = network.decode(w_plus, code)
    for row in range(TINY.n_styles):
        changed = w_plus.clone()
        changed[:, row] += torch.randn(TINY.style_dim, generator=torch.Generator().manual_seed(row))
        assert (network.decode(changed, code) - before).abs().max() > 1e-4, row
    assert (network.decode(w_plus, code + 1) - before).abs().max() > 1e-3


@pytest.mark.parametrize("demodulate", [True, False])
def test_a_styled_convolution_is_the_papers(demodulate):
    torch.manual_seed(0)
    conv = StyledConv(6, 5, 4, demodulate).requires_grad_(False)
    x, style = torch.randn(3, 6, 7, 7), torch.randn(3, 4)
    scale = 1 + style @ conv.modulation.weight.T + conv.modulation.bias
    weights = conv.weight[None] * scale[:, None, :, None, None]
    if demodulate:
        weights = weights / (weights.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    each = F.conv2d(x.reshape(1, 18, 7, 7), weights.reshape(15, 6, 3, 3), padding=1, groups=3)
    wanted = each.reshape(3, 5, 7, 7) + conv.bias[:, None, None]
    torch.testing.assert_close(conv(x, style), wanted, atol=1e-5, rtol=1e-4)
