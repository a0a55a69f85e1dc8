"""pSp weights from disk: the official `.pt` checkpoints and our own `.safetensors`.

Enters: a path. Leaves: a `Checkpoint`: sizes, named tensors, average latent, sha256, provenance.

Why nothing but tensors is ever unpickled: a checkpoint is a file from the internet. `.pt` files are read with
`weights_only=True`; the one class allowed beyond tensors is `argparse.Namespace`, in which upstream kept its
options. Sizes are read from the tensors themselves, every key and shape is compared, and whatever does not
fit is named.
"""

from __future__ import annotations

import argparse
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipelines.errors import CheckpointFormatError
from pipelines.faces.align import CROPS, FFHQ, Crop
from pipelines.generators.psp.config import PSPConfig, official
from pipelines.generators.psp.decoder import Decoder
from pipelines.generators.psp.encoder import Encoder
from pipelines.pickled import GrowingPickle, refuse_growing
from pipelines.storage import file_sha256
from pipelines.untrusted import parse_json

_SHOWN = 3
"""Faults named in a message before it says how many more there are."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights of one pSp network and what is known of them."""

    name: str
    sha256: str
    config: PSPConfig
    crop: Crop
    state: Mapping[str, Tensor]
    """Keys `encoder.…` and `decoder.…`, as in the official file."""
    latent_avg: Tensor | None
    """float32 [n_styles, style_dim], added to the encoder's codes; None if trained without."""
    provenance: Mapping[str, Any] = field(default_factory=dict)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read and check the weights of a pSp network.

    Args:
        path: an official pSp checkpoint (`.pt`) or one written by this project (`.safetensors`).

    Raises:
        CheckpointFormatError: no such file, not pSp, damaged, holding code, or of unexpected shapes.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointFormatError(f"no generator weights at {path}: give a pSp checkpoint, or 'small'")
    checkpoint = _from_safetensors(path) if path.suffix == ".safetensors" else _from_official(path)
    _check_shapes(checkpoint, path)
    return checkpoint


def _from_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise CheckpointFormatError(f"{path} cannot be read as safetensors: {error}") from error
    if header.get("format") != "psp":
        raise CheckpointFormatError(f"{path} is a safetensors file, but not one of a pSp generator")
    config = _config_from_header(header, path)
    return Checkpoint(
        name=header.get("name", path.stem),
        sha256=file_sha256(path),
        config=config,
        crop=CROPS[header["crop"]],
        state={k: v.float() if v.is_floating_point() else v for k, v in state.items()},
        latent_avg=None,
        provenance={k: v for k, v in sorted(header.items()) if k not in {"format", "config", "name", "crop"}},
    )


def _config_from_header(header: Mapping[str, str], path: Path) -> PSPConfig:
    try:
        sizes: dict[str, Any] = parse_json(header["config"], "config")
        CROPS[header["crop"]]
        return PSPConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()})  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointFormatError(
            f"{path}: the header does not describe a pSp network ({error!r})"
        ) from error


def _from_official(path: Path) -> Checkpoint:
    content = _unpickled(path)
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()
    ):
        raise CheckpointFormatError(
            f"{path} is not a pSp checkpoint: expected a dict with 'state_dict', found {_described(content)}"
        )
    config = _config_from_state(state, path)
    return Checkpoint(
        name=path.stem,
        sha256=file_sha256(path),
        config=config,
        crop=FFHQ,
        state={k: v.float() if v.is_floating_point() else v for k, v in state.items()},
        latent_avg=_latent_average(content.get("latent_avg"), config, path),
        provenance={"options": _plain_options(content.get("opts"))},
    )


