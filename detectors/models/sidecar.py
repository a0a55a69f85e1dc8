"""What a foreign detector does not say itself: how to prepare images, and which output means fake.

Enters: `NAME.toml` beside `NAME.onnx`, or options of the same names. Leaves: `Sidecar`.

    # all keys are optional
    arch = "resnet50"            # for a plain state_dict
    classes = 1                  # numbers it gives an image; read from the last layer's shape
    size_px = 224                # what the network takes
    colour = "rgb"               # "rgb", "bgr", "gray"
    mean = [0.485, 0.456, 0.406]
    std = [0.229, 0.224, 0.225]
    resize = "bilinear"
    face = "as is"               # "crop" and "level" look for the face first
    layout = "nchw"              # or "nhwc"
    output = "logits"            # "logit", "probability", "logits", "probabilities"
    fake_index = 1               # which of several outputs is fake, or a list; 1 of two
    inverted = false             # the output says how real an image is

Why ImageNet's constants are the default: most published detectors start from ImageNet weights. Whatever was
assumed is printed before a number is, with scores of a handful of pairs to judge it by (`check`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from detectors.data.preprocessing import Preprocessing
from detectors.errors import SidecarError
from detectors.models.detector import Detector, Output
from pipelines.errors import UnreadableFile
from pipelines.untrusted import parse_toml, read_toml

_PREPROCESSING = tuple(field.name for field in fields(Preprocessing))
_OUTPUT = ("output", "fake_index", "inverted")
_OTHER = ("arch", "classes", "layout")
KEYS = (*_PREPROCESSING, *_OUTPUT, *_OTHER)
_WORDS = frozenset({"colour", "resize", "face", "arch", "layout", "output"})
_YES = frozenset({"true", "yes", "on", "1"})
_NO = frozenset({"false", "no", "off", "0"})
_LISTS = frozenset({"mean", "std", "fake_index"})


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
    def classes(self) -> int | None:
        """Numbers a plain state_dict's network gives for one image, where its user says so."""
        return self.values.get("classes")

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
        """How the output is read: unless said otherwise, one number is a logit, two are logits.

        Raises:
            SidecarError: three numbers or more, and nobody said which of them mean fake: reading all but the
                first as fake would be a guess about the order of somebody's classes.
        """
        if n_outputs > 2 and "fake_index" not in self.values:
            raise SidecarError(
                f"the network gives {n_outputs} numbers for an image; say which of the classes 0 to "
                f"{n_outputs - 1} mean fake, as in --set fake_index=1 or --set fake_index=1,2"
            )
        kind = self.values.get("output", "logit" if n_outputs == 1 else "logits")
        return Output.from_dict(
            {
                "kind": kind,
                "fake_index": self.values.get("fake_index", 1),
                "inverted": self.values.get("inverted", False),
            }
        )

    def assumed(self, known: Collection[str] = ()) -> list[str]:
        """Names of the important keys the user did not give.

        Args:
            known: Keys that the network itself fixes.
        """
        given = {*self.values, *known}
        return [key for key in ("size_px", "mean", "std", "output") if key not in given]


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
            values = read_toml(path)
        except UnreadableFile as error:
            raise SidecarError(str(error)) from None
        _check_keys(values, str(path))
    given = {key: value for key, value in (options or {}).items() if value is not None}
    _check_keys(given, "options")
    return Sidecar(values | given)


def _check_keys(values: Mapping[str, Any], where: str) -> None:
    for key in values:
        if key not in KEYS:
            raise SidecarError(f"{where}: unknown key {key!r}; known are {', '.join(KEYS)}")
        _check_type(key, values[key], where)
    if values.get("layout", "nchw") not in ("nchw", "nhwc"):
        raise SidecarError(f"{where}: layout is {values['layout']!r}; it must be nchw or nhwc")


def _check_type(key: str, value: Any, where: str) -> None:
    """Refuse a value of another type than its key has; ranges are checked where the value is used."""
    if key in _WORDS:
        fits, wanted = isinstance(value, str), "a word"
    elif key == "inverted":
        fits, wanted = type(value) is bool, "true or false"
    elif key in ("size_px", "channels", "classes"):
        fits, wanted = type(value) is int, "a whole number"
    elif key == "fake_index":
        fits, wanted = type(value) is int or _all(value, int), "a class number, or a list of them"
    else:
        fits, wanted = _all(value, int, float), "a list of numbers, one for each channel"
    if not fits:
        raise SidecarError(f"{where}: {key} is {value!r}; it must be {wanted}")


def _all(value: Any, *kinds: type) -> bool:
    return isinstance(value, (list, tuple)) and all(type(one) in kinds for one in value)


def parse_options(given: Sequence[str]) -> dict[str, Any]:
    """Read options of a command line as a sidecar would say them.

    Args:
        given: "size_px=224", "output=logit", "mean=0.5,0.5,0.5" (brackets or not), "inverted=no" ...

    Raises:
        SidecarError: no "=", an unknown key, a key given twice, or a value that is not of the key's type.

    >>> parse_options(["size_px=224", "output=logit", "mean=0,0,0", "std=[1, 1, 1]", "inverted=False"])
    {'size_px': 224, 'output': 'logit', 'mean': [0, 0, 0], 'std': [1, 1, 1], 'inverted': False}
    """
    options: dict[str, Any] = {}
    for text in given:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise SidecarError(f"{text!r}: write KEY=VALUE, such as size_px=224; keys are {', '.join(KEYS)}")
        if key in options:
            raise SidecarError(f"--set {key} is given twice: {options[key]!r} and {value!r}; give it once")
        options[key] = _typed(key, value)
    _check_keys(options, "--set")
    return options


def _typed(key: str, text: str) -> Any:
    """The value a word on the command line stands for, by the type its key has."""
    bare = text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
    if key in _WORDS:
        return bare
    if key == "inverted":
        word = bare.lower()
        return word in _YES if word in _YES | _NO else text
    if key in _LISTS and "," in bare and not bare.startswith("["):
        bare = f"[{bare.strip('()')}]"
    try:
        return parse_toml(f"value = {bare}", f"--set {key}")["value"]
    except UnreadableFile:
        return text  # refused by its type


def agreeing(detector: Detector, sidecar: Sidecar, where: str) -> Detector:
    """A detector that says itself how it is used, if nothing that was given contradicts it.

    Args:
        detector: Of a checkpoint of ours, or made by a factory.
        sidecar: What its user said.
        where: Its file or name.

    Raises:
        SidecarError: a key that says something else than the detector does.
    """
    own = {
        **detector.preprocessing.as_dict(),
        "output": detector.output.kind,
        "fake_index": list(detector.output.fake_index),
        "inverted": detector.output.inverted,
        "arch": detector.arch,
        "layout": "nchw",
    }
    without(sidecar, "classes", where, "is for plain weights, and this detector brings its own network")
    for key, value in sidecar.values.items():
        plain = [value] if key == "fake_index" and type(value) is int else value
        if (list(plain) if isinstance(plain, tuple) else plain) != own[key]:
            raise SidecarError(
                f"{where} says itself that {key} is {own[key]!r}; {key} = {value!r} (by option or "
                f"{Path(where).stem}.toml) cannot change that: leave it out"
            )
    return detector


def without(sidecar: Sidecar, key: str, where: str, because: str) -> Sidecar:
    """The sidecar, if it does not give a key that this kind of file has no use for.

    Raises:
        SidecarError: it does.
    """
    if key in sidecar.values:
        raise SidecarError(f"{where}: {key} = {sidecar.values[key]!r} {because}: leave it out")
    return sidecar
