"""Which files a process may still open: Landlock, the kernel's sandbox for unprivileged programs.

Enters: folders and files to read, devices to use. Leaves: a process that opens nothing else, nor any of its
threads made from then on. Standard library alone: it runs while the process still has one thread, since
older kernels leave threads that are there already as they were.

Source: landlock(7), linux/landlock.h; the call numbers are the same on every architecture.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_NO_NEW_PRIVILEGES = 38
READ_FILE, READ_FOLDER, WRITE_FILE, IOCTL_DEVICE = 1 << 2, 1 << 3, 1 << 1, 1 << 15
_FILES_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Kinds of access each version of the interface can take away: 3 adds truncating, 5 ioctl on devices."""
_CONNECTIONS_SINCE, _TCP = 4, 0b11
_SCOPES_SINCE, _SOCKETS_AND_SIGNALS = 6, 0b11


def version() -> int:
    """Version of the kernel's interface, 0 where there is none or it is switched off."""
    return max(0, _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION)))


def restrict(readable: Iterable[str], devices: Iterable[str] = ()) -> int:
    """Let this thread, and those it makes, open only what is named. There is no way back.

    Args:
        readable: Folders (with all below) and files to read; those that do not exist are passed over.
        devices: Files to read, write and control, such as /dev/null.

    Returns:
        Version of the interface that was used.

    Raises:
        OSError: there is no Landlock, or it refused.
    """
    found = version()
    if not found:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    handled = _FILES_BY_VERSION[max(v for v in _FILES_BY_VERSION if v <= found)]
    tcp = _TCP if found >= _CONNECTIONS_SINCE else 0
    scopes = _SOCKETS_AND_SIGNALS if found >= _SCOPES_SINCE else 0
    attributes = struct.pack("QQQ", handled, tcp, scopes)[: 24 if scopes else 16 if tcp else 8]
    rules = _checked(_libc().syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0))
    try:
        for path in readable:
            _allow(rules, path, READ_FILE | READ_FOLDER)
        for path in devices:
            _allow(rules, path, handled & (READ_FILE | READ_FOLDER | WRITE_FILE | IOCTL_DEVICE))
        _checked(_libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        _checked(_libc().syscall(_RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)
    return found


def _allow(rules: int, path: str, access: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # what is not there, or may not be seen, needs no permission
    try:
        if not os.path.isdir(f"/proc/self/fd/{opened}"):
            access &= ~READ_FOLDER
        rule = struct.pack("=Qi", access, opened)
        _checked(_libc().syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0))
    finally:
        os.close(opened)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
