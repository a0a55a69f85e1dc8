"""Latents: saved, read back, and changed on purpose.

W+ latents float32 [N,n_styles,style_dim] enter and leave. One safetensors file a shard holds the
encoder's own latents, before truncation or mixing, so that they can be decoded again differently.

Why one metadata key: a safetensors header keeps no order between keys, and the same latents must
give the same bytes.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pipelines.errors import PairsNotFound, SourceLost

FOLDER: Final = "latents"
_FINE_SHARE: Final = 4 / 9
"""Style mixing leaves the coarse styles alone: the first 8 of 18 in the published networks."""
_TENSOR: Final = "w_plus"
_MIXED: Final = "mixed with "
UNMIXED: Final = "not mixed: nobody else of this age, gender and race in the shard"
_CLAIM: Final = re.compile(rf"(?:^|; )(?:{_MIXED}[^;]*|{UNMIXED})$")


def pack(latents: np.ndarray, pair_ids: list[str]) -> bytes:
    """Latents float32 [N,n_styles,style_dim] and their pair_ids as the bytes of a safetensors file."""
    return save({_TENSOR: np.ascontiguousarray(latents)}, {"pair_ids": json.dumps(pair_ids)})


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
                shape = file.get_slice(_TENSOR).get_shape()
            if len(shape) != 3 or shape[0] != len(ids):
                raise ValueError(f"{shape} numbers for {len(ids)} pairs")
        except (SafetensorError, OSError, KeyError, ValueError) as fault:
            raise PairsNotFound(f"{path} does not hold latents of pairs: {fault}") from fault
        places.update({pair_id: (path, row) for row, pair_id in enumerate(ids)})
    if not places:
        raise PairsNotFound(f"no latents in {folder / FOLDER}; they are written by audit generate-pairs")
    return places


def shape_of(path: Path) -> tuple[int, int]:
    """Styles and their dimension of the latents in a file that `index` has found."""
    with safe_open(path, framework="np") as file:
        _, n_styles, style_dim = file.get_slice(_TENSOR).get_shape()
    return n_styles, style_dim


def fetch(places: list[tuple[str, int]]) -> np.ndarray:
    """Read single latents.

    Args:
        places: file and row of each.

    Returns:
        float32 [N,n_styles,style_dim], in the order asked for.

    Raises:
        SourceLost: a file went away, or was changed, since it was found.
    """
    loaded: dict[str, np.ndarray] = {}
    for path in dict.fromkeys(path for path, _ in places):
        try:
            with safe_open(path, framework="np") as file:
                loaded[path] = file.get_tensor(_TENSOR)
        except (SafetensorError, OSError) as fault:
            raise SourceLost(
                f"{path} cannot be read any more: {fault}; bring it back and run the same command again "
                "to continue"
            ) from fault
    return np.stack([loaded[path][row] for path, row in places])


def truncate(latents: torch.Tensor, average: torch.Tensor | None, psi: float) -> torch.Tensor:
    """Draw latents towards the average face: average + psi (latent - average).

    Source: Karras et al., "A style-based generator architecture", CVPR 2019, appendix B.
    """
    if psi == 1.0 or average is None:
        return latents
    centre = average.to(latents)
    return centre + psi * (latents - centre)


def partners(cells: Sequence[tuple[str, ...]], rng: np.random.Generator) -> np.ndarray:
    """For each person another one of the same cell, at random; oneself only where nobody else is in it.

    Args:
        cells: age, gender and race of each.
        rng: the source of chance; cells draw from it in their sorted order.

    Returns:
        int [N], everybody once.

    >>> partners([("a",), ("b",), ("a",)], np.random.default_rng(0)).tolist()
    [2, 1, 0]
    """
    places: dict[tuple[str, ...], list[int]] = {}
    for place, cell in enumerate(cells):
        places.setdefault(cell, []).append(place)
    other = np.arange(len(cells))
    for cell in sorted(places):
        order = rng.permutation(places[cell])
        other[order] = np.roll(order, 1)
    return other


def with_mixing(detail: str, partner: str | None) -> str:
    """A row's detail, and whom its styles were mixed with; None for nobody."""
    claim = UNMIXED if partner is None else f"{_MIXED}{partner}"
    return f"{detail}; {claim}" if detail else claim


def without_mixing(detail: str) -> str:
    """A row's detail as it was before `with_mixing`."""
    return _CLAIM.sub("", detail)


def mix(latents: torch.Tensor, other: np.ndarray, share: float) -> torch.Tensor:
    """Move the fine styles of each latent a `share` of the way to those of its partner."""
    if share == 0.0:
        return latents
    first = round(latents.shape[1] * _FINE_SHARE)
    mixed = latents.clone()
    mixed[:, first:] += share * (latents[torch.from_numpy(other)][:, first:] - latents[:, first:])
    return mixed
