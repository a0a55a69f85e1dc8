"""Latent-diffusion autoencoders, on a small AutoencoderKL that is made here."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines.errors import AutoencoderError
from pipelines.generators.autoencoder import Autoencoder, inspect_folder
from pipelines.generators.protocol import FaceCrop
from pipelines.jobs.generation import generate_pairs

diffusers = pytest.importorskip("diffusers", reason="the extra [diffusers] is not installed")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 16, 16), latent_channels=4, norm_num_groups=4, sample_size=32,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        scaling_factor=0.18215,
    ).eval()  # fmt: skip


@pytest.fixture
def folder(network, tmp_path):
    network.save_pretrained(tmp_path / "tiny vae", safe_serialization=True)
    return tmp_path / "tiny vae"


def faces(n=3, side=32):
    pixels = np.random.default_rng(0).integers(0, 256, (n, side, side, 3)).astype(np.uint8)
    return [FaceCrop(str(i), p) for i, p in enumerate(pixels)]


def test_a_fake_is_the_posteriors_mode_decoded_without_scaling(network, folder):
    generator = Autoencoder(inspect_folder(folder, 32), 32, 2, "cpu")
    made = np.stack([fake.pixels for batch in generator.fakes(0, faces()) for fake in batch])
    images = torch.from_numpy(np.stack([f.pixels for f in faces()])).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        posterior = network.encode(images).latent_dist
        exact = network.decode(posterior.mean).sample.permute(0, 2, 3, 1).numpy()
    assert np.abs(np.clip((exact + 1) * 127.5, 0, 255) - made).max() <= 0.51
    again = np.stack([fake.pixels for batch in generator.fakes(1, faces()) for fake in batch])
    assert (made == again).all()


def test_a_dataset_of_it_carries_the_folders_name(folder, drawn, tmp_path):
    made = generate_pairs(
        drawn, tmp_path / "pairs", f"vae:{folder}", limit=4, size_px=64, device="cpu", workers=1
    )
    assert made.by_kind == {"vae-tiny-vae": {"ok": made.n_pairs}}
    assert made.n_pairs > 0


def spoil(folder, how):
    config = json.loads((folder / "config.json").read_text())
    if how == "no weights":
        (folder / "diffusion_pytorch_model.safetensors").unlink()
    elif how == "no config":
        (folder / "config.json").unlink()
    elif how == "not json":
        (folder / "config.json").write_text("{")
    elif how == "nested":
        (folder / "config.json").write_text('{"a":' * 100_000)
    elif how == "large":
        (folder / "config.json").write_text(" " * (1 << 20) + json.dumps(config))
    elif how == "levels":
        (folder / "config.json").write_text(json.dumps(config | {"block_out_channels": [8] * 20_000}))
    elif how == "channels":
        (folder / "config.json").write_text(json.dumps(config | {"block_out_channels": [8, 16, 1 << 20]}))
    elif how == "layers":
        (folder / "config.json").write_text(json.dumps(config | {"layers_per_block": 10**9}))
    elif how == "words":
        (folder / "config.json").write_text(json.dumps(config | {"down_block_types": {"a": None}}))
    elif how == "quantised":
        (folder / "config.json").write_text(json.dumps(config | {"quantization_config": ["a"]}))
    elif how == "lacking":
        weights = folder / "diffusion_pytorch_model.safetensors"
        kept = {k: v for k, v in load_file(weights).items() if k != "encoder.conv_in.weight"}
        save_file(kept, weights, {"format": "pt"})
    elif how == "class":
        (folder / "config.json").write_text(json.dumps(config | {"_class_name": "UNet2DModel"}))
    elif how == "code":
        (folder / "diffusion_pytorch_model.bin").write_bytes(b"")
    elif how == "damaged":
        (folder / "diffusion_pytorch_model.safetensors").write_bytes(b"\x00" * 64)
    elif how == "another":
        (folder / "config.json").write_text(json.dumps(config | {"block_out_channels": [16, 16, 32]}))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no weights", "lacks diffusion_pytorch_model.safetensors; an AutoencoderKL of diffusers has it"),
        ("no config", r"lacks config\.json"),
        ("not json", r"--generator vae:.*config\.json is not JSON: "),
        ("nested", r"--generator vae:.*config\.json is not JSON: nested too deeply"),
        ("large", r"config\.json is larger than 1,048,576 bytes"),
        ("levels", r"config\.json names no block_out_channels, 1 to 16 numbers"),
        ("class", "is of class 'UNet2DModel'; only AutoencoderKL is known here"),
        ("code", r"holds diffusion_pytorch_model\.bin, which can hold code"),
    ],
)
def test_a_folder_that_is_no_autoencoder_is_one_line_before_the_run(folder, how, message):
    spoil(folder, how)
    with pytest.raises(AutoencoderError, match=message):
        inspect_folder(folder, 32)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("damaged", "."),
        ("another", "."),
        (
            "channels",
            r"config\.json asks for [\d,]{15,} numbers, and diffusion_\S+ has [\d,]+ bytes",
        ),
        ("layers", "layers_per_block is no number from 1 to 16"),
        ("words", "."),
        ("quantised", "."),
        ("lacking", r"diffusion_pytorch_model\.safetensors lacks encoder\.conv_in\.weight"),
    ],
)
def test_what_does_not_fit_is_one_line(folder, how, why):
    spoil(folder, how)
    with pytest.raises(AutoencoderError, match=f"cannot be loaded as AutoencoderKL: {why}") as told:
        Autoencoder(inspect_folder(folder, 32), 32, 2, "cpu")
    assert len(str(told.value).splitlines()) == 1


def test_nothing_but_the_two_files_that_are_recorded_is_loaded(network, folder):
    """An index of shards makes diffusers prefer the weights that it names."""
    before = inspect_folder(folder, 32)
    weights = folder / "diffusion_pytorch_model.safetensors"
    others = {name: torch.zeros_like(each) for name, each in load_file(weights).items()}
    save_file(others, folder / "other.safetensors", {"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(others, "other.safetensors")}
    (folder / f"{weights.name}.index.json").write_text(json.dumps(index))
    shutil.copyfile(folder / "other.safetensors", folder / "diffusion_pytorch_model.fp16.safetensors")
    assert inspect_folder(folder, 32) == before
    loaded = Autoencoder(before, 32, 2, "cpu").network.state_dict()
    assert all(torch.equal(loaded[name], each) for name, each in network.state_dict().items())


def test_sizes_and_folders_that_make_no_sense(folder, tmp_path):
    with pytest.raises(AutoencoderError, match="halves images 2 times; --size-px 30 is no multiple of 4"):
        inspect_folder(folder, 30)
    with pytest.raises(AutoencoderError, match="no such folder"):
        inspect_folder(tmp_path / "gone", 32)
    about = inspect_folder(folder, 32)
    spoil(folder, "another")
    with pytest.raises(AutoencoderError, match="is not what this run was planned with"):
        Autoencoder(about, 32, 2, "cpu")
