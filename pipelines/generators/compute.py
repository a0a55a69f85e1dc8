"""How a worker process computes: exactly, repeatably, and within the memory there is.

Nothing but settings of PyTorch and sizes enter; a batch's results leave.

Why TF32 is off and cuDNN deterministic: "float32" in a provenance must mean float32 (TF32 keeps ten bits
of it, and PyTorch uses it for convolutions unless told otherwise), and a run that was killed must end with
the bytes of one that was not. (A GPU whose memory runs out makes its batches smaller, and a network's last
bits depend on the batch: there the promise ends.) Whoever wants speed asks for bfloat16 and finds it in the
provenance.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor

LANES_PER_GPU: Final = 4
"""Workers that share a GPU: while one reads, aligns and writes, the others keep it busy."""
_WEIGHT_BYTES: Final = 2.5e9
"""Of the official network in float32, with a CUDA context beside it."""
_BYTES_PER_PIXEL: Final = 6 * 32 * 4
"""Of the output, for each image of a batch: six maps of 32 float32 channels in the last layers at once."""


def normal(*shape: int, over: float = 1.0) -> Tensor:
    """The numbers of `torch.randn(*shape) / over`; on the meta device their shape alone.

    Why not that: networks are made on the meta device before their weights come, and there `randn` and every
    division import torch's compiler, which takes three seconds of a processor.
    """
    made = torch.normal(0.0, 1.0, shape)
    return made if made.is_meta else made / over


@contextmanager
def exact(n_threads: int = 1) -> Iterator[None]:
    """Compute with so many threads and no shortcuts; the caller's settings come back afterwards.

    Args:
        n_threads: of the CPU; the order of a sum over threads may change last bits.
    """
    backends = torch.backends
    before = (
        torch.get_num_threads(), backends.cudnn.deterministic, backends.cudnn.benchmark,
        backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32,
    )  # fmt: skip
    _set(n_threads, deterministic=True, benchmark=False, tf32=(False, False))
    try:
        yield
    finally:
        _set(before[0], deterministic=before[1], benchmark=before[2], tf32=before[3:])


def _set(n_threads: int, deterministic: bool, benchmark: bool, tf32: tuple[bool, ...]) -> None:
    torch.set_num_threads(n_threads)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = benchmark
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = tf32


def lanes_that_fit(free_bytes: float, output_size_px: int, batch_size: int) -> int:
    """How many workers a GPU's free memory holds, 1 to `LANES_PER_GPU`.

    A worker that does not fit after all makes its batches smaller (`Fitting`); this keeps it from having to.

    >>> lanes_that_fit(140e9, 1024, 16), lanes_that_fit(24e9, 1024, 16), lanes_that_fit(8e9, 1024, 16)
    (4, 1, 1)
    """
    each = _WEIGHT_BYTES + batch_size * _BYTES_PER_PIXEL * output_size_px**2
    return max(1, min(LANES_PER_GPU, int(free_bytes // each)))


class Fitting:
    """Runs networks on batches in parts that fit into memory: their size is found once and kept.

    Args:
        size: images to begin with.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, call: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
        """Call a network on a batch [B,...]; its results [B,...] on the CPU.

        Raises:
            torch.OutOfMemoryError: not even one image fits.
        """
        while True:
            try:
                return torch.cat([call(part).cpu() for part in batch.split(self.size)])
            except torch.OutOfMemoryError:
                if self.size == 1:
                    raise
            self.size //= 2
            torch.cuda.empty_cache()
