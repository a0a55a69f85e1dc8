"""The embedded generator ready to use: face crops in, codes and fakes out.

Enters: a file of weights, safetensors, written by `pipelines.training.small`. Leaves: `SmallGenerator`.

Its latents hold both codes in one tensor: the rows of W+, then the spatial code's numbers in rows of the same
length (see `generators.encoder_decoder`).

Why it decodes few images at a time on a CPU: a layer's activations of a few images stay in the processor's
cache, those of sixteen do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipelines.errors import CheckpointFormatError
from pipelines.faces.align import TIGHT, Crop
from pipelines.generators.encoder_decoder import finished
from pipelines.generators.small.network import SmallConfig, SmallNetwork
from pipelines.storage import file_sha256
from pipelines.untrusted import parse_json

FORMAT: Final = "small"
SMALL_WEIGHTS: Final = Path(__file__).resolve().parents[2] / "weights" / "small.safetensors"
"""The embedded generator."""
_AT_ONCE: Final = 4
_SHOWN: Final = 3
"""Faults named in a message before it says how many more there are."""


class SmallGenerator:
    """Two encoders and a decoder with their weights.

    Args:
        path: the weights.
        device: torch device name.
        dtype: torch.float32, or torch.bfloat16 for autocast.
        compiled: let torch.compile fuse the operations.

    Raises:
        CheckpointFormatError: the file is missing, damaged, or not one of these weights.
    """

    is_light = True
    latent_avg: Tensor | None = None
    """Its mean latent lies beside the weights (`generators.mean_latent`)."""

    def __init__(
        self,
        path: str | Path = SMALL_WEIGHTS,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        compiled: bool = False,
    ) -> None:
        about, state = _read(Path(path))
        self.provenance: Mapping[str, Any] = {
            k: v for k, v in about.items() if k not in ("format", "name", "config", "crop")
        }
        self.name, self.sha256 = str(about["name"]), file_sha256(Path(path))
        self.device, self.dtype = torch.device(device), dtype
        self.config, self.network = _built(about, state, Path(path))
        self.crop: Crop = replace(TIGHT, size_px=self.config.size_px)
        self.network.eval().requires_grad_(False).to(self.device)
        self.network.to(memory_format=torch.channels_last)
        self._encode, self._decode = self.network.encode, self.network.decode
        if compiled:
            self._encode = torch.compile(self.network.encode, dynamic=True)
            self._decode = torch.compile(self.network.decode, dynamic=True)

    @property
    def input_size_px(self) -> int:
        """Side of the encoders' input."""
        return self.config.size_px

    @property
    def output_size_px(self) -> int:
        """Side of the decoder's output."""
        return self.config.size_px

    @property
    def style_shape(self) -> tuple[int, int]:
        """Rows of W+, and their length."""
        return self.config.n_styles, self.config.style_dim

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Rows of a latent, W+ and spatial code, and their length."""
        return self.config.n_styles + self.config.n_code_rows, self.config.style_dim

    @torch.inference_mode()
    def encode(self, images: Tensor) -> Tensor:
        """Images float32 [B,3,S,S] in [-1,1], S the input size, to latents float32 [B,n_rows,style_dim].

        Raises:
            ValueError: the images are not S x S.
        """
        if images.shape[-2:] != (self.input_size_px, self.input_size_px):
            raise ValueError(f"images are {tuple(images.shape)}; the encoders take {self.input_size_px} px")
        parts = []
        for part in images.to(self.device).split(self._at_once):
            with self._precision():
                w_plus, code = self._encode(part.contiguous(memory_format=torch.channels_last))
            rows = code.float().reshape(len(part), self.config.n_code_rows, self.config.style_dim)
            parts.append(torch.cat([w_plus.float(), rows], 1))
        return torch.cat(parts)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B,n_rows,style_dim] to images float32 [B,3,S,S], nominally in [-1,1], not clamped."""
        side, images = self.config.code_side_px, []
        for part in latents.to(self.device).split(self._at_once):
            w_plus, rows = part[:, : self.config.n_styles], part[:, self.config.n_styles :]
            code = rows.reshape(len(part), self.config.code_channels, side, side)
            with self._precision():
                made = self._decode(w_plus, code.contiguous(memory_format=torch.channels_last))
            images.append(made.float())
        return torch.cat(images)

    def fakes_from(self, latents: Tensor, side_px: int) -> Tensor:
        """Decode latents [B,n_rows,style_dim] to finished fakes, uint8 [B,side_px,side_px,3] on the CPU.

        Raises:
            EngineError: a value is not a number.
        """
        return finished(self.decode(latents), side_px)

    @property
    def _at_once(self) -> int:
        return _AT_ONCE if self.device.type == "cpu" else 4096

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def is_small(path: Path) -> bool:
    """Whether a file holds weights of this generator; False, too, where it cannot be read."""
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return _about(file.metadata()).get("format") == FORMAT
    except (SafetensorError, OSError, ValueError):
        return False


def _about(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    about = parse_json((metadata or {}).get("about", "{}"), "what it says of itself")
    return about if isinstance(about, dict) else {}


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a file says of itself, and its tensors in float32."""
    if not path.is_file():
        raise CheckpointFormatError(f"no generator weights at {path}; bring the file back")
    try:
        with safe_open(path, framework="pt") as file:
            about = _about(file.metadata())
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError) as fault:
        raise CheckpointFormatError(f"{path} cannot be read as safetensors: {fault}") from fault
    if about.get("format") != FORMAT:
        raise CheckpointFormatError(f"{path} does not hold weights of the embedded generator")
    return about, state


def _built(about: dict[str, Any], state: dict[str, Tensor], path: Path) -> tuple[SmallConfig, SmallNetwork]:
    """The network that a file describes, with its weights in place."""
    try:
        sizes: dict[str, Any] = parse_json(about["config"], "config")
        config = SmallConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()})  # type: ignore[arg-type]
        with torch.device("meta"):
            network = SmallNetwork(config)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as fault:
        raise CheckpointFormatError(
            f"{path}: the header does not describe its network ({fault!r})"
        ) from fault
    expected = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    found = {k: tuple(v.shape) for k, v in state.items()}
    faults = [f"{k} is {found.get(k, 'missing')}" for k in expected if expected[k] != found.get(k)]
    faults += [f"unexpected {k}" for k in found if k not in expected]
    faults += [f"{k} holds values that are not numbers" for k, v in state.items() if not v.isfinite().all()]
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise CheckpointFormatError(f"{path} does not fit its network: {'; '.join(faults[:_SHOWN])}{more}")
    network.load_state_dict(state, strict=True, assign=True)
    return config, network
