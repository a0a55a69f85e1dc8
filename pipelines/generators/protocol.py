"""What every generator of fakes is: faces in, fakes out, and what a reader must know of the kind.

`FaceCrop`s enter a `Generator`; for each a `Fake` leaves, or the `PhotoError` that says why there is none.
A `Kind` says what was typed to get it, under which licence it stands, and whether a fake keeps its photo's
labels.

Why a reject is an answer and not an exception: a face without a donor is a finding about its group. It
becomes a row with a reason, and other kinds of fake of the same photo are made all the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from pipelines.errors import PhotoError


@dataclass(frozen=True)
class FaceCrop:
    """One real half, and what is known of it."""

    pair_id: str
    pixels: np.ndarray = field(repr=False)
    """uint8 [H,W,3]; square where it was cut here."""
    cell: tuple[str, ...] = ()
    """Age, gender and race."""
    sha256: str | None = None
    """Of the source photo's bytes."""
    landmarks: np.ndarray | None = field(default=None, repr=False)
    """float32 [5,2], in pixels of the crop; None where no photo was searched."""
    photo_eye_distance_px: float = float("nan")
    """Distance of the eyes in the photo: how much detail the crop can hold."""
    latent: np.ndarray | None = field(default=None, repr=False)
    """The latent that an earlier run saved."""
    given: np.ndarray | None = field(default=None, repr=False)
    """A fake that was made elsewhere, uint8 of the shape of `pixels`."""


@dataclass(frozen=True)
class Fake:
    """One fake, and what is known of it."""

    pixels: np.ndarray = field(repr=False)
    """uint8, the shape of its `FaceCrop.pixels`."""
    mask: np.ndarray | None = field(default=None, repr=False)
    """uint8 [H,W], 0 where the photo was left as it is, 255 where all was replaced; None: everywhere."""
    donor: str | None = None
    """pair_id of the photo that gave another face."""
    note: str = ""
    """What a reader of the manifest must know of this fake."""
    latent: np.ndarray | None = field(default=None, repr=False)
    """To be saved, so that it can be decoded again."""
    in_training: bool | None = None
    """Whether the generator learned from this very photo; None where nobody knows."""


class Generator(Protocol):
    """Makes fakes of one kind. The same faces and shard give the same bytes, on any worker."""

    def fakes(self, shard: int, faces: Sequence[FaceCrop]) -> Iterator[list[Fake | PhotoError]]:
        """Make the fakes of a shard.

        Args:
            shard: its number; with the run's seed the source of what chance there is across faces.
            faces: its real halves.

        Yields:
            Batches of answers, one a face, in their order.
        """


@dataclass(frozen=True)
class Kind:
    """A kind of fake that `--generator` knows."""

    form: str
    """What is typed: a word, or a word and what follows its colon."""
    what: str
    """One line for people."""
    licence: str
    labels: str
    """Whether age, gender and race of the photo hold for the fake, and why."""
    masked: bool
    """Whether a part of the photo stays as it is, and a mask says which."""
