"""Other people's networks in this process: a plain state_dict, a Python factory, and what fits them in.

Enters: weights, or `module:factory`, and what its `Sidecar` says. Leaves: a `Detector` like any other, tried
once on two blank images, so that whatever does not fit is said before the first image is read.

Why a factory needs to be named: it is the one way that runs somebody's Python, in this process and with all
its rights. A file never does (`foreign_files`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.errors import DetectorNotFound, ForeignDetectorError, SidecarError
from detectors.models import architectures as zoo
from detectors.models.checkpoint import FORMAT, check_fits, load_weights_only
from detectors.models.detector import Detector
from detectors.models.sidecar import Sidecar
from detectors.models.user_code import import_factory
from pipelines.storage import file_sha256
from pipelines.untrusted import first_line

Network = Callable[[Tensor], Tensor]
MAX_SIDE_PX = 8192
MAX_FIXED_BATCH = 4096
PREFIXES = ("module.", "model.", "network.", "net.", "backbone.", "_orig_mod.")
"""What wrappers and training scripts put before the names of weights."""
_FACTORY = re.compile(r"([^\W\d]\w*(\.[^\W\d]\w*)*|[^:]+\.py):[^\W\d]\w*")


def load_state_dict(path: Path, sidecar: Sidecar, device: str) -> Detector:
    """Load plain weights into a named architecture of the zoo.

    Accepts the habits of training scripts: the weights under "state_dict", "model" or "model_state_dict",
    names that begin with "module." or "model.", and heads of one logit or of many classes, as the shape of
    the last layer says.

    Raises:
        CheckpointFormatError: not weights, or weights that do not fit.
        SidecarError: `classes` says something else than the weights, or three classes and more of which
            nobody says which mean fake.
        UnknownArchitecture: no such name in the zoo.
    """
    arch = str(sidecar.arch)
    state = _weights(load_weights_only(path))
    with torch.device("meta"):
        plan = zoo.architecture(arch)
        n_classes = _agreed_classes(path, sidecar.classes, _n_classes(state, plan.head))
        wanted = zoo.build(arch, n_classes, least=1).state_dict()
    check_fits(path, arch, wanted, state)
    network = zoo.build(arch, n_classes, least=1).eval()
    network.load_state_dict(state)
    usual = plan.preprocessing
    told = Sidecar({"size_px": usual.size_px, "mean": usual.mean, "std": usual.std} | sidecar.values)
    found = adapted(str(path), network.to(device), told, device)
    found = replace(found, name=path.stem, sha256=file_sha256(path), arch=arch)
    provenance = found.provenance | {"assumed": sidecar.assumed()}
    # the module itself, so that it can be explained
    return replace(found, network=network, provenance=provenance)


def _weights(record: Any) -> dict[str, Any]:
    """The weights in what a training script saved, with the usual prefixes taken off."""
    if isinstance(record, dict):
        if record.get("format") == FORMAT:
            record = record.get("state_dict")
        for key in ("state_dict", "model_state_dict", "model"):
            if isinstance(record, dict) and isinstance(record.get(key), dict):
                record = record[key]
    if not isinstance(record, dict):
        return {}
    weights = {str(key): value for key, value in record.items()}
    while weights and (prefix := _shared_prefix(weights)):
        weights = {key.removeprefix(prefix): value for key, value in weights.items()}
    return weights


def _shared_prefix(weights: dict[str, Any]) -> str:
    """What a wrapper put before every name, or nothing."""
    return next((prefix for prefix in PREFIXES if all(key.startswith(prefix) for key in weights)), "")


def _n_classes(weights: dict[str, Any], head: tuple[str, ...]) -> int | None:
    """Outputs of the last layer of the head, read from its shape; None where there is no such layer."""
    found = (value for key, value in weights.items() if key.startswith(head))
    layers = [value for value in found if isinstance(value, Tensor) and value.ndim >= 1 and len(value)]
    return len(layers[-1]) if layers else None


def _agreed_classes(path: Path, told: int | None, found: int | None) -> int:
    """Classes as told, as the weights have them, or 2 where neither says.

    Raises:
        SidecarError: The two contradict each other.
    """
    if told is not None and found is not None and told != found:
        raise SidecarError(
            f"classes is {told}, but the last layer of {path} gives {found} "
            f"number{'' if found == 1 else 's'} for an image: leave classes out"
        )
    return next((n for n in (told, found) if n is not None), 2)


def is_factory(name: str) -> bool:
    """Whether a text names a function of a module, or of a Python file, with a colon between the two.

    >>> is_factory("package.module:make"), is_factory("../mydet.py:load")
    (True, True)
    >>> is_factory("https://host/model.pt"), is_factory("C:model.pt")
    (False, False)
    """
    return _FACTORY.fullmatch(name) is not None


def load_factory(name: str, sidecar: Sidecar, device: str) -> Detector:
    """Call `module:factory` or `file.py:factory`, which the user named, and take what it gives.

    The factory takes no arguments and gives a `Detector`, or anything that maps a batch to outputs. It runs
    in this process: whoever names it vouches for it.

    Raises:
        DetectorNotFound: the name is none of a module and a function.
        ForeignDetectorError: no such module or function, or it raised.
    """
    if not is_factory(name):
        raise DetectorNotFound(
            f"no detector at {name!r}: give a file (nothing is downloaded), module:factory or file.py:factory"
        )
    try:
        made = import_factory(name)()
    except ForeignDetectorError:
        raise
    except (Exception, SystemExit) as error:  # the user's code: whatever it raises is for the user to read
        raise ForeignDetectorError(f"{name} raised {type(error).__name__}: {first_line(error)}") from None
    if isinstance(made, Detector):
        return made
    if not callable(made):
        raise ForeignDetectorError(f"{name} gave a {type(made).__name__}, not a detector or a network")
    network = made.eval().to(device) if isinstance(made, nn.Module) else made
    return replace(adapted(name, network, sidecar, device), name=name, arch="python")


def adapted(
    name: str,
    network: Network,
    sidecar: Sidecar,
    device: str,
    size_px: int | None = None,
    channels: int | None = None,
    batch_size: int | None = None,
) -> Detector:
    """Make a detector of a network, trying it on an empty batch to see what it gives.

    Args:
        name: For messages: a path, or module:factory.
        network: From a batch to raw outputs.
        sidecar: What its user knows about it.
        device: Where it takes its batches.
        size_px: Side of its input, where the network fixes it.
        channels: Channels of its input, where the network fixes them.
        batch_size: Images it takes at once, where it fixes them.

    Raises:
        SidecarError: a size other than the network's, an impossible value, or several classes of which
            nobody says which mean fake.
        ForeignDetectorError: it fails on the empty batch, or gives what cannot be read.
    """
    for what, value, most in (
        ("pixels a side", size_px, MAX_SIDE_PX),
        ("images", batch_size, MAX_FIXED_BATCH),
    ):
        if value is not None and value > most:
            raise ForeignDetectorError(f"{name} takes {value:,} {what}; more than {most:,} are not supported")
    defaults = {k: v for k, v in (("size_px", size_px), ("channels", channels)) if v is not None}
    preprocessing = sidecar.preprocessing(**defaults)
    if size_px is not None and preprocessing.size_px != size_px:
        raise SidecarError(f"size_px is {preprocessing.size_px}, but {name} takes {size_px} pixels a side")
    if sidecar.channels_last:
        network = _from_nhwc(network)
    if batch_size is not None:
        network = _in_batches_of(network, batch_size)
    called = guarded(network, name)
    side = preprocessing.size_px
    raw = called(torch.zeros(2, preprocessing.channels, side, side, device=device))
    try:
        output = sidecar.output({1: 1, 2: raw.shape[-1]}.get(raw.ndim, 2))
    except SidecarError as error:
        raise SidecarError(f"{name}: {error}") from None
    output.evidence(raw)  # a shape that cannot be read is said now
    return Detector(
        name=name,
        sha256="",
        arch="",
        preprocessing=preprocessing,
        output=output,
        network=called,
        provenance={"assumed": sidecar.assumed(defaults)},
        device=device,
    )


def guarded(network: Network, name: str) -> Network:
    """The network, its faults said in one line each."""

    def call(batch: Tensor) -> Tensor:
        try:
            raw = network(batch)
        except ForeignDetectorError:
            raise
        except (Exception, SystemExit) as error:  # foreign code
            raise ForeignDetectorError(
                f"{name} failed on a batch of shape {tuple(batch.shape)}: {first_line(error)}"
            ) from None
        if not isinstance(raw, Tensor) or raw.ndim == 0 or len(raw) != len(batch):
            shape = "one number" if isinstance(raw, Tensor) and raw.ndim == 0 else None
            what = shape or (tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__)
            raise ForeignDetectorError(f"{name} gave {what} for {len(batch)} images; expected a row each")
        return raw

    return call


def _from_nhwc(network: Network) -> Network:
    return lambda batch: network(batch.permute(0, 2, 3, 1).contiguous())


def _in_batches_of(network: Network, n: int) -> Network:
    """A network with a fixed batch size, called as often as needed; the last one is filled with zeros."""

    def call(batch: Tensor) -> Tensor:
        parts = []
        for start in range(0, len(batch), n):
            part = batch[start : start + n]
            missing = n - len(part)
            padded = functional.pad(part, (0, 0, 0, 0, 0, 0, 0, missing)) if missing else part
            parts.append(network(padded)[: len(part)])
        return torch.cat(parts)

    return call
