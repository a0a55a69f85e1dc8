"""What the two processes say to each other: short JSON messages over pipes, arrays in shared memory.

Enters: dictionaries of plain values. Leaves: the same on the other side, of bounded size.

Why JSON and a length, and no pickle: whoever controls the model's process writes what it likes into the
pipe, and reading that must not run anything.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from typing import Any

MAX_MESSAGE_BYTES = 1 << 18
INPUT_BYTES = 256 << 20
"""Shared memory for a batch; pages are taken as they are used."""
OUTPUT_BYTES = 16 << 20
_LENGTH = struct.Struct(">I")


class ProtocolError(Exception):
    """The other side sent what is no message."""


def send(pipe: int, message: dict[str, Any]) -> None:
    """Write one message.

    Raises:
        ProtocolError: longer than allowed.
        OSError: the other side is gone.
    """
    data = json.dumps(message).encode()
    if len(data) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"a message of {len(data):,} bytes")
    data = _LENGTH.pack(len(data)) + data
    while data:
        data = data[os.write(pipe, data) :]


def receive(pipe: int, wait: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Read one message.

    Args:
        pipe: File descriptor.
        wait: Called before every read; returns when there is something, or raises.

    Raises:
        EOFError: the other side closed the pipe.
        ProtocolError: no dictionary, or longer than allowed.
    """
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size, wait))
    if length > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"a message of {length:,} bytes")
    try:
        message = json.loads(_exactly(pipe, length, wait))
    except (ValueError, RecursionError):
        raise ProtocolError("a message that is not JSON") from None
    if not isinstance(message, dict):
        raise ProtocolError("a message that is no dictionary")
    return message


def _exactly(pipe: int, n: int, wait: Callable[[], None]) -> bytes:
    parts = bytearray()
    while len(parts) < n:
        wait()
        part = os.read(pipe, n - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
