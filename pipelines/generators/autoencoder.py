"""Fakes by a latent-diffusion autoencoder of the user's own: there and back.

A folder in the diffusers layout (config.json and diffusion_pytorch_model.safetensors of an AutoencoderKL)
enters; a `Generator` leaves.

Why the mode of the posterior and no scaling: a round trip needs neither chance nor the scaling factor, which
only brings latents to the range that a diffusion model likes (Rombach et al., "High-resolution image
synthesis with latent diffusion models", CVPR 2022).

Why the folder is checked before diffusers sees it: weights that are pickles hold code, and a config that
names another class would load something else.
Why diffusers sees a folder of our own, with the two files alone: an index of shards beside them would have it
load other weights than those whose sha256 the data set records.
"""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch

from pipelines.errors import AutoencoderError, PhotoError, UnreadableFile
from pipelines.extras import require
from pipelines.generators.compute import Fitting
from pipelines.generators.protocol import FaceCrop, Fake
from pipelines.storage import file_sha256
from pipelines.untrusted import MAX_SETTINGS_BYTES, first_line, read_json

CONFIG: Final = "config.json"
WEIGHTS: Final = "diffusion_pytorch_model.safetensors"
CLASS: Final = "AutoencoderKL"
MAX_LEVELS: Final = 16
"""Of block_out_channels: an image is halved once less; those that are published have four."""
_CODE: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".py")


def inspect_folder(folder: Path, size_px: int) -> dict[str, Any]:
    """What a plan says of an autoencoder, its folder checked, diffusers not loaded.

    Args:
        folder: in the diffusers layout.
        size_px: side of both halves.

    Returns:
        name, path, sha256 (of config and weights) and downsampling.

    Raises:
        MissingExtra: diffusers is not installed.
        AutoencoderError: a file is missing, it is another class, it holds code, or its
            downsampling does not divide the size.
    """
    require("--generator vae:FOLDER", "diffusers")
    config = read_config(folder)
    factor = 2 ** (len(config["block_out_channels"]) - 1)
    if size_px % factor:
        raise AutoencoderError(
            f"{folder} halves images {factor.bit_length() - 1} times; --size-px {size_px} is no multiple of "
            f"{factor}"
        )
    digests = [file_sha256(folder / name) for name in (CONFIG, WEIGHTS)]
    return {
        "name": f"{CLASS} {folder.name}",
        "path": str(folder.resolve()),
        "sha256": hashlib.sha256("".join(digests).encode()).hexdigest(),
        "downsampling": factor,
    }


def read_config(folder: Path) -> dict[str, Any]:
    """A folder's config.json, once everything that belongs to it is there and nothing else.

    Raises:
        AutoencoderError: see `inspect_folder`.
    """
    if not folder.is_dir():
        raise AutoencoderError(
            f"--generator vae:{folder}: no such folder; name one with {CONFIG} and {WEIGHTS}"
        )
    code = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in _CODE)
    if code:
        raise AutoencoderError(
            f"{folder} holds {code[0]}, which can hold code; give a folder with {WEIGHTS} alone"
        )
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise AutoencoderError(f"{folder} lacks {name}; an {CLASS} of diffusers has it")
    try:
        config = read_json(folder / CONFIG, MAX_SETTINGS_BYTES)
    except UnreadableFile as fault:
        raise AutoencoderError(f"--generator vae:{folder}: {fault}") from fault
    found = config.get("_class_name") if isinstance(config, dict) else None
    if found != CLASS:
        raise AutoencoderError(f"{folder / CONFIG} is of class {found!r}; only {CLASS} is known here")
    channels = config.get("block_out_channels")
    if not isinstance(channels, list) or not 1 <= len(channels) <= MAX_LEVELS:
        raise AutoencoderError(f"{folder / CONFIG} names no block_out_channels, 1 to {MAX_LEVELS} numbers")
    return config


