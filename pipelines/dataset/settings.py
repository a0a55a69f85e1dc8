"""What a run of pair generation was asked for: every setting that changes a byte of its output.

Options enter; a checked, frozen `PairSettings` leaves.

Why the number of workers and the engine are not here: they must not change a byte, so a run begun
on one machine can be finished on another. The batch size is here because a network's last bits
depend on it.
"""

from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import Any

import torch

from pipelines.errors import SelectionError, SettingError
from pipelines.generators.encoder_decoder import EncoderDecoder
from pipelines.generators.precision import PRECISIONS
from pipelines.sources.finish import AS_IT_IS, parse_finish


@dataclass(frozen=True)
class PairSettings:
    """Settings of one run."""

    limit: int | None = None
    """At most this many photos, balanced over the cells."""
    per_cell: int | None = None
    """At most this many photos of each cell."""
    seed: int = 0
    size_px: int = 256
    """Side of both halves."""
    shard_size: int = 200
    """Photos that are made, written and renamed into place together."""
    batch_size: int = 16
    """Images that a network sees at once."""
    device: str = "cpu"
    """"cpu" or "cuda"."""
    precision: str = "float32"
    """"float32" or "bfloat16"."""
    compiled: bool = False
    """Whether torch.compile fuses the generator's operations: the last bits differ."""
    truncation: float = 1.0
    """1 leaves latents as they are; less draws them towards the average face."""
    style_mix: float = 0.0
    """How far, 0 to 1, the fine half of a latent goes over to that of another person of the same cell."""
    finish: str = AS_IT_IS
    """How both halves are written, see `pipelines.sources.finish`; pairs that are given stay as they are."""
    difficulty: bool = True
    """Whether `pipelines.dataset.difficulty` measures each kind in the end."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("seed", 0, 2**63 - 1),
            ("shard_size", 1, 10_000),
            ("batch_size", 1, 4096),
            ("truncation", 0.0, 2.0),
            ("style_mix", 0.0, 1.0),
        ):
            value = getattr(self, name)
            is_number = isinstance(value, Real)
            if not is_number:
                raise SettingError(f"{name} is {value!r}; it must be a number from {low} to {high}")
            if not low <= value <= high:
                raise SettingError(f"--{name.replace('_', '-')} is {value}; it must lie from {low} to {high}")
        for name in ("limit", "per_cell"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, Integral):
                raise SelectionError(f"{name} is {value!r}; it must be a whole number, or None for all")
            if value is not None and value < 1:
                raise SelectionError(f"--{name.replace('_', '-')} is {value}; it must be at least 1")
        parse_finish(self.finish)
        if self.precision not in PRECISIONS:
            raise SettingError(f"precision is {self.precision!r}; it must be one of {', '.join(PRECISIONS)}")

    def record(self) -> dict[str, Any]:
        """The settings as plain values, in a fixed order."""
        return asdict(self)


def check_generator(settings: PairSettings, generator: EncoderDecoder, centre: torch.Tensor | None) -> None:
    """See that a generator can follow the settings.

    Args:
        settings: what was asked for.
        generator: the network.
        centre: the latent that truncation goes towards, from `centre.centre_of`.

    Raises:
        SettingError: a size that its output cannot be averaged to, or truncation without a centre.
    """
    side = generator.output_size_px
    if settings.size_px < 16 or side % settings.size_px:
        raise SettingError(
            f"--size-px is {settings.size_px}; {generator.name} makes {side} px, choose {side} or a half, "
            "a quarter ... of it"
        )
    if settings.truncation != 1.0 and centre is None:
        raise SettingError(
            f"--truncation is {settings.truncation}, but {generator.name} holds no average latent "
            "to go towards, nor is one beside its file; leave it at 1"
        )
