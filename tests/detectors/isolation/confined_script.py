"""Run by the tests: confine this process as a model's is, then try everything that must fail.

Arguments: a folder that may be read, a file that may not. Prints {attempt: outcome} as JSON.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import sys
import sysconfig
import threading
from pathlib import Path

from detectors.isolation import lockdown

LIBC = ctypes.CDLL(None, use_errno=True)
PARENT = os.getppid()


def main(allowed: str, forbidden: str) -> None:
    status = os.open("/proc/self/status", os.O_RDONLY)
    libraries = [sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    libraries += [p for p in sys.path if p.endswith("site-packages")]  # an environment may stand on another
    lockdown.confine(
        [allowed, *libraries, f"{sys.base_prefix}/lib", "/usr/lib", "/lib", "/lib64"], ["/dev/null"]
    )
    import numpy as np

    np.ones((200, 200)) @ np.ones((200, 200))  # threads of the linear algebra
    lockdown.seal(status, 1 << 30, cuda=False)
    attempts = {
        "read what is allowed": lambda: Path(allowed, "readable.txt").read_text(),
        "compute": lambda: float((np.ones((300, 300)) @ np.ones((300, 300)))[0, 0]),
        "start a thread": thread,
        "read a file elsewhere": lambda: Path(forbidden).read_text(),
        "read a file elsewhere in a thread": lambda: thread(lambda: Path(forbidden).read_text()),
        "read /etc/passwd": lambda: Path("/etc/passwd").read_text(),
        "list the root folder": lambda: os.listdir("/"),
        "read its parent's environment": lambda: Path(f"/proc/{PARENT}/environ").read_bytes(),
        "read its own environment": lambda: Path("/proc/self/environ").read_bytes(),
        "write beside what is allowed": lambda: Path(allowed, "written.txt").write_text("x"),
        "overwrite what is allowed": lambda: os.open(f"{allowed}/readable.txt", os.O_WRONLY),
        "empty what is allowed": lambda: os.open(f"{allowed}/readable.txt", os.O_RDONLY | os.O_TRUNC),
        "truncate what is allowed": lambda: os.truncate(f"{allowed}/readable.txt", 0),
        "write to /tmp": lambda: Path("/tmp/isolation-test.txt").write_text("x"),
        "make a folder": lambda: os.mkdir(f"{allowed}/folder"),
        "remove a file": lambda: os.remove(f"{allowed}/readable.txt"),
        "rename a file": lambda: os.rename(f"{allowed}/readable.txt", f"{allowed}/other.txt"),
        "make a link": lambda: os.symlink("/etc/passwd", f"{allowed}/link"),
        "change rights": lambda: os.chmod(f"{allowed}/readable.txt", 0o777),
        "make a pipe with a name": lambda: os.mkfifo(f"{allowed}/pipe"),
        "make shared memory": lambda: os.memfd_create("x"),
        "take shared memory": lambda: mmap.mmap(-1, 1 << 20),
        "make a connection": lambda: socket.socket().close(),
        "make a local connection": lambda: socket.socketpair()[0].close(),
        "make a process": lambda: os.fork() or os._exit(0),
        "run a program": lambda: os.execv("/bin/true", ["true"]),
        "signal its parent": lambda: os.kill(PARENT, 0),
        "signal everybody": lambda: os.kill(-1, 0),
        "trace its parent": lambda: call(101 if X86 else 117, 16, PARENT, 0, 0),
        "read its parent's memory": lambda: call(310 if X86 else 270, PARENT, None, 0, None, 0, 0),
        "limit its parent": lambda: resource.prlimit(PARENT, resource.RLIMIT_NOFILE, (1, 1)),
        "lift its own limit": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30)),
        "io_uring": lambda: call(425, 8, ctypes.create_string_buffer(120)),
        "a user namespace": lambda: call(272 if X86 else 97, 0x10000000),
        "watch with userfaultfd": lambda: call(323 if X86 else 282, 0),
        "keys of the kernel": lambda: call(250 if X86 else 219, 0, 0, 0, 0, 0),
        "take 4 GiB of memory": lambda: len(bytearray(4 << 30)),
        "become dumpable": lambda: call_prctl(4, 1),
        "a priority": lambda: os.setpriority(os.PRIO_PROCESS, PARENT, 19),
    }
    found = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            found[name] = "done"
        except OSError as error:
            found[name] = type(error).__name__
        except ValueError as error:  # what `resource` makes of EPERM
            found[name] = "PermissionError" if "not allowed" in str(error) else str(error)
        except MemoryError:
            found[name] = "MemoryError"
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except OSError:
        found["signal itself"] = "PermissionError"
    print(json.dumps(found), flush=True)


X86 = os.uname().machine == "x86_64"


def call(number: int, *arguments: object) -> None:
    if LIBC.syscall(ctypes.c_long(number), *arguments) < 0:
        raise OSError(ctypes.get_errno(), "call")


def call_prctl(option: int, value: int) -> None:
    if LIBC.prctl(option, value, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "prctl")


def thread(work=lambda: None) -> None:
    """Run in a thread, and raise here what it raises."""
    raised: list[OSError] = []

    def body() -> None:
        try:
            work()
        except OSError as error:
            raised.append(error)

    started = threading.Thread(target=body)
    started.start()
    started.join()
    if raised:
        raise raised[0]


if __name__ == "__main__":
    main(*sys.argv[1:])
