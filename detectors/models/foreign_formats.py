"""Other people's detectors: ONNX, torch.export, TorchScript, a plain state_dict, a Python factory.

Enters: a file or `module:factory`, and what its `Sidecar` says. Leaves: a `Detector` like any other, tried
once on an empty batch, so that whatever does not fit is said before the first image is read.

Why a factory needs to be named: it is the one way that runs somebody's Python. A file never does.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.errors import ForeignDetectorError, MissingExtra, SidecarError
from detectors.models import architectures as zoo
from detectors.models.archive_checks import check_exported, check_torchscript
from detectors.models.checkpoint import FORMAT, check_fits, load_weights_only
from detectors.models.detector import Detector
from detectors.models.sidecar import Sidecar
from pipelines.storage import file_sha256

Network = Callable[[Tensor], Tensor]
MAX_ONNX_BYTES = 4 << 30


def load_onnx(path: Path, sidecar: Sidecar, device: str) -> Detector:
    """Load an ONNX network through onnxruntime (extra `[onnx]`).

    Raises:
        MissingExtra: onnxruntime is not installed.
        ForeignDetectorError: not ONNX, truncated, or with other than one image input.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("onnxruntime", "onnx", f"{path.name}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    providers = [p for p in onnxruntime.get_available_providers() if device != "cpu" or p.startswith("CPU")]
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime raises types of its own for each kind of damage
        raise ForeignDetectorError(f"{path} cannot be loaded as ONNX: {_first_line(error)}") from None
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        shapes = [tuple(i.shape) for i in inputs]
        raise ForeignDetectorError(f"{path} takes inputs {shapes}; a detector takes one batch of images")
    name, shape = inputs[0].name, inputs[0].shape

    def network(batch: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: batch.cpu().contiguous().numpy()})[0])

    size, channels = _size_and_channels(shape, sidecar)
    batch_size = shape[0] if isinstance(shape[0], int) else None
    return _finish(path, "onnx", network, sidecar, "cpu", size, channels, batch_size)


def load_exported(path: Path, sidecar: Sidecar, device: str) -> Detector:
    """Load a network saved by torch.export, once nothing in it can run as code.

    Raises:
        CheckpointFormatError: it holds more than weights and tensor operators.
        ForeignDetectorError: torch cannot load it.
    """
    check_exported(path)
    try:
        program = torch.export.load(str(path))
        module = program.module(check_guards=False).to(device)
        shape = list(next(v.meta["val"].shape for v in _user_inputs(program)))
    except Exception as error:  # torch raises dozens of types for a damaged graph
        raise ForeignDetectorError(f"{path} cannot be loaded by torch.export: {_first_line(error)}") from None
    size, channels = _size_and_channels(shape, sidecar)
    batch_size = shape[0] if type(shape[0]) is int else None
    return _finish(path, "torch.export", module, sidecar, device, size, channels, batch_size)


def _user_inputs(program: torch.export.ExportedProgram) -> list[Any]:
    names = set(program.graph_signature.user_inputs)
    return [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]


