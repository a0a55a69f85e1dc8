"""Fakes that a network makes: encode, change the latents where asked for, decode.

What the plan says of a network, and the run's settings, enter; a `Generator` leaves.

Why latents are handed back with each fake: they are saved, so that a dataset can be decoded again
differently. Style mixing needs all latents of a shard before the first fake is decoded.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from pipelines.dataset.settings import PairSettings
from pipelines.errors import CheckpointFormatError, PhotoError
from pipelines.generators import latents
from pipelines.generators.compute import Fitting
from pipelines.generators.encoder_decoder import EncoderDecoder, resized
from pipelines.generators.loading import load_generator
from pipelines.generators.mean_latent import centre_of, digest_of
from pipelines.generators.precision import PRECISIONS
from pipelines.generators.protocol import FaceCrop, Fake
from pipelines.generators.training_photos import training_list


class Networked:
    """A `Generator` of a network that encodes and decodes, from photos or from saved latents.

    Args:
        about: what the plan says of it: path, sha256, centre_sha256.
        settings: the run's.
        device: torch device name.

    Raises:
        CheckpointFormatError: the weights, or their average latent, are not those the run was planned with.
    """

    def __init__(self, about: dict[str, Any], settings: PairSettings, device: str) -> None:
        self.settings = settings
        self.generator: EncoderDecoder = load_generator(
            about["path"], device, PRECISIONS[settings.precision], compiled=settings.compiled
        )
        if self.generator.sha256 != about["sha256"]:
            raise CheckpointFormatError(
                f"{about['path']} is not the file that this run was planned with; bring that one back"
            )
        self.fitting = Fitting(settings.batch_size)
        self.trained = training_list(about["path"], self.generator.provenance)
        self.centre = centre_of(about["path"], self.generator)
        if settings.truncation != 1.0 and digest_of(self.centre) != about["centre_sha256"]:
            raise CheckpointFormatError(
                f"the average latent of {about['path']} is not the one that this run was planned "
                "with; bring that one back"
            )

    def fakes(self, shard: int, faces: Sequence[FaceCrop]) -> Iterator[list[Fake | PhotoError]]:
        """See `protocol.Generator`."""
        if not faces:
            return
        settings = self.settings
        own = self._encoded(faces)
        codes = latents.truncate(torch.from_numpy(own), self.centre, settings.truncation)
        notes = [""] * len(faces)
        if settings.style_mix:
            codes, notes = self._mixed(codes, faces, np.random.default_rng([settings.seed, shard]))
        for start in range(0, len(faces), settings.batch_size):
            part = slice(start, start + settings.batch_size)
            made = zip(faces[part], self._decode(codes[part]), own[part], notes[part], strict=True)
            yield [
                Fake(pixels, note=note, latent=code, in_training=self.trained.holds(face.sha256))
                for face, pixels, code, note in made
            ]

    def _mixed(
        self, codes: torch.Tensor, faces: Sequence[FaceCrop], rng: np.random.Generator
    ) -> tuple[torch.Tensor, list[str]]:
        """Fine styles on their way to those of another person of the same age, gender and race; and of whom.

        Of the same, because a fake keeps its photo's labels.
        """
        other = latents.partners([face.cell for face in faces], rng)
        names = [None if i == place else faces[i].pair_id for place, i in enumerate(other.tolist())]
        notes = [latents.with_mixing("", name) for name in names]
        n_styles = self.generator.style_shape[0]
        return latents.mix(codes, other, self.settings.style_mix, n_styles), notes

    def _encoded(self, faces: Sequence[FaceCrop]) -> np.ndarray:
        """Latents float32 [N,n_rows,style_dim]: those that were saved, or the encoder's."""
        codes = {i: face.latent for i, face in enumerate(faces) if face.latent is not None}
        left = [i for i in range(len(faces)) if i not in codes]
        size, side = self.settings.batch_size, self.generator.input_size_px
        for start in range(0, len(left), size):
            part = left[start : start + size]
            crops = np.stack([faces[i].pixels for i in part])
            images = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1
            made = self.fitting.run(lambda x: self.generator.encode(resized(x, side)), images)
            codes |= dict(zip(part, made.numpy(), strict=True))
        return np.stack([codes[i] for i in range(len(faces))])

    def _decode(self, codes: torch.Tensor) -> np.ndarray:
        """Fakes uint8 [B,S,S,3]; rounded, for truncation would darken every fake by half a level."""
        side = self.settings.size_px
        return self.fitting.run(lambda w: self.generator.fakes_from(w, side), codes).numpy()
