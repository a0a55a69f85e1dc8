"""How a process gives up its rights, one after the other, before it looks at a stranger's file.

Enters: what it may read, and how much memory it may take. Leaves: a process without privileges, without
files to write, without network, without children. Standard library alone.

    1. `confine`, while there is one thread: the first to die when memory runs out, no core files, no file
       grows, no privileges, Landlock
    2. the libraries are imported; they may start threads, which inherit all that
    3. `seal`: memory is limited, and the seccomp filter ends what is left

Why in two steps: importing torch needs calls that computing does not, and Landlock binds only threads that
are made after it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import select
import signal
import socket
import struct
from collections.abc import Iterable

from detectors.isolation import landlock, seccomp

_CAPABILITIES_VERSION = 0x20080522
_READ_ANY_FILE = 1 << 2
"""CAP_DAC_READ_SEARCH. A superuser's child keeps it where it has it, so that a model that belongs to another
user can be read; Landlock still decides which files there are."""
_MAX_OPEN_FILES = 512


class NotIsolated(Exception):
    """The kernel did not do as it was told; nothing may be opened."""


def confine(readable: Iterable[str], devices: Iterable[str]) -> int:
    """Step 1: no files but these, no privileges, no files written.

    Args:
        readable: Folders and files.
        devices: Files to read and write, such as /dev/null.

    Returns:
        Version of Landlock.

    Raises:
        NotIsolated: there is more than one thread already.
        OSError: the kernel refused.
    """
    if len(os.listdir("/proc/self/task")) != 1:
        raise NotIsolated("threads were started before Landlock")
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
    ):
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    found = landlock.restrict(readable, devices)
    _drop_capabilities()
    return found


def seal(status: int, memory_bytes: int, cuda: bool) -> None:
    """Step 3: no more memory than this, no calls but those that computing needs; then see that it holds.

    Args:
        status: An open file descriptor of /proc/self/status; closed here.
        memory_bytes: What may be taken beside what the libraries hold already; not enforced here for a
            graphics processor, whose driver reserves more addresses than it uses.
        cuda: Allow what its driver needs.

    Raises:
        NotIsolated: something is still possible that should not be.
        OSError: the kernel refused.
    """
    held = _field(os.pread(status, 1 << 16, 0).decode("ascii", "replace"), "VmData") << 10
    os.close(status)
    if not cuda:
        resource.setrlimit(resource.RLIMIT_DATA, (held + memory_bytes, held + memory_bytes))
    machine = seccomp.architecture()
    if machine is None:
        raise NotIsolated("no list of system calls for this processor")
    seccomp.install(seccomp.build(machine, os.getpid(), cuda))
    _prove()


def die_with_parent(lifeline: int) -> None:
    """Have the kernel kill this process when the other end of a pipe closes, whatever runs then."""
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    waiting = select.poll()
    waiting.register(lifeline, select.POLLHUP)
    if waiting.poll(0):
        os._exit(1)


_F_SETSIG = 10


def _drop_capabilities() -> None:
    """Give up every capability but reading, and that one too where it is not there."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITIES_VERSION, 0))
    data = ctypes.create_string_buffer(24)
    if libc.capget(header, data):
        raise OSError(ctypes.get_errno(), "capget")
    kept = struct.unpack("6I", data.raw[:24])[1] & _READ_ANY_FILE
    if libc.capset(header, struct.pack("6I", kept, kept, 0, 0, 0, 0)):
        raise OSError(ctypes.get_errno(), "capset")


def _field(status: str, name: str) -> int:
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{name}:"))


def _prove() -> None:
    """Try what must fail: connect, make a process, write a file, read one that is nobody's business."""
    for name, attempt in (
        ("make a connection", lambda: socket.socket().close()),
        ("make a process", _fork),
        ("write a file", lambda: os.close(os.open("/tmp/isolation-test", os.O_WRONLY | os.O_CREAT))),
        ("read /etc/passwd", lambda: os.close(os.open("/etc/passwd", os.O_RDONLY))),
    ):
        try:
            attempt()
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EACCES):
                continue
            raise NotIsolated(f"an attempt to {name} failed for another reason: {error}") from None
        raise NotIsolated(f"an attempt to {name} succeeded")


def _fork() -> None:
    """Fork past Python and past the handlers of libraries, which stop their threads for it."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = 56 if os.uname().machine == "x86_64" else 220
    found = libc.syscall(number, int(signal.SIGCHLD), None, None, None, None)
    if found == 0:
        os._exit(0)
    if found < 0:
        raise OSError(ctypes.get_errno(), "clone")
