"""Where an ONNX file keeps weights that lie outside it, checked before anything opens them.

Enters: the path of a `.onnx` file. Leaves: the data files beside it, or `Refused`. Standard library alone; a
walk over the bytes that reads names and skips weights, so this may run in the program's own process.

Why our own walk: older versions of onnxruntime open whatever path the file names (`../../etc/passwd`, through
links, an address in memory), and the names must be known before the process that opens them is confined.
Every entry called "location" counts, wherever it stands and whether or not it would be used.

Source: onnx.proto (field numbers), protobuf's encoding of messages.
"""

from __future__ import annotations

import mmap
import stat
from collections.abc import Iterator
from pathlib import Path

from detectors.isolation.zip_archives import Refused

MAX_FIELDS = 20_000_000
_MAX_DEPTH = 64
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_MAX_LOCATIONS = 10_000

# message: {field number: message inside}; fields that lead to no tensor are skipped
_FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
    "entry": {},
}


def external_files(path: Path) -> list[Path]:
    """The files beside an ONNX model that hold its weights.

    Args:
        path: The model.

    Returns:
        Sorted; empty where all weights are inside.

    Raises:
        Refused: not ONNX, or a location that is not a plain file beside the model.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise Refused("an empty file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            names = sorted(set(_locations(data)))
    return [_checked(path, name) for name in names]


def _locations(data: mmap.mmap) -> Iterator[str]:
    """Every location that any tensor names."""
    n_fields = 0
    waiting = [("model", 0, len(data), 0)]
    while waiting:
        message, start, end, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise Refused("graphs nested too deeply")
        entry: dict[int, bytes] = {}
        for number, kind, first, last in _fields(data, start, end):
            n_fields += 1
            if n_fields > MAX_FIELDS:
                raise Refused("more parts than any network has")
            if kind != _BYTES:
                continue
            if message == "entry":
                entry[number] = data[first : min(last, first + 4097)]
            elif number in _FIELDS[message]:
                waiting.append((_FIELDS[message][number], first, last, depth + 1))
        if entry.get(1) == b"location":
            yield _decoded(entry.get(2, b""))


def _decoded(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(f"external data at {name[:80]!r}, which is no name") from None


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Fields of a message: number, kind, where its content starts and ends."""
    while start < end:
        tag, start = _varint(data, start, end)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            first, start = start, _varint(data, start, end)[1]
        elif kind == _BYTES:
            length, first = _varint(data, start, end)
            start = first + length
        elif kind in (_FIXED_64, _FIXED_32):
            first, start = start, start + (8 if kind == _FIXED_64 else 4)
        else:
            raise Refused("not ONNX, or damaged")
        if start > end or not 0 < number < 1 << 29:
            raise Refused("not ONNX, or truncated")
        yield number, kind, first, start


def _varint(data: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if start >= end:
            raise Refused("not ONNX, or truncated")
        byte = data[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
    raise Refused("not ONNX, or damaged")


def _checked(path: Path, name: str) -> Path:
    """The file of that name beside the model, if it is a plain one."""
    plain = (
        name and name not in (".", "..") and not set(name) & set("/\\:\0") and "_ORT_MEM_ADDR_" not in name
    )
    if not plain or not name.isprintable():
        raise Refused(
            f"external data at {name[:80]!r}: only a plain file name beside the model is opened; "
            "nothing of it was read"
        )
    found = path.parent / name
    try:
        mode = found.lstat().st_mode
    except OSError as error:
        raise Refused(f"external data {name!r} is missing beside it ({error.strerror})") from None
    if not stat.S_ISREG(mode):
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "no plain file"
        raise Refused(f"external data {name!r} is {kind}: put the file itself beside the model")
    return found
