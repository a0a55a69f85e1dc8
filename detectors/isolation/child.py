"""The program's side of isolation: start the process, feed it batches, distrust what it says, end it.

Enters: the files of a foreign model. Leaves: `IsolatedModel`, which turns a batch into raw outputs, or one
typed error: the model was refused, failed, took too long, took too much memory, or its process died.

Why a process of its own for every model: what one file does to its process cannot reach another's scores.
Why nothing is pickled: see `protocol`.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detectors.errors import (
    CheckpointFormatError,
    CheckpointTooLarge,
    DetectorDied,
    DetectorTooSlow,
    ForeignDetectorError,
    IsolationUnavailable,
)
from detectors.isolation import protocol
from detectors.isolation.confined_process import (
    end,
    is_confined,
    library_folders,
    pipes,
    readable,
    resident_bytes,
    shared_memory,
    spawn,
)
from detectors.isolation.support import why_unavailable

_TICK_MS = 50
_MAX_DIMENSIONS = 8
_LIBRARIES = ("torch", "numpy", "onnxruntime", "torchvision")
"""What opens models."""
_REFUSED = {"Refused": CheckpointFormatError, "TooLarge": CheckpointTooLarge}


@dataclass(frozen=True)
class Limits:
    """What a model may take before its process is ended.

    Attributes:
        memory_bytes: Memory beside that of the libraries; None for half of the machine's.
        load_s: Seconds until the file is open.
        batch_s: Seconds for a batch.
    """

    memory_bytes: int | None = None
    load_s: float = 300.0
    batch_s: float = 600.0

    @property
    def memory(self) -> int:
        """Bytes."""
        return self.memory_bytes or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


class IsolatedModel:
    """A process that runs one model.

    Attributes:
        pid: Of the process.
    """

    def __init__(
        self, files: Sequence[Path], kinds: Sequence[str], device: str = "cpu", limits: Limits | None = None
    ) -> None:
        """Start the process and see that it is confined; no file is opened yet.

        Args:
            files: All it may read beside the libraries: the model and its external data.
            kinds: Kinds of file it will open (`opening`).
            device: "cpu" or "cuda", where it computes.
            limits: Memory and time.

        Raises:
            IsolationUnavailable: the system cannot isolate it, or did not.
        """
        lacking = why_unavailable()
        if lacking:
            raise IsolationUnavailable(lacking)
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._name = str(files[0]) if files else "the model"
        self._given, given = shared_memory(protocol.INPUT_BYTES)
        self._answers, answers = shared_memory(protocol.OUTPUT_BYTES)
        ours, theirs = pipes()
        try:
            self._process = spawn("detectors.isolation.worker", [*theirs, given, answers])
        finally:
            for descriptor in (*theirs, given, answers):
                os.close(descriptor)
        self.pid = self._process.pid
        self._requests, self._replies = ours[:2]
        self._end = weakref.finalize(self, end, self._process, ours)
        self._memory = self._limits.memory
        self._start(files, kinds, device)

    @property
    def is_alive(self) -> bool:
        """Whether the process was not ended."""
        return self._end.alive

    def open(self, kind: str, path: Path) -> list[int | None] | None:
        """Open a model file in the process.

        Returns:
            The sizes it says it takes, None for open ones; None where it says nothing.

        Raises:
            CheckpointFormatError, CheckpointTooLarge: it was refused, before anything of it was run.
            ForeignDetectorError: it cannot be loaded.
            DetectorDied, DetectorTooSlow: the process did not survive it.
        """
        self._name = str(path)
        reply = self._ask({"open": kind, "path": str(path.absolute())}, self._limits.load_s)
        if "error" in reply:
            refused = _REFUSED.get(str(reply["error"]))
            if refused:
                raise refused(f"{path}: {_printable(reply)}")
            raise ForeignDetectorError(f"{path} cannot be loaded as {kind}: {_printable(reply)}")
        return self._sizes(reply.get("input_shape"))

    def run(self, batch: Tensor) -> Tensor:
        """Raw outputs of a batch.

        Args:
            batch: [B, C, H, W] float32.

        Returns:
            [B, ...] float64 on the CPU, as the model gives them.

        Raises:
            ForeignDetectorError: the model failed, or gave something else.
            DetectorDied, DetectorTooSlow: the process did not survive it.
        """
        per_call = protocol.INPUT_BYTES // max(4, 4 * math.prod(batch.shape[1:]))
        if per_call < 1:
            raise ForeignDetectorError(f"{self._name}: an image of {tuple(batch.shape[1:])} is too large")
        parts = batch.split(per_call) if len(batch) else (batch,)
        return torch.cat([self._run(part) for part in parts]) if len(parts) > 1 else self._run(batch)

    def close(self) -> None:
        """End the process."""
        self._end()

    def _run(self, batch: Tensor) -> Tensor:
        n, channels, height, width = batch.shape
        last = batch.is_contiguous(memory_format=torch.channels_last)
        with self._lock:
            if batch.numel():
                flat = torch.frombuffer(self._given, dtype=torch.float32, count=batch.numel())
                ordered = batch.permute(0, 2, 3, 1) if last else batch
                flat.view(ordered.shape).copy_(ordered)
            request = {"run": [n, channels, height, width], "channels_last": last, "autocast": _autocast()}
            reply = self._ask(request, self._limits.batch_s)
            if "error" in reply:
                raise ForeignDetectorError(
                    f"{self._name} failed on a batch of shape {tuple(batch.shape)}: {_printable(reply)}"
                )
            return self._output(reply.get("shape"))

    def _output(self, shape: object) -> Tensor:
        """A copy of what lies in shared memory, once its shape is known to be one."""
        if (
            not isinstance(shape, list)
            or len(shape) > _MAX_DIMENSIONS
            or not all(type(size) is int and 0 <= size <= protocol.OUTPUT_BYTES for size in shape)
            or math.prod(shape) * 8 > protocol.OUTPUT_BYTES
        ):
            raise self._broken("it described an array that cannot be one")
        count = math.prod(shape)
        if not count:
            return torch.zeros(shape, dtype=torch.float64)
        return torch.frombuffer(self._answers, dtype=torch.float64, count=count).clone().view(shape)

    def _sizes(self, shape: object) -> list[int | None] | None:
        if shape is None:
            return None
        if not isinstance(shape, list) or len(shape) > _MAX_DIMENSIONS:
            raise self._broken("it described an input that cannot be one")
        return [size if type(size) is int and 0 < size < 1 << 20 else None for size in shape]

    def _start(self, files: Sequence[Path], kinds: Sequence[str], device: str) -> None:
        cuda = device != "cpu"
        start = {
            "readable": [*readable(["detectors"], _LIBRARIES, cuda), *(str(f.absolute()) for f in files)],
            "devices": ["/dev/null", *(sorted(glob("/dev/nvidia*")) if cuda else [])],
            "import_from": [str(folder) for folder in library_folders(_LIBRARIES)],
            "kinds": list(kinds),
            "device": device,
            "threads": torch.get_num_threads(),
            "memory_bytes": self._memory,
        }
        reply = self._ask(start, self._limits.load_s)
        if "error" in reply or not is_confined(self.pid):
            self.close()
            raise IsolationUnavailable(f"isolation did not hold: {_printable(reply)}")

    def _ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a request and wait for its reply; whatever interrupts the wait ends the process."""
        if not self._end.alive:
            raise DetectorDied(f"{self._name}: its process was ended before; load it again")
        try:
            protocol.send(self._requests, message)
            return protocol.receive(self._replies, self._patience(seconds))
        except (EOFError, BrokenPipeError):
            raise self._died() from None
        except protocol.ProtocolError as error:
            raise self._broken(str(error)) from None
        except BaseException:
            self.close()
            raise

    def _patience(self, seconds: float) -> Callable[[], None]:
        """Wait for something to read, as long as time and memory allow."""
        deadline, waiting = time.monotonic() + seconds, select.poll()
        waiting.register(self._replies, select.POLLIN)

        def wait() -> None:
            while not waiting.poll(_TICK_MS):
                if time.monotonic() > deadline:
                    raise DetectorTooSlow(
                        f"{self._name} gave no answer within {seconds:g} s: its process was ended; "
                        "try smaller batches, or load_detector(..., limits=Limits(batch_s=...))"
                    )
                if resident_bytes(self.pid) > self._memory + _LIBRARY_BYTES:
                    raise DetectorDied(
                        f"{self._name} took more than {self._memory / 2**30:.1f} GiB of memory: "
                        "its process was ended; try smaller batches, or allow more "
                        "(load_detector(..., limits=Limits(memory_bytes=...)))"
                    )

        return wait

    def _died(self) -> DetectorDied:
        """Say how the process ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        self.close()
        if code is None:
            how = "closed its pipe"
        elif code == -signal.SIGKILL:
            how = "was killed, as the system does when memory runs out"
        elif code < 0:
            how = f"crashed ({signal.Signals(-code).name})"
        else:
            how = f"ended by itself with code {code}"
        return DetectorDied(f"{self._name}: its isolated process {how}; it has no scores")

    def _broken(self, what: str) -> DetectorDied:
        self.close()
        return DetectorDied(f"{self._name}: its isolated process sent no valid answer ({what}); it was ended")


_LIBRARY_BYTES = 2 << 30
"""What torch itself may hold, with a graphics processor's libraries."""


def _autocast() -> str | None:
    """The half precision that is switched on here, by name."""
    for kind in ("cpu", "cuda"):
        if torch.is_autocast_enabled(kind):
            return str(torch.get_autocast_dtype(kind)).removeprefix("torch.")
    return None


def _printable(reply: dict[str, Any]) -> str:
    """The child's message as one line without control characters."""
    text = str(reply.get("message", "no reason given"))[:500]
    return "".join(letter if letter.isprintable() else " " for letter in text)
