"""Latent-diffusion autoencoders, on a small AutoencoderKL that is made here."""

import json

import numpy as np
import pytest
import torch

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
        ("not json", r"config\.json is not readable JSON"),
        ("class", "is of class 'UNet2DModel'; only AutoencoderKL is known here"),
        ("code", r"holds diffusion_pytorch_model\.bin, which can hold code"),
    ],
)
def test_a_folder_that_is_no_autoencoder_is_one_line_before_the_run(folder, how, message):
    spoil(folder, how)
    with pytest.raises(AutoencoderError, match=message):
        inspect_folder(folder, 32)


@pytest.mark.parametrize("how", ["damaged", "another"])
def test_weights_that_do_not_fit_are_one_line(folder, how):
    spoil(folder, how)
    with pytest.raises(AutoencoderError, match="cannot be loaded as AutoencoderKL"):
        Autoencoder(inspect_folder(folder, 32), 32, 2, "cpu")


def test_sizes_and_folders_that_make_no_sense(folder, tmp_path):
    with pytest.raises(AutoencoderError, match="halves images 2 times; --size-px 30 is no multiple of 4"):
        inspect_folder(folder, 30)
    with pytest.raises(AutoencoderError, match="no such folder"):
        inspect_folder(tmp_path / "gone", 32)
    about = inspect_folder(folder, 32)
    spoil(folder, "another")
    with pytest.raises(AutoencoderError, match="is not what this run was planned with"):
        Autoencoder(about, 32, 2, "cpu")
