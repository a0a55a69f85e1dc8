"""A fixed simple detector: traces are told, equal halves are not, no person is in both parts."""

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import norm

from pipelines.dataset.difficulty import (
    MIN_PAIRS,
    _held_out,
    _interval,
    _people,
    difficulties,
    difficulty_of,
    residuals,
)


def dataset(folder, alter, n=120, side=64):
    rng = np.random.default_rng(0)
    rows = []
    for half in ("real", "fake"):
        (folder / half).mkdir(parents=True)
    for i in range(n):
        coarse = rng.integers(30, 220, (8, 8, 3)).astype(np.uint8)
        photo = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
        photo = (photo + rng.normal(0, 6, photo.shape)).clip(0, 255).astype(np.uint8)
        for half, pixels in (("real", photo), ("fake", alter(photo, rng))):
            Image.fromarray(pixels).save(folder / half / f"{i}.png")
        rows.append((f"{i}", f"real/{i}.png", f"fake/{i}.png", "20-29", ("Female", "Male")[i % 2], "White"))
    return pd.DataFrame(rows, columns=["pair_id", "real", "fake", "age", "gender", "race"])


def moved_by_half_a_pixel(photo, rng):
    """Resampled inside alone, as a blend is; in a patch of a ninth of the picture."""
    side, out = photo.shape[0], photo.copy()
    inside = slice(side // 3, 2 * side // 3)
    out[inside, inside] = cv2.warpAffine(photo, np.float64([[1, 0, 0.5], [0, 1, 0.5]]), (side, side))[
        inside, inside
    ]
    return out


def test_a_blend_is_told_by_its_residuals_and_the_same_number_comes_again(tmp_path):
    pairs = dataset(tmp_path, moved_by_half_a_pixel)
    found = difficulty_of(tmp_path, pairs)
    assert found["auc"] > 0.9 and found["traces"]["residuals"] > 0.9
    assert found["low"] < found["auc"] <= found["high"]
    assert (found["n_train"], found["n_held_out"]) == (80, 40)
    assert {(g["attribute"], g["group"]) for g in found["groups"]} == {
        ("age", "20-29"), ("gender", "Female"), ("gender", "Male"), ("race", "White"),
    }  # fmt: skip
    both = difficulties(tmp_path, pairs.assign(kind="a"), ["a", "b"])
    assert both["a"] == found and both["b"]["auc"] is None


def test_equal_halves_are_not_told(tmp_path):
    found = difficulty_of(tmp_path, dataset(tmp_path, lambda photo, rng: photo))
    assert found["auc"] == 0.5 and found["traces"] == {"frequencies": 0.5, "residuals": 0.5}
    assert 0.3 < found["low"] < 0.5 < found["high"] < 0.7


def test_too_few_pairs_give_no_number(tmp_path):
    pairs = dataset(tmp_path, moved_by_half_a_pixel, n=MIN_PAIRS - 1)
    assert difficulty_of(tmp_path, pairs)["auc"] is None
    assert difficulty_of(tmp_path, pairs[:0])["n_held_out"] == 0


def test_pairs_that_all_hang_on_one_donor_give_no_number(tmp_path):
    pairs = dataset(tmp_path, moved_by_half_a_pixel, n=MIN_PAIRS).assign(donor="0")
    assert difficulty_of(tmp_path, pairs)["auc"] is None


def test_a_photo_its_twin_and_its_donors_lie_on_one_side():
    rows = [("a", "c", "1"), ("b", None, "2"), ("c", None, "3"), ("d", "x", "4"), ("e", "x", "5"),
            ("f", float("nan"), "2"), ("g", None, None), ("h", None, None)]  # fmt: skip
    people = _people(pd.DataFrame(rows, columns=["pair_id", "donor", "source_sha256"]))
    together = {tuple(np.flatnonzero(people == i)) for i in set(people)}
    assert together == {(0, 2), (1, 5), (3, 4), (6,), (7,)}
    held = _held_out(people)
    assert 2 <= held.sum() <= 4
    assert all(len(set(held[people == i])) == 1 for i in set(people))


def test_runs_that_differ_by_sign_or_direction_count_as_one():
    photo = np.random.default_rng(1).integers(0, 256, (32, 40, 3)).astype(np.uint8)
    for same in (photo[:, ::-1], photo[::-1], photo.transpose(1, 0, 2), 255 - photo):
        # luma of a negative rounds the other way where it lies half way between two levels
        assert residuals(same) == pytest.approx(residuals(photo), abs=0.02)
    assert residuals(photo).shape == (169,)
    assert (residuals(photo) ** 2).sum() == pytest.approx(1)


@pytest.mark.parametrize("truth", [0.5, 0.8, 0.98])
def test_the_interval_holds_the_truth(truth):
    """Scores of a pair go together, and every third photo shares its donor with the next."""
    rng, n, held = np.random.default_rng(3), 100, 0
    people = np.arange(n) - (np.arange(n) % 3 == 1)
    shift, sims = np.sqrt(2) * norm.ppf(truth), 400
    for _ in range(sims):
        common = rng.normal(size=n)[people] * np.sqrt(0.4)
        real, fake = (common + rng.normal(size=n) * np.sqrt(0.6) for _ in range(2))
        low, high = _interval(real, fake + shift, people)
        held += low <= truth <= high
    assert held / sims >= 0.93
