"""How precisely a network computes: bfloat16 where the hardware has it and the fakes stay the same.

A network and the device it will run on enter; "float32" or "bfloat16" leaves.

Why it is measured on the very weights: bfloat16 keeps eight bits of every product. Whether that is enough
depends on the trained numbers, not on the architecture: latents of a trained small network drifted by 0.09,
those of random weights of the 1024 px shape by 0.21. Four drawn faces are encoded and decoded both ways,
always the same four, so the answer hangs on the weights and not on which photos a run begins with.

Why a network made for CPUs stays in float32 there whatever it drifts: its runs take minutes, and the same
bytes whether or not a processor knows bfloat16 are worth more.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch.nn import functional as F

from pipelines.errors import SettingError
from pipelines.generators.encoder_decoder import EncoderDecoder
from pipelines.rendered import render_face

PRECISIONS: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CODE_TOLERANCE: Final = 0.15
"""Largest difference of a latent's entry, whose values are of order 1."""
IMAGE_TOLERANCE: Final = 0.06
"""Largest difference of a finished fake's value in [-1,1]: under 8 of 255 levels."""
_FACES: Final = (
    ("20-29", "Female", "Black"),
    ("30-39", "Male", "White"),
    ("3-9", "Female", "East Asian"),
    ("60-69", "Male", "Indian"),
)


@dataclass(frozen=True)
class Drift:
    """Largest absolute differences between float32 and bfloat16."""

    codes: float
    """Of W+."""
    image: float
    """Of finished fakes, in [-1,1]."""

    @property
    def is_tolerable(self) -> bool:
        """Whether bfloat16 may stand in for float32."""
        return self.codes <= CODE_TOLERANCE and self.image <= IMAGE_TOLERANCE


def bfloat16_is_native(device: str) -> bool:
    """Whether a device computes in bfloat16 itself, instead of imitating it slowly.

    Args:
        device: "cpu" or "cuda"; a GPU that is not here is taken to. A CPU is taken not to where PyTorch is
            too old to say what it can do.
    """
    if device == "cuda":
        return not torch.cuda.is_available() or torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def bfloat16_drift(network: EncoderDecoder) -> Drift:
    """Encode and decode four drawn faces in both precisions, on the network's own device."""
    rng = np.random.default_rng(0)
    faces = np.stack([render_face(*who, rng=rng, size_px=network.input_size_px) for who in _FACES])
    images = torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 127.5 - 1
    before = network.dtype
    try:
        network.dtype = torch.float32
        codes = network.encode(images)
        fakes = _finished(network, codes)
        network.dtype = torch.bfloat16
        return Drift(
            codes=float((network.encode(images) - codes).abs().max()),
            image=float((_finished(network, codes) - fakes).abs().max()),
        )
    finally:
        network.dtype = before


def choose_precision(asked: str, device: str, network: EncoderDecoder) -> tuple[str, Drift | None]:
    """Resolve "auto" to what the device and the weights allow.

    Args:
        asked: "auto", "float32" or "bfloat16".
        device: where the work will be done, "cpu" or "cuda".
        network: the generator.

    Returns:
        "float32" or "bfloat16", and the drift where it was measured.

    Raises:
        SettingError: another word.
    """
    if asked not in ("auto", *PRECISIONS):
        raise SettingError(f"--precision is {asked!r}; it must be one of auto, {', '.join(PRECISIONS)}")
    if asked != "auto":
        return asked, None
    if not bfloat16_is_native(device) or (device == "cpu" and network.is_light):
        return "float32", None
    drift = bfloat16_drift(network)
    return "bfloat16" if drift.is_tolerable else "float32", drift


def _finished(network: EncoderDecoder, codes: torch.Tensor) -> torch.Tensor:
    """Fakes of the crop's size, [B,3,C,C] in [-1,1], not yet rounded."""
    return F.adaptive_avg_pool2d(network.decode(codes), network.crop.size_px).clamp(-1, 1)
