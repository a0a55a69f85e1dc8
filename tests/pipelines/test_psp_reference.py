"""The comparison with upstream's own code, where it is checked out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from pipelines.errors import ReferenceNotFound
from pipelines.generators.psp import ops
from pipelines.generators.psp.reference import SUBMODULE, compare_with_reference, fused_leaky_relu, upfirdn2d
from tests.pipelines import psp_reference

ROOT = Path(__file__).resolve().parents[2]


def test_absent_upstream_says_how_to_check_it_out(tmp_path: Path):
    with pytest.raises(ReferenceNotFound, match=r"git submodule update --init third_party/pixel2style2pixel"):
        compare_with_reference("any.pt", tmp_path)


def test_our_operators_are_the_published_ones():
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    kernel = ops.binomial_kernel(4.0)
    torch.testing.assert_close(upfirdn2d(x, kernel, up=2, pad=(2, 1)), ops.upsample_rgb(x, kernel))
    torch.testing.assert_close(upfirdn2d(x, kernel, pad=(1, 1)), ops.blur(x, kernel, (1, 1)))
    bias = torch.randn(3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(fused_leaky_relu(x, bias), ops.scaled_leaky_relu(x, bias))


@pytest.mark.weights
def test_upstream_agrees_on_a_checkpoint(parity_dir: Path, tmp_path: Path):
    if not (ROOT / SUBMODULE / "models").is_dir():
        pytest.skip(f"{SUBMODULE} is not checked out")
    given = os.environ.get("PSP_CHECKPOINT")
    weights = Path(given) if given else psp_reference.official_file(parity_dir, 32, tmp_path / "a.pt")
    found = compare_with_reference(weights, ROOT / SUBMODULE)
    assert found.codes < 5e-5
    assert found.image < 5e-5
    assert found.levels <= 1
