"""Likeness of pairs, against torchmetrics and by its own laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as oracle

from pipelines.dataset.quality import MS_SSIM_WEIGHTS, mean_absolute_difference, ms_ssim


def pair(seed, size, noise=20.0):
    rng = np.random.default_rng(seed)
    smooth = np.kron(rng.integers(0, 255, (3, size // 8, size // 8)), np.ones((8, 8))).transpose(1, 2, 0)
    real = np.clip(smooth + rng.normal(0, 5, smooth.shape), 0, 255).astype(np.uint8)
    fake = np.clip(real + rng.normal(0, noise, real.shape), 0, 255).astype(np.uint8)
    return real[None], fake[None]


def luma(images):
    return torch.from_numpy(images).double() @ torch.tensor([0.299, 0.587, 0.114]).double()


@pytest.mark.parametrize("noise", [2.0, 20.0, 60.0])
def test_ms_ssim_agrees_with_torchmetrics(noise):
    real, fake = pair(1, 256, noise)
    theirs = oracle(
        luma(fake)[:, None], luma(real)[:, None], data_range=255.0, betas=MS_SSIM_WEIGHTS, normalize="relu"
    )
    assert ms_ssim(real, fake)[0] == pytest.approx(float(theirs), abs=2e-3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.sampled_from([16, 32, 64, 128]))
def test_equal_images_are_alike_and_noise_is_less(seed, size):
    real, fake = pair(seed, size)
    assert ms_ssim(real, real)[0] == pytest.approx(1, abs=1e-5)
    assert 0 <= ms_ssim(real, fake)[0] < 1
    assert ms_ssim(real, fake)[0] == pytest.approx(ms_ssim(fake, real)[0], abs=1e-6)


def test_batches_are_judged_pair_by_pair():
    a, b = pair(1, 64), pair(2, 64)
    both = ms_ssim(np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]]))
    assert both == pytest.approx([ms_ssim(*a)[0], ms_ssim(*b)[0]], abs=1e-6)


def test_mean_absolute_difference_by_hand():
    black, white = np.zeros((2, 4, 4, 3), np.uint8), np.full((2, 4, 4, 3), 255, np.uint8)
    white[1] = 51
    assert mean_absolute_difference(black, white) == pytest.approx([1.0, 0.2])
    assert mean_absolute_difference(white, black) == pytest.approx([1.0, 0.2])
