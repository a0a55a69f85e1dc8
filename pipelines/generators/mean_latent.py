"""The latent that truncation draws towards.

A generator and its weights' path enter; its centre leaves, float32 [n_styles,style_dim], or None
where it has none.

Why a file beside the weights: the published checkpoints hold an average latent, the embedded one
was trained without. Its centre was measured afterwards (`pipelines.training.mean_latent`), and the file
names the sha256 of the weights it belongs to. It cannot be measured in a run: a shard's fakes must
not depend on the other shards.
"""

import hashlib
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open

from pipelines.errors import CheckpointFormatError
from pipelines.generators.encoder_decoder import EncoderDecoder
from pipelines.untrusted import parse_json

SUFFIX: Final = ".centre.safetensors"
"""Beside `small.safetensors` lies `small.centre.safetensors`."""
TENSOR: Final = "centre"


def centre_of(weights: str | Path, network: EncoderDecoder) -> torch.Tensor | None:
    """Find the centre of a generator.

    Args:
        weights: the weights' file.
        network: the network loaded from it.

    Returns:
        The average latent of the checkpoint, or that of the file beside it; None where there is
        neither, or the file belongs to other weights.

    Raises:
        CheckpointFormatError: the file beside it cannot be read as one.
    """
    if network.latent_avg is not None:
        return network.latent_avg
    beside = Path(weights).with_suffix(SUFFIX)
    if not beside.is_file():
        return None
    try:
        with safe_open(beside, framework="pt") as file:
            about = parse_json((file.metadata() or {})["about"], "about")
            if not isinstance(about, dict):
                raise ValueError("about is no record")
            centre: torch.Tensor = file.get_tensor(TENSOR).float()
    except (SafetensorError, OSError, KeyError, ValueError) as fault:
        raise CheckpointFormatError(
            f"{beside} does not hold an average latent ({fault}); bring the right file back, or take it away"
        ) from fault
    fits = tuple(centre.shape) == network.style_shape
    return centre if fits and about.get("weights_sha256") == network.sha256 else None


def digest_of(centre: torch.Tensor | None) -> str | None:
    """sha256 of a centre's numbers: another centre makes other fakes."""
    if centre is None:
        return None
    return hashlib.sha256(centre.cpu().contiguous().numpy().tobytes()).hexdigest()
