"""Ray workers that die; in a module of their own that loads fast."""

import os
import pickle
import signal
from pathlib import Path
from typing import Any


class DiesBeforeItBegins:
    """A worker that dies before it says anything, as often as a file has lines."""

    def __init__(self, given: bytes) -> None:
        self.left = Path(pickle.loads(given)[1])

    def ready(self, versions: dict[str, str]) -> dict[str, Any]:
        lines = self.left.read_text().splitlines()
        if lines:
            self.left.write_text("\n".join(lines[1:]))
            os.kill(os.getpid(), signal.SIGKILL)
        return {}

    def do(self, number: int) -> dict[str, Any]:
        return {"twice": 2 * number}


class DiesOfSomeParts:
    """A worker that dies of some parts whenever it is given one."""

    def __init__(self, given: bytes) -> None:
        self.deadly = pickle.loads(given)[1]

    def ready(self, versions: dict[str, str]) -> dict[str, Any]:
        return {}

    def do(self, number: int) -> dict[str, Any]:
        if number in self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return {}
