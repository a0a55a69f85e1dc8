"""Processes that this one started, or those did: tests beside these have some of the same names."""

import os
import time
from collections.abc import Set
from pathlib import Path


def processes(title: bytes) -> list[int]:
    """Ids of the descendants of this process whose command line has these words."""
    parents, lines = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                lines[int(entry.name)] = (entry / "cmdline").read_bytes()
            except OSError:
                continue
    return [number for number, line in lines.items() if title in line and _is_ours(number, parents)]


def _is_ours(number: int, parents: dict[int, int]) -> bool:
    while number in parents:
        number = parents[number]
        if number == os.getpid():
            return True
    return False


def are_gone(title: bytes, besides: Set[int] = frozenset(), within_s: float = 60) -> bool:
    """Wait until there is none of these."""
    ends = time.monotonic() + within_s
    while (there := set(processes(title)) - besides) and time.monotonic() < ends:
        time.sleep(0.05)
    return not there
