"""Spectra: a known wave lands in its band with its power, and a grid is seen."""

import numpy as np
import pytest

from pipelines.dataset.spectra import N_BANDS, grid_peak_db, radial_power, spectrum_distance_db

SIDE = 128


def grey(luma):
    return np.repeat(np.rint(luma).clip(0, 255).astype(np.uint8)[..., None], 3, -1)


def noise(level, seed=0):
    return grey(128 + level * np.random.default_rng(seed).standard_normal((4, SIDE, SIDE)))


@pytest.mark.parametrize("cycles", [6, 20, 41])
def test_a_wave_lands_in_its_band(cycles):
    wave = 100 * np.cos(2 * np.pi * cycles * np.arange(SIDE) / SIDE)[None, None].repeat(SIDE, 1)
    power = radial_power(grey(128 + wave))[0]
    assert power.argmax() == int(cycles / SIDE * 2 * N_BANDS)


def test_white_noise_has_its_variance_in_every_band():
    power = radial_power(noise(12.0)).mean(0)
    assert power[1:] == pytest.approx(np.full(N_BANDS - 1, 144.0), rel=0.25)


def test_half_the_amplitude_is_six_decibels():
    a, b = noise(24.0), noise(12.0)
    assert spectrum_distance_db(a, b) == pytest.approx(np.full(4, 6.02), abs=0.3)
    assert spectrum_distance_db(a, a).tolist() == [0.0] * 4


def test_images_of_one_colour_have_a_distance():
    flat = np.full((1, 64, 64, 3), 90, np.uint8)
    assert spectrum_distance_db(flat, flat + 9).tolist() == [0.0]


@pytest.mark.parametrize("side", [16, 17, 32])
def test_small_images_fill_every_band(side):
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    assert (radial_power(images) > 1).all()


def test_a_grid_stands_out_and_only_at_its_own_period():
    plain = noise(5.0)
    gridded = plain.copy()
    gridded[:, ::4] += 3
    assert abs(grid_peak_db(plain, 4)) < 4
    assert grid_peak_db(gridded, 4) > 10
    with pytest.raises(ValueError, match="not square with a side that 16 divides"):
        grid_peak_db(plain[:, :100], 4)
