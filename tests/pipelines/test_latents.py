"""Latents: kept, found again, truncated, mixed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import PairsNotFound
from pipelines.latents import fetch, index, mix, pack, partners, truncate


def test_round_trip(tmp_path):
    codes = np.random.default_rng(0).normal(size=(3, 8, 16)).astype(np.float32)
    folder = tmp_path / "latents"
    folder.mkdir()
    (folder / "shard-00000.safetensors").write_bytes(pack(codes[:2], ["a", "b"]))
    (folder / "shard-00001.safetensors").write_bytes(pack(codes[2:], ["c"]))
    places = index(tmp_path)
    assert {k: (p.name, i) for k, (p, i) in places.items()} == {
        "a": ("shard-00000.safetensors", 0), "b": ("shard-00000.safetensors", 1),
        "c": ("shard-00001.safetensors", 0),
    }  # fmt: skip
    again = fetch([(str(places[k][0]), places[k][1]) for k in ("c", "a")])
    assert np.array_equal(again, codes[[2, 0]])
    assert pack(codes, ["a", "b", "c"]) == pack(codes.copy(), ["a", "b", "c"])


def test_missing_or_foreign_files_are_named(tmp_path):
    with pytest.raises(PairsNotFound, match="no latents in"):
        index(tmp_path)
    (tmp_path / "latents").mkdir()
    (tmp_path / "latents" / "x.safetensors").write_bytes(b"nonsense")
    with pytest.raises(PairsNotFound, match=r"x\.safetensors does not hold latents"):
        index(tmp_path)


def test_truncation_by_hand():
    codes, average = torch.full((1, 2, 3), 4.0), torch.full((2, 3), 2.0)
    assert torch.equal(truncate(codes, average, 0.5), torch.full((1, 2, 3), 3.0))
    assert torch.equal(truncate(codes, average, 0.0)[0], average)
    assert truncate(codes, average, 1.0) is codes


def test_mixing_moves_fine_styles_alone():
    codes = torch.arange(2 * 18 * 4, dtype=torch.float32).reshape(2, 18, 4)
    half = mix(codes, np.array([1, 0]), 0.5)
    assert torch.equal(half[:, :8], codes[:, :8])
    assert torch.allclose(half[0, 8:], (codes[0, 8:] + codes[1, 8:]) / 2)
    assert torch.equal(mix(codes, np.array([1, 0]), 1.0)[0, 8:], codes[1, 8:])
    assert mix(codes, np.array([1, 0]), 0.0) is codes


@given(st.integers(2, 200), st.integers(0, 100))
def test_nobody_is_their_own_partner(n, seed):
    other = partners(n, np.random.default_rng(seed))
    assert sorted(other) == list(range(n))
    assert (other != np.arange(n)).all()
