"""What a foreign detector does not say itself: how to prepare images, and which output means fake.

Enters: `NAME.toml` beside `NAME.onnx`, or options of the same names. Leaves: `Sidecar`.

    # all keys are optional
    arch = "resnet50"            # for a plain state_dict
    size_px = 224                # what the network takes
    colour = "rgb"               # "rgb", "bgr", "gray"
    mean = [0.485, 0.456, 0.406]
    std = [0.229, 0.224, 0.225]
    resize = "bilinear"
    face = "as is"               # "crop" and "level" look for the face first
    layout = "nchw"              # or "nhwc"
    output = "logits"            # "logit", "probability", "logits", "probabilities"
    fake_index = 1               # which of several outputs is fake, or a list
    inverted = false             # the output says how real an image is

Why ImageNet's constants are the default: most published detectors start from ImageNet weights. Whatever was
assumed is printed before a number is, with scores of a handful of pairs to judge it by (`check`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from detectors.data.preprocessing import Preprocessing
from detectors.errors import SidecarError
from detectors.models.detector import Output

_PREPROCESSING = tuple(field.name for field in fields(Preprocessing))
_OUTPUT = ("output", "fake_index", "inverted")
_OTHER = ("arch", "layout")
KEYS = (*_PREPROCESSING, *_OUTPUT, *_OTHER)


@dataclass(frozen=True)
class Sidecar:
    """What is known about a foreign detector from its user."""

    values: dict[str, Any]
    """The keys that were given, of `KEYS`."""

    @property
    def arch(self) -> str | None:
        """Name in the zoo, for a plain state_dict."""
        return self.values.get("arch")

    @property
    def channels_last(self) -> bool:
        """Whether the network takes [B, H, W, 3]."""
        return bool(self.values.get("layout", "nchw") == "nhwc")

    def preprocessing(self, **defaults: Any) -> Preprocessing:
        """The preparation of images; what the user did not say is taken from `defaults`.

        Raises:
            SidecarError: for an impossible value.
        """
        given = {key: value for key, value in self.values.items() if key in _PREPROCESSING}
        merged = defaults | given
        if merged.get("channels") == 1:
            merged = {"colour": "gray", "mean": [0.5], "std": [0.5]} | merged
        return Preprocessing.from_dict(merged)

    def output(self, n_outputs: int) -> Output:
        """How the output is read: unless said otherwise, one number is a logit, several are logits."""
        kind = self.values.get("output", "logit" if n_outputs == 1 else "logits")
        return Output.from_dict(
            {
                "kind": kind,
                "fake_index": self.values.get("fake_index", list(range(1, max(2, n_outputs)))),
                "inverted": self.values.get("inverted", False),
            }
        )

    def assumed(self) -> list[str]:
        """Names of the important keys the user did not give."""
        return [key for key in ("size_px", "mean", "std", "output") if key not in self.values]


def read_sidecar(detector: Path | None, options: Mapping[str, Any] | None = None) -> Sidecar:
    """Read the TOML file beside a detector, and let options override it.

    Args:
        detector: The detector's file, or None where there is none.
        options: Values from the command line; None values are ignored.

    Raises:
        SidecarError: not TOML, an unknown key, or an impossible value.
    """
    values: dict[str, Any] = {}
    path = detector.with_suffix(".toml") if detector else None
    if path and path.is_file():
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SidecarError(f"{path} is not TOML: {error}") from None
        _check_keys(values, str(path))
    given = {key: value for key, value in (options or {}).items() if value is not None}
    _check_keys(given, "options")
    return Sidecar(values | given)


def _check_keys(values: Mapping[str, Any], where: str) -> None:
    for key in values:
        if key not in KEYS:
            raise SidecarError(f"{where}: unknown key {key!r}; known are {', '.join(KEYS)}")
    if values.get("layout", "nchw") not in ("nchw", "nhwc"):
        raise SidecarError(f"{where}: layout is {values['layout']!r}; it must be nchw or nhwc")


def parse_options(given: Sequence[str]) -> dict[str, Any]:
    """Read options of a command line as a sidecar would say them.

    Args:
        given: "size_px=224", "output=logit", "mean=[0.5, 0.5, 0.5]", "inverted=true" ...

    Raises:
        SidecarError: no "=", or an unknown key.

    >>> parse_options(["size_px=224", "output=logit", "mean=[0, 0, 0]"])
    {'size_px': 224, 'output': 'logit', 'mean': [0, 0, 0]}
    """
    options: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise SidecarError(f"{text!r}: write KEY=VALUE, such as size_px=224; keys are {', '.join(KEYS)}")
        try:
            options[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            options[key.strip()] = value.strip()  # a word without quotes
    _check_keys(options, "options")
    return options
