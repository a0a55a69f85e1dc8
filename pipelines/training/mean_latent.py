"""The centre that truncation draws styles towards, for a generator trained without an average latent.

Enters: the finished weights and a crops folder. Leaves: `small.centre.safetensors`, the mean W+ of the
photos that trained the generator, tied to the weights by their sha256.

Why the mean over training photos: it must be one latent among those of faces, the same for every shard of
every run, and known before a run begins. StyleGAN's own average is a mean over its training's latents, too.
Rendered faces are left out. Groups weigh as they did in training: no face is neutral, and what is drawn
towards this one takes on its skin colour.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from pipelines.generators.encoder_decoder import EncoderDecoder, resized
from pipelines.generators.loading import load_generator
from pipelines.generators.mean_latent import TENSOR
from pipelines.generators.training_photos import TrainingList, training_list
from pipelines.storage import write_bytes

_BATCH = 32
_ATTRIBUTION = "Mean latent of photos of FairFace (Karkkainen and Joo, WACV 2021, CC BY 4.0)."


def training_crops(folder: Path, trained: TrainingList, limit: int | None = None) -> np.ndarray:
    """Exact crops (uint8 [N,S,S,3]) of the photos in a crops folder that trained a generator.

    Args:
        folder: written by `pipelines.training.crops`.
        trained: the generator's training photos.
        limit: at most so many, evenly spaced in the folder's order; None for all.

    Returns:
        The crops of photographs, in the folder's order; drawn faces and other photos are left out.

    Raises:
        ValueError: none of the photos is one of them.
    """
    rows = json.loads((folder / "crops.json").read_text())
    places = [i for i, row in enumerate(rows) if trained.holds(row["sha256"]) and not row["rendered"]]
    if not places:
        raise ValueError(f"no photo in {folder} is one that trained the generator")
    if limit is not None and limit < len(places):
        places = [places[i] for i in np.linspace(0, len(places) - 1, limit).astype(int)]
    crops = np.load(folder / "crops.npy", mmap_mode="r")
    return np.stack([crops[i, 0] for i in places])


def mean_latent(network: EncoderDecoder, crops: np.ndarray) -> torch.Tensor:
    """Mean of the styles of crops.

    Args:
        network: the generator.
        crops: uint8 [N,S,S,3], S a multiple of the network's input size.

    Returns:
        float32 [n_styles,style_dim], summed in float64.
    """
    total = torch.zeros(network.style_shape, dtype=torch.float64)
    for start in range(0, len(crops), _BATCH):
        images = torch.from_numpy(crops[start : start + _BATCH]).permute(0, 3, 1, 2).float() / 127.5 - 1
        latents = network.encode(resized(images, network.input_size_px))
        total += latents[:, : len(total)].cpu().double().sum(0)
    return (total / len(crops)).float()


def write_centre(weights: Path, folder: Path, out: Path, limit: int | None = None) -> int:
    """Compute and write the centre of a generator; returns the number of photos in it."""
    network = load_generator(weights)
    crops = training_crops(folder, training_list(weights, network.provenance), limit)
    about = {"weights_sha256": network.sha256, "n_photos": len(crops), "attribution": _ATTRIBUTION}
    centre = mean_latent(network, crops)
    write_bytes(out, save({TENSOR: centre}, {"about": json.dumps(about)}))
    return len(crops)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("weights", type=Path, help="small.safetensors, its photo list beside it")
    parser.add_argument(
        "--crops", type=Path, required=True, help="folder written by pipelines.training.crops"
    )
    parser.add_argument("--out", type=Path, required=True, help="small.centre.safetensors")
    parser.add_argument("--limit", type=int, help="at most so many photos; all without")
    given = parser.parse_args()
    print(f"mean of {write_centre(given.weights, given.crops, given.out, given.limit)} photos")


if __name__ == "__main__":
    main()
