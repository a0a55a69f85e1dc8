"""Latents: kept, found again, truncated, mixed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from pipelines.errors import PairsNotFound, SourceLost
from pipelines.generators.latents import fetch, index, mix, pack, partners, shape_of, truncate, without_mixing


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


def test_styles_and_spatial_code_are_two_tensors_of_one_latent(tmp_path):
    codes = np.random.default_rng(0).normal(size=(2, 11, 4)).astype(np.float32)
    (tmp_path / "latents").mkdir()
    file = tmp_path / "latents" / "x.safetensors"
    file.write_bytes(pack(codes, ["a", "b"], n_styles=3))
    assert {k: v.shape for k, v in load_file(file).items()} == {"w_plus": (2, 3, 4), "spatial": (2, 8, 4)}
    assert shape_of(file) == (11, 4)
    assert set(index(tmp_path)) == {"a", "b"}
    assert np.array_equal(fetch([(str(file), 1), (str(file), 0)]), codes[::-1])
    assert pack(codes, ["a", "b"], 11) == pack(codes, ["a", "b"]), (
        "no rows beyond the styles: no second tensor"
    )


def test_missing_or_foreign_files_are_named(tmp_path):
    with pytest.raises(PairsNotFound, match="no latents in"):
        index(tmp_path)
    (tmp_path / "latents").mkdir()
    (tmp_path / "latents" / "x.safetensors").write_bytes(b"nonsense")
    with pytest.raises(PairsNotFound, match=r"x\.safetensors does not hold latents"):
        index(tmp_path)


def test_rows_without_a_pair_are_no_latents(tmp_path):
    codes = np.zeros((2, 8, 16), np.float32)
    (tmp_path / "latents").mkdir()
    file = tmp_path / "latents" / "x.safetensors"
    file.write_bytes(pack(codes, ["a", "b"]))
    assert shape_of(file) == (8, 16)
    for wrong in (pack(codes, ["a"]), pack(codes[0], ["a", "b"]), pack(codes, ["a", "b"])[:-9]):
        file.write_bytes(wrong)
        with pytest.raises(PairsNotFound, match=r"x\.safetensors does not hold latents"):
            index(tmp_path)


def test_latents_that_go_away_are_a_lost_source(tmp_path):
    with pytest.raises(SourceLost, match=r"x\.safetensors .*run the same command again"):
        fetch([(str(tmp_path / "x.safetensors"), 0)])


@pytest.mark.parametrize(
    ("detail", "left"),
    [
        ("mixed with train-000003", ""),
        ("taken as sRGB; mixed with train-000003", "taken as sRGB"),
        ("not mixed: nobody else of this age, gender and race in the shard", ""),
        ("taken as sRGB", "taken as sRGB"),
        ("", ""),
    ],
)
def test_claims_of_mixing_are_taken_back(detail, left):
    assert without_mixing(detail) == left


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


def test_truncation_and_mixing_leave_the_spatial_code_alone():
    codes = torch.arange(2 * 12 * 4, dtype=torch.float32).reshape(2, 12, 4)
    drawn = truncate(codes, torch.zeros(9, 4), 0.0)
    assert not drawn[:, :9].any()
    assert torch.equal(drawn[:, 9:], codes[:, 9:])
    mixed = mix(codes, np.array([1, 0]), 1.0, n_styles=9)
    assert torch.equal(mixed[:, :4], codes[:, :4])
    assert torch.equal(mixed[:, 4:9], codes.flip(0)[:, 4:9])
    assert torch.equal(mixed[:, 9:], codes[:, 9:])


@given(st.lists(st.sampled_from("abcde"), max_size=60), st.integers(0, 100))
def test_partners_are_others_of_the_same_cell(cells, seed):
    other = partners([(c,) for c in cells], np.random.default_rng(seed))
    assert sorted(other) == list(range(len(cells)))
    assert [cells[i] for i in other] == cells
    alone = [cells.count(c) == 1 for c in cells]
    assert (other == np.arange(len(cells))).tolist() == alone
