"""A fixed small detector: coarse traces are told, equal halves are not, and the number is repeatable."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.dataset.difficulty import MIN_PAIRS, difficulty_of


def dataset(folder, alter, n=120, side=64):
    rng = np.random.default_rng(0)
    rows = []
    for half in ("real", "fake"):
        (folder / half).mkdir(parents=True)
    for i in range(n):
        coarse = rng.integers(30, 220, (8, 8, 3)).astype(np.uint8)
        photo = np.kron(coarse, np.ones((side // 8, side // 8, 1), np.uint8))
        photo = (photo + rng.normal(0, 6, photo.shape)).clip(0, 255).astype(np.uint8)
        for half, pixels in (("real", photo), ("fake", alter(photo, rng))):
            Image.fromarray(pixels).save(folder / half / f"{i}.png")
        rows.append((f"real/{i}.png", f"fake/{i}.png", "20-29", ("Female", "Male")[i % 2], "White"))
    return pd.DataFrame(rows, columns=["real", "fake", "age", "gender", "race"])


def smooth(photo, rng):
    return ((photo.astype(int) + np.roll(photo, 1, 0) + np.roll(photo, 1, 1)) // 3).astype(np.uint8)


@pytest.mark.usefixtures("one_thread")
def test_what_is_smoothed_is_told_and_the_same_number_comes_again(tmp_path):
    pairs = dataset(tmp_path, smooth)
    found = difficulty_of(tmp_path, pairs)
    assert found["auc"] > 0.9
    assert (found["n_train"], found["n_held_out"]) == (80, 40)
    assert {(g["attribute"], g["group"]) for g in found["groups"]} == {
        ("age", "20-29"), ("gender", "Female"), ("gender", "Male"), ("race", "White"),
    }  # fmt: skip
    assert difficulty_of(tmp_path, pairs)["auc"] == found["auc"]


@pytest.mark.usefixtures("one_thread")
def test_equal_halves_are_not_told(tmp_path):
    found = difficulty_of(tmp_path, dataset(tmp_path, lambda photo, rng: photo))
    assert found["auc"] == 0.5
    assert 0.0 < found["standard_error"] < 0.15


def test_too_few_pairs_give_no_number(tmp_path):
    pairs = dataset(tmp_path, smooth, n=MIN_PAIRS - 1)
    assert difficulty_of(tmp_path, pairs)["auc"] is None
    assert difficulty_of(tmp_path, pairs[:0])["n_held_out"] == 0
