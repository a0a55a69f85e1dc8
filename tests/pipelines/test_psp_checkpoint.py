"""Weights from disk are checked to the last key, and nothing in them runs."""

from __future__ import annotations

import argparse
import os
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pipelines.errors import CheckpointFormatError
from pipelines.generators.psp.checkpoint import expected_shapes, read_checkpoint
from pipelines.generators.psp.config import official

SIZES = official(32)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Zeros in every place of the 32 px network; each tensor stores a single zero."""
    return {k: torch.zeros(1).expand(s) if s else torch.zeros(()) for k, s in expected_shapes(SIZES).items()}


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("shape", [(512,), (1, 512), (8, 512)])
def test_average_latent_of_every_seen_shape(
    tmp_path: Path, state: dict[str, torch.Tensor], shape: tuple[int, ...]
):
    average = torch.arange(512.0).expand(shape)
    path = saved(tmp_path / "a.pt", {"state_dict": state, "latent_avg": average})
    latent_avg = read_checkpoint(path).latent_avg
    assert latent_avg is not None
    assert torch.equal(latent_avg, torch.arange(512.0).expand(8, 512))


def test_no_average_latent(tmp_path: Path, state: dict[str, torch.Tensor]):
    assert read_checkpoint(saved(tmp_path / "a.pt", {"state_dict": state})).latent_avg is None


def test_options_in_a_namespace(tmp_path: Path, state: dict[str, torch.Tensor]):
    options = argparse.Namespace(output_size=8, dataset_type="ffhq_encode")
    checkpoint = read_checkpoint(saved(tmp_path / "a.pt", {"state_dict": state, "opts": options}))
    assert checkpoint.provenance["options"]["dataset_type"] == "ffhq_encode"
    assert checkpoint.crop.name == "ffhq"
    assert len(checkpoint.sha256) == 64


def test_size_comes_from_the_tensors(tmp_path: Path, state: dict[str, torch.Tensor]):
    path = saved(tmp_path / "a.pt", {"state_dict": state, "opts": {"output_size": 1024}})
    assert read_checkpoint(path).config == SIZES


def refused(path: Path, match: str) -> None:
    with pytest.raises(CheckpointFormatError, match=match):
        read_checkpoint(path)


def test_absent(tmp_path: Path):
    refused(tmp_path / "no.pt", r"no generator weights at .*no\.pt: give a pSp checkpoint, or 'small'")


def test_missing_key(tmp_path: Path, state: dict[str, torch.Tensor]):
    short = {k: v for k, v in state.items() if k != "decoder.conv1.noise.weight"}
    refused(
        saved(tmp_path / "a.pt", {"state_dict": short}),
        r"does not fit the pSp network of 32 px: missing decoder\.conv1\.noise\.weight$",
    )


def test_unexpected_key(tmp_path: Path, state: dict[str, torch.Tensor]):
    refused(
        saved(tmp_path / "a.pt", {"state_dict": state | {"decoder.extra": torch.zeros(1)}}),
        r"unexpected decoder\.extra$",
    )


def test_wrong_shape(tmp_path: Path, state: dict[str, torch.Tensor]):
    path = saved(tmp_path / "a.pt", {"state_dict": state | {"encoder.input_layer.1.bias": torch.zeros(3)}})
    refused(path, r"encoder\.input_layer\.1\.bias is \[3\], expected \[64\]$")


def test_wrong_average_latent(tmp_path: Path, state: dict[str, torch.Tensor]):
    path = saved(tmp_path / "a.pt", {"state_dict": state, "latent_avg": torch.zeros(7, 512)})
    refused(path, r"latent_avg is \[7, 512\], expected \[512\], \[1,512\] or \[8,512\]$")


def test_not_psp(tmp_path: Path):
    refused(saved(tmp_path / "a.pt", {"state_dict": {"fc.weight": torch.zeros(2)}}), r"no style heads")
    refused(saved(tmp_path / "b.pt", [1, 2]), r"expected a dict with 'state_dict', found list")


def test_truncated(tmp_path: Path, state: dict[str, torch.Tensor]):
    path = saved(tmp_path / "a.pt", {"state_dict": state})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, r"damaged or not a checkpoint")


class Bomb:
    """What an attacker pickles."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("write", ["torch", "pickle"])
