"""Any encoder-decoder generator by its name or file.

A word or a path enters; a generator leaves.
"""

from pathlib import Path

import torch

from pipelines.generators.encoder_decoder import EncoderDecoder
from pipelines.generators.psp import load_psp
from pipelines.generators.small import SMALL_WEIGHTS, SmallGenerator, is_small

EMBEDDED = "small"


def weights_of(asked: str | Path) -> Path:
    """The file of a generator's weights: "small" names the embedded one's."""
    return SMALL_WEIGHTS if str(asked) == EMBEDDED else Path(asked)


def load_generator(
    asked: str | Path = EMBEDDED,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    compiled: bool = False,
) -> EncoderDecoder:
    """Load a generator.

    Args:
        asked: "small", or a file: weights like the embedded generator's, or a pSp checkpoint.
        device: torch device name.
        dtype: torch.float32, or torch.bfloat16 for autocast.
        compiled: let torch.compile fuse the network's operations, on its first use.

    Raises:
        CheckpointFormatError: the file is missing, damaged or neither of the two.
    """
    path = weights_of(asked)
    if path == SMALL_WEIGHTS or is_small(path):
        return SmallGenerator(path, device, dtype, compiled)
    return load_psp(path, device, dtype, compiled)
