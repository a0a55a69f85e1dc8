"""The isolated process: gives up its rights, opens a model file, answers batches.

Enters: file descriptors on the command line, a first message with what it may read, then requests. Leaves:
replies.

    {"open": kind, "path": str}                              -> {"input_shape": [..] or null}
    {"run": [B, C, H, W], "channels_last": bool,
     "autocast": str or null}, the batch in shared memory    -> {"shape": [..]}, float64 in shared memory
    anything that goes wrong                                 -> {"error": kind, "message": str}

Why its imports are few: what is imported before the rights are gone can be run with them. torch comes after
`confine`, the model's file after `seal`.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from detectors.isolation import lockdown, protocol

if TYPE_CHECKING:
    from detectors.isolation.opening import Opened

_MAX_ERROR = 400


def main(arguments: list[str]) -> None:
    """Serve until the other side closes the pipe.

    Args:
        arguments: File descriptors: requests, replies, lifeline, input, output.
    """
    requests, replies, lifeline, given, answers = map(int, arguments)
    start = protocol.receive(requests)
    try:
        _start(start, lifeline)
    except BaseException as error:  # said to the other side, since nobody reads what is printed here
        protocol.send(replies, {"error": "start", "message": f"{type(error).__name__}: {_short(error)}"})
        raise SystemExit(1) from None
    protocol.send(replies, {"ready": True})
    memory = mmap.mmap(given, protocol.INPUT_BYTES), mmap.mmap(answers, protocol.OUTPUT_BYTES)
    _serve(requests, replies, memory, start)


def _start(start: dict[str, Any], lifeline: int) -> None:
    """Give up everything, with the libraries imported in between."""
    lockdown.die_with_parent(lifeline)
    status = os.open("/proc/self/status", os.O_RDONLY)
    lockdown.confine(start["readable"], start["devices"])
    tempfile.tempdir = "/"  # torch asks for a folder at import; there is none to write to
    sys.path[:] = [*start["import_from"], *sys.path]
    from detectors.isolation import opening

    opening.prepare(start["kinds"], start["device"], start["threads"])
    lockdown.seal(status, start["memory_bytes"], start["device"] != "cpu")


def _serve(requests: int, replies: int, memory: tuple[mmap.mmap, mmap.mmap], start: dict[str, Any]) -> None:
    from detectors.isolation import opening
    from detectors.isolation.zip_archives import Refused

    opened: Opened | None = None
    while True:
        try:
            request = protocol.receive(requests)
        except EOFError:
            return
        try:
            if "open" in request:
                opened = None  # two models are never held at once
                opened = opening.open_model(
                    request["open"], request["path"], start["device"], start["threads"]
                )
                reply: dict[str, Any] = {"input_shape": opened.input_shape}
            elif opened is None:
                raise Refused("no model is open")
            else:
                reply = {"shape": _run(opened, request, *memory)}
        except Exception as error:  # whatever a model makes its library raise is reported, in one line
            kind = type(error).__name__ if isinstance(error, Refused) else "failed"
            reply = {"error": kind, "message": _short(error)}
        protocol.send(replies, reply)


def _run(opened: Opened, request: dict[str, Any], given: mmap.mmap, answers: mmap.mmap) -> list[int]:
    """Run the batch that lies in shared memory and leave the outputs in the other; their shape."""
    import numpy as np

    n, channels, height, width = request["run"]
    flat = np.frombuffer(given, np.float32, n * channels * height * width)
    if request["channels_last"]:
        batch = flat.reshape(n, height, width, channels).transpose(0, 3, 1, 2)
    else:
        batch = flat.reshape(n, channels, height, width)
    raw = opened.run(batch, request["autocast"])
    if raw.size * 8 > protocol.OUTPUT_BYTES:
        raise ValueError(f"its output of shape {raw.shape} is larger than any list of scores")
    np.frombuffer(answers, np.float64, raw.size)[:] = raw.ravel()
    return list(raw.shape)


def _short(error: BaseException) -> str:
    """The telling line of an error; TorchScript puts it last, below a trace of its own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith("RuntimeError: ")]
    text = marked[-1] if marked else lines[0] if lines else type(error).__name__
    return text.removeprefix("RuntimeError: ")[:_MAX_ERROR]
