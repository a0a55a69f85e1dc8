"""Latents: saved, read back, and changed on purpose.

W+ latents float32 [N,n_styles,style_dim] enter and leave. One safetensors file a shard holds the
encoder's own latents, before truncation or mixing, so that they can be decoded again differently.

Why one metadata key: a safetensors header keeps no order between keys, and the same latents must
give the same bytes.
"""

import json
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pipelines.errors import PairsNotFound

FOLDER: Final = "latents"
_FINE_SHARE: Final = 4 / 9
"""Style mixing leaves the coarse styles alone: the first 8 of 18 in the published networks."""


def pack(latents: np.ndarray, pair_ids: list[str]) -> bytes:
    """Latents float32 [N,n_styles,style_dim] and their pair_ids as the bytes of a safetensors file."""
    return save({"w_plus": np.ascontiguousarray(latents)}, {"pair_ids": json.dumps(pair_ids)})


def index(folder: Path) -> dict[str, tuple[Path, int]]:
    """Where each pair's latent lies.

    Args:
        folder: a pairs dataset.

    Returns:
        pair_id to file and row.

    Raises:
        PairsNotFound: no readable latents there.
    """
    places: dict[str, tuple[Path, int]] = {}
    for path in sorted((folder / FOLDER).glob("*.safetensors")):
        try:
            with safe_open(path, framework="np") as file:
                ids = json.loads((file.metadata() or {})["pair_ids"])
        except (SafetensorError, OSError, KeyError, ValueError) as fault:
            raise PairsNotFound(f"{path} does not hold latents of pairs: {fault}") from fault
        places.update({pair_id: (path, row) for row, pair_id in enumerate(ids)})
    if not places:
        raise PairsNotFound(f"no latents in {folder / FOLDER}; they are written by audit generate-pairs")
    return places


def fetch(places: list[tuple[str, int]]) -> np.ndarray:
    """Read single latents.

    Args:
        places: file and row of each.

    Returns:
        float32 [N,n_styles,style_dim], in the order asked for.
    """
    loaded: dict[str, np.ndarray] = {}
    for path in dict.fromkeys(path for path, _ in places):
        with safe_open(path, framework="np") as file:
            loaded[path] = file.get_tensor("w_plus")
    return np.stack([loaded[path][row] for path, row in places])


def truncate(latents: torch.Tensor, average: torch.Tensor | None, psi: float) -> torch.Tensor:
    """Draw latents towards the average face: average + psi (latent - average).

    Source: Karras et al., "A style-based generator architecture", CVPR 2019, appendix B.
    """
    if psi == 1.0 or average is None:
        return latents
    centre = average.to(latents)
    return centre + psi * (latents - centre)


def partners(n: int, rng: np.random.Generator) -> np.ndarray:
    """For each of n people another one, at random; oneself only where n is 1.

    >>> sorted(partners(3, np.random.default_rng(0)).tolist())
    [0, 1, 2]
    """
    order = rng.permutation(n)
    other = np.empty(n, np.intp)
    other[order] = np.roll(order, 1)
    return other


def mix(latents: torch.Tensor, other: np.ndarray, share: float) -> torch.Tensor:
    """Move the fine styles of each latent a `share` of the way to those of its partner."""
    if share == 0.0:
        return latents
    first = round(latents.shape[1] * _FINE_SHARE)
    mixed = latents.clone()
    mixed[:, first:] += share * (latents[torch.from_numpy(other)][:, first:] - latents[:, first:])
    return mixed