def _unpickled(path: Path) -> Any:
    try:
        in_zip = _is_zip(path)
        if in_zip:
            _check_sums(path)
        refuse_growing(path)
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=in_zip)
    except GrowingPickle as refused:
        raise CheckpointFormatError(f"{path} {refused}") from None
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise CheckpointFormatError(
            f"{path} holds more than weights, or is not a checkpoint; nothing in it was run ({reason})"
        ) from error
    except Exception as error:  # a damaged pickle fails in every way there is
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointFormatError(f"{path} is damaged or not a checkpoint: {reason}") from error


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _check_sums(path: Path) -> None:
    """Compare every entry of a zip file with its checksum: torch maps the file and compares none.

    Raises:
        ValueError: an entry differs.
    """
    with zipfile.ZipFile(path) as file:
        damaged = file.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} is wrong")


def _described(content: Any) -> str:
    return (
        f"a dict with {sorted(map(str, content))[:5]}"
        if isinstance(content, dict)
        else type(content).__name__
    )


def _config_from_state(state: Mapping[str, Tensor], path: Path) -> PSPConfig:
    """The published size that the numbering of style heads and noise buffers reaches up to."""
    heads, noises = (
        _highest(state, p) for p in (r"encoder\.styles\.(\d+)\.", r"decoder\.noises\.noise_(\d+)$")
    )
    if heads < 0:
        raise CheckpointFormatError(
            f"{path} is not a pSp checkpoint: it has no style heads (encoder.styles.*)"
        )
    n_styles = max(heads + 1, noises + 2)
    try:
        return official(2 ** ((n_styles + 2) // 2))
    except ValueError as error:
        raise CheckpointFormatError(f"{path}: no published pSp size fits ({error})") from error


def _highest(state: Mapping[str, Tensor], pattern: str) -> int:
    """The highest number in the keys that match; -1 where none does."""
    return max((int(found[1]) for key in state if (found := re.match(pattern, key))), default=-1)


def _latent_average(value: Any, config: PSPConfig, path: Path) -> Tensor | None:
    if value is None:
        return None
    n, dim = config.n_styles, config.style_dim
    if not isinstance(value, Tensor) or tuple(value.shape) not in {(dim,), (1, dim), (n, dim)}:
        shape = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise CheckpointFormatError(
            f"{path}: latent_avg is {shape}, expected [{dim}], [1,{dim}] or [{n},{dim}]"
        )
    return value.float().expand(n, dim).clone()


def _plain_options(options: Any) -> dict[str, str]:
    values = vars(options) if isinstance(options, argparse.Namespace) else options
    return {str(k): str(v) for k, v in values.items()} if isinstance(values, dict) else {}


def expected_shapes(config: PSPConfig) -> dict[str, tuple[int, ...]]:
    """Key to shape of every tensor a checkpoint of this configuration holds."""
    with torch.device("meta"):
        nets = {"encoder": Encoder(config), "decoder": Decoder(config)}
    return {f"{part}.{k}": tuple(v.shape) for part, net in nets.items() for k, v in net.state_dict().items()}


def _check_shapes(checkpoint: Checkpoint, path: Path) -> None:
    expected = expected_shapes(checkpoint.config)
    found = {k: tuple(v.shape) for k, v in checkpoint.state.items()}
    faults = [f"missing {k}" for k in expected if k not in found]
    faults += [f"unexpected {k}" for k in found if k not in expected]
    faults += [
        f"{k} is {list(found[k])}, expected {list(shape)}"
        for k, shape in expected.items()
        if k in found and found[k] != shape
    ]
    if not faults:
        faults = [
            f"{k} holds values that are not numbers" for k, v in _floats(checkpoint) if not v.isfinite().all()
        ]
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        side = checkpoint.config.output_size_px
        raise CheckpointFormatError(
            f"{path} does not fit the pSp network of {side} px: {'; '.join(faults[:_SHOWN])}{more}"
        )


def _floats(checkpoint: Checkpoint) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a checkpoint that could hold NaN."""
    named = {**checkpoint.state, "latent_avg": checkpoint.latent_avg}
    return ((k, v) for k, v in named.items() if v is not None and v.is_floating_point())
