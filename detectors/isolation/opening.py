"""Open a foreign model file and run it, in whatever process this is.

Enters: a kind of file and its path, batches. Leaves: `Opened`, raw outputs. Called in the isolated process,
and in the program's own only for a file whose SHA-256 the user has trusted.

Why torch is imported inside functions: an ONNX file needs onnxruntime alone, whose process starts in a
fraction of the time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from detectors.isolation.exported_program import check_exported
from detectors.isolation.script_operators import check_operators
from detectors.isolation.zip_archives import MAX_CODE_BYTES, Refused, check_size

if TYPE_CHECKING:
    import torch

ONNX, EXPORTED, TORCHSCRIPT = "onnx", "torch.export", "torchscript"
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Opened:
    """A model, ready to run.

    Attributes:
        run: From [B, C, H, W] (or [B, H, W, C]) float32, in any order of memory, and the name of a half
            precision or None, to raw outputs [B, ...] of any dtype.
        input_shape: What the file says it takes, None for sizes it leaves open; None where it says nothing.
        module: The network itself, for kinds of torch.
    """

    run: Callable[[Floats, str | None], npt.NDArray[Any]]
    input_shape: list[int | None] | None
    module: Callable[[torch.Tensor], torch.Tensor] | None = None


def prepare(kinds: list[str], device: str, threads: int) -> None:
    """Import what the kinds of file need, while importing is still free."""
    if ONNX in kinds:
        import onnxruntime

        onnxruntime.get_available_providers()
    if set(kinds) - {ONNX}:
        import torch

        torch.set_num_threads(threads)
        _without_remote_modules()
        if device != "cpu":  # the driver makes its threads and opens its devices
            image = torch.zeros(1, 3, 8, 8, device=device)
            torch.nn.functional.conv2d(image, torch.zeros(1, 3, 3, 3, device=device)).sum().item()
            torch.mm(image[0, 0], image[0, 0]).sum().item()


def _without_remote_modules() -> None:
    """Tell torch that it cannot make connections, which is so here.

    Otherwise some versions (2.9, say) write a module to disk as soon as torch.export is imported.
    """
    import torch.distributed

    if torch.distributed.is_available():
        import torch.distributed.rpc

        torch.distributed.rpc.is_available = lambda: False


def open_model(kind: str, path: str, device: str, threads: int) -> Opened:
    """Open a model file.

    Args:
        kind: ONNX, EXPORTED or TORCHSCRIPT.
        path: The file.
        device: "cpu" or "cuda".
        threads: For onnxruntime, which has its own.

    Raises:
        Refused: it holds more than a network.
        Exception: whatever the library raises for a damaged file.
    """
    if kind == ONNX:
        return _open_onnx(path, device, threads)
    return _open_exported(path, device) if kind == EXPORTED else _open_torchscript(path, device)


def _open_onnx(path: str, device: str, threads: int) -> Opened:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    wanted = [p for p in onnxruntime.get_available_providers() if device != "cpu" or p.startswith("CPU")]
    session = onnxruntime.InferenceSession(path, options, providers=wanted)
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        shapes = [tuple(i.shape) for i in inputs]
        raise Refused(f"it takes inputs {shapes}; a detector takes one batch of images")
    name = inputs[0].name

    def run(batch: Floats, _: str | None) -> npt.NDArray[Any]:
        return np.asarray(session.run(None, {name: np.ascontiguousarray(batch)})[0])

    return Opened(run, _sizes(inputs[0].shape))


def _open_exported(path: str, device: str) -> Opened:
    import torch

    check_exported(Path(path))
    program = torch.export.load(path)
    module = program.module(check_guards=False).to(device)
    names = set(program.graph_signature.user_inputs)
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    return Opened(_runner(module, device), _sizes(nodes[0].meta["val"].shape), module)


def _open_torchscript(path: str, device: str) -> Opened:
    import torch

    check_size(Path(path), MAX_CODE_BYTES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch would rather see torch.export
        try:
            module = torch.jit.load(path, map_location=device).eval()
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
            import torchvision  # noqa: F401  it brings the operator that was missing

            module = torch.jit.load(path, map_location=device).eval()
    check_operators(module)
    return Opened(_runner(module, device), None, module)


def _runner(module: Callable[[Any], Any], device: str) -> Callable[[Floats, str | None], npt.NDArray[Any]]:
    """Call a network of torch with arrays."""
    import torch

    kind = device.partition(":")[0]

    @torch.inference_mode()
    def run(batch: Floats, half: str | None) -> npt.NDArray[Any]:
        dtype = torch.float16 if half == "float16" else torch.bfloat16
        with torch.autocast(kind, dtype, enabled=half is not None):
            raw = module(torch.from_numpy(batch).to(device))
        if not isinstance(raw, torch.Tensor) or raw.is_complex():
            raise TypeError(f"it gave a {type(raw).__name__}, not an array of real numbers")
        dense = raw.dequantize() if raw.is_quantized else raw.to_dense()
        return dense.detach().to("cpu", torch.float64).numpy()

    return run


def _sizes(shape: Any) -> list[int | None]:
    """Plain numbers; None for what is left open."""
    return [size if type(size) is int else None for size in shape]