def test_code_is_not_run(tmp_path: Path, write: str):
    marker, path = tmp_path / "ran", tmp_path / "a.pt"
    if write == "torch":
        torch.save({"state_dict": Bomb(marker)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(marker)))
    refused(path, r"nothing in it was run")
    assert not marker.exists()


@pytest.mark.parametrize("first", [b"", b"\x80\x02K\x01."])
def test_memory_out_of_nothing_is_refused_unread(tmp_path: Path, first: bytes):
    """In the first pickle of a file of the old form, or in a later one."""
    call = b"\x80\x02cbuiltins\nbytearray\n\x8a\x08" + (6 << 30).to_bytes(8, "little") + b"\x85R."
    (tmp_path / "a.pt").write_bytes(first + call)
    refused(tmp_path / "a.pt", r"names bytearray, which no weights need; refused, nothing in it was run")


def test_safetensors_of_something_else(tmp_path: Path):
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    refused(tmp_path / "a.safetensors", r"not one of a pSp generator")
    (tmp_path / "b.safetensors").write_bytes(b"nonsense")
    refused(tmp_path / "b.safetensors", re.escape("cannot be read as safetensors"))


def test_safetensors_with_a_strange_header(tmp_path: Path):
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", metadata={"format": "psp", "config": "{}"})
    refused(tmp_path / "a.safetensors", r"header does not describe a pSp network")


def test_a_missing_head_is_named(tmp_path: Path, state: dict[str, torch.Tensor]):
    short = {k: v for k, v in state.items() if k != "encoder.styles.7.linear.weight"}
    refused(saved(tmp_path / "a.pt", {"state_dict": short}), r"missing encoder\.styles\.7\.linear\.weight$")
    without = {k: v for k, v in state.items() if not k.startswith("encoder.styles.7.")}
    refused(
        saved(tmp_path / "b.pt", {"state_dict": without}), r"missing encoder\.styles\.7\.convs\.0\.weight; "
    )


@pytest.mark.slow
def test_half_precision_weights_are_brought_to_float32(tmp_path: Path, state: dict[str, torch.Tensor]):
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    checkpoint = read_checkpoint(saved(tmp_path / "a.pt", {"state_dict": half}))
    assert {v.dtype for v in checkpoint.state.values()} <= {torch.float32, torch.int64}


@pytest.mark.slow
def test_weights_that_are_not_numbers(tmp_path: Path, state: dict[str, torch.Tensor]):
    bad = state | {"decoder.conv1.activate.bias": torch.full((512,), torch.nan)}
    refused(
        saved(tmp_path / "a.pt", {"state_dict": bad}),
        r"decoder\.conv1\.activate\.bias holds values that are not numbers$",
    )
    bad_average = {"state_dict": state, "latent_avg": torch.full((512,), torch.inf)}
    refused(saved(tmp_path / "b.pt", bad_average), r"latent_avg holds values that are not numbers$")


def test_a_flipped_bit_is_found(tmp_path: Path, state: dict[str, torch.Tensor]):
    path = saved(tmp_path / "a.pt", {"state_dict": state | {"decoder.conv1.activate.bias": torch.ones(512)}})
    data = bytearray(path.read_bytes())
    data[data.index(torch.ones(512).numpy().tobytes()) + 100] ^= 1
    path.write_bytes(data)
    refused(path, r"damaged or not a checkpoint: the checksum of .* is wrong")


@pytest.mark.parametrize("junk", [b"abc", b"", b"\x80\x02}q", b"PK\x03\x04junk"])
def test_junk(tmp_path: Path, junk: bytes):
    (tmp_path / "a.pt").write_bytes(junk)
    refused(tmp_path / "a.pt", r"damaged or not a checkpoint|nothing in it was run")


def test_keys_that_are_not_names(tmp_path: Path):
    refused(
        saved(tmp_path / "a.pt", {"state_dict": {1: torch.zeros(2)}}), r"expected a dict with 'state_dict'"
    )
