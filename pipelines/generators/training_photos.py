"""Which photos a generator was trained on: an audit must know.

A generator's weights and their provenance enter; a `TrainingList` leaves, which says of a photo's
sha256 whether it was among them.

Why by content and not by name: `train/1.jpg` of FairFace and of a drawn population are different
photos.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SUFFIX: Final = ".photos.txt"
"""Beside `small.safetensors` lies `small.photos.txt`: one sha256 a line, sorted."""


@dataclass(frozen=True)
class TrainingList:
    """The photos that a generator saw in training."""

    sha256: frozenset[str]
    is_known: bool
    """False where the weights say that they have such a list but it is not the one at hand."""

    def holds(self, sha256: str | None) -> bool | None:
        """Whether a photo was among them; None where nobody can tell."""
        return sha256 in self.sha256 if self.is_known and sha256 is not None else None


def training_list(weights: str | Path, provenance: Mapping[str, Any]) -> TrainingList:
    """Find the list of a generator's training photos.

    Args:
        weights: the weights' file.
        provenance: what the weights say of themselves: `trained_on` may hold the list; weights
            with `training_photos_sha256` keep it in a file beside them, and that digest must be
            the file's. Weights with neither (the official ones, trained on FFHQ) saw no labelled
            photo of ours.

    Returns:
        The list.
    """
    listed = provenance.get("trained_on")
    if listed:
        return TrainingList(frozenset(json.loads(listed) if isinstance(listed, str) else listed), True)
    wanted, beside = provenance.get("training_photos_sha256"), Path(weights).with_suffix(SUFFIX)
    if wanted is None:
        return TrainingList(frozenset(), True)
    text = beside.read_text(encoding="utf-8").strip() if beside.is_file() else ""
    if hashlib.sha256(text.encode()).hexdigest() != wanted:
        return TrainingList(frozenset(), False)
    return TrainingList(frozenset(text.split()), True)
