"""A speaker verifier in memory, and its checkpoint.

Enters: a network and the record of how it was made. Leaves: a `.pt` file that loads with `weights_only=True`,
and from such a file a `Verifier`.

    {"format": "speaker-verifier", "version": 1, "arch": str, "state_dict": {name: tensor},
     "listening": {"rate_hz": int, "n_samples": int}, "provenance": {...}}

Why a format of its own: a verifier of voices that scores faces, or a detector of fakes that compares voices,
would give numbers that mean nothing. Each side refuses the other's files in one line.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from detectors.errors import CheckpointFormatError, ExpectedError
from detectors.models.checkpoint import FORMAT as FACE_FORMAT
from detectors.models.checkpoint import check_fits, check_record, load_weights_only
from detectors.models.loading import pick_device
from detectors.voices.architectures import scores, verifier_architecture
from pipelines.errors import SettingError
from pipelines.storage import file_sha256, write_bytes
from pipelines.voices.sound import Samples
from pipelines.voices.windows import Listening

FORMAT = "speaker-verifier"
VERSION = 1
SCALE = 32767
"""Clips travel as int16, as they lie in most files; this is full scale."""
_FIELDS = {
    "format": str, "version": int, "arch": str, "state_dict": dict, "listening": dict, "provenance": dict,
}  # fmt: skip
_LISTS = ("trained_on", "validated_on", "held_out")
"""Of the provenance: names of speakers; the SHA-256 of their clips stand beside them."""


@dataclass(frozen=True)
class Verifier:
    """Something that says whether two clips are of one speaker.

    Attributes:
        name: File name without its ending.
        sha256: Of the file.
        arch: Name in `architectures.VERIFIERS`.
        listening: Rate and window.
        network: From [B, 2, n_samples] float32 to raw outputs.
        provenance: Where it comes from; `trained_on` names the speakers it has heard.
        device: "cpu" or "cuda".
    """

    name: str
    sha256: str
    arch: str
    listening: Listening
    network: nn.Module = field(repr=False)
    provenance: dict[str, Any] = field(default_factory=dict, repr=False)
    device: str = "cpu"

    @property
    def fingerprint(self) -> str:
        """Everything its scores depend on, as text."""
        return json.dumps([self.sha256, self.arch, self.device, self.listening.as_dict()])

    @torch.inference_mode()
    def score(self, clips: Tensor) -> npt.NDArray[np.float64]:
        """How likely the two clips of each trial are of one speaker.

        Args:
            clips: int16 [B, 2, n_samples].

        Returns:
            float64 [B] in 0-1, higher = more likely the same.
        """
        given = self.network(unit(clips.to(self.device)))
        return scores(verifier_architecture(self.arch).output, given).cpu().numpy()

    def describe(self) -> dict[str, Any]:
        """Plain values for the record of a run; lists of speakers become their length."""
        provenance = {
            key: len(value) if key in _LISTS else value
            for key, value in self.provenance.items()
            if not key.endswith("_sha256")
        }
        about = {"name": self.name, "arch": self.arch, "sha256": self.sha256}
        return about | {"listening": self.listening.as_dict(), "provenance": provenance}


def as_int16(samples: Samples) -> npt.NDArray[np.int16]:
    """float32 samples of full scale -1 to 1 as int16."""
    return np.round(np.clip(samples, -1, 1) * SCALE).astype(np.int16)


def unit(clips: Tensor) -> Tensor:
    """int16 clips as float32 of full scale -1 to 1."""
    return clips.float() / SCALE


def save_verifier(
    path: Path, arch: str, network: nn.Module, listening: Listening, provenance: Mapping[str, Any]
) -> Path:
    """Write a checkpoint: to a temporary name, then renamed; equal arguments give equal bytes."""
    record = {
        "format": FORMAT,
        "version": VERSION,
        "arch": arch,
        "state_dict": {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()},
        "listening": listening.as_dict(),
        "provenance": json.loads(json.dumps(provenance)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(record, buffer)
    write_bytes(path, buffer.getvalue())
    return path


def load_verifier(path: str | Path, device: str = "auto") -> Verifier:
    """Read a verifier's checkpoint.

    Args:
        path: A file that `save_verifier` wrote.
        device: "auto", "cpu" or "cuda".

    Raises:
        DetectorNotFound: no such file.
        CheckpointTooLarge: it would unpack to more than any network here weighs.
        CheckpointFormatError: not a verifier, truncated, carrying code, or with weights that do not fit.
    """
    path, device = Path(path), pick_device(device)
    record = load_weights_only(path)
    found = record.get("format") if isinstance(record, dict) else None
    if found == FACE_FORMAT:
        raise CheckpointFormatError(
            f"{path} is a detector of fake faces, and compares no voices: audit it with `audit run` without "
            "--task"
        )
    if found != FORMAT:
        raise CheckpointFormatError(
            f"{path}: not a verifier written by `audit train --task speaker-verification`; audit the scores "
            "of another one with --scores"
        )
    check_record(path, record, _FIELDS, VERSION)
    try:
        chosen = verifier_architecture(record["arch"])
        listening = Listening(**record["listening"])
    except (ExpectedError, SettingError, TypeError) as error:
        raise CheckpointFormatError(f"{path}: {error}") from None
    with torch.device("meta"):
        plan = chosen.build()
    check_fits(path, record["arch"], plan.state_dict(), record["state_dict"])
    network = chosen.build()
    network.load_state_dict(record["state_dict"])
    return Verifier(
        path.stem, file_sha256(path), record["arch"], listening, network.eval().to(device),
        record["provenance"], device,
    )  # fmt: skip
