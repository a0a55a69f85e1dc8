"""Starting a process that will give up its rights, and what it shares with its parent.

Enters: the start of a Python program, the descriptors it inherits. Leaves: a process in a fresh interpreter
that sees neither our environment nor our files. Needs no torch: models (`child`) and images from the network
(`audit.serving.decoding`) are both opened by such a process.

Why memory files and not /dev/shm: they have no name that another process could open, and are sealed, so that
the child cannot shrink them under our feet.
"""

from __future__ import annotations

import contextlib
import importlib.util
import mmap
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

_SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/dev/urandom", "/proc/cpuinfo",
    "/proc/meminfo", "/sys/devices/system/cpu", "/sys/devices/system/node",
)  # fmt: skip
_CUDA_SYSTEM = ("/sys", "/proc/driver", "/proc/devices", "/proc/modules", "/usr/local/cuda", "/etc/vulkan")
ENVIRONMENT = (
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "NVIDIA_VISIBLE_DEVICES",
)  # fmt: skip
"""What the libraries must know; nothing else of the environment is passed on."""
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from {module} import main; "
    "sys.path.pop(0); main(sys.argv[2:])"
)


def _root() -> Path:
    """The folder that holds our packages."""
    return Path(__file__).resolve().parents[2]


def shared_memory(size: int) -> tuple[mmap.mmap, int]:
    """Shared memory without a name, mapped here, and its descriptor; nobody can change its size."""
    import fcntl  # only where there is isolation

    descriptor = os.memfd_create("batch", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return mmap.mmap(descriptor, size), descriptor


def pipes() -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """(requests, replies, lifeline) for us and for the child; nothing is ever written to the lifeline."""
    (their_requests, requests), (replies, their_replies) = os.pipe(), os.pipe()
    their_lifeline, lifeline = os.pipe()
    return (requests, replies, lifeline), (their_requests, their_replies, their_lifeline)


def spawn(module: str, descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    """A fresh interpreter that sees neither our environment nor our files.

    Args:
        module: Whose `main` it runs, with the descriptors as its arguments.
        descriptors: Those it inherits.
    """
    root = str(_root())
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-I", "-B", "-c", _START.replace("{module}", module), root, *map(str, descriptors)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment
        | {
            "LANG": "C.UTF-8",
            "CUDA_CACHE_DISABLE": "1",
            "PATH": "/nonexistent",
            "TORCHINDUCTOR_CACHE_DIR": "/",
        },
        cwd="/",
        pass_fds=descriptors,
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes], descriptors: Sequence[int]) -> None:
    """Kill the process and close what led to it."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()
    for descriptor in descriptors:
        os.close(descriptor)


def library_folders(libraries: Sequence[str]) -> list[Path]:
    """Where these libraries were installed, in the order in which this process looks there."""
    origins = [spec.origin for name in libraries if (spec := importlib.util.find_spec(name)) and spec.origin]
    folders = {Path(origin).resolve().parents[1] for origin in origins}
    order = [Path(entry).resolve() for entry in sys.path]
    return sorted(
        folders, key=lambda folder: (order.index(folder) if folder in order else len(order), folder)
    )


def readable(packages: Sequence[str], libraries: Sequence[str], cuda: bool = False) -> list[str]:
    """What a confined process may read: these packages of ours, the libraries, and what they need.

    Args:
        packages: Such as "detectors".
        libraries: Names of installed modules.
        cuda: Whether it computes on a graphics processor.
    """
    paths = sysconfig.get_paths()
    python = [paths["stdlib"], paths["platstdlib"], f"{sys.base_prefix}/lib", f"{sys.base_exec_prefix}/lib"]
    own = [_root() / package for package in packages]
    linked = [p for p in os.environ.get("LD_LIBRARY_PATH", "").split(":") if p.startswith("/")]
    system = [*_SYSTEM, *(_CUDA_SYSTEM if cuda else ())]
    return [str(place) for place in (*python, *own, *library_folders(libraries), *linked, *system)]


def is_confined(pid: int) -> bool:
    """Whether the kernel says so: a seccomp filter, no new privileges, hardly a capability."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
    said = dict(line.split(":", 1) for line in lines if ":" in line)
    reading_alone = int(said["CapEff"], 16) & ~(1 << 2) == 0
    return said["Seccomp"].strip() == "2" and said["NoNewPrivs"].strip() == "1" and reading_alone


def resident_bytes(pid: int) -> int:
    """Memory a process holds now; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * mmap.PAGESIZE
    except (OSError, IndexError, ValueError):
        return 0
