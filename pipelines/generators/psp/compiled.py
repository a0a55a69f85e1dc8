"""A network whose operations torch.compile fuses.

Enters: a network that maps one batch to another. Leaves: a callable that does the same, its last bits apart.

Why batches are padded to a power of two: every new shape is compiled anew, for up to a minute; the last batch
of a shard has any size, and one that did not fit into memory is halved. So there are a handful of shapes at
most, and a halved batch stays halved.
Why it is asked for and not automatic: it needs a C++ compiler (or Triton, on a GPU), and a minute that only
runs of hours give back.
"""

import torch
from torch import Tensor, nn

from pipelines.errors import SettingError


class Compiled:
    """A network compiled on first use.

    Args:
        net: in evaluation mode, its weights final: they are compiled in as constants.
    """

    def __init__(self, net: nn.Module) -> None:
        self._run = torch.compile(net, dynamic=False, options={"freezing": True})

    def __call__(self, batch: Tensor) -> Tensor:
        """Map [B,...] to [B,...].

        Raises:
            SettingError: the compiler is absent or fails.
        """
        n = len(batch)
        missing = padded_size(n) - n
        whole = torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])]) if missing else batch
        if whole.dim() == 4:
            whole = whole.contiguous(memory_format=torch.channels_last)
        try:
            return self._run(whole)[:n]
        except torch._dynamo.exc.BackendCompilerFailed as fault:
            reason = str(fault).strip().splitlines()[0]
            raise SettingError(
                f"--compile: torch.compile fails here ({reason}); leave the option out"
            ) from fault


def padded_size(n: int) -> int:
    """The power of two at or above n.

    >>> [padded_size(n) for n in (1, 2, 3, 16, 17)]
    [1, 2, 4, 16, 32]
    """
    return 1 << (n - 1).bit_length()
