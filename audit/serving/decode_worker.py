"""The confined process that decodes images of strangers.

Enters: by standard rules of `detectors.isolation.protocol`, a first message with what it may read, then for
each image {"bytes": n, "max_pixels": n} and the bytes. Leaves: {"shape": [H, W, 3], "note": str,
"credentials": str} and the pixels, or {"error": kind, "message": str}.

Why its imports are few: what is imported before the rights are gone can be run with them. Pillow and NumPy
come after `confine`, the first image after `seal`.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import Any

import pipelines.sources  # noqa: F401  found before the path of our packages is taken away
from detectors.isolation import lockdown, protocol
from detectors.isolation.support import why_unavailable


def main(arguments: list[str]) -> None:
    """Serve until the other side closes the pipe.

    Args:
        arguments: File descriptors: requests, replies, lifeline.
    """
    requests, replies, lifeline = map(int, arguments)
    start = protocol.receive(requests)
    try:
        confined = _start(start, lifeline)
    except BaseException as error:  # said to the other side, since nobody reads what is printed here
        protocol.send(replies, {"error": "start", "message": f"{type(error).__name__}: {error}"[:400]})
        raise SystemExit(1) from None
    protocol.send(replies, {"confined": confined})
    while True:
        try:
            request = protocol.receive(requests)
        except EOFError:
            return
        reply, pixels = _decoded(read_exactly(requests, request["bytes"]), request["max_pixels"])
        protocol.send(replies, reply)
        write_all(replies, pixels)


def _start(start: dict[str, Any], lifeline: int) -> bool:
    """Give up everything, with the libraries imported in between; whether the kernel could do it."""
    confined = not why_unavailable()
    status = -1
    if confined:
        lockdown.die_with_parent(lifeline)
        status = os.open("/proc/self/status", os.O_RDONLY)
        lockdown.confine(start["readable"], ["/dev/null"])
    sys.path[:] = [*start["import_from"], *sys.path]
    from PIL import Image

    import pipelines.sources.photos  # noqa: F401  and with it all that decoding needs

    Image.init()  # every decoder's code, while there is a disk to read it from
    Image.MAX_IMAGE_PIXELS = None  # `decode` counts the pixels itself
    if start["credentials"]:
        from audit.serving import credentials

        credentials.prepare()
    if confined:
        lockdown.seal(status, start["memory_bytes"], cuda=False)
    else:
        resource.setrlimit(resource.RLIMIT_DATA, (start["memory_bytes"], start["memory_bytes"]))
    return confined


def _decoded(data: bytes, max_pixels: int) -> tuple[dict[str, Any], memoryview]:
    """The reply to one image, and its pixels."""
    from pipelines.errors import PhotoError
    from pipelines.sources.photos import decode

    try:
        pixels, note = decode(data, "this image", max_pixels)
    except PhotoError as error:
        return {"error": error.reason, "message": str(error)[:300]}, memoryview(b"")
    except MemoryError:
        return {
            "error": "image too large",
            "message": "this image needs more memory than it may",
        }, memoryview(b"")
    reply = {"shape": list(pixels.shape), "note": note, "credentials": ""}
    if "audit.serving.credentials" in sys.modules:
        reply["credentials"] = sys.modules["audit.serving.credentials"].describe(data)
    return reply, memoryview(pixels.tobytes())


def read_exactly(pipe: int, n: int) -> bytes:
    """Bytes that follow a message; an EOFError where the other side is gone."""
    parts = bytearray()
    while len(parts) < n:
        part = os.read(pipe, min(n - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def write_all(pipe: int, data: memoryview | bytes) -> None:
    """Write everything, however large the pipe is."""
    left = memoryview(data)
    while left:
        left = left[os.write(pipe, left) :]
