"""A pSp network ready to use: face crops in, latents and fakes out.

Enters: a checkpoint's path. Leaves: `PSP` with `encode`, `decode` and `fakes_from`.

Why the fake is brought to the crop's size before anything else sees it: the pair is judged at one size, and
the real half exists at the crop's. The 1024 px official model is area-averaged to 256 px (as upstream does
for its own comparisons). Values are rounded to uint8, never truncated: upstream's truncation darkens every
fake by half a level, which a detector can learn.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipelines.faces.align import Crop
from pipelines.generators.encoder_decoder import finished
from pipelines.generators.psp.checkpoint import Checkpoint, read_checkpoint
from pipelines.generators.psp.compiled import Compiled
from pipelines.generators.psp.config import PSPConfig
from pipelines.generators.psp.decoder import Decoder, ModulatedConv
from pipelines.generators.psp.encoder import Encoder
from pipelines.generators.psp.fuse import fold_norms, group_heads

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Options of glibc's mallopt(3)."""
_LARGE_PX = 256


class PSP:
    """An encoder and a decoder with shared sizes.

    Attributes:
        name: of the checkpoint.
        sha256: of the checkpoint's file.
        config: all sizes.
        crop: the geometry of the crops it was trained on.
        provenance: what the checkpoint says of itself.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        compiled: bool = False,
    ) -> None:
        self.name, self.sha256 = checkpoint.name, checkpoint.sha256
        self.config: PSPConfig = checkpoint.config
        self.crop: Crop = checkpoint.crop
        self.provenance: Mapping[str, Any] = checkpoint.provenance
        self.device, self.dtype = torch.device(device), dtype
        with torch.device("meta"):
            self.encoder, self.decoder = Encoder(self.config), Decoder(self.config)
        for part, net in (("encoder.", self.encoder), ("decoder.", self.decoder)):
            weights = {k[len(part) :]: v for k, v in checkpoint.state.items() if k.startswith(part)}
            net.load_state_dict(weights, strict=True, assign=True)
            net.eval().requires_grad_(False).to(self.device)
        fold_norms(self.encoder)
        group_heads(self.encoder)
        for net in (self.encoder, self.decoder):
            _channels_last(net)
        self._run_encoder = Compiled(self.encoder) if compiled else self.encoder
        self._run_decoder = Compiled(self.decoder) if compiled else self.decoder
        average = checkpoint.latent_avg
        self.latent_avg = None if average is None else average.to(self.device)

    @property
    def input_size_px(self) -> int:
        """Side of the encoder's input."""
        return self.config.input_size_px

    @property
    def output_size_px(self) -> int:
        """Side of the decoder's output."""
        return self.config.output_size_px

    @property
    def is_light(self) -> bool:
        """Whether float32 takes milliseconds an image on a CPU: no published network does."""
        return self.output_size_px < _LARGE_PX

    @property
    def style_shape(self) -> tuple[int, int]:
        """Rows of W+, and their length."""
        return self.config.n_styles, self.config.style_dim

    latent_shape = style_shape
    """W+ is all that there is."""

    @torch.inference_mode()
    def encode(self, images: Tensor) -> Tensor:
        """Images float32 [B,3,N,N] in [-1,1], N the input size, to W+ float32 [B,n_styles,style_dim].

        The checkpoint's average latent, where it has one, is added.

        Raises:
            ValueError: the images are not N x N.
        """
        images = images.to(self.device).contiguous(memory_format=torch.channels_last)
        with self._precision():
            codes = self._run_encoder(images).float()
        return codes if self.latent_avg is None else codes + self.latent_avg

    @torch.inference_mode()
    def decode(self, w_plus: Tensor) -> Tensor:
        """W+ float32 [B,n_styles,style_dim] to images float32 [B,3,S,S], nominally in [-1,1], not clamped."""
        w_plus = w_plus.to(self.device)
        parts = w_plus.split(1) if self._one_by_one else (w_plus,)
        with self._precision():
            return torch.cat([self._run_decoder(part).float() for part in parts])

    def fakes_from(self, w_plus: Tensor, side_px: int) -> Tensor:
        """Decode latents [B,n_styles,style_dim] to finished fakes, uint8 [B,side_px,side_px,3] on the CPU.

        Raises:
            EngineError: a value is not a number.
        """
        return finished(self.decode(w_plus), side_px)

    @property
    def _one_by_one(self) -> bool:
        """On a CPU a large image keeps every core busy, and alone it needs fewer passes (`for_one`)."""
        return self.device.type == "cpu" and self.output_size_px >= 256

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


def keep_memory() -> bool:
    """Tell glibc to keep freed memory instead of giving it back to the kernel; True where that worked.

    Large activations are mapped anew for every layer otherwise, and the page faults cost more than the
    arithmetic (a factor of about three in the 1024 px decoder). A process-wide setting: whoever owns the
    process calls it. Workers of `pipelines.engines.local` get the same through their environment.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        return bool(libc.mallopt(_M_MMAP_MAX, 0)) and bool(libc.mallopt(_M_TRIM_THRESHOLD, -1))
    except (OSError, AttributeError):  # not glibc
        return False


def load_psp(
    path: str | Path,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    compiled: bool = False,
) -> PSP:
    """Load a pSp network.

    Args:
        path: a checkpoint, `.pt` official or `.safetensors` of this project's own training.
        device: torch device name.
        dtype: torch.float32, or torch.bfloat16 for autocast.
        compiled: let torch.compile fuse the network's operations, on its first use (see `psp.compiled`).

    Raises:
        CheckpointFormatError: the file is missing, damaged or not a pSp checkpoint.
    """
    return PSP(read_checkpoint(path), device, dtype, compiled)


def _channels_last(net: torch.nn.Module) -> None:
    """Lay every weight out as the convolutions of channels-last images read it.

    Modulated weights too: with a single tensor in the other layout PyTorch takes the whole image there and
    back. A transposed convolution reads its weights with the output's channels innermost.
    """
    for module in net.modules():
        inner = 1 if isinstance(module, ModulatedConv) and module.upsample else -3
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            if tensor.dim() >= 4:
                tensor.data = tensor.data.movedim(inner, -1).contiguous().movedim(-1, inner)
