"""Bytes of strangers to pixels: a few confined processes, each replaced when it fails.

Enters: the bytes of an upload. Leaves: `Decoded`, or a `Problem` that says why not.

Why processes: a decoder's fault, a bomb or an endless loop costs one request and one process, not the
server. Each has no files, no network and no children, a limit of memory, and a deadline after which it is
killed.
Why more than one image format check: `Pillow` would gladly read what lies in front of a second file, so that
a photo could carry a page or an archive. Such files are refused before they are decoded.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt

from audit.serving.decode_worker import write_all
from audit.serving.limits import Limits
from audit.serving.problems import Problem
from detectors.errors import IsolationUnavailable
from detectors.isolation import protocol
from detectors.isolation.confined_process import end, is_confined, library_folders, pipes, readable, spawn
from detectors.isolation.support import why_unavailable
from pipelines.extras import missing

_LIBRARIES = ("numpy", "PIL")
_START_S = 60.0
_STATUS = {"image too large": 413}
"""Of a reason that `pipelines.errors` gives; every other one is 422."""
_SECOND_FILES = (b"<script", b"<!doctype", b"<?php", b"<html")
_TAIL = 66_000
"""Bytes at the end in which a ZIP archive's directory begins."""


@dataclass(frozen=True)
class Decoded:
    """An uploaded image."""

    pixels: npt.NDArray[np.uint8]
    """[H, W, 3], sRGB, upright."""
    note: str
    """What had to be assumed, or ""."""
    credentials: str
    """What its content credentials say, or ""."""


class Decoders:
    """A fixed number of processes that decode; callers wait for a free one.

    Args:
        limits: Time, memory and their number.

    Raises:
        IsolationUnavailable: the system promised to confine them and did not.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._free: SimpleQueue[_Decoder | None] = SimpleQueue()
        for _ in range(limits.decoders):
            self._free.put(_Decoder(limits))

    def decode(self, data: bytes) -> Decoded:
        """Decode one upload; blocks until a process is free.

        Raises:
            Problem: 400 for an empty file, 413 for too many pixels, 422 for what is no image, or is more
                than one thing at once, or takes too long.
        """
        refuse_disguised(data)
        decoder = self._free.get()
        try:
            if decoder is None or not decoder.is_alive:
                decoder = _Decoder(self._limits)
            return decoder.decode(data)
        finally:
            self._free.put(decoder if decoder is not None and decoder.is_alive else None)

    def close(self) -> None:
        """End all processes; nobody may be decoding. A second time it does nothing."""
        decoders = [self._free.get() for _ in range(self._limits.decoders)]
        for decoder in decoders:
            if decoder is not None:
                decoder.close()
            self._free.put(None)


def refuse_disguised(data: bytes) -> None:
    """Refuse an empty upload, and a file that is a page, a document or an archive as well as an image.

    Raises:
        Problem: 400 or 422.
    """
    if not data:
        raise Problem(400, "empty-file", "The file is empty", "it has 0 bytes; choose the image again")
    low = data.lower()
    found = next((mark for mark in _SECOND_FILES if mark in low), None)
    if found is None and b"%PDF-" in data[:1024]:
        found = b"%PDF-"
    if found is None and b"PK\x05\x06" in data[-_TAIL:]:
        found = b"PK"
    if found is not None:
        raise Problem(
            422,
            "not-only-an-image",
            "Not an image alone",
            f"the file holds {found.decode('latin-1')!r}, as a page, a program or an archive does; save the "
            "picture anew and upload that",
        )


class _Decoder:
    """One process."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        ours, theirs = pipes()
        try:
            self._process = spawn("audit.serving.decode_worker", theirs)
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self._requests, self._replies = ours[:2]
        self._end = weakref.finalize(self, end, self._process, ours)
        self._start()

    @property
    def is_alive(self) -> bool:
        return self._end.alive

    def close(self) -> None:
        self._end()

    def _start(self) -> None:
        libraries = (*_LIBRARIES, *(() if missing("c2pa") else ("c2pa",)))
        protocol.send(
            self._requests,
            {
                "readable": readable(["pipelines", "detectors", "audit"], libraries),
                "import_from": [str(folder) for folder in library_folders(libraries)],
                "memory_bytes": self._limits.decode_memory_bytes,
                "credentials": "c2pa" in libraries,
            },
        )
        reply = protocol.receive(self._replies, self._until(time.monotonic() + _START_S))
        if "error" in reply or (not why_unavailable() and not is_confined(self._process.pid)):
            self.close()
            raise IsolationUnavailable(f"the process that decodes images did not start: {reply}"[:400])

    def decode(self, data: bytes) -> Decoded:
        """One image; whatever goes wrong beyond it ends the process."""
        wait = self._until(time.monotonic() + self._limits.decode_s)
        try:
            protocol.send(self._requests, {"bytes": len(data), "max_pixels": self._limits.image_pixels})
            write_all(self._requests, data)
            reply = protocol.receive(self._replies, wait)
            if "error" in reply:
                raise _refused(str(reply["error"]), str(reply.get("message", "")))
            height, width, channels = map(int, reply["shape"])
            if channels != 3 or height < 1 or width < 1 or height * width > self._limits.image_pixels:
                raise protocol.ProtocolError("a shape that no image has")
            pixels = np.empty((height, width, 3), np.uint8)
            self._fill(memoryview(pixels.data).cast("B"), wait)
            return Decoded(pixels, str(reply.get("note", "")), str(reply.get("credentials", "")))
        except Problem:
            raise
        except (EOFError, OSError, ValueError, protocol.ProtocolError):
            self._died()
            raise Problem(
                422, "not-decodable", "The image cannot be decoded", "decoding it failed; save it anew as PNG"
            ) from None
        except BaseException:
            self.close()
            raise

    def _died(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self.close()

    def _fill(self, buffer: memoryview, wait: Callable[[], None]) -> None:
        filled = 0
        while filled < len(buffer):
            wait()
            n = os.readv(self._replies, [buffer[filled:]])
            if not n:
                raise EOFError
            filled += n

    def _until(self, deadline: float) -> Callable[[], None]:
        """Wait for something to read, until then."""
        waiting = select.poll()
        waiting.register(self._replies, select.POLLIN)

        def wait() -> None:
            if not waiting.poll(max(0, round(1000 * (deadline - time.monotonic())))):
                self.close()
                raise Problem(
                    422,
                    "decoding-too-slow",
                    "The image takes too long to decode",
                    f"decoding it was ended after {self._limits.decode_s:g} s; save it anew as PNG or JPEG",
                )

        return wait


def _refused(reason: str, message: str) -> Problem:
    status = _STATUS.get(reason, 422)
    title = "The image is too large" if status == 413 else "Not a readable image"
    hint = "make it smaller" if status == 413 else "give a JPEG, PNG, WebP, TIFF, BMP or GIF"
    told = message.removeprefix("this image is not a readable image: ")  # as the title says already
    return Problem(status, reason.replace(" ", "-"), title, f"{told}; {hint}")
