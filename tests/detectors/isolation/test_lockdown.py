"""A confined process computes, reads what it may, and can do nothing else, whoever it belongs to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detectors.isolation import seccomp

ROOT = Path(__file__).resolve().parents[3]
MUST_WORK = {"read what is allowed", "compute", "start a thread"}


def test_a_confined_process_can_do_no_harm(run_python: Callable[..., Any], everybodys_folder: Path):
    allowed, forbidden = everybodys_folder / "allowed", everybodys_folder / "secret.txt"
    allowed.mkdir()
    (allowed / "readable.txt").write_text("hello")
    forbidden.write_text("secret")
    for path in (allowed, forbidden, allowed / "readable.txt"):
        path.chmod(0o777 if path.is_dir() else 0o666)
    found = run_python(Path(__file__).with_name("confined_script.py"), str(allowed), str(forbidden))
    assert {name for name, outcome in found.items() if outcome == "done"} == MUST_WORK
    assert found.pop("take 4 GiB of memory") == "MemoryError"
    refused = {name: outcome for name, outcome in found.items() if name not in MUST_WORK}
    assert set(refused.values()) == {"PermissionError"}
    assert (allowed / "readable.txt").read_text() == "hello" and os.listdir(allowed) == ["readable.txt"]


def test_it_dies_with_its_parent_even_in_an_endless_loop():
    code = (
        "import os, subprocess, sys, time\n"
        "theirs, ours = os.pipe()\n"
        "endless = 'import sys; from detectors.isolation.lockdown import die_with_parent; '\n"
        "endless += 'die_with_parent(int(sys.argv[1]))\\nprint(flush=True)\\nwhile True: pass'\n"
        "command = [sys.executable, '-c', endless, str(theirs)]\n"
        "child = subprocess.Popen(command, pass_fds=[theirs], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_running(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 60
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(child)


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", list(HEADERS))
def test_call_numbers_are_those_of_the_kernels_headers(machine: str):
    header, column = HEADERS[machine], list(HEADERS).index(machine)
    if not header.exists():
        pytest.skip(f"no {header}")
    command = ["gcc", "-E", "-dM", "-D__BITS_PER_LONG=64", "-D__ARCH_WANT_SET_GET_RLIMIT"]
    command += ["-D__ARCH_WANT_SYS_CLONE3", "-D__ARCH_WANT_NEW_STAT", "-x", "c", str(header)]
    try:
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no preprocessor: {error}")
    defined = dict(
        line.split()[1:3]
        for line in text.splitlines()
        if line.startswith("#define __") and len(line.split()) == 3
    )
    special = {
        "open": seccomp._OPEN, "openat": seccomp._OPENAT, "mmap": seccomp._MMAP, "clone": seccomp._CLONE,
        "tgkill": seccomp._TGKILL, "prlimit64": seccomp._PRLIMIT, "prctl": seccomp._PRCTL,
        "fcntl": seccomp._FCNTL, "ioctl": seccomp._IOCTL,
        "clone3": seccomp._NOT_THERE[0], "openat2": seccomp._NOT_THERE[1],
    }  # fmt: skip
    wrong = {}
    for name, numbers in {**seccomp._CALLS, **seccomp._CUDA_CALLS, **special}.items():
        number = f"__NR_{name}"
        while number is not None and not number.isdigit():
            number = defined.get(number)
        if numbers[column] != (None if number is None else int(number)):
            wrong[name] = (numbers[column], number)
    assert not wrong
