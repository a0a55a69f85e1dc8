"""How near a fake is to its real half.

Two batches of images enter; one number a pair leaves. Recorded for every pair, because a generator
that reconstructs one group worse makes that group's fakes easier to spot: its bias is not the
detector's.
"""

from typing import Final

import numpy as np
import torch
from torch.nn import functional as F

MS_SSIM_WEIGHTS: Final = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW_PX: Final = 11
_SIGMA_PX: Final = 1.5


def mean_absolute_difference(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Mean |real - fake| of each pair.

    Args:
        real: uint8 [B,H,W,3].
        fake: uint8 of the same shape.

    Returns:
        float64 [B], 0 (equal) to 1.
    """
    gap = np.abs(real.astype(np.int16) - fake.astype(np.int16))
    return np.asarray(gap.reshape(len(gap), -1).mean(1, dtype=np.float64) / 255)


def psnr_db(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each pair: 10 log10(255^2 / mean squared difference).

    Args:
        real: uint8 [B,H,W,3].
        fake: uint8 of the same shape.

    Returns:
        float64 [B], dB; infinite where both are equal.
    """
    gap = real.astype(np.float64) - fake
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(255.0**2 / (gap.reshape(len(gap), -1) ** 2).mean(1)))


def ms_ssim(real: np.ndarray, fake: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Multi-scale structural similarity of each pair's luma.

    Source: Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality
    assessment", Asilomar 2003; Gaussian window of 11 px and sigma 1.5, K1 = 0.01, K2 = 0.03.
    Images too small for five scales use as many as fit, weights made to sum to 1.

    Args:
        real: uint8 [B,H,W,3], H and W at least 11.
        fake: uint8 of the same shape.
        device: torch device name to compute on.

    Returns:
        float64 [B], up to 1 (equal); negative structure counts as 0.
    """
    x, y = _luma(real, device), _luma(fake, device)
    fits = int(np.log2(min(x.shape[-2:]) / _WINDOW_PX)) + 1
    weights = np.array(MS_SSIM_WEIGHTS[: max(1, min(len(MS_SSIM_WEIGHTS), fits))])
    weights /= weights.sum()
    product = torch.ones(len(x), dtype=torch.float64, device=device)
    for scale, weight in enumerate(weights):
        luminance, structure = _ssim(x, y)
        kept = structure * luminance if scale == len(weights) - 1 else structure
        product *= kept.mean((1, 2, 3)).double().clamp(min=0) ** weight
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return product.cpu().numpy()


def _luma(images: np.ndarray, device: str) -> torch.Tensor:
    """Rec. 601 luma, float32 [B,1,H,W] in 0-1."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=device) / 255
    return (torch.from_numpy(np.ascontiguousarray(images)).to(device).float() @ weights)[:, None]


def _smoothed(images: torch.Tensor) -> torch.Tensor:
    """Weighted means over windows that lie inside the image, [B,1,h,w].

    As a product with banded matrices: a fifth of the time of a convolution with one channel, on a CPU.
    """
    offsets = torch.arange(_WINDOW_PX, dtype=torch.float32, device=images.device) - _WINDOW_PX // 2
    window = torch.exp(-(offsets**2) / (2 * _SIGMA_PX**2))
    window = window / window.sum()
    rows, columns = (_band(window, side) for side in images.shape[-2:])
    return rows.T @ (images @ columns)


def _band(window: torch.Tensor, side: int) -> torch.Tensor:
    """Matrix [side,side-len(window)+1] whose columns hold the window, each one place further down."""
    n_places = side - len(window) + 1
    band = torch.zeros(side, n_places, device=window.device)
    for offset, weight in enumerate(window):
        band.diagonal(-offset)[:n_places] = weight
    return band


def _ssim(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps of the luminance term and of the contrast-structure term, [B,1,h,w]."""
    stack = torch.cat([x, y, x * x, y * y, x * y])
    mx, my, xx, yy, xy = _smoothed(stack).chunk(5)
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mx * my + c1) / (mx * mx + my * my + c1)
    structure = (2 * (xy - mx * my) + c2) / ((xx - mx * mx) + (yy - my * my) + c2)
    return luminance, structure