class Autoencoder:
    """A `Generator` of an AutoencoderKL.

    Args:
        about: what the plan says of it.
        size_px: side of both halves.
        batch_size: the most images at once.
        device: torch device name.

    Raises:
        AutoencoderError: the folder is not what the run was planned with, or cannot be loaded.
    """

    def __init__(self, about: dict[str, Any], size_px: int, batch_size: int, device: str) -> None:
        folder = Path(about["path"])
        if inspect_folder(folder, size_px)["sha256"] != about["sha256"]:
            raise AutoencoderError(f"{folder} is not what this run was planned with; bring that one back")
        self.batch_size, self.device, self.name = batch_size, device, about["name"]
        self.network = _load(folder).to(device).eval()
        self.fitting = Fitting(batch_size)

    def fakes(self, shard: int, faces: Sequence[FaceCrop]) -> Iterator[list[Fake | PhotoError]]:
        """See `protocol.Generator`."""
        for start in range(0, len(faces), self.batch_size):
            crops = np.stack([face.pixels for face in faces[start : start + self.batch_size]])
            images = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1
            made = self.fitting.run(self._there_and_back, images).numpy()
            yield [Fake(pixels) for pixels in made]

    @torch.inference_mode()
    def _there_and_back(self, images: torch.Tensor) -> torch.Tensor:
        """Images float32 [B,3,S,S] in [-1,1] to fakes uint8 [B,S,S,3]."""
        latents = self.network.encode(images.to(self.device)).latent_dist.mode()
        decoded = self.network.decode(latents).sample
        if decoded.shape != images.shape or not decoded.isfinite().all():
            raise AutoencoderError(
                f"{self.name} gave {list(decoded.shape)}, or values that are not numbers, "
                f"for {list(images.shape)}"
            )
        levels = ((decoded + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return levels.permute(0, 2, 3, 1).contiguous()


def _refuse_larger_than_its_weights(folder: Path) -> None:
    """Lay the network out without memory: a config of a line can ask for more than any machine has.

    Raises:
        AutoencoderError: it has more numbers than the file of weights has bytes, or makes no network.
    """
    from diffusers import AutoencoderKL

    config = read_config(folder)
    layers = config.get("layers_per_block", 1)
    if not isinstance(layers, int) or not 1 <= layers <= MAX_LEVELS:
        raise AutoencoderError(
            f"{folder} cannot be loaded as {CLASS}: layers_per_block is no number from 1 to {MAX_LEVELS}"
        )
    try:
        with torch.device("meta"):
            network = AutoencoderKL.from_config(config)
    except Exception as fault:  # whatever a stranger's config makes a library do
        raise AutoencoderError(f"{folder} cannot be loaded as {CLASS}: {first_line(fault)}") from fault
    wanted, there = sum(p.numel() for p in network.parameters()), (folder / WEIGHTS).stat().st_size
    if wanted > there:
        raise AutoencoderError(
            f"{folder} cannot be loaded as {CLASS}: {CONFIG} asks for {wanted:,} numbers, and {WEIGHTS} has "
            f"{there:,} bytes"
        )


def _load(folder: Path) -> Any:
    """The network, from the config and the weights of a folder and nothing else in it, without the net.

    Raises:
        AutoencoderError: they do not fit each other, or lack something.
    """
    from diffusers import AutoencoderKL

    _refuse_larger_than_its_weights(folder)
    with TemporaryDirectory(prefix="audit-vae-") as place:
        try:
            shutil.copyfile(folder / CONFIG, Path(place) / CONFIG)
            (Path(place) / WEIGHTS).symlink_to((folder / WEIGHTS).resolve())
            network, found = AutoencoderKL.from_pretrained(
                place,
                use_safetensors=True,
                local_files_only=True,
                torch_dtype=torch.float32,
                low_cpu_mem_usage=False,
                output_loading_info=True,
            )
        except Exception as fault:  # whatever a stranger's config makes a library do
            raise AutoencoderError(
                f"{folder} cannot be loaded as {CLASS}: {first_line(fault).replace(place, str(folder))}"
            ) from fault
    if found["missing_keys"]:  # which diffusers would leave to chance
        raise AutoencoderError(
            f"{folder} cannot be loaded as {CLASS}: {WEIGHTS} lacks {min(found['missing_keys'])}"
        )
    return network
