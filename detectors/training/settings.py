"""How a network is trained: one record, checked as a whole, saved with every run.

Enters: what the user chose. Leaves: `Settings` for detectors, `FitSettings` for whatever else is trained, or
one error that names everything wrong with it.

Why the head's larger rate applies after ImageNet weights only: it protects what the body has learned already.
From random weights there is nothing to protect, and all layers learn at `learning_rate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real
from typing import Any, Literal, get_args

from detectors.data.preprocessing import Face, Preprocessing, Resize
from detectors.errors import ExpectedError, TrainingError
from detectors.models.architectures import architecture, takes_size
from detectors.training.augmentation import check_augmentations
from detectors.training.fair import Fair
from detectors.training.splits import DEFAULT_FRACTIONS, check_fractions

Optimiser = Literal["adamw", "adam", "sgd"]
Schedule = Literal["cosine", "step", "exponential", "none"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class FitSettings:
    """How a network learns, whatever it looks at.

    Attributes:
        epochs: Passes over the training part.
        batch_size: Examples per step.
        optimiser: "adamw", "adam" or "sgd" (momentum 0.9).
        learning_rate: Rate of the head; of everything, when starting from random weights.
        head_factor: How many times slower the body learns when it starts from ImageNet weights.
        weight_decay: L2 penalty (decoupled with adamw).
        schedule: "cosine" to zero, "step" (a tenth after each third), "exponential" (to a hundredth), "none".
        label_smoothing: Share of the target spread over the other classes.
        freeze_body: Train the head alone.
        patience: Stop after so many epochs without a better one; 0 never stops early.
        precision: "auto" is bfloat16 where the processor computes with it, else float32.
        devices: Graphics processors to share the work by DDP (processes, on the CPU).
        seed: Of weights, order, augmentation, dropout and split.
    """

    epochs: int = 10
    batch_size: int = 32
    optimiser: Optimiser = "adamw"
    learning_rate: float = 1e-3
    head_factor: float = 10.0
    weight_decay: float = 1e-2
    schedule: Schedule = "cosine"
    label_smoothing: float = 0.0
    freeze_body: bool = False
    patience: int = 0
    precision: Precision = "auto"
    devices: int = 1
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and for checkpoints."""
        return asdict(self)

    def kind_faults(self) -> Iterator[str]:
        """Which fields are no numbers where their defaults are some, a sentence each."""
        for one in fields(self):
            given, usual = getattr(self, one.name), one.default
            if isinstance(usual, bool) or not (isinstance(usual, int | float) or one.name == "size_px"):
                continue
            if given is None and usual is None:
                continue
            kind, word = (Real, "number") if isinstance(usual, float) else (Integral, "whole number")
            if not isinstance(given, kind) or isinstance(given, bool):
                yield f"{one.name} is {given!r}, it must be a {word}"

    def fit_faults(self) -> Iterator[str]:
        """What is wrong with these fields, a sentence each."""
        kinds = list(self.kind_faults())
        if kinds:  # nothing more can be asked of them
            yield from kinds
            return
        for name in ("epochs", "batch_size", "devices"):
            if getattr(self, name) < 1:
                yield f"{name} is {getattr(self, name)}, it must be 1 or more"
        for name, low, high in _RANGES:
            if not low <= getattr(self, name) <= high:
                yield f"{name} is {getattr(self, name)}, it must be from {low} to {high}"
        for name, kind in (("optimiser", Optimiser), ("schedule", Schedule), ("precision", Precision)):
            if getattr(self, name) not in get_args(kind):
                yield f"{name} is {getattr(self, name)!r}, it must be one of {', '.join(get_args(kind))}"


@dataclass(frozen=True)
class Settings(FitSettings):
    """Everything about the training of a detector except the data; what it learns with is `FitSettings`.

    Attributes:
        imagenet: Start from ImageNet weights where they can be had.
        augment: Names of `augment.AUGMENTATIONS`.
        size_px: Input size; None for the architecture's usual one.
        gray: Train on luminance alone.
        resize: Interpolation.
        face: "as is" for face crops; "crop" and "level" look for the face first.
        fair: "none", or a way of training that looks at groups, see `fair`.
        fair_by: Attributes whose intersections are its groups; empty for all of the data's but age.
        by_kind: One class for each kind of fake instead of real against fake.
        fractions: Of origins for train, valid and test.
    """

    imagenet: bool = True
    augment: tuple[str, ...] = ("flip",)
    size_px: int | None = None
    gray: bool = False
    resize: Resize = "bilinear"
    face: Face = "as is"
    fair: Fair = "none"
    fair_by: tuple[str, ...] = ()
    by_kind: bool = False
    fractions: tuple[float, float, float] = DEFAULT_FRACTIONS

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and for checkpoints."""
        return super().as_dict() | {
            "augment": list(self.augment),
            "fair_by": list(self.fair_by),
            "fractions": list(self.fractions),
        }

    def preprocessing(self, arch: str) -> Preprocessing:
        """How images are prepared for an architecture under these settings."""
        usual = architecture(arch).preprocessing
        return Preprocessing(
            size_px=self.size_px or usual.size_px,
            colour="gray" if self.gray else "rgb",
            mean=usual.mean,
            std=usual.std,
            resize=self.resize,
            face=self.face,
        )

    def check(self, arch: str) -> None:
        """Raise TrainingError naming everything wrong with these settings for an architecture."""
        faults = list(self._faults(arch))
        if faults:
            raise TrainingError("cannot train: " + "; ".join(faults))

    def _faults(self, arch: str) -> Iterator[str]:
        yield from self.fit_faults()
        if any(self.kind_faults()):
            return
        if self.size_px is not None and self.size_px > 0 and not takes_size(arch, self.size_px):
            yield f"size_px is {self.size_px}, too small for {arch}"
        if self.fair not in get_args(Fair):
            yield f"fair is {self.fair!r}, it must be one of {', '.join(get_args(Fair))}"
        checks = (
            lambda: check_fractions(self.fractions),
            lambda: check_augmentations(self.augment),
            lambda: self.preprocessing(arch),
        )
        for check in checks:
            try:
                check()
            except ExpectedError as error:
                yield str(error)


_RANGES = (
    ("learning_rate", 1e-8, 10.0),
    ("head_factor", 1.0, 1000.0),
    ("weight_decay", 0.0, 1.0),
    ("label_smoothing", 0.0, 0.5),
    ("patience", 0, 10_000),
)
