"""Power spectra of images: how far a fake's lies from its real half's, and where a generator's grid shows.

Batches of images enter; numbers leave. Measured because a generator betrays itself by its
spectrum first (Durall et al., "Watch your up-convolution", CVPR 2020): too little at high frequencies where
it blurs, peaks where its layers enlarge.

Why decibels and a floor: a spectrum falls by a factor of a million from low frequencies to high, and an
image of one colour has none at all. The floor is the power of rounding to whole levels, under which nothing
is seen.
"""

from typing import Final

import numpy as np

N_BANDS: Final = 32
"""Bands of equal width from 0 to half a cycle a pixel."""
_ROUNDING: Final = 1 / 12
"""Variance of rounding to whole levels."""


def radial_power(images: np.ndarray) -> np.ndarray:
    """Mean power of luma in rings of spatial frequency.

    Args:
        images: uint8 [B,H,W,3], H and W at least 16.

    Returns:
        float64 [B,N_BANDS], levels squared a frequency, a Hann window's loss made good; rounding's own power
        added, so never 0. A band that holds no frequency of so small an image has its neighbour's value.
    """
    return ring_power(_luma(images)) + _ROUNDING


def ring_power(signal: np.ndarray) -> np.ndarray:
    """The same of a signal float64 [B,H,W], nothing added: float64 [B,N_BANDS]."""
    power = _power(signal)
    height, width = signal.shape[1:]
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    band = np.minimum((np.hypot(rows, columns) * 2 * N_BANDS).astype(int), N_BANDS).ravel()
    counts = np.bincount(band, minlength=N_BANDS + 1)[:N_BANDS]
    sums = np.stack([np.bincount(band, p.ravel(), N_BANDS + 1)[:N_BANDS] for p in power])
    filled = np.maximum.accumulate(np.where(counts > 0, np.arange(N_BANDS), 0))
    return np.asarray((sums / np.maximum(counts, 1))[:, filled])


def spectrum_distance_db(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """How far the spectra of two images lie apart: root mean square over the bands, in dB.

    Args:
        real: uint8 [B,H,W,3].
        fake: uint8 of the same shape.

    Returns:
        float64 [B], 0 for equal spectra.
    """
    gap = 10 * np.log10(radial_power(fake) / radial_power(real))
    return np.asarray(np.sqrt((gap**2).mean(1)))


def grid_peak_db(images: np.ndarray, period_px: int) -> float:
    """How far a pattern that repeats every `period_px` pixels stands out of a mean spectrum.

    Args:
        images: uint8 [B,S,S,3], S a multiple of 4 `period_px`.
        period_px: as of a layer that enlarges by this factor.

    Returns:
        Mean power at the multiples of 1/period along both axes, over that of the frequencies three steps
        beside each, in dB; near 0 where there is no pattern.

    Raises:
        ValueError: the side is not such a multiple, or images are not square.
    """
    side = images.shape[1]
    if images.shape[2] != side or side % (4 * period_px):
        raise ValueError(
            f"images are {images.shape[1:3]}, not square with a side that {4 * period_px} divides"
        )
    power = _power(_luma(images)).mean(0)
    lines = np.stack([power[: side // 2 + 1, 0], power[0]])
    on = np.arange(1, period_px // 2 + 1) * side // period_px
    beside = np.concatenate([on - 3, on + 3])
    beside = beside[beside <= side // 2]
    return float(10 * np.log10((lines[:, on].mean() + _ROUNDING) / (lines[:, beside].mean() + _ROUNDING)))


def _luma(images: np.ndarray) -> np.ndarray:
    """Rec. 601 luma of [B,H,W,3], float64 [B,H,W], in levels."""
    return np.asarray(images.astype(np.float64) @ np.array([0.299, 0.587, 0.114]))


def _power(signal: np.ndarray) -> np.ndarray:
    """Power of [B,H,W] under a Hann window, its mean removed: float64 [B,H,W//2+1]."""
    height, width = signal.shape[1:]
    window = np.hanning(height)[:, None] * np.hanning(width)[None]
    centred = signal - signal.mean((1, 2), keepdims=True)
    return np.asarray(np.abs(np.fft.rfft2(centred * window)) ** 2 / (window**2).sum())
