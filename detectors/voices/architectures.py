"""The verifiers that can be trained here: one readable dictionary.

Enters: a name. Leaves: a torch network on [B, 2, n_samples] clips, how its output is read, and the settings
it is trained with unless the user says otherwise.

Why each has settings of its own: AlexNet learns from random weights only at a small rate, and what it is
compared with (Adam, 8.5e-4, batches of 16) belongs to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional

from detectors.errors import UnknownArchitecture
from detectors.models.architectures import ZOO
from detectors.voices import networks

OutputKind = Literal["logits", "distance"]
TASK = "speaker-verification"


@dataclass(frozen=True)
class VerifierArchitecture:
    """One entry.

    Attributes:
        build: A network with random weights.
        head: Prefixes of the parameters of its last layer.
        output: "logits": [B, 2], class 1 = same. "distance": [B, 1], small = same.
        settings: Fields of `FitSettings` that differ from the general ones.
        about: One line for people.
    """

    build: Callable[[], nn.Module]
    head: tuple[str, ...]
    output: OutputKind
    settings: dict[str, Any]
    about: str


_ADAM = {"optimiser": "adam", "weight_decay": 0.0}
VERIFIERS: dict[str, VerifierArchitecture] = {
    "alexnet-pair": VerifierArchitecture(
        networks.alexnet_pair, ("1.classifier.6.",), "logits",
        _ADAM | {"learning_rate": 8.5e-4, "batch_size": 16},
        "AlexNet on two spectrograms as two channels, 57 M parameters",
    ),
    "resnet-pair": VerifierArchitecture(
        networks.resnet_pair, ("1.fc.",), "logits", _ADAM | {"batch_size": 32},
        "a ResNet of four blocks on two spectrograms as two channels, 4.9 M parameters",
    ),
    "siamese": VerifierArchitecture(
        networks.Siamese, ("embedding.head.",), "distance", _ADAM | {"batch_size": 32},
        "one embedding for both clips, contrastive loss, 0.5 M parameters; learns in a minute",
    ),
}  # fmt: skip
"""Name to verifier."""


def verifier_architecture(name: str) -> VerifierArchitecture:
    """Look a name up.

    Raises:
        UnknownArchitecture: For any other name.
    """
    if name in VERIFIERS:
        return VERIFIERS[name]
    faces = "; that one tells fake faces" if name in ZOO or name.startswith("timm:") else ""
    raise UnknownArchitecture(f"no speaker verifier {name!r}; known are {', '.join(VERIFIERS)}{faces}")


def losses(output: OutputKind, given: Tensor, same: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """What each trial costs.

    Args:
        output: How the network speaks.
        given: [B, 2] logits or [B, 1] distances.
        same: int64 [B], 1 = the same speaker.
        label_smoothing: For logits.

    Returns:
        float32 [B]: cross entropy, or contrastive loss, d^2 for the same speaker and (margin - d)^2, where
        that is positive, for different ones. Source: Hadsell, Chopra and LeCun, CVPR 2006, equation 4.
    """
    if output == "logits":
        return functional.cross_entropy(
            given.float(), same, label_smoothing=label_smoothing, reduction="none"
        )
    distance = given.float()[:, 0]
    apart = (networks.MARGIN - distance).clamp(min=0).square()
    return same * distance.square() + (1 - same) * apart


def scores(output: OutputKind, given: Tensor) -> Tensor:
    """How likely the same speaker: float64 [B] in 0-1, 0.5 where the network is undecided.

    Logits become a probability. A distance becomes 1 / (1 + (d / h)^2) with h = half the margin: no
    probability, but monotone, and 0.5 just where contrastive loss parts same from different.
    """
    if output == "logits":
        wide = given.double()
        return (wide[:, 1] - wide[:, 0]).sigmoid()
    return 1 / (1 + (given.double()[:, 0] / (networks.MARGIN / 2)).square())
