"""Which system calls a process may still make: a seccomp filter, written out and installed.

Enters: the machine's architecture and whether a graphics processor is used. Leaves: a filter that holds for
every thread of the process and for ever. Standard library alone: it runs before and beside torch.

Why a list of what is allowed: a new kernel brings new calls (io_uring passed by many lists of forbidden
ones). What computing needs is memory, threads, clocks and reading files. No call here makes a process, a
connection or a file, sends a signal to another process or looks into one; opening a file for writing is
refused whatever the file system would say.

Source: seccomp(2), linux/seccomp.h, linux/bpf_common.h; call numbers of x86_64 from asm/unistd_64.h, of
aarch64 from asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable
from dataclasses import dataclass

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000
_LOAD_WORD, _JUMP_EQUAL, _JUMP_GREATER_OR_EQUAL, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_X32_BIT = 0x40000000

_O_WRITE_ONLY_OR_BOTH, _O_CREAT, _O_TRUNC = 0o3, 0o100, 0o1000
_CLONE_THREAD = 0x00010000
_MAP_SHARED_ANONYMOUS = 0x21
_PRCTL_ALLOWED = (15, 16, 0x53564D41)
"""PR_SET_NAME, PR_GET_NAME, PR_SET_VMA: names of threads and of memory."""
_FCNTL_ALLOWED = (0, 1, 2, 3, 1030, 1034)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC, F_GET_SEALS."""
_IOCTL_ALLOWED = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS and TIOCGWINSZ (is it a terminal), FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""


@dataclass(frozen=True)
class Architecture:
    """What differs between processors.

    Attributes:
        audit: The kernel's number for the architecture (linux/audit.h).
        seccomp: Number of the call `seccomp`.
        column: Which of the two numbers in `_CALLS` is its.
    """

    audit: int
    seccomp: int
    column: int


_ARCHITECTURES = {
    "x86_64": Architecture(0xC000003E, 317, 0),
    "aarch64": Architecture(0xC00000B7, 277, 1),
}

# name: (x86_64, aarch64); None where the architecture has no such call
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "close": (3, 57), "close_range": (436, 436), "fstat": (5, 80), "newfstatat": (262, 79),
    "statx": (332, 291), "stat": (4, None), "lstat": (6, None), "access": (21, None), "faccessat": (269, 48),
    "faccessat2": (439, 439), "lseek": (8, 62), "readlink": (89, None), "readlinkat": (267, 78),
    "getdents": (78, None), "getdents64": (217, 61), "getcwd": (79, 17), "dup": (32, 23),
    "pipe2": (293, 59), "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216), "madvise": (28, 233),
    "mincore": (27, 232), "msync": (26, 227), "brk": (12, 214), "mbind": (237, 235),
    "set_mempolicy": (238, 237), "get_mempolicy": (239, 236), "futex": (202, 98), "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123), "sched_getparam": (143, 121), "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126), "getcpu": (309, 168),
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "exit": (60, 93),
    "exit_group": (231, 94), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "sigaltstack": (131, 132), "restart_syscall": (219, 128),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153),
    "getrandom": (318, 278), "uname": (63, 160), "sysinfo": (99, 179), "getrlimit": (97, 163),
    "getrusage": (98, 165), "set_robust_list": (273, 99), "get_robust_list": (274, 100),
    "set_tid_address": (218, 96), "rseq": (334, 293), "membarrier": (324, 283), "arch_prctl": (158, None),
}  # fmt: skip
_CUDA_CALLS: dict[str, tuple[int | None, int | None]] = {
    "ioctl": (16, 29), "fcntl": (72, 25), "mmap": (9, 222), "memfd_create": (319, 279),
    "ftruncate": (77, 46), "eventfd2": (290, 19), "epoll_create1": (291, 20), "epoll_ctl": (233, 21),
    "epoll_wait": (232, None), "epoll_pwait": (281, 22), "pwrite64": (18, 68),
}  # fmt: skip
"""The driver talks to its device by ioctl and maps its memory."""
_OPEN, _OPENAT, _MMAP = (2, None), (257, 56), (9, 222)
_CLONE, _TGKILL, _PRLIMIT, _PRCTL = (56, 220), (234, 131), (302, 261), (157, 167)
_FCNTL, _IOCTL = (72, 25), (16, 29)
_NOT_THERE = ((435, 435), (437, 437))
"""clone3 and openat2 hide their flags behind a pointer: callers fall back to clone and openat."""

Program = list[tuple[int, int, int, int]]
"""Instructions of classic BPF: code, jump if true, jump if false, constant."""


