"""Writing that survives being killed: temporary name, sync, rename.

Bytes and paths enter; files leave that are whole or not there at all. Where a path stands for a place in an
object store (`pipelines.places`) a finished file is taken there, and a missing one fetched.

Why every fault of the disk becomes one `StorageError`: a full disk, a lost mount and a folder
without write permission all need the same from a person, one line that says which folder and why,
and the promise that the same command continues from there.
"""

import errno
import hashlib
import io
import json
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipelines import places
from pipelines.errors import StorageError

_NAME_BYTES = 100
"""Of a file's name in that of its temporary one; file systems allow 255 for the whole."""


@contextmanager
def storing(folder: Path) -> Iterator[None]:
    """Turn faults of the disk into a `StorageError` that names the folder.

    Raises:
        StorageError: any OSError inside the block.
    """
    try:
        yield
    except OSError as fault:
        raise StorageError(
            f"cannot write to {folder}: {fault.strerror or fault}; what was finished is kept, "
            "mend the folder and run the same command again to continue"
        ) from fault


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_files(paths: list[Path]) -> None:
    """Make the contents of files last through a power cut."""
    for path in paths:
        sync_folder(path)  # fsync takes any open file, folder or not


def temporary(path: Path) -> Path:
    """A name beside a path for what is not whole yet; another one at every call.

    Why not by the number of the process: two threads share it, and so may two containers on one disk.
    """
    start = os.fsencode(path.name)[:_NAME_BYTES].decode(errors="ignore")
    return path.with_name(f".{start}.{uuid.uuid4().hex}.part")


def refuse_address(path: Path) -> None:
    """Refuse what was an address before it was made a path: a folder called `s3:` would be written here.

    Raises:
        StorageError: the first part of the path ends in ":".
    """
    first = path.parts[0] if path.parts else ""
    if len(first) > 2 and first.endswith(":"):
        raise StorageError(
            f"{path} is an address that was taken for a path: give it as text, {first}//BUCKET/FOLDER"
        )


def write_bytes(path: Path, data: bytes, sync: bool = True) -> None:
    """Write a file under a temporary name, then rename it into place.

    Args:
        path: the final name.
        data: what to write.
        sync: wait until it is on the disk.

    Raises:
        OSError: as the disk says; no half-written file is left under `path`.
    """
    refuse_address(path)
    part = temporary(path)
    try:
        with part.open("wb") as out:
            out.write(data)
            out.flush()
            if sync:
                os.fsync(out.fileno())
        os.replace(part, path)
    except BaseException:  # an interruption too leaves nothing behind
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    if sync:
        sync_folder(path.parent)
    places.push(path)


def write_text(path: Path, text: str) -> Path:
    """Write UTF-8 text as it is, atomically; the folder is made if it is not there.

    Raises:
        OSError: as `write_bytes`.
    """
    refuse_address(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, text.encode("utf-8"), sync=False)
    return path


def replace_file(target: Path, write: Callable[[Path], Any]) -> None:
    """Let a library write beside the target, then rename: the file is complete or not there.

    Args:
        target: the final name.
        write: given a temporary path in the same folder, writes the whole file there.

    Raises:
        OSError: as the disk says; nothing is left under the temporary name.
    """
    refuse_address(target)
    part = temporary(target)
    try:
        write(part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    places.push(target)


def open_regular(path: str | Path) -> io.BufferedReader:
    """Open a regular file for reading, without waiting for anything else that bears its name.

    Raises:
        OSError: the file is missing, is a pipe, a device or a folder, has a name no file can have, or cannot
            be read.
    """
    how = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        try:
            handle = os.open(path, how)
        except FileNotFoundError:
            if not places.fetch(path):
                raise
            handle = os.open(path, how)
    except ValueError as fault:  # a NUL in the name
        raise OSError(errno.EINVAL, f"no name that a file can have ({fault})", str(path)) from fault
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(handle, "rb")


def file_sha256(path: str | Path) -> str:
    """The sha256 of a file's bytes, as 64 hexadecimal digits.

    Raises:
        OSError: the file is missing, is no regular file (a pipe would be waited for, a device never
            ends), or cannot be read.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that `write_bytes` of a killed process left directly in a folder."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


def write_json(path: Path, record: Any) -> None:
    """Write a record as indented JSON, in the order it has, atomically.

    Raises:
        ValueError: NaN or infinity in the record; JSON has no word for them.
        OSError: as `write_bytes`.
    """
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def remove_tree(folder: Path) -> None:
    """Delete a folder that may be gone already."""
    shutil.rmtree(folder, ignore_errors=True)
    places.remove(folder)
