"""Latents: saved, read back, and changed on purpose.

Latents float32 [N,n_rows,style_dim] enter and leave: first W+, a row for each style; then, where a generator
has a spatial code too, that code in rows of the same length. One safetensors file a shard holds the encoder's
own latents, before truncation or mixing, so that they can be decoded again differently: W+ as the tensor
`w_plus`, the spatial code as `spatial`.

Why truncation and mixing leave the spatial code alone: it says where things are, and half of one face's
places with half of another's is two faces. Styles are what may be averaged (Karras et al., CVPR 2019).

Why one metadata key: a safetensors header keeps no order between keys, and the same latents must
give the same bytes.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pipelines.errors import PairsNotFound, SourceLost
from pipelines.places import complete
from pipelines.untrusted import parse_json

FOLDER: Final = "latents"
_FINE_SHARE: Final = 4 / 9
"""Style mixing leaves the coarse styles alone: the first 8 of 18 in the published networks."""
_STYLES: Final = "w_plus"
_SPATIAL: Final = "spatial"
_MIXED: Final = "mixed with "
UNMIXED: Final = "not mixed: nobody else of this age, gender and race in the shard"
_CLAIM: Final = re.compile(rf"(?:^|; )(?:{_MIXED}[^;]*|{UNMIXED})$")


def pack(latents: np.ndarray, pair_ids: list[str], n_styles: int | None = None) -> bytes:
    """Latents as the bytes of a safetensors file.

    Args:
        latents: float32 [N,n_rows,style_dim].
        pair_ids: of each.
        n_styles: rows of W+; None where there are no others.
    """
    tensors = {_STYLES: np.ascontiguousarray(latents[:, :n_styles])}
    if n_styles is not None and n_styles < latents.shape[1]:
        tensors[_SPATIAL] = np.ascontiguousarray(latents[:, n_styles:])
    return save(tensors, {"pair_ids": json.dumps(pair_ids)})


def index(folder: Path) -> dict[str, tuple[Path, int]]:
    """Where each pair's latent lies.

    Args:
        folder: a pairs dataset.

    Returns:
        pair_id to file and row.

    Raises:
        PairsNotFound: no readable latents there.
    """
    complete(folder / FOLDER)
    places: dict[str, tuple[Path, int]] = {}
    for path in sorted((folder / FOLDER).glob("*.safetensors")):
        try:
            with safe_open(path, framework="np") as file:
                ids = parse_json((file.metadata() or {})["pair_ids"], f"pair_ids of {path}")
                if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
                    raise ValueError("pair_ids is no list of names")
                for tensor in _tensors(file):
                    shape = file.get_slice(tensor).get_shape()
                    if len(shape) != 3 or shape[0] != len(ids):
                        raise ValueError(f"{shape} numbers for {len(ids)} pairs")
        except (SafetensorError, OSError, KeyError, ValueError) as fault:
            raise PairsNotFound(f"{path} does not hold latents of pairs: {fault}") from fault
        places.update({pair_id: (path, row) for row, pair_id in enumerate(ids)})
    if not places:
        raise PairsNotFound(f"no latents in {folder / FOLDER}; they are written by audit generate-pairs")
    return places


def shape_of(path: Path) -> tuple[int, int]:
    """Rows and their length of the latents in a file that `index` has found."""
    with safe_open(path, framework="np") as file:
        shapes = [file.get_slice(tensor).get_shape() for tensor in _tensors(file)]
    return sum(shape[1] for shape in shapes), shapes[0][2]


def fetch(places: list[tuple[str, int]]) -> np.ndarray:
    """Read single latents.

    Args:
        places: file and row of each.

    Returns:
        float32 [N,n_rows,style_dim], in the order asked for.

    Raises:
        SourceLost: a file went away, or was changed, since it was found.
    """
    loaded: dict[str, np.ndarray] = {}
    for path in dict.fromkeys(path for path, _ in places):
        try:
            with safe_open(path, framework="np") as file:
                loaded[path] = np.concatenate([file.get_tensor(tensor) for tensor in _tensors(file)], 1)
        except (SafetensorError, OSError, ValueError) as fault:
            raise SourceLost(
                f"{path} cannot be read any more: {fault}; bring it back and run the same command again "
                "to continue"
            ) from fault
    return np.stack([loaded[path][row] for path, row in places])


def _tensors(file: Any) -> list[str]:
    """Names of a file's tensors in a latent's order."""
    return [_STYLES, _SPATIAL] if _SPATIAL in file.keys() else [_STYLES]  # noqa: SIM118 (not a dict)


def truncate(latents: torch.Tensor, average: torch.Tensor | None, psi: float) -> torch.Tensor:
    """Draw styles towards the average face's: average + psi (style - average).

    Args:
        latents: [N,n_rows,style_dim].
        average: [n_styles,style_dim]; rows beyond these are left as they are.
        psi: 1 changes nothing, 0 makes every style the average's.

    Source: Karras et al., "A style-based generator architecture", CVPR 2019, appendix B.
    """
    if psi == 1.0 or average is None:
        return latents
    centre = average.to(latents)
    styles = centre + psi * (latents[:, : len(centre)] - centre)
    return torch.cat([styles, latents[:, len(centre) :]], 1)


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


def n_coarse_styles(n_styles: int) -> int:
    """How many styles, the coarsest, mixing leaves alone.

    >>> n_coarse_styles(18)
    8
    """
    return round(n_styles * _FINE_SHARE)


def mix(latents: torch.Tensor, other: np.ndarray, share: float, n_styles: int | None = None) -> torch.Tensor:
    """Move the fine styles of each latent a `share` of the way to those of its partner.

    Args:
        latents: [N,n_rows,style_dim].
        other: int [N], each one's partner.
        share: 0 to 1.
        n_styles: rows that are styles; None for all.
    """
    if share == 0.0:
        return latents
    n = latents.shape[1] if n_styles is None else n_styles
    fine, mixed = slice(n_coarse_styles(n), n), latents.clone()
    mixed[:, fine] += share * (latents[torch.from_numpy(other)][:, fine] - latents[:, fine])
    return mixed