def architecture() -> Architecture | None:
    """This machine's, or None where there is no list for it."""
    return _ARCHITECTURES.get(platform.machine()) if struct.calcsize("P") == 8 else None


def is_available() -> bool:
    """Whether this kernel filters system calls and this architecture has a list."""
    if architecture() is None:
        return False
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            return any(line.startswith("Seccomp:") for line in status)
    except OSError:
        return False


def build(machine: Architecture, pid: int, cuda: bool) -> Program:
    """The filter as a program.

    Args:
        machine: The architecture; calls of any other end the process.
        pid: The process itself, the only one it may signal or limit.
        cuda: Allow what the driver of a graphics processor needs.
    """
    program: Program = [
        (_LOAD_WORD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, KILL_PROCESS),
        (_LOAD_WORD, 0, 0, _NUMBER_AT),
    ]
    if machine.column == 0:
        program += [(_JUMP_GREATER_OR_EQUAL, 0, 1, _X32_BIT), (_RETURN, 0, 0, KILL_PROCESS)]
    for numbers in (_CALLS | (_CUDA_CALLS if cuda else {})).values():
        program += _call(numbers[machine.column], [(_RETURN, 0, 0, ALLOW)])
    for numbers in _NOT_THERE:
        program += _call(numbers[machine.column], [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)])
    writing = _O_CREAT | _O_TRUNC | (0 if cuda else _O_WRITE_ONLY_OR_BOTH)
    for rule in (
        (_OPEN, _if_no_bits(1, writing)),
        (_OPENAT, _if_no_bits(2, writing)),
        (_MMAP, _unless_all_bits(3, _MAP_SHARED_ANONYMOUS)),
        (_CLONE, _if_all_bits(0, _CLONE_THREAD)),
        (_TGKILL, _if_one_of(0, [pid])),
        (_PRLIMIT, _if_one_of(0, [0, pid])),
        (_PRCTL, _if_one_of(0, _PRCTL_ALLOWED)),
        (_FCNTL, _if_one_of(1, _FCNTL_ALLOWED)),
        (_IOCTL, _if_one_of(1, _IOCTL_ALLOWED)),
    ):
        program += _call(rule[0][machine.column], rule[1])
    return [*program, _refuse()]


def install(program: Program) -> None:
    """Put a filter on every thread of this process.

    Raises:
        OSError: the kernel refused, or a thread has a filter of its own.
    """
    machine = architecture()
    if machine is None:
        raise OSError(errno.ENOSYS, "no seccomp on this architecture")
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    instructions = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(instructions)))
    libc = ctypes.CDLL(None, use_errno=True)
    call = libc.syscall(ctypes.c_long(machine.seccomp), _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(header))
    if call != 0:
        number = ctypes.get_errno()
        raise OSError(
            number, f"seccomp: {os.strerror(number) if call < 0 else 'a thread has its own filter'}"
        )


def _call(number: int | None, body: Program) -> Program:
    """Run `body`, which returns, if the call has this number."""
    return [] if number is None else [(_JUMP_EQUAL, 0, len(body), number), *body]


def _refuse() -> tuple[int, int, int, int]:
    return _RETURN, 0, 0, _ERRNO | errno.EPERM


def _argument(index: int) -> tuple[int, int, int, int]:
    """Load the low half of an argument; the kernel reads these flags as 32 bits."""
    return _LOAD_WORD, 0, 0, _ARGUMENTS_AT + 8 * index


def _if_no_bits(index: int, bits: int) -> Program:
    tests = [_argument(index), (_AND, 0, 0, bits), (_JUMP_EQUAL, 0, 1, 0)]
    return [*tests, (_RETURN, 0, 0, ALLOW), (_RETURN, 0, 0, _ERRNO | errno.EACCES)]


def _if_all_bits(index: int, bits: int) -> Program:
    tests = [_argument(index), (_AND, 0, 0, bits), (_JUMP_EQUAL, 0, 1, bits)]
    return [*tests, (_RETURN, 0, 0, ALLOW), _refuse()]


def _unless_all_bits(index: int, bits: int) -> Program:
    tests = [_argument(index), (_AND, 0, 0, bits), (_JUMP_EQUAL, 1, 0, bits)]
    return [*tests, (_RETURN, 0, 0, ALLOW), _refuse()]


def _if_one_of(index: int, values: Iterable[int]) -> Program:
    tests = [step for value in values for step in ((_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, ALLOW))]
    return [_argument(index), *tests, _refuse()]
