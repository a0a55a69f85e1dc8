"""A compiled network computes what the plain one does, whatever the size of the batch."""

import pytest
import torch

from pipelines.errors import SettingError
from pipelines.generators.psp import load_psp
from pipelines.generators.psp.compiled import Compiled

pytestmark = pytest.mark.slow


def test_the_same_numbers_for_a_batch_of_an_odd_size(tiny_generator):
    plain, fused = load_psp(tiny_generator), load_psp(tiny_generator, compiled=True)
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    codes = plain.encode(images)
    torch.testing.assert_close(fused.encode(images), codes, atol=5e-5, rtol=0)
    torch.testing.assert_close(fused.decode(codes), plain.decode(codes), atol=5e-5, rtol=0)


def test_a_machine_that_cannot_compile_says_so(monkeypatch):
    import torch._inductor.config

    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("/nowhere/c++",))
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Sigmoid())
    with torch.inference_mode(), pytest.raises(SettingError, match=r"--compile: torch.compile fails here \("):
        Compiled(net)(torch.zeros(1, 3, 8, 8))
