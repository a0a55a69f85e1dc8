"""What of isolation this system has.

Enters: nothing. Leaves: sentences for people. Needs no torch.
"""

from __future__ import annotations

import sys

from detectors.isolation import landlock, seccomp


def why_unavailable() -> str:
    """What this system lacks for isolation, "" where it lacks nothing."""
    if sys.platform != "linux":
        return f"{sys.platform} has neither Landlock nor seccomp"
    if not landlock.version():
        return "this kernel has no Landlock (Linux 5.13 or newer, switched on)"
    return "" if seccomp.is_available() else "this kernel or processor has no seccomp filter we know"


def describe() -> str:
    """One line: how foreign model files run here."""
    lacking = why_unavailable()
    if lacking:
        return f"refused unless trusted by hash: {lacking}"
    return f"isolated (Landlock {landlock.version()}, seccomp)"