def load_torchscript(path: Path, sidecar: Sidecar, device: str) -> Detector:
    """Load a TorchScript network, once its code is known to touch no files.

    Raises:
        CheckpointFormatError: its code uses operators that do.
        ForeignDetectorError: torch cannot load it.
    """
    check_torchscript(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch would rather see torch.export
            module = torch.jit.load(str(path), map_location=device).eval()
    except RuntimeError as error:
        raise ForeignDetectorError(f"{path} cannot be loaded as TorchScript: {_first_line(error)}") from None
    return _finish(path, "torchscript", module, sidecar, device)


def load_state_dict(path: Path, sidecar: Sidecar, device: str) -> Detector:
    """Load plain weights into a named architecture of the zoo.

    Accepts the habits of training scripts: the weights under "state_dict", "model" or "model_state_dict", and
    names that begin with "module." or "model.".

    Raises:
        CheckpointFormatError: not weights, or weights that do not fit.
        UnknownArchitecture: no such name in the zoo.
    """
    arch = str(sidecar.arch)
    state = _weights(load_weights_only(path))
    with torch.device("meta"):
        plan = zoo.architecture(arch)
        n_classes = _n_classes(state, plan.head)
        wanted = zoo.build(arch, n_classes).state_dict()
    check_fits(path, arch, wanted, state)
    network = zoo.build(arch, n_classes).eval()
    network.load_state_dict(state)
    usual = plan.preprocessing
    told = Sidecar({"size_px": usual.size_px, "mean": usual.mean, "std": usual.std} | sidecar.values)
    found = _finish(path, arch, network.to(device), told, device)
    return replace(found, network=network)  # the module itself, so that it can be explained


def _weights(record: Any) -> dict[str, Any]:
    """The weights in what a training script saved, with the usual prefixes taken off."""
    if isinstance(record, dict):
        if record.get("format") == FORMAT:
            record = record["state_dict"]
        for key in ("state_dict", "model_state_dict", "model"):
            if isinstance(record.get(key), dict):
                record = record[key]
    if not isinstance(record, dict):
        return {}
    weights = {str(key): value for key, value in record.items()}
    for prefix in ("module.", "model.", "network."):
        if weights and all(key.startswith(prefix) for key in weights):
            weights = {key.removeprefix(prefix): value for key, value in weights.items()}
    return weights


def _n_classes(weights: dict[str, Any], head: tuple[str, ...]) -> int:
    """Outputs of the last layer of the head, read from its bias; 2 where there is none."""
    found = (value for key, value in weights.items() if key.startswith(head) and key.endswith("bias"))
    biases = [value for value in found if isinstance(value, Tensor)]
    return int(biases[-1].numel()) if biases and biases[-1].numel() >= 2 else 2


def load_factory(name: str, sidecar: Sidecar, device: str) -> Detector:
    """Call `module:factory`, which the user named, and take what it gives.

    The factory takes no arguments and gives a `Detector`, or anything that maps a batch to outputs.

    Raises:
        ForeignDetectorError: no such module or function, or it raised.
    """
    module_name, _, attribute = name.partition(":")
    try:
        made = getattr(importlib.import_module(module_name), attribute)()
    except Exception as error:  # it is the user's code: whatever it raises is for the user to read
        raise ForeignDetectorError(f"{name} raised {type(error).__name__}: {_first_line(error)}") from None
    if isinstance(made, Detector):
        return made
    if not callable(made):
        raise ForeignDetectorError(f"{name} gave a {type(made).__name__}, not a detector or a network")
    network = made.eval().to(device) if isinstance(made, nn.Module) else made
    return replace(_finish(None, "python", network, sidecar, device), name=name)


def _size_and_channels(shape: list[Any], sidecar: Sidecar) -> tuple[int | None, int | None]:
    """Input size and channels a file fixes; None where it leaves them open."""
    if sidecar.channels_last:
        shape = [shape[0], shape[3], shape[1], shape[2]]
    if type(shape[2]) is int and type(shape[3]) is int and shape[2] != shape[3]:
        raise ForeignDetectorError(f"the network takes images of {shape[2]} x {shape[3]}, not of squares")
    return tuple(v if type(v) is int else None for v in (shape[2], shape[1]))  # type: ignore[return-value]


def _finish(
    path: Path | None,
    arch: str,
    network: Network,
    sidecar: Sidecar,
    device: str,
    size_px: int | None = None,
    channels: int | None = None,
    batch_size: int | None = None,
) -> Detector:
    """Make a detector of a network, trying it on an empty batch to see what it gives."""
    defaults = {k: v for k, v in (("size_px", size_px), ("channels", channels)) if v is not None}
    preprocessing = sidecar.preprocessing(**defaults)
    if size_px is not None and preprocessing.size_px != size_px and arch in ("onnx", "torch.export"):
        raise SidecarError(f"size_px is {preprocessing.size_px}, but {path} takes {size_px} pixels a side")
    if sidecar.channels_last:
        network = _from_nhwc(network)
    if batch_size is not None:
        network = _in_batches_of(network, batch_size)
    name = path.stem if path else arch
    guarded = _guarded(network, str(path or name))
    side = preprocessing.size_px
    raw = guarded(torch.zeros(2, preprocessing.channels, side, side, device=device))
    output = sidecar.output(1 if raw.ndim == 1 else raw.shape[-1])
    output.evidence(raw)  # a shape that cannot be read is said now
    return Detector(
        name=name,
        sha256=file_sha256(path) if path else "",
        arch=arch,
        preprocessing=preprocessing,
        output=output,
        network=guarded,
        provenance={"assumed": sidecar.assumed()},
        device=device,
    )


def _guarded(network: Network, name: str) -> Network:
    """The network, its faults said in one line."""

    def call(batch: Tensor) -> Tensor:
        try:
            raw = network(batch)
        except ForeignDetectorError:
            raise
        except Exception as error:  # foreign code
            raise ForeignDetectorError(
                f"{name} failed on a batch of shape {tuple(batch.shape)}: {_first_line(error)}"
            ) from None
        if not isinstance(raw, Tensor) or len(raw) != len(batch):
            what = tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
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


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
