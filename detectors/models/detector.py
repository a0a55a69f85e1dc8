"""A detector in memory: a network, how its input is prepared, and how its output is read.

Enters: a callable network with its `Preprocessing` and `Output`. Leaves: one score an image in 0-1, higher =
more fake, whatever the network itself speaks (one logit, two logits, probabilities, inverted ones).

Why the sigmoid is taken in float64: float32 rounds a log-odds of 17 to a probability of exactly 1.0, and ties
invented that way would change ROC curves and thresholds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from detectors.data.preprocessing import Preprocessing, fit, normalise
from detectors.errors import ForeignDetectorError, SidecarError
from detectors.isolation.child import Limits

OutputKind = Literal["logit", "probability", "logits", "probabilities"]
_SINGLE = ("logit", "probability")


@dataclass(frozen=True)
class Output:
    """How the numbers that leave a network are read.

    Attributes:
        kind: "logit" or "probability": one number an image. "logits" or "probabilities": one per class.
        fake_index: Classes that mean fake, where there is one number per class; several are added up.
        inverted: The network says how *real* an image is.
    """

    kind: OutputKind = "logits"
    fake_index: tuple[int, ...] = (1,)
    inverted: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(OutputKind):
            raise SidecarError(
                f"output is {self.kind!r}; it must be one of {', '.join(get_args(OutputKind))}"
            )
        if not self.fake_index or any(type(i) is not int or i < 0 for i in self.fake_index):
            raise SidecarError(
                f"fake_index is {self.fake_index!r}; it must be one or more class numbers from 0"
            )
        if type(self.inverted) is not bool:
            raise SidecarError(f"inverted is {self.inverted!r}; it must be true or false")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and for checkpoints."""
        return asdict(self) | {"fake_index": list(self.fake_index)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Output:
        """Read what `as_dict` wrote; a single class number is allowed for `fake_index`."""
        index = record.get("fake_index", (1,))
        indices = tuple(index) if isinstance(index, (list, tuple)) else (index,)
        return cls(record.get("kind", "logits"), indices, record.get("inverted", False))

    def evidence(self, raw: Tensor) -> Tensor:
        """Differentiable evidence for "fake": log-odds of logits, the probability itself of probabilities.

        Args:
            raw: [B], [B, 1] or [B, classes], as the network gives it.

        Returns:
            [B], float64, higher = more fake.

        Raises:
            ForeignDetectorError: where the shape does not fit `kind`.
        """
        raw = self._checked(raw).double()
        if self.kind in _SINGLE:
            value = raw.flatten()
        else:
            fake = [i for i in range(raw.shape[1]) if i in self.fake_index]
            rest = [i for i in range(raw.shape[1]) if i not in self.fake_index]
            if self.kind == "logits":
                value = raw[:, fake].logsumexp(1) - raw[:, rest].logsumexp(1)
            else:
                value = raw[:, fake].sum(1)
        if not self.inverted:
            return value
        return -value if self.kind in ("logit", "logits") else 1 - value

    def score(self, raw: Tensor) -> Tensor:
        """Scores in 0-1, float64 [B], higher = more fake, from what the network gives."""
        evidence = self.evidence(raw)
        return evidence.sigmoid() if self.kind in ("logit", "logits") else evidence

    def _checked(self, raw: Tensor) -> Tensor:
        """`raw`, if its shape is one this record can read."""
        columns = 1 if raw.ndim == 1 else raw.shape[-1] if raw.ndim == 2 else -1
        fits = columns == 1 if self.kind in _SINGLE else columns > max(1, *self.fake_index)
        if not fits:
            raise ForeignDetectorError(
                f"the network gives an array of shape {tuple(raw.shape)}, which does not fit output = "
                f"{self.kind!r} with fake_index {list(self.fake_index)}: "
                "say in NAME.toml or by option which output is 'fake'"
            )
        return raw


@dataclass(frozen=True)
class Source:
    """How a detector was loaded, so that another process can load the same one; plain values.

    Attributes:
        name: A file, or `module:factory`.
        arch: For plain weights.
        options: Keys of `sidecar`.
        trust: SHA-256, where a foreign file was trusted.
        limits: Of an isolated process.
    """

    name: str
    arch: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    trust: str | None = None
    limits: Limits | None = None


@dataclass(frozen=True)
class Detector:
    """Something that scores face images.

    Attributes:
        name: For people: file name without its ending, or module:factory.
        sha256: Of the file, "" where there is none.
        arch: Name in the zoo, or the kind of file ("onnx", "torchscript" ...).
        preprocessing: How images are prepared.
        output: How its output is read.
        network: From [B, channels, size_px, size_px] normalised float32 to raw outputs.
        provenance: Where it comes from; `trained_on` names the source photos it has seen.
        device: Where the network lives, "cpu" or "cuda".
        given: What its user said about it in `NAME.toml` or by option.
        source: How to load it again; None where it was made in memory.
    """

    name: str
    sha256: str
    arch: str
    preprocessing: Preprocessing
    output: Output
    network: Callable[[Tensor], Tensor] = field(repr=False)
    provenance: dict[str, Any] = field(default_factory=dict, repr=False)
    device: str = "cpu"
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)
    source: Source | None = field(default=None, repr=False)

    @property
    def fingerprint(self) -> str:
        """Everything its scores depend on, as text: two detectors of equal text score alike.

        "" where the network cannot be recognised again: it has no file, so nothing says that the code that
        made it is still the same.
        """
        if not self.sha256:
            return ""
        about = [
            self.sha256, self.arch, self.device, self.preprocessing.as_dict(), self.output.as_dict(),
            dict(self.given), self.provenance.get("isolated"),
        ]  # fmt: skip
        return json.dumps(about, sort_keys=True, default=repr)

    def raw(self, batch: Tensor) -> Tensor:
        """What the network itself says; differentiable for networks of torch.

        Args:
            batch: [B, 3, H, W] float32, RGB in 0-1; resized where H, W differ from the network's.
        """
        fitted = fit(batch.to(self.device), self.preprocessing)
        prepared = normalise(fitted, self.preprocessing)
        try:
            return self.network(prepared.contiguous(memory_format=torch.channels_last))
        except SystemExit:  # a network of somebody's Python must not end the program as if all were well
            raise ForeignDetectorError(f"{self.name} called for the end of the program: no scores") from None

    @torch.inference_mode()
    def score(self, batch: Tensor) -> Tensor:
        """How fake each image is.

        Args:
            batch: [B, 3, H, W] float32, RGB in 0-1; resized where H, W differ from the network's.

        Returns:
            [B] float64 on the CPU, in 0-1, higher = more fake.
        """
        return self.output.score(self.raw(batch)).cpu()
